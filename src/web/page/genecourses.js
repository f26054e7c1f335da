/* genecourses.js: what a path shows of a model of counts: charts of the genes that change most along it, and of those the reader names. */

class GeneCourses {
  constructor(app) {
    Object.assign(this, { app, named: [], charts: make("div", { class: "charts" }) });
    this.genes = new GeneBox("path-gene", "Add a gene to the charts", app.map.genes, (j) => { this.named.unshift(j); this.genes.input.value = ""; this.draw(); });
  }

  /* What the path's points decode to, and how far the decoders agree. */
  measure(path) {
    path.genes = this.app.expression.decode(path.z);
    path.spread = this.app.model.spread(path.z);
  }

  /* What is expressed at a point. */
  at(i, path) { return path.genes.subarray(i * this.app.map.n_genes, (i + 1) * this.app.map.n_genes); }

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

  parts(saveButton) {
    return [make("h4", {}, "Genes along the path"), make("p", { class: "small" }, "Bands: two standard deviations of what the model's decoders say."),
      make("div", { class: "row" }, this.genes.element, saveButton), this.charts];
  }

  show(path) {
    this.path = path;
    this.most = this.changing();
    this.draw();
  }

  draw() {
    const genes = [...new Set([...this.named, ...this.most])].slice(0, 12);
    this.charts.textContent = "";
    this.charts.append(...genes.map((j) => this.chart(j)));
    this.moved(this.point || 0);
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

  /* The cursor of every chart. */
  moved(i) {
    this.point = i;
    const x = 2 + (i / (PATH_POINTS - 1)) * 156;
    for (const line of this.charts.querySelectorAll(".cursor")) for (const key of ["x1", "x2"]) line.setAttribute(key, x);
  }

  /* Columns of a table of the path's points. */
  heads() { return this.app.map.genes; }
  row(i, path) { return this.at(i, path); }
}
