// The strip over the record: one cell a record up to 100, otherwise the fifty around the current one and a bar for the whole.

import { el } from "./text.js";
import { button } from "./panel.js";

const PAGE = 50; // cells of a long strip
export const WORDS = { pass: "pass", fail: "fail", unsure: "unsure", disputed: "two verdicts", "": "unread" };

export class Strip {
  constructor(go) {
    this.go = go;
    this.cells = [];
    this.node = el("nav", "strip");
    this.node.setAttribute("aria-label", "Records of the sample");
  }

  // all: the outcome at each position. position: where the reader is. identity: of the sample and its reader.
  draw(all, position, identity) {
    const long = all.length > 100;
    const page = long ? Math.floor(position / PAGE) : 0;
    const first = page * PAGE;
    const last = long ? Math.min(first + PAGE, all.length) : all.length;
    if (this.drawn !== `${identity}|${first}|${last}|${all.length}`) {
      this.drawn = `${identity}|${first}|${last}|${all.length}`;
      this.cells = [];
      const row = el("div", "cells");
      // Fingers: the row is one target (its cells take none, see the style sheet).
      row.onclick = (event) => {
        if (event.target !== row) return;
        const box = row.getBoundingClientRect();
        const under = this.cells.findIndex((cell) => event.clientX <= cell.getBoundingClientRect().right);
        if (event.clientX >= box.left) this.go(under < 0 ? last - 1 : first + under);
      };
      for (let i = first; i < last; i++) {
        const cell = button("cell", null, () => this.go(i));
        cell.tabIndex = -1;
        this.cells.push(cell);
        row.append(cell);
      }
      this.node.replaceChildren();
      if (long) {
        const before = button("quiet page", "‹", () => this.go(Math.max(0, first - PAGE)));
        const after = button("quiet page", "›", () => this.go(Math.min(all.length - 1, first + PAGE)));
        before.setAttribute("aria-label", "Fifty records back");
        after.setAttribute("aria-label", "Fifty records on");
        before.disabled = !first;
        after.disabled = last >= all.length;
        this.bar = el("div", "bar");
        this.bar.append(el("div", "fill"));
        this.node.append(before, row, after, this.bar);
      } else {
        this.bar = null;
        this.node.append(row);
      }
      this.node.classList.toggle("long", long);
    }
    this.cells.forEach((cell, i) => {
      const at = first + i;
      const name = `cell ${all[at]}${at === position ? " here" : ""}`;
      if (cell.className === name && cell.title) return;
      cell.className = name;
      cell.title = `Record ${at + 1}: ${WORDS[all[at]]}`;
      cell.setAttribute("aria-label", cell.title);
      if (at === position) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
      cell.tabIndex = at === position ? 0 : -1;
    });
    if (this.bar) {
      const read = all.filter(Boolean).length;
      this.bar.firstChild.style.width = `${(100 * read) / all.length}%`;
      this.bar.title = `${read.toLocaleString("en-US")} of ${all.length.toLocaleString("en-US")} read`;
    }
  }
}
