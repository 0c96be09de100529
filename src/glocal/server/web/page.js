"use strict"; // the form: a clip, a model, a class, a method

let clip = null; // {file} or {sample}
let models = [], methods = [], limits = {};
let modelIsChosen = false; // by the user

function option(value, text = value) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function group(label, options) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...options);
  return made;
}

function showProblem(sentence) { $("problem").textContent = sentence; }

// A model that knows the action of a sample; the first one for any other clip.
function suggestModel({sample}) {
  if (modelIsChosen) return;
  $("model").value = (models.find(m => m.labels.includes(sample)) || models[0]).name;
  chooseModel();
}

function chooseModel() {
  const model = models.find(m => m.name === $("model").value);
  const trained = model.weights === "random" ? "untrained: its explanations mean nothing" : "trained";
  const takes = model.image ? "single frames" : `${model.frames} frames`;
  const examples = model.labels.length > 3 ? `, such as ${model.labels.slice(0, 3).join(", ")}` : "";
  $("model-about").textContent = `Knows ${model.knows}${examples}. Takes ${takes} of ${model.size}×${model.size}; ${trained}.`;
  const before = $("target").value;
  const top = [["top1", "top class"], ["top3", "top 3 classes"], ["top5", "top 5 classes"]];
  $("target").replaceChildren(
    group("Predicted classes", top.filter(([name]) => name.slice(3) <= model.labels.length).map(([v, t]) => option(v, t))),
    group("One class", model.labels.map((label, index) => option(String(index), label))));
  $("target").value = before || "top3";
  if (!$("target").value) $("target").value = "top1";
  $("layers").replaceChildren(...model.layers.map(name => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.value = name;
    label.append(box, ` ${name}`);
    return label;
  }));
}

function chooseMethod() {
  const method = methods.find(m => m.name === $("method").value);
  $("method-about").textContent = `${method.paper}. Needs ${method.needs}; ${method.cost}.`;
  $("aggregate").options[0].textContent = `the method’s own: ${method.aggregate}`;
}

function chooseClip(chosen) {
  showProblem("");
  if (chosen.file && chosen.file.size > limits.bytes) {
    showProblem(`The file is larger than the ${Math.round(limits.bytes / 2 ** 20)} MB that are allowed.`);
    return;
  }
  clip = chosen;
  preview(chosen);
  suggestModel(chosen);
  $("prompt").textContent = chosen.file ? chosen.file.name : `Sample: ${chosen.sample}`;
  for (const button of $("samples").children) button.setAttribute("aria-pressed", String(button.dataset.name === chosen.sample));
  $("go").disabled = false;
}

function preview({file, sample}) {
  const video = $("preview"), still = $("still");
  $("no-preview").hidden = true;
  for (const element of [video, still]) {
    if (element.src) URL.revokeObjectURL(element.src);
    element.removeAttribute("src");
    element.hidden = true;
  }
  const element = file && file.type.startsWith("image/") ? still : video;
  element.onload = element.onloadeddata = () => { element.hidden = false; };
  element.onerror = () => { $("no-preview").hidden = !element.hasAttribute("src"); };
  element.src = file ? URL.createObjectURL(file) : `samples/${encodeURIComponent(sample)}.mp4`;
  if (element === video) video.play().catch(() => {});
}

function formData() {
  const data = new FormData();
  for (const name of ["model", "target", "method", "aggregate"]) data.set(name, $(name).value);
  data.set("counterfactual", String($("counterfactual").checked));
  const boxes = [...$("layers").querySelectorAll("input")], chosen = boxes.filter(box => box.checked);
  if (chosen.length < boxes.length) data.set("layers", chosen.map(box => box.value).join(","));
  if (clip.sample) data.set("sample", clip.sample);
  else data.set("video", clip.file);
  return data;
}

function send(data, progressed) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "api/jobs");
    request.responseType = "json";
    request.upload.onprogress = event => event.lengthComputable && progressed(event.loaded / event.total);
    request.onload = () => request.status === 202 ? resolve(request.response)
      : reject(new Error(request.response?.error || `The server responded with status ${request.status}.`));
    request.onerror = () => reject(new Error("The upload did not reach the server; try again."));
    request.send(data);
  });
}

async function submit(event) {
  event.preventDefault();
  if (!clip) return;
  if (!$("layers").querySelector("input:checked")) { showProblem("Choose at least one layer."); return; }
  showProblem("");
  $("go").disabled = true;
  try {
    const job = await send(formData(), share => { $("go").textContent = `Uploading ${Math.round(100 * share)} %`; });
    saveIds([job.id, ...savedIds()]);
    show(job);
    results.get(job.id).element.scrollIntoView({block: "nearest"});
    poll();
  } catch (error) {
    showProblem(error.message);
  } finally {
    $("go").textContent = "Explain";
    $("go").disabled = false;
  }
}

async function showSamples() {
  const names = await get("api/samples").catch(() => []);
  for (const name of names) {
    if ([...$("samples").children].some(button => button.dataset.name === name)) continue;
    const button = document.createElement("button"), picture = document.createElement("img");
    button.type = "button";
    button.dataset.name = name;
    button.setAttribute("aria-pressed", "false");
    picture.src = `samples/${encodeURIComponent(name)}.jpg`;
    picture.alt = "";
    button.append(picture, name);
    button.onclick = () => { $("file").value = ""; chooseClip({sample: name}); };
    $("samples").append(button);
    $("sample-area").hidden = false;
  }
  if (names.length < 4) setTimeout(showSamples, 2000);
}

async function start() {
  [models, methods, limits] = await Promise.all(["api/models", "api/methods", "api/limits"].map(get));
  $("limits").textContent = `A video of up to ${Math.round(limits.bytes / 2 ** 20)} MB and ${limits.seconds} seconds, or a picture.`;
  $("model").replaceChildren(...models.map(m => option(m.name)));
  $("method").replaceChildren(...methods.map(m => option(m.name, m.title)));
  $("model").onchange = () => { modelIsChosen = true; chooseModel(); };
  $("method").onchange = chooseMethod;
  chooseModel();
  chooseMethod();
  $("file").onchange = () => $("file").files[0] && chooseClip({file: $("file").files[0]});
  for (const name of ["dragenter", "dragleave", "drop"]) {
    $("drop").addEventListener(name, () => $("drop").classList.toggle("over", name === "dragenter"));
  }
  $("ask").onsubmit = submit;
  showSamples();
  for (const id of savedIds()) await refresh(id);
  document.documentElement.dataset.ready = "";
  poll();
}

start().catch(() => { $("unreachable").hidden = false; setTimeout(() => location.reload(), 5000); });
