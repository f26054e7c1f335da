/* cellgrid.js: which cell is near a point of the picture. Cells are sorted into squares, a few to each. */

class CellGrid {
  constructor(xy, view) {
    const n = xy.length / 2;
    this.xy = xy;
    this.side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(n / 4))));
    this.x0 = view.x[0];
    this.y0 = view.y[0];
    this.step = Math.max(view.x[1] - view.x[0], view.y[1] - view.y[0], 1e-9) / this.side * 1.0001;
    const square = new Uint32Array(n);
    this.first = new Uint32Array(this.side * this.side + 1);
    for (let i = 0; i < n; i++) {
      square[i] = this.row(xy[2 * i + 1]) * this.side + this.column(xy[2 * i]);
      this.first[square[i] + 1]++;
    }
    for (let k = 1; k < this.first.length; k++) this.first[k] += this.first[k - 1];
    const next = this.first.slice();
    this.cell = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.cell[next[square[i]]++] = i;
  }

  inside(k) { return Math.max(0, Math.min(this.side - 1, k)); }
  column(x) { return this.inside(Math.floor((x - this.x0) / this.step)); }
  row(y) { return this.inside(Math.floor((y - this.y0) / this.step)); }

  /* Calls f(cell) for the cells of squares that meet a rectangle. */
  each(x0, y0, x1, y1, f) {
    for (let r = this.row(y0); r <= this.row(y1); r++)
      for (let c = this.column(x0); c <= this.column(x1); c++)
        for (let k = this.first[r * this.side + c]; k < this.first[r * this.side + c + 1]; k++) f(this.cell[k]);
  }

  /* The nearest cell within `reach`, or -1. */
  nearest(x, y, reach) {
    let [best, least] = [-1, reach * reach];
    this.each(x - reach, y - reach, x + reach, y + reach, (i) => {
      const d = (this.xy[2 * i] - x) ** 2 + (this.xy[2 * i + 1] - y) ** 2;
      if (d <= least) [best, least] = [i, d];
    });
    return best;
  }

  /* The cells inside a polygon [[x, y], ...]. */
  within(polygon) {
    const [xs, ys] = [polygon.map((p) => p[0]), polygon.map((p) => p[1])];
    const found = [];
    this.each(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (i) => {
      if (inPolygon(polygon, this.xy[2 * i], this.xy[2 * i + 1])) found.push(i);
    });
    return Uint32Array.from(found).sort();
  }
}

/* A ray to the right crosses the outline an odd number of times. */
function inPolygon(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [[ax, ay], [bx, by]] = [polygon[i], polygon[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
