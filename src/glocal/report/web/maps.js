// Attribution maps on the grid of the model's clip, and their upsampling to the frame's pixels.

async function unpackMaps(packed) {
  const [frames, rows, columns] = packed.shape;
  const steps = await inflate(fromBase64(packed.data));
  undoPrediction(steps, rows, columns);
  return { frames, rows, columns, levels: packed.levels, peaks: packed.peaks, steps };
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Each level is stored as its difference from left + above - above left, modulo 256.
function undoPrediction(steps, rows, columns) {
  for (let row = 0; row < steps.length; row += columns) {
    for (let x = 1; x < columns; x++) steps[row + x] += steps[row + x - 1];
    if (row % (rows * columns)) for (let x = 0; x < columns; x++) steps[row + x] += steps[row + x - columns];
  }
}

// The attribution map of a frame, rows × columns.
function mapAt(maps, frame, into) {
  const cells = maps.rows * maps.columns, start = frame * cells, scale = maps.peaks[frame] / maps.levels;
  const map = into ?? new Float32Array(cells);
  for (let i = 0; i < cells; i++) map[i] = maps.steps[start + i] * scale;
  return map;
}

// The weights of a crop's cells in each of `pixels` pixels along one axis; as Geometry.backward has them.
function axisWeights(pixels, resized, start, length, cells) {
  const low = new Int32Array(pixels), first = new Float32Array(pixels), second = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const position = (i + 0.5) * resized / pixels - start;
    if (position < 0 || position > length) continue;
    const cell = Math.min(Math.max(position * cells / length - 0.5, 0), cells - 1);
    low[i] = Math.min(Math.floor(cell), Math.max(cells - 2, 0));
    first[i] = 1 - (cell - low[i]);
    second[i] = cell - low[i];
  }
  return { low, first, second, step: cells > 1 ? 1 : 0 };
}

// A map spread over height × width pixels: linear, with half-pixel centres, zero outside of the crop.
class Upsampler {
  constructor(geometry, rows, columns, height, width) {
    const [top, left, cropHeight, cropWidth] = geometry.crop;
    this.rows = rows; this.columns = columns; this.height = height; this.width = width;
    this.down = axisWeights(height, geometry.resized[0], top, cropHeight, rows);
    this.across = axisWeights(width, geometry.resized[1], left, cropWidth, columns);
    this.wide = new Float32Array(rows * width);
    this.out = new Float32Array(height * width);
  }

  run(map) {
    const { rows, columns, height, width, wide, out, down, across } = this;
    for (let y = 0; y < rows; y++) {
      for (let x = 0, row = y * columns, to = y * width; x < width; x++, to++) {
        const at = row + across.low[x];
        wide[to] = map[at] * across.first[x] + map[at + across.step] * across.second[x];
      }
    }
    for (let y = 0; y < height; y++) {
      const above = down.low[y] * width, below = above + down.step * width;
      const first = down.first[y], second = down.second[y];
      for (let x = 0, to = y * width; x < width; x++, to++) {
        out[to] = wide[above + x] * first + wide[below + x] * second;
      }
    }
    return out;
  }
}
