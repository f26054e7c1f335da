/* data.js: map.json and its arrays, from the page itself (packed, base64) or from files beside it. docs/EXPLORER.md describes them. */

const TYPES = { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array };

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function fetchBytes(file) {
  const answer = await fetch(file).catch(() => null);
  if (!answer || !answer.ok) throw new Trouble(`The file ${file} of this map is missing or could not be read.`);
  return new Uint8Array(await answer.arrayBuffer());
}

class Source {
  constructor() {
    const inline = byId("map");
    this.alone = Boolean(inline);
    this.kept = new Map();          /* array name: promise of its values */
    this.json = inline && inline.textContent;
  }

  async open() {
    if (!this.alone && location.protocol === "file:")
      throw new Trouble("This map is a folder of files, which a browser reads only from a web server. Make one file of it with "
        + "“isolario explore RUN -o map.html”, or serve the folder, for example with “python3 -m http.server”.");
    const text = this.alone ? this.json : new TextDecoder().decode(await fetchBytes("map.json"));
    const map = JSON.parse(text);
    this.json = null;
    if (map.format !== "isolario-map" || map.version !== 1)
      throw new Trouble(`This map is of version ${map.version}, and the page reads version 1: make both with the same program.`);
    this.map = map;
    return map;
  }

  /* The bytes of an array, or of the program ("wasm", explorer.wasm). */
  async bytes(name, file) {
    if (!this.alone) return fetchBytes(file);
    const element = document.querySelector(`script[data-name="${CSS.escape(name)}"]`);
    if (!element) throw new Trouble(`The page lacks its part “${name}”: it may have been cut short when it was copied.`);
    const bytes = fromBase64(element.textContent);
    element.remove();               /* its text takes more room than the values */
    if (element.dataset.packed !== "deflate") return bytes;
    return unpack(bytes).catch(() => { throw new Trouble(`The part “${name}” of this page is damaged: it may have been cut short when it was copied.`); });
  }

  array(name) {
    if (!this.kept.has(name)) this.kept.set(name, this.read(name));
    return this.kept.get(name);
  }

  async read(name) {
    const about = this.map.arrays[name];
    if (!about || !TYPES[about.dtype]) throw new Trouble(`The map does not say what its array “${name}” is.`);
    const bytes = await this.bytes(name, about.file);
    const n = about.shape.reduce((a, b) => a * b, 1);
    if (bytes.length !== n * TYPES[about.dtype].BYTES_PER_ELEMENT)
      throw new Trouble(`The array “${name}” of this map has ${whole.format(bytes.length)} bytes, which is not its size: the file may be cut short.`);
    return new TYPES[about.dtype](bytes.buffer, bytes.byteOffset, n);
  }

  async cellNames() {
    return new TextDecoder().decode(await this.array(this.map.cell_names)).split("\n").slice(0, this.map.n_cells);
  }
}
