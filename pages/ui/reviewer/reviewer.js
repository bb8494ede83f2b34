// The reviewer: one record at a time with its verdict beside it. All records of the sample (a window of a large one) are held here,
// so the next one shows at once; verdicts travel to Python in batches through the outbox, at their own pace.

import { el } from "./text.js";
import { Outbox, Shelf, clientId } from "./outbox.js";
import { Panel, blankForm, button, formFrom, formText, keycap, ruledOutcome } from "./panel.js";
import { Paper } from "./paper.js";
import { Strip, WORDS } from "./strip.js";
import { keyMap } from "./keymap.js";

const OUTCOMES = [
  { id: "pass", key: "1", label: "Pass", glyph: "✓" },
  { id: "fail", key: "2", label: "Fail", glyph: "✕" },
  { id: "unsure", key: "3", label: "Unsure", glyph: "?" },
];
const LETTERS = { p: "pass", f: "fail", u: "unsure", d: "disputed", ".": "" };
const AHEAD = 20; // ask for the next window this many records before the held ones end
const REVISE = 900; // milliseconds after the last change of a given verdict before it is kept as a new one
const IDLE = 60; // seconds without a key, touch or scroll after which the clock of a record stands still

const TYPED =
  "input:not([type=radio]),textarea,select,[contenteditable],[role=combobox],[role=listbox],[role=textbox],[role=menu],[role=grid],canvas,iframe," +
  "[data-testid=stPopoverBody]";

// Digests from before the texts themselves were digested tell nothing of a change.
const changedSince = (head, record) => String(head.record_digest).startsWith("seen-") && head.record_digest !== record.digest;
const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel", "touchmove", "focus"];
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

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
    this.paces = []; // seconds of the verdicts given in this window
    this.nearby = new Map(); // record_id -> its neighbours with the differences, fetched on demand
    this.lastSign = performance.now();
    this.build();
    this.onKey = (event) => this.key(event);
    this.onVisible = () => (document.hidden ? this.pause() : this.resume());
    this.onLeave = (event) => {
      this.commit();
      if (this.outbox?.waiting && !this.outbox.shelf.durable) event.preventDefault();
    };
    this.onSign = () => this.sign();
    this.onLine = () => this.outbox && (this.outbox.changed(), this.outbox.nonce || this.outbox.flush());
    document.addEventListener("keydown", this.onKey, true);
    document.addEventListener("visibilitychange", this.onVisible);
    for (const name of SIGNS) window.addEventListener(name, this.onSign, { capture: true, passive: true });
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
    for (const name of SIGNS) window.removeEventListener(name, this.onSign, { capture: true });
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
    this.timer = el("div", "timer");
    this.timer.title = "Time on this record; it stands still after a minute without a sign of you, and while the page is hidden";
    top.append(this.count, this.tally, this.timer, this.saveLine, this.help);

    this.strip = new Strip((position) => this.go(position));
    this.notice = el("div", "notice");
    this.notice.setAttribute("role", "alert");
    this.notice.hidden = true;

    const body = el("div", "body");
    this.paper = new Paper({
      memo: null,
      wantWhole: (record) => this.wantWhole(record),
      wantNear: (record) => this.tell("want", { position: this.position, near: record.record_id, nonce: Date.now() }),
      near: (record) => this.nearby.get(record.record_id),
    });
    this.record = this.paper.node;
    this.pane = el("aside", "pane");
    this.pane.setAttribute("aria-label", "Verdict");
    body.append(this.record, this.pane);
    this.buildPane();
    this.live = el("div", "sr");
    this.live.setAttribute("aria-live", "polite");
    root.append(top, this.strip.node, this.notice, body, this.live);
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
    this.ruled = el("div", "ruled");
    this.panel = new Panel({
      changed: () => this.touched(),
      leave: () => this.record.focus({ preventScroll: true }),
      unfold: () => this.foldPane(false),
      reveal: (node) => this.reveal(node),
      response: () => this.response(),
    });
    this.pane.addEventListener("click", (event) => {
      // After a click the keys go on: an Enter must not press the same button again.
      if (event.detail && event.target.closest?.("button")) this.record.focus({ preventScroll: true });
    });
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
    this.skipButton = step("Skip", "k", "Skip for now", () => this.skip());
    this.firstButton = step("First unread", "g", "First unread record", () => this.firstUnread());
    this.forward = step("→", "right arrow", "Next record", () => this.go(this.position + 1));
    // Shown on a narrow screen alone, where the questions would hide the record.
    this.unfold = button("quiet unfold", "", () => this.foldPane(!this.pane.classList.contains("folded"), true));
    const verdict = el("div", "verdict"); // stays in view over a long panel
    verdict.append(this.hint, outcomes, this.ruled);
    this.pane.append(verdict, this.unfold, this.panel.node, foot);
  }

  // Scrolls the panel alone, never the page, until a part of it is in view.
  reveal(node) {
    const [box, part] = [this.pane.getBoundingClientRect(), node.getBoundingClientRect()];
    const top = box.top + this.pane.firstChild.offsetHeight;
    const bottom = Math.min(box.bottom, innerHeight) - 70; // the row of buttons below
    if (part.top < top) this.pane.scrollTop += part.top - top - 8;
    else if (part.bottom > bottom) this.pane.scrollTop += Math.min(part.bottom - bottom + 8, part.top - top - 8);
  }

  foldPane(folded, remember = false) {
    this.pane.classList.toggle("folded", folded);
    this.unfold.textContent = folded ? "Questions and note" : "Hide questions and note";
    this.unfold.setAttribute("aria-expanded", String(!folded));
    if (remember) this.memo.put("pane", { folded });
  }

  setRubric(rubric) {
    this.rubric = rubric;
    this.panel.setRubric(rubric);
    this.pane.classList.toggle("ruling", rubric.rule === "needed");
    this.keys?.remove();
    this.keys = null;
    OUTCOMES.forEach(({ id, key }, i) => {
      const now = rubric.rule === "reader" ? key : id === "unsure" ? "0" : "↵";
      this.outcomeButtons[i].querySelector("kbd").textContent = now;
      this.outcomeButtons[i].setAttribute("aria-keyshortcuts", now === "↵" ? "Enter" : now);
    });
  }

  // ---------------------------------------------------------------- what Python says

  update({ data, setStateValue }) {
    this.emit = setStateValue;
    const identity = `${data.sample.id}|${data.sample.reviewer}`;
    const fresh = identity !== this.identity;
    if (fresh) this.begin(data, identity);
    if (data.rubric && data.rubric.digest !== this.rubric?.digest) {
      this.commit();
      this.setRubric(data.rubric);
      this.shown = null; // drawn anew below, its form read under this rubric
    }
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
    if (data.near) {
      this.nearby.set(data.near.record_id, data.near.items);
      const now = this.current;
      if (now?.record_id === data.near.record_id) this.paper.nearCame(now);
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
    for (const map of [this.held, this.full, this.server, this.local, this.spent, this.nearby]) map.clear();
    this.undos = [];
    this.paces = [];
    this.position = -1;
    this.sample = data.sample;
    const prefix = `quadrant.review.${identity}.`;
    this.drafts = new Shelf(prefix + "draft.");
    this.memo = new Shelf(prefix);
    this.paper.host.memo = this.memo;
    this.skipped = new Set(this.memo.get("skipped")?.ids ?? []);
    this.foldPane(this.memo.get("pane")?.folded ?? (innerHeight < 1000 || this.root.clientWidth < 700));
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
    return record ? `${record.record_id}|${record.digest}|${this.full.has(record.record_id)}|${Boolean(record.heat)}` : `waiting ${this.position}`;
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

  // The next record without a verdict, those that were skipped last; -1 when there is none.
  nextUnread(from) {
    const { all, skipped } = this;
    const find = (wanted) => {
      for (let n = 1; n <= all.length; n++) {
        const at = (from + n) % all.length;
        if (all[at] === "" && wanted(at)) return at;
      }
      return -1;
    };
    const fresh = skipped.size ? find((at) => !skipped.has(at)) : find(() => true);
    return fresh >= 0 ? fresh : find(() => true);
  }

  // Left for later: it stays unread and comes again after the others.
  skip() {
    if (!this.current) return;
    if (!this.all[this.position]) {
      this.skipped.add(this.position);
      this.memo.put("skipped", { ids: [...this.skipped] });
    }
    const next = this.nextUnread(this.position);
    this.say(`Record ${this.position + 1} skipped.`);
    if (next >= 0 && next !== this.position) this.show(next);
    else this.go(this.position + 1);
  }

  goUnread() {
    const next = this.nextUnread(this.position);
    if (next < 0) this.say("Every record has a verdict.");
    else this.go(next);
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
    this.form = formFrom(draft ?? head, this.rubric);
    this.refusal = null;
    this.panel.load(this.form, Boolean(record) && !record.missing);
    this.paper.draw(record);
    this.record.scrollTop = 0;
    this.pane.scrollTop = 0;
    if (!still && this.root.getBoundingClientRect().top < 0) this.root.scrollIntoView({ block: "start" });
    this.resume();
    this.refresh();
  }

  say(text) {
    this.live.textContent = text;
  }

  // ---------------------------------------------------------------- judging

  // The answer as it came, to begin a correction with; null while only a part of it is here.
  response() {
    const answer = this.current?.turns?.find((turn) => turn.answer);
    return !answer || answer.whole ? null : answer.text;
  }

  judge(outcome) {
    const record = this.current;
    if (!record || record.missing) return;
    if (this.rubric.rule === "needed" && outcome !== "unsure") {
      const ruled = ruledOutcome(this.rubric, this.form);
      if (ruled !== outcome) {
        const missing = this.panel.missing();
        this.refuse(
          ruled
            ? `By the rule of this rubric the answers make it ${ruled === outcome ? "" : `"${ruled}"`}. Change an answer, or say Unsure.`
            : `Not answered yet: ${missing.join(", ")}.`,
        );
        return;
      }
    }
    const before = this.head(record);
    const conflict = !this.local.has(record.record_id) && this.server.get(record.record_id)?.conflict?.length;
    const unchanged =
      before?.outcome === outcome && formText(before) === formText(this.form) && (before.rubric || this.rubric.digest) === this.rubric.digest;
    if (!unchanged || conflict || (before && changedSince(before, record))) this.give(record, outcome, before);
    const next = before ? Math.min(this.position + 1, this.sample.count - 1) : this.nextUnread(this.position);
    this.say(`Record ${this.position + 1}: ${outcome}.`);
    if (next >= 0 && next !== this.position) this.show(next);
    else this.refresh();
  }

  // Enter, where the rule of the rubric decides.
  judgeByRule() {
    const ruled = ruledOutcome(this.rubric, this.form);
    if (ruled) this.judge(ruled);
    else {
      const missing = this.panel.missing();
      this.refuse(`Not answered yet: ${missing.join(", ")}.`);
      this.panel.active = Math.max(0, this.panel.firstOpen());
      this.panel.draw();
    }
  }

  refuse(text) {
    this.refusal = text;
    this.foldPane(false);
    this.say(text);
    this.refresh();
  }

  give(record, outcome, before, { remember = true, form = this.form, rubric = this.rubric.digest } = {}) {
    clearTimeout(this.reviseTimer);
    const seconds = Math.round(this.seconds(record) * 10) / 10;
    const verdict = {
      client_id: clientId(),
      record_id: record.record_id,
      record_digest: record.digest,
      position: this.position,
      outcome,
      ...structuredClone(form),
      rubric,
      seconds,
      created_at: new Date().toISOString(),
      supersedes: this.supersedes(record),
    };
    if (remember) this.undos.push({ record, position: this.position, previous: before ?? null });
    if (!before && outcome !== "withdrawn") this.paces.push(seconds);
    this.local.set(record.record_id, { verdict, position: this.position });
    this.all[this.position] = outcome === "withdrawn" ? "" : outcome;
    if (this.skipped.delete(this.position)) this.memo.put("skipped", { ids: [...this.skipped] });
    this.drafts.drop(record.record_id);
    this.outbox.add(verdict);
  }

  // An answer or a text changed: kept as a draft at once, and as a verdict of its own when one was given before.
  touched() {
    const record = this.current;
    if (!record || record.missing) return;
    this.sign();
    this.refusal = null;
    this.drafts.put(record.record_id, { ...this.form });
    clearTimeout(this.reviseTimer);
    if (this.head(record)) this.reviseTimer = setTimeout(() => (this.commit(), this.refresh()), REVISE);
    this.refresh();
  }

  // What a changed form makes of a verdict given before: by the rule, or as it was; null while the rule cannot tell.
  revised(head) {
    if (this.rubric.rule === "reader" || head.outcome === "unsure") return head.outcome;
    return ruledOutcome(this.rubric, this.form);
  }

  commit() {
    clearTimeout(this.reviseTimer);
    const record = this.position >= 0 ? this.current : null;
    const head = record && this.head(record);
    if (!head || !this.drafts.get(record.record_id)) return;
    if (formText(head) === formText(this.form)) return this.drafts.drop(record.record_id);
    const outcome = this.revised(head);
    if (outcome) this.give(record, outcome, head); // else the draft waits, and the hint says so
  }

  undo() {
    this.commit();
    const last = this.undos.pop();
    const record = last?.record ?? this.current;
    if (!record || !this.head(record)) return this.say("Nothing to undo here.");
    if (last && last.position !== this.position) this.show(last.position);
    const previous = last?.previous;
    const was = this.head(record);
    const source = previous ?? was;
    const form = { ...blankForm() };
    for (const name of Object.keys(form)) form[name] = source[name] ?? form[name];
    this.give(record, previous?.outcome ?? "withdrawn", was, { remember: false, form, rubric: source.rubric ?? "" });
    // What was typed is kept as a draft, so that an undo never throws words away.
    if (!previous) this.drafts.put(record.record_id, form);
    this.show(this.position, true);
    this.say(previous ? `Back to ${previous.outcome}.` : "Verdict taken back.");
  }

  // ---------------------------------------------------------------- time

  // Seconds on a record: only with the page in view, and at most IDLE after the last sign of the reader.
  seconds(record) {
    const until = Math.min(performance.now(), this.lastSign + IDLE * 1000);
    const running = this.since && record === this.current ? Math.max(0, (until - this.since) / 1000) : 0;
    return (this.spent.get(record.record_id) ?? 0) + running;
  }
  // The reader is here: a clock that stood still goes on from now.
  sign() {
    const now = performance.now();
    if (this.since && now > this.lastSign + IDLE * 1000) {
      this.pause();
      this.since = now;
    }
    this.lastSign = now;
  }
  pause() {
    const record = this.current;
    if (this.since && record) this.spent.set(record.record_id, this.seconds(record));
    this.since = 0;
  }
  resume() {
    this.lastSign = performance.now();
    this.since = document.hidden ? 0 : this.lastSign;
    this.tick();
  }
  tick() {
    if (!this.current) return;
    const idle = this.since && performance.now() > this.lastSign + IDLE * 1000;
    const text = clock(this.seconds(this.current)) + (idle ? " · stands still while you are away" : "");
    if (this.timer.textContent !== text) this.timer.textContent = text;
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
      if (target.localName !== "textarea" || event.key !== "Enter") return;
    }
    if (inside && target.localName === "textarea") {
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
    const ruling = this.rubric.rule === "needed";
    if (!event.repeat || !digit) {
      const said = this.panel.key(event, letter, digit);
      if (said !== null) {
        if (!this.panel.node.offsetParent) this.foldPane(false); // an answer by key is seen
        if (said) this.say(said);
        return true;
      }
    }
    if (digit && !ruling && OUTCOMES[digit - 1]) return event.repeat || this.judge(OUTCOMES[digit - 1].id), true;
    if (ruling && event.key === "0") return event.repeat || this.judge("unsure"), true;
    if (ruling && event.key === "Enter") return event.repeat || this.judgeByRule(), true;
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
      case "j":
        return this.goUnread(), true;
      case "k":
        return event.repeat || this.skip(), true;
      case "f":
        return this.paper.toggleReasoning(), true;
      case "m":
        return this.paper.marked && this.paper.showSource(!this.paper.source), true;
      case "z":
        return this.paper.toggleTints() || this.say("No word of this record has a share of influence yet."), true;
      case "d":
        return this.paper.toggleNear() || this.say("No near-duplicate and no contradiction is known."), true;
    }
    return false;
  }

  toggleKeys() {
    if (!this.keys) {
      this.keys = keyMap(this.rubric, this.panel.map());
      this.root.append(this.keys);
    }
    if (this.keys.open) this.keys.close();
    else this.keys.showModal();
  }

  // ---------------------------------------------------------------- drawing

  refresh() {
    const record = this.current;
    const all = this.all;
    const given = { pass: 0, fail: 0, unsure: 0, disputed: 0, "": 0 };
    for (const outcome of all) given[outcome]++;
    const read = this.sample.count - given[""];
    this.count.replaceChildren(el("b", "", `Record ${this.position + 1}`), ` of ${this.sample.count.toLocaleString("en-US")}`);
    const tally = [`${read.toLocaleString("en-US")} read`];
    for (const name of ["fail", "unsure", "disputed"]) if (given[name]) tally.push(`${given[name]} ${WORDS[name]}`);
    if (this.skipped.size) tally.push(`${this.skipped.size} skipped`);
    const left = this.timeLeft(given[""]);
    if (left) tally.push(left);
    this.tally.textContent = read === this.sample.count ? `All read · ${given.pass} pass · ${tally.slice(1).join(" · ") || "no fail"}` : tally.join(" · ");
    this.read = read;
    this.drawSave();
    this.strip.draw(all, this.position, this.identity);
    const head = record && this.head(record);
    const usable = Boolean(record) && !record.missing;
    OUTCOMES.forEach(({ id }, i) => {
      this.outcomeButtons[i].setAttribute("aria-pressed", String(head?.outcome === id));
      this.outcomeButtons[i].disabled = !usable;
    });
    if (this.panel.usable !== usable) this.panel.load(this.form, usable);
    this.drawRuled(usable, head);
    this.back.disabled = this.position <= 0;
    this.forward.disabled = this.position >= this.sample.count - 1;
    this.undoButton.disabled = !this.undos.length && !head;
    this.firstButton.disabled = !given[""];
    this.drawHint(record, head, given);
  }

  // About how long the rest takes at the pace of this sitting; "" before it has a pace.
  timeLeft(unread) {
    if (this.paces.length < 5 || !unread) return "";
    const sorted = this.paces.slice(-30).sort((a, b) => a - b);
    const minutes = (sorted[Math.floor(sorted.length / 2)] * unread) / 60;
    if (minutes < 1) return "under a minute left";
    return minutes < 90 ? `about ${Math.round(minutes)} min left` : `about ${Math.round(minutes / 60)} h left`;
  }

  // Where a rule decides: what it makes of the answers so far.
  drawRuled(usable, head) {
    const ruling = this.rubric.rule === "needed" && usable;
    this.ruled.hidden = !ruling;
    OUTCOMES.forEach(({ id }, i) => this.outcomeButtons[i].classList.remove("suggested"));
    if (!ruling) return;
    const ruled = ruledOutcome(this.rubric, this.form);
    const missing = this.panel.missing();
    OUTCOMES.forEach(({ id }, i) => {
      this.outcomeButtons[i].classList.toggle("suggested", id === ruled && head?.outcome !== id);
      const idle = id !== "unsure" && id !== ruled;
      this.outcomeButtons[i].classList.toggle("not-yet", idle && head?.outcome !== id);
    });
    const text = ruled
      ? `By the rule: ${ruled}`
      : `${missing.length} of ${this.rubric.criteria.filter((one) => one.needed).length} to answer`;
    if (this.ruled.textContent !== text) this.ruled.textContent = text;
  }

  drawHint(record, head, given) {
    const lines = [];
    if (this.refusal) lines.push(["warn", this.refusal]);
    if (head && record && this.drafts.get(record.record_id) && !this.revised(head)) {
      lines.push(["warn", `The verdict given before (${head.outcome}) stands until every needed criterion is answered again.`]);
    }
    if (head && (head.rubric || "") !== this.rubric.digest && (head.rubric || this.rubric.id !== "audit")) {
      lines.push(["note", "This verdict was given under another version of the rubric and keeps it. A change is kept under the version of now."]);
    }
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
