"use strict"; // the list of this browser's results: progress, links and removal

const STORAGE_KEY = "glocal-results";
const POLL_MS = 700;
const $ = id => document.getElementById(id);
const results = new Map(); // id → {element, job}

const savedIds = () => { try { return JSON.parse(localStorage.getItem(STORAGE_KEY)) || []; } catch { return []; } };
const saveIds = ids => { try { localStorage.setItem(STORAGE_KEY, JSON.stringify(ids)); } catch { /* private windows */ } };

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), {status: answer.status});
  return answer.json();
}

function show(job) {
  let entry = results.get(job.id);
  if (!entry) {
    const element = $("result").content.firstElementChild.cloneNode(true);
    element.dataset.id = job.id;
    element.querySelector(".remove").onclick = () => remove(job.id);
    element.querySelector(".copy").onclick = () => copy(job.id);
    entry = {element, job};
    results.set(job.id, entry);
    const after = [...results.values()].filter(e => e.job.created < job.created).sort((a, b) => b.job.created - a.job.created)[0];
    $("results").insertBefore(element, after ? after.element : null);
    $("none").hidden = true;
  }
  entry.job = job;
  const {element} = entry, find = selector => element.querySelector(selector);
  const base = `api/jobs/${job.id}`, done = job.state === "done", active = job.state === "queued" || job.state === "running";
  element.className = `result ${job.state}`;
  find("h3").textContent = job.name;
  showState(find(".state"), job);
  const bar = find("progress");
  bar.hidden = job.state !== "running";
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (job.total) bar.value = job.done / job.total;
  else bar.removeAttribute("value");
  const submitted = new Date(1000 * job.created).toLocaleString([], {dateStyle: "medium", timeStyle: "short"});
  find(".submitted").textContent = `${job.model} · ${job.method} · ${submitted}`;
  find(".notes").textContent = job.notes.map(note => `${note[0].toUpperCase()}${note.slice(1)}.`).join(" ");
  find(".remove").textContent = active ? "Cancel" : "Remove";
  find(".copy").hidden = !done;
  find(".open").hidden = !done;
  if (!done) return;
  find(".poster").href = find(".open").href = `${base}/report.html`;
  if (!find("img").hasAttribute("src")) find("img").src = `${base}/report.jpg`;
  for (const link of element.querySelectorAll("[data-kind]")) {
    const name = `report.${link.dataset.kind}`;
    link.hidden = !job.files.includes(name);
    link.href = `${base}/${name}`;
    link.download = `${job.name.replace(/\.\w+$/, "")}-attention.${link.dataset.kind}`;
  }
}

function showState(place, job) {
  if (job.state === "queued") place.textContent = job.ahead ? `Waiting, ${job.ahead} ahead` : "Waiting, next in line";
  else if (job.state === "running") place.textContent = (job.stage || "Starting") + (job.total > 1 ? `, ${job.done} of ${job.total} windows` : "") + " …";
  else if (job.state === "failed") place.textContent = job.error;
  else {
    const label = document.createElement("b");
    label.textContent = job.prediction.label;
    place.replaceChildren("Prediction: ", label, ` (${(100 * job.prediction.score).toFixed(1)}\u00a0%${job.prediction.unsure ? ", unsure" : ""})`);
    if (job.target.counterfactual) place.append(`; against “${job.target.label}”`);
    else if (job.target.index !== job.prediction.index) place.append(`; explained: “${job.target.label}”`);
  }
}

function forget(id) {
  results.get(id)?.element.remove();
  results.delete(id);
  saveIds(savedIds().filter(other => other !== id));
  $("none").hidden = results.size > 0;
}

async function remove(id) {
  try {
    const answer = await fetch(`api/jobs/${id}`, {method: "DELETE"});
    if (answer.ok || answer.status === 404) forget(id);
  } catch {
    $("unreachable").hidden = false;
  }
}

async function copy(id) {
  const button = results.get(id).element.querySelector(".copy");
  const address = new URL(`api/jobs/${id}/report.html`, location.href).href;
  try {
    await navigator.clipboard.writeText(address);
    button.textContent = "Copied";
  } catch {
    prompt("The address of this result:", address);
  }
}

let polling = false;
async function poll() {
  if (polling) return;
  polling = true;
  for (;;) {
    const active = [...results.values()].filter(({job}) => job.state === "queued" || job.state === "running");
    if (!active.length) break;
    for (const {job} of active) await refresh(job.id);
    await new Promise(wake => setTimeout(wake, POLL_MS));
  }
  polling = false;
}

async function refresh(id) {
  try {
    const job = await get(`api/jobs/${id}`);
    $("unreachable").hidden = true;
    if (savedIds().includes(id)) show(job);
  } catch (error) {
    if (error.status === 404) forget(id);
    else $("unreachable").hidden = false;
  }
}
