/* coast.js: outlines of the islands on the map: lines of equal density of cells.
 * Cells are counted on a grid, blurred (three box blurs come near a Gaussian), and followed by marching squares. */
"use strict";

const GRID = 150;             /* squares on a side */
const BLUR = 2;               /* squares to each side, three times */

/* One box blur along rows or columns of a [GRID, GRID] grid. */
function boxBlur(from, stepAlong, stepAcross) {
  const to = new Float32Array(from.length);
  for (let line = 0; line < GRID; line++) {
    let sum = 0;
    for (let i = -BLUR; i < GRID; i++) {
      if (i + BLUR < GRID) sum += from[line * stepAcross + (i + BLUR) * stepAlong];
      if (i - BLUR - 1 >= 0) sum -= from[line * stepAcross + (i - BLUR - 1) * stepAlong];
      if (i >= 0) to[line * stepAcross + i * stepAlong] = Math.max(0, sum);
    }
  }
  return to;
}

/* The edges that a line crosses in a square, by which of its corners are inside (1 left top, 2 right top, 4 right bottom,
 * 8 left bottom); edges are 0 top, 1 right, 2 bottom, 3 left; inside is on the left hand from first to second. */
const CROSSINGS = [[], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 2], [1, 0]], [[0, 2]], [[3, 2]], [[2, 3]], [[2, 0]],
  [[0, 3], [2, 1]], [[2, 1]], [[1, 3]], [[1, 0]], [[0, 3]], []];

/* Closed lines around where grid > level, each a list of [x, y] in squares of the grid. */
function contours(grid, level) {
  const next = new Map();     /* from one crossed edge to the one that follows it */
  const value = (i, j) => (i >= 0 && j >= 0 && i < GRID && j < GRID ? grid[j * GRID + i] : 0);
  const edgeKey = (i, j, edge) => (edge === 1 ? (j * 1024 + i + 1) * 2 + 1 : edge === 2 ? ((j + 1) * 1024 + i) * 2 : (j * 1024 + i) * 2 + (edge === 3 ? 1 : 0));
  for (let j = -1; j < GRID; j++) {
    for (let i = -1; i < GRID; i++) {
      const inside = (value(i, j) > level) + 2 * (value(i + 1, j) > level) + 4 * (value(i + 1, j + 1) > level) + 8 * (value(i, j + 1) > level);
      for (const [a, b] of CROSSINGS[inside]) next.set(edgeKey(i + 1, j + 1, a), edgeKey(i + 1, j + 1, b));
    }
  }
  const place = (key) => {
    const upright = key % 2;
    const [i, j] = [((key >> 1) % 1024) - 1, (key >> 11) - 1];
    const [a, b] = [value(i, j), upright ? value(i, j + 1) : value(i + 1, j)];
    const t = (level - a) / (b - a);
    return upright ? [i + 0.5, j + t + 0.5] : [i + t + 0.5, j + 0.5];
  };
  const lines = [];
  for (const start of next.keys()) {
    const line = [];
    for (let key = start; next.has(key);) {
      line.push(place(key));
      const follow = next.get(key);
      next.delete(key);
      key = follow;
    }
    if (line.length > 2) lines.push(line);
  }
  return lines;
}

/* A smooth closed path through the middles between the points. */
function smoothPath(path, line, size) {
  const mid = (k) => {
    const [a, b] = [line[k % line.length], line[(k + 1) % line.length]];
    return [((a[0] + b[0]) / 2) * size, ((a[1] + b[1]) / 2) * size];
  };
  path.moveTo(...mid(0));
  for (let k = 1; k <= line.length; k++) {
    const p = line[k % line.length];
    path.quadraticCurveTo(p[0] * size, p[1] * size, ...mid(k));
  }
  path.closePath();
}

/* Paths from the shore outwards, in the units of x and y, which lie in 0..extent. */
function coastPaths(x, y, extent) {
  if (!x.length) return [];
  const size = extent / GRID;
  let grid = new Float32Array(GRID * GRID);
  const square = (k) => Math.min(GRID - 1, Math.floor(y[k] / size)) * GRID + Math.min(GRID - 1, Math.floor(x[k] / size));
  for (let k = 0; k < x.length; k++) grid[square(k)]++;
  for (let pass = 0; pass < 3; pass++) grid = boxBlur(boxBlur(grid, 1, GRID), GRID, 1);
  const here = Float32Array.from(x, (_, k) => grid[square(k)]).sort();
  const shore = 0.35 * quantile(here, 0.06);
  return [1, 0.3, 0.06].map((part) => {
    const path = new Path2D();
    for (const line of contours(grid, shore * part)) smoothPath(path, line, size);
    return path;
  });
}
