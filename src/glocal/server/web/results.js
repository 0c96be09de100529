"use strict"; // the results of this browser: their list, progress and removal

const KEPT = "glocal-results";
const POLL_MS = 700;
const $ = id => document.getElementById(id);
const shown = new Map(); // id → {element, job}

const kept = () => { try { return JSON.parse(localStorage.getItem(KEPT)) || []; } catch { return []; } };
const keep = ids => { try { localStorage.setItem(KEPT, JSON.stringify(ids)); } catch { /* private windows */ } };

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), {status: answer.status});
  return answer.json();
}

function show(job) {
  let entry = shown.get(job.id);
  if (!entry) {
    const element = $("result").content.firstElementChild.cloneNode(true);
    element.dataset.id = job.id;
    element.querySelector(".remove").onclick = () => remove(job.id);
    element.querySelector(".copy").onclick = () => copy(job.id);
    entry = {element, job};
    shown.set(job.id, entry);
    const after = [...shown.values()].filter(e => e.job.created < job.created).sort((a, b) => b.job.created - a.job.created)[0];
    $("results").insertBefore(element, after ? after.element : null);
    $("none").hidden = true;
  }
  entry.job = job;
  const {element} = entry, find = selector => element.querySelector(selector);
  const base = `api/jobs/${job.id}`, done = job.state === "done", active = job.state === "queued" || job.state === "running";
  element.className = `result ${job.state}`;
  find("h3").textContent = job.name;
  state(find(".state"), job);
  const bar = find("progress");
  bar.hidden = !active;
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (job.total) bar.value = job.done / job.total;
  else bar.removeAttribute("value");
  const asked = new Date(1000 * job.created).toLocaleString([], {dateStyle: "medium", timeStyle: "short"});
  find(".asked").textContent = `${job.model} · ${job.method} · ${asked}`;
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

function state(place, job) {
  if (job.state === "queued") place.textContent = job.ahead ? `Waiting, ${job.ahead} before it` : "Waiting, next in line";
  else if (job.state === "running") place.textContent = (job.stage || "Starting") + (job.total > 1 ? `, ${job.done} of ${job.total} windows` : "") + " …";
  else if (job.state === "failed") place.textContent = job.error;
  else {
    const label = document.createElement("b");
    label.textContent = job.prediction.label;
    place.replaceChildren("The model sees ", label, ` (${(100 * job.prediction.score).toFixed(1)}\u00a0%)`);
    if (job.target.counterfactual) place.append(`; against “${job.target.label}”`);
    else if (job.target.index !== job.prediction.index) place.append(`; asked about “${job.target.label}”`);
  }
}

function drop(id) {
  shown.get(id)?.element.remove();
  shown.delete(id);
  keep(kept().filter(other => other !== id));
  $("none").hidden = shown.size > 0;
}

async function remove(id) {
  try {
    const answer = await fetch(`api/jobs/${id}`, {method: "DELETE"});
    if (answer.ok || answer.status === 404) drop(id);
  } catch {
    $("unreachable").hidden = false;
  }
}

async function copy(id) {
  const button = shown.get(id).element.querySelector(".copy");
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
    const active = [...shown.values()].filter(({job}) => job.state === "queued" || job.state === "running");
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
    if (kept().includes(id)) show(job);
  } catch (error) {
    if (error.status === 404) drop(id);
    else $("unreachable").hidden = false;
  }
}
