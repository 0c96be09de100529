// The controls of the page: class, method, layer, and how the maps are drawn.

function fillSelect(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
  select.closest("label").hidden = entries.length < 2;
}

const SCALE_NAMES = { video: "as in the whole video", soft: "weak frames brightened", frame: "each frame to its maximum" };
const SCALE_WORDS = { video: "", soft: "weak frames are drawn brighter: the curve tells when", frame: "each frame has its own scale: the curve tells when" };

function sameClass(a, b) { return a.index === b.index && a.counterfactual === b.counterfactual; }

// The explanations by a method, one for each class, with their indices.
function ofMethod(method) { return data.explanations.map((e, i) => [e, i]).filter(([e]) => e.method === method); }

function choose(index) {
  const before = facts();
  view.shown = index;
  if (!(view.layer in facts().layers)) view.layer = "";
  if (facts().method !== before.method) {
    view.aggregate = facts().aggregate;
    view.weigh = explanationMaps[index].weighted;
  }
  updateControls();
}

function updateControls() {
  const shown = facts(), classes = ofMethod(shown.method), layers = Object.keys(shown.layers);
  const methods = [...new Set(data.explanations.map(e => e.method))];
  fillSelect(at("method"), methods.map(m => [m, m]), shown.method);
  fillSelect(at("class"), classes.map(([e, i]) => [String(i), name(e)]), String(view.shown));
  fillSelect(at("layer"), [["", "all layers"], ...layers.map(l => [l, l])], view.layer);
  const aggregates = [...new Set(["sum", "mean", "max", shown.aggregate])];
  fillSelect(at("aggregate"), layers.length > 1 ? aggregates.map(a => [a, a]) : [], view.aggregate);
  at("aggregate").disabled = view.layer !== "";
  at("weigh").checked = view.weigh;
  at("weigh-name").textContent = explanationMaps[view.shown].weighted ? "M_s weighted by M_t" : "weight by M_t";
  at("title").textContent = shown.headline.title;
  at("sentence").textContent = shown.headline.sentence;
  showLegend();
  const others = classes.filter(([e]) => e !== shown);
  timeline?.draw(shown, others.map(([e]) => e));
  at("curves")?.replaceChildren(...[[shown, view.shown], ...others].map(curveName));
  showPredictions();
  refresh();
}

function curveName([explained, index], place) {
  const button = document.createElement("button"), key = element("svg", { viewBox: "0 0 30 8", "aria-hidden": "true" });
  key.append(element("line", { x1: 0, x2: 30, y1: 4, y2: 4, class: place ? "other" : "shown",
    "stroke-dasharray": place ? DASHES[1 + (place - 1) % (DASHES.length - 1)] : "" }));
  button.append(key, name(explained));
  button.type = "button";
  button.setAttribute("aria-pressed", String(place === 0));
  button.addEventListener("click", () => choose(index));
  return button;
}

// Show the predictions of the network, or of one of its gates.
function showPredictions() {
  const rows = data.votes[at("gate").value] ?? data.votes[""];
  at("votes").replaceChildren(...rows.map(({ label, index, score }) => {
    const row = document.createElement("li"), share = `${(100 * score).toFixed(1)} %`;
    const bar = document.createElement("i"), words = document.createElement("div");
    words.append(Object.assign(document.createElement("b"), { textContent: label }),
      Object.assign(document.createElement("span"), { textContent: share }));
    bar.style.setProperty("--share", `${100 * score}%`);
    row.append(words, bar);
    row.classList.toggle("target", index === facts().index);
    return row;
  }));
}

function selectNext(id) {
  const select = at(id);
  if (select.closest("label").hidden || select.disabled) return;
  select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
  select.dispatchEvent(new Event("change"));
}

// Say what the brightest colour stands for.
function showLegend() {
  at("legend").textContent = `most evidence ${facts().counterfactual ? "against" : "for"} ${facts().label}`;
  at("scale-note").textContent = data.times.length > 1 ? SCALE_WORDS[view.scale] : "";
}

// Tell the share of a frame's maximum that boxes enclose, at the slider and in the legend.
function showThreshold() {
  for (const id of ["threshold-value", "box-share"]) at(id).textContent = `${Math.round(100 * view.threshold)} %`;
}

// The colours from no evidence to most, for the legend.
function showColours() {
  if (!withMaps) return;
  const context = at("ramp").getContext("2d"), colours = data.colormaps[view.colormap];
  const pixels = context.createImageData(256, 1);
  for (let level = 0; level < 256; level++) pixels.data.set([...colours.slice(3 * level, 3 * level + 3), 255], 4 * level);
  context.putImageData(pixels, 0, 0);
}

function setThreshold(value) {
  view.threshold = Math.min(1, Math.max(0.01, value));
  at("threshold").value = view.threshold;
  showThreshold();
  refresh();
}

function connectSlider(id, key, words) {
  const input = at(id), tell = () => { at(`${id}-value`).textContent = words(view[key]); };
  input.value = view[key];
  tell();
  input.addEventListener("input", () => { view[key] = Number(input.value); tell(); refresh(); });
}

function connectCheckbox(id, key) {
  at(id).checked = view[key];
  at(id).addEventListener("change", () => { view[key] = at(id).checked; updateLayout(); refresh(); });
}

function updateLayout() { at("stage").classList.toggle("wide", view.sideBySide); }

function connectControls() {
  at("method").addEventListener("change", () => {
    const same = ofMethod(at("method").value);
    choose((same.find(([e]) => sameClass(e, facts())) ?? same[0])[1]);
  });
  at("class").addEventListener("change", () => choose(Number(at("class").value)));
  at("layer").addEventListener("change", () => { view.layer = at("layer").value; updateControls(); });
  at("aggregate").addEventListener("change", () => { view.aggregate = at("aggregate").value; refresh(); });
  at("gate").addEventListener("change", showPredictions);
  fillSelect(at("gate"), Object.keys(data.votes).map(gate => [gate, gate || "the network"]), "");
  fillSelect(at("colormap"), Object.keys(data.colormaps).map(c => [c, c]), view.colormap);
  at("colormap").addEventListener("change", () => { view.colormap = at("colormap").value; showColours(); refresh(); });
  const scales = data.times.length > 1 ? Object.entries(SCALE_NAMES) : [];
  fillSelect(at("scale"), scales, view.scale);
  at("scale").addEventListener("change", () => { view.scale = at("scale").value; showLegend(); refresh(); });
  showColours();
  showThreshold();
  connectSlider("strength", "strength", value => `${Math.round(100 * value)} %`);
  at("threshold").value = view.threshold;
  at("threshold").addEventListener("input", () => setThreshold(Number(at("threshold").value)));
  connectSlider("smoothing", "smoothing", value => value ? `σ = ${value}` : "off");
  connectCheckbox("boxes", "boxes"); connectCheckbox("truth", "truth"); connectCheckbox("weigh", "weigh"); connectCheckbox("side", "sideBySide");
  at("truth").closest("label").hidden = !data.truth;
  at("weigh").closest("label").hidden = !data.temporal;
  at("save-picture").addEventListener("click", () =>
    savePicture(at("screen"), `${data.stem}-frame${player ? player.frame : 0}.png`));
  at("save-table")?.addEventListener("click", () =>
    saveTable(data.times, facts().relevance, data.times.map((_, i) => source && isRelevant(i) ? boxAt(i) : null), `${data.stem}.csv`));
  for (const key of document.querySelectorAll("[data-frame-of]")) {
    key.addEventListener("click", () => { player?.seek(Number(key.dataset.frameOf)); at("stage").scrollIntoView(); });
  }
  for (const key of document.querySelectorAll("[data-layer-of]")) {
    key.addEventListener("click", () => {
      if (!(key.dataset.layerOf in facts().layers)) return;
      view.layer = key.dataset.layerOf;
      updateControls();
      at("stage").scrollIntoView();
    });
  }
}
