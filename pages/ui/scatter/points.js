// The points on a WebGL2 canvas: one draw call, colours from a palette texture, so that a legend click uploads a few bytes.

const VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec2 position;
layout(location = 1) in uint code;
layout(location = 2) in uint flags; // bit 0 not drawn, 1 selected, 2-3 layer, 4 fails a filter, 5-7 density
uniform vec2 scale, offset;
uniform float size, ringSize, crowd; // crowd: how much crowded points shrink and fade, 0 to 1
uniform bool ghosts;
uniform vec4 layerOn, ink;
uniform bool onlyPlain;
uniform sampler2D palette; // alpha 0: category switched off
out vec4 colour;
flat out float diameter, ring, faint;
void main() {
  vec4 c = texelFetch(palette, ivec2(int(code & 255u), int(code >> 8)), 0);
  int layer = int((flags >> 2) & 3u);
  bool off = (flags & 1u) != 0u || c.a < 0.5 || layerOn[layer] < 0.5 || (onlyPlain && (flags & 2u) != 0u) || ghosts != ((flags & 16u) != 0u);
  gl_Position = off ? vec4(2.0, 2.0, 2.0, 1.0) : vec4(position * scale + offset, 0.0, 1.0);
  ring = layer > 0 ? 1.0 : 0.0;
  float dense = crowd * (float(flags >> 5) - 3.0) / 4.0; // -0.75 lonely … 1 crowded
  diameter = layer > 0 ? ringSize : size * (1.0 - 0.16 * dense);
  faint = layer > 0 ? 1.0 : clamp(1.0 - 0.3 * dense, 0.5, 1.4);
  gl_PointSize = diameter;
  colour = layer > 0 ? vec4(ink.rgb, 1.0) : vec4(ghosts ? ink.rgb : c.rgb, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
flat in float diameter, ring, faint;
uniform float alpha, ringAlpha, fade, rimFrom;
uniform vec4 ground; // the page: a rim in it keeps touching points apart
uniform vec4 fadeTo;
out vec4 pixel;
void main() {
  float a = ring > 0.5 ? ringAlpha : min(1.0, alpha * faint);
  vec3 rgb = mix(colour.rgb, fadeTo.rgb, fade);
  if (diameter > 2.5) {
    float d = length(gl_PointCoord - 0.5) * diameter, r = diameter * 0.5;
    a *= clamp(r - d + 0.35, 0.0, 1.0);
    if (ring > 0.5) a *= clamp(d - (r - max(1.0, diameter * 0.15)) + 0.5, 0.0, 1.0);
    else if (diameter > rimFrom) rgb = mix(rgb, ground.rgb, clamp(d - (r - 1.1), 0.0, 1.0) * 0.75);
  }
  pixel = vec4(rgb * a, a);
}`;

function rgb(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

class PointPainter {
  /** Throws where WebGL2 is missing. */
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, premultipliedAlpha: true, powerPreference: "high-performance" });
    if (!gl) throw new Error("no WebGL2");
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error("shaders: " + gl.getProgramInfoLog(program));
    this.program = program;
    this.at = {};
    for (const name of ["scale", "offset", "size", "ringSize", "layerOn", "ink", "onlyPlain", "palette", "alpha", "ringAlpha", "fade", "fadeTo", "ground", "rimFrom", "crowd", "ghosts"])
      this.at[name] = gl.getUniformLocation(program, name);
    this.vao = gl.createVertexArray();
    gl.bindVertexArray(this.vao);
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_SHORT, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[2]);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, 0, 0);
    for (const i of [0, 1, 2]) gl.enableVertexAttribArray(i);
    this.chosen = gl.createBuffer();
    this.chosenCount = 0;
    this.texture = gl.createTexture();
    this.count = 0;
  }

  /** Upload in a spread order: no category lies on top of all others, and any first part is a fair sample. */
  positions(xs, ys, box) {
    const n = xs.length, out = new Float32Array(2 * n), step = n ? spreadStep(n) : 1;
    const mx = (box.x0 + box.x1) / 2, my = (box.y0 + box.y1) / 2, hx = (box.x1 - box.x0) / 2 || 1, hy = (box.y1 - box.y0) / 2 || 1;
    this.frame = { mx, my, hx, hy };
    this.order = new Uint32Array(n);
    for (let slot = 0, i = 0; slot < n; slot++, i = (i + step) % n) {
      this.order[slot] = i;
      out[2 * slot] = (xs[i] - mx) / hx;
      out[2 * slot + 1] = (ys[i] - my) / hy;
    }
    this.count = n;
    this.fill(0, out);
  }
  codes(codes) {
    const out = new Uint16Array(this.count), order = this.order;
    for (let slot = 0; slot < out.length; slot++) out[slot] = codes[order[slot]];
    this.fill(1, out);
  }
  /** flags: (N,) bytes as the shader reads them. filtered: some of them may fail a filter. */
  flags(flags, filtered) {
    this.filtered = filtered;
    const n = this.count, out = new Uint8Array(n), order = this.order;
    let chosen = 0;
    for (let slot = 0; slot < n; slot++) {
      out[slot] = flags[order[slot]];
      chosen += (out[slot] >> 1) & 1;
    }
    const slots = new Uint32Array(chosen);
    for (let slot = 0, k = 0; k < chosen; slot++) if (out[slot] & 2) slots[k++] = slot;
    this.fill(2, out);
    const gl = this.gl;
    gl.bindVertexArray(this.vao);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.chosen);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, slots, gl.DYNAMIC_DRAW);
    this.chosenCount = chosen;
  }
  fill(which, array) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[which]);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, array, this.gl.DYNAMIC_DRAW);
  }
  /** colours: one [r, g, b, shown] (bytes) a code. */
  palette(colours) {
    const gl = this.gl, rows = Math.max(1, Math.ceil(colours.length / 256)), out = new Uint8Array(rows * 1024);
    colours.forEach((c, k) => out.set(c, 4 * k));
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, out);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  /** Draw the view {cx, cy, sx, sy} on width x height CSS pixels; `most`: at most so many points (while moving). */
  draw(view, width, height, dpr, look, most = Infinity) {
    const gl = this.gl, at = this.at;
    if (gl.isContextLost()) return;
    const w = Math.max(1, Math.round(width * dpr)), h = Math.max(1, Math.round(height * dpr));
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const some = Math.min(this.count, most);
    if (!some) return;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vao);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.uniform1i(at.palette, 0);
    const f = this.frame, kx = (2 * view.sx) / width, ky = (2 * view.sy) / height;
    gl.uniform2f(at.scale, f.hx * kx, f.hy * ky);
    gl.uniform2f(at.offset, (f.mx - view.cx) * kx, (f.my - view.cy) * ky);
    gl.uniform1f(at.size, look.size * dpr);
    gl.uniform1f(at.ringSize, look.ringSize * dpr);
    gl.uniform1f(at.rimFrom, 4.2 * dpr);
    gl.uniform1f(at.crowd, look.crowd);
    gl.uniform4f(at.layerOn, ...look.layersOn);
    gl.uniform4f(at.ink, ...look.ink.map((v) => v / 255), 1);
    gl.uniform4f(at.ground, ...look.ground.map((v) => v / 255), 1);
    gl.uniform4f(at.fadeTo, ...look.fadeTo.map((v) => v / 255), 1);
    gl.uniform1i(at.ghosts, 0);
    const some2 = this.chosenCount > 0;
    const boost = some < this.count ? Math.min(3, Math.sqrt(this.count / some)) : 1;
    gl.uniform1i(at.onlyPlain, some2 ? 1 : 0);
    gl.uniform1f(at.fade, some2 ? 0.72 : 0);
    gl.uniform1f(at.alpha, Math.min(1, look.alpha * boost * (some2 ? 0.45 : 1)));
    gl.uniform1f(at.ringAlpha, Math.min(1, look.ringAlpha * (some2 ? 0.5 : 1)));
    if (this.filtered) {
      gl.uniform1i(at.ghosts, 1);
      gl.uniform1i(at.onlyPlain, 0);
      gl.uniform1f(at.fade, 1); // to the grey of the page: however many lie on each other, they never outshine what passes
      gl.uniform1f(at.alpha, look.ghost);
      gl.uniform1f(at.ringAlpha, look.ghost);
      gl.drawArrays(gl.POINTS, 0, Math.min(some, 250000)); // a fair sample of what is filtered out is enough to show where it was
      gl.uniform1i(at.ghosts, 0);
      gl.uniform1i(at.onlyPlain, some2 ? 1 : 0);
      gl.uniform1f(at.fade, some2 ? 0.72 : 0);
      gl.uniform1f(at.alpha, Math.min(1, look.alpha * boost * (some2 ? 0.45 : 1)));
      gl.uniform1f(at.ringAlpha, Math.min(1, look.ringAlpha * (some2 ? 0.5 : 1)));
    }
    gl.drawArrays(gl.POINTS, 0, some);
    if (some2) {
      gl.uniform1i(at.onlyPlain, 0);
      gl.uniform1f(at.fade, 0);
      const few = look.size > 3; // many small points keep their density look
      gl.uniform1f(at.size, (few ? look.size * 1.15 + 0.4 : look.size) * dpr);
      gl.uniform1f(at.alpha, Math.min(1, look.alpha * (few ? 1.6 : 1.3)));
      gl.uniform1f(at.ringAlpha, 1);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.chosen);
      gl.drawElements(gl.POINTS, Math.min(this.chosenCount, most), gl.UNSIGNED_INT, 0);
    }
  }
  /** Wait until what was asked is on the canvas. */
  settle() {
    this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
  free() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
