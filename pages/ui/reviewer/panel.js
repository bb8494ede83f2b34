// What a reader answers of a record: the criteria of the rubric with their notes, and below them severity, kinds of error, high stakes,
// a corrected response, a reference and a note. Everything is drawn from the rubric's data; every change is told at once.

import { el } from "./text.js";

export const CRITERION_KEYS = "qwertyiopav"; // without the letters of the other actions
const MOST = 20000; // characters of a note
const MOST_CORRECTION = 200000;
const clean = (text) => text.replaceAll("\0", "");
const listOf = (value) => (Array.isArray(value) ? value : []);

export function blankForm() {
  return { answers: {}, answer_notes: {}, error_types: [], severity: "", high_stakes: false, guideline: "", correction: null, note: "" };
}

// A form of its own with what a draft or a verdict says; answers that the rubric does not know are left out.
export function formFrom(said, rubric) {
  const form = blankForm();
  const known = new Map();
  for (const one of rubric.criteria) {
    known.set(one.id, one.options);
    if (one.detail) known.set(`${one.id}.detail`, one.detail.options);
  }
  for (const [key, answer] of Object.entries(said?.answers ?? {})) {
    if (known.get(key)?.some((option) => option.id === answer)) form.answers[key] = answer;
  }
  for (const [key, text] of Object.entries(said?.answer_notes ?? {})) if (text && known.has(key)) form.answer_notes[key] = text;
  form.error_types = listOf(said?.error_types).filter((id) => rubric.error_types.some((one) => one.id === id)).sort();
  if (rubric.severity.some((one) => one.id === said?.severity)) form.severity = said.severity;
  if (rubric.high_stakes) form.high_stakes = Boolean(said?.high_stakes);
  if (rubric.guideline) form.guideline = said?.guideline ?? "";
  if (rubric.correction) form.correction = said?.correction ?? null;
  form.note = said?.note ?? "";
  return form;
}

const entries = (map) => Object.entries(map ?? {}).filter(([, v]) => v).sort();
export const formText = (form) =>
  JSON.stringify([
    entries(form?.answers), entries(form?.answer_notes), listOf(form?.error_types), form?.severity ?? "", Boolean(form?.high_stakes),
    form?.guideline ?? "", form?.correction ?? null, form?.note ?? "",
  ]); // prettier-ignore

// The verdict by the rubric's rule, as core.review.rubrics.outcome_of has it; null while the rule cannot tell.
export function ruledOutcome(rubric, form) {
  if (rubric.rule === "reader") return null;
  const said = rubric.criteria
    .filter((one) => one.needed)
    .map((one) => one.options.find((option) => option.id === form.answers[one.id])?.counts ?? null);
  if (said.filter((one) => one === "fail").length > rubric.fails_allowed || rubric.failing_severity.includes(form.severity)) return "fail";
  if (said.includes(null)) return null;
  return said.includes("unsure") || !said.some((one) => one === "pass" || one === "fail") ? "unsure" : "pass";
}

export function button(className, label, onClick) {
  const node = el("button", className, label);
  node.type = "button";
  node.onclick = onClick;
  return node;
}

export function keycap(key) {
  const node = el("kbd", "", key);
  node.setAttribute("aria-hidden", "true");
  return node;
}

export class Panel {
  // host: changed() after each change, leave() to give the keyboard back to the record, unfold() to be seen, reveal(node) to scroll to a part, response() the answer as it was sent or null.
  constructor(host) {
    this.host = host;
    this.node = el("div", "panel");
    this.form = blankForm();
    this.mode = null; // null, "errors" or "severity": what a digit means
    this.active = 0;
  }

  setRubric(rubric) {
    this.rubric = rubric;
    this.mode = null;
    this.rows = [];
    this.questions = el("div", "questions");
    for (const [index, criterion] of rubric.criteria.entries()) this.questions.append(this.criterion(criterion, index));
    this.more = el("div", "extras");
    const asked = [
      rubric.severity.length && "severity", rubric.error_types.length && "errors", rubric.high_stakes && "high stakes",
      rubric.correction && "correction", rubric.guideline && "reference",
    ].filter(Boolean); // prettier-ignore
    const name = asked.join(", ");
    this.opener = button("quiet opener", name.charAt(0).toUpperCase() + name.slice(1), () => {
      this.unfolded = true;
      this.draw();
    });
    this.opener.hidden = !asked.length;
    const title = (text, key) => {
      const node = el("div", "extra-title", text + " ");
      node.append(keycap(key));
      return node;
    };
    const group = (name, text, key, options, pressed, press) => {
      const box = el("div", `extra ${name}`);
      const choices = el("div", "chips");
      choices.setAttribute("role", "group");
      choices.setAttribute("aria-label", text);
      box.buttons = options.map((option, n) => {
        const node = button("chip", null, () => press(option.id));
        node.append(keycap(String(n + 1)), el("span", "", option.label));
        choices.append(node);
        return [node, () => pressed(option.id)];
      });
      box.append(title(text, key), choices);
      this.more.append(box);
      return box;
    };
    this.severity = rubric.severity.length
      ? group("severity", "Severity", "s", rubric.severity, (id) => this.form.severity === id, (id) => this.setSeverity(id))
      : null;
    this.errors = rubric.error_types.length
      ? group("errors", "Kinds of error", "x", rubric.error_types, (id) => this.form.error_types.includes(id), (id) => this.toggleError(id))
      : null;
    const flags = el("div", "extra flags");
    this.stakes = null;
    if (rubric.high_stakes) {
      this.stakes = button("chip stakes", null, () => this.toggleStakes());
      this.stakes.append(keycap("h"), el("span", "", "High stakes"));
      flags.append(this.stakes);
    }
    if (flags.childNodes.length) this.more.append(flags);
    this.correction = null;
    if (rubric.correction) {
      this.correction = this.field("Corrected response", "c", "The response as it should be", MOST_CORRECTION, (text) => {
        this.form.correction = text.trim() && text !== this.host.response() ? text : null;
      });
      this.correction.box.classList.add("correction");
      this.correction.area.onfocus = () => this.startCorrection();
      this.drop = button("quiet drop", "Discard the correction", () => {
        this.form.correction = null;
        this.correction.area.value = "";
        this.changed();
        this.host.leave();
      });
      this.correction.box.append(el("div", "hint-line", "A proposed edit: the record stays as it is until somebody accepts it."), this.drop);
    }
    this.guideline = rubric.guideline
      ? this.field("Guideline", "l", "A reference or an address; it is never opened", MOST, (text) => (this.form.guideline = text))
      : null;
    this.note = this.field("Note", "n", "What is wrong, or what you were unsure of", MOST, (text) => (this.form.note = text));
    this.note.area.id = "note";
    this.node.replaceChildren(this.questions, this.opener, this.more);
  }

  field(text, key, placeholder, most, set) {
    const box = el("div", "extra field");
    const label = el("label", "extra-title", text + " ");
    label.append(keycap(key));
    const area = el("textarea");
    label.append(area); // a label around its field needs no id
    area.rows = 1;
    area.maxLength = most;
    area.placeholder = placeholder;
    area.setAttribute("aria-keyshortcuts", key);
    area.setAttribute("aria-label", text);
    area.oninput = () => {
      set(clean(area.value));
      this.host.changed();
    };
    box.append(label);
    this.more.append(box);
    return { box, area };
  }

  criterion(criterion, index) {
    const row = el("div", "question");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", criterion.title);
    const ask = el("div", "ask");
    const key = CRITERION_KEYS[index];
    if (key) ask.append(keycap(key));
    const words = el("div", "words");
    words.append(el("span", "title", criterion.title));
    if (criterion.text) words.append(el("span", "help", criterion.text));
    ask.append(words);
    const write = button("quiet write", "✎", () => this.openNote(index));
    write.title = `Note on this${key ? ` (Shift+${key})` : ""}`;
    write.setAttribute("aria-label", `Note on ${criterion.title}`);
    ask.append(write);
    const choices = this.choices(criterion.options, criterion.id, "choices", index);
    row.append(ask, choices.box);
    const found = { row, criterion, choices, key };
    if (criterion.detail) {
      const line = el("div", "detail");
      found.detail = this.choices(criterion.detail.options, `${criterion.id}.detail`, "choices small", index);
      found.detail.box.setAttribute("role", "group");
      found.detail.box.setAttribute("aria-label", criterion.detail.text);
      line.append(el("span", "sub", criterion.detail.text), found.detail.box);
      row.append(line);
    }
    found.area = el("textarea", "own-note");
    found.area.rows = 1;
    found.area.maxLength = MOST;
    found.area.placeholder = `Note on ${criterion.title.toLowerCase()}`;
    found.area.setAttribute("aria-label", `Note on ${criterion.title}`);
    found.area.oninput = () => {
      this.form.answer_notes[criterion.id] = clean(found.area.value);
      this.host.changed();
    };
    row.append(found.area);
    row.classList.toggle("wide", criterion.options.length > 3);
    this.rows.push(found);
    return row;
  }

  choices(options, key, className, index) {
    const box = el("div", className);
    const buttons = options.map((option, n) => {
      const node = button(`choice ${option.counts ?? "none"} o-${option.id}`, null, () => {
        this.active = index;
        this.answer(key, this.form.answers[key] === option.id ? null : option.id);
      });
      node.append(el("span", "", option.label));
      if (!key.endsWith(".detail")) node.append(keycap(String(n + 1)));
      const name = option.label === "?" ? "Unsure" : option.label === "n.a." ? "Not applicable" : option.label;
      node.setAttribute("aria-label", name);
      box.append(node);
      return node;
    });
    return { box, buttons, options };
  }

  // ---------------------------------------------------------------- what is said

  load(form, usable) {
    this.form = form;
    this.usable = usable;
    this.mode = null;
    this.opened = new Set();
    this.unfolded = false;
    for (const { area, criterion } of this.rows) area.value = form.answer_notes[criterion.id] ?? "";
    if (this.correction) this.correction.area.value = form.correction ?? "";
    if (this.guideline) this.guideline.area.value = form.guideline;
    this.note.area.value = form.note;
    this.active = Math.max(0, this.firstOpen());
    this.draw();
  }

  changed() {
    this.host.changed();
    this.draw();
  }

  answer(key, id) {
    if (!this.usable) return;
    if (id) this.form.answers[key] = id;
    else delete this.form.answers[key];
    const criterion = this.rubric.criteria.find((one) => one.id === key);
    if (criterion?.detail) {
      const implied = criterion.detail.implied[id];
      const detail = `${key}.detail`;
      if (implied) this.form.answers[detail] = implied;
      else if (!id || Object.values(criterion.detail.implied).includes(this.form.answers[detail])) delete this.form.answers[detail];
    }
    this.changed();
  }

  setSeverity(id) {
    if (!this.usable) return;
    this.form.severity = this.form.severity === id ? "" : id;
    this.mode = null;
    this.changed();
  }

  toggleError(id) {
    if (!this.usable) return;
    const kept = this.form.error_types;
    this.form.error_types = (kept.includes(id) ? kept.filter((one) => one !== id) : [...kept, id]).sort();
    this.changed();
  }

  toggleStakes() {
    if (!this.usable) return;
    this.form.high_stakes = !this.form.high_stakes;
    this.changed();
  }

  // The correction begins as the response itself, when all of it is here.
  startCorrection() {
    const area = this.correction.area;
    const from = this.host.response();
    if (this.form.correction === null && !area.value && from !== null) {
      area.value = from;
      area.setSelectionRange(0, 0);
      area.scrollTop = 0;
    }
    this.draw();
  }

  openNote(index) {
    const row = this.rows[index];
    if (!row || !this.usable) return;
    this.host.unfold();
    this.opened.add(index);
    this.active = index;
    this.draw();
    row.area.focus({ preventScroll: true });
    this.host.reveal(row.row);
  }

  firstOpen(from = 0) {
    const { length } = this.rows;
    for (let n = 0; n < length; n++) {
      const at = (from + n) % length;
      if (!this.form.answers[this.rows[at].criterion.id]) return at;
    }
    return -1;
  }

  missing() {
    return this.rows.filter(({ criterion }) => criterion.needed && !this.form.answers[criterion.id]).map(({ criterion }) => criterion.title);
  }

  // ---------------------------------------------------------------- keys

  // What the keys of the panel do; null when the key is none of its own, else what to say aloud.
  key(event, letter, digit) {
    const { rubric } = this;
    if (this.mode && digit) {
      const option = (this.mode === "errors" ? rubric.error_types : rubric.severity)[digit - 1];
      if (!option) return "";
      if (this.mode === "errors") this.toggleError(option.id);
      else this.setSeverity(option.id);
      return option.label;
    }
    if (this.mode && (event.key === "Escape" || event.key === "Enter")) return this.setMode(null);
    if (digit && rubric.rule === "needed") {
      const row = this.rows[this.active];
      const option = row?.criterion.options[digit - 1];
      if (!option) return "";
      this.answer(row.criterion.id, option.id);
      const next = this.firstOpen(this.active);
      // A criterion that is off stays in front: which way, and a note, belong to it.
      if (next >= 0 && !(row.detail && !this.form.answers[`${row.criterion.id}.detail`] && option.counts !== "none")) this.active = next;
      this.draw();
      this.host.reveal(this.rows[this.active].row);
      return `${row.criterion.title}: ${option.label}`;
    }
    const index = CRITERION_KEYS.indexOf(letter || "\0");
    if (index >= 0 && index < this.rows.length) {
      if (event.shiftKey) {
        this.openNote(index);
        return "";
      }
      return event.repeat ? "" : this.cycle(index);
    }
    switch (letter) {
      case "s":
        return this.severity ? this.setMode(this.mode === "severity" ? null : "severity") : null;
      case "x":
        return this.errors ? this.setMode(this.mode === "errors" ? null : "errors") : null;
      case "h":
        if (!this.stakes) return null;
        this.toggleStakes();
        return this.form.high_stakes ? "High stakes" : "Not high stakes";
      case "b": {
        const at = this.rows.findIndex(({ detail }) => detail);
        return at < 0 ? null : this.cycleDetail(at);
      }
      case "c":
        return this.focus(this.correction);
      case "l":
        return this.focus(this.guideline);
      case "n":
        return this.focus(this.note);
    }
    return null;
  }

  focus(field) {
    if (!field || !this.usable) return null;
    if (field !== this.note) this.unfolded = true;
    this.draw();
    this.host.unfold();
    field.area.focus({ preventScroll: true });
    this.host.reveal(field.box);
    return "";
  }

  setMode(mode) {
    this.mode = mode;
    this.draw();
    const box = { errors: this.errors, severity: this.severity }[mode];
    if (box) this.host.reveal(box);
    return mode ? "Choose by number; Escape ends" : "";
  }

  cycle(index) {
    const { criterion } = this.rows[index];
    const order = [null, ...criterion.options.map((option) => option.id)];
    const next = order[(order.indexOf(this.form.answers[criterion.id] ?? null) + 1) % order.length];
    this.active = index;
    this.answer(criterion.id, next);
    this.host.reveal(this.rows[index].row);
    return `${criterion.title} ${next ?? "not answered"}`;
  }

  cycleDetail(index) {
    const { criterion } = this.rows[index];
    const key = `${criterion.id}.detail`;
    const order = [null, ...criterion.detail.options.map((option) => option.id)];
    const next = order[(order.indexOf(this.form.answers[key] ?? null) + 1) % order.length];
    this.answer(key, next);
    return `${criterion.detail.text} ${next ?? "not answered"}`;
  }

  // Every key of the panel with what it does, for the map of keys.
  map() {
    const { rubric } = this;
    const rows = [];
    if (rubric.rule === "needed") {
      const labels = [...new Set(rubric.criteria.map((one) => one.options.map((option) => option.label).join(", ")))];
      rows.push([["1", "…", "6"], `Answer the marked criterion${labels.length === 1 ? `: ${labels[0]}` : ""}; the next one is marked`]);
    }
    for (const { criterion, key } of this.rows) if (key) rows.push([[key], `Next answer: ${criterion.title}`]);
    rows.push([["Shift", CRITERION_KEYS[0]], "Note on that criterion, and so on"]);
    if (this.rows.some(({ detail }) => detail)) rows.push([["b"], `${this.rows.find(({ detail }) => detail).criterion.detail.text}: next choice`]);
    if (this.severity) rows.push([["s"], "Severity, then its number"]);
    if (this.errors) rows.push([["x"], "Kinds of error, then their numbers; Esc ends"]);
    if (this.stakes) rows.push([["h"], "High stakes, on and off"]);
    if (this.correction) rows.push([["c"], "Correct the response"]);
    if (this.guideline) rows.push([["l"], "Guideline or other reference"]);
    rows.push([["n"], "Note; Esc or Ctrl+Enter leaves a text"]);
    return rows;
  }

  // ---------------------------------------------------------------- drawing

  draw() {
    const { form, usable } = this;
    const needed = this.rubric.rule === "needed";
    this.rows.forEach(({ row, criterion, choices, detail, area }, index) => {
      row.classList.toggle("active", needed && usable && index === this.active && !this.mode);
      for (const { options, buttons, key } of [{ ...choices, key: criterion.id }, ...(detail ? [{ ...detail, key: `${criterion.id}.detail` }] : [])]) {
        options.forEach((option, n) => {
          buttons[n].setAttribute("aria-pressed", String(form.answers[key] === option.id));
          buttons[n].disabled = !usable;
        });
      }
      const noted = this.opened.has(index) || Boolean(form.answer_notes[criterion.id]);
      area.hidden = !noted;
      area.disabled = !usable;
      row.classList.toggle("noted", noted);
      row.classList.toggle("off", Boolean(detail) && Boolean(form.answers[criterion.id]) && !criterion.detail.implied[form.answers[criterion.id]]);
    });
    for (const [name, box] of [["severity", this.severity], ["errors", this.errors]]) {
      if (!box) continue;
      box.classList.toggle("choosing", this.mode === name);
      for (const [node, pressed] of box.buttons) {
        node.setAttribute("aria-pressed", String(pressed()));
        node.disabled = !usable;
      }
    }
    if (this.stakes) {
      this.stakes.setAttribute("aria-pressed", String(form.high_stakes));
      this.stakes.disabled = !usable;
    }
    for (const field of [this.correction, this.guideline, this.note]) if (field) field.area.disabled = !usable;
    if (this.correction) {
      this.correction.box.classList.toggle("open", form.correction !== null || Boolean(this.correction.area.value));
      this.drop.hidden = form.correction === null;
    }
    this.node.classList.toggle("quiet-extras", !this.wanted());
    this.opener.setAttribute("aria-expanded", String(this.wanted()));
  }

  // Whether the part below the criteria has something to show or is asked for.
  wanted() {
    const { form } = this;
    const off = this.rows.some(({ criterion }) => {
      const said = criterion.options.find((option) => option.id === form.answers[criterion.id]);
      // A lesser pass, as "minor", is off too: the first option that counts as pass is the full one.
      return said && (said.counts === "fail" || (said.counts === "pass" && said !== criterion.options.find((o) => o.counts === "pass")));
    });
    return Boolean(this.unfolded || off || this.mode || form.severity || form.error_types.length || form.high_stakes || form.guideline || form.correction !== null);
  }
}
