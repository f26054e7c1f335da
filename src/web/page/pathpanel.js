/* pathpanel.js: a path between two places: straight or along the data, its parts in voids dashed, the genes that change along
 * it, and a point that moves on it. */

const PATH_POINTS = 61;
const SUPPORTED = 0.95;       /* of a path, before it may be read as a trajectory */
const IN_VOID = 0.05;         /* p-value */

class PathPanel {
  constructor(app) {
    Object.assign(this, { app, ends: {}, named: [], at: 0, profile: new Profile(app), body: byId("panel-path"), result: make("div") });
    const groups = app.given;
    if (groups.length > 1) this.ends = { from: groups[0], to: groups[1] };
    this.along = make("select", { id: "route", "aria-label": "Way" }, option("1", "along the data"), option("0", "straight"));
    this.fields = make("div", { class: "fields" });
    this.body.append(make("p", {}, "From one place to another, and what changes on the way. Choose groups here, or places on the map (click one, then “Start a path here”)."),
      this.fields, make("p", {}, button("Draw the path", () => this.go(), { id: "draw-path", class: "main" })), this.result);
    this.drawFields();
    this.genes = new GeneBox("path-gene", "Add a gene to the charts", app.map.genes, (j) => { this.named.unshift(j); this.genes.input.value = ""; this.showCharts(); });
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
    path.genes = app.expression.decode(path.z);
    path.spread = app.model.spread(path.z);
    path.support = path.p.filter((p) => p > IN_VOID).length / PATH_POINTS;
    this.path = path;
    app.say("");
    await this.show();
  }

  /* Level of gene j at every point. */
  course(j) {
    const { expression, map } = this.app;
    return Float32Array.from({ length: PATH_POINTS }, (_, i) => expression.level(this.path.genes[i * map.n_genes + j]));
  }

  /* What the decoders allow of gene j at every point: two deviations either way, [low, high]. */
  band(j) {
    const { expression, map } = this.app;
    return Array.from({ length: PATH_POINTS }, (_, i) => {
      const [v, s] = [this.path.genes[i * map.n_genes + j], 2 * this.path.spread[i * map.n_genes + j]];
      return expression.ofCounts ? [expression.level(v * Math.exp(-s)), expression.level(v * Math.exp(s))] : [v - s, v + s];
    });
  }

  changing() {
    const { map, expression } = this.app;
    const [low, high] = [new Float32Array(map.n_genes).fill(Infinity), new Float32Array(map.n_genes).fill(-Infinity)];
    this.path.genes.forEach((v, k) => {
      const y = expression.level(v);
      if (y < low[k % map.n_genes]) low[k % map.n_genes] = y;
      if (y > high[k % map.n_genes]) high[k % map.n_genes] = y;
    });
    return topGenes(high.map((h, j) => h - low[j]), 8);
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
    const { app, result } = this;
    this.mean = await app.expression.mean();
    this.most = this.changing();
    this.charts = make("div", { class: "charts" });
    this.slider = make("input", { type: "range", min: 0, max: PATH_POINTS - 1, value: 0, id: "path-at", oninput: () => this.moveTo(Number(this.slider.value)) });
    this.where = make("p", { class: "small", "aria-live": "polite" });
    result.textContent = "";
    result.append(this.verdict(), make("label", { class: "wide" }, "Place on the path", this.slider), this.where,
      make("h4", {}, "Genes along the path"), make("p", { class: "small" }, "Bands: two standard deviations of what the model's decoders say."), make("div", { class: "row" }, this.genes.element, button("Save (CSV)", () => save("path.csv", this.rows()), { id: "save-path" })), this.charts,
      make("h4", {}, "Expected expression there"), this.profile.element);
    this.showCharts();
    this.moveTo(0);
    app.picture.show(this.path.xy[0], this.path.xy[1]);
  }

  showCharts() {
    const genes = [...new Set([...this.named, ...this.most])].slice(0, 12);
    this.charts.textContent = "";
    this.charts.append(...genes.map((j) => this.chart(j)));
    this.cursor();
  }

  chart(j) {
    const y = this.course(j);
    const band = this.band(j);
    const [low, high] = [Math.min(...band.map((b) => b[0])), Math.max(...band.map((b) => b[1]))];
    const place = (i, value) => [2 + (i / (PATH_POINTS - 1)) * 156, 46 - ((value - low) / (high - low || 1)) * 42];
    const at = (i) => place(i, y[i]);
    const svg = draw("svg", { viewBox: "0 0 160 50", role: "img", "aria-label": `${this.app.map.genes[j]}: from ${number(y[0])} to ${number(y[PATH_POINTS - 1])}` });
    svg.append(draw("polygon", { class: "band", points: [...band.map((b, i) => place(i, b[1])), ...band.map((b, i) => place(i, b[0])).reverse()].join(" ") }));
    for (let i = 1; i < PATH_POINTS; i++) svg.append(draw("polyline", { points: `${at(i - 1)} ${at(i)}`, class: this.path.p[i] > IN_VOID ? "line" : "line dash" }));
    svg.append(draw("line", { class: "cursor", y1: 0, y2: 50 }));
    return make("figure", {}, make("figcaption", {}, button(this.app.map.genes[j], () => this.app.colorByGene(j), { class: "gene" }),
      make("span", { class: "value" }, `${this.back(Math.min(...y))} – ${this.back(Math.max(...y))}`)), svg);
  }

  back(level) { return number(this.app.expression.ofCounts ? Math.expm1(level) : level); }

  cursor() {
    const x = 2 + (this.at / (PATH_POINTS - 1)) * 156;
    for (const line of this.charts.querySelectorAll(".cursor")) for (const key of ["x1", "x2"]) line.setAttribute(key, x);
  }

  moveTo(i) {
    const { app, path } = this;
    const G = app.map.n_genes;
    this.at = Math.max(0, Math.min(PATH_POINTS - 1, i));
    this.slider.value = this.at;
    const words = `${Math.round((100 * this.at) / (PATH_POINTS - 1))} % of the way: ${CLASSES[path.kind[this.at]].words.toLowerCase()} (p-value ${number(path.p[this.at])})`;
    this.where.textContent = words;
    this.dot.setAttribute("aria-valuenow", this.at);
    this.dot.setAttribute("aria-valuetext", words);
    this.profile.show(path.genes.subarray(this.at * G, (this.at + 1) * G), this.mean, "the mean cell");
    this.cursor();
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
    const { map } = this.app;
    const { z, p, kind, xy, genes } = this.path;
    const [L, G] = [map.n_latent, map.n_genes];
    return [["point", "x", "y", "p_value", "class", ...Array.from({ length: L }, (_, d) => `z${d + 1}`), ...map.genes],
      ...Array.from(p, (_, i) => [i, xy[2 * i], xy[2 * i + 1], p[i], CLASSES[kind[i]].name, ...z.subarray(i * L, (i + 1) * L), ...genes.subarray(i * G, (i + 1) * G)])];
  }
}
