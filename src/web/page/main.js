/* main.js: puts the parts together, and holds what they share: the map, the colouring, the chosen place. */

const PAPER_PIXELS = 670;     /* width of an A4 page within its margins */

class App {
  async start() {
    this.source = new Source();
    this.map = await this.source.open();
    const [xy, z, names, ground] = await Promise.all([this.source.array("xy"), this.source.array("z"), this.source.cellNames(), readGround(this.source)]);
    Object.assign(this, { xy, z, names, ground, gene: -1, tabs: new Tabs((name) => this.tabOpened(name)) });
    await this.startModel();
    this.expression = this.map.images ? new ImageModel(this.source, this.model) : new Expression(this.source, this.model);
    this.thumbnails = new Thumbnails(this.source);
    this.given = givenGroups(this.map);
    this.picture = new Picture(xy, ground);
    this.gestures = new Gestures(this.picture, { click: (x, y, cell) => this.visitPoint(x, y, cell), hover: (cell, px, py) => this.hover(cell, px, py), lasso: (p) => this.selections.addPolygon(p) });
    this.labels = new Labels(this.picture, (group) => this.visitGroup(group));
    this.picture.moved.push(() => this.drawMark());
    this.legend = new Legend(this);
    this.fillHead();
    await this.openColumns();
    this.openPanels();
    listenKeys(this);
    this.listen();
  }

  /* Without its model the map still shows cells and colours. */
  async startModel() {
    try {
      const [program, place] = await Promise.all([this.source.bytes("wasm", "explorer.wasm"), this.source.array("place")]);
      this.model = await new Model(this.map).open(program, place, this.xy, this.z);
    } catch (e) {
      if (!(e instanceof Trouble)) throw e;
      showTrouble(e.message);
      this.model = null;
    }
  }

  fillHead() {
    const { map } = this;
    const s = map.statistics;
    const { images } = map;
    const each = images ? `${images.height} × ${images.width} pixels of ${count(images.channels, "channel")}` : count(map.n_genes, "gene");
    byId("size").textContent = [count(map.n_cells, "cell"), each, count(map.n_latent, "latent dimension"), s.verdict ? `model: ${s.verdict}` : null].filter(Boolean).join(" · ");
    byId("program").textContent = map.program;
    byId("canvas").setAttribute("aria-label", `Map of ${count(map.n_cells, "cell")}. Arrows move, plus and minus zoom, Enter asks what is at the middle.`);
  }

  /* The groups' own column, or the first of categories, is shown first. */
  async openColumns() {
    const key = this.map.groups && this.map.groups.key;
    const k = Math.max(0, this.map.obs.findIndex((c) => (key ? c.name === key : c.kind === "category")));
    this.groupColoring = await this.coloring(`obs${k}`);
    await this.colorBy(`obs${k}`);
  }

  openPanels() {
    this.selections = new Selections(this);
    if (!this.model) {
      for (const name of ["place", "path", "sliders"]) byId("panel-" + name).append(make("p", {}, "This needs the model, which could not be started."));
      return;
    }
    this.places = new PlacePanel(this);
    this.paths = new PathPanel(this);
    this.sliders = new Sliders(this);
  }

  listen() {
    const { picture } = this;
    byId("zoom-in").addEventListener("click", () => this.gestures.zoomBy(1.5));
    byId("zoom-out").addEventListener("click", () => this.gestures.zoomBy(1 / 1.5));
    byId("zoom-fit").addEventListener("click", () => this.gestures.fit());
    const repaint = (printing) => {
      if (printing) this.fitPaper();
      root.classList.toggle("printing", printing);
      picture.readTheme();
      this.paint(this.legend.only);
      picture.resize();
      if (printing) picture.copyForPaper();
    };
    addEventListener("beforeprint", () => repaint(true));
    addEventListener("afterprint", () => repaint(false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { repaint(false); this.legend.show(this.shown); });
  }

  /* On paper the frame keeps its shape and is made as small as an A4 page wants. */
  fitPaper() {
    const { width, height } = this.picture.view;
    const sizes = { width: width + "px", height: height + "px", zoom: Math.min(1, PAPER_PIXELS / width) };
    for (const [name, value] of Object.entries(sizes)) root.style.setProperty("--print-" + name, value);
  }

  /* What shows what a place decodes to. */
  newProfile() { return this.map.images ? new ImageView(this) : new Profile(this); }

  say(words) { byId("say").textContent = words; }

  openTab(name) { this.tabs.open(name); }

  async tabOpened(name) {
    if (name === "sliders" && this.sliders) await this.sliders.start(this.current ? this.current.z : new Float32Array(this.map.n_latent));
  }

  escape() {
    if (this.gestures.outline || this.gestures.lassoOn) {
      this.gestures.endOutline();
      this.selections.setTool(false);
    } else if (this.highlighted) this.highlight(null);
    else if (this.paths && this.paths.path && this.tabs.now === "path") this.paths.clear();
    else this.tabs.sheet(false);
  }

  /* ---------------------------------------------------------------- colours */

  async coloring(value) {
    if (value === "void") return this.voidColoring();
    const column = this.map.obs[Number(value.slice(3))];
    const values = await this.source.array(column.array);
    const title = KNOWN_COLUMNS[column.name] || column.name;
    return column.kind === "category" ? ofCategories(title, column.categories, values, values.BYTES_PER_ELEMENT === 1 ? 255 : 65535) : ofNumbers(title, values);
  }

  async voidColoring() {
    return ofCategories("class of place (voids)", CLASSES.map((c) => c.words), await this.source.array("cell_class"), 255);
  }

  async colorBy(value) {
    this.gene = -1;
    this.legend.select.value = value;
    if (this.legend.gene) this.legend.gene.input.value = "";
    this.show(await this.coloring(value));
  }

  async colorByGene(j) {
    if (!(j >= 0)) return;
    const name = this.map.genes[j];
    const observed = this.legend.kind.value === "observed";
    this.gene = j;
    this.legend.gene.input.value = name;
    this.legend.select.selectedIndex = -1;
    this.say(`Colouring by ${name} …`);
    await nextFrame();
    const values = observed ? await this.expression.observed(j) : await this.expression.decoded(j);
    this.say("");
    if (this.gene !== j) return;
    const coloring = ofNumbers(name, values, this.expression.ofCounts ? "log1p of counts per 10,000" : "");
    coloring.note = observed ? "Counts as observed." : "What the model decodes at each cell's place.";
    this.show(coloring);
  }

  show(coloring) {
    this.shown = coloring;
    this.highlighted = null;
    this.legend.show(coloring);
    this.paint(-1);
    const own = coloring.kind === "category" && coloring !== this.groupColoring && coloring.title !== this.groupColoring.title;
    this.labels.set(own ? groupsOf(coloring, this.xy, this.z, this.map.n_latent) : this.given);
    root.dataset.color = coloring.title;
  }

  paint(only) {
    const paint = paintCells(this.shown, this.picture.dark, only);
    if (this.highlighted) this.fadeOthers(paint);
    this.picture.color(paint, this.shown.order);
  }

  fadeOthers(paint) {
    const inside = new Uint8Array(this.map.n_cells);
    for (const cell of this.highlighted) inside[cell] = 1;
    for (let i = 0; i < inside.length; i++) if (!inside[i]) paint[4 * i + 3] = 22;
  }

  highlight(cells) {
    this.highlighted = cells;
    this.paint(-1);
  }

  showNames(on) {
    this.labels.shown = on;
    this.labels.place();
  }

  showGround(on) {
    this.picture.withGround = on;
    this.picture.frame.style.background = on ? "" : "var(--land)";
    this.picture.changed();
  }

  /* ---------------------------------------------------------------- places */

  groupName(cell) {
    const s = this.groupColoring.step[cell];
    return s >= 0 ? this.groupColoring.categories[s] : "";
  }

  async visit(place) {
    if (!this.model) return;
    this.current = { z: place.z, decoded: null };
    this.mark(place.xy || this.model.project(place.z));
    this.openTab("place");
    await this.places.show(place);
    this.current.decoded = this.places.decoded;
    root.dataset.place = place.title;
  }

  /* A click: on a cell, that cell; else whatever belongs there. */
  visitPoint(x, y, cell) {
    if (cell >= 0) return this.visitCell(cell);
    return this.visitMap(x, y);
  }

  visitMap(x, y) {
    return this.model && this.visit({ z: this.model.lift(x, y), title: "A place on the map", how: (judged) => liftWords(this.map, judged, atSea(this.ground, x, y)), xy: [x, y] });
  }

  visitCell(cell) {
    const L = this.map.n_latent;
    const xy = [this.xy[2 * cell], this.xy[2 * cell + 1]];
    this.picture.show(...xy);
    const group = this.groupName(cell);
    return this.visit({ z: this.z.slice(cell * L, (cell + 1) * L), title: `Cell ${this.names[cell]}`, how: () => (group ? `A real cell, of ${group}. ` : "A real cell. ") + "What follows is what the model expects of such a cell.", xy });
  }

  visitGroup(group) {
    const markers = (group.markers || []).slice(0, 6).map((m) => this.map.genes[m.gene]).join(", ");
    return this.visit({ z: group.z, title: `Prototype of ${group.name}`, how: () => `The place most typical of its ${count(group.size, "cell")}; ${this.names[group.cell]} is the cell nearest to it.` + (markers ? ` Genes that mark the group: ${markers}.` : "") });
  }

  visitOrigin() {
    return this.visit({ z: new Float32Array(this.map.n_latent), title: "z = 0", how: (judged) => "The middle of the latent space. It decodes to something like the average of all cells, "
      + (judged.kind === 0 ? "and here cells do lie there." : "which is not a cell: nothing was observed there. Use a group's prototype as the typical cell instead.") });
  }

  mark(xy) {
    this.marked = xy;
    this.drawMark();
  }

  drawMark() {
    const ring = byId("ring");
    ring.toggleAttribute("hidden", !this.marked);
    if (!this.marked) return;
    const [x, y] = this.picture.view.toScreen(...this.marked);
    ring.setAttribute("transform", `translate(${x},${y})`);
  }

  hover(cell, px, py) {
    const tip = byId("tip");
    tip.hidden = !(cell >= 0);
    if (tip.hidden) return;
    const s = this.shown;
    const value = s.kind === "category" ? s.categories[s.step[cell]] || "missing" : number(s.values[cell]);
    tip.textContent = "";
    tip.append(this.thumbnails.of(cell) || "", make("strong", {}, this.names[cell]), make("br"), this.groupName(cell));
    if (s.title !== this.groupColoring.title) tip.append(make("br"), `${s.title}: ${value}`);
    const { width, height } = this.picture.view;
    tip.style.transform = `translate(${Math.min(px + 14, width - tip.offsetWidth - 4)}px, ${Math.min(py + 14, height - tip.offsetHeight - 4)}px)`;
  }
}

/* What tests, and readers at the console, may use. */
function expose(app) {
  window.isolario = {
    app, map: app.map,
    get ready() { return root.dataset.ready === "1"; },
    get z() { return app.current ? Array.from(app.current.z) : null; },
    get selections() { return app.selections.sets; },
    decoded: () => (app.current && app.current.decoded ? Array.from(app.current.decoded) : null),
    visit: (x, y) => app.visitMap(x, y),
    select: (cells, name) => app.selections.add(Uint32Array.from(cells), name),
    colorByGene: (name) => app.colorByGene(app.map.genes.indexOf(name)),
  };
}

addEventListener("DOMContentLoaded", async () => {
  const app = new App();
  try {
    await app.start();
    expose(app);
    root.dataset.ready = "1";
    root.dataset.loaded = Math.round(performance.now());
  } catch (e) {
    showTrouble(e instanceof Trouble ? e.message : `The map could not be shown: ${e.message}`);
    if (!(e instanceof Trouble)) noteError(e.stack);
    root.dataset.ready = "no";
  }
});
