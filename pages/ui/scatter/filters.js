// Crossfilter: which points pass which column's filter, as one bit a column, and how many each bar holds among those that pass the others.

const PASS = 0x0fff, UNCOUNTED = 0x8000; // bits of `fails`: one a column; not in the first layer, or not shown by the page

class ScatterFilters extends ScatterDetail {
  /** Cards for the columns whose bytes are here; filters of columns that stay are kept. */
  takeFacets(blocks, fresh) {
    const specs = this.config.facets ?? [], old = new Map(fresh ? [] : this.facets.map((f) => [f.spec.name, f])), cards = [];
    let changed = fresh || specs.length !== this.facets.length;
    for (const spec of specs) {
      const bytes = blocks[`facet.${spec.name}`], before = old.get(spec.name);
      if (!bytes && !before) continue;
      if (before && !bytes && JSON.stringify(before.spec) === JSON.stringify(spec)) { cards.push(before); continue; }
      const card = new FacetCard(spec, bytes ?? before.codes, (facet) => this.filtered(facet));
      const wanted = this.wantedFilters?.get(spec.name) ?? (before?.allow ? before.text().split(":").at(-1) : null);
      this.wantedFilters?.delete(spec.name);
      if (wanted) card.allow = card.read(wanted);
      cards.push(card);
      changed = true;
    }
    if (!changed && cards.every((c, k) => c === this.facets[k])) return false;
    this.facets = cards;
    this.el.facets.replaceChildren(...cards.map((c) => c.el));
    this.el.strip.hidden = !specs.length;
    this.markFilters();
    for (const card of cards) if (!card.built) { card.totals.set(this.countCodes(card.codes, UNCOUNTED)); card.build(); card.built = true; }
    return true;
  }

  /** All bits anew: after new columns or another filter of the page. */
  markFilters() {
    const n = this.config.count, { layer, visible } = this;
    const fails = (this.fails = this.facets.length ? new Uint16Array(n) : null);
    if (!fails) return;
    if (layer || visible) for (let i = 0; i < n; i++) if (layer?.[i] || (visible && !bitAt(visible, i))) fails[i] = UNCOUNTED;
    this.facets.forEach((facet, k) => { if (facet.allow) this.markOne(facet, k); });
  }

  markOne({ allow, codes }, k) {
    const { fails, layer } = this, bit = 1 << k, n = fails.length;
    if (!allow) for (let i = 0; i < n; i++) fails[i] &= ~bit;
    // a point of an overlay that says nothing in this column stays: production has no influence to be filtered by
    else if (!layer) for (let i = 0; i < n; i++) { if (allow[codes[i]]) fails[i] &= ~bit; else fails[i] |= bit; }
    else for (let i = 0; i < n; i++) { if (allow[codes[i]] || (codes[i] === NONE && layer[i])) fails[i] &= ~bit; else fails[i] |= bit; }
  }

  /** Points of each code among those that fail nothing of `mask`. */
  countCodes(codes, mask) {
    const out = new Uint32Array(256), { fails } = this, n = codes.length;
    for (let i = 0; i < n; i++) if ((fails[i] & mask) === 0) out[codes[i]] += 1;
    return out;
  }

  get isFiltered() {
    return this.facets.some((f) => f.allow);
  }

  filtered(facet) {
    const began = performance.now();
    this.markOne(facet, this.facets.indexOf(facet));
    this.afterFilter();
    this.painter.settle();
    this.root.dataset.filterMs = (performance.now() - began).toFixed(0);
    this.remember();
    clearTimeout(this.sayTimer);
    this.sayTimer = setTimeout(() => { this.el.live.textContent = this.isFiltered ? `${formatCount(this.passing)} records pass the filters` : "No filter"; }, 400);
  }

  clearFilters() {
    if (!this.isFiltered) return;
    for (const facet of this.facets) facet.allow = null;
    this.markFilters();
    this.afterFilter();
    this.remember();
    this.el.live.textContent = "No filter";
  }

  /** What follows from new bits: bars, legend, words, points. */
  afterFilter(draw = true) {
    this.hover = -1;
    this.hideTip();
    this.countFacets();
    this.uploadFlags();
    this.recountLegend();
    this.describe();
    this.showDetail(-1);
    if (draw) this.drawNow();
  }

  countFacets() {
    const { facets, fails } = this;
    if (!facets.length) { this.passing = this.config.count; return; }
    facets.forEach((facet, k) => facet.counts.set(this.countCodes(facet.codes, UNCOUNTED | (PASS & ~(1 << k)))));
    let passing = 0, counted = 0;
    for (let i = 0; i < fails.length; i++) { if (fails[i] === 0) passing += 1; if (!(fails[i] & UNCOUNTED)) counted += 1; }
    this.passing = passing;
    this.root.dataset.filters = this.filterText();
    this.counted = counted;
    this.paintFacets();
  }

  paintFacets() {
    const c = this.config.colour;
    for (const facet of this.facets) {
      let colour = () => "";
      if (facet.spec.name === this.config.colourName) {
        if (c.kind === "categories") {
          const at = new Map(c.names.map((name, k) => [name, k]));
          colour = (code) => { const k = code === NONE ? c.noise : at.get(facet.spec.names[code]); return k >= 0 ? `rgb(${this.colours[k]})` : ""; };
        } else if (c.kind === "values" && facet.spec.edges.length) {
          const [low, high] = c.limits, { edges } = facet.spec;
          colour = (code) => (code === NONE ? "" : `rgb(${this.colours[Math.min(STEPS - 1, Math.max(0, Math.round((((edges[code] + edges[code + 1]) / 2 - low) / (high - low || 1)) * (STEPS - 1))))]})`);
        }
      }
      facet.paint(colour);
    }
    const said = this.isFiltered ? `${formatCount(this.passing)} of ${formatCount(this.counted)} pass` : `${formatCount(this.counted)} records`;
    this.el.passing.textContent = said;
    for (const button of this.el.strip.querySelectorAll("[data-do=keep],[data-do=unfilter]")) button.disabled = !this.isFiltered;
  }

  filterText() {
    return this.facets.map((f) => f.text()).filter(Boolean).join(";");
  }

  /** {column: text} of a filter as `filterText` writes it. */
  readFilters(text) {
    const out = new Map();
    for (const part of (text || "").split(";")) {
      const cut = part.lastIndexOf(":");
      if (cut <= 0) continue;
      try { out.set(decodeURIComponent(part.slice(0, cut)), part.slice(cut + 1)); } catch { /* no text of ours */ }
    }
    return out;
  }
}
