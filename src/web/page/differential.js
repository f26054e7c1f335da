/* differential.js: which genes differ between two sets of cells. For each: means in counts per 10,000, log2 of their ratio, and
 * the effect size: the difference of mean log1p in units of the pooled standard deviation (Cohen's d). No p-values: the sets
 * were chosen by looking at the same data. */

const DECODED_CELLS = 300;    /* of each set, when decoded */
const AT_ONCE = 32;           /* genes: in a folder each has a file */
const LEAST_MEAN = 0.05;      /* added to means before their ratio is taken */

const log2Ratio = (a, b) => Math.log2((Math.max(0, a) + LEAST_MEAN) / (Math.max(0, b) + LEAST_MEAN));

/* sums: {n, mean, level, square} of each side; fold(mean, mean) sets the means against each other. */
function compared(j, a, b, fold) {
  const variance = (s) => Math.max(0, s.square / s.n - (s.level / s.n) ** 2);
  const pooled = Math.sqrt((a.n * variance(a) + b.n * variance(b)) / (a.n + b.n));
  const difference = a.level / a.n - b.level / b.n;
  return { gene: j, a: a.mean / a.n, b: b.mean / b.n, effect: pooled > 1e-9 ? difference / pooled : 0,
    fold: fold(a.mean / a.n, b.mean / b.n) };
}

function evenly(cells, most) {
  const n = Math.min(most, cells.length);
  return Array.from({ length: n }, (_, i) => cells[Math.floor((i * cells.length) / n)]);
}

class Differential {
  constructor(app) { this.app = app; }

  /* Rows of every gene; say(words) hears of progress. */
  async compare(a, b, say) {
    if (this.app.expression.hasCounts) return { rows: await this.counted(a, b, say), from: "From the counts of these cells." };
    return { rows: await this.decoded(a, b), from: `Decoded by the model from up to ${DECODED_CELLS} cells of each; this map has no counts.` };
  }

  async decoded(a, b) {
    const [x, y] = [await this.sums(a), await this.sums(b)];
    const fold = this.app.expression.ofCounts ? log2Ratio : (p, q) => p - q;      /* means of data that are no counts may be negative */
    return x.map((s, j) => compared(j, s, y[j], fold));
  }

  async sums(cells) {
    const { expression, map, source } = this.app;
    const z = await source.array("z");
    const some = evenly(cells, DECODED_CELLS);
    const places = new Float32Array(some.length * map.n_latent);
    some.forEach((cell, i) => places.set(z.subarray(cell * map.n_latent, (cell + 1) * map.n_latent), i * map.n_latent));
    const sums = map.genes.map(() => ({ n: some.length, mean: 0, level: 0, square: 0 }));
    expression.decode(places).forEach((v, k) => {
      const s = sums[k % map.n_genes];
      const level = expression.level(v);
      s.mean += v;
      s.level += level;
      s.square += level * level;
    });
    return sums;
  }

  async counted(a, b, say) {
    const { expression, map, source } = this.app;
    const side = new Uint8Array(map.n_cells);
    for (const cell of a) side[cell] |= 1;
    for (const cell of b) side[cell] |= 2;
    const totals = await source.array(map.totals);
    const rows = [];
    let since = performance.now();
    for (let j = 0; j < map.n_genes; j += AT_ONCE) {
      const counts = await Promise.all(map.genes.slice(j, j + AT_ONCE).map((_, k) => expression.counts(j + k)));
      counts.forEach(([cells, values], k) => rows.push(this.countedGene(j + k, cells, values, side, totals, a.length, b.length)));
      if (performance.now() - since < 100) continue;
      say(`Comparing: ${rows.length} of ${map.n_genes} genes …`);
      await nextFrame();
      since = performance.now();
    }
    return rows;
  }

  countedGene(j, cells, values, side, totals, nA, nB) {
    const sums = [{ n: nA, mean: 0, level: 0, square: 0 }, { n: nB, mean: 0, level: 0, square: 0 }];
    for (let i = 0; i < cells.length; i++) {
      const where = side[cells[i]];
      if (!where) continue;
      const rate = (1e4 * values[i]) / (totals[cells[i]] || 1);
      const level = Math.log1p(rate);
      for (let k = 0; k < 2; k++) {
        if (!(where & (1 << k))) continue;
        sums[k].mean += rate;
        sums[k].level += level;
        sums[k].square += level * level;
      }
    }
    return compared(j, ...sums, log2Ratio);
  }
}
