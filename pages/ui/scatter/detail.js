// The pane under the legend: everything known here of the point under the pointer, else of the open one. No server is asked.

class ScatterDetail extends ScatterLegend {
  showDetail(i) {
    const { detail } = this.el, shown = i >= 0 ? i : this.clicked;
    if (!this.facets.length) { detail.hidden = true; return; }
    detail.hidden = false;
    this.root.dataset.detail = shown;
    const key = `${shown}/${i >= 0}/${this.facets.length}/${this.applied.labels ?? ""}`;
    if (key === this.detailKey) return;
    this.detailKey = key;
    const [head, list, text] = detail.children;
    if (shown < 0 || shown >= this.config.count) {
      head.textContent = "Point at a record to see it here";
      list.replaceChildren();
      text.textContent = "";
      return;
    }
    const layer = this.layer && this.config.layers ? this.config.layers[this.layer[shown]] : "";
    head.textContent = i >= 0 ? `Under the pointer${layer ? " · " + layer : ""}` : `Open${layer ? " · " + layer : ""}`;
    const rows = [];
    for (const facet of this.facets) {
      const code = facet.codes[shown];
      if (code === 255) continue;
      const dt = make("dt", "", facet.spec.title), dd = make("dd", "", facet.histogram ? facet.span(code, code) : facet.nameOf(code));
      dt.title = facet.spec.title;
      rows.push(dt, dd);
    }
    list.replaceChildren(...rows);
    text.textContent = this.labels ? this.labels(shown) : this.config.count > 200000 ? "Click to read its text" : "";
  }
}
