/* selections.js: sets of cells that the reader has drawn round or taken from a group: named, kept, compared, saved. */

const SHOWN_ROWS = 40;
const COLUMNS = [
  { key: "gene", text: "Gene", hint: "" },
  { key: "effect", text: "Effect", hint: "difference of mean log1p counts per 10,000, in standard deviations" },
  { key: "fold", text: "log2 fold", hint: "the means set against each other" },
  { key: "a", text: "First", hint: "mean of the first, in counts per 10,000 (or of data that are no counts)" },
  { key: "b", text: "Second", hint: "mean of the second, in counts per 10,000" },
];

class Selections {
  constructor(app) {
    Object.assign(this, { app, sets: [], made: 0, sort: { key: "effect", down: true }, differential: new Differential(app) });
    this.tool = button("Draw round cells", () => this.setTool(!app.gestures.lassoOn), { id: "lasso-tool", "aria-pressed": "false", class: "main" });
    this.group = make("select", { id: "group-to-select", "aria-label": "Group" }, ...app.given.map((g, k) => option(k, g.name)));
    this.list = make("ul", { class: "sets" });
    this.pair = make("div", { class: "fields" });
    this.result = make("div", { id: "differences" });
    byId("panel-selections").append(make("p", {}, "Hold Shift and drag round cells on the map, or switch the tool on and drag." + (app.map.images ? "" : " Two selections can be compared.")),
      make("div", { class: "row" }, this.tool), make("div", { class: "row" }, this.group, button("Take this group", () => this.takeGroup(), { id: "take-group" })), this.list, this.pair, this.result);
    this.update();
  }

  setTool(on) {
    this.app.gestures.lassoOn = on;
    this.tool.setAttribute("aria-pressed", String(on));
    this.app.picture.frame.classList.toggle("lassoing", on);
  }

  takeGroup() {
    const coloring = this.app.groupColoring;
    const name = (this.app.given[this.group.value] || {}).name;
    const cells = [];
    coloring.step.forEach((s, i) => { if (s >= 0 && coloring.categories[s] === name) cells.push(i); });
    this.add(Uint32Array.from(cells), name);
  }

  addPolygon(polygon) { this.add(this.app.picture.grid.within(polygon)); }

  add(cells, name) {
    this.setTool(false);
    if (!cells.length) return this.app.say("No cell lies inside.");
    this.sets.push({ name: name || "Selection " + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[this.made++ % 26], cells });
    this.update();
    this.app.openTab("selections");
    this.app.highlight(cells);
  }

  remove(set) {
    this.sets = this.sets.filter((s) => s !== set);
    this.app.highlight(null);
    this.update();
  }

  update() {
    this.list.textContent = "";
    this.list.append(...this.sets.map((set) => make("li", {},
      make("input", { type: "text", value: set.name, "aria-label": "Name of the selection", onchange: (e) => { set.name = e.target.value; this.updatePair(); } }),
      make("span", { class: "value" }, count(set.cells.length, "cell")),
      button("Show", () => this.app.highlight(this.app.highlighted === set.cells ? null : set.cells), { title: "Show only these cells in colour, or all again" }), button("×", () => this.remove(set), { "aria-label": `Remove ${set.name}` }))));
    this.updatePair();
  }

  updatePair() {
    this.pair.textContent = "";
    this.result.textContent = "";
    if (!this.sets.length) return;
    this.pair.append(...(this.app.map.images ? [] : this.comparison()),
      button("Save cells (CSV)", () => save("selections.csv", this.annotation()), { id: "save-selections", title: "Each cell and the selections it is in" }),
      make("p", { class: "small" }, `Back into your file: isolario annotate ${this.app.map.images ? "run/latent.h5ad" : "cells.h5ad"} selections.csv`));
  }

  /* Which two to compare by their genes. */
  comparison() {
    const { sets } = this;
    const kept = [this.first, this.second].map((s) => (s ? s.value : null));
    const choices = (chosen, more) => [...sets.map((s, k) => option(k, s.name, k === chosen)), ...more];
    this.first = make("select", { id: "first-set" }, ...choices(Number(kept[0] || 0), []));
    this.second = make("select", { id: "second-set" }, ...choices(sets.length > 1 ? 1 : -1, [option("rest", "all other cells", sets.length < 2)]));
    return [make("label", {}, "First", this.first), make("label", {}, "Second", this.second), button("Compare genes", () => this.compare(), { id: "compare", class: "main" })];
  }

  /* The cells of the second set: a selection, or all that are not in the first. */
  others(first) {
    if (this.second.value !== "rest") return this.sets[this.second.value];
    const inside = new Uint8Array(this.app.map.n_cells);
    for (const cell of first.cells) inside[cell] = 1;
    return { name: "all other cells", cells: Uint32Array.from(inside.keys()).filter((i) => !inside[i]) };
  }

  async compare() {
    const first = this.sets[this.first.value];
    const second = this.others(first);
    if (first === second || !second.cells.length) return this.app.say("Choose two different selections.");
    this.app.say("Comparing …");
    await nextFrame();
    Object.assign(this, await this.differential.compare(first.cells, second.cells, (words) => this.app.say(words)), { names: [first.name, second.name] });
    this.app.say("");
    this.showTable();
  }

  sorted() {
    const { key, down } = this.sort;
    const value = (r) => (key === "gene" ? this.app.map.genes[r.gene] : r[key]);
    const way = down ? -1 : 1;
    return this.rows.slice().sort((p, q) => (value(p) < value(q) ? -way : value(p) > value(q) ? way : p.gene - q.gene));
  }

  /* "log2 fold", but the difference for decoded means of data that are no counts. */
  foldName() { return this.app.expression.hasCounts || this.app.expression.ofCounts ? "log2 fold" : "difference"; }

  showTable() {
    const { app, result, sort } = this;
    const columns = COLUMNS.map((c) => (c.key === "fold" ? { ...c, text: this.foldName() } : c));
    const head = columns.map((c) => make("th", { scope: "col", "aria-sort": sort.key === c.key ? (sort.down ? "descending" : "ascending") : "none" },
      button(c.text + (sort.key === c.key ? (sort.down ? " ▾" : " ▴") : ""), () => {
        this.sort = { key: c.key, down: sort.key === c.key ? !sort.down : c.key !== "gene" };
        this.showTable();
      }, { title: c.hint || null })));
    const rows = this.sorted().slice(0, SHOWN_ROWS).map((r) => make("tr", {}, make("th", { scope: "row" }, button(app.map.genes[r.gene], () => app.colorByGene(r.gene), { class: "gene" })),
      ...["effect", "fold", "a", "b"].map((k) => make("td", { class: "number" }, number(r[k])))));
    result.textContent = "";
    result.append(make("h4", {}, `${this.names[0]} against ${this.names[1]}`),
      make("p", { class: "small" }, this.from + " Effect: difference of means in standard deviations; above 0, higher in the first. Without p-values: the cells were chosen by looking at these data."),
      make("p", {}, button("Save all genes (CSV)", () => save("genes.csv", this.table()), { id: "save-genes" })),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Genes that differ" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows))));
  }

  table() {
    return [["gene", "effect", this.foldName().replace(" ", "_"), `mean ${this.names[0]}`, `mean ${this.names[1]}`],
      ...this.sorted().map((r) => [this.app.map.genes[r.gene], r.effect, r.fold, r.a, r.b])];
  }

  /* A cell may be in several. */
  annotation() {
    const inside = Array.from(this.app.names, () => "");
    for (const set of this.sets) for (const cell of set.cells) inside[cell] += (inside[cell] ? ";" : "") + set.name;
    return [["cell", "selection"], ...this.app.names.map((name, i) => [name, inside[i]])];
  }
}
