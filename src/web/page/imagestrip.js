/* imagestrip.js: what a path shows of a model of images: decoded images at a few of its points, side by side. */

const STRIP_IMAGES = 10;     /* two rows of five */

class ImageStrip {
  /* go(i): moves to a point of the path. */
  constructor(app, go) {
    Object.assign(this, { app, go, images: app.expression, strip: make("div", { class: "strip", role: "group", "aria-label": "Images along the path" }) });
    this.images.switched.push(() => this.path && this.draw());
  }

  points() { return Array.from({ length: STRIP_IMAGES }, (_, k) => Math.round((k * (PATH_POINTS - 1)) / (STRIP_IMAGES - 1))); }

  /* The image at a point of the path. */
  at(i, path) {
    const { n_latent } = this.app.map;
    return this.images.decode(path.z.subarray(i * n_latent, (i + 1) * n_latent));
  }

  measure(path) { path.images = this.points().map((i) => this.at(i, path)); }

  parts(saveButton) { return [make("h4", {}, "Images along the path"), this.strip, make("div", { class: "row" }, saveButton)]; }

  show(path) {
    this.path = path;
    this.draw();
  }

  draw() {
    this.strip.replaceChildren(...this.points().map((i, k) => {
      const e = button("", () => this.go(i), { "aria-label": `Point ${i} of the path: ${CLASSES[this.path.kind[i]].words.toLowerCase()}`, class: this.path.p[i] > IN_VOID ? null : "void" });
      e.append(this.images.canvas(this.path.images[k]));
      return e;
    }));
  }

  /* The image nearest to a point of the path. */
  moved(i) {
    const near = Math.round((i * (STRIP_IMAGES - 1)) / (PATH_POINTS - 1));
    [...this.strip.children].forEach((e, k) => e.setAttribute("aria-current", String(k === near)));
  }

  heads() { return []; }
  row() { return []; }
}
