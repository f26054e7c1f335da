/* colors.js: what cells are coloured by, and the colours, which readers with any kind of colour vision can tell apart as far as
 * that can be. The same colours as in the report. */

/* Thirty colours, each as far as can be from those before it for normal sight, protanopia and deuteranopia (least distance in
 * OKLab). Further categories begin again; names on the map and highlighting tell them apart. */
const PALETTE = ["#1e69a5", "#c35a2d", "#4bd2e1", "#e1b42d", "#871e4b", "#9687e1", "#009687", "#87b487", "#963c00", "#d2871e",
  "#4b3c96", "#87a5c3", "#874b78", "#3c87b4", "#5ab4ff", "#87d287", "#875a4b", "#4ba569", "#69875a", "#5a78d2", "#00d2b4",
  "#693c78", "#5aa596", "#d2a55a", "#3c872d", "#872d2d", "#6996b4", "#2d7896", "#87c3ff", "#3c69c3"];
/* For numbers: viridis (van der Walt and Smith 2015, CC0) on dark; on light paper the other way round and pale where it is low. */
const RAMP_DARK = ["#472d7b", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const RAMP_LIGHT = ["#dcd9bd", "#bcd39b", "#86c48c", "#4bb090", "#2a9893", "#26808e", "#30688c", "#3c5088", "#46357c", "#471a66", "#37044a"];
const STEPS = 64;

/* Classes of places: the number, what the legend and the panel call them, and the sign of the panel. */
const CLASSES = [
  { name: "observed", words: "Cells like this were observed", hint: "land: cells support these places", css: "land", box: "good", sign: "✓" },
  { name: "chimera", words: "Looks like a mixture", hint: "two groups mixed explain these places, as two cells in one droplet do", css: "chimera", box: "warn", sign: "≈" },
  { name: "contradicts a rule", words: "Contradicts a rule", hint: "two genes that exclude each other (a rule given, or learned from these data) are on together", css: "rule", box: "bad", sign: "×" },
  { name: "never observed", words: "Never observed in these data", hint: "no mixture explains it; it may be real and unseen", css: "never", box: "warn", sign: "?" },
];

/* Those that places of a map can have: images are held against no mixture and no rule. */
const classesOf = (map) => (map.images ? [CLASSES[0], { ...CLASSES[3], hint: "it may be real and unseen" }] : CLASSES);

function rgb(hex) {
  const v = parseInt(hex.slice(1), 16);
  return [v >> 16, (v >> 8) & 255, v & 255];
}

/* Colours 0..STEPS-1 of a ramp. */
function rampSteps(dark) {
  const ramp = (dark ? RAMP_DARK : RAMP_LIGHT).map(rgb);
  return Array.from({ length: STEPS }, (_, s) => {
    const t = (s / (STEPS - 1)) * (ramp.length - 1);
    const k = Math.min(ramp.length - 2, Math.floor(t));
    return ramp[k].map((c, i) => Math.round(c + (ramp[k + 1][i] - c) * (t - k)));
  });
}

/* A fixed shuffle of 0..n-1. */
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

/* Categories: step[cell] is the code, -1 for missing; none is on top of the others. */
function ofCategories(title, categories, codes, missing) {
  const step = Int16Array.from(codes, (c) => (c === missing || c >= categories.length ? -1 : c));
  const sizes = new Array(categories.length).fill(0);
  for (const s of step) if (s >= 0) sizes[s]++;
  return { kind: "category", title, categories, step, sizes, order: null };
}

/* Numbers: the range shown leaves out half a percent at each end, taken from at most 20,000 cells; high ones are drawn last. */
function ofNumbers(title, values, unit) {
  const every = Math.max(1, Math.floor(values.length / 20000));
  const some = [];
  for (let i = 0; i < values.length; i += every) if (Number.isFinite(values[i])) some.push(values[i]);
  some.sort((a, b) => a - b);
  let [low, high] = [some[Math.floor(0.005 * some.length)], some[Math.floor(0.995 * some.length)]];
  if (!(high > low)) [low, high] = [some[0] ?? 0, some[some.length - 1] ?? 1];
  const step = new Int16Array(values.length).fill(-1);
  const factor = (STEPS - 1e-3) / (high - low || 1);
  for (let i = 0; i < values.length; i++)
    if (Number.isFinite(values[i])) step[i] = Math.max(0, Math.min(STEPS - 1, Math.floor((values[i] - low) * factor)));
  return { kind: "number", title, values, unit, low, high, step, order: byStep(step) };
}

/* Cells by rising step. */
function byStep(step) {
  const start = new Uint32Array(STEPS + 2);
  for (const s of step) start[s + 2]++;
  for (let k = 1; k < start.length; k++) start[k] += start[k - 1];
  const order = new Uint32Array(step.length);
  for (let i = 0; i < step.length; i++) order[start[step[i] + 1]++] = i;
  return order;
}

const FADED = 22;
const MISSING = 110;
const PLAIN = 225;

/* Four bytes as the one number that holds them in memory. */
const packed = ([r, g, b], alpha) => (r | (g << 8) | (b << 16) | (alpha << 24)) >>> 0;

/* Bytes r, g, b, a of every cell. `only`: the category that is not faded, or -1. */
function paintCells(coloring, dark, only) {
  const steps = coloring.kind === "category" ? PALETTE.map(rgb) : rampSteps(dark);
  const missing = packed(rgb(dark ? "#55606a" : "#b9bcb6"), only >= 0 ? FADED : MISSING);
  const n = coloring.kind === "category" ? coloring.categories.length : STEPS;
  const table = Uint32Array.from({ length: n }, (_, s) => packed(steps[s % steps.length], only >= 0 && s !== only ? FADED : PLAIN));
  const out = new Uint32Array(coloring.step.length);
  for (let i = 0; i < out.length; i++) out[i] = coloring.step[i] < 0 ? missing : table[coloring.step[i]];
  return new Uint8Array(out.buffer);
}
