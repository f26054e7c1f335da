/* kept.js: the last finished picture, kept as a texture: what is still of use while the view moves, and where a new one is drawn
 * piece by piece before it is shown. */

const KEPT_VERTEX = `#version 300 es
in vec2 corner;
uniform vec4 place;
out vec2 at;
void main() {
  at = corner;
  gl_Position = vec4(place.xy + corner * place.zw, 0.0, 1.0);
}`;

const KEPT_FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D picture;
in vec2 at;
out vec4 color;
void main() { color = vec4(texture(picture, at).rgb, 1.0); }`;

class Kept {
  constructor(gl) {
    this.gl = gl;
    Object.assign(this, glProgram(gl, KEPT_VERTEX, KEPT_FRAGMENT));
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    const at = gl.getAttribLocation(this.program, "corner");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    this.texture = gl.createTexture();
    this.buffer = gl.createFramebuffer();
  }

  /* What is drawn from here on goes into the texture, which has the canvas's size. */
  begin() {
    const { gl } = this;
    const { width, height } = gl.canvas;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    if (this.width === width && this.height === height) return;
    Object.assign(this, { width, height });
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);      /* the quickest in software */
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
  }

  end() { this.gl.bindFramebuffer(this.gl.FRAMEBUFFER, null); }

  /* The picture, drawn for the view `from`, where it lies in the view `to`. */
  draw(from, to) {
    const { gl } = this;
    const [wide, high] = [(from.width / from.scale) * (to.scale / to.width), (from.height / from.scale) * (to.scale / to.height)];
    const [x, y] = [((from.cx - to.cx) * 2 * to.scale) / to.width, ((from.cy - to.cy) * 2 * to.scale) / to.height];
    gl.disable(gl.BLEND);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.array);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.uniform1i(this.at.picture, 0);
    gl.uniform4f(this.at.place, x - wide, y - high, 2 * wide, 2 * high);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.bindVertexArray(null);
  }
}
