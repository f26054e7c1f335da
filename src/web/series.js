/* series.js: the charts of the sections: lines with bands over a ground that is grey in places, or dots. */
"use strict";

const STYLES = ["blue", "rust", "blue dash", "rust dash"];

function keyShade(text) {
  return make("span", {}, svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, svg("rect", { class: "shade", width: 26, height: 10 })), text);
}

/* Neighbours in the list that are shaded make one rectangle, as wide as half a step beyond them. */
function drawShade(g, box, x, chart) {
  const between = (i) => x((chart.at[Math.max(0, i)] + chart.at[Math.min(chart.at.length - 1, i + 1)]) / 2);
  for (let i = 0, end; i < chart.shaded.length; i = end + 1) {
    end = i;
    if (!chart.shaded[i]) continue;
    while (chart.shaded[end + 1]) end++;
    const left = i ? between(i - 1) : box.left;
    const right = end + 1 < chart.at.length ? between(end) : box.right;
    g.append(svg("rect", { class: "shade", x: left, y: box.top, width: right - left, height: box.bottom - box.top }));
  }
}

function drawLine(g, x, y, chart, s) {
  const points = (values) => Array.from(values, (v, i) => (Number.isFinite(v) ? `${x(chart.at[i]).toFixed(1)} ${y(v).toFixed(1)}` : "")).filter(Boolean);
  if (s.low) g.append(svg("path", { class: `band ${s.style}`, d: `M${points(s.high).join("L")}L${points(s.low).reverse().join("L")}Z` }));
  g.append(svg("path", { class: `line ${s.style}`, d: "M" + points(s.values).join("L") }));
}

function drawDots(g, x, y, chart, s) {
  const d = Array.from(s.values, (v, i) => (Number.isFinite(v + chart.at[i]) ? `M${x(chart.at[i]).toFixed(1)} ${y(v).toFixed(1)}h0` : "")).join("");
  g.append(svg("path", { class: `cloud ${s.style}`, d, "stroke-width": chart.at.length > 1000 ? 2 : 2.8 }));
}

/* What the pointer is over: the step of the lines, or the dot. */
function findUnder(chart, x, y, px, py) {
  let [best, near] = [-1, chart.diagonal ? 400 : Infinity];
  chart.at.forEach((v, i) => {
    for (const s of chart.diagonal ? chart.series : chart.series.slice(0, 1)) {
      const d = (x(v) - px) ** 2 + (chart.diagonal ? (y(s.values[i]) - py) ** 2 : 0);
      if (d < near) [best, near] = [i, d];
    }
  });
  if (best < 0) return null;
  const value = (s) => `${s.name}: ${number(s.values[best])}` + (s.low ? ` (${number(s.low[best])} to ${number(s.high[best])})` : "");
  return [[chart.names[best] ?? `${chart.x}: ${number(chart.at[best])}`, ...(chart.names.length ? [`${chart.x}: ${number(chart.at[best])}`] : []), ...chart.series.map(value)],
    x(chart.at[best])];
}

function seriesChart(parent, from) {
  const floats = (text) => (text === null ? null : decode(text, "float"));
  const chart = { ...from, at: floats(from.at),
    series: from.series.map((s, k) => ({ ...s, style: STYLES[k], values: floats(s.values), low: floats(s.low), high: floats(s.high) })) };
  const all = chart.series.flatMap((s) => [...s.values, ...(s.low ? [...s.low, ...s.high] : [])]).concat(chart.diagonal ? [...chart.at] : []).filter(Number.isFinite);
  const ends = (s) => s.values.filter(Number.isFinite).sort();
  const label = `${chart.title}: ` + chart.series.map((s) => `${s.name} from ${number(ends(s).at(0) ?? NaN)} to ${number(ends(s).at(-1) ?? NaN)}`).join("; ");
  const key = chart.series.map((s) => keyLine(s.name, s.dots ? `${s.style} dots` : s.style));
  if (chart.shaded.some(Boolean)) key.push(keyShade(chart.shade));
  return new Chart(parent, chart.title, { label, key }, (g, width, picture) => {
    const box = { left: 52, right: width - 10, top: 30, bottom: HEIGHT - 42 };
    const [low, most] = [Math.min(0, ...all), Math.max(0, ...all)];
    const x = chart.diagonal ? scale(low, most, box.left + 4, box.right) : scale(chart.at[0], chart.at[chart.at.length - 1], box.left, box.right);
    const y = scale(low, most * (chart.diagonal ? 1 : 1.05) || 1, box.bottom, box.top);
    drawShade(g, box, x, chart);
    drawAxes(g, box, x, y, { x: chart.x, y: chart.y });
    for (const s of chart.series) (s.dots ? drawDots : drawLine)(g, x, y, chart, s);
    if (chart.diagonal) g.append(svg("path", { class: "best", d: `M${x(low)} ${y(low)}L${x(most)} ${y(most)}` }));
    const cursor = g.appendChild(svg("path", { class: "cursor", visibility: "hidden" }));
    picture.hover((px, py) => {
      const found = findUnder(chart, x, y, px, py);
      cursor.setAttribute("visibility", found ? "visible" : "hidden");
      if (found) cursor.setAttribute("d", `M${found[1]} ${box.top}V${box.bottom}`);
      return found;
    });
  });
}

const sectionCharts = (data) => data.sections.flatMap((s) => s.charts.map((c) => seriesChart(s.pictures, c)));
