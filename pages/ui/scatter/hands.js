// Pointer and keys: hover, click, pan, zoom, lasso, rectangle, cuts.

const CLICK_SLOP = 4, PICK_RADIUS = 9;

class ScatterHands extends ScatterLinks {
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
    this.showDetail(i);
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
    if (axes) lines.push(`${axes.x}: ${formatNumber(nearestLevel(axes.levels, this.xs[i] + ox))}`, `${axes.y}: ${formatNumber(this.ys[i] + oy)}`);
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
    this.root.dataset.opened = i;
    this.emit("clicked", { index: i });
    this.showDetail(-1);
    this.drawOver();
  }

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
    for (const bar of [tools, this.el.strip.querySelector(".strip-head")]) on(bar, "click", (e) => { const b = e.target.closest("button"); if (b) this.act(b.dataset.do); });
    on(this.el.share, "click", (e) => { if (e.target.closest("button")) { this.el.share.hidden = true; this.el.pad.focus(); } });
    for (const box of [entries, layers]) {
      on(box, "click", (e) => { const b = e.target.closest(".entry"); if (b && !(e.detail > 2)) this.toggleEntry(b, !!e.target.closest("u")); });
      on(box, "dblclick", (e) => { const b = e.target.closest(".entry"); if (b && !e.target.closest("u")) this.toggleEntry(b, true); });
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
      everything: () => this.showAll(), unfilter: () => this.clearFilters(), keep: () => this.choose(() => true, "replace", { how: "filter" }),
      undo: () => this.ask("undo"), redo: () => this.ask("redo"), link: () => { if (this.config.actions.includes("link")) this.askLink(); },
      like: () => this.ask("like", this.hover >= 0 ? this.hover : this.clicked),
      filter: () => { const first = this.facets[0]; if (first) { this.el.strip.classList.remove("folded"); this.markFold(); first.focus(); } },
      fold: () => { this.el.strip.classList.toggle("folded"); this.markFold(); },
      all: () => this.choose(() => true, "replace", { how: "all" }),
      clear: () => { if (this.chosen) this.setSelection(new Uint8Array(this.selected.length), { how: "clear" }); },
      help: () => { help.hidden = hasHelp; tools.querySelector("[data-do=help]").setAttribute("aria-expanded", String(!hasHelp)); },
    };
    acts[what]?.();
  }

  markFold() {
    this.el.strip.querySelector("[data-do=fold]").setAttribute("aria-expanded", String(!this.el.strip.classList.contains("folded")));
  }

  /** Ask the page for something that it offers; `about`: the point that it is about. */
  ask(what, about = null) {
    if (about === -1) this.el.live.textContent = "Point at a record or open one first";
    if (this.config.actions?.includes(what) && (about === null || about >= 0)) this.emit("action", { do: what, index: about });
  }

  /** Buttons of what the page offers. */
  offer() {
    const { actions, home, axes, facets } = this.config;
    for (const [what, there] of [...["undo", "redo", "link", "like"].map((a) => [a, actions?.includes(a)]), ["everything", home && !axes], ["filter", facets?.length]])
      for (const el of this.root.querySelectorAll(`[data-do="${what}"], [data-for="${what}"]`)) el.hidden = !there;
  }

  key(e) {
    if (e.target === this.el.shareField) { if (e.key === "Escape") { this.el.share.hidden = true; this.el.pad.focus(); } e.stopPropagation(); return; }
    const letter = e.key.toLowerCase();
    if ((e.ctrlKey || e.metaKey) && !["z", "y"].includes(letter)) return;
    const entry = e.target.closest?.(".entry"), onPad = e.target === this.el.pad, step = e.shiftKey ? 160 : 48;
    const acts = {
      "+": () => this.act("in"), "=": () => this.act("in"), "-": () => this.act("out"), "−": () => this.act("out"), 0: () => this.act("reset"),
      l: () => this.act("lasso"), b: () => this.act("box"), v: () => this.act("pan"), i: () => this.act("invert"), a: () => this.act("all"), "?": () => this.act("help"),
      9: () => this.act("everything"), f: () => this.act("filter"), x: () => this.act("unfilter"), k: () => this.act("keep"), m: () => this.act("like"), c: () => this.act("link"),
      z: () => this.act(e.shiftKey ? "redo" : "undo"), y: () => this.act("redo"),
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
    const act = acts[letter];
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
      this.el.live.textContent = [...this.el.tip.children].map((part) => part.textContent).filter(Boolean).slice(0, 2).join(": ");
      return this.click(i);
    }
  }
}
