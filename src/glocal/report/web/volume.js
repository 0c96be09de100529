// The maps of one explanation: of a layer or of all layers combined, weighted and smoothed.

class ExplanationMaps {
  constructor(facts, cuts, temporal) {
    Object.assign(this, { facts, cuts, temporal, unpacked: new Map() });
  }

  // The maps of a layer, or of all of them as they were combined ("").
  maps(layer) {
    if (!this.unpacked.has(layer)) {
      this.unpacked.set(layer, unpackMaps(layer ? this.facts.layers[layer] : this.facts.maps));
    }
    return this.unpacked.get(layer);
  }

  // The maps of a view: { rows, columns, at(frame) }, divided by the maximum over all frames.
  async source({ layer, aggregate, weigh, smoothing }) {
    const names = Object.keys(this.facts.layers);
    const again = !layer && aggregate !== this.facts.aggregate && names.length > 1;
    const parts = await Promise.all(again ? names.map(name => this.maps(name)) : [this.maps(layer)]);
    const plain = again ? combined(parts, aggregate) : single(parts[0]);
    return smoothed(normalised(plain, this.weights(weigh)), smoothing, this.cuts);
  }

  // M_t, or its inverse: the maps of an ST-ABN are M_t · M_s already.
  weights(weigh) {
    if (!this.temporal || weigh === this.weighted) return null;
    return weigh ? this.temporal : this.temporal.map(weight => weight > 0 ? 1 / weight : 0);
  }

  get weighted() { return this.facts.method === "st-abn"; }

  // Whether the boxes stored with the explanation hold for this view.
  isSaved({ layer, aggregate, smoothing }) {
    return !layer && aggregate === this.facts.aggregate && !smoothing;
  }
}

function single(maps) {
  const { rows, columns, frames } = maps;
  return { rows, columns, frames, at: frame => mapAt(maps, frame), peak: frame => maps.peaks[frame] };
}

// Layers combined on the finest of their grids.
function combined(parts, aggregate) {
  const { frames } = parts[0];
  const rows = Math.max(...parts.map(part => part.rows)), columns = Math.max(...parts.map(part => part.columns));
  const whole = { resized: [rows, columns], crop: [0, 0, rows, columns] };
  const enlarge = parts.map(part => {
    if (part.rows === rows && part.columns === columns) return map => map;
    const upsampler = new Upsampler(whole, part.rows, part.columns, rows, columns);
    return map => upsampler.run(map);
  });
  const at = frame => {
    const total = Float32Array.from(enlarge[0](mapAt(parts[0], frame)));
    for (let k = 1; k < parts.length; k++) {
      const map = enlarge[k](mapAt(parts[k], frame));
      if (aggregate === "max") for (let i = 0; i < map.length; i++) total[i] = Math.max(total[i], map[i]);
      else for (let i = 0; i < map.length; i++) total[i] += map[i];
    }
    if (aggregate === "mean") for (let i = 0; i < total.length; i++) total[i] /= parts.length;
    return total;
  };
  return { rows, columns, frames, at, peak: frame => at(frame).reduce((a, b) => Math.max(a, b), 0) };
}

function normalised(source, weights) {
  let highest = 0;
  for (let t = 0; t < source.frames; t++) highest = Math.max(highest, source.peak(t) * (weights ? weights[t] : 1));
  const at = frame => {
    const map = source.at(frame), scale = (weights ? weights[frame] : 1) / (highest || 1);
    for (let i = 0; i < map.length; i++) map[i] *= scale;
    return map;
  };
  return { ...source, at };
}

// Gaussian means over `sigma` frames and `sigma` cells of the map, which end at scene cuts.
function smoothed(source, sigma, cuts) {
  if (!sigma) return source;
  const { rows, columns, frames } = source;
  const reach = Math.ceil(2 * sigma), bell = k => Math.exp(-k * k / (2 * sigma * sigma));
  const at = frame => {
    const from = Math.max(0, ...cuts.filter(cut => cut <= frame));
    const to = Math.min(frames, ...cuts.filter(cut => cut > frame));
    const total = new Float32Array(rows * columns);
    let shares = 0;
    for (let t = Math.max(from, frame - reach); t < Math.min(to, frame + reach + 1); t++) {
      const map = source.at(t), share = bell(t - frame);
      for (let i = 0; i < total.length; i++) total[i] += share * map[i];
      shares += share;
    }
    for (let i = 0; i < total.length; i++) total[i] /= shares;
    return blurred(blurred(total, rows, columns, 1, columns, reach, bell), columns, rows, columns, 1, reach, bell);
  };
  return { ...source, at };
}

// `lines` lines of `length` cells, `step` apart from cell to cell and `jump` from line to line.
function blurred(map, lines, length, step, jump, reach, bell) {
  const out = new Float32Array(map.length), weights = [];
  for (let k = -reach; k <= reach; k++) weights.push(bell(k));
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < length; i++) {
      let total = 0, shares = 0;
      for (let k = Math.max(-reach, -i); k <= Math.min(reach, length - 1 - i); k++) {
        total += weights[k + reach] * map[line * jump + (i + k) * step];
        shares += weights[k + reach];
      }
      out[line * jump + i * step] = total / shares;
    }
  }
  return out;
}
