"use strict";
/* Reads map.json and the arrays from the page itself or from beside it, starts explorer.wasm, and decodes z = 0. */
(async () => {
  const inline = document.getElementById("map");
  const bytes = async (name, file) => {
    if (!inline) return new Uint8Array(await (await fetch(file)).arrayBuffer());
    const text = atob(document.querySelector(`script[data-name="${name}"]`).textContent);
    return Uint8Array.from(text, (c) => c.charCodeAt(0));
  };
  const map = inline ? JSON.parse(inline.textContent) : await (await fetch("map.json")).json();
  const { instance } = await WebAssembly.instantiate(await bytes("wasm", "explorer.wasm"));
  const wasm = instance.exports;
  wasm._initialize();
  const put = async (name) => {
    const b = await bytes(name, map.arrays[name].file), p = wasm.iso_web_alloc(b.length);
    new Uint8Array(wasm.memory.buffer).set(b, p);
    return [p, b.length];
  };
  const [place, size] = await put("place"), [xy] = await put("xy"), [z] = await put("z");
  const failed = wasm.iso_web_open(place, size, xy, z, map.n_cells);
  const point = wasm.iso_web_alloc(4 * map.n_latent), out = wasm.iso_web_alloc(4 * map.n_genes);
  if (!failed) wasm.iso_web_decode(point, 1, out);
  const decoded = new Float32Array(wasm.memory.buffer, out, map.n_genes);
  const best = decoded.indexOf(Math.max(...decoded));
  document.getElementById("origin").textContent = `z = 0 decodes to most of ${map.genes[best]}: ${decoded[best]}`;
  document.documentElement.dataset.ready = failed ? "no" : "yes";
})();
