// The reviewer: one record at a time with its verdict beside it. All records of the sample (a window of a large one) are held here,
// so the next one shows at once; verdicts travel to Python in batches through the outbox, at their own pace.

import { block, el } from "./text.js";
import { Outbox, Shelf, clientId } from "./outbox.js";

const OUTCOMES = [
  { id: "pass", key: "1", label: "Pass", glyph: "✓" },
  { id: "fail", key: "2", label: "Fail", glyph: "✕" },
  { id: "unsure", key: "3", label: "Unsure", glyph: "?" },
];
const WORDS = { pass: "pass", fail: "fail", unsure: "unsure", disputed: "two verdicts", "": "unread" };
const LETTERS = { p: "pass", f: "fail", u: "unsure", d: "disputed", ".": "" };
const ANSWERS = [
  { id: "yes", label: "Yes" },
  { id: "no", label: "No" },
  { id: "unsure", label: "?", name: "Unsure" },
];
const QUESTION_KEYS = "qwertyiop"; // without u, which is undo
const PAGE = 50; // cells of the strip
const AHEAD = 20; // ask for the next window this many records before the held ones end
const REVISE = 900; // milliseconds after the last change of a given verdict before it is kept as a new one
const ROLES = { system: "System", user: "User", assistant: "Assistant", tool: "Tool", developer: "Developer" };

const TYPED =
  "input:not([type=radio]),textarea,select,[contenteditable],[role=combobox],[role=listbox],[role=textbox],[role=menu],[role=grid],canvas,iframe," +
  "[data-testid=stPopoverBody]";

const same = (a, b) => JSON.stringify(Object.entries(a ?? {}).sort()) === JSON.stringify(Object.entries(b ?? {}).sort());
// Digests from before the texts themselves were digested tell nothing of a change.
const changedSince = (head, record) => String(head.record_digest).startsWith("seen-") && head.record_digest !== record.digest;
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

function button(className, label, onClick) {
  const node = el("button", className, label);
  node.type = "button";
  node.onclick = onClick;
  return node;
}

function keycap(key) {
  const node = el("kbd", "", key);
  node.setAttribute("aria-hidden", "true");
  return node;
}

class Reviewer {
  constructor(parent) {
    this.parent = parent;
    this.held = new Map(); // position -> record
    this.full = new Map(); // record_id -> record with its whole text, fetched on demand
    this.server = new Map(); // record_id -> what the database says stands
    this.local = new Map(); // record_id -> {verdict, settled}: given here and not yet seen in the database's answer
    this.undos = [];
    this.position = -1;
    this.spent = new Map(); // record_id -> seconds looked at
    this.build();
    this.onKey = (event) => this.key(event);
    this.onVisible = () => (document.hidden ? this.pause() : this.resume());
    this.onLeave = (event) => {
      this.commit();
      if (this.outbox?.waiting && !this.outbox.shelf.durable) event.preventDefault();
    };
    this.onLine = () => this.outbox && (this.outbox.changed(), this.outbox.nonce || this.outbox.flush());
    document.addEventListener("keydown", this.onKey, true);
    document.addEventListener("visibilitychange", this.onVisible);
    window.addEventListener("beforeunload", this.onLeave);
    window.addEventListener("online", this.onLine);
    window.addEventListener("offline", this.onLine);
    this.ticker = setInterval(() => this.tick(), 1000);
  }

  close() {
    this.commit();
    this.outbox?.close();
    clearInterval(this.ticker);
    document.removeEventListener("keydown", this.onKey, true);
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("beforeunload", this.onLeave);
    window.removeEventListener("online", this.onLine);
    window.removeEventListener("offline", this.onLine);
  }

  // ---------------------------------------------------------------- building

  build() {
    const root = (this.root = el("section", "reviewer"));
    root.setAttribute("aria-label", "Reviewer");
    const top = el("header", "top");
    this.count = el("div", "count");
    this.tally = el("div", "tally");
    this.saveLine = el("div", "save");
    this.saveLine.setAttribute("role", "status");
    this.saveLine.setAttribute("aria-live", "polite");
    this.help = button("quiet keys-button", "Keys ", () => this.toggleKeys());
    this.help.append(keycap("?"));
    this.help.setAttribute("aria-label", "Show the keys");
    top.append(this.count, this.tally, this.saveLine, this.help);

    this.strip = el("nav", "strip");
    this.strip.setAttribute("aria-label", "Records of the sample");
    this.notice = el("div", "notice");
    this.notice.setAttribute("role", "alert");
    this.notice.hidden = true;

    const body = el("div", "body");
    this.record = el("article", "record");
    this.record.tabIndex = 0;
    this.record.setAttribute("aria-label", "Record");
    this.pane = el("aside", "pane");
    this.pane.setAttribute("aria-label", "Verdict");
    body.append(this.record, this.pane);
    this.buildPane();
    this.live = el("div", "sr");
    this.live.setAttribute("aria-live", "polite");
    root.append(top, this.strip, this.notice, body, this.live);
    this.parent.append(root);
  }

  buildPane() {
    this.hint = el("div", "hint");
    this.hint.hidden = true;
    const outcomes = el("div", "outcomes");
    outcomes.setAttribute("role", "group");
    outcomes.setAttribute("aria-label", "Verdict");
    this.outcomeButtons = OUTCOMES.map(({ id, key, label, glyph }) => {
      const node = button(`outcome ${id}`, null, () => this.judge(id));
      node.append(el("span", "glyph", glyph), el("span", "label", label), keycap(key));
      node.firstChild.setAttribute("aria-hidden", "true");
      node.setAttribute("aria-keyshortcuts", key);
      outcomes.append(node);
      return node;
    });
    this.questionBox = el("div", "questions");
    this.noteBox = el("div", "note");
    const label = el("label", "", "Note ");
    label.append(keycap("n"));
    this.note = el("textarea");
    this.note.id = "note";
    label.htmlFor = "note";
    this.note.rows = 2;
    this.note.maxLength = 20000;
    this.note.placeholder = "What is wrong, or what you were unsure of";
    this.note.setAttribute("aria-keyshortcuts", "n");
    this.note.oninput = () => {
      this.form.note = this.note.value.replaceAll("\0", "");
      this.touched();
    };
    this.noteBox.append(label, this.note);
    const foot = el("div", "foot");
    const step = (text, key, name, onClick) => {
      const node = button("step", text, onClick);
      node.setAttribute("aria-label", name);
      node.title = `${name} (${key})`;
      foot.append(node);
      return node;
    };
    this.back = step("←", "left arrow", "Previous record", () => this.go(this.position - 1));
    this.undoButton = step("Undo", "u", "Undo the last verdict", () => this.undo());
    this.firstButton = step("First unread", "g", "First unread record", () => this.firstUnread());
    this.forward = step("→", "right arrow", "Next record", () => this.go(this.position + 1));
    this.timer = el("div", "timer");
    this.timer.title = "Time on this record";
    // Shown on a narrow screen alone, where the questions would hide the record.
    this.unfold = button("quiet unfold", "", () => this.foldPane(!this.pane.classList.contains("folded"), true));
    this.pane.append(this.hint, outcomes, this.unfold, this.questionBox, this.noteBox, foot, this.timer);
  }

  foldPane(folded, remember = false) {
    this.pane.classList.toggle("folded", folded);
    this.unfold.textContent = folded ? "Questions and note" : "Hide questions and note";
    this.unfold.setAttribute("aria-expanded", String(!folded));
    if (remember) this.memo.put("pane", { folded });
  }

  buildQuestions(questions) {
    this.questions = questions;
    this.questionRows = questions.map((question, index) => {
      const row = el("div", "question");
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", question.text);
      const text = el("div", "ask");
      const key = QUESTION_KEYS[index];
      if (key) text.append(keycap(key));
      text.append(el("span", "", question.text));
      const choices = el("div", "choices");
      row.buttons = ANSWERS.map((answer) => {
        const node = button(`choice ${answer.id}`, answer.label, () => {
          this.reply(question.id, this.form.answers[question.id] === answer.id ? null : answer.id);
        });
        node.setAttribute("aria-label", answer.name ?? answer.label);
        choices.append(node);
        return node;
      });
      row.append(text, choices);
      return row;
    });
    this.questionBox.replaceChildren(...this.questionRows);
  }

  // ---------------------------------------------------------------- what Python says

  update({ data, setStateValue }) {
    this.emit = setStateValue;
    const identity = `${data.sample.id}|${data.sample.reviewer}`;
    const fresh = identity !== this.identity;
    if (fresh) this.begin(data, identity);
    if (!same(data.questions, this.questions)) this.buildQuestions(data.questions);
    this.sample = data.sample;
    const { start, end, token, records } = data.window;
    if (records) {
      for (const [i, record] of records.entries()) {
        this.held.set(start + i, record);
        if (record.whole_text) this.full.set(record.record_id, record);
      }
      this.has = token;
      this.asked = null;
      this.forget();
    }
    this.letters = data.outcomes;
    for (let position = start; position < end; position++) {
      const id = this.held.get(position)?.record_id;
      if (id && !data.verdicts[id]) this.server.delete(id);
    }
    for (const [id, standing] of Object.entries(data.verdicts)) this.server.set(id, standing);
    this.outbox.answer(data);
    // What the database now shows no longer needs its local twin.
    for (const [id, { verdict, position }] of this.local) {
      if (this.outbox.pending.has(verdict.client_id)) continue;
      const known = this.server.get(id);
      const inWindow = position >= start && position < end;
      if (known?.client_id === verdict.client_id || known?.conflict?.length || (inWindow && !known && verdict.outcome === "withdrawn")) {
        this.local.delete(id);
      }
    }
    this.lay();
    const asked = data.goto && data.goto.nonce !== this.went ? data.goto.position : null;
    this.went = data.goto?.nonce ?? this.went;
    if (fresh || this.position < 0) this.show(asked ?? this.start(data), true);
    else if (asked !== null) this.show(asked);
    else if (this.shown !== this.signature(this.current)) this.show(this.position, true);
    else this.refresh();
  }

  begin(data, identity) {
    this.commit();
    this.outbox?.close();
    this.identity = identity;
    this.has = null; // the window that Python need not send again
    for (const map of [this.held, this.full, this.server, this.local, this.spent]) map.clear();
    this.undos = [];
    this.position = -1;
    this.sample = data.sample;
    const prefix = `quadrant.review.${identity}.`;
    this.drafts = new Shelf(prefix + "draft.");
    this.memo = new Shelf(prefix);
    this.foldPane(this.memo.get("pane")?.folded ?? innerHeight < 1000);
    this.outbox = new Outbox(prefix, (payload) => this.tell("outbox", payload), () => this.drawSave());
    for (const verdict of this.outbox.pending.values()) {
      this.local.set(verdict.record_id, { verdict, position: verdict.position });
    }
  }

  start(data) {
    const kept = this.memo.get("at");
    if (Number.isInteger(kept?.position) && kept.position < data.sample.count) return kept.position;
    return data.sample.start;
  }

  signature(record) {
    return record ? `${record.record_id}|${record.digest}|${this.full.has(record.record_id)}` : `waiting ${this.position}`;
  }

  get current() {
    const record = this.held.get(this.position);
    return record && (this.full.get(record.record_id) ?? record);
  }

  // Records far from here are let go, so that a sample of 10,000 does not fill the browser.
  forget() {
    if (this.held.size <= 1200) return;
    for (const position of this.held.keys()) if (Math.abs(position - this.position) > 500) this.held.delete(position);
  }

  // Every message says which window is held, so that an acknowledgement does not carry the records again.
  tell(name, payload) {
    this.emit(name, { ...payload, has: this.has, at: Date.now() });
  }

  want(position) {
    if (position === this.asked) return;
    this.asked = position;
    this.tell("want", { position, nonce: Date.now() });
  }

  wantWhole(record) {
    this.tell("want", { position: this.position, whole: record.record_id, nonce: Date.now() });
  }

  // ---------------------------------------------------------------- what stands

  // The verdict in force for a record: the one given here, or what the database says.
  head(record) {
    const mine = this.local.get(record.record_id)?.verdict;
    if (mine) return mine.outcome === "withdrawn" ? null : mine;
    return this.server.get(record.record_id) ?? null;
  }

  supersedes(record) {
    const mine = this.local.get(record.record_id)?.verdict;
    if (mine) return [mine.client_id];
    const known = this.server.get(record.record_id);
    return known ? [known.client_id, ...(known.conflict ?? []).map((other) => other.client_id)] : [];
  }

  // The outcome at each position: the database's, with what was given here laid over it.
  lay() {
    this.all = Array.from(this.letters, (letter) => LETTERS[letter] ?? "");
    for (const { verdict, position } of this.local.values()) {
      if (position in this.all) this.all[position] = verdict.outcome === "withdrawn" ? "" : verdict.outcome;
    }
  }

  // ---------------------------------------------------------------- moving

  go(position) {
    if (position < 0 || position >= this.sample.count || position === this.position) return;
    this.show(position);
  }

  firstUnread() {
    const at = this.all.indexOf("");
    if (at >= 0) this.go(at);
    else this.say("Every record has a verdict.");
  }

  nextUnread(from) {
    const all = this.all;
    const after = all.indexOf("", from + 1);
    return after >= 0 ? after : all.indexOf("");
  }

  show(position, still = false) {
    if (!still) this.commit();
    this.pause();
    this.position = position;
    this.memo.put("at", { position });
    const record = this.current;
    this.shown = this.signature(record);
    const ahead = Math.min(position + AHEAD, this.sample.count - 1);
    if (!record) this.want(position);
    else if (!this.held.has(ahead)) this.want(ahead);
    const head = record && this.head(record);
    const draft = record && this.drafts.get(record.record_id);
    this.form = { answers: { ...(draft?.answers ?? head?.answers ?? {}) }, note: draft?.note ?? head?.note ?? "" };
    this.note.value = this.form.note;
    this.draw(record);
    this.record.scrollTop = 0;
    if (!still && this.root.getBoundingClientRect().top < 0) this.root.scrollIntoView({ block: "start" });
    this.resume();
    this.refresh();
  }

  say(text) {
    this.live.textContent = text;
  }

  // ---------------------------------------------------------------- judging

  judge(outcome) {
    const record = this.current;
    if (!record || record.missing) return;
    const before = this.head(record);
    const conflict = !this.local.has(record.record_id) && this.server.get(record.record_id)?.conflict?.length;
    const unchanged = before?.outcome === outcome && same(before.answers, this.form.answers) && before.note === this.form.note;
    if (!unchanged || conflict || (before && changedSince(before, record))) this.give(record, outcome, before);
    const next = before ? Math.min(this.position + 1, this.sample.count - 1) : this.nextUnread(this.position);
    this.say(`Record ${this.position + 1}: ${outcome}.`);
    if (next >= 0 && next !== this.position) this.show(next);
    else this.refresh();
  }

  give(record, outcome, before, remember = true) {
    clearTimeout(this.reviseTimer);
    const verdict = {
      client_id: clientId(),
      record_id: record.record_id,
      record_digest: record.digest,
      position: this.position,
      outcome,
      answers: { ...this.form.answers },
      note: this.form.note,
      seconds: Math.round(this.seconds(record) * 10) / 10,
      created_at: new Date().toISOString(),
      supersedes: this.supersedes(record),
    };
    if (remember) {
      const previous = before ? { outcome: before.outcome, answers: before.answers, note: before.note } : null;
      this.undos.push({ record, position: this.position, previous });
    }
    this.local.set(record.record_id, { verdict, position: this.position });
    this.all[this.position] = outcome === "withdrawn" ? "" : outcome;
    this.drafts.drop(record.record_id);
    this.outbox.add(verdict);
  }

  reply(question, answer) {
    if (!this.current || this.current.missing) return;
    if (answer) this.form.answers[question] = answer;
    else delete this.form.answers[question];
    this.touched();
    this.refresh();
  }

  cycle(index) {
    const question = this.questions[index];
    if (!question) return;
    const order = [undefined, "yes", "no", "unsure"];
    const now = order.indexOf(this.form.answers[question.id]);
    const next = order[(now + 1) % order.length] ?? null;
    this.foldPane(false); // an answer by key is seen
    this.reply(question.id, next);
    this.say(`${question.text} ${next ?? "not answered"}`);
  }

  // An answer or a note changed: kept as a draft at once, and as a verdict of its own when one was given before.
  touched() {
    const record = this.current;
    if (!record) return;
    this.drafts.put(record.record_id, { ...this.form });
    clearTimeout(this.reviseTimer);
    if (this.head(record)) this.reviseTimer = setTimeout(() => (this.commit(), this.refresh()), REVISE);
  }

  commit() {
    clearTimeout(this.reviseTimer);
    const record = this.position >= 0 ? this.current : null;
    const head = record && this.head(record);
    if (!head || !this.drafts.get(record.record_id)) return;
    if (same(head.answers, this.form.answers) && head.note === this.form.note) this.drafts.drop(record.record_id);
    else this.give(record, head.outcome, head);
  }

  undo() {
    this.commit();
    const last = this.undos.pop();
    const record = last?.record ?? this.current;
    if (!record || !this.head(record)) return this.say("Nothing to undo here.");
    if (last && last.position !== this.position) this.show(last.position);
    const previous = last?.previous;
    const was = this.head(record);
    this.form = { answers: { ...(previous ?? was).answers }, note: (previous ?? was).note };
    this.give(record, previous?.outcome ?? "withdrawn", was, false);
    // What was typed is kept as a draft, so that an undo never throws words away.
    if (!previous) this.drafts.put(record.record_id, { ...this.form });
    this.show(this.position, true);
    this.say(previous ? `Back to ${previous.outcome}.` : "Verdict taken back.");
  }

  // ---------------------------------------------------------------- time

  seconds(record) {
    const running = this.since && record === this.current ? (performance.now() - this.since) / 1000 : 0;
    return (this.spent.get(record.record_id) ?? 0) + running;
  }
  pause() {
    const record = this.current;
    if (this.since && record) this.spent.set(record.record_id, this.seconds(record));
    this.since = 0;
  }
  resume() {
    this.since = document.hidden ? 0 : performance.now();
    this.tick();
  }
  tick() {
    if (this.current) this.timer.textContent = clock(this.seconds(this.current));
  }

  // ---------------------------------------------------------------- keys

  key(event) {
    const root = this.root;
    if (!root.isConnected || !root.offsetParent || !this.sample) return;
    const target = event.composedPath()[0];
    const inside = event.composedPath().includes(root);
    // Keys typed into something else on the page, or into a dialog, are not ours. A link or button that was clicked last keeps its
    // Enter, space and arrows; letters and digits mean nothing to it.
    if (!inside && target !== document.body && target !== document.documentElement) {
      if (!(target instanceof Element) || target.closest(TYPED)) return;
      if (target.closest("button,a,[role],[tabindex]") && (event.key.length > 1 || event.key === " ")) return;
    }
    if (!inside && document.querySelector("[role=dialog]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (target !== this.note || event.key !== "Enter") return;
    }
    if (target === this.note) {
      event.stopPropagation(); // "r" and "c" are Streamlit's own shortcuts
      if (event.isComposing) return;
      if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) {
        event.preventDefault();
        this.commit();
        this.record.focus({ preventScroll: true });
        this.refresh();
      }
      return;
    }
    if (event.key === "Tab" || event.key === "Shift") return;
    if ((event.key === "Enter" || event.key === " ") && target !== this.record && inside) return; // a focused button's own keys
    if (this.act(event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else if (inside) event.stopPropagation();
  }

  act(event) {
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    const letter = /^[\x20-\x7e]$/.test(event.key) ? event.key.toLowerCase() : /^Key([A-Z])$/.exec(event.code)?.[1]?.toLowerCase();
    if (event.key === "?") return this.toggleKeys(), true;
    if (this.keys?.open) return event.key === "Escape" && this.keys.close(), false;
    if (digit && OUTCOMES[digit - 1]) return event.repeat || this.judge(OUTCOMES[digit - 1].id), true;
    const question = QUESTION_KEYS.indexOf(letter ?? "\0");
    if (question >= 0 && question < this.questions.length) return event.repeat || this.cycle(question), true;
    switch (event.key) {
      case "ArrowLeft":
        return this.go(this.position - 1), true;
      case "ArrowRight":
        return this.go(this.position + 1), true;
      case "ArrowDown":
      case "ArrowUp":
      case "PageDown":
      case "PageUp":
      case " ": {
        const far = event.key.startsWith("Arrow") ? 60 : this.record.clientHeight * 0.85;
        const up = event.key.endsWith("Up") || (event.key === " " && event.shiftKey);
        if (this.record.scrollHeight <= this.record.clientHeight + 1) return false;
        return this.record.scrollBy({ top: up ? -far : far }), true;
      }
    }
    switch (letter) {
      case "u":
        return event.repeat || this.undo(), true;
      case "g":
        return this.firstUnread(), true;
      case "f":
        return this.toggleReasoning(), true;
      case "n":
        this.foldPane(false);
        this.note.focus();
        return true;
    }
    return false;
  }

  toggleKeys() {
    if (!this.keys) {
      this.keys = el("dialog", "keys");
      this.keys.setAttribute("aria-label", "Keys");
      const list = el("dl");
      const rows = [
        [["1"], "Pass, and on to the next unread record"],
        [["2"], "Fail"],
        [["3"], "Unsure"],
        ...this.questions.map((q, i) => [[QUESTION_KEYS[i] ?? ""], q.text + " Yes, no, unsure, not answered"]),
        [["n"], "Write a note; Esc or Ctrl+Enter leaves it"],
        [["←", "→"], "Previous and next record"],
        [["↑", "↓", "Space"], "Scroll the record"],
        [["f"], "Fold or unfold the reasoning"],
        [["u"], "Undo the last verdict"],
        [["g"], "First unread record"],
        [["?"], "This map; Esc closes it"],
      ];
      for (const [keys, text] of rows) {
        const term = el("dt");
        term.append(...keys.map((key) => el("kbd", "", key)));
        list.append(term, el("dd", "", text));
      }
      const done = button("step", "Close", () => this.keys.close());
      this.keys.append(el("h2", "", "Keys"), list, done);
      this.keys.onclick = (event) => event.target === this.keys && this.keys.close();
      this.root.append(this.keys);
    }
    if (this.keys.open) this.keys.close();
    else this.keys.showModal();
  }

  toggleReasoning() {
    const open = !this.memo.get("reasoning")?.open;
    this.memo.put("reasoning", { open });
    for (const node of this.record.querySelectorAll("details.reasoning")) node.open = open;
  }

  // ---------------------------------------------------------------- drawing

  draw(record) {
    const parts = [];
    if (!record) parts.push(el("p", "waiting", "Fetching the next records…"));
    else if (record.missing) {
      parts.push(el("p", "waiting", `Record ${record.record_id} is no longer in this dataset. Its earlier verdicts are kept.`));
    } else {
      const facts = el("div", "facts");
      for (const [name, value] of record.facts ?? []) {
        const chip = el("span", "fact");
        chip.append(el("span", "name", name), " ");
        chip.append(block(String(value), { className: "value" }).firstChild);
        facts.append(chip);
      }
      if (facts.childNodes.length) parts.push(facts);
      for (const turn of record.turns) parts.push(this.turn(turn, record));
    }
    this.record.replaceChildren(...parts);
  }

  turn(turn, record) {
    const box = el("section", `turn ${turn.answer ? "answer" : ""} ${turn.role in ROLES ? turn.role : "other"}`);
    const head = el("h3", "role");
    head.append(ROLES[turn.role] ?? block(turn.role, { className: "value" }).firstChild);
    if (turn.label) head.append(el("span", "sub", turn.label));
    const options = (whole) => ({ whole: whole ?? null, onWhole: () => this.wantWhole(record) });
    if (turn.folded) {
      const fold = el("details", "fold");
      fold.append(el("summary", "", `${ROLES[turn.role] ?? turn.role} · ${turn.label ?? `${turn.text.length} characters`}`));
      fold.append(block(turn.text, options(turn.whole)));
      box.append(fold);
      return box;
    }
    box.append(head);
    if (turn.reasoning) {
      const fold = el("details", "fold reasoning");
      fold.open = Boolean(this.memo.get("reasoning")?.open);
      const summary = el("summary", "", "Reasoning ");
      const length = turn.reasoning_whole ?? turn.reasoning.length;
      summary.append(el("span", "sub", `${length.toLocaleString("en-US")} characters`), keycap("f"));
      fold.append(summary, block(turn.reasoning, options(turn.reasoning_whole)));
      box.append(fold);
    }
    if (turn.text || !turn.calls?.length) {
      if (turn.text) box.append(block(turn.text, options(turn.whole)));
      else box.append(el("p", "empty", "(empty)"));
    }
    for (const call of turn.calls ?? []) {
      box.append(el("div", "sub", "Tool call"), block(call));
    }
    return box;
  }

  refresh() {
    const record = this.current;
    const all = this.all;
    const given = { pass: 0, fail: 0, unsure: 0, disputed: 0, "": 0 };
    for (const outcome of all) given[outcome]++;
    const read = this.sample.count - given[""];
    this.count.replaceChildren(el("b", "", `Record ${this.position + 1}`), ` of ${this.sample.count.toLocaleString("en-US")}`);
    const tally = [`${read.toLocaleString("en-US")} read`];
    for (const name of ["fail", "unsure", "disputed"]) if (given[name]) tally.push(`${given[name]} ${WORDS[name]}`);
    this.tally.textContent = read === this.sample.count ? `All read · ${given.pass} pass · ${tally.slice(1).join(" · ") || "no fail"}` : tally.join(" · ");
    this.read = read;
    this.drawSave();
    this.drawStrip(all);
    const head = record && this.head(record);
    const usable = Boolean(record) && !record.missing;
    OUTCOMES.forEach(({ id }, i) => {
      this.outcomeButtons[i].setAttribute("aria-pressed", String(head?.outcome === id));
      this.outcomeButtons[i].disabled = !usable;
    });
    this.questions.forEach((question, i) => {
      ANSWERS.forEach((answer, j) => {
        const node = this.questionRows[i].buttons[j];
        node.setAttribute("aria-pressed", String(this.form.answers[question.id] === answer.id));
        node.disabled = !usable;
      });
    });
    this.note.disabled = !usable;
    this.back.disabled = this.position <= 0;
    this.forward.disabled = this.position >= this.sample.count - 1;
    this.undoButton.disabled = !this.undos.length && !head;
    this.firstButton.disabled = !given[""];
    this.drawHint(record, head, given);
  }

  drawHint(record, head, given) {
    const lines = [];
    const conflict = record && !this.local.has(record.record_id) && this.server.get(record.record_id)?.conflict;
    if (conflict?.length) {
      const said = [head, ...conflict].map((v) => WORDS[v.outcome] ?? "taken back").join(" and ");
      lines.push(["warn", `Two windows gave verdicts on this record: ${said}. Both are kept; the next one you give settles it.`]);
    }
    if (head && changedSince(head, record)) lines.push(["warn", "The record has changed since this verdict. Read it again and confirm or change it."]);
    if (!given[""] && this.sample.count) lines.push(["done", "Every record of this sample has a verdict. You can still go back and change one."]);
    this.hint.hidden = !lines.length;
    this.hint.replaceChildren(...lines.map(([kind, text]) => el("p", kind, text)));
  }

  drawSave() {
    if (!this.outbox) return; // while it is being opened
    const { kind, text, detail } = this.outbox.state;
    const quiet = kind === "saved" && !this.read;
    this.saveLine.className = `save ${kind}`;
    this.saveLine.dataset.state = kind;
    const line = quiet ? "Verdicts are saved as you give them" : text;
    if (this.saveLine.textContent !== line) this.saveLine.textContent = line;
    const refused = [...this.outbox.refused.entries()];
    this.notice.hidden = !detail && !refused.length;
    const key = JSON.stringify([detail, refused]);
    if (this.notice.dataset.key === key) return;
    this.notice.dataset.key = key;
    this.notice.replaceChildren();
    if (detail) {
      this.notice.append(el("p", "", detail), button("step", "Try again now", () => this.outbox.flush()));
    }
    if (refused.length) {
      const n = refused.length === 1 ? "1 verdict was" : `${refused.length} verdicts were`;
      this.notice.append(el("p", "", `${n} refused: ${refused[0][1]}`));
      this.notice.append(
        button("step", "Discard", () => {
          for (const id of this.outbox.refused.keys()) {
            for (const [record, { verdict }] of this.local) if (verdict.client_id === id) this.local.delete(record);
          }
          this.lay();
          this.outbox.discardRefused();
          this.refresh();
        }),
      );
    }
  }

  // One cell a record up to 100, otherwise the fifty around the current one and a bar for the whole.
  drawStrip(all) {
    const long = all.length > 100;
    const page = long ? Math.floor(this.position / PAGE) : 0;
    const first = page * PAGE;
    const last = long ? Math.min(first + PAGE, all.length) : all.length;
    if (this.stripKey !== `${this.identity}|${first}|${last}|${all.length}`) {
      this.stripKey = `${this.identity}|${first}|${last}|${all.length}`;
      this.cells = [];
      const row = el("div", "cells");
      for (let i = first; i < last; i++) {
        const cell = button("cell", null, () => this.go(i));
        cell.tabIndex = -1;
        this.cells.push(cell);
        row.append(cell);
      }
      this.strip.replaceChildren();
      if (long) {
        const before = button("quiet page", "‹", () => this.go(Math.max(0, first - PAGE)));
        const after = button("quiet page", "›", () => this.go(Math.min(all.length - 1, first + PAGE)));
        before.setAttribute("aria-label", "Fifty records back");
        after.setAttribute("aria-label", "Fifty records on");
        before.disabled = !first;
        after.disabled = last >= all.length;
        this.bar = el("div", "bar");
        this.bar.append(el("div", "fill"));
        this.strip.append(before, row, after, this.bar);
      } else {
        this.bar = null;
        this.strip.append(row);
      }
      this.strip.classList.toggle("long", long);
    }
    this.cells.forEach((cell, i) => {
      const position = first + i;
      const name = `cell ${all[position]}${position === this.position ? " here" : ""}`;
      if (cell.className === name && cell.title) return;
      cell.className = name;
      cell.title = `Record ${position + 1}: ${WORDS[all[position]]}`;
      cell.setAttribute("aria-label", cell.title);
      if (position === this.position) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
      cell.tabIndex = position === this.position ? 0 : -1;
    });
    if (this.bar) {
      const read = all.filter(Boolean).length;
      this.bar.firstChild.style.width = `${(100 * read) / all.length}%`;
      this.bar.title = `${read.toLocaleString("en-US")} of ${all.length.toLocaleString("en-US")} read`;
    }
  }
}

const mounted = new WeakMap();

export default function (component) {
  let reviewer = mounted.get(component.parentElement);
  if (!reviewer || !reviewer.root.isConnected) {
    reviewer?.close();
    reviewer = new Reviewer(component.parentElement);
    mounted.set(component.parentElement, reviewer);
  }
  reviewer.update(component);
  return () => {
    reviewer.close();
    reviewer.root.remove();
    mounted.delete(component.parentElement);
  };
}
