/* dom.js: small helpers of every other file. Text gets in by textContent alone, so that no name of a gene, a cell or a group
 * can become markup. */
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

/* A fault that the reader is told of in these words. */
class Trouble extends Error {}

function showTrouble(words) {
  root.dataset.trouble = words;
  byId("trouble").append(make("p", {}, words));
  byId("trouble").hidden = false;
}

/* make("p", {class: "note", onclick: f}, "text", child, ...); null children and attributes are left out. */
function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

/* The same for the elements of a drawing. */
function draw(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const button = (text, onclick, more) => make("button", { type: "button", onclick, ...more }, text);

function option(value, text, chosen) {
  const e = make("option", { value }, text);
  e.selected = Boolean(chosen);
  return e;
}

const whole = new Intl.NumberFormat("en");
function count(n, one) {
  return whole.format(n) + " " + one + (n === 1 ? "" : "s");
}

/* Four digits are enough for the eye. */
function number(x) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-3 || size >= 1e7) return x.toExponential(1).replace(".0", "").replace("e+", "e").replaceAll("-", "−");
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return x.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");
}

function percent(share) {
  const p = 100 * share;
  return (p > 0 && p < 1 ? "under 1" : p > 99 && p < 100 ? "over 99" : String(Math.round(p))) + " %";
}

/* Lets the browser draw before something long begins. */
const nextFrame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
