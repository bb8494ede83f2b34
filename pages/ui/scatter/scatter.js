// The scatter: state, pointer and keys, legend, overlay. Text comes from data, so it only ever goes to textContent and fillText.

const PAINT_BUDGET = 30; // ms a frame may take while the view moves; slower machines then draw a fair sample
const CLICK_SLOP = 4, PICK_RADIUS = 9, LEGEND_LIMIT = 400;

class Scatter {
  constructor(root) {
    this.root = root;
    const one = (selector) => root.querySelector(selector);
    this.el = {
      plot: one(".plot"), under: one(".under"), points: one(".points"), over: one(".over"), pad: one(".pad"), tools: one(".tools"), chip: one(".chip"), help: one(".help"),
      wait: one(".wait"), tip: one(".tip"), legend: one(".legend"), title: one(".legend-title"), bar: one(".bar"), entries: one(".entries"),
      layers: one(".layers"), foot: one(".foot"), live: one(".live"), cutX: one(".cut-x"), cutY: one(".cut-y"),
    };
    this.applied = {}; // block name -> digest on the screen
    this.config = null;
    this.view = { cx: 0, cy: 0, sx: 1, sy: 1 };
    this.mode = "pan";
    this.hover = this.clicked = -1;
    this.sent = { selected: 0, cuts: 0 };
    this.off = new Set(); // names of categories switched off
    this.layersOn = [1, 1, 1, 1];
    this.pointers = new Map();
    this.frame = 0;
    this.drawCost = 0;
    this.aborter = new AbortController();
    try {
      this.painter = new PointPainter(this.el.points);
    } catch (error) {
      this.failed = String(error.message ?? error);
    }
    this.wake = () => this.apply();
    BLOCKS.waiting.add(this.wake);
    this.listen();
  }

  // ---- data in ------------------------------------------------------------------------------------------------

  update(config, send) {
    this.send = send;
    this.wanted = config;
    this.root.style.height = config.height + "px";
    if (this.failed) return this.refuse();
    this.readTheme();
    this.resize();
    this.apply();
  }

  refuse() {
    this.root.classList.add("failed");
    this.el.wait.classList.add("no-gl");
    this.el.wait.textContent = "This browser offers no WebGL2, which the fast plot needs. A simpler plot follows.";
    if (!this.toldFailed) {
      this.toldFailed = true;
      this.send("webgl", false);
    }
  }

  apply() {
    const next = this.wanted, blocks = {};
    if (!next || this.failed) return;
    for (const [name, digest] of Object.entries(next.blocks)) {
      if (this.applied[name] === digest) continue;
      blocks[name] = takeBlock(digest);
      if (blocks[name] === undefined) return; // on its way; its carrier wakes us
    }
    const began = performance.now(), before = this.config, fresh = before?.digest !== next.digest;
    this.config = next;
    const gone = (name) => this.applied[name] !== undefined && next.blocks[name] === undefined;
    const changed = (name) => fresh || blocks[name] !== undefined || gone(name);
    if (fresh) {
      this.stopDrawing();
      this.hover = this.clicked = -1;
      this.sent = { selected: 0, cuts: 0 };
      this.selected = new Uint8Array((next.count + 7) >> 3);
      this.hideTip();
    }
    if (blocks.xy) this.takePositions(new Float32Array(blocks.xy.buffer), next);
    if (changed("layer")) this.layer = blocks.layer ?? (next.blocks.layer ? this.layer : null);
    if (changed("visible") && !fresh) this.hover = -1;
    if (changed("visible")) this.visible = blocks.visible ?? (next.blocks.visible ? this.visible : null);
    if (changed("labels")) this.labels = blocks.labels ? this.readLabels(blocks.labels) : next.blocks.labels ? this.labels : null;
    const recoloured = blocks.colour || JSON.stringify(before?.colour) !== JSON.stringify(next.colour);
    if (blocks.colour) this.takeColour(blocks.colour, next);
    else if (recoloured) this.off.clear();
    if (next.blocks.selected === undefined) this.pythonSelected = null;
    else if (blocks.selected) this.pythonSelected = blocks.selected;
    // The page's selection rules once it has answered everything sent from here; before that it would undo newer strokes.
    const adopt = this.pythonSelected && next.seen.selected >= this.sent.selected && !sameBytes(this.pythonSelected, this.selected);
    if (adopt) this.selected = this.pythonSelected.slice();
    if (next.seen.cuts >= this.sent.cuts && !this.heldCut) this.cuts = next.cuts && [...next.cuts];
    for (const name of Object.keys(this.applied)) if (next.blocks[name] === undefined) delete this.applied[name];
    Object.assign(this.applied, next.blocks);

    this.layout();
    if (fresh && before?.digest !== next.digest) this.resetView();
    if (recoloured || fresh || !this.paletteTheme) this.paintPalette();
    if (fresh || adopt || changed("visible") || changed("layer")) this.uploadFlags();
    if (recoloured || fresh || changed("visible") || changed("layer")) this.buildLegend();
    this.describe();
    this.el.wait.hidden = true;
    const drawing = performance.now();
    this.drawNow();
    if (fresh && next.count) {
      this.painter.settle();
      this.drawCost = performance.now() - drawing;
    }
    this.root.dataset.ready = next.digest;
    this.root.dataset.paintMs = (performance.now() - began).toFixed(0);
    this.root.dataset.drawMs = this.drawCost.toFixed(0);
    this.root.dataset.paintedAt = Date.now();
    if (fresh) {
      this.grid = null;
      clearTimeout(this.gridTimer);
      this.gridTimer = setTimeout(() => this.pointGrid(), 60);
    }
  }

  takePositions(both, next) {
    const n = next.count;
    this.xs = both.subarray(0, n);
    this.ys = both.subarray(n);
    const box = { x0: Infinity, x1: -Infinity, y0: Infinity, y1: -Infinity };
    let placed = 0;
    for (let i = 0; i < n; i++) {
      const x = this.xs[i], y = this.ys[i];
      if (!(Number.isFinite(x) && Number.isFinite(y))) continue;
      placed += 1;
      if (x < box.x0) box.x0 = x;
      if (x > box.x1) box.x1 = x;
      if (y < box.y0) box.y0 = y;
      if (y > box.y1) box.y1 = y;
    }
    if (!placed) Object.assign(box, { x0: 0, x1: 1, y0: 0, y1: 1 });
    this.placed = placed;
    this.box = box;
    const range = next.axes?.range;
    this.beyond = 0;
    if (range) for (let i = 0; i < n; i++) if (this.xs[i] < range[0] || this.xs[i] > range[1] || this.ys[i] < range[2] || this.ys[i] > range[3]) this.beyond += 1;
    this.painter.positions(this.xs, this.ys, box);
    if (this.codes?.length === n) this.painter.codes(this.codes); // the colour may have stayed
  }

  takeColour(bytes, next) {
    const c = next.colour;
    this.off.clear();
    this.values = null;
    if (c.kind === "values") {
      this.values = new Float32Array(bytes.buffer);
      const [low, high] = c.limits, codes = new Uint16Array(next.count), last = STEPS - 1;
      for (let i = 0; i < codes.length; i++) {
        const v = this.values[i];
        codes[i] = v !== v ? STEPS : high > low ? Math.min(last, Math.max(0, Math.round(((v - low) / (high - low)) * last))) : last >> 1;
      }
      this.codes = codes;
    } else this.codes = c.names.length > 256 ? new Uint16Array(bytes.buffer) : Uint16Array.from(bytes);
    this.painter.codes(this.codes);
  }

  readLabels(bytes) {
    const ends = new Uint32Array(bytes.buffer, 0, this.config.count + 1), text = bytes.subarray(4 * ends.length), decoder = new TextDecoder();
    return (i) => decoder.decode(text.subarray(ends[i], ends[i + 1]));
  }

  // ---- what is shown, what is selected ---------------------------------------------------------------------------

  /** The test "is point i drawn": a position, not filtered, its category and its layer on. */
  shownTest() {
    const { xs, ys, visible, layer, codes, layersOn } = this, on = this.categoryOn;
    return (i) => {
      const x = xs[i] - xs[i], y = ys[i] - ys[i];
      return x === 0 && y === 0 && (!visible || bitAt(visible, i) === 1) && on[codes[i]] === 1 && (!layer || layersOn[layer[i]] > 0);
    };
  }

  /** The new selection: points that `inside(i)` accepts and that are drawn, in place of, added to or taken from the old. */
  choose(inside, how, extra = {}) {
    const n = this.config.count, shown = this.shownTest(), out = how === "replace" ? new Uint8Array((n + 7) >> 3) : this.selected.slice();
    for (let i = 0; i < n; i++)
      if (inside(i) && shown(i)) {
        if (how === "remove") out[i >> 3] &= ~(1 << (i & 7));
        else out[i >> 3] |= 1 << (i & 7);
      }
    this.setSelection(out, extra);
  }

  setSelection(bits, extra = {}) {
    this.selected = bits;
    this.sent.selected = this.emit("selected", { bits: toBase64(bits), polygon: null, ...extra });
    this.uploadFlags();
    this.describe();
    this.drawNow();
  }

  invert() {
    const old = this.selected;
    this.choose((i) => !bitAt(old, i), "replace", { how: "invert" });
  }

  chooseRegion(polygon, how, kind) {
    const { xs, ys } = this, inside = polygonTest(polygon);
    this.choose((i) => inside(xs[i], ys[i]), how, { polygon, how: kind });
  }

  /** Tell Python; the counter only grows, so that each event is handled once. */
  emit(kind, body) {
    this.counter = Math.max(Date.now() * 1000, (this.counter ?? 0) + 1);
    this.send(kind, { n: this.counter, digest: this.config.digest, ...body });
    return this.counter;
  }

  uploadFlags() {
    const { config, xs, ys, visible, layer, selected } = this, n = config.count, flags = new Uint8Array(n);
    let chosen = 0;
    for (let i = 0; i < n; i++) {
      const x = xs[i] - xs[i], y = ys[i] - ys[i], s = bitAt(selected, i);
      chosen += s;
      flags[i] = (x === 0 && y === 0 && (!visible || bitAt(visible, i)) ? 0 : 1) | (s << 1) | (layer ? layer[i] << 2 : 0);
    }
    this.chosen = chosen;
    this.painter.flags(flags);
  }

  pointGrid() {
    if (!this.grid && this.config) this.grid = new PointGrid(this.xs, this.ys, this.box);
    return this.grid;
  }

  // ---- theme, sizes, view -----------------------------------------------------------------------------------------

  readTheme() {
    const style = getComputedStyle(this.root), probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const colour = (name, fallback) => {
      probe.fillStyle = fallback;
      probe.fillStyle = style.getPropertyValue(name).trim() || fallback;
      probe.fillRect(0, 0, 1, 1);
      return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    this.ground = colour("--st-background-color", "#ffffff");
    this.ink = colour("--st-text-color", "#1c2528");
    this.accent = colour("--st-primary-color", "#0f6e78");
    this.line = colour("--st-border-color", "#dde3e4");
    this.font = style.getPropertyValue("--st-font").trim() || "sans-serif";
    this.dark = this.ground[0] * 0.3 + this.ground[1] * 0.6 + this.ground[2] * 0.1 < 110;
    this.root.dataset.theme = this.dark ? "dark" : "light";
    const theme = [this.ground, this.ink, this.accent, this.line, this.font].join();
    if (theme === this.theme) return;
    this.theme = theme;
    if (this.config) {
      this.paintPalette();
      this.buildLegend();
      this.schedule();
    }
  }

  paintPalette() {
    const c = this.config.colour, colours = (this.dark ? c.dark : c.light).map(rgb);
    if (c.kind === "values") {
      const stops = colours.length - 1;
      this.colours = Array.from({ length: STEPS }, (_, k) => {
        const at = (k / (STEPS - 1)) * stops, a = Math.min(stops - 1, Math.floor(at)), t = at - a;
        return colours[a].map((v, j) => Math.round(v + (colours[a + 1][j] - v) * t));
      });
      this.colours.push(rgb(c.grey[this.dark ? 1 : 0]));
      this.categoryOn = new Uint8Array(STEPS + 1).fill(1);
    } else {
      this.colours = colours;
      this.categoryOn = Uint8Array.from(c.names, (_, k) => (this.off.has(k) ? 0 : 1));
    }
    this.painter.palette(this.colours.map((rgb, k) => [...rgb, this.categoryOn[k] * 255]));
    this.paletteTheme = this.theme;
  }

  layout() {
    const { clientWidth: w, clientHeight: h } = this.el.plot, axes = this.config?.axes;
    const m = axes ? { left: 58, right: 14, top: 50, bottom: 44 } : { left: 0, right: 0, top: 0, bottom: 0 };
    this.area = { left: m.left, top: m.top, w: Math.max(40, w - m.left - m.right), h: Math.max(40, h - m.top - m.bottom), fullW: w, fullH: h };
    Object.assign(this.el.points.style, { left: m.left + "px", top: m.top + "px", width: this.area.w + "px", height: this.area.h + "px" });
    Object.assign(this.el.pad.style, { left: m.left + "px", top: m.top + "px", right: m.right + "px", bottom: m.bottom + "px" });
    if (axes) Object.assign(this.el.pad.style, { inset: `${m.top}px ${m.right}px ${m.bottom}px ${m.left}px` });
  }

  resize() {
    this.root.classList.toggle("narrow", this.root.clientWidth < 620);
    if (!this.config) return;
    const before = this.fit;
    this.layout();
    this.computeFit();
    if (before) {
      this.view.sx *= this.fit.sx / before.sx;
      this.view.sy *= this.fit.sy / before.sy;
    }
    this.schedule();
  }

  computeFit() {
    const { box, area } = this, axes = this.config.axes, pad = axes ? 1.06 : 1.1;
    let { x0, x1, y0, y1 } = box;
    if (axes?.range) [x0, x1, y0, y1] = axes.range;
    const spanX = x1 - x0 || 1, spanY = y1 - y0 || 1;
    let sx = area.w / spanX / pad, sy = area.h / spanY / pad;
    if (!axes) sx = sy = Math.min(sx, sy);
    this.fit = { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, sx, sy };
  }

  resetView() {
    this.computeFit();
    this.view = { ...this.fit };
    this.schedule();
  }

  zoom(factor, px = this.area.w / 2, py = this.area.h / 2) {
    const z = Math.min(5000, Math.max(0.3, (this.view.sx / this.fit.sx) * factor)) / (this.view.sx / this.fit.sx), [x, y] = this.toData(px, py);
    this.view.sx *= z;
    this.view.sy *= z;
    this.view.cx = x - (px - this.area.w / 2) / this.view.sx;
    this.view.cy = y + (py - this.area.h / 2) / this.view.sy;
    this.moved();
  }

  pan(dx, dy) {
    this.view.cx -= dx / this.view.sx;
    this.view.cy += dy / this.view.sy;
    this.moved();
  }

  toPixel(x, y) {
    const v = this.view;
    return [this.area.w / 2 + (x - v.cx) * v.sx, this.area.h / 2 - (y - v.cy) * v.sy];
  }
  toData(px, py) {
    const v = this.view;
    return [v.cx + (px - this.area.w / 2) / v.sx, v.cy - (py - this.area.h / 2) / v.sy];
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------

  look() {
    const { area, placed, view, fit } = this, zoom = Math.max(1, view.sx / fit.sx), room = (area.w * area.h) / Math.max(1, placed);
    const size = Math.min(10, Math.min(7, Math.max(1.35, 0.52 * Math.sqrt(room))) * zoom ** 0.4);
    const alpha = Math.min(0.9, Math.max(0.2, 0.88 * ((room * zoom ** 1.4) / 100) ** 0.2));
    const fadeTo = this.ground.map((v, k) => v * 0.55 + this.ink[k] * 0.45);
    return { size, alpha, ringSize: Math.max(4.2, size * 1.25), ringAlpha: Math.min(0.95, alpha + 0.15), layersOn: this.layersOn, ink: this.ink, ground: this.ground, fadeTo };
  }

  /** Redraw in the next frame; `moving`: the view is being moved, so a sample may do until it rests. */
  schedule(moving = false) {
    this.moving = moving;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }
  moved() {
    this.hideTip();
    this.hover = -1;
    this.schedule(true);
    if (this.drawCost > PAINT_BUDGET) {
      clearTimeout(this.restTimer);
      this.restTimer = setTimeout(() => this.schedule(false), 160);
    }
  }
  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.moving = false;
    this.draw();
  }

  draw() {
    if (!this.config || !this.area || !this.fit || this.dead) return;
    const dpr = window.devicePixelRatio || 1;
    const most = this.moving && this.drawCost > PAINT_BUDGET ? Math.max(20000, Math.round((this.config.count * PAINT_BUDGET) / this.drawCost)) : Infinity;
    this.painter.draw(this.view, this.area.w, this.area.h, dpr, this.look(), most);
    const v = this.view, a = this.area;
    this.root.dataset.view = JSON.stringify([v.cx, v.cy, v.sx, v.sy, a.left, a.top, a.w, a.h]);
    const under = this.sheet(this.el.under);
    if (this.config.axes) this.drawAxes(under);
    this.drawOver();
  }

  /** A cleared 2-D canvas over the whole plot, in CSS pixels. */
  sheet(canvas) {
    const { fullW, fullH } = this.area, dpr = window.devicePixelRatio || 1, g = canvas.getContext("2d");
    const w = Math.round(fullW * dpr), h = Math.round(fullH * dpr);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    g.clearRect(0, 0, fullW, fullH);
    return g;
  }

  /** Names, cuts, the lasso and rings: on a canvas of their own, so that the points stay as they are. */
  drawOver() {
    const a = this.area, g = this.sheet(this.el.over);
    g.save();
    g.beginPath();
    g.rect(a.left, a.top, a.w, a.h);
    g.clip();
    g.translate(a.left, a.top);
    if (!this.config.count) this.say(g, "No records to draw", a.w / 2, a.h / 2, 13, 500, "center", 0.6);
    if (this.config.names?.length) this.drawNames(g);
    this.drawCuts(g);
    for (const [i, width] of [[this.clicked, 2.2], [this.hover, 1.6]])
      if (i >= 0) {
        const [x, y] = this.toPixel(this.xs[i], this.ys[i]);
        for (const [extra, colour] of [[2, this.ground], [0, this.ink]]) {
          g.beginPath();
          g.arc(x, y, Math.max(5, this.look().size / 2 + 3), 0, 7);
          g.lineWidth = width + extra;
          g.strokeStyle = `rgb(${colour})`;
          g.stroke();
        }
      }
    if (this.keyboard) {
      g.strokeStyle = `rgba(${this.ink},.5)`;
      g.lineWidth = 1;
      g.beginPath();
      g.moveTo(a.w / 2 - 7, a.h / 2); g.lineTo(a.w / 2 + 7, a.h / 2); g.moveTo(a.w / 2, a.h / 2 - 7); g.lineTo(a.w / 2, a.h / 2 + 7);
      g.stroke();
    }
    if (this.stroke) this.drawStroke(g);
    g.restore();
  }

  say(g, text, x, y, size, weight, align = "left", strength = 1) {
    g.font = `${weight} ${size}px ${this.font}`;
    g.textAlign = align;
    g.textBaseline = "middle";
    g.lineJoin = "round";
    g.lineWidth = 3.5;
    g.strokeStyle = `rgba(${this.ground},.88)`;
    g.strokeText(text, x, y);
    g.fillStyle = `rgba(${this.ink},${strength})`;
    g.fillText(text, x, y);
  }

  drawNames(g) {
    const taken = [], a = this.area;
    g.font = `600 11.5px ${this.font}`;
    if (!this.config.axes) taken.push([0, 0, this.el.tools.offsetWidth + 16, 50]);
    for (const [text, x, y] of this.config.names) {
      const [px, py] = this.toPixel(x, y);
      if (px < -60 || py < -10 || px > a.w + 60 || py > a.h + 10) continue;
      const shown = text.length > 34 ? text.slice(0, 33) + "…" : text, half = g.measureText(shown).width / 2 + 4;
      const mx = Math.min(a.w - half, Math.max(half, px)), my = Math.min(a.h - 10, Math.max(10, py)), box = [mx - half, my - 9, mx + half, my + 9];
      if (taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      this.say(g, shown, mx, my, 11.5, 600, "center", 0.92);
      if (taken.length > 60) break;
    }
  }

  drawAxes(g) {
    const { area: a, view: v } = this, axes = this.config.axes, [ox, oy] = this.config.origin;
    const [x0, y1] = this.toData(0, 0), [x1, y0] = this.toData(a.w, a.h);
    g.fillStyle = `rgb(${this.ground})`;
    g.fillRect(a.left, a.top, a.w, a.h);
    g.font = `400 11px ${this.font}`;
    g.lineWidth = 1;
    const grid = `rgba(${this.line},.75)`, soft = `rgba(${this.ink},.68)`;
    g.textBaseline = "middle";
    for (const t of ticks(x0 + ox, x1 + ox, a.w / 90)) {
      const px = Math.round(a.left + (t - ox - v.cx) * v.sx + a.w / 2) + 0.5;
      g.strokeStyle = grid; g.beginPath(); g.moveTo(px, a.top); g.lineTo(px, a.top + a.h); g.stroke();
      g.fillStyle = soft; g.textAlign = "center"; g.fillText(formatNumber(Number(t.toPrecision(12))), px, a.top + a.h + 12);
    }
    for (const t of ticks(y0 + oy, y1 + oy, a.h / 60)) {
      const py = Math.round(a.top + a.h / 2 - (t - oy - v.cy) * v.sy) + 0.5;
      g.strokeStyle = grid; g.beginPath(); g.moveTo(a.left, py); g.lineTo(a.left + a.w, py); g.stroke();
      g.fillStyle = soft; g.textAlign = "right"; g.fillText(formatNumber(Number(t.toPrecision(12))), a.left - 7, py);
    }
    g.strokeStyle = `rgb(${this.line})`;
    g.strokeRect(a.left + 0.5, a.top + 0.5, a.w - 1, a.h - 1);
    g.fillStyle = `rgb(${this.ink})`;
    g.font = `600 11.5px ${this.font}`;
    g.textAlign = "center";
    g.fillText(axes.x, a.left + a.w / 2, a.top + a.h + 31, a.w);
    g.save();
    g.translate(11, a.top + a.h / 2);
    g.rotate(-Math.PI / 2);
    g.fillText(axes.y, 0, 0, a.h);
    g.restore();
  }

  /** Places the two handles, and names and counts the quadrants (drawn points only). */
  drawCuts(g) {
    const { cutX, cutY } = this.el, a = this.area, cuts = this.cuts;
    cutX.hidden = cutY.hidden = !cuts;
    if (!cuts) return;
    const [ox, oy] = this.config.origin, [px, py] = this.toPixel(cuts[0] - ox, cuts[1] - oy), axes = this.config.axes;
    const within = (p, most) => p >= -1 && p <= most + 1;
    cutX.hidden = !within(px, a.w);
    cutY.hidden = !within(py, a.h);
    Object.assign(cutX.style, { left: a.left + px + "px", top: a.top + "px", height: a.h + "px" });
    Object.assign(cutY.style, { top: a.top + py + "px", left: a.left + "px", width: a.w + "px" });
    for (const [el, value, name] of [[cutX, cuts[0], axes?.x], [cutY, cuts[1], axes?.y]]) {
      el.lastElementChild.textContent = formatNumber(value);
      el.setAttribute("aria-valuenow", String(value));
      el.setAttribute("aria-valuetext", formatNumber(value));
      el.setAttribute("aria-label", `Cut of ${name ?? "the axis"}; arrow keys move it`);
    }
    const counts = this.countQuadrants(), total = counts.reduce((s, c) => s + c, 0) || 1, names = axes?.quadrants;
    this.root.dataset.quadrants = counts.join(",");
    if (!names) return;
    // order: low x low y, high x low y, low x high y, high x high y
    names.forEach((name, q) => {
      const right = q & 1, top = q & 2, room = right ? a.w - px : px;
      if (room < 70 || (top ? py : a.h - py) < 40) return;
      const x = right ? Math.min(a.w, Math.max(px, 0) + room) - 10 : 10, y = top ? 15 : a.h - 30;
      this.say(g, this.clip(g, name, room - 24, 600, 11.5), x, y, 11.5, 600, right ? "right" : "left", 0.85);
      this.say(g, `${formatCount(counts[q])} · ${((100 * counts[q]) / total).toFixed(1)} %`, x, y + 15, 11, 400, right ? "right" : "left", 0.72);
    });
  }

  clip(g, text, room, weight, size) {
    g.font = `${weight} ${size}px ${this.font}`;
    let shown = text;
    while (shown.length > 3 && g.measureText(shown).width > room) shown = shown.slice(0, -2).trimEnd() + "…";
    return shown;
  }

  countQuadrants() {
    const [ox, oy] = this.config.origin, cx = Math.fround(this.cuts[0] - ox), cy = Math.fround(this.cuts[1] - oy), counts = [0, 0, 0, 0];
    const key = [cx, cy, this.applied.xy, this.applied.visible, this.applied.colour, [...this.off], this.layersOn].join();
    if (key === this.quadrantKey) return this.quadrantCounts;
    const shown = this.shownTest(), { xs, ys } = this;
    for (let i = 0; i < xs.length; i++) if (shown(i)) counts[(xs[i] >= cx ? 1 : 0) + (ys[i] >= cy ? 2 : 0)] += 1;
    this.quadrantKey = key;
    return (this.quadrantCounts = counts);
  }

  drawStroke(g) {
    const { points, how, shape } = this.stroke, colour = how === "remove" ? [200, 70, 50] : this.accent;
    const path = shape === "box" ? boxPath(points) : points;
    g.beginPath();
    path.forEach(([x, y], k) => (k ? g.lineTo(x, y) : g.moveTo(x, y)));
    g.closePath();
    g.fillStyle = `rgba(${colour},.12)`;
    g.fill();
    g.strokeStyle = `rgb(${colour})`;
    g.lineWidth = 1.5;
    g.setLineDash([5, 3]);
    g.stroke();
    g.setLineDash([]);
  }

  // ---- legend and words ---------------------------------------------------------------------------------------------

  buildLegend() {
    const c = this.config.colour, { entries, layers, title, bar } = this.el;
    title.textContent = c.title;
    title.title = c.title;
    entries.setAttribute("aria-label", c.title || "Categories");
    bar.hidden = c.kind !== "values";
    const focused = this.root.getRootNode().activeElement?.dataset?.code;
    entries.replaceChildren();
    if (c.kind === "values") {
      const canvas = bar.querySelector("canvas"), g = canvas.getContext("2d");
      canvas.width = 256;
      for (let x = 0; x < 256; x++) {
        g.fillStyle = `rgb(${this.colours[Math.round((x / 255) * (STEPS - 1))]})`;
        g.fillRect(x, 0, 1, 10);
      }
      const ends = bar.querySelectorAll("span");
      ends.forEach((end, k) => (end.textContent = formatNumber(c.limits[k])));
    } else {
      const counts = this.countCategories(), order = [...c.names.keys()].filter((k) => k !== c.noise).sort((a, b) => counts[b] - counts[a] || a - b);
      if (c.noise >= 0) order.push(c.noise);
      for (const k of order.slice(0, LEGEND_LIMIT)) entries.append(this.entry(c.names[k], counts[k], `rgb(${this.colours[k]})`, { code: k }));
      if (order.length > LEGEND_LIMIT) {
        const more = document.createElement("div");
        more.className = "foot";
        more.textContent = `… and ${formatCount(order.length - LEGEND_LIMIT)} smaller ones`;
        entries.append(more);
      }
      // Tab passes the first entries; arrow keys reach all.
      entries.querySelectorAll(".entry").forEach((button, k) => (button.tabIndex = k < 25 ? 0 : -1));
      if (focused !== undefined) entries.querySelector(`[data-code="${Number(focused)}"]`)?.focus();
    }
    layers.replaceChildren();
    if (this.layer && this.config.layers) {
      const counts = [0, 0, 0, 0];
      for (let i = 0; i < this.layer.length; i++) if (!this.visible || bitAt(this.visible, i)) counts[this.layer[i]] += 1;
      this.config.layers.forEach((name, k) => layers.append(this.entry(name, counts[k], "", { layer: k })));
    }
    this.markLegend();
  }

  countCategories() {
    const counts = new Uint32Array(this.config.colour.names.length), { codes, visible } = this;
    for (let i = 0; i < codes.length; i++) if (!visible || bitAt(visible, i)) counts[codes[i]] += 1;
    return counts;
  }

  entry(name, count, colour, marks) {
    const button = document.createElement("button"), dot = document.createElement("i"), text = document.createElement("span"), number = document.createElement("b");
    button.type = "button";
    button.className = "entry";
    Object.assign(button.dataset, marks);
    dot.style.color = colour;
    if (marks.layer > 0) dot.className = "ring";
    text.textContent = name === "" ? "(empty)" : name;
    number.textContent = formatCount(count);
    button.title = `${name} (${formatCount(count)})`;
    button.append(dot, text, number);
    return button;
  }

  markLegend() {
    for (const button of this.el.entries.querySelectorAll(".entry")) button.setAttribute("aria-pressed", String(this.categoryOn[button.dataset.code] === 1));
    for (const button of this.el.layers.querySelectorAll(".entry")) button.setAttribute("aria-pressed", String(this.layersOn[button.dataset.layer] === 1));
  }

  toggleEntry(button, only) {
    if (button.dataset.layer !== undefined) {
      const k = Number(button.dataset.layer);
      if (only) this.layersOn = this.layersOn.map((_, j) => (j === k ? 1 : 0));
      else this.layersOn = this.layersOn.map((on, j) => (j === k ? 1 - on : on));
    } else {
      const k = Number(button.dataset.code), all = this.config.colour.names.length;
      if (only) this.off = this.off.size === all - 1 && !this.off.has(k) ? new Set() : new Set([...Array(all).keys()].filter((j) => j !== k));
      else if (!this.off.delete(k)) this.off.add(k);
      this.paintPalette();
    }
    this.markLegend();
    this.hideTip();
    this.hover = -1;
    this.describe();
    this.drawNow();
  }

  describe() {
    const { count } = this.config, lost = count - this.placed, lines = [`${formatCount(count)} ${count === 1 ? "point" : "points"}`];
    if (this.visible) {
      const n = countBits(this.visible);
      if (n < count) lines.push(`${formatCount(n)} pass the filter`);
    }
    if (this.beyond) lines.push(`${formatCount(this.beyond)} outside the first view (zoom out)`);
    if (lost) lines.push(`${formatCount(lost)} without a position`);
    if (this.config.colour.missing) lines.push(`${formatCount(this.config.colour.missing)} without a value (grey)`);
    this.el.foot.textContent = lines.join(this.root.classList.contains("narrow") ? " · " : "\n");
    const said = this.chosen ? `${formatCount(this.chosen)} selected` : "";
    this.el.chip.hidden = !this.chosen;
    this.el.chip.textContent = said;
    this.root.dataset.selected = this.chosen;
    this.el.pad.setAttribute("aria-label", `${this.config.label}: ${lines.join(", ")}${said && ", " + said}. Press question mark for the keys.`);
    const spoken = said || "Nothing selected";
    if (this.el.live.textContent !== spoken && (said || this.el.live.textContent)) this.el.live.textContent = spoken;
  }

  // ---- hover and click ----------------------------------------------------------------------------------------------

  pick(px, py) {
    if (!this.config?.count) return -1;
    const [x, y] = this.toData(px, py);
    return this.pointGrid().nearest(x, y, PICK_RADIUS / this.view.sx, PICK_RADIUS / this.view.sy, this.shownTest());
  }

  hoverAt(px, py) {
    const i = this.pick(px, py);
    this.el.pad.classList.toggle("onpoint", i >= 0 && this.mode === "pan");
    if (i === this.hover) return;
    this.hover = i;
    this.root.dataset.hover = i;
    if (i < 0) this.hideTip();
    else this.showTip(i);
    this.drawOver();
  }

  showTip(i) {
    const { tip } = this.el, c = this.config.colour, a = this.area, [head, text, foot] = tip.children;
    head.firstElementChild.style.color = `rgb(${this.colours[this.codes[i]]})`;
    head.lastElementChild.textContent = c.kind === "values" ? `${c.title || "value"}: ${formatNumber(this.values[i])}` : c.names[this.codes[i]] || "(empty)";
    text.textContent = this.labels ? this.labels(i) : "";
    const lines = [], [ox, oy] = this.config.origin, axes = this.config.axes;
    if (axes) lines.push(`${axes.x}: ${formatNumber(this.xs[i] + ox)}`, `${axes.y}: ${formatNumber(this.ys[i] + oy)}`);
    if (this.layer && this.config.layers) lines.push(this.config.layers[this.layer[i]]);
    lines.push("click to read");
    foot.textContent = lines.join("\n");
    tip.hidden = false;
    const [px, py] = this.toPixel(this.xs[i], this.ys[i]), w = tip.offsetWidth, h = tip.offsetHeight;
    const x = a.left + px + 14 + w > a.fullW - 4 ? a.left + px - w - 14 : a.left + px + 14, y = Math.min(a.fullH - h - 6, Math.max(6, a.top + py - h / 2));
    tip.style.transform = `translate(${Math.round(Math.max(4, x))}px, ${Math.round(y)}px)`;
  }

  hideTip() {
    this.el.tip.hidden = true;
  }

  click(i) {
    if (i < 0) return;
    this.clicked = i;
    this.emit("clicked", { index: i });
    this.drawOver();
  }

  // ---- pointer and keys -----------------------------------------------------------------------------------------------

  listen() {
    const { pad, tools, entries, layers, cutX, cutY } = this.el, signal = this.aborter.signal, on = (el, name, act, more) => el.addEventListener(name, act, { signal, ...more });
    on(pad, "pointerdown", (e) => this.down(e));
    on(pad, "pointermove", (e) => this.move(e));
    on(pad, "pointerup", (e) => this.up(e));
    on(pad, "pointercancel", (e) => { this.pointers.delete(e.pointerId); this.stopDrawing(); });
    on(pad, "pointerleave", () => { if (!this.pointers.size) this.hoverAt(-1e9, -1e9); });
    on(pad, "wheel", (e) => {
      e.preventDefault();
      const unit = e.deltaMode === 1 ? 18 : 1;
      this.zoom(Math.exp(-Math.max(-240, Math.min(240, e.deltaY * unit)) * (e.ctrlKey ? 0.01 : 0.0022)), ...this.at(e));
    }, { passive: false });
    on(pad, "dblclick", (e) => { if (this.mode === "pan" && this.pick(...this.at(e)) < 0) this.zoom(2, ...this.at(e)); });
    on(pad, "focus", () => { this.keyboard = pad.matches(":focus-visible") && !this.pointers.size; this.schedule(); });
    on(pad, "blur", () => { this.keyboard = false; this.schedule(); });
    on(this.root, "keydown", (e) => this.key(e));
    on(tools, "click", (e) => { const b = e.target.closest("button"); if (b) this.act(b.dataset.do); });
    for (const box of [entries, layers]) {
      on(box, "click", (e) => { const b = e.target.closest(".entry"); if (b && !(e.detail > 2)) this.toggleEntry(b, false); });
      on(box, "dblclick", (e) => { const b = e.target.closest(".entry"); if (b) this.toggleEntry(b, true); });
    }
    for (const [cut, axis] of [[cutX, 0], [cutY, 1]]) this.listenCut(cut, axis, on);
    on(this.el.points, "webglcontextlost", (e) => { e.preventDefault(); this.root.dataset.context = "lost"; });
    on(this.el.points, "webglcontextrestored", () => this.restore());
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.el.plot);
    this.themes = matchMedia("(prefers-color-scheme: dark)");
    on(this.themes, "change", () => setTimeout(() => this.dead || this.readTheme(), 80));
  }

  listenCut(cut, axis, on) {
    const set = (value) => { this.cuts[axis] = value; this.drawOver(); };
    on(cut, "pointerdown", (e) => { cut.setPointerCapture(e.pointerId); cut.classList.add("held"); this.heldCut = cut; });
    on(cut, "pointermove", (e) => {
      if (this.heldCut !== cut) return;
      const r = this.el.pad.getBoundingClientRect(), a = this.area, o = this.config.origin;
      const [x, y] = this.toData(Math.min(a.w, Math.max(0, e.clientX - r.left)), Math.min(a.h, Math.max(0, e.clientY - r.top)));
      set(axis ? y + o[1] : x + o[0]);
    });
    const end = () => {
      if (this.heldCut !== cut) return;
      this.heldCut = null;
      cut.classList.remove("held");
      this.sent.cuts = this.emit("cuts", { cuts: [...this.cuts] });
    };
    on(cut, "pointerup", end);
    on(cut, "pointercancel", end);
    on(cut, "keydown", (e) => {
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
      if (!way) return;
      e.preventDefault();
      e.stopPropagation();
      set(this.cuts[axis] + (way * (e.shiftKey ? 20 : 4)) / (axis ? this.view.sy : this.view.sx));
      clearTimeout(this.cutTimer);
      const digest = this.config.digest;
      this.sent.cuts = Infinity; // until told, the page's cuts are old
      this.cutTimer = setTimeout(() => {
        if (!this.dead && digest === this.config.digest) this.sent.cuts = this.emit("cuts", { cuts: [...this.cuts] });
      }, 250);
    });
  }

  at(e) {
    const r = this.el.pad.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  }

  down(e) {
    if (e.button !== 0 || !this.config) return;
    this.el.pad.setPointerCapture(e.pointerId);
    this.keyboard = false;
    this.pointers.set(e.pointerId, this.at(e));
    if (this.pointers.size > 1) return this.stopDrawing();
    this.start = this.at(e);
    this.dragged = false;
    const how = e.shiftKey ? "add" : e.altKey ? "remove" : "replace";
    if (this.mode !== "pan" || how !== "replace") this.stroke = { points: [this.start], how, shape: this.mode === "box" ? "box" : "lasso", digest: this.config.digest };
    this.el.pad.classList.toggle("drawing", !!this.stroke);
  }

  move(e) {
    const here = this.at(e), before = this.pointers.get(e.pointerId);
    if (!before) return this.hoverAt(...here);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p), far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      this.pointers.set(e.pointerId, here);
      this.dragged = true;
      this.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
      if (far(before) > 4) this.zoom(far(here) / far(before), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
      return;
    }
    if (!this.dragged && Math.hypot(here[0] - this.start[0], here[1] - this.start[1]) < CLICK_SLOP) return;
    this.dragged = true;
    this.pointers.set(e.pointerId, here);
    if (this.stroke) {
      const points = this.stroke.points, last = points[points.length - 1];
      if (this.stroke.shape === "box") points[1] = here;
      else if (Math.hypot(here[0] - last[0], here[1] - last[1]) >= 2) points.push(here);
      this.strokeFrame ||= requestAnimationFrame(() => { this.strokeFrame = 0; this.drawOver(); });
    } else {
      this.el.pad.classList.add("panning");
      this.pan(here[0] - before[0], here[1] - before[1]);
    }
  }

  up(e) {
    if (!this.pointers.delete(e.pointerId)) return;
    const stroke = this.stroke;
    this.stopDrawing();
    if (this.pointers.size) return;
    if (!this.dragged) return e.type === "pointerup" && this.click(this.pick(...this.at(e)));
    if (!stroke || stroke.digest !== this.config.digest) return;
    const path = stroke.shape === "box" ? boxPath(stroke.points) : stroke.points;
    if (path.length > 2) this.chooseRegion(path.map(([x, y]) => this.toData(x, y)), stroke.how, stroke.shape === "box" ? "rectangle" : "lasso");
  }

  stopDrawing() {
    this.el.pad.classList.remove("drawing", "panning");
    if (!this.stroke) return;
    this.stroke = null;
    this.drawOver();
  }

  setMode(mode) {
    this.mode = mode;
    this.el.pad.dataset.mode = mode;
    for (const b of this.el.tools.querySelectorAll("[aria-pressed]")) b.setAttribute("aria-pressed", String(b.dataset.do === mode));
  }

  act(what) {
    if (!this.config && what !== "help") return;
    const { help, tools } = this.el, hasHelp = !help.hidden;
    const acts = {
      pan: () => this.setMode("pan"), lasso: () => this.setMode(this.mode === "lasso" ? "pan" : "lasso"), box: () => this.setMode(this.mode === "box" ? "pan" : "box"),
      in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5), reset: () => this.resetView(), invert: () => this.invert(),
      all: () => this.choose(() => true, "replace", { how: "all" }),
      clear: () => { if (this.chosen) this.setSelection(new Uint8Array(this.selected.length), { how: "clear" }); },
      help: () => { help.hidden = hasHelp; tools.querySelector("[data-do=help]").setAttribute("aria-expanded", String(!hasHelp)); },
    };
    acts[what]?.();
  }

  key(e) {
    if (e.ctrlKey || e.metaKey) return;
    const entry = e.target.closest?.(".entry"), onPad = e.target === this.el.pad, step = e.shiftKey ? 160 : 48;
    const acts = {
      "+": () => this.act("in"), "=": () => this.act("in"), "-": () => this.act("out"), "−": () => this.act("out"), 0: () => this.act("reset"),
      l: () => this.act("lasso"), b: () => this.act("box"), v: () => this.act("pan"), i: () => this.act("invert"), a: () => this.act("all"), "?": () => this.act("help"),
      escape: () => { if (!this.el.help.hidden) this.act("help"); else if (this.stroke) { this.stopDrawing(); this.pointers.clear(); } else this.act("clear"); },
    };
    if (onPad)
      Object.assign(acts, {
        arrowleft: () => this.pan(step, 0), arrowright: () => this.pan(-step, 0), arrowup: () => this.pan(0, step), arrowdown: () => this.pan(0, -step),
        enter: () => this.readCentre(),
      });
    if (entry) {
      const all = [...this.el.legend.querySelectorAll(".entry")], go = (d) => all[Math.min(all.length - 1, Math.max(0, all.indexOf(entry) + d))].focus();
      Object.assign(acts, { arrowdown: () => go(1), arrowup: () => go(-1) });
      if (e.shiftKey) acts.enter = () => this.toggleEntry(entry, true);
      acts.s = () => {
        const code = entry.dataset.code, layer = entry.dataset.layer, { codes } = this;
        this.choose(code !== undefined ? (i) => codes[i] === Number(code) : (i) => this.layer[i] === Number(layer), e.shiftKey ? "add" : "replace", { how: "legend" });
      };
    }
    const act = acts[e.key.toLowerCase()];
    // Streamlit listens for single letters on the page (r: run again, c: clear the cache); none typed here is meant for it.
    if (act || e.key.length === 1) e.stopPropagation();
    if (!act) return;
    e.preventDefault();
    act();
  }

  readCentre() {
    const a = this.area, [x, y] = this.toData(a.w / 2, a.h / 2), reach = Math.max(a.w, a.h) / 4;
    this.keyboard = true;
    for (let r = PICK_RADIUS; r <= reach; r *= 2) {
      const i = this.pointGrid().nearest(x, y, r / this.view.sx, r / this.view.sy, this.shownTest());
      if (i < 0) continue;
      this.hover = i;
      this.showTip(i);
      return this.click(i);
    }
  }

  // ---- life -----------------------------------------------------------------------------------------------------------

  restore() {
    try {
      this.painter = new PointPainter(this.el.points);
    } catch {
      return; // lost again: the next restored event tries anew
    }
    delete this.root.dataset.context;
    if (!this.config) return;
    this.painter.positions(this.xs, this.ys, this.box);
    this.painter.codes(this.codes);
    this.paintPalette();
    this.uploadFlags();
    this.drawNow();
  }

  destroy() {
    this.dead = true;
    this.aborter.abort();
    this.observer.disconnect();
    BLOCKS.waiting.delete(this.wake);
    cancelAnimationFrame(this.frame);
    for (const timer of [this.gridTimer, this.restTimer, this.cutTimer]) clearTimeout(timer);
    this.painter?.free();
  }
}

const STEPS = 1024; // colours of a continuous scale; the code after the last is "no value"

function boxPath(points) {
  const [x0, y0] = points[0], [x1, y1] = points[1] ?? points[0];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

const mounted = new WeakMap(); // root element -> Scatter

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".scatter");
  if (!root || !data) return;
  let scatter = mounted.get(root);
  if (!scatter) mounted.set(root, (scatter = new Scatter(root)));
  scatter.update(data, setStateValue);
  return () => {
    scatter.destroy();
    mounted.delete(root);
  };
}
