// What was given and is not yet known to be saved. Every verdict has an entry of its own in localStorage, so that two tabs never
// overwrite each other and a reload, a crash or a lost connection loses nothing; it goes only when the database has acknowledged it.

export function clientId() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID(); // missing on plain http away from this machine
  const bytes = new Uint8Array(16);
  if (globalThis.crypto?.getRandomValues) crypto.getRandomValues(bytes);
  else for (let i = 0; i < 16; i++) bytes[i] = Math.random() * 256;
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export class Shelf {
  // A corner of localStorage under one prefix; memory alone where the browser refuses it.
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
    this.durable = true;
  }
  put(name, value) {
    this.memory.set(name, value);
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      this.durable = true;
    } catch {
      this.durable = false;
    }
  }
  get(name) {
    if (this.memory.has(name)) return this.memory.get(name);
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }
  drop(name) {
    this.memory.delete(name);
    try {
      localStorage.removeItem(this.prefix + name);
    } catch {
      /* memory alone */
    }
  }
  all() {
    const found = new Map();
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        if (!key.startsWith(this.prefix)) continue;
        const value = JSON.parse(localStorage.getItem(key));
        if (value && typeof value === "object") found.set(key.slice(this.prefix.length), value);
      }
    } catch {
      /* memory alone */
    }
    for (const [name, value] of this.memory) found.set(name, value);
    return found;
  }
}

const BATCH = 200;
const PATIENCE = [4000, 6000, 10000, 15000]; // milliseconds without an answer before sending again

export class Outbox {
  // send(payload) hands a batch to Python; changed() redraws the state line.
  constructor(prefix, send, changed) {
    this.shelf = new Shelf(prefix + "verdict.");
    this.send = send;
    this.changed = changed;
    this.pending = new Map(); // client_id -> verdict, in the order given
    this.refused = new Map(); // client_id -> reason: kept on the shelf, sent again only by hand
    this.nonce = 0; // of the batch under way; 0: none
    this.failures = 0;
    this.problem = null;
    this.timer = 0;
    const kept = [...this.shelf.all().values()].filter((v) => v.client_id && v.record_id);
    kept.sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
    for (const verdict of kept) this.pending.set(verdict.client_id, verdict);
    if (this.pending.size) this.wake(50);
  }

  add(verdict) {
    this.shelf.put(verdict.client_id, verdict);
    this.pending.set(verdict.client_id, verdict);
    if (!this.nonce && !this.problem) this.wake(40); // let the next record be painted first
    this.changed();
  }

  wake(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), delay);
  }

  flush() {
    const waiting = [...this.pending.values()].filter((v) => !this.refused.has(v.client_id));
    if (!waiting.length) return;
    this.nonce = Date.now() * 1000 + Math.floor(Math.random() * 1000);
    this.send({ nonce: this.nonce, items: waiting.slice(0, BATCH) });
    const patience = PATIENCE[Math.min(this.failures, PATIENCE.length - 1)];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.failures++;
      this.nonce = 0;
      this.flush();
      this.changed();
    }, patience);
    this.changed();
  }

  // Python's answer: what is on disk, what never will be and why, and what stands in the way of the rest.
  answer({ answered, acked = [], refused = {}, problem = null }) {
    for (const id of acked) {
      this.pending.delete(id);
      this.refused.delete(id);
      this.shelf.drop(id);
    }
    for (const [id, reason] of Object.entries(refused)) if (this.pending.has(id)) this.refused.set(id, reason);
    if (answered && answered === this.nonce) {
      clearTimeout(this.timer);
      this.nonce = 0;
      this.problem = problem;
      this.failures = problem ? this.failures + 1 : 0;
      if (problem) this.wake(PATIENCE[Math.min(this.failures, PATIENCE.length - 1)]);
      else if (this.waiting) this.wake(0);
    }
    this.changed();
  }

  discardRefused() {
    for (const id of this.refused.keys()) {
      this.pending.delete(id);
      this.shelf.drop(id);
    }
    this.refused.clear();
    this.changed();
  }

  get waiting() {
    return this.pending.size - this.refused.size;
  }

  get state() {
    const n = this.waiting;
    const what = n === 1 ? "1 verdict" : `${n} verdicts`;
    const where = this.shelf.durable ? "kept in this browser" : "kept in this tab only, so leave it open";
    if (!n) return { kind: "saved", text: "All saved" };
    if (this.problem) return { kind: "problem", text: `Not saved, ${what} ${where}`, detail: this.problem };
    if (this.failures || navigator.onLine === false) {
      return { kind: "offline", text: `No answer from the server, ${what} ${where}` };
    }
    return { kind: "saving", text: n === 1 ? "Saving…" : `Saving ${n}…` };
  }

  close() {
    clearTimeout(this.timer);
  }
}
