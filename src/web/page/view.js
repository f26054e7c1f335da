/* view.js: which part of the picture the frame shows. y points up. */

const MOST_ZOOM = 60;

class View {
  constructor(xy) {
    const [x, y] = [[Infinity, -Infinity], [Infinity, -Infinity]];
    for (let i = 0; i < xy.length; i += 2) {
      x[0] = Math.min(x[0], xy[i]);
      x[1] = Math.max(x[1], xy[i]);
      y[0] = Math.min(y[0], xy[i + 1]);
      y[1] = Math.max(y[1], xy[i + 1]);
    }
    Object.assign(this, { x, y, width: 1, height: 1 });
    this.fit();
  }

  /* All cells, with a margin. */
  fit() {
    this.whole = 0.86 * Math.min(this.width / (this.x[1] - this.x[0] || 1), this.height / (this.y[1] - this.y[0] || 1));
    this.scale = this.whole;        /* pixels a unit */
    this.cx = (this.x[0] + this.x[1]) / 2;
    this.cy = (this.y[0] + this.y[1]) / 2;
  }

  resize(width, height) {
    const zoom = this.scale / this.whole;
    const [cx, cy] = [this.cx, this.cy];
    Object.assign(this, { width, height });
    this.fit();
    if (zoom !== 1) Object.assign(this, { scale: this.whole * zoom, cx, cy });
  }

  zoom() { return this.scale / this.whole; }
  toScreen(x, y) { return [this.width / 2 + (x - this.cx) * this.scale, this.height / 2 - (y - this.cy) * this.scale]; }
  toMap(px, py) { return [this.cx + (px - this.width / 2) / this.scale, this.cy - (py - this.height / 2) / this.scale]; }

  pan(dx, dy) {
    const clamp = (v, [low, high]) => Math.max(low, Math.min(high, v));
    this.cx = clamp(this.cx - dx / this.scale, this.x);
    this.cy = clamp(this.cy + dy / this.scale, this.y);
  }

  /* The place under the pointer stays there. */
  zoomAt(px, py, factor) {
    const [x, y] = this.toMap(px, py);
    this.scale = Math.max(0.5 * this.whole, Math.min(MOST_ZOOM * this.whole, this.scale * factor));
    const [nx, ny] = this.toMap(px, py);
    this.cx += x - nx;
    this.cy += y - ny;
  }

  goTo(x, y) { Object.assign(this, { cx: x, cy: y }); }

  /* A cell's diameter in pixels: smaller when there are many, larger when near. */
  pointSize(n) {
    const far = n > 300000 ? 1.6 : n > 50000 ? 2.2 : n > 8000 ? 3.2 : 4.4;
    return Math.min(14, far * Math.sqrt(Math.max(1, this.zoom())));
  }
}
