// The box around the largest region of a map, as glocal.localization.boxes finds it.

const AROUND = [[1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1], [0, 1], [1, 1]];

// [x0, y0, x1, y1, score], half-open, of the largest contour of map >= threshold * max; null for an empty map.
function largestBox(map, width, height, threshold) {
  let peak = 0;
  for (let i = 0; i < map.length; i++) if (map[i] > peak) peak = map[i];
  if (!(peak > 0)) return null;
  const level = Math.fround(threshold * peak);
  let best = null;
  for (const region of regions(map, width, height, level)) {
    const area = enclosedArea(map, width, height, level, region.x, region.y), { box } = region;
    const boxArea = (box[2] - box[0]) * (box[3] - box[1]);
    if (!best || area > best.area || (area === best.area && boxArea >= best.boxArea)) best = { area, boxArea, box };
  }
  const [x0, y0, x1, y1] = best.box;
  let score = 0;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) score = Math.max(score, map[y * width + x]);
  return [x0, y0, x1, y1, score];
}

// The 8-connected regions of map >= level: box, and first pixel in reading order; in that order.
function regions(map, width, height, level) {
  const parents = [], found = [];
  const root = i => { while (parents[i] !== i) i = parents[i] = parents[parents[i]]; return i; };
  let above = [];
  for (let y = 0; y < height; y++) {
    const runs = [], row = y * width;
    for (let x = 0, next = 0; x < width; x++) {
      if (!(map[row + x] >= level)) continue;
      const start = x;
      while (x + 1 < width && map[row + x + 1] >= level) x++;
      let number = -1;
      while (next < above.length && above[next].end < start - 1) next++;
      for (let i = next; i < above.length && above[i].start <= x + 1; i++) {
        const other = root(above[i].number);
        if (number < 0) number = other;
        else parents[Math.max(number, other)] = number = Math.min(number, other);
      }
      if (number < 0) {
        number = parents.length;
        parents.push(number);
      }
      found.push({ number, start, end: x, y });
      runs.push({ number, start, end: x });
    }
    above = runs;
  }
  const merged = new Map();
  for (const { number, start, end, y } of found) {
    const key = root(number), known = merged.get(key);
    if (!known) merged.set(key, { x: start, y, box: [start, y, end + 1, y + 1] });
    else {
      known.box[0] = Math.min(known.box[0], start);
      known.box[2] = Math.max(known.box[2], end + 1);
      known.box[3] = y + 1;
    }
  }
  return merged.values();
}

// Area of the polygon through the centres of the outer border's pixels (Suzuki and Abe, 1985), from the first one on.
function enclosedArea(map, width, height, level, startX, startY) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && map[y * width + x] >= level;
  let direction = 4, first = -1;
  do {
    direction = (direction + 7) % 8;
    if (inside(startX + AROUND[direction][0], startY + AROUND[direction][1])) { first = direction; break; }
  } while (direction !== 4);
  if (first < 0) return 0;
  const endX = startX + AROUND[first][0], endY = startY + AROUND[first][1];
  let x = startX, y = startY, twice = 0, from = first;
  for (;;) {
    let step = from;
    do step = (step + 1) % 8; while (!inside(x + AROUND[step][0], y + AROUND[step][1]));
    const nextX = x + AROUND[step][0], nextY = y + AROUND[step][1];
    twice += x * nextY - nextX * y;
    if (nextX === startX && nextY === startY && x === endX && y === endY) break;
    x = nextX; y = nextY; from = (step + 4) % 8;
  }
  return Math.abs(twice) / 2;
}
