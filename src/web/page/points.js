/* points.js: the cells, drawn by WebGL2 in one call: a million points of 12 bytes. */

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
  constructor(gl, xy) {
    this.gl = gl;
    this.n = xy.length / 2;
    Object.assign(this, glProgram(gl, POINT_VERTEX, POINT_FRAGMENT));
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    this.attribute("place", xy, 2, gl.FLOAT, false);
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

  /* paint: bytes r, g, b, a; order: the cells, those drawn last on top. */
  color(paint, order) {
    const gl = this.gl;
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.paintBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, paint, gl.STATIC_DRAW);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
  }

  draw(view, ratio) {
    const gl = this.gl;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.array);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniform2f(this.at.center, view.cx, view.cy);
    gl.uniform2f(this.at.factor, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
    gl.uniform1f(this.at.size, view.pointSize(this.n) * ratio);
    gl.drawElements(gl.POINTS, this.n, gl.UNSIGNED_INT, 0);
    gl.bindVertexArray(null);
  }
}
