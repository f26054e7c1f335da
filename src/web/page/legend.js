/* legend.js: the choice of what cells are coloured by, and what the colours and seas mean. */

const KNOWN_COLUMNS = { leiden: "clusters (leiden)", log_density: "density of cells here (log)", p_value: "support (p-value; low: anomalous)", isolario_split: "part of training (isolario_split)",
  mixture_group: "group of mixture (mixture_group)", mixture_weight: "share of a second group (mixture_weight)", mixture_fit: "fit of a mixture (mixture_fit)", mixture_depth: "depth of a mixture (mixture_depth)" };

class Legend {
  constructor(app) {
    Object.assign(this, { app, body: byId("legend"), only: -1 });
    const { map } = app;
    const columns = (kind) => map.obs.map((c, k) => [c, k]).filter(([c]) => c.kind === kind).map(([c, k]) => option(`obs${k}`, KNOWN_COLUMNS[c.name] || c.name));
    this.select = make("select", { id: "color", onchange: () => app.colorBy(this.select.value) },
      make("optgroup", { label: "Groups" }, ...columns("category"), option("void", "class of place (voids)")), make("optgroup", { label: "Numbers" }, ...columns("number")));
    byId("color-bar").append(make("label", { for: "color" }, "Colour by"), this.select, ...(map.images ? [] : this.geneParts()));
    this.entries = make("div");
    this.body.append(this.entries, this.ground());
  }

  geneParts() {
    const { app } = this;
    this.gene = new GeneBox("gene", "Colour by gene", app.map.genes, (j) => app.colorByGene(j));
    this.kind = make("select", { id: "gene-kind", "aria-label": "Expression from", onchange: () => app.colorByGene(app.gene) },
      app.expression.hasCounts ? option("observed", "observed counts") : null, app.model ? option("decoded", "decoded by the model") : null);
    return [make("label", { for: "gene" }, "or gene"), this.gene.element, this.kind];
  }

  /* What land and seas mean, and two switches. */
  ground() {
    const { app } = this;
    const row = (css, words, hint) => make("li", {}, make("span", { class: "patch " + css, "aria-hidden": "true" }), make("span", {}, words, make("span", { class: "small" }, " " + hint)));
    const kinds = app.ground.kinds;
    const check = (text, id, on) => make("label", { class: "check" }, make("input", { type: "checkbox", id, checked: true, onchange: (e) => on(e.target.checked) }), text);
    const some = CLASSES.some((_, k) => k && kinds.has(k));
    return make("div", {}, make("h4", {}, "Land and sea"), make("ul", { class: "seas" },
      ...classesOf(app.map).map((c) => row(c.css, c.words, "– " + c.hint)), row("sea", "Open sea", "– no cell is near in the picture"),
      app.ground.unsure ? row("unsure", "Grey", "– the model's decoders disagree more than on data: what is decoded there is a guess") : null),
      some ? null : make("p", { class: "small" }, "None of the voids shows in this picture."),
      app.thumbnails.words() && make("p", { class: "small" }, app.thumbnails.words()),
      make("div", { class: "row" }, check("Names", "show-names", (on) => app.showNames(on)), check("Land and sea", "show-ground", (on) => app.showGround(on))));
  }

  show(coloring) {
    this.only = -1;
    this.entries.textContent = "";
    this.entries.append(make("h3", {}, coloring.title), coloring.note ? make("p", { class: "small" }, coloring.note) : "",
      coloring.kind === "category" ? this.categories(coloring) : this.ramp(coloring));
  }

  categories(coloring) {
    const list = make("ul", { class: "entries" });
    coloring.categories.forEach((name, k) => {
      if (!coloring.sizes[k]) return;
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = PALETTE[k % PALETTE.length];
      const e = make("button", { type: "button", class: "entry", "aria-pressed": "false", title: `Show only ${name} in colour`, onclick: () => this.toggle(k) },
        swatch, make("span", { class: "name" }, name), make("span", { class: "value" }, whole.format(coloring.sizes[k])));
      e.dataset.category = k;
      list.append(make("li", {}, e));
    });
    return list;
  }

  toggle(k) {
    this.only = this.only === k ? -1 : k;
    for (const e of this.entries.querySelectorAll(".entry")) e.setAttribute("aria-pressed", String(Number(e.dataset.category) === this.only));
    this.app.paint(this.only);
  }

  ramp(coloring) {
    const ramp = make("div", { class: "ramp" });
    const steps = rampSteps(this.app.picture.dark);
    ramp.style.background = `linear-gradient(to right, ${steps.filter((_, k) => k % 7 === 0).map((c) => `rgb(${c})`).join(", ")})`;
    return make("div", {}, ramp, make("div", { class: "ramp-ends" }, make("span", {}, number(coloring.low)), make("span", {}, coloring.unit || ""), make("span", {}, number(coloring.high))));
  }
}
