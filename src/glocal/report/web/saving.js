// Saving the view as a picture and a table.

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function savePicture(canvas, name) {
  canvas.toBlob(blob => save(blob, name), "image/png");
}

// One line a frame: number, seconds, relevance in [0, 1], box in pixels of the frame, half-open, and its score.
function saveTable(times, relevance, boxes, name) {
  const lines = times.map((time, i) => {
    const box = boxes[i] ? [...boxes[i].slice(0, 4), +boxes[i][4].toFixed(6)] : ["", "", "", "", ""];
    return [i, time, relevance[i], ...box].join(",");
  });
  save(new Blob([["frame,time,relevance,x0,y0,x1,y1,score", ...lines, ""].join("\n")], { type: "text/csv" }), name);
}
