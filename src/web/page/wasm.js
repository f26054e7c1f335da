/* wasm.js: the functions of explorer.wasm (docs/EXPLORER.md) as methods that take and give arrays. Its memory may grow in any
 * call that allocates, so views of it are made anew, and what is returned is a copy. */

const DECODE_AT_ONCE = 32;
const VALUES_AT_ONCE = 1 << 20;      /* of images there are fewer at once */

class Model {
  constructor(map) {
    this.L = map.n_latent;
    this.G = map.n_genes;
    this.N = map.n_cells;
    this.atOnce = Math.max(1, Math.min(DECODE_AT_ONCE, Math.floor(VALUES_AT_ONCE / this.G)));
  }

  async open(program, place, xy, z) {
    if (typeof WebAssembly !== "object") throw new Trouble("This browser has no WebAssembly, so the page cannot decode.");
    const { instance } = await WebAssembly.instantiate(program).catch((e) => {
      throw new Trouble(`The model could not be started in this browser (${e.message}). Cells and colours work; decoding does not.`);
    });
    this.wasm = instance.exports;
    this.wasm._initialize();
    const [p, x, points] = [place, xy, z].map((array) => this.put(array));
    this.check(this.wasm.iso_web_open(p, place.length, x, points, this.N));
    this.zIn = this.alloc(4 * this.L * this.atOnce);
    this.zEnd = this.alloc(4 * this.L);
    this.wide = this.alloc(4 * this.G * this.atOnce);
    this.answer = this.alloc(8 * 12);
    return this;
  }

  alloc(bytes) {
    const p = this.wasm.iso_web_alloc(bytes);
    if (!p) throw new Trouble("The browser has no memory left for this.");
    return p;
  }

  put(array) {
    const p = this.alloc(Math.max(1, array.byteLength));
    new Uint8Array(this.wasm.memory.buffer, p, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return p;
  }

  set(p, floats) {
    new Float32Array(this.wasm.memory.buffer, p, floats.length).set(floats);
    return p;
  }

  floats(p, n) { return new Float32Array(this.wasm.memory.buffer, p, n).slice(); }
  doubles(p, n) { return new Float64Array(this.wasm.memory.buffer, p, n).slice(); }

  /* A status that is not 0: the reason, in the library's words. */
  check(status) {
    if (!status) return;
    const bytes = new Uint8Array(this.wasm.memory.buffer, this.wasm.iso_web_error());
    throw new Trouble("The model says: " + new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))));
  }

  /* z [n, L] to [n, G]: by a function of the model. */
  each(z, made) {
    const n = z.length / this.L;
    const out = new Float32Array(n * this.G);
    for (let i = 0; i < n; i += this.atOnce) {
      const m = Math.min(this.atOnce, n - i);
      this.check(made(this.set(this.zIn, z.subarray(i * this.L, (i + m) * this.L)), m, this.wide));
      out.set(new Float32Array(this.wasm.memory.buffer, this.wide, m * this.G), i * this.G);
    }
    return out;
  }

  decode(z) { return this.each(z, this.wasm.iso_web_decode); }

  /* How much the decoders differ: standard deviations of log shares. */
  spread(z) { return this.each(z, this.wasm.iso_web_spread); }

  classify(z) {
    this.check(this.wasm.iso_web_classify(this.set(this.zIn, z), this.answer));
    const a = this.doubles(this.answer, 12);
    return { kind: a[0], logDensity: a[1], p: a[2], fit: a[4], first: a[5], firstShare: a[6], second: a[7], secondShare: a[8], rule: a[9],
      disagreement: a[10], uncertain: a[11] !== 0 };
  }

  /* A point of the picture to z. */
  lift(x, y) {
    this.wasm.iso_web_lift(x, y, this.zIn);
    return this.floats(this.zIn, this.L);
  }

  /* z [n, L] to the picture [n, 2]. */
  project(z) {
    const n = z.length / this.L;
    const [from, to] = [this.put(z), this.alloc(8 * n)];
    this.check(this.wasm.iso_web_project(from, n, to));
    const xy = this.floats(to, 2 * n);
    this.wasm.iso_web_free(from);
    this.wasm.iso_web_free(to);
    return xy;
  }

  nearest(z, k) {
    const [cells, far] = [this.alloc(4 * k), this.alloc(4 * k)];
    const n = this.wasm.iso_web_nearest(this.set(this.zIn, z), k, cells, far);
    const out = Array.from(new Int32Array(this.wasm.memory.buffer, cells, n), (cell) => ({ cell }));
    this.floats(far, n).forEach((d, i) => { out[i].distance = d; });
    this.wasm.iso_web_free(cells);
    this.wasm.iso_web_free(far);
    return out;
  }

  gene(j) {
    const out = this.alloc(4 * this.N);
    try {
      this.check(this.wasm.iso_web_gene(j, out));
      return this.floats(out, this.N);
    } finally {
      this.wasm.iso_web_free(out);
    }
  }

  /* n places from a to b: z [n, L] and their p-values [n]. */
  path(a, b, along, n) {
    const [z, p] = [this.alloc(4 * n * this.L), this.alloc(8 * n)];
    try {
      this.check(this.wasm.iso_web_path(this.set(this.zIn, a), this.set(this.zEnd, b), along ? 1 : 0, n, z, p));
      return { z: this.floats(z, n * this.L), p: this.doubles(p, n) };
    } finally {
      this.wasm.iso_web_free(z);
      this.wasm.iso_web_free(p);
    }
  }
}
