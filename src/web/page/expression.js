/* expression.js: what a gene's expression is, from counts or decoded, in units a reader knows: counts per 10,000, or the mean
 * of data that are not counts. */

const MEAN_CELLS = 200;       /* decoded to know the mean cell */

class Expression {
  constructor(source, model) {
    this.source = source;
    this.map = source.map;
    this.model = model;
    this.ofCounts = !String(this.map.statistics.likelihood || "").startsWith("gaussian");
    this.unit = this.ofCounts ? "per 10,000" : "mean";
    this.hasCounts = Boolean(this.map.counts && this.map.totals);
  }

  /* Decoded shares made counts per 10,000. */
  scaled(decoded) { return this.ofCounts ? decoded.map((v) => 1e4 * v) : decoded; }

  /* On this scale differences are compared. */
  level(v) { return this.ofCounts ? Math.log1p(Math.max(0, v)) : v; }

  decode(z) { return this.scaled(this.model.decode(z)); }

  /* Mean over cells spread evenly through the file: [G]. */
  async mean() {
    if (this.meanCell) return this.meanCell;
    const z = await this.source.array("z");
    const n = Math.min(MEAN_CELLS, this.map.n_cells);
    const places = new Float32Array(n * this.model.L);
    for (let i = 0; i < n; i++) {
      const cell = Math.floor((i * this.map.n_cells) / n);
      places.set(z.subarray(cell * this.model.L, (cell + 1) * this.model.L), i * this.model.L);
    }
    const decoded = this.decode(places);
    this.meanCell = new Float32Array(this.model.G);
    for (let i = 0; i < decoded.length; i++) this.meanCell[i % this.model.G] += decoded[i] / n;
    return this.meanCell;
  }

  /* The cells that have counts of gene j, and these. */
  async counts(j) {
    const c = this.map.counts;
    if (c.per_gene) {
      const bytes = await fetchBytes(c.per_gene.replace("%d", j));
      const n = new Uint32Array(bytes.buffer, 0, 1)[0];
      if (bytes.length !== 4 + 6 * n) throw new Trouble(`The counts of ${this.map.genes[j]} are cut short.`);
      return [new Uint32Array(bytes.buffer, 4, n), new Uint16Array(bytes.buffer, 4 + 4 * n, n)];
    }
    const [indptr, cells, values] = await Promise.all([c.indptr, c.indices, c.values].map((name) => this.source.array(name)));
    return [cells.subarray(indptr[j], indptr[j + 1]), values.subarray(indptr[j], indptr[j + 1])];
  }

  /* log1p of counts per 10,000 of every cell: [N]. */
  async observed(j) {
    const [cells, values] = await this.counts(j);
    const totals = await this.source.array(this.map.totals);
    const out = new Float32Array(this.map.n_cells);
    for (let i = 0; i < cells.length; i++) if (cells[i] < out.length) out[cells[i]] = Math.log1p((1e4 * values[i]) / (totals[cells[i]] || 1));
    return out;
  }

  /* The same of what is decoded. */
  async decoded(j) {
    const out = this.model.gene(j);
    if (this.ofCounts) for (let i = 0; i < out.length; i++) out[i] = Math.log1p(out[i]);
    return out;
  }
}
