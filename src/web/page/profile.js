/* profile.js: what a place expresses: bars of the genes that differ most from a reference, or a list of the highest. */

/* Numbers of the n genes with the largest score, sorted. */
function topGenes(score, n) {
  const order = Uint32Array.from(score, (_, j) => j);
  return [...order.sort((a, b) => score[b] - score[a])].slice(0, n);
}

class Profile {
  constructor(app) {
    Object.assign(this, { app, absolute: false, what: "Expected expression", unit: ` (${app.expression.ofCounts ? "counts per 10,000" : "mean"})` });
    this.element = make("div", { class: "profile" });
  }

  /* values and reference [G], as Expression.decode has them; `than`: what the reference is. */
  show(values, reference, than) {
    Object.assign(this, { values, reference, than });
    this.element.textContent = "";
    const choose = (text, absolute) => button(text, () => { this.absolute = absolute; this.show(values, reference, than); },
      { "aria-pressed": String(this.absolute === absolute) });
    this.element.append(make("div", { class: "choice", role: "group", "aria-label": "Which genes" }, choose(`Differs from ${than}`, false), choose("Highest", true)),
      this.absolute ? this.highest() : this.different());
  }

  different() {
    const { expression } = this.app;
    const change = Float32Array.from(this.values, (v, j) => expression.level(v) - expression.level(this.reference[j]));
    const up = topGenes(change, 10).filter((j) => change[j] > 0);
    const down = topGenes(change.map((v) => -v), 6).filter((j) => change[j] < 0).reverse();
    const most = Math.max(1e-6, ...up.concat(down).map((j) => Math.abs(change[j])));
    return make("ol", { class: "bars two" }, ...up.concat(down).map((j) => this.bar(j, change[j] / most, `${number(this.values[j])} (${this.fold(j)})`)));
  }

  /* Beyond 30 times, the mean cell has next to none. */
  fold(j) {
    if (!this.app.expression.ofCounts) return (this.values[j] > this.reference[j] ? "+" : "") + number(this.values[j] - this.reference[j]);
    const times = (this.values[j] + 1e-3) / (this.reference[j] + 1e-3);
    return times >= 1 ? `×${number(Math.round(10 * times) / 10)}` : `÷${number(Math.round(10 / times) / 10)}`;
  }

  highest() {
    const top = topGenes(this.values, 16);
    const most = Math.max(1e-6, ...top.map((j) => Math.abs(this.values[j])));
    return make("ol", { class: "bars" }, ...top.map((j) => this.bar(j, this.values[j] / most, number(this.values[j]))));
  }

  bar(j, share, text) {
    const name = this.app.map.genes[j];
    const bar = make("span", { class: "bar" + (share < 0 ? " less" : ""), "aria-hidden": "true" });
    bar.style.width = Math.abs(share) * 100 + "%";
    return make("li", {}, button(name, () => this.app.colorByGene(j), { class: "gene", title: `Colour the map by ${name}` }),
      make("span", { class: "track" }, bar), make("span", { class: "value" }, text));
  }

  saveButton() { return button("Save all genes (CSV)", () => save("place.csv", this.rows())); }

  /* Rows for a CSV file, highest change first. */
  rows() {
    const { expression, map } = this.app;
    const change = Float32Array.from(this.values, (v, j) => expression.level(v) - expression.level(this.reference[j]));
    return [["gene", `expected_${expression.unit.replace(/\W+/g, "_")}`, `reference_${expression.unit.replace(/\W+/g, "_")}`, expression.ofCounts ? "difference_of_log1p" : "difference"],
      ...topGenes(change, map.n_genes).map((j) => [map.genes[j], this.values[j], this.reference[j], change[j]])];
  }
}
