/* ground.js: the raster of map.json made ready to draw: density, masks of the classes, and how far out at sea a place is. */

const OPEN_SEA = 255;
const MARGIN = 24;            /* squares of open sea added all round, for the lines along the shore */

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

/* A raster [H, W] with a margin of one value. */
function padded(values, r, outside) {
  const out = new values.constructor((r.width + 2 * MARGIN) * (r.height + 2 * MARGIN)).fill(outside);
  for (let row = 0; row < r.height; row++) out.set(values.subarray(row * r.width, (row + 1) * r.width), (row + MARGIN) * (r.width + 2 * MARGIN) + MARGIN);
  return out;
}

/* fields [H, W, 4]: density, a blurred sea (0 inland .. 1 far out), and where decoders disagree; masks [H, W, 4]: classes 1, 2, 3, and sea with a smooth coast. */
async function readGround(source) {
  const r = source.map.raster;
  const [width, height] = [r.width + 2 * MARGIN, r.height + 2 * MARGIN];
  const [density, kind] = [padded(await source.array(r.density), r, 0), padded(await source.array(r.class), r, OPEN_SEA)];
  const uncertain = padded(await source.array(r.uncertain), r, 0);
  const [sideX, sideY] = [(r.x1 - r.x0) / r.width, (r.y1 - r.y0) / r.height];
  const box = [r.x0 - MARGIN * sideX, r.y0 - MARGIN * sideY, r.x1 + MARGIN * sideX, r.y1 + MARGIN * sideY];
  const n = width * height;
  const sea = Float32Array.from(kind, (k) => (k === OPEN_SEA ? 1 : 0));
  const [coast, far] = [blurred(sea, width, height, 1), blurred(sea, width, height, 5)];
  const fields = new Float32Array(4 * n);
  const masks = new Uint8Array(4 * n);
  for (let i = 0; i < n; i++) {
    fields[4 * i] = density[i];
    fields[4 * i + 1] = far[i];
    fields[4 * i + 2] = uncertain[i];
    if (kind[i] >= 1 && kind[i] <= 3) masks[4 * i + kind[i] - 1] = 255;
    masks[4 * i + 3] = 255 * coast[i];
  }
  return { width, height, box, fields, masks, kind, kinds: new Set(kind), unsure: uncertain.includes(1) };
}

/* Whether no cell is near a point of the picture. */
function atSea(ground, x, y) {
  const [x0, y0, x1, y1] = ground.box;
  const [column, row] = [Math.floor(((x - x0) / (x1 - x0)) * ground.width), Math.floor(((y - y0) / (y1 - y0)) * ground.height)];
  const inside = column >= 0 && row >= 0 && column < ground.width && row < ground.height;
  return !inside || ground.kind[row * ground.width + column] === OPEN_SEA;
}
