// What the scatter knows: the points on the screen, which of them are drawn, which are selected, and what Python was told.

const STEPS = 1024; // colours of a continuous scale; the code after the last is "no value"

const LATER = (name) => name === "labels" || name.startsWith("facet."); // blocks that the first picture does not wait for

class ScatterState {
  constructor(root) {
    this.root = root;
    const one = (selector) => root.querySelector(selector);
    this.el = {
      plot: one(".plot"), under: one(".under"), points: one(".points"), over: one(".over"), pad: one(".pad"), tools: one(".tools"), chip: one(".chip"), help: one(".help"),
      wait: one(".wait"), tip: one(".tip"), legend: one(".legend"), title: one(".legend-title"), bar: one(".bar"), entries: one(".entries"),
      layers: one(".layers"), foot: one(".foot"), live: one(".live"), cutX: one(".cut-x"), cutY: one(".cut-y"),
      stage: one(".stage"), strip: one(".strip"), facets: one(".facets"), passing: one(".passing"), detail: one(".detail"),
      share: one(".share"), shareText: one(".share p"), shareField: one(".share input"),
    };
    this.applied = {}; // block name -> digest on the screen
    this.config = null;
    this.view = { cx: 0, cy: 0, sx: 1, sy: 1 };
    this.mode = "pan";
    this.hover = this.clicked = -1;
    this.sent = { selected: 0, cuts: 0 };
    this.off = new Set(); // names of categories switched off
    this.layersOn = [1, 1, 1, 1];
    this.facets = []; // cards of the columns to filter by
    this.fails = null; // which filters each point fails, as bits
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

  update(config, send) {
    this.send = send;
    this.wanted = config;
    this.el.stage.style.height = config.height + "px";
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
      const bytes = takeBlock(digest);
      if (bytes !== undefined) blocks[name] = bytes;
      else if (!LATER(name)) return; // on its way; its carrier wakes us
    }
    const began = performance.now(), before = this.config, fresh = before?.digest !== next.digest;
    if (!fresh && next === before && Object.keys(blocks).every(LATER)) return this.applyLater(blocks);
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
    if (changed("labels")) this.labels = blocks.labels ? this.readLabels(blocks.labels) : next.blocks.labels && !fresh ? this.labels : null;
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
    for (const [name, digest] of Object.entries(next.blocks)) if (!LATER(name) || blocks[name]) this.applied[name] = digest;

    this.layout();
    if (fresh) this.fails = null;
    if (fresh) this.resetView(false);
    if (fresh) this.reopen();
    const refaceted = this.takeFacets(blocks, fresh);
    if (!refaceted && changed("visible") && this.facets.length) this.markFilters();
    if (!refaceted && changed("layer") && this.facets.length) this.markFilters();
    if (recoloured || fresh || !this.paletteTheme) this.paintPalette();
    const other = fresh || changed("visible") || changed("layer") || refaceted;
    if (other) this.countFacets();
    else if (recoloured) this.paintFacets();
    if (other || adopt) this.uploadFlags();
    if (recoloured || other) this.buildLegend();
    this.offer();
    this.openPoint(next.opened, fresh, before?.opened);
    this.describe();
    this.showDetail(this.hover);
    this.takeLink();
    this.el.wait.hidden = true;
    const drawing = performance.now();
    // A run of the page that changed nothing here costs no picture: at a million points that is half a second.
    const drawn = JSON.stringify([next.names, next.axes, this.cuts, this.clicked, this.view, this.area]);
    if (other || recoloured || adopt || drawn !== this.drawn) this.drawNow();
    this.drawn = drawn;
    if (fresh && next.count) {
      this.painter.settle();
      this.drawCost = performance.now() - drawing;
    }
    this.root.dataset.ready = next.digest;
    this.markLoaded();
    this.root.dataset.paintMs = (performance.now() - began).toFixed(0);
    this.root.dataset.drawMs = this.drawCost.toFixed(0);
    this.root.dataset.paintedAt = Date.now();
    if (fresh) {
      this.grid = null;
      clearTimeout(this.gridTimer);
      this.gridTimer = setTimeout(() => this.pointGrid(), 60);
    }
  }

  /** Bytes that the first picture does not need have come: texts of the hover, columns to filter by. */
  applyLater(blocks) {
    if (!Object.keys(blocks).length) return this.takeLink();
    for (const name of Object.keys(blocks)) this.applied[name] = this.config.blocks[name];
    if (blocks.labels) this.labels = this.readLabels(blocks.labels);
    if (this.takeFacets(blocks, false)) {
      if (this.isFiltered) this.afterFilter();
      else this.countFacets();
    }
    this.showDetail(this.hover);
    this.markLoaded();
  }

  markLoaded() {
    const { config, applied, root } = this, all = Object.entries(config.blocks).every(([name, digest]) => applied[name] === digest);
    if (all) root.dataset.loaded = config.digest;
    else delete root.dataset.loaded;
  }

  /** The record that is open elsewhere on the page gets the ring; the view goes there when it lies outside. */
  openPoint(i, fresh, before) {
    if (!fresh && i === before) return;
    this.clicked = i >= 0 && i < this.config.count ? i : -1;
    this.root.dataset.opened = this.clicked;
    if (this.clicked < 0 || fresh) return;
    const [px, py] = this.toPixel(this.xs[i], this.ys[i]), { w, h } = this.area;
    if (!Number.isFinite(px) || (px >= 0 && py >= 0 && px <= w && py <= h)) return;
    this.view.cx = this.xs[i];
    this.view.cy = this.ys[i];
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
    const range = next.axes ? next.axes.range : next.home;
    this.beyond = 0;
    if (range) for (let i = 0; i < n; i++) if (this.xs[i] < range[0] || this.xs[i] > range[1] || this.ys[i] < range[2] || this.ys[i] > range[3]) this.beyond += 1;
    this.dense = densityOf(this.xs, this.ys, box);
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

  /** The test "is point i drawn": a position, not filtered, its category and its layer on. */
  shownTest() {
    const { xs, ys, visible, layer, codes, layersOn, fails } = this, on = this.categoryOn;
    return (i) => {
      const x = xs[i] - xs[i], y = ys[i] - ys[i];
      return x === 0 && y === 0 && (!visible || bitAt(visible, i) === 1) && (!fails || (fails[i] & PASS) === 0) && on[codes[i]] === 1 && (!layer || layersOn[layer[i]] > 0);
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
    const { config, xs, ys, visible, layer, selected, fails, dense } = this, n = config.count, flags = new Uint8Array(n);
    let chosen = 0;
    for (let i = 0; i < n; i++) {
      const x = xs[i] - xs[i], y = ys[i] - ys[i], s = bitAt(selected, i);
      chosen += s;
      flags[i] = (x === 0 && y === 0 && (!visible || bitAt(visible, i)) ? 0 : 1) | (s << 1) | (layer ? layer[i] << 2 : 0) | (fails && fails[i] & PASS ? 16 : 0) | (dense[i] << 5);
    }
    this.chosen = chosen;
    this.painter.flags(flags, this.isFiltered);
  }

  pointGrid() {
    if (!this.grid && this.config) this.grid = new PointGrid(this.xs, this.ys, this.box);
    return this.grid;
  }
}
