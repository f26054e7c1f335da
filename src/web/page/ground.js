/* ground.js: the raster of map.json made ready to draw: density, masks of the classes, and how far out at sea a place is. */

const OPEN_SEA = 255;

/* One pass of a 1-D mean over 2 r + 1 squares, along rows or columns; beyond the edge is sea (1). */
function boxMean(from, width, height, r, along, across, lines, length) {
  const to = new Float32Array(from.length);
  const at = (line, i) => (i < 0 || i >= length ? 1 : from[line * across + i * along]);
  for (let line = 0; line < lines; line++) {
    let sum = 0;
    for (let i = -r; i < r; i++) sum += at(line, i);
    for (let i = 0; i < length; i++) {
      sum += at(line, i + r);
      to[line * across + i * along] = sum / (2 * r + 1);
      sum -= at(line, i - r);
    }
  }
  return to;
}

/* Three passes come near a Gaussian. */
function blurred(grid, width, height, r) {
  let g = grid;
  for (let pass = 0; pass < 3; pass++) {
    g = boxMean(g, width, height, r, 1, width, height, width);
    g = boxMean(g, width, height, r, width, 1, width, height);
  }
  return g;
}

/* fields [H, W, 2]: density, and a blurred sea (0 inland .. 1 far out); masks [H, W, 4]: classes 1, 2, 3, and sea with a smooth coast. */
async function readGround(source) {
  const r = source.map.raster;
  const [density, kind] = await Promise.all([source.array(r.density), source.array(r.class)]);
  const n = r.width * r.height;
  const sea = Float32Array.from(kind, (k) => (k === OPEN_SEA ? 1 : 0));
  const [coast, far] = [blurred(sea, r.width, r.height, 1), blurred(sea, r.width, r.height, 5)];
  const fields = new Float32Array(2 * n);
  const masks = new Uint8Array(4 * n);
  for (let i = 0; i < n; i++) {
    fields[2 * i] = density[i];
    fields[2 * i + 1] = far[i];
    if (kind[i] >= 1 && kind[i] <= 3) masks[4 * i + kind[i] - 1] = 255;
    masks[4 * i + 3] = 255 * coast[i];
  }
  return { width: r.width, height: r.height, box: [r.x0, r.y0, r.x1, r.y1], fields, masks, kinds: new Set(kind) };
}
