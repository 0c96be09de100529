// The timeline: relevance of each class, segments, truth and scene cuts; it is clicked and dragged to seek.

const DASHES = ["", "7 4", "2 3", "9 3 2 3", "1 4"];

class Timeline {
  constructor(root, data, onSeek) {
    Object.assign(this, { root, data, onSeek });
    this.plot = root.querySelector(".plot");
    this.head = root.querySelector(".head");
    root.addEventListener("pointerdown", event => { root.setPointerCapture(event.pointerId); this.point(event); });
    root.addEventListener("pointermove", event => { if (event.buttons) this.point(event); });
    root.addEventListener("pointerup", event => this.point(event));
  }

  point(event) {
    const area = this.plot.getBoundingClientRect();
    const time = (event.clientX - area.left) / area.width * this.data.end;
    let frame = 0;
    while (frame + 1 < this.data.times.length && this.data.times[frame + 1] <= time) frame++;
    this.onSeek(frame);
  }

  // The curve of the shown explanation, and thinner those of the other classes by the same method.
  draw(shown, others) {
    const svg = element("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
    const line = this.curve(shown.relevance);
    svg.append(element("path", { class: "area", d: `${line} L1000,100 L0,100 Z` }));
    others.forEach((facts, i) => svg.append(element("path", {
      class: "other", d: this.curve(facts.relevance), "stroke-dasharray": DASHES[1 + i % (DASHES.length - 1)] })));
    svg.append(element("path", { class: "shown", d: line }));
    for (const cut of this.data.cuts) {
      const x = this.x(this.data.times[cut]);
      svg.append(element("line", { class: "cut", x1: x, x2: x, y1: 0, y2: 100 }));
    }
    this.plot.replaceChildren(svg);
    this.bar("segments", shown.segments.map(([start, end]) => ({ start, end })));
    this.bar("answers", this.data.answers);
    this.bar("truth", this.data.spans);
    this.ramp("temporal", this.data.temporal);
  }

  curve(relevance) {
    const { times, end } = this.data;
    const points = relevance.map((value, i) => `${this.x((times[i] + (times[i + 1] ?? end)) / 2)},${99 - 97 * value}`);
    return `M0,${99 - 97 * relevance[0]} L${points.join(" L")} L1000,${99 - 97 * relevance[relevance.length - 1]}`;
  }

  x(time) { return +(1000 * time / this.data.end).toFixed(2); }

  row(name, filled) {
    const row = this.root.querySelector(`[data-row=${name}]`);
    row.hidden = !filled;
    return row.querySelector(".bar");
  }

  bar(name, spans) {
    const bar = this.row(name, spans.length > 0);
    bar.replaceChildren(...spans.map(({ start, end, label }) => {
      const span = document.createElement("span");
      span.style.left = `${this.x(start) / 10}%`;
      span.style.width = `${this.x(Math.min(end, this.data.end) - start) / 10}%`;
      span.textContent = label ?? "";
      span.title = `${label ? `${label}: ` : ""}${start.toFixed(2)} – ${end.toFixed(2)} s`;
      return span;
    }));
  }

  ramp(name, values) {
    const bar = this.row(name, Boolean(values));
    if (!values) return;
    const { times, end } = this.data, highest = Math.max(...values) || 1;
    const svg = element("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    values.forEach((value, i) => svg.append(element("rect", {
      x: this.x(times[i]), width: this.x((times[i + 1] ?? end) - times[i]) + 0.5, y: 0, height: 10,
      "fill-opacity": (0.06 + 0.94 * value / highest).toFixed(3) })));
    bar.replaceChildren(svg);
  }

  move(frame, words) {
    const { times, end } = this.data, middle = (times[frame] + (times[frame + 1] ?? end)) / 2;
    this.head.style.left = `${this.x(middle) / 10}%`;
    this.root.setAttribute("aria-valuenow", frame);
    this.root.setAttribute("aria-valuetext", words);
  }
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
