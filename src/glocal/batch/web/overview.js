// The list of a batch's videos: filtered, ordered, and shown one page at a time.

const PAGE_SIZE = 60;
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const names = new Intl.Collator(undefined, { numeric: true });
const COLUMNS = { name: 0, class: 1, score: 2, time: 3, duration: 4, took: 5 };
const [PAGE, THUMBNAIL, UNSURE, ERROR] = [6, 7, 8, 1];
const view = { list: data.done.length ? "done" : "failed", search: "", label: "", order: "name", down: false, page: 1 };

function element(name, properties = {}, ...children) {
  const result = Object.assign(document.createElement(name), properties);
  result.append(...children);
  return result;
}

function clock(seconds) {
  const [whole, rest] = [Math.floor(seconds / 60), (seconds % 60).toFixed(1).padStart(4, "0")];
  if (whole < 60) return `${whole}:${rest}`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}:${rest}`;
}

// Rows of the list that is chosen, that fit the search and the class, in order.
function selected() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const label = view.list === "done" && view.label !== "" ? Number(view.label) : null;
  const rows = data[view.list].filter(row =>
    words.every(word => row[0].toLowerCase().includes(word)) && (label === null || row[1] === label));
  const column = view.list === "done" ? COLUMNS[view.order] : 0;
  const sign = view.down ? -1 : 1;
  const compared = {
    name: (a, b) => names.compare(a[0], b[0]),
    class: (a, b) => names.compare(data.labels[a[1]], data.labels[b[1]]),
  }[view.list === "done" ? view.order : "name"] ?? ((a, b) => (a[column] ?? -Infinity) - (b[column] ?? -Infinity));
  return rows.sort((a, b) => sign * compared(a, b) || names.compare(a[0], b[0]));
}

function card(row) {
  const [name, label, score, peak, duration] = row;
  const moment = peak === null ? row[PAGE] : `${row[PAGE]}#t=${+peak.toFixed(3)}`;
  const picture = element("a", { className: "thumb", href: moment, tabIndex: -1 });
  picture.setAttribute("aria-hidden", "true");
  if (row[THUMBNAIL]) {
    const image = element("img", { src: row[THUMBNAIL], alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.replaceWith("no picture"));
    picture.append(image);
  } else picture.append("no picture");
  const facts = element("div", { className: "facts" },
    element("a", { href: row[PAGE], className: "name" }, name),
    element("span", { className: "label" }, data.labels[label]));
  if (score !== null) {
    facts.append(element("span", { className: "score" },
      element("meter", { min: 0, max: 1, value: score, ariaLabel: "Probability" }), `${(100 * score).toFixed(1)} %${row[UNSURE] ? ", unsure" : ""}`));
  }
  if (peak !== null) {
    const length = duration === null ? "" : ` of ${clock(duration)}`;
    facts.append(element("span", { className: "soft" }, "strongest at ", element("a", { href: moment }, clock(peak)), length));
  }
  return element("li", {}, picture, facts);
}

function failure(row) {
  return element("li", {}, element("span", { className: "name" }, row[0]), element("p", { className: "error" }, row[ERROR]));
}

function show() {
  const rows = selected();
  const last = Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
  view.page = Math.min(Math.max(1, view.page), last);
  const start = (view.page - 1) * PAGE_SIZE;
  const visible = rows.slice(start, start + PAGE_SIZE);
  const list = byId("videos");
  list.className = view.list;
  list.replaceChildren(...visible.map(view.list === "done" ? card : failure));
  byId("state").textContent = rows.length
    ? `${start + 1} to ${start + visible.length} of ${rows.length.toLocaleString("en")}`
    : "No video fits.";
  byId("page").value = view.page;
  byId("page").max = last;
  byId("last-page").textContent = last;
  byId("first").disabled = byId("previous").disabled = view.page === 1;
  byId("next").disabled = byId("last").disabled = view.page === last;
  byId("pages").hidden = last === 1;
  byId("direction").textContent = view.down ? "↓" : "↑";
  byId("direction").ariaLabel = view.down ? "Descending" : "Ascending";
  for (const part of document.querySelectorAll(".of-done")) part.hidden = view.list !== "done";
  byId("order").disabled = view.list !== "done";
  remember();
}

// The address says what is shown, so that it can be passed on, and found again on the way back from a report.
function remember() {
  const parts = new URLSearchParams();
  if (view.list !== (data.done.length ? "done" : "failed")) parts.set("list", view.list);
  if (view.search) parts.set("search", view.search);
  if (view.label !== "") parts.set("class", data.labels[view.label]);
  if (view.order !== "name") parts.set("order", view.order);
  if (view.down) parts.set("down", "");
  if (view.page > 1) parts.set("page", view.page);
  history.replaceState(null, "", `#${parts}`);
}

function open() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (["done", "failed"].includes(asked.get("list"))) view.list = asked.get("list");
  view.search = asked.get("search") ?? "";
  const label = data.labels.indexOf(asked.get("class"));
  view.label = label < 0 ? "" : String(label);
  view.order = asked.get("order") in COLUMNS ? asked.get("order") : "name";
  view.down = asked.has("down");
  view.page = parseInt(asked.get("page"), 10) || 1;
  byId("search").value = view.search;
  byId("label").value = view.label;
  byId("order").value = view.order;
  for (const choice of document.querySelectorAll("[name=list]")) choice.checked = choice.value === view.list;
  show();
}

function change(changes) {
  Object.assign(view, { page: 1 }, changes);
  show();
}

function fillControls() {
  const counts = new Array(data.labels.length).fill(0);
  for (const row of data.done) counts[row[1]]++;
  const order = data.labels.map((_, index) => index).sort((a, b) => names.compare(data.labels[a], data.labels[b]));
  byId("label").append(element("option", { value: "" }, "all"),
    ...order.map(index => element("option", { value: index }, `${data.labels[index]} (${counts[index]})`)));
  byId("count-done").textContent = data.done.length.toLocaleString("en");
  byId("count-failed").textContent = data.failed.length.toLocaleString("en");
  byId("lists").hidden = !data.failed.length;
}

fillControls();
byId("controls").addEventListener("submit", event => event.preventDefault());
byId("search").addEventListener("input", event => change({ search: event.target.value }));
byId("label").addEventListener("change", event => change({ label: event.target.value }));
byId("order").addEventListener("change", event =>
  change({ order: event.target.value, down: ["score", "duration", "took"].includes(event.target.value) }));
byId("direction").addEventListener("click", () => change({ down: !view.down }));
for (const choice of document.querySelectorAll("[name=list]"))
  choice.addEventListener("change", () => change({ list: choice.value }));
const turn = page => { view.page = page; show(); byId("state").scrollIntoView({ block: "nearest" }); };
byId("first").addEventListener("click", () => turn(1));
byId("previous").addEventListener("click", () => turn(view.page - 1));
byId("next").addEventListener("click", () => turn(view.page + 1));
byId("last").addEventListener("click", () => turn(Infinity));
byId("page").addEventListener("change", event => turn(parseInt(event.target.value, 10) || 1));
window.addEventListener("hashchange", open);
open();
document.documentElement.dataset.ready = "";
