// The legend and every other word around the plot. Text comes from data, so it only ever goes to textContent.

const LEGEND_LIMIT = 400;

class ScatterLegend extends ScatterDrawing {
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
      if (c.noise >= 0 && counts[c.noise]) order.push(c.noise);
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
      this.overlaid = counts[1] + counts[2] + counts[3];
      this.config.layers.forEach((name, k) => layers.append(this.entry(name, counts[k], "", { layer: k })));
    }
    this.markLegend();
  }

  /** After a filter: the numbers alone. */
  recountLegend() {
    if (this.config.colour.kind !== "categories") return;
    const counts = this.countCategories();
    for (const button of this.el.entries.querySelectorAll(".entry")) {
      const k = Number(button.dataset.code);
      button.querySelector("b").textContent = formatCount(counts[k]);
      button.title = `${this.config.colour.names[k]} (${formatCount(counts[k])})`;
    }
  }

  /** Points of each category in the first layer; overlays are counted in the layers' own entries. */
  countCategories() {
    const counts = new Uint32Array(this.config.colour.names.length), { codes, layer, visible, fails } = this;
    for (let i = 0; i < codes.length; i++) if (!layer?.[i] && !(fails && fails[i] & PASS) && (!visible || bitAt(visible, i))) counts[codes[i]] += 1;
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
    const only = document.createElement("u");
    only.textContent = "only";
    only.title = "Show only this one, or again all";
    only.setAttribute("aria-hidden", "true"); // Shift + Enter does it
    button.append(dot, text, number, only);
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
    if (this.isFiltered) lines.push(`${formatCount(this.passing)} pass the filters`);
    if (this.beyond) lines.push(`${formatCount(this.beyond)} outside the first view (${this.config.home && !this.config.axes ? "9 shows all" : "zoom out"})`);
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
}
