/* report.js: reads the data of the page and fills it in: head, sections, foot. charts.js and map.js draw the rest.
 * Text gets in by textContent alone, so that no name of a file, gene or cluster can become markup. */
"use strict";

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

/* For tests, and for whoever looks for a fault: <html data-error="..."> holds what went wrong first. */
function noteError(what) {
  if (!root.dataset.error) root.dataset.error = String(what);
}
addEventListener("error", (e) => noteError(e.message));
addEventListener("unhandledrejection", (e) => noteError(e.reason));
document.addEventListener("securitypolicyviolation", (e) => noteError("policy: " + e.violatedDirective + " " + e.blockedURI));

/* make("p", {class: "note"}, "text", child, ...) */
function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) e.setAttribute(name, value);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const whole = new Intl.NumberFormat("en");
function count(n, one, many) {
  return whole.format(n) + " " + (n === 1 ? one : many || one + "s");
}

/* Four digits are enough for the eye. */
function number(x) {
  if (x === null || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-3 || size >= 1e7) return x.toExponential(1).replace(".0", "").replace("e+", "e").replaceAll("-", "−");
  const digits = size >= 100 ? (size >= 1000 ? 0 : 1) : size >= 10 ? 2 : 3;
  return x.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");
}

/* Little-endian numbers of `bytes` bytes each: 1, 2, 4, or "float". */
function decode(text, bytes) {
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  if (bytes === 1) return raw;
  const view = new DataView(raw.buffer);
  const step = bytes === 2 ? 2 : 4;
  const out = new (bytes === 2 ? Uint16Array : bytes === 4 ? Uint32Array : Float32Array)(raw.length / step);
  const get = bytes === 2 ? "getUint16" : bytes === 4 ? "getUint32" : "getFloat32";
  for (let i = 0; i < out.length; i++) out[i] = view[get](i * step, true);
  return out;
}

function quantile(sorted, q) {
  return sorted.length ? sorted[Math.round(q * (sorted.length - 1))] : NaN;
}

/* What the verdicts mean; any other is shown as a warning. */
const VERDICTS = {
  "healthy": ["good", "✓"],
  "partly collapsed": ["warn", "!"],
  "prior hole": ["warn", "!"],
  "overfit": ["warn", "!"],
  "collapsed": ["bad", "×"],
};

function fillHead(data) {
  const comparison = data.n_cells === 0 && data.pictures.length > 0;           /* pictures of several models, and no map */
  byId("map").hidden = comparison;
  const parts = comparison ? [] : [count(data.n_cells, data.pictures.length ? "image" : "cell")];
  if (data.n_genes > 0) parts.push(count(data.n_genes, "gene"));
  if (data.var_mu) parts.push(count(data.var_mu.length, "latent dimension"));
  if (data.epochs.epoch.length) parts.push(count(data.epochs.epoch.length, "epoch") + (data.best_epoch > 0 ? `, the best is ${data.best_epoch}` : ""));
  byId("size").textContent = parts.join(" · ");
  if (!data.verdict) return;
  const [kind, sign] = VERDICTS[data.verdict] || ["warn", "!"];
  const box = byId("verdict");
  box.className = kind;
  box.append(make("p", { class: "word" }, make("span", { class: "sign", "aria-hidden": "true" }, sign),
    data.verdict[0].toUpperCase() + data.verdict.slice(1)));
  if (data.verdict_text) box.append(make("p", {}, data.verdict_text));
  if (data.cure) box.append(make("p", {}, make("strong", {}, "What helps: "), data.cure));
  box.hidden = false;
}

function factTable(section) {
  const body = make("tbody");
  for (const [key, value, note] of section.facts) {
    const cell = make("td", {}, value || "–");
    if (note) cell.append(" ", make("span", { class: "why" }, note));
    body.append(make("tr", {}, make("th", { scope: "row" }, key || ""), cell));
  }
  return make("table", { class: "facts" }, body);
}

/* A table whose columns of numbers are set flush right. */
function plainTable(section) {
  const [head, ...rows] = section.rows;
  const isNumber = head.map((_, k) => rows.length > 0 && rows.every((r) => /^[\s\d.,+\-−±%×e–]*$/i.test(r[k] || "")) && k > 0);
  const cell = (tag, text, k, more) => make(tag, { ...more, ...(isNumber[k] ? { class: "number" } : {}) }, text || "");
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...head.map((h, k) => cell("th", h, k, { scope: "col" })))),
    make("tbody", {}, ...rows.map((r) => make("tr", {}, ...r.map((t, k) => cell(k ? "td" : "th", t, k, k ? {} : { scope: "row" }))))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": section.title || "table" }, table);
}

function fillPictures(data) {
  for (const p of data.pictures) {
    const image = make("img", { src: "data:image/png;base64," + p.png, alt: p.title, width: p.width, class: "pixels" });
    byId("pictures").append(make("section", {}, make("h2", {}, p.title), make("p", {}, p.text), image));
  }
}

function fillSections(data) {
  for (const section of data.sections) {
    const e = make("section", {}, make("h2", {}, section.title || ""));
    if (section.text) e.append(make("p", {}, section.text));
    if (section.facts.length) e.append(factTable(section));
    if (section.rows.length) e.append(plainTable(section));
    section.pictures = make("div", { class: "charts" });
    if (section.charts.length) e.append(section.pictures);
    byId("sections").append(e);
  }
}

function fillFoot(data) {
  const seconds = data.epochs.seconds.reduce((sum, s) => sum + (s || 0), 0);
  byId("command").textContent = data.command || "";
  byId("version").textContent = [data.version, seconds > 0 ? `training took ${number(seconds)} s` : ""].filter(Boolean).join(" · ");
}

/* draw(printing) for each picture: at the start, when its width changes, and before and after printing. */
function keepDrawn(pictures) {
  let width = root.clientWidth;
  let waiting = 0;
  const drawAll = (printing) => {
    root.classList.toggle("printing", printing);
    for (const p of pictures) p.draw(printing);
  };
  addEventListener("beforeprint", () => drawAll(true));
  addEventListener("afterprint", () => drawAll(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(false));
  addEventListener("resize", () => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => drawAll(false));
  });
  drawAll(false);
}

addEventListener("DOMContentLoaded", () => {
  const data = JSON.parse(byId("data").textContent);
  fillHead(data);
  fillPictures(data);
  fillSections(data);
  fillFoot(data);
  const map = new CellMap(data);
  keepDrawn([map, ...makeCharts(data)]);
  root.dataset.painted = map.countPainted();
  root.dataset.overflow = Math.max(0, root.scrollWidth - root.clientWidth);
  root.dataset.width = root.clientWidth;
  root.dataset.ready = "1";
});
