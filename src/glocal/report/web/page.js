// The state of the page, and drawing it.

const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const view = {
  shown: 0, layer: "", aggregate: data.explanations[0].aggregate, smoothing: 0, weigh: false,
  threshold: data.style.threshold, boxes: data.style.boxes, truth: true,
  strength: data.style.strength, colormap: data.style.colormap, sideBySide: data.style.side_by_side,
  scale: data.style.scale,
};
const explanationMaps = data.explanations.map(facts => new ExplanationMaps(facts, data.cuts, data.temporal));
view.weigh = explanationMaps[0].weighted;
const facts = () => data.explanations[view.shown];
const withMaps = facts().maps !== null;
const painter = withMaps && new Painter(at("screen"), data.size, data.geometry, data.colormaps);
let source = null, player = null, timeline = null, picture = null, links = null;

function boxAt(frame, map) {
  if (explanationMaps[view.shown].isSaved(view) && view.threshold === data.style.threshold) return facts().boxes[frame];
  return painter.box(source, map ?? source.at(frame), view.threshold);
}

// Whether a frame is relevant enough for its box to enclose more than noise.
function isRelevant(frame) { return facts().relevance[frame] >= data.floor; }

// The frame of the highest relevance, which the page opens on.
function mostRelevant() { return facts().relevance.indexOf(Math.max(...facts().relevance)); }

function paint(frame) {
  const time = data.times[frame], relevance = facts().relevance[frame];
  let box = null;
  if (source) {
    const map = source.at(frame), known = view.truth && data.truth ? data.truth[frame] ?? [] : [];
    box = view.boxes && isRelevant(frame) ? boxAt(frame, map) : null;
    painter.paint(picture?.(), source, map, box, known, { ...view, exponent: data.scales[view.scale] });
  }
  const words = data.times.length === 1 ? [] : [`Frame ${frame + 1} of ${data.times.length}`, `${time.toFixed(2)} s`,
    `relevance ${Math.round(100 * relevance)} %`];
  if (box) words.push(`box ${box.slice(0, 4).join(", ")}`);
  at("now").textContent = words.join(" · ");
  const screen = at("screen");
  Object.assign(screen.dataset, { frame, box: JSON.stringify(box?.slice(0, 4) ?? null), threshold: view.threshold });
  if (!player?.playing) screen.setAttribute("aria-label", `Attribution for ${name(facts())}. ${words.join(", ")}`);
  timeline?.move(frame, words.join(", "));
  if (player && !player.playing) links?.follow(frame);
}

async function refresh() {
  const wanted = JSON.stringify(view);
  const updated = withMaps ? await explanationMaps[view.shown].source(view) : null;
  if (JSON.stringify(view) !== wanted) return;
  source = updated;
  paint(player ? player.frame : 0);
  at("screen").dataset.view = wanted;
}

function name(explained) { return `${explained.counterfactual ? "against " : ""}${explained.label}`; }

// Keyboard shortcuts, unless the focused element uses the key itself.
const KEYS = {
  " ": () => player?.toggle(),
  ArrowLeft: event => player?.seek(player.frame - (event.shiftKey ? 10 : 1)),
  ArrowRight: event => player?.seek(player.frame + (event.shiftKey ? 10 : 1)),
  Home: () => player?.seek(0),
  End: () => player?.seek(data.times.length - 1),
  "[": () => withMaps && setThreshold(Math.round(100 * view.threshold - 5) / 100),
  "]": () => withMaps && setThreshold(Math.round(100 * view.threshold + 5) / 100),
  c: () => selectNext("class"), l: () => selectNext("layer"), m: () => selectNext("method"),
  b: () => at("boxes").click(),
};

document.addEventListener("keydown", event => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const own = event.target.closest?.("select, input, textarea, button, a, summary, video");
  const letter = /^[a-z[\]]$/.test(key) && !own?.matches("select");
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[key] || (own && !letter)) return;
  event.preventDefault();
  KEYS[key](event);
});

async function openVideo(video) {
  const [head, body] = video.dataset.src.split(",");
  const type = head.slice("data:".length).split(";")[0];
  video.src = URL.createObjectURL(new Blob([fromBase64(body)], { type }));
  await new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", resolve, { once: true });
    video.addEventListener("error", reject, { once: true });
  });
  picture = () => ({ image: video, width: video.videoWidth, height: video.videoHeight, added: data.added });
}

async function openPicture(image) {
  await image.decode();
  picture = () => ({ image, width: image.naturalWidth, height: image.naturalHeight, added: [0, 0] });
}

async function start() {
  const clip = at("clip"), still = at("still"), beside = at("beside");
  connectControls();
  updateLayout();
  let failed = false;
  try {
    if (clip) await openVideo(clip);
    if (still) await openPicture(still);
  } catch {
    failed = true;
    at("unplayable").hidden = false;
  }
  if (at("timeline")) {
    timeline = new Timeline(at("timeline"), data, frame => player.seek(frame));
    const video = beside ?? (failed ? null : clip);
    player = new Player(video, data.times, data.end, frame => paint(frame), playing => {
      at("play").textContent = playing ? "❚❚ Pause" : "▶ Play";
      at("play").setAttribute("aria-pressed", String(playing));
    });
    at("play").addEventListener("click", () => player.toggle());
    at("back").addEventListener("click", () => player.seek(player.frame - 1));
    at("forward").addEventListener("click", () => player.seek(player.frame + 1));
  }
  links = new Links();
  updateControls();
  player?.seek(mostRelevant());
  links.open();
  window.addEventListener("hashchange", () => links.open());
  document.documentElement.dataset.ready = "";
}

start();
