/* pathpanel.js: a path between two places: straight or along the data, its parts in voids dashed, what changes along it
 * (genecourses.js, imagestrip.js), and a point that moves on it. */

const PATH_POINTS = 61;
const SUPPORTED = 0.95;       /* of a path, before it may be read as a trajectory */
const IN_VOID = 0.05;         /* p-value */

class PathPanel {
  constructor(app) {
    Object.assign(this, { app, ends: {}, at: 0, profile: app.newProfile(), body: byId("panel-path"), result: make("div") });
    this.courses = app.map.images ? new ImageStrip(app, (i) => this.moveTo(i)) : new GeneCourses(app);
    const groups = app.given;
    if (groups.length > 1) this.ends = { from: groups[0], to: groups[1] };
    this.along = make("select", { id: "route", "aria-label": "Way" }, option("1", "along the data"), option("0", "straight"));
    this.fields = make("div", { class: "fields" });
    this.body.append(make("p", {}, "From one place to another, and what changes on the way. Choose groups here, or places on the map (click one, then “Start a path here”)."),
      this.fields, make("p", {}, button("Draw the path", () => this.go(), { id: "draw-path", class: "main" })), this.result);
    this.drawFields();
    app.picture.moved.push(() => this.overlay());
    this.dot = byId("path-dot");
    this.dot.addEventListener("pointermove", (e) => { if (e.buttons) this.drag(e); });
    this.dot.addEventListener("pointerdown", (e) => { e.stopPropagation(); this.dot.setPointerCapture(e.pointerId); });
    this.dot.addEventListener("keydown", (e) => this.key(e));
  }

  drawFields() {
    const select = (which, label) => make("label", {}, label, make("select", { id: "path-" + which, onchange: (e) => { this.ends[which] = this.choices[which][e.target.value]; } },
      ...this.choices[which].map((g, k) => option(k, g.name || g.title, g === this.ends[which]))));
    this.choices = Object.fromEntries(["from", "to"].map((w) => [w, this.ends[w] && !this.app.given.includes(this.ends[w]) ? [this.ends[w], ...this.app.given] : this.app.given]));
    this.fields.textContent = "";
    this.fields.append(select("from", "From"), select("to", "To"), make("label", {}, "Way", this.along));
  }

  setEnd(which, place) {
    this.ends[which] = place;
    this.drawFields();
    this.app.openTab("path");
  }

  async go() {
    const { app } = this;
    const { from, to } = this.ends;
    if (!from || !to) return app.say("Choose where the path starts and ends.");
    app.say("Looking for a path …");
    await nextFrame();
    const path = app.model.path(from.z, to.z, this.along.value === "1", PATH_POINTS);
    const L = app.map.n_latent;
    path.xy = app.model.project(path.z);
    path.kind = Array.from(path.p, (_, i) => app.model.classify(path.z.subarray(i * L, (i + 1) * L)).kind);
    this.courses.measure(path);
    path.support = path.p.filter((p) => p > IN_VOID).length / PATH_POINTS;
    this.path = path;
    app.say("");
    await this.show();
  }

  /* How much of it lies where, and what it may be called. */
  verdict() {
    const { support, kind } = this.path;
    const parts = [1, 3, 2].map((k) => [k, kind.filter((c) => c === k).length]).filter(([, n]) => n)
      .map(([k, n]) => `${percent(n / PATH_POINTS)} ${CLASSES[k].words.toLowerCase()}`);
    const inVoids = `Cells support ${percent(support)} of this path` + (parts.length ? `; of the rest: ${parts.join(", ")} (dashed on the map).` : ".");
    const ok = support >= SUPPORTED;
    return make("div", { class: "verdict " + (ok ? "good" : "warn"), id: "path-verdict" },
      make("p", { class: "word" }, make("span", { class: "sign", "aria-hidden": "true" }, ok ? "✓" : "!"), ok ? "Cells were seen along this path" : "Not a trajectory"),
      make("p", {}, inVoids + (ok ? " Whether cells move along it, and which way, these data do not say."
        : " What lies between was not observed, so this is a line through the model and no course that cells take.")));
  }

  async show() {
    const { app, result, courses } = this;
    this.mean = await app.expression.mean();
    this.slider = make("input", { type: "range", min: 0, max: PATH_POINTS - 1, value: 0, id: "path-at", oninput: () => this.moveTo(Number(this.slider.value)) });
    this.where = make("p", { class: "small", "aria-live": "polite" });
    result.textContent = "";
    result.append(this.verdict(), make("label", { class: "wide" }, "Place on the path", this.slider), this.where,
      ...courses.parts(button("Save (CSV)", () => save("path.csv", this.rows()), { id: "save-path" })), make("h4", {}, `${this.profile.what} there`), this.profile.element);
    courses.show(this.path);
    this.moveTo(0);
    app.picture.show(this.path.xy[0], this.path.xy[1]);
  }

  moveTo(i) {
    const { path, courses } = this;
    this.at = Math.max(0, Math.min(PATH_POINTS - 1, i));
    this.slider.value = this.at;
    const words = `${Math.round((100 * this.at) / (PATH_POINTS - 1))} % of the way: ${CLASSES[path.kind[this.at]].words.toLowerCase()} (p-value ${number(path.p[this.at])})`;
    this.where.textContent = words;
    this.dot.setAttribute("aria-valuenow", this.at);
    this.dot.setAttribute("aria-valuetext", words);
    this.profile.show(courses.at(this.at, path), this.mean, "the mean cell");
    courses.moved(this.at);
    this.overlay();
  }

  key(e) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -PATH_POINTS, End: PATH_POINTS }[e.key];
    if (!step) return;
    e.preventDefault();
    this.moveTo(this.at + step);
  }

  /* To the point of the path that is nearest to the pointer. */
  drag(e) {
    const { picture } = this.app;
    const box = picture.frame.getBoundingClientRect();
    const [x, y] = picture.view.toMap(e.clientX - box.left, e.clientY - box.top);
    const far = (i) => (this.path.xy[2 * i] - x) ** 2 + (this.path.xy[2 * i + 1] - y) ** 2;
    let best = 0;
    for (let i = 1; i < PATH_POINTS; i++) if (far(i) < far(best)) best = i;
    this.moveTo(best);
  }

  overlay() {
    const lines = byId("path-lines");
    lines.textContent = "";
    this.dot.toggleAttribute("hidden", !this.path);
    if (!this.path) return;
    const at = (i) => this.app.picture.view.toScreen(this.path.xy[2 * i], this.path.xy[2 * i + 1]);
    for (const layer of ["casing", "line"])
      for (let i = 1; i < PATH_POINTS; i++) {
        const [[x1, y1], [x2, y2]] = [at(i - 1), at(i)];
        const isVoid = this.path.p[i] <= IN_VOID || this.path.p[i - 1] <= IN_VOID;
        lines.append(draw("line", { x1, y1, x2, y2, class: layer + (isVoid ? " void" : "") }));
      }
    const [x, y] = at(this.at);
    this.dot.setAttribute("transform", `translate(${x},${y})`);
  }

  clear() {
    this.path = null;
    this.result.textContent = "";
    this.overlay();
  }

  rows() {
    const { courses, path } = this;
    const { z, p, kind, xy } = path;
    const L = this.app.map.n_latent;
    return [["point", "x", "y", "p_value", "class", ...Array.from({ length: L }, (_, d) => `z${d + 1}`), ...courses.heads()],
      ...Array.from(p, (_, i) => [i, xy[2 * i], xy[2 * i + 1], p[i], CLASSES[kind[i]].name, ...z.subarray(i * L, (i + 1) * L), ...courses.row(i, path)])];
  }
}
