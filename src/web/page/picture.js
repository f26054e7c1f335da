/* picture.js: the frame: canvas (WebGL2, or 2-D without it), drawn when something has changed, and the drawing above it: the
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
    root.dataset.drawn = gl ? "webgl2" : "canvas2d";
    if (gl) this.openGl(gl, ground);
    else this.flat = new Canvas2D(this.canvas, xy, ground);
    new ResizeObserver(() => this.resize()).observe(this.frame);
    this.resize();
  }

  openGl(gl, ground) {
    this.gl = gl;
    this.sea = new Sea(gl, ground);
    this.points = new Points(gl, this.xy);
    this.canvas.addEventListener("webglcontextlost", (e) => e.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.sea = new Sea(gl, ground);
      this.points = new Points(gl, this.xy);
      this.color(...this.colors);
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
    this.canvas.width = Math.max(1, Math.round(width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.ratio));
    this.over.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.view.resize(width, height);
    this.drawNow();
  }

  color(paint, order) {
    this.colors = [paint, order];
    (this.points || this.flat).color(paint, order);
    this.changed();
  }

  /* Draws before the next frame is shown. */
  changed() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    if (!this.colors) return;
    if (this.gl) this.drawGl();
    else this.flat.draw(this.view, this.ratio, this.theme, this.withGround);
    for (const f of this.moved) f();
  }

  drawGl() {
    const gl = this.gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...this.theme.land.map((v) => v / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (this.withGround) this.sea.draw(this.view, this.ratio, this.theme);
    this.points.draw(this.view, this.ratio);
  }

  /* A plain copy of the canvas: what WebGL has drawn comes too late for a page that is being printed. */
  copyForPaper() {
    const paper = byId("paper");
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
