/* sea.js: land, coast, lines of equal density, and voids as seas of their own pattern, drawn by one shader from the raster. */

const SEA_VERTEX = `#version 300 es
in vec2 corner;
void main() { gl_Position = vec4(corner, 0.0, 1.0); }`;

const SEA_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D fields, masks;
uniform vec4 box;
uniform vec2 center, half_frame;
uniform float scale, ratio;
uniform vec3 sea, land, coast, chimera, rule, never;
out vec4 color;

float line(float value, float level, float wide) {
  return 1.0 - smoothstep(wide - 0.5, wide + 0.5, abs(value - level) / max(fwidth(value), 1e-6));
}

void main() {
  vec2 at = center + (gl_FragCoord.xy - half_frame) / scale;
  vec2 uv = (at - box.xy) / (box.zw - box.xy);
  vec3 field = texture(fields, uv).rgb;
  vec4 mask = texture(masks, uv);
  float out_at_sea = smoothstep(0.45, 0.55, mask.a);
  vec3 c = mix(land, sea, out_at_sea);

  /* Patterns in pixels, so that they are told apart without colour: waves, crossed lines, dots. */
  vec2 px = gl_FragCoord.xy / ratio;
  float waves = step(0.62, fract((px.y + 1.6 * sin(px.x * 0.6)) / 6.0));
  float crossed = max(step(0.8, fract((px.x + px.y) / 7.0)), step(0.8, fract((px.x - px.y) / 7.0)));
  float dots = 1.0 - step(1.3, length(fract(px / 6.0) * 6.0 - 3.0));
  c = mix(c, mix(mix(sea, chimera, 0.35), chimera, waves), smoothstep(0.3, 0.6, mask.r));
  c = mix(c, mix(mix(sea, rule, 0.3), rule, crossed), smoothstep(0.3, 0.6, mask.g));
  c = mix(c, mix(mix(sea, never, 0.3), never, dots), smoothstep(0.3, 0.6, mask.b));

  /* Grey where the decoders disagree. */
  float pale = dot(c, vec3(0.3, 0.59, 0.11));
  c = mix(c, mix(vec3(pale), vec3(0.5), 0.22), 0.85 * smoothstep(0.3, 0.7, field.b) * (1.0 - out_at_sea));

  float level = field.r * 6.0;
  float contour = (1.0 - smoothstep(0.2, 1.2, abs(fract(level + 0.5) - 0.5) / max(fwidth(level), 1e-6))) * step(0.5, level);
  c = mix(c, coast, 0.35 * contour * (1.0 - out_at_sea));
  c = mix(c, coast, line(mask.a, 0.5, 0.8 * ratio));
  float shore = 0.5 * line(field.g, 0.78, 0.6 * ratio) + 0.35 * line(field.g, 0.92, 0.6 * ratio) + 0.2 * line(field.g, 0.985, 0.6 * ratio);
  c = mix(c, coast, shore * out_at_sea);
  color = vec4(c, 1.0);
}`;

class Sea {
  constructor(gl, ground) {
    this.gl = gl;
    this.ground = ground;
    Object.assign(this, glProgram(gl, SEA_VERTEX, SEA_FRAGMENT));
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);    /* one triangle covers the frame */
    const at = gl.getAttribLocation(this.program, "corner");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    this.fields = this.texture(gl.RGBA16F, gl.RGBA, gl.FLOAT, ground.fields);
    this.masks = this.texture(gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, ground.masks);
  }

  texture(inside, format, type, values) {
    const gl = this.gl;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, this.ground.width, this.ground.height, 0, format, type, values);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.LINEAR);
    return texture;
  }

  /* theme: colours of the page by name, each [r, g, b] in 0..255. */
  draw(view, ratio, theme) {
    const gl = this.gl;
    gl.disable(gl.BLEND);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.array);
    [this.fields, this.masks].forEach((texture, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
    gl.uniform1i(this.at.fields, 0);
    gl.uniform1i(this.at.masks, 1);
    gl.uniform4fv(this.at.box, this.ground.box);
    gl.uniform2f(this.at.center, view.cx, view.cy);
    gl.uniform2f(this.at.half_frame, (view.width * ratio) / 2, (view.height * ratio) / 2);
    gl.uniform1f(this.at.scale, view.scale * ratio);
    gl.uniform1f(this.at.ratio, ratio);
    for (const name of ["sea", "land", "coast", "chimera", "rule", "never"]) gl.uniform3fv(this.at[name], theme[name].map((v) => v / 255));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindVertexArray(null);
  }
}
