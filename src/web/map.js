/* map.js: the map of cells on a canvas, its legend, and moving about in it. */
"use strict";

/* Thirty colours, each as far as can be from those before it for normal sight, protanopia and deuteranopia (least distance in
 * OKLab, dyes dull enough for paper). Further categories begin again; names on the map and highlighting tell them apart. */
const PALETTE = ["#1e69a5", "#c35a2d", "#4bd2e1", "#e1b42d", "#871e4b", "#9687e1", "#009687", "#87b487", "#963c00", "#d2871e",
  "#4b3c96", "#87a5c3", "#874b78", "#3c87b4", "#5ab4ff", "#87d287", "#875a4b", "#4ba569", "#69875a", "#5a78d2", "#00d2b4",
  "#693c78", "#5aa596", "#d2a55a", "#3c872d", "#872d2d", "#6996b4", "#2d7896", "#87c3ff", "#3c69c3"];
/* For numbers: viridis (van der Walt and Smith 2015, CC0) on dark; on light paper the other way round, and pale where it is
 * low, so that high values stand out from what is behind them on both. */
const RAMP_DARK = ["#472d7b", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const RAMP_LIGHT = ["#dcd9bd", "#bcd39b", "#86c48c", "#4bb090", "#2a9893", "#26808e", "#30688c", "#3c5088", "#46357c", "#471a66", "#37044a"];
const STEPS = 64;
const GROUPS = { cluster: "Clusters", label: "Labels", batch: "Batches", gene: "Genes", quality: "Quality" };
const MOST_ZOOM = 40;

function mix(a, b, t) {
  const part = (hex, k) => parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
  return "rgb(" + [0, 1, 2].map((k) => Math.round(part(a, k) + (part(b, k) - part(a, k)) * t)).join(",") + ")";
}

/* Colour at t in 0..1. */
function rampColor(t, dark) {
  const ramp = dark ? RAMP_DARK : RAMP_LIGHT;
  const k = Math.min(ramp.length - 2, Math.floor(t * (ramp.length - 1)));
  return mix(ramp[k], ramp[k + 1], t * (ramp.length - 1) - k);
}

/* A fixed shuffle of 0..n-1: no category is always on top. */
function shuffled(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 1;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const k = Math.floor((seed / 4294967296) * (i + 1));
    [order[i], order[k]] = [order[k], order[i]];
  }
  return order;
}

/* What the map is coloured by, made ready to draw: step[cell] is the index of a colour, -1 missing. */
function readyColor(c, n) {
  const step = new Int32Array(n).fill(-1);
  if (c.categories) {
    const codes = decode(c.codes, c.width);
    const missing = 2 ** (8 * c.width) - 1;
    for (let i = 0; i < n; i++) if (codes[i] !== missing) step[i] = codes[i];
    return { ...c, step, order: shuffled(n) };
  }
  const raw = decode(c.values, c.width);
  const missing = 2 ** (8 * c.width) - 1;
  const value = Float64Array.from(raw, (v) => (v === missing ? NaN : c.low + (v / (missing - 1)) * (c.high - c.low)));
  const sorted = value.filter((v) => !Number.isNaN(v)).sort();
  let [low, high] = [quantile(sorted, 0.005), quantile(sorted, 0.995)];
  if (!(high > low)) [low, high] = [c.low, c.high];
  for (let i = 0; i < n; i++) {
    if (!Number.isNaN(value[i])) step[i] = Math.max(0, Math.min(STEPS - 1, Math.floor(((value[i] - low) / (high - low || 1)) * STEPS)));
  }
  const order = shuffled(n).sort((a, b) => step[a] - step[b]);       /* high values on top */
  return { ...c, step, order, value, shownLow: low, shownHigh: high, nMissing: n - sorted.length };
}

class CellMap {
  constructor(data) {
    this.data = data;
    this.canvas = byId("canvas");
    this.frame = this.canvas.parentElement;
    this.tip = this.frame.querySelector(".tip");
    this.ready = new Map();
    this.view = { zoom: 1, x: 0, y: 0 };       /* middle of the view, off the middle of the map */
    this.chosen = new Set();                   /* highlighted categories */
    this.readPlaces();
    this.fillSelect();
    this.listen();
    this.choose(0);
  }

  /* this.x, this.y: [n_shown] in 0..extent, y down; NaN: no place. */
  readPlaces() {
    const raw = decode(this.data.xy, 2);
    const n = this.data.n_shown;
    this.x = new Float32Array(n).fill(NaN);
    this.y = new Float32Array(n).fill(NaN);
    let [right, top] = [0, 0];
    for (let i = 0; i < n; i++) {
      if (raw[2 * i] === 65535 || raw[2 * i + 1] === 65535) continue;
      right = Math.max(right, (this.x[i] = raw[2 * i] / 65534));
      top = Math.max(top, (this.y[i] = raw[2 * i + 1] / 65534));
    }
    const edge = 0.08;
    this.extent = 1 + 2 * edge;
    for (let i = 0; i < n; i++) {
      this.x[i] += edge + (1 - right) / 2;
      this.y[i] = edge + (1 - top) / 2 + top - this.y[i];
    }
    this.width = right + 2 * edge || 1;
    this.height = top + 2 * edge || 1;
    this.placed = [...this.x.keys()].filter((i) => this.x[i] === this.x[i] && this.y[i] === this.y[i]);
    this.coast = coastPaths(this.placed.map((i) => this.x[i]), this.placed.map((i) => this.y[i]), this.extent);
  }

  /* ------------------------------------------------------------------------------------ what it is coloured by */

  fillSelect() {
    const select = byId("color");
    const groups = [...Object.keys(GROUPS), ...this.data.colors.map((c) => c.group)];
    for (const group of new Set(groups)) {
      const options = this.data.colors.map((c, i) => [c, i]).filter(([c]) => c.group === group)
        .map(([c, i]) => make("option", { value: String(i) }, c.name || ""));
      if (options.length) select.append(make("optgroup", { label: GROUPS[group] || group || "Other" }, ...options));
    }
    select.value = "0";
    select.addEventListener("change", () => {
      this.choose(Number(select.value));
      this.draw();
    });
    select.parentElement.hidden = !this.data.colors.length;
  }

  color(index) {
    if (!this.ready.has(index) && this.data.colors[index]) this.ready.set(index, readyColor(this.data.colors[index], this.data.n_shown));
    return this.ready.get(index) || { name: "", categories: [], counts: [], step: new Int32Array(this.data.n_shown).fill(-1), order: shuffled(this.data.n_shown) };
  }

  choose(index) {
    this.now = this.color(index);
    this.chosen.clear();
    this.labels = this.now.categories ? this.findLabels() : [];
    this.legendDark = null;
    this.canvas.setAttribute("aria-label", `Map of ${count(this.data.n_cells, "cell")}` + (this.now.name ? `, coloured by ${this.now.name}` : "") +
      ". Arrow keys move it, plus and minus zoom, 0 shows all.");
  }

  /* The median place of each category, the largest category first. */
  findLabels() {
    const members = this.now.categories.map(() => []);
    for (const i of this.placed) if (this.now.step[i] >= 0) members[this.now.step[i]].push(i);
    const middle = (cells, places) => quantile(Float32Array.from(cells, (i) => places[i]).sort(), 0.5);
    return members.map((cells, k) => ({ k, n: cells.length, text: this.now.categories[k], x: middle(cells, this.x), y: middle(cells, this.y) }))
      .filter((l) => l.n > 0).sort((a, b) => b.n - a.n);
  }

  stepColor(k) {
    if (!this.now.categories) return rampColor((k + 0.5) / STEPS, this.dark);
    return mix(PALETTE[k % PALETTE.length], "#ffffff", this.dark ? 0.25 : 0);
  }

  /* ------------------------------------------------------------------------------------------------ the legend */

  drawLegend() {
    if (this.legendDark === this.dark) return;
    this.legendDark = this.dark;
    const head = make("div", { class: "legend-head" }, make("h3", {}, this.now.name || ""));
    const rest = this.now.categories ? this.categoryLegend(head) : this.rampLegend();
    const inside = make("div", { class: "legend-in" }, head, ...rest);
    if (this.data.n_shown < this.data.n_cells) {
      inside.append(make("p", { class: "note" }, `The map draws ${whole.format(this.data.n_shown)} cells, evenly taken from ${whole.format(this.data.n_cells)}.`));
    }
    byId("legend").replaceChildren(inside);
  }

  categoryLegend(head) {
    const list = make("ul");
    const all = make("button", { type: "button", hidden: "" }, "Show all");
    const update = () => {
      list.querySelectorAll(".entry").forEach((b) => b.setAttribute("aria-pressed", this.chosen.has(Number(b.value))));
      all.hidden = !this.chosen.size;
      this.draw();
    };
    all.addEventListener("click", () => {
      this.chosen.clear();
      update();
    });
    const add = (k, name, n) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = k < 0 ? "var(--missing)" : this.stepColor(k);
      const share = this.data.n_cells ? ` · ${((100 * n) / this.data.n_cells).toFixed(n / this.data.n_cells < 0.1 ? 1 : 0)} %` : "";
      const button = make("button", { type: "button", class: "entry", value: String(k), "aria-pressed": this.chosen.has(k), title: name }, swatch,
        make("span", { class: "name" }, name), make("span", { class: "count" }, whole.format(n) + share));
      button.addEventListener("click", () => {
        if (!this.chosen.delete(k)) this.chosen.add(k);
        update();
      });
      list.append(make("li", {}, button));
    };
    this.now.categories.forEach((name, k) => add(k, name || "(no name)", this.now.counts[k]));
    const missing = this.data.n_cells - this.now.counts.reduce((sum, n) => sum + n, 0);
    if (missing > 0 && this.now.categories.length) add(-1, "missing", missing);
    all.hidden = !this.chosen.size;
    head.append(all);
    return [list];
  }

  rampLegend() {
    const c = this.now;
    const bar = make("div", { class: "ramp" });
    bar.style.background = `linear-gradient(to right, ${[0, 1, 2, 3, 4, 5, 6, 7, 8].map((k) => rampColor(k / 8, this.dark)).join(", ")})`;
    const ends = make("div", { class: "ramp-ends" }, make("span", {}, (c.shownLow > c.low ? "≤ " : "") + number(c.shownLow)),
      make("span", {}, number((c.shownLow + c.shownHigh) / 2)), make("span", {}, (c.shownHigh < c.high ? "≥ " : "") + number(c.shownHigh)));
    const notes = [c.unit, c.nMissing ? `${count(c.nMissing, "cell")} without a value, in grey` : ""].filter(Boolean).map((t) => make("p", { class: "note" }, t));
    return [bar, ends, ...notes];
  }

  /* --------------------------------------------------------------------------------------------------- drawing */

  /* Pixels of the frame: base is those of one unit of the map when all of it is seen. */
  toScreen() {
    const scaling = this.base * this.view.zoom;
    return { s: scaling, dx: this.w / 2 - (this.extent / 2 + this.view.x) * scaling, dy: this.h / 2 - (this.extent / 2 + this.view.y) * scaling };
  }

  draw(printing = root.classList.contains("printing")) {
    const style = getComputedStyle(root);
    this.theme = (name) => style.getPropertyValue("--" + name).trim();
    this.dark = style.colorScheme === "dark";
    this.w = this.frame.clientWidth;
    this.h = this.frame.clientHeight;
    this.base = Math.min(this.w / this.width, this.h / this.height);
    const dense = printing ? Math.max(3, devicePixelRatio) : devicePixelRatio;
    this.canvas.width = Math.round(this.w * dense);
    this.canvas.height = Math.round(this.h * dense);
    this.canvas.style.touchAction = this.view.zoom > 1 ? "none" : "pan-y";
    const g = this.canvas.getContext("2d");
    g.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.drawCoast(g, dense);
    this.drawPoints(g, dense);
    g.setTransform(dense, 0, 0, dense, 0, 0);
    this.drawLabels(g);
    this.drawLegend();
    if (!this.placed.length) this.drawNothing(g);
  }

  drawNothing(g) {
    g.font = `16px ${this.theme("serif")}`;
    g.textAlign = "center";
    g.fillStyle = this.theme("soft");
    g.fillText("There are no cells to show.", this.w / 2, this.h / 2);
  }

  drawCoast(g, dense) {
    const { s, dx, dy } = this.toScreen();
    g.setTransform(s * dense, 0, 0, s * dense, dx * dense, dy * dense);
    this.coast.forEach((path, k) => {
      g.globalAlpha = [0.9, 0.4, 0.22][k];
      g.lineWidth = 1 / s;
      g.strokeStyle = this.theme("coast");
      g.fillStyle = this.theme("land");
      if (k === 0) g.fill(path, "evenodd");
      g.stroke(path);
    });
    g.globalAlpha = 1;
  }

  radius() {
    const room = (this.w * this.h) / Math.max(1, this.placed.length);
    return Math.min(5, Math.max(0.9, 0.17 * Math.sqrt(room))) * Math.min(3, Math.sqrt(this.view.zoom));
  }

  /* How much of each pixel a disc covers, [size, size], by 4 x 4 points in each. */
  disc(radius) {
    const size = 2 * Math.ceil(radius) + 1;
    const cover = new Float32Array(size * size);
    for (let k = 0; k < 16 * size * size; k++) {
      const [px, py] = [(k % (4 * size)) / 4 + 0.125 - size / 2, Math.floor(k / (4 * size)) / 4 + 0.125 - size / 2];
      if (px * px + py * py <= radius * radius) cover[Math.floor(Math.floor(k / (4 * size)) / 4) * size + Math.floor((k % (4 * size)) / 4)] += 1 / 16;
    }
    return { cover, size };
  }

  /* Into an array of pixels of its own: without a graphics card this is many times faster than as many calls that draw, and
   * a printer gets one picture and not one a cell. */
  drawPoints(g, dense) {
    const { s, dx, dy } = this.toScreen();
    const [w, h] = [this.canvas.width, this.canvas.height];
    if (!w || !h) return;
    const image = new ImageData(w, h);
    const out = image.data;
    const { cover, size } = this.disc(this.radius() * dense);
    const { step, order } = this.now;
    const cycle = this.now.categories ? PALETTE.length : STEPS;
    const colors = Array.from({ length: cycle }, (_, k) => this.stepColor(k).match(/\d+/g).map(Number));
    const grey = mix(this.theme("missing"), "#ffffff", 0).match(/\d+/g).map(Number);
    const stamp = (i, color, opacity) => {
      const left = Math.round((this.x[i] * s + dx) * dense - size / 2);
      const top = Math.round((this.y[i] * s + dy) * dense - size / 2);
      if (!(left + size > 0 && top + size > 0 && left < w && top < h)) return;          /* NaN too */
      for (let k = 0; k < cover.length; k++) {
        const [px, py] = [left + (k % size), top + Math.floor(k / size)];
        const a = cover[k] * opacity;
        if (a === 0 || px < 0 || py < 0 || px >= w || py >= h) continue;
        const at = 4 * (py * w + px);
        const behind = (out[at + 3] / 255) * (1 - a);
        for (let c = 0; c < 3; c++) out[at + c] = (color[c] * a + out[at + c] * behind) / (a + behind);
        out[at + 3] = 255 * (a + behind);
      }
    };
    const some = this.chosen.size > 0;
    const inFront = (k) => (some ? this.chosen.has(k) : k >= 0);
    for (const i of order) if (!inFront(step[i])) stamp(i, grey, some ? 0.35 : 0.88);
    for (const i of order) if (inFront(step[i])) stamp(i, step[i] < 0 ? grey : colors[step[i] % cycle], 0.88);
    const layer = document.createElement("canvas");
    [layer.width, layer.height] = [w, h];
    layer.getContext("2d").putImageData(image, 0, 0);
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.drawImage(layer, 0, 0);
  }

  /* Names, the largest category first; one that finds no room near its place is left out until the map is nearer. */
  drawLabels(g) {
    const { s, dx, dy } = this.toScreen();
    const taken = [];
    g.font = `600 ${this.w < 500 ? 13 : 15}px ${this.theme("serif")}`;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineJoin = "round";
    for (const l of this.labels) {
      if (this.chosen.size && !this.chosen.has(l.k)) continue;
      const name = l.text || "(no name)";
      const text = name.length > 28 ? name.slice(0, 27) + "…" : name;
      const half = g.measureText(text).width / 2 + 4;
      const [px, py] = [l.x * s + dx, l.y * s + dy];
      if (px < 0 || py < 0 || px > this.w || py > this.h) continue;
      const x = Math.max(half, Math.min(this.w - half, px));
      const y = [0, -14, 14, -26, 26].map((d) => Math.max(10, Math.min(this.h - 10, py + d)))
        .find((v) => !taken.some((t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - v) < 17));
      if (y === undefined) continue;
      taken.push({ x, y, half });
      g.lineWidth = 4;
      g.strokeStyle = this.theme("land");
      g.globalAlpha = 0.85;
      g.strokeText(text, x, y);
      g.globalAlpha = 1;
      g.fillStyle = this.theme("ink");
      g.fillText(text, x, y);
    }
  }

  /* Pixels that are not the colour behind them; for tests. */
  countPainted() {
    if (!this.canvas.width || !this.canvas.height) return 0;
    const pixels = this.canvas.getContext("2d").getImageData(0, 0, this.canvas.width, this.canvas.height).data;
    let n = 0;
    for (let i = 3; i < pixels.length; i += 4) n += pixels[i] > 0;
    return n;
  }

  /* ----------------------------------------------------------------------------------------------- moving about */

  redraw() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.draw());
  }

  /* Zooms by a factor so that what lies at (px, py) stays there. */
  zoom(factor, px = this.w / 2, py = this.h / 2) {
    const before = this.toScreen();
    const at = [(px - before.dx) / before.s, (py - before.dy) / before.s];
    this.view.zoom = Math.max(1, Math.min(MOST_ZOOM, this.view.zoom * factor));
    const after = this.toScreen();
    this.move(at[0] * after.s + after.dx - px, at[1] * after.s + after.dy - py);
  }

  /* Moves the view by pixels; the middle of the view stays on the map. */
  move(px, py) {
    const s = this.base * this.view.zoom;
    const keep = (v, most) => Math.max(-most, Math.min(most, v));
    this.view.x = keep(this.view.x + px / s, (this.width / 2) * (1 - 1 / this.view.zoom));
    this.view.y = keep(this.view.y + py / s, (this.height / 2) * (1 - 1 / this.view.zoom));
    this.tip.hidden = true;
    this.redraw();
  }

  reset() {
    this.view = { zoom: 1, x: 0, y: 0 };
    this.redraw();
  }

  listen() {
    const c = this.canvas;
    const keys = { ArrowLeft: () => this.move(-60, 0), ArrowRight: () => this.move(60, 0), ArrowUp: () => this.move(0, -60), ArrowDown: () => this.move(0, 60),
      "+": () => this.zoom(1.4), "=": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4), "0": () => this.reset() };
    c.addEventListener("keydown", (e) => {
      if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      keys[e.key]();
    });
    /* Without a click first, the wheel scrolls the page; a pinch on a touchpad comes as a wheel with ctrl. */
    c.addEventListener("wheel", (e) => {
      const out = e.deltaY > 0;
      if (!(e.ctrlKey || e.metaKey || document.activeElement === c) || (out && this.view.zoom === 1)) return;
      e.preventDefault();
      const box = c.getBoundingClientRect();
      this.zoom(Math.exp(-Math.max(-100, Math.min(100, e.deltaY * (e.deltaMode ? 30 : 1))) / (e.ctrlKey ? 100 : 300)), e.clientX - box.left, e.clientY - box.top);
    }, { passive: false });
    c.addEventListener("dblclick", () => this.reset());
    byId("zoom-in").addEventListener("click", () => this.zoom(1.6));
    byId("zoom-out").addEventListener("click", () => this.zoom(1 / 1.6));
    byId("zoom-reset").addEventListener("click", () => this.reset());
    this.listenPointers();
  }

  /* One pointer drags, two pinch, a mouse that only hovers asks for the nearest cell. */
  listenPointers() {
    const c = this.canvas;
    const held = new Map();
    const drop = (e) => held.delete(e.pointerId);
    c.addEventListener("pointerdown", (e) => {
      held.set(e.pointerId, [e.clientX, e.clientY]);
      c.setPointerCapture(e.pointerId);
      if (e.pointerType === "touch") this.showTip(e);
    });
    c.addEventListener("pointermove", (e) => {
      const before = held.get(e.pointerId);
      if (!before) return this.showTip(e);
      const other = [...held].find(([id]) => id !== e.pointerId);
      if (other) {
        const far = (p) => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]) || 1;
        const box = c.getBoundingClientRect();
        this.zoom(far([e.clientX, e.clientY]) / far(before), (e.clientX + other[1][0]) / 2 - box.left, (e.clientY + other[1][1]) / 2 - box.top);
      } else if (e.clientX !== before[0] || e.clientY !== before[1]) {
        this.move(before[0] - e.clientX, before[1] - e.clientY);
      }
      held.set(e.pointerId, [e.clientX, e.clientY]);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) c.addEventListener(name, drop);
    c.addEventListener("pointerleave", () => { this.tip.hidden = true; });
  }

  nearest(px, py) {
    const { s, dx, dy } = this.toScreen();
    let [best, near] = [-1, Math.max(12, 2 * this.radius()) ** 2];
    for (const i of this.placed) {
      const d = (this.x[i] * s + dx - px) ** 2 + (this.y[i] * s + dy - py) ** 2;
      if (d < near) [best, near] = [i, d];
    }
    return best;
  }

  wordsOf(i) {
    const say = (c) => `${c.name}: ` + (c.categories ? (c.step[i] < 0 ? "missing" : c.categories[c.step[i]]) : number(c.value[i]) + (c.unit && c.value[i] === c.value[i] ? ` ${c.unit}` : ""));
    const first = this.data.colors.findIndex((c) => c.categories);
    const lines = this.now.name ? [say(this.now)] : [];
    if (!this.now.categories && first >= 0) lines.push(say(this.color(first)));
    return lines;
  }

  showTip(e) {
    const box = this.canvas.getBoundingClientRect();
    const [px, py] = [e.clientX - box.left, e.clientY - box.top];
    const i = this.nearest(px, py);
    const lines = i < 0 ? [] : this.wordsOf(i);
    this.tip.hidden = !lines.length;
    if (!lines.length) return;
    this.tip.replaceChildren(...lines.map((t) => make("div", {}, t)));
    const x = px + 16 + this.tip.offsetWidth > this.w ? px - 16 - this.tip.offsetWidth : px + 16;
    const y = Math.min(py + 12, this.h - this.tip.offsetHeight - 4);
    this.tip.style.transform = `translate(${Math.max(0, x)}px, ${y}px)`;
  }
}
