// The bars beside the points: one card a column, built once, its numbers kept up to date. Text only ever goes to textContent.

const NONE = 255, ROWS = 120; // the code of "no value"; rows of a card, the rest stay reachable through search and legend

function make(tag, name, text) {
  const el = document.createElement(tag);
  if (name) el.className = name;
  if (text !== undefined) el.textContent = text;
  return el;
}

class FacetCard {
  /** `changed(allow)`: the reader's new filter, 256 bytes, or null for none. */
  constructor(spec, codes, changed) {
    Object.assign(this, { spec, codes, changed });
    this.bars = spec.edges.length ? spec.edges.length - 1 : spec.names.length;
    this.histogram = spec.edges.length > 0 && !spec.levels.length;
    this.allow = null;
    this.counts = new Uint32Array(256);
    this.totals = new Uint32Array(256);
    this.el = make("section", this.histogram ? "facet numbers" : "facet");
    this.el.dataset.facet = spec.name;
    const head = make("header"), title = make("h4", "", spec.title);
    title.title = spec.title;
    this.said = make("span", "said");
    this.clearer = make("button", "clear", "✕");
    this.clearer.type = "button";
    this.clearer.title = "Clear this filter";
    this.clearer.setAttribute("aria-label", `Clear the filter by ${spec.title}`);
    this.clearer.onclick = () => { this.set(null); this.focus(); };
    head.append(title, this.said, this.clearer);
    this.el.append(head);
    this.body = make("div", this.histogram ? "hist" : "rows");
    this.el.append(this.body);
  }

  /** Once the totals are known: the rows or the histogram. */
  build() {
    this.body.replaceChildren();
    if (this.histogram) this.buildHistogram();
    else this.buildRows();
    this.el.addEventListener("keydown", (e) => this.key(e));
  }

  nameOf(code) {
    const { spec } = this;
    if (code === NONE) return spec.absent;
    return spec.levels.length ? formatNumber(spec.levels[code]) : spec.names[code] || "(empty)";
  }

  buildRows() {
    const codes = [...Array(this.bars).keys()].filter((k) => this.totals[k]).slice(0, ROWS);
    if (this.totals[NONE]) codes.push(NONE);
    this.body.setAttribute("role", "group");
    this.body.setAttribute("aria-label", `${this.spec.title}: press a value to keep only it, another to add it`);
    this.rows = codes.map((code, at) => {
      const row = make("button", "row"), bar = make("i"), part = make("i", "part"), name = make("span", "", this.nameOf(code)), count = make("b");
      row.type = "button";
      row.tabIndex = at ? -1 : 0;
      row.dataset.code = code;
      row.append(bar, part, name, count);
      row.onclick = () => this.toggle(code);
      this.body.append(row);
      return { row, bar, part, count, code };
    });
  }

  buildHistogram() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), shape = (name, parent = svg) => {
      const el = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      el.setAttribute("class", name);
      parent.append(el);
      return el;
    };
    svg.setAttribute("viewBox", `0 0 ${this.bars * 10} 60`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.setAttribute("data-testid", `facet-${this.spec.name}`);
    this.brush = shape("brush");
    this.pairs = Array.from({ length: this.bars }, () => [shape("whole"), shape("part")]);
    const scale = make("div", "scale"), { edges } = this.spec, middle = Math.round(this.bars / 2);
    scale.append(make("span", "", formatNumber(edges[0])), make("span", "", formatNumber(edges[middle])), make("span", "", formatNumber(edges[this.bars])));
    this.body.append(svg, scale);
    if (this.totals[NONE]) {
      this.noneRow = make("button", "none", `${formatCount(this.totals[NONE])} without a value`);
      this.noneRow.type = "button";
      this.noneRow.title = "Keep only records without a value, or again all";
      this.noneRow.onclick = () => this.toggle(NONE);
      this.body.append(this.noneRow);
    }
    this.svg = svg;
    const at = (e) => {
      const r = svg.getBoundingClientRect();
      return Math.min(this.bars - 1, Math.max(0, Math.floor(((e.clientX - r.left) / r.width) * this.bars)));
    };
    svg.addEventListener("pointerdown", (e) => {
      if (e.button) return;
      svg.setPointerCapture(e.pointerId);
      this.from = at(e);
      this.before = this.range();
    });
    svg.addEventListener("pointermove", (e) => {
      const k = at(e);
      svg.setAttribute("data-over", k);
      this.told(k);
      if (this.from !== undefined && (k !== this.from || this.swept)) {
        this.swept = true;
        this.keep(Math.min(this.from, k), Math.max(this.from, k));
      }
    });
    svg.addEventListener("pointerleave", () => this.describe());
    const end = () => {
      if (this.from === undefined) return;
      const [a, b] = this.before ?? [-1, -1];
      if (!this.swept) a === this.from && b === this.from || (a <= this.from && this.from <= b) ? this.set(null) : this.keep(this.from, this.from);
      this.from = this.swept = undefined;
    };
    svg.addEventListener("pointerup", end);
    svg.addEventListener("pointercancel", end);
  }

  /** [first, last] bar of a histogram's filter, or null. */
  range() {
    if (!this.allow) return null;
    let first = -1, last = -1;
    for (let k = 0; k < this.bars; k++) if (this.allow[k]) { if (first < 0) first = k; last = k; }
    return first < 0 ? null : [first, last];
  }

  keep(first, last) {
    const before = this.range();
    if (before && before[0] === first && before[1] === last && !this.allow[NONE]) return;
    const allow = new Uint8Array(256);
    allow.fill(1, first, last + 1);
    this.set(allow);
  }

  toggle(code) {
    const allow = this.allow ? this.allow.slice() : new Uint8Array(256);
    allow[code] = allow[code] ? 0 : 1;
    this.set(allow.some((v) => v) ? allow : null);
  }

  set(allow) {
    if (!allow && !this.allow) return;
    this.allow = allow;
    this.changed(this);
  }

  key(e) {
    const row = e.target.closest?.(".row"), went = { ArrowLeft: -1, ArrowDown: row ? 1 : -1, ArrowRight: 1, ArrowUp: row ? -1 : 1 }[e.key];
    const done = () => { e.preventDefault(); e.stopPropagation(); };
    if ((e.key === "Escape" || e.key === "Delete" || e.key === "Backspace") && this.allow) { done(); this.set(null); return this.focus(); }
    if (row && (went || e.key === "Home" || e.key === "End")) {
      done();
      const all = this.rows.map((r) => r.row), next = e.key === "Home" ? 0 : e.key === "End" ? all.length - 1 : Math.min(all.length - 1, Math.max(0, all.indexOf(row) + went));
      all.forEach((r, k) => (r.tabIndex = k === next ? 0 : -1));
      return all[next].focus();
    }
    if (e.target !== this.svg || !(went || ["Home", "End"].includes(e.key))) return;
    done();
    const last = this.bars - 1, third = Math.floor(this.bars / 3), [a, b] = this.range() ?? [null, null];
    if (a === null) return this.keep(went === -1 || e.key === "Home" ? 0 : third, went === 1 || e.key === "End" ? last : last - third);
    if (e.key === "Home") return this.keep(0, b);
    if (e.key === "End") return this.keep(a, last);
    if (e.shiftKey) return this.keep(a, Math.min(last, Math.max(a, b + went)));
    if (e.altKey) return this.keep(Math.min(b, Math.max(0, a + went)), b);
    if (a + went >= 0 && b + went <= last) this.keep(a + went, b + went);
  }

  focus() {
    (this.svg ?? this.rows?.find((r) => r.row.tabIndex === 0)?.row)?.focus();
  }

  /** What bar k holds, in words. */
  span(first, last) {
    const { edges } = this.spec, low = first === 0 ? null : edges[first], high = last === this.bars - 1 ? null : edges[last + 1];
    if (low === null && high === null) return "any value";
    return low === null ? `below ${formatNumber(high)}` : high === null ? `${formatNumber(low)} or more` : `${formatNumber(low)} to ${formatNumber(high)}`;
  }

  told(k) {
    this.said.textContent = `${this.span(k, k)}: ${formatCount(this.counts[k])}`;
  }

  describe() {
    const range = this.histogram ? this.range() : null;
    if (this.histogram) this.said.textContent = range ? this.span(...range) : "";
    else this.said.textContent = this.allow ? `${countOn(this.allow)} of ${this.rows.length}` : "";
    if (this.histogram && this.allow && !range) this.said.textContent = "no value";
    this.clearer.hidden = !this.allow;
    this.el.classList.toggle("on", !!this.allow);
    this.el.dataset.allowed = this.allow ? (range ? range.join("-") : [...this.allow.keys()].filter((k) => this.allow[k]).join(",")) : "";
  }

  /** Bars as counted; `colour(code)`: a CSS colour, or "" for the theme's own. */
  paint(colour) {
    const { counts, totals } = this;
    let most = 1;
    for (let k = 0; k < 255; k++) most = Math.max(most, totals[k]);
    if (this.histogram) {
      // A bar that holds anything is seen: at least a pixel and a half.
      const height = (n) => (n ? Math.max(1.5, (n / most) * 58) : 0), range = this.range();
      this.pairs.forEach(([whole, part], k) => {
        for (const [el, n] of [[whole, totals[k]], [part, counts[k]]]) {
          const h = height(n);
          el.setAttribute("x", k * 10 + 0.7);
          el.setAttribute("width", 8.6);
          el.setAttribute("y", 60 - h);
          el.setAttribute("height", h);
        }
        part.style.fill = colour(k);
        part.classList.toggle("out", !!this.allow && !this.allow[k]);
      });
      this.brush.setAttribute("x", range ? range[0] * 10 : 0);
      this.brush.setAttribute("width", range ? (range[1] - range[0] + 1) * 10 : 0);
      this.brush.setAttribute("height", 60);
      let passing = 0;
      for (let k = 0; k < this.bars; k++) if (!this.allow || this.allow[k]) passing += counts[k];
      this.svg.setAttribute("aria-label", `${this.spec.title}, histogram from ${formatNumber(this.spec.edges[0])} to ${formatNumber(this.spec.edges[this.bars])}. Filter: ${range ? this.span(...range) : "none"}, ${formatCount(passing)} records. Arrow keys move the filter, Shift moves its upper end, Alt its lower, Escape clears it.`);
      this.noneRow?.setAttribute("aria-pressed", String(!!this.allow?.[NONE]));
    } else {
      if (this.totals[NONE]) most = Math.max(most, totals[NONE]);
      for (const { row, bar, part, count, code } of this.rows) {
        bar.style.width = `${(100 * totals[code]) / most}%`;
        part.style.width = `${(100 * counts[code]) / most}%`;
        part.style.background = colour(code);
        count.textContent = formatCount(counts[code]);
        row.setAttribute("aria-pressed", String(!!this.allow?.[code]));
        row.classList.toggle("out", !!this.allow && !this.allow[code]);
        row.title = `${this.nameOf(code)}: ${formatCount(counts[code])} of ${formatCount(totals[code])}`;
        row.setAttribute("aria-label", `${row.title}${this.allow?.[code] ? ", kept" : ""}`);
      }
    }
    this.describe();
  }

  // -- as text: "category:1a2b3c4d.99aabbcc" or "influence:-0.2~0.4", with "none" for records without a value ------------------

  text() {
    if (!this.allow) return "";
    const { spec, allow } = this, parts = [], range = this.range();
    if (spec.names.length) for (let k = 0; k < this.bars; k++) { if (allow[k]) parts.push(spec.keys[k]); }
    else if (spec.levels.length) for (let k = 0; k < this.bars; k++) { if (allow[k]) parts.push(`=${spec.levels[k]}`); }
    else if (range) parts.push(`${range[0] === 0 ? "" : +spec.edges[range[0]].toPrecision(9)}~${range[1] === this.bars - 1 ? "" : +spec.edges[range[1] + 1].toPrecision(9)}`);
    if (allow[NONE]) parts.push("none");
    return `${encodeURIComponent(spec.name)}:${parts.join("_")}`;
  }

  /** The filter of such a text; values that are not here any more are left out, null when none is left. */
  read(value) {
    const allow = new Uint8Array(256), { spec } = this;
    for (const part of value.split("_")) {
      if (part === "none") allow[NONE] = 1;
      else if (spec.names.length) { const k = spec.keys.indexOf(part); if (k >= 0) allow[k] = 1; }
      else if (part.startsWith("=")) { const k = spec.levels.indexOf(Number(part.slice(1))); if (k >= 0) allow[k] = 1; }
      else if (part.includes("~")) {
        const [low, high] = part.split("~").map((t) => (t === "" ? null : Number(t))), slack = 1e-6 * Math.abs(spec.edges[1] - spec.edges[0]);
        for (let k = 0; k < this.bars; k++)
          if ((low === null || spec.edges[k] >= low - slack) && (high === null || spec.edges[k + 1] <= high + slack)) allow[k] = 1;
      }
    }
    return allow.some((v) => v) ? allow : null;
  }
}

function countOn(bits) {
  let total = 0;
  for (const bit of bits) total += bit;
  return total;
}
