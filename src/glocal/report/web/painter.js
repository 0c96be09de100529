// Draws a frame with its attribution and boxes on the canvas at once, so that they always belong together.

const BOX = "#40f0ff", TRUTH = "#ffffff";

// What the attribution of a frame is multiplied by, so that its highest colour stands for a power of its maximum.
function frameGain(attribution, exponent) {
  let peak = 0;
  for (let i = 0; i < attribution.length; i++) if (attribution[i] > peak) peak = attribution[i];
  return peak > 0 ? peak ** (exponent - 1) : 1;
}

class Painter {
  constructor(canvas, size, geometry, colormaps) {
    const [width, height] = size, scale = Math.min(1, 960 / width), enlarged = Math.max(scale, Math.round(640 / width));
    Object.assign(this, { canvas, geometry, colormaps, frameSize: size, tables: new Map(), upsamplers: new Map() });
    this.width = Math.round(width * enlarged);
    this.height = Math.round(height * enlarged);
    this.layer = document.createElement("canvas");
    this.layer.width = Math.round(width * scale);
    this.layer.height = Math.round(height * scale);
    this.pixels = new ImageData(this.layer.width, this.layer.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
  }

  // For each attribution level, its colour and opacity.
  table(name, strength) {
    const key = `${name} ${strength}`;
    if (!this.tables.has(key)) {
      const colours = this.colormaps[name], bytes = new Uint8ClampedArray(4 * 256);
      for (let level = 0; level < 256; level++) {
        for (let c = 0; c < 3; c++) bytes[4 * level + c] = colours[3 * level + c];
        bytes[4 * level + 3] = strength * level;
      }
      this.tables.set(key, new Uint32Array(bytes.buffer));
    }
    return this.tables.get(key);
  }

  upsampler(source, height, width) {
    const key = `${source.rows} ${source.columns} ${height}`;
    if (!this.upsamplers.has(key)) {
      this.upsamplers.set(key, new Upsampler(this.geometry, source.rows, source.columns, height, width));
    }
    return this.upsamplers.get(key);
  }

  // The box of a map in pixels of the frame, or null.
  box(source, map, threshold) {
    const [width, height] = this.frameSize;
    return largestBox(this.upsampler(source, height, width).run(map), width, height, threshold);
  }

  paint(picture, source, map, box, truth, style) {
    const { canvas, width, height } = this, columns = style.sideBySide ? 2 : 1;
    if (canvas.width !== columns * width || canvas.height !== height) {
      canvas.width = columns * width;
      canvas.height = height;
      canvas.style.setProperty("--shape", columns * canvas.dataset.shape);
    }
    const context = canvas.getContext("2d", { alpha: false });
    if (!picture) context.clearRect(0, 0, canvas.width, height);
    for (let column = 0; picture && column < columns; column++) this.drawPicture(context, picture, column * width);
    const left = (columns - 1) * width;
    const { words, layer } = this, table = this.table(style.colormap, style.strength);
    const attribution = this.upsampler(source, layer.height, layer.width).run(map);
    const gain = 255 * frameGain(attribution, style.exponent);
    for (let i = 0; i < words.length; i++) {
      const level = attribution[i] * gain;
      words[i] = table[level > 255 ? 255 : level | 0];
    }
    layer.getContext("2d").putImageData(this.pixels, 0, 0);
    context.drawImage(layer, left, 0, width, height);
    for (const known of truth) this.outline(context, known, left, TRUTH, true);
    if (box) this.outline(context, box, left, BOX, false);
  }

  // A stored video has even sides: what was added to odd ones is left out.
  drawPicture(context, { image, width, height, added }, left) {
    context.drawImage(image, 0, 0, width * (1 - added[0]), height * (1 - added[1]), left, 0, this.width, this.height);
  }

  // A bright line between dark ones; dashed for the truth.
  outline(context, [x0, y0, x1, y1], left, colour, dashed) {
    const scaleX = this.width / this.frameSize[0], scaleY = this.height / this.frameSize[1];
    const line = Math.max(2, Math.min(this.width, this.height) / 160);
    for (const [style, width] of [["#000", 2 * line], [colour, line]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.setLineDash(dashed && style !== "#000" ? [5 * line, 3 * line] : []);
      context.strokeRect(
        left + x0 * scaleX + line, y0 * scaleY + line, (x1 - x0) * scaleX - 2 * line, (y1 - y0) * scaleY - 2 * line);
    }
  }
}
