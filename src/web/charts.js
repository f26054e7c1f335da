/* charts.js: the charts in SVG. Each is drawn for the width that it has, so that its text keeps its size. */
"use strict";

const HEIGHT = 230;

function svg(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

/* ------------------------------------------------------------------------------------------------- scales */

/* Round steps (1, 2, 5 times a power of ten) that part low..high into n to 2 n. */
function roundTicks(low, high, n) {
  const rough = (high - low) / n / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step || 0); // never -0
  return ticks;
}

function powerTicks(low, high, n) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first < 0) return roundTicks(low, high, n / 2).filter((t) => t > 0);
  const ticks = [];
  if (last - first < n / 2) {
    for (let p = first - 1; p <= last; p++) ticks.push(...[1, 2, 5].map((m) => m * 10 ** p));
    return ticks.filter((t) => t >= low && t <= high);
  }
  const step = Math.ceil((last - first) / n);
  for (let p = first; p <= last; p += step) ticks.push(10 ** p);
  return ticks;
}

/* A function from values to pixels, with .ticks(n). log: low > 0. */
function scale(low, high, from, to, log) {
  const f = log ? Math.log10 : (v) => v;
  const a = f(low);
  const b = f(high) > a ? f(high) : a + 1;
  const at = (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  at.ticks = (n) => (log ? powerTicks(low, high, n) : roundTicks(low, b, n));
  at.invert = (px) => (log ? 10 ** (a + ((px - from) / (to - from)) * (b - a)) : a + ((px - from) / (to - from)) * (b - a));
  return at;
}

/* Range of numbers, a little wider than they are. A few that lie far off (the first epochs) do not count. */
function range(values) {
  const s = values.filter(Number.isFinite).sort((p, q) => p - q);
  if (!s.length) return [0, 1];
  let [low, high] = [s[0], s[s.length - 1]];
  const [q1, q2] = [quantile(s, 0.04), quantile(s, 0.96)];
  if (q1 - low > 1.5 * (q2 - q1)) low = q1 - 0.4 * (q2 - q1);
  if (high - q2 > 1.5 * (q2 - q1)) high = q2 + 0.4 * (q2 - q1);
  if (low === high) return [low - Math.max(1e-3, Math.abs(low) * 0.1), high + Math.max(1e-3, Math.abs(high) * 0.1)];
  const edge = 0.05 * (high - low);
  return [low >= 0 && low < edge * 3 ? 0 : low - edge, high + edge];
}

/* ------------------------------------------------------------------------------------------------- frame */

/* A figure whose picture is drawn anew by draw(); paint(svg, width) does it. */
class Chart {
  constructor(parent, title, options, paint) {
    this.paint = paint;
    this.wide = options.wide;
    this.picture = svg("svg", { role: "img", "aria-label": options.label || title });
    this.tip = make("div", { class: "tip", hidden: "" });
    this.figure = make("figure", options.wide ? { class: "wide" } : {},
      make("figcaption", {}, make("h3", {}, title), options.key ? make("p", { class: "key" }, ...options.key) : null), this.picture, this.tip);
    parent.append(this.figure);
  }

  draw(printing) {
    const width = printing ? (this.wide ? 680 : 330) : Math.max(260, this.figure.clientWidth);
    this.picture.replaceChildren();
    this.picture.onpointermove = this.picture.onpointerleave = null;
    this.picture.setAttribute("viewBox", `0 0 ${width} ${this.height || HEIGHT}`);
    this.tip.hidden = true;
    this.paint(this.picture, width, this);
  }

  /* find(x, y) gives [lines, x, y of the thing] for a place in the picture, or null. */
  hover(find) {
    this.picture.onpointermove = (e) => {
      const box = this.picture.getBoundingClientRect();
      const found = find(e.clientX - box.left, e.clientY - box.top);
      this.tip.hidden = !found;
      if (!found) return;
      this.tip.replaceChildren(...found[0].map((t) => make("div", {}, t)));
      const left = found[1] + 14 + this.tip.offsetWidth > box.width ? found[1] - 14 - this.tip.offsetWidth : found[1] + 14;
      this.tip.style.transform = `translate(${Math.max(0, left)}px, ${this.picture.offsetTop || box.top - this.figure.getBoundingClientRect().top}px)`;
    };
    this.picture.onpointerleave = () => {
      this.tip.hidden = true;
      this.picture.querySelectorAll(".cursor, .spot").forEach((c) => c.setAttribute("visibility", "hidden"));
    };
  }
}

/* Axes with ticks; y2 and its label may be left out. Lines of the grid belong to y. */
function drawAxes(g, box, x, y, words, y2) {
  for (const t of y.ticks(3)) {
    g.append(svg("path", { class: "grid", d: `M${box.left} ${y(t)}H${box.right}` }));
    g.append(svg("text", { x: box.left - 7, y: y(t) + 4, "text-anchor": "end" }, number(t)));
  }
  for (const t of x.ticks(Math.max(2, Math.floor((box.right - box.left) / 110)))) {
    g.append(svg("path", { class: "axis", d: `M${x(t)} ${box.bottom}v4` }));
    g.append(svg("text", { x: x(t), y: box.bottom + 17, "text-anchor": "middle" }, number(t)));
  }
  if (y2) for (const t of y2.ticks(3)) g.append(svg("text", { x: box.right + 7, y: y2(t) + 4, class: "rust" }, number(t)));
  g.append(svg("path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` }));
  g.append(svg("text", { x: (box.left + box.right) / 2, y: box.bottom + 35, "text-anchor": "middle" }, words.x));
  g.append(svg("text", { x: 0, y: 11, class: words.y2 ? "blue" : "" }, words.y));
  if (words.y2) g.append(svg("text", { x: box.right + 48, y: 11, "text-anchor": "end", class: "rust" }, words.y2));
}

function keyLine(text, style) {
  return make("span", {}, svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, svg("path", { class: `line ${style}`, d: "M0 5H26" })), text);
}

/* ------------------------------------------------------------------------------------------ lines by epoch */

function linePath(xs, ys, x, y) {
  let d = "";
  let pen = "M";
  xs.forEach((e, i) => {
    if (ys[i] === null) return;                 /* not evaluated in this epoch: the line goes on to the next */
    d += `${pen}${x(e).toFixed(1)} ${y(ys[i]).toFixed(1)}`;
    pen = "L";
  });
  return d;
}

let clips = 0;

/* series: [{name, y, style, right, log}]; right: on the second scale. */
function lineChart(parent, title, data, words, series) {
  const xs = data.epochs.epoch;
  series = series.filter((s) => s.y.some((v) => v !== null));
  if (!series.length) return [];
  const last = (s) => s.y.findLast((v) => v !== null);
  const label = `${title}: ` + series.map((s) => `${s.name} from ${number(s.y.find((v) => v !== null))} to ${number(last(s))}`).join("; ");
  const left = series.filter((s) => !s.right);
  const right = series.filter((s) => s.right);
  const clip = `clip${clips++}`;
  return [new Chart(parent, title, { label, key: series.map((s) => keyLine(s.name, s.style)) }, (g, width, chart) => {
    const box = { left: 52, right: width - (right.length ? 52 : 10), top: 30, bottom: HEIGHT - 42 };
    const x = scale(xs[0], xs[xs.length - 1], box.left, box.right);
    const fit = (some) => {
      const [low, high] = range(some.flatMap((s) => s.y));
      return scale(some[0].from0 ? Math.min(0, low) : low, high, box.bottom, box.top);
    };
    const y = fit(left.length ? left : right);
    const y2 = right.length ? fit(right) : null;
    drawAxes(g, box, x, y, { x: "epoch", y: words[0], y2: right.length ? words[1] : "" }, y2);
    g.append(svg("clipPath", { id: clip }, svg("rect", { x: box.left - 2, y: box.top - 2, width: box.right - box.left + 4, height: box.bottom - box.top + 4 })));
    for (const s of series) {
      const shape = xs.length === 1 ? `${linePath(xs, s.y, x, s.right ? y2 : y)}h8` : linePath(xs, s.y, x, s.right ? y2 : y);
      g.append(svg("path", { class: `line ${s.style}`, d: shape, "clip-path": `url(#${clip})` }));
    }
    if (data.best_epoch >= xs[0] && data.best_epoch <= xs[xs.length - 1]) {
      const at = x(data.best_epoch);
      g.append(svg("path", { class: "best", d: `M${at} ${box.top}V${box.bottom}` }));
      g.append(svg("text", { x: Math.min(at, box.right - 28), y: box.top - 3, "text-anchor": "middle" }, `best: ${data.best_epoch}`));
    }
    const cursor = g.appendChild(svg("path", { class: "cursor", visibility: "hidden" }));
    chart.hover((px) => {
      const at = x.invert(px);
      const i = xs.reduce((best, e, k) => (Math.abs(e - at) < Math.abs(xs[best] - at) ? k : best), 0);
      cursor.setAttribute("d", `M${x(xs[i])} ${box.top}V${box.bottom}`);
      cursor.setAttribute("visibility", "visible");
      return [[`epoch ${xs[i]}`, ...series.filter((s) => s.y[i] !== null).map((s) => `${s.name}: ${number(s.y[i])}`)], x(xs[i])];
    });
  })];
}

function trainingCharts(data) {
  const parent = document.querySelector("#training .charts");
  const e = data.epochs;
  if (!e.epoch.length) return [];
  byId("training").hidden = false;
  const minus = (ys) => ys.map((v) => (v === null ? null : -v));
  const both = (name, f = (v) => v) => [
    { name: "training", y: f(e["train_" + name]), style: "blue" },
    { name: "validation", y: f(e["validation_" + name]), style: "rust dash" },
  ];
  const charts = lineChart(parent, "Loss (−ELBO)", data, ["nats per cell"], both("elbo", minus));
  charts.push(...lineChart(parent, "Reconstruction, log p(x | z)", data, ["nats per cell"], both("reconstruction")));
  if (data.kl_per_dim) {
    charts.push(...lineChart(parent, "KL divergence and its weight", data, ["nats per cell", "weight"], [
      { name: "training", y: e.train_kl, style: "blue", from0: true },
      { name: "validation", y: e.validation_kl, style: "blue dash", from0: true },
      { name: "KL weight (right scale)", y: e.kl_weight, style: "rust dots", right: true, from0: true },
    ]));
  }
  charts.push(...lineChart(parent, "Gradient norm and learning rate", data, ["norm", "rate"], [
    { name: "gradient norm", y: e.gradient_norm, style: "blue", from0: true },
    { name: "learning rate (right scale)", y: e.learning_rate, style: "rust dots", right: true, from0: true },
  ]));
  return charts;
}

/* ------------------------------------------------------------------------------------------- latent space */

/* Bars by dimension, the greatest first. Inactive ones are hatched, so that colour is not needed to tell them. */
function barChart(parent, title, words, values, order, active, log, threshold) {
  const key = [make("span", {}, "solid: active"), make("span", {}, "hatched: inactive"), ...(threshold > 0 ? [keyLine(`active above ${number(threshold)}`, "rust dash")] : [])];
  const label = `${title}: ` + order.map((d) => `dimension ${d + 1} ${number(values[d])}`).join(", ");
  return new Chart(parent, title, { wide: order.length > 30, label, key }, (g, width) => {
    const box = { left: 52, right: width - 8, top: 30, bottom: HEIGHT - 42 };
    const positive = values.filter((v) => v > 0);
    const high = Math.max(...values.filter(Number.isFinite), threshold || 0) * (log ? 1.6 : 1.06) || 1;
    const low = log ? Math.max(1e-8, Math.min(high, ...positive, ...(threshold > 0 ? [threshold] : [])) / 2) : 0;
    const y = scale(low, high, box.bottom, box.top, log);
    const step = (box.right - box.left) / order.length;
    const x = () => 0;
    x.ticks = () => [];
    if (!byId("hatch")) g.append(svg("defs", {}, svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("path", { class: "axis", d: "M0 0V5" }))));
    drawAxes(g, box, x, y, { x: "latent dimension", y: words });
    const every = Math.ceil(22 / step);
    order.forEach((d, k) => {
      const left = box.left + k * step + step * 0.14;
      const top = Number.isFinite(values[d]) ? y(Math.max(values[d], low)) : box.bottom;
      g.append(svg("rect", { class: active[d] ? "bar" : "bar off", x: left, y: Math.min(top, box.bottom - 0.5), width: step * 0.72, height: Math.max(0.5, box.bottom - top) },
        svg("title", {}, `dimension ${d + 1}: ${number(values[d])}${active[d] ? "" : ", inactive"}`)));
      if (k % every === 0) g.append(svg("text", { x: left + step * 0.36, y: box.bottom + 17, "text-anchor": "middle" }, String(d + 1)));
    });
    if (threshold > 0) g.append(svg("path", { class: "line rust dash", d: `M${box.left} ${y(threshold)}H${box.right}` }));
  });
}

function latentCharts(data) {
  const parent = document.querySelector("#latent .charts");
  const n = data.var_mu ? data.var_mu.length : data.kl_per_dim ? data.kl_per_dim.length : 0;
  if (!n) return [];
  byId("latent").hidden = false;
  const active = data.var_mu ? data.var_mu.map((v) => v > data.active_threshold) : new Array(n).fill(true);
  const sizes = data.kl_per_dim || data.var_mu;
  const order = sizes.map((_, d) => d).sort((a, b) => (sizes[b] || 0) - (sizes[a] || 0));
  const nActive = active.filter(Boolean).length;
  document.querySelector(".verdict-text").textContent =
    `${nActive} of ${count(n, "dimension")} ${nActive === 1 ? "is" : "are"} active` + (nActive < n ? "; the hatched ones hold nothing of the cells." : ".");
  const charts = [];
  if (data.kl_per_dim) charts.push(barChart(parent, "KL divergence by dimension", "nats", data.kl_per_dim.map((v) => v ?? NaN), order, active));
  if (data.var_mu) charts.push(barChart(parent, "Variance of the posterior means", "variance over cells (log)", data.var_mu.map((v) => v ?? NaN), order, active, true, data.active_threshold));
  return charts;
}

/* ----------------------------------------------------------------------------------------------- the data */

/* Mean count and fraction of zeros of each gene. Poisson counts would lie on exp(-mean). */
function zerosChart(parent, data) {
  const mean = decode(data.gene_mean, "float");
  const zeros = decode(data.gene_zeros, "float");
  const shown = [...mean.keys()].filter((i) => mean[i] > 0 && Number.isFinite(mean[i]) && Number.isFinite(zeros[i]));
  if (!shown.length) return [];
  const label = `Mean count and fraction of zeros of ${count(shown.length, "gene")}, with the curve of Poisson counts`;
  return [new Chart(parent, "Zeros against mean, by gene", { label, key: [keyLine("genes", "blue dots"), keyLine("Poisson, exp(−mean)", "rust")] }, (g, width, chart) => {
    const box = { left: 52, right: width - 10, top: 30, bottom: HEIGHT - 42 };
    let [low, high] = [Infinity, 0];
    for (const i of shown) [low, high] = [Math.min(low, mean[i]), Math.max(high, mean[i])];
    const x = scale(low / 1.2, high * 1.2, box.left + 4, box.right, true);
    const y = scale(0, 1, box.bottom, box.top);
    drawAxes(g, box, x, y, { x: "mean count per cell", y: "fraction of cells with no count" });
    const taken = new Set();                    /* one dot a place: tens of thousands of genes stay one small path */
    const dots = [];
    for (const i of shown) {
      const place = `${Math.round(x(mean[i]) * 2) / 2} ${Math.round(y(zeros[i]) * 2) / 2}`;
      if (!taken.has(place)) dots.push(`M${place}h0`);
      taken.add(place);
    }
    g.append(svg("path", { class: "cloud", d: dots.join(""), "stroke-width": shown.length > 3000 ? 2 : 2.8 }));
    const curve = [];
    for (let px = box.left + 4; px <= box.right; px += 3) curve.push(`${px} ${y(Math.exp(-x.invert(px))).toFixed(1)}`);
    g.append(svg("path", { class: "line rust", d: "M" + curve.join("L") }));
    const spot = g.appendChild(svg("circle", { class: "spot", r: 4, visibility: "hidden" }));
    chart.hover((px, py) => {
      let [best, near] = [-1, 400];
      for (const i of shown) {
        const d = (x(mean[i]) - px) ** 2 + (y(zeros[i]) - py) ** 2;
        if (d < near) [best, near] = [i, d];
      }
      spot.setAttribute("visibility", best < 0 ? "hidden" : "visible");
      if (best < 0) return null;
      spot.setAttribute("cx", x(mean[best]));
      spot.setAttribute("cy", y(zeros[best]));
      const name = data.gene_names[best] ?? `gene ${best + 1}`;
      return [[name, `mean ${number(mean[best])}`, `${number(100 * zeros[best])} % zeros`], x(mean[best])];
    });
  })];
}

function totalsChart(parent, data) {
  const totals = decode(data.cell_total, "float").filter((v) => v > 0 && Number.isFinite(v)).sort();
  if (!totals.length) return [];
  const [low, high] = [totals[0], totals[totals.length - 1]];
  const n = low < high ? 40 : 1;
  const bins = new Array(n).fill(0);
  const bin = (v) => Math.min(n - 1, Math.floor((n * Math.log(v / low)) / (Math.log(high / low) || 1)));
  for (const v of totals) bins[bin(v)]++;
  const median = quantile(totals, 0.5);
  const label = `Counts per cell from ${number(low)} to ${number(high)}, median ${number(median)}`;
  return [new Chart(parent, "Counts per cell", { label, key: [make("span", {}, label.slice(16))] }, (g, width, chart) => {
    const box = { left: 52, right: width - 10, top: 30, bottom: HEIGHT - 42 };
    const x = scale(low / 1.05, high * 1.05, box.left, box.right, true);
    const y = scale(0, Math.max(...bins) * 1.06, box.bottom, box.top);
    drawAxes(g, box, x, y, { x: "counts per cell", y: data.n_shown < data.n_cells ? `cells, of ${whole.format(data.n_shown)} drawn` : "cells" });
    const edge = (k) => low * (high / low) ** (k / n);
    bins.forEach((size, k) => {
      const [a, b] = n > 1 ? [x(edge(k)), x(edge(k + 1))] : [x(low) - 10, x(low) + 10];
      g.append(svg("rect", { class: "bar", x: a + 0.5, y: y(size), width: Math.max(0.5, b - a - 1), height: box.bottom - y(size) },
        svg("title", {}, `${count(size, "cell")} with ${number(edge(k))} to ${number(edge(k + 1))} counts`)));
    });
    g.append(svg("path", { class: "best", d: `M${x(median)} ${box.top}V${box.bottom}` }));
    g.append(svg("text", { x: x(median) + 5, y: box.top + 2 }, `median ${number(median)}`));
  })];
}

function dataCharts(data) {
  const parent = document.querySelector("#data-picture .charts");
  const charts = [...(data.gene_mean ? zerosChart(parent, data) : []), ...(data.cell_total ? totalsChart(parent, data) : [])];
  byId("data-picture").hidden = !charts.length;
  return charts;
}

function makeCharts(data) {
  return [...trainingCharts(data), ...latentCharts(data), ...dataCharts(data), ...sectionCharts(data)];
}
