/* picture.js: the frame: canvas (painter.js by WebGL2, or canvas2d.js without it), drawn when something has changed, and the drawing above it: the
 * chosen place, the path, the lasso. Listeners of "moved" follow the view. */

const THEME = ["sea", "land", "coast", "chimera", "rule", "never"];

class Picture {
  constructor(xy, ground) {
    this.frame = byId("frame");
    this.canvas = byId("canvas");
    this.over = byId("over");
    this.xy = xy;
    this.view = new View(xy);
    this.grid = new CellGrid(xy, this.view);
    this.withGround = true;
    this.moved = [];
    this.readTheme();
    const gl = this.canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    const mixed = shuffled(xy.length / 2);
    root.dataset.drawn = gl ? "webgl2" : "canvas2d";
    this.painter = gl ? new Painter(gl, xy, mixed, ground) : new Canvas2D(this.canvas, xy, mixed, ground);
    if (gl) this.holdGl();
    new ResizeObserver(() => this.resize()).observe(this.frame);
    this.resize();
  }

  /* A graphics card may be taken away for a while. */
  holdGl() {
    this.canvas.addEventListener("webglcontextlost", (e) => e.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.painter.open();
      this.changed();
    });
  }

  /* The colours of the page as it is now, light or dark. */
  readTheme() {
    const style = getComputedStyle(root);
    this.theme = Object.fromEntries(THEME.map((name) => [name, rgb(style.getPropertyValue("--" + name).trim())]));
    this.dark = style.getPropertyValue("--is-dark").trim() === "1";
  }

  resize() {
    const { width, height } = this.frame.getBoundingClientRect();
    this.ratio = Math.min(2, devicePixelRatio || 1);
    const [wide, high] = [width, height].map((side) => Math.max(1, Math.round(side * this.ratio)));
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });      /* which empties it */
    this.over.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.view.resize(width, height);
    this.drawNow();
  }

  color(paint, order) {
    this.painter.color(paint, order);
    this.colored = true;
    this.changed();
  }

  /* Draws before the next frame is shown. */
  changed() {
    if (!this.waiting) this.waiting = requestAnimationFrame((now) => this.drawNow(now));
  }

  drawNow(now = performance.now(), all = false) {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    if (!this.colored) return;
    const { view, ratio, theme, withGround } = this;
    if (this.painter.draw({ view, ratio, theme, withGround }, now, all)) this.changed();
    for (const f of this.moved) f();
  }

  /* A plain copy of the canvas: what WebGL has drawn comes too late for a page that is being printed. */
  copyForPaper() {
    const paper = byId("paper");
    this.drawNow(performance.now(), true);
    Object.assign(paper, { width: this.canvas.width, height: this.canvas.height });
    paper.getContext("2d").drawImage(this.canvas, 0, 0);
  }

  cellAt(px, py) { return this.grid.nearest(...this.view.toMap(px, py), 9 / this.view.scale); }

  /* Puts the view's middle there if it is out of sight. */
  show(x, y) {
    const [px, py] = this.view.toScreen(x, y);
    if (px < 20 || py < 20 || px > this.view.width - 20 || py > this.view.height - 20) this.view.goTo(x, y);
    this.changed();
  }
}
