// Theme, sizes, view, and the three sheets: axes below, points in the middle, names, cuts and the lasso above.

const TOOLS = 36; // px
const PAINT_BUDGET = 30; // ms a frame may take while the view moves; slower machines then draw a fair sample

function boxPath(points) {
  const [x0, y0] = points[0], [x1, y1] = points[1] ?? points[0];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

class ScatterDrawing extends ScatterState {
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
      if (this.fails) this.paintFacets();
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
    const before = this.fit, size = JSON.stringify(this.area);
    this.layout();
    if (before && JSON.stringify(this.area) === size) return;
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
    const first = axes ? axes.range : this.config.home;
    if (first) [x0, x1, y0, y1] = first;
    const spanX = x1 - x0 || 1, spanY = y1 - y0 || 1;
    const tools = axes ? 0 : TOOLS; // the tools lie over the top of a map: nothing should lie under them at first
    let sx = area.w / spanX / pad, sy = (area.h - tools) / spanY / pad;
    if (!axes) sx = sy = Math.min(sx, sy);
    this.fit = { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2 + tools / 2 / sy, sx, sy };
  }

  resetView(draw = true) {
    this.computeFit();
    this.view = { ...this.fit };
    if (!draw) return;
    this.remember();
    this.schedule();
  }

  /** Every point, also those that the first view leaves outside. */
  showAll() {
    const { box, area } = this, pad = this.config.axes ? 1.06 : 1.1;
    let sx = area.w / (box.x1 - box.x0 || 1) / pad, sy = area.h / (box.y1 - box.y0 || 1) / pad;
    if (!this.config.axes) sx = sy = Math.min(sx, sy);
    this.view = { cx: (box.x0 + box.x1) / 2, cy: (box.y0 + box.y1) / 2, sx, sy };
    this.moved();
  }

  zoom(factor, px = this.area.w / 2, py = this.area.h / 2) {
    const least = 0.3 * Math.min(1, this.area.w / (this.box.x1 - this.box.x0 || 1) / this.fit.sx, this.area.h / (this.box.y1 - this.box.y0 || 1) / this.fit.sy);
    const z = Math.min(5000, Math.max(least, (this.view.sx / this.fit.sx) * factor)) / (this.view.sx / this.fit.sx), [x, y] = this.toData(px, py);
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

  look() {
    const { area, placed, view, fit } = this, zoom = Math.max(1, view.sx / fit.sx), room = (area.w * area.h) / Math.max(1, placed);
    const size = Math.min(10, Math.min(7, Math.max(1.35, 1.1 * room ** 0.36)) * zoom ** 0.4);
    const alpha = Math.min(0.9, Math.max(0.2, 0.88 * ((room * zoom ** 1.4) / 100) ** 0.2));
    const fadeTo = this.ground.map((v, k) => v * 0.55 + this.ink[k] * 0.45);
    // Rings lie over the points they are compared with: thin, and the paler the more of them there are.
    const over = (area.w * area.h) / Math.max(1, this.overlaid ?? 1);
    const ringSize = Math.min(9, Math.min(6.5, Math.max(3.8, 0.34 * Math.sqrt(over))) * zoom ** 0.3), ringAlpha = Math.min(0.75, Math.max(0.26, 0.7 * ((over * zoom ** 1.4) / 900) ** 0.25));
    const crowd = Math.min(1, placed / 3000) / zoom ** 0.5, ghost = Math.max(0.05, Math.min(0.16, alpha * 0.2));
    return { size, alpha, ringSize, ringAlpha, crowd, ghost, layersOn: this.layersOn, ink: this.ink, ground: this.ground, fadeTo };
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
    this.remember();
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
    for (const [i, width, more, ink] of [[this.clicked, 2.6, 3, this.accent], [this.hover, 1.6, 0, this.ink]])
      if (i >= 0) {
        const [x, y] = this.toPixel(this.xs[i], this.ys[i]);
        for (const [extra, colour] of [[2, this.ground], [0, ink]]) {
          g.beginPath();
          g.arc(x, y, Math.max(5, this.look().size / 2 + 3) + more, 0, 7);
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
    const a = this.area, taken = [], names = this.config.names.map(([text, x, y]) => [text, ...this.toPixel(x, y)]);
    if (!this.config.axes) taken.push([0, 0, this.el.tools.offsetWidth + 16, 48]);
    if (!this.el.chip.hidden) taken.push([a.w - this.el.chip.offsetWidth - 16, 0, a.w, 42]);
    const measure = (text, size) => { g.font = `600 ${size}px ${this.font}`; return g.measureText(text).width; };
    const placed = placeNames(names, a.w, a.h, measure, taken);
    for (const { text, x, y, size } of placed) this.say(g, text, x, y, size, 600, "center", 0.94);
    this.root.dataset.names = placed.length;
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
      g.strokeStyle = t === 0 ? soft : grid; g.beginPath(); g.moveTo(a.left, py); g.lineTo(a.left + a.w, py); g.stroke();
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

  /** Places the two handles, and names and counts the quadrants (drawn points of the first layer). */
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
    for (const [el, value, name, levels] of [[cutX, cuts[0], axes?.x, axes?.levels], [cutY, cuts[1], axes?.y, null]]) {
      const said = cutText(levels, value);
      el.lastElementChild.textContent = said;
      el.setAttribute("aria-valuenow", String(value));
      el.setAttribute("aria-valuetext", said);
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
    for (let i = 0; i < xs.length; i++) if (shown(i) && !(this.layer && this.layer[i])) counts[(xs[i] >= cx ? 1 : 0) + (ys[i] >= cy ? 2 : 0)] += 1;
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
}
