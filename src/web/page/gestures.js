/* gestures.js: pointers, wheel and keys over the map: drag moves, wheel and two fingers zoom, a click asks about a place,
 * shift-drag (or drag, while the lasso is on) draws round cells. */

const STILL = 5;              /* pixels that a click may wander */

class Gestures {
  /* does: {click(x, y), hover(cell, px, py), lasso(polygon), ask()} in the units of the picture. */
  constructor(picture, does) {
    Object.assign(this, { picture, does, pointers: new Map(), outline: null, lassoOn: false });
    const frame = picture.frame;
    frame.addEventListener("pointerdown", (e) => this.down(e));
    frame.addEventListener("pointermove", (e) => this.move(e));
    frame.addEventListener("pointerup", (e) => this.up(e));
    frame.addEventListener("pointercancel", (e) => this.cancel(e));
    frame.addEventListener("pointerleave", () => does.hover(-1));
    frame.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    frame.addEventListener("dblclick", (e) => { if (!e.target.closest("button")) this.zoomBy(1.8, ...this.place(e)); });
    picture.canvas.addEventListener("keydown", (e) => this.key(e));
  }

  place(e) {
    const box = this.picture.frame.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  down(e) {
    const control = e.target.closest("button, [role=slider]");
    this.onName = control !== null && control.classList.contains("label");       /* a drag may begin there; a click is the name's own */
    if (e.button !== 0 || (control && !this.onName)) return;
    this.picture.canvas.focus({ preventScroll: true });
    if (!this.onName) this.picture.frame.setPointerCapture(e.pointerId);
    const at = this.place(e);
    this.pointers.set(e.pointerId, at);
    this.start = this.pointers.size === 1 ? at : null;
    if (this.start && (e.shiftKey || this.lassoOn)) this.outline = [at];
  }

  move(e) {
    const at = this.place(e);
    const before = this.pointers.get(e.pointerId);
    if (!before) {
      if (e.pointerType === "mouse") this.does.hover(e.target.closest("button") ? -1 : this.picture.cellAt(...at), ...at);
      return;
    }
    if (this.start && Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) > STILL) {
      this.start = null;
      this.picture.frame.setPointerCapture(e.pointerId);
    }
    if (this.outline) this.extend(at);
    else if (this.pointers.size === 1 && !this.start) this.picture.view.pan(at[0] - before[0], at[1] - before[1]);
    else if (this.pointers.size === 2) this.pinch(e.pointerId, before, at);
    else return;                    /* still within a click */
    this.pointers.set(e.pointerId, at);
    this.does.hover(-1);
    this.picture.changed();
  }

  extend(at) {
    const last = this.outline[this.outline.length - 1];
    if (Math.hypot(at[0] - last[0], at[1] - last[1]) > 3) this.outline.push(at);
    byId("lasso").setAttribute("points", this.outline.map((p) => p.join(",")).join(" "));
  }

  pinch(id, before, at) {
    const other = [...this.pointers].find(([k]) => k !== id)[1];
    const far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
    this.picture.view.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.picture.view.zoomAt((at[0] + other[0]) / 2, (at[1] + other[1]) / 2, far(at) / Math.max(1, far(before)));
  }

  up(e) {
    if (!this.pointers.delete(e.pointerId)) return;
    const { view } = this.picture;
    if (this.outline && this.outline.length > 2) this.does.lasso(this.outline.map((p) => view.toMap(...p)));
    else if (this.start && !this.onName) this.does.click(...view.toMap(...this.start), this.picture.cellAt(...this.start));
    this.endOutline();
    this.start = null;
  }

  cancel(e) {
    this.pointers.delete(e.pointerId);
    this.endOutline();
    this.start = null;
  }

  endOutline() {
    this.outline = null;
    byId("lasso").setAttribute("points", "");
  }

  wheel(e) {
    e.preventDefault();
    const lines = e.deltaMode === 1 ? 30 : 1;
    this.zoomBy(Math.exp(-0.0016 * lines * e.deltaY), ...this.place(e));
  }

  zoomBy(factor, px, py) {
    const { view } = this.picture;
    view.zoomAt(px ?? view.width / 2, py ?? view.height / 2, factor);
    this.picture.changed();
  }

  fit() {
    this.picture.view.fit();
    this.picture.changed();
  }

  key(e) {
    const { view } = this.picture;
    const far = e.shiftKey ? 160 : 40;
    const keys = {
      ArrowLeft: () => view.pan(far, 0), ArrowRight: () => view.pan(-far, 0),
      ArrowUp: () => view.pan(0, far), ArrowDown: () => view.pan(0, -far),
      "+": () => this.zoomBy(1.25), "=": () => this.zoomBy(1.25), "-": () => this.zoomBy(0.8), "0": () => view.fit(),
      Enter: () => this.does.click(view.cx, view.cy, this.picture.cellAt(view.width / 2, view.height / 2)),
    };
    if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    keys[e.key]();
    this.picture.changed();
  }
}
