/* painter.js: the picture by WebGL2. While the view moves, a frame is the last finished picture where it now lies, and over it as many
 * cells, drawn at random, as the budget has time for. Where there is time for none, the page moves the canvas as it is. At rest all are
 * drawn, piece by piece, and shown when the last one is there.
 * Where everything fits into a frame, everything is always drawn. */

const REST = 120;             /* ms without a move */
const GROUND_WORK = 80000;    /* cells that take as long as land and sea do: so in software, which is where it matters */
const PIECES = 8;             /* at rest nobody waits for the next frame: it may have this many times the work, */
const LEAST_PIECE = 32000;    /* and this many cells at least */
const NEAR = 0.5;             /* of the frame: a canvas that covers less of it is drawn anew */

const sameView = (a, b) => ["cx", "cy", "scale", "width", "height"].every((key) => a[key] === b[key]);
const sameLook = (a, b) => ["ratio", "theme", "withGround"].every((key) => a[key] === b[key]);

class Painter {
  /* mixed: the cells in random order. */
  constructor(gl, xy, mixed, ground) {
    Object.assign(this, { gl, xy, mixed, ground, n: mixed.length, moved: -REST, leastPiece: LEAST_PIECE });
    this.budget = new FrameBudget(this.n + GROUND_WORK);
    this.open();
  }

  /* Everything that the graphics card holds: made again when it has lost it. */
  open() {
    const { gl } = this;
    Object.assign(this, { sea: new Sea(gl, this.ground), points: new Points(gl, this.xy, this.mixed), kept: new Kept(gl), next: new Kept(gl), scene: null });
    if (this.colors) this.color(...this.colors);
  }

  color(paint, order) {
    this.colors = [paint, order];
    this.points.color(paint, order);
    Object.assign(this, { scene: null, finished: false });
  }

  /* One frame of a scene {view, ratio, theme, withGround} at the time `now`; all: whatever it takes. Returns whether there is more to draw. */
  draw(scene, now, all) {
    if (this.gl.isContextLost()) return false;
    const fresh = !this.scene || !sameLook(scene, this.scene);
    const moves = !fresh && !sameView(scene.view, this.scene.view);
    if (this.timed) this.budget.took(now - this.since);
    Object.assign(this, { scene: { ...scene, view: { ...scene.view } }, since: now, timed: moves });
    if (fresh) this.kept.view = null;
    if (moves) this.moved = now;
    if (fresh || moves) Object.assign(this, { drawn: 0, finished: false });
    if (all) while (!this.finished) this.drawPiece(scene);
    else if (moves && this.budget.none() && this.covers(scene.view) >= NEAR) this.slide(scene.view);
    else if (moves || (fresh && this.piece() < this.n)) this.drawSome(scene);
    else if (!this.finished && now - this.moved >= REST && this.pieceIsDrawn()) this.drawPiece(scene);
    return !this.finished;
  }

  piece() { return Math.max(this.leastPiece, PIECES * this.budget.work); }

  /* Where the canvas as it is drawn lies in another view: left, top in pixels, and how much larger. */
  lies(view) {
    const from = this.canvasView;
    const factor = view.scale / from.scale;
    const [x, y] = [view.width / 2 + (from.cx - view.cx) * view.scale, view.height / 2 - (from.cy - view.cy) * view.scale];
    return [x - (factor * from.width) / 2, y - (factor * from.height) / 2, factor];
  }

  /* The share of the frame that it then covers; 0 if it would be a blur or a speck. */
  covers(view) {
    const from = this.canvasView;
    if (!from || from.width !== view.width || from.height !== view.height) return 0;
    const [left, top, factor] = this.lies(view);
    const side = (start, length) => Math.max(0, Math.min(length, start + factor * length) - Math.max(0, start)) / length;
    return factor > 2 || factor < 0.5 ? 0 : side(left, view.width) * side(top, view.height);
  }

  slide(view) {
    const [left, top, factor] = this.lies(view);
    this.gl.canvas.style.transform = `translate(${left}px, ${top}px) scale(${factor})`;
  }

  /* The canvas has been drawn for this view. */
  settle(view) {
    this.canvasView = { ...view };
    this.gl.canvas.style.transform = "";
  }

  drawSome(scene) {
    const whole = this.budget.whole();
    this.shown = whole ? this.n : Math.min(this.n, this.budget.work);
    this.clear(scene);
    if (whole || !this.kept.view) this.drawGround(scene);
    else this.kept.draw(this.kept.view, scene.view);
    this.points.draw(scene, scene.view.pointSize(this.n), 0, this.shown, whole);
    this.settle(scene.view);
  }

  drawPiece(scene) {
    const [from, to] = [this.drawn, Math.min(this.n, this.drawn + this.piece())];
    this.next.begin();
    if (from === 0) {
      this.clear(scene);
      this.drawGround(scene);
    }
    this.points.draw(scene, scene.view.pointSize(this.n), from, to, true);
    this.next.end();
    this.drawn = to;
    if (to === this.n) return this.finish(scene);
    this.fence = this.gl.fenceSync(this.gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    this.gl.flush();
  }

  /* Commands wait in a queue: pieces that still wait there would hold up the first frame of a move. */
  pieceIsDrawn() {
    const { gl } = this;
    if (!this.fence || this.drawn === 0) return true;
    return gl.getSyncParameter(this.fence, gl.SYNC_STATUS) === gl.SIGNALED;
  }

  finish(scene) {
    [this.kept, this.next] = [this.next, this.kept];
    this.kept.view = { ...scene.view };
    this.kept.draw(scene.view, scene.view);
    this.settle(scene.view);
    Object.assign(this, { shown: this.n, finished: true });
  }

  clear({ theme, withGround }) {
    const { gl } = this;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(...(withGround ? theme.sea : theme.land).map((v) => v / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  drawGround({ view, ratio, theme, withGround }) {
    if (withGround) this.sea.draw(view, ratio, theme);
  }
}
