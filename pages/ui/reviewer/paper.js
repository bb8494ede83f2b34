// The record as it reads best: its facts, its turns with the reasoning folded apart, Markdown rendered or as it stands, and, on demand,
// how it differs from its near-duplicates and from records that contradict it.

import { block, el, literal } from "./text.js";
import { looksLikeMarkdown, rendered } from "./markdown.js";
import { dark, layer, legend } from "./heat.js";
import { button, keycap } from "./panel.js";

const ROLES = { system: "System", user: "User", assistant: "Assistant", tool: "Tool", developer: "Developer" };

export class Paper {
  // host: memo (a Shelf), wantWhole(record), wantNear(record), near(record) -> its fetched neighbours or undefined, goTo(position)
  constructor(host) {
    this.host = host;
    this.node = el("article", "record");
    this.node.tabIndex = 0;
    this.node.setAttribute("aria-label", "Record");
  }

  draw(record, position) {
    this.record = record;
    const parts = [];
    if (!record) parts.push(el("p", "waiting", "Fetching the next records…"));
    else if (record.missing) {
      parts.push(el("p", "waiting", `Record ${record.record_id} is no longer in this dataset. Its earlier verdicts are kept.`));
    } else {
      const head = el("div", "head");
      const facts = el("div", "facts");
      for (const [name, value] of record.facts ?? []) {
        const chip = el("span", "fact");
        chip.append(el("span", "name", name), " ");
        chip.append(block(String(value), { className: "value" }).firstChild);
        facts.append(chip);
      }
      this.marked = record.turns.some((turn) => looksLikeMarkdown(turn.text ?? "") || looksLikeMarkdown(turn.reasoning ?? ""));
      head.append(facts);
      if (this.marked) head.append(this.switch());
      if (record.heat) head.append(this.tintSwitch());
      if (facts.childNodes.length || this.marked || record.heat) parts.push(head);
      if (record.heat && this.tinted) {
        this.node.classList.add("heat-theme");
        this.node.dataset.theme = dark(this.node) ? "dark" : "light";
        parts.push(legend(record.heat));
      }
      for (const turn of record.turns) parts.push(this.turn(turn, record));
      if (record.near) parts.push(this.neighbours(record, position));
    }
    this.node.replaceChildren(...parts);
  }

  get source() {
    return Boolean(this.host.memo?.get("source")?.shown);
  }

  switch() {
    const box = el("div", "views");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Markdown");
    for (const [label, source] of [["Rendered", false], ["Source", true]]) {
      const node = button("view", label, () => this.showSource(source));
      node.setAttribute("aria-pressed", String(this.source === source));
      box.append(node);
    }
    box.append(keycap("m"));
    return box;
  }

  showSource(source) {
    this.host.memo.put("source", { shown: source });
    const top = this.node.scrollTop;
    this.draw(this.record);
    this.node.scrollTop = top;
  }

  // Off until the reader asks: colours on words are no help to who judges the record first.
  get tinted() {
    return Boolean(this.host.memo?.get("tints")?.shown);
  }

  tintSwitch() {
    const node = button("view tints", "Words that help or harm", () => this.toggleTints());
    node.setAttribute("aria-pressed", String(this.tinted));
    node.setAttribute("aria-keyshortcuts", "z");
    node.append(keycap("z"));
    return node;
  }

  toggleTints() {
    if (!this.record?.heat) return false;
    this.host.memo.put("tints", { shown: !this.tinted });
    const top = this.node.scrollTop;
    this.draw(this.record);
    this.node.scrollTop = top;
    return true;
  }

  // One text: rendered where it has Markdown and the reader has not asked for the source.
  text(text, options = {}) {
    return block(text, { ...options, render: !this.source && looksLikeMarkdown(text) ? rendered : null });
  }

  turn(turn, record) {
    const box = el("section", `turn ${turn.answer ? "answer" : ""} ${turn.role in ROLES ? turn.role : "other"}`);
    const head = el("h3", "role");
    head.append(ROLES[turn.role] ?? block(turn.role, { className: "value" }).firstChild);
    if (turn.label) literal(head.appendChild(el("span", "sub")), turn.label);
    const tints = turn.answer && this.tinted ? record.heat : null;
    const options = (whole, part) => ({
      whole: whole ?? null,
      onWhole: () => this.host.wantWhole(record),
      heat: tints && part ? layer(tints.parts[part], tints.largest) : null,
    });
    if (turn.folded) {
      const fold = el("details", "fold");
      const summary = fold.appendChild(el("summary"));
      literal(summary, `${ROLES[turn.role] ?? turn.role} · ${turn.label ?? `${turn.text.length} characters`}`);
      fold.append(this.text(turn.text, options(turn.whole)));
      box.append(fold);
      return box;
    }
    box.append(head);
    if (turn.reasoning) {
      const fold = el("details", "fold reasoning");
      fold.open = Boolean(this.host.memo?.get("reasoning")?.open);
      const summary = el("summary", "", "Reasoning ");
      const length = turn.reasoning_whole ?? turn.reasoning.length;
      summary.append(el("span", "sub", `${length.toLocaleString("en-US")} characters`), keycap("f"));
      fold.append(summary, this.text(turn.reasoning, options(turn.reasoning_whole, "reasoning")));
      box.append(fold);
    }
    if (turn.text) box.append(this.text(turn.text, options(turn.whole, "text")));
    else if (!turn.calls?.length) box.append(el("p", "empty", "(empty)"));
    for (const call of turn.calls ?? []) box.append(el("div", "sub", "Tool call"), block(call));
    return box;
  }

  toggleReasoning() {
    const open = !this.host.memo.get("reasoning")?.open;
    this.host.memo.put("reasoning", { open });
    for (const node of this.node.querySelectorAll("details.reasoning")) node.open = open;
  }

  // ---------------------------------------------------------------- neighbours

  neighbours(record) {
    const fold = el("details", "fold near");
    const summary = el("summary", "", `${record.near} `);
    summary.append(keycap("d"));
    const box = el("div", "near-list");
    fold.append(summary, box);
    fold.ontoggle = () => fold.open && this.fillNear(record, box);
    return fold;
  }

  toggleNear() {
    const fold = this.node.querySelector("details.near");
    if (!fold) return false;
    fold.open = !fold.open;
    if (fold.open) fold.scrollIntoView({ block: "start", behavior: "instant" });
    return true;
  }

  // Python's answer has come: shown where the reader has the fold open.
  nearCame(record) {
    const fold = this.node.querySelector("details.near");
    if (fold?.open && record === this.record) this.fillNear(record, fold.lastChild);
  }

  fillNear(record, box) {
    const found = this.host.near(record);
    if (!found) {
      box.replaceChildren(el("p", "waiting", "Comparing…"));
      this.host.wantNear(record);
      return;
    }
    const parts = found.map((one) => {
      const card = el("section", "near-card");
      const head = el("h4", "near-head");
      literal(head, one.title);
      card.append(head);
      if (one.facts) literal(card.appendChild(el("p", "sub near-facts")), one.facts);
      for (const part of one.parts) card.append(this.part(part));
      return card;
    });
    box.replaceChildren(...parts);
    if (!parts.length) box.append(el("p", "waiting", "Its neighbours are not in the data that is open now."));
  }

  part(part) {
    const row = el("div", "near-part");
    row.append(el("div", "near-name", part.note ? `${part.name}: ${part.note}` : part.name));
    const sides = el("div", part.sides.length > 1 ? "near-sides" : "near-sides one");
    part.sides.forEach((side, n) => {
      const text = el("div", "near-text text");
      text.dir = "auto";
      text.setAttribute("aria-label", n ? "The neighbour" : "This record");
      for (const [differs, run] of side) {
        if (differs) literal(text.appendChild(el("mark", n ? "theirs" : "ours")), run);
        else literal(text, run);
      }
      sides.append(text);
    });
    row.append(sides);
    return row;
  }
}
