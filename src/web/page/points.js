/* points.js: the cells, drawn by WebGL2: a million points of 12 bytes. They are stored in random order, so that the first of them,
 * however many, are an even sample of all. */

const POINT_VERTEX = `#version 300 es
in vec2 place;
in vec4 paint;
uniform vec2 center, factor;
uniform float size;
out vec4 tint;
void main() {
  gl_Position = vec4((place - center) * factor, 0.0, 1.0);
  gl_PointSize = size;
  tint = paint;
}`;

const POINT_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint;
uniform float size;
out vec4 color;
void main() {
  float far = length(gl_PointCoord - 0.5) * size;
  float a = tint.a * clamp(0.5 * size - far + 0.5, 0.0, 1.0);
  color = vec4(tint.rgb * a, a);
}`;

function glProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("shader: " + gl.getProgramInfoLog(program));
  const at = {};
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(program, i);
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}

class Points {
  /* mixed: the cells in random order. */
  constructor(gl, xy, mixed) {
    this.gl = gl;
    this.n = mixed.length;
    this.mixed = mixed;
    this.place = new Uint32Array(this.n);         /* of a cell in that order */
    for (let k = 0; k < this.n; k++) this.place[mixed[k]] = k;
    Object.assign(this, glProgram(gl, POINT_VERTEX, POINT_FRAGMENT));
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    this.placeBuffer = this.attribute("place", this.storedXy(xy), 2, gl.FLOAT, false);
    this.paintBuffer = this.attribute("paint", new Uint8Array(4 * this.n), 4, gl.UNSIGNED_BYTE, true);
    this.orderBuffer = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.orderBuffer);
    gl.bindVertexArray(null);
  }

  attribute(name, values, parts, type, normalized) {
    const gl = this.gl;
    const buffer = gl.createBuffer();
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, parts, type, normalized, 0, 0);
    return buffer;
  }

  storedXy(xy) {
    const out = new Float32Array(2 * this.n);
    for (let k = 0; k < this.n; k++) {
      out[2 * k] = xy[2 * this.mixed[k]];
      out[2 * k + 1] = xy[2 * this.mixed[k] + 1];
    }
    return out;
  }

  /* Four bytes a cell, taken as one number. */
  storedPaint(paint) {
    const from = new Uint32Array(paint.buffer);
    const out = new Uint32Array(this.n);
    for (let k = 0; k < this.n; k++) out[k] = from[this.mixed[k]];
    return out;
  }

  places(cells) {
    const out = new Uint32Array(this.n);
    for (let k = 0; k < this.n; k++) out[k] = this.place[cells[k]];
    return out;
  }

  /* paint: bytes r, g, b, a; order: the cells, those drawn last on top, or null: as they are stored. */
  color(paint, order) {
    const gl = this.gl;
    this.ordered = order !== null;
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.paintBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.storedPaint(paint), gl.STATIC_DRAW);
    if (this.ordered) gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.places(order), gl.STATIC_DRAW);
    gl.bindVertexArray(null);
  }

  /* Cells from .. to - 1, of the order given if `ordered`, else of that of storage; size: in pixels of the page. */
  draw({ view, ratio }, size, from, to, ordered) {
    const gl = this.gl;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.array);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniform2f(this.at.center, view.cx, view.cy);
    gl.uniform2f(this.at.factor, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
    gl.uniform1f(this.at.size, size * ratio);
    if (ordered && this.ordered) gl.drawElements(gl.POINTS, to - from, gl.UNSIGNED_INT, 4 * from);
    else gl.drawArrays(gl.POINTS, from, to - from);
    gl.bindVertexArray(null);
  }
}
