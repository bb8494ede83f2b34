// What outlives the element: filters and view, kept in this tab; and the link that restores the whole view for somebody else.

const KEEP_AFTER = 400; // ms of rest

class ScatterLinks extends ScatterFilters {
  slot() {
    const { slot } = this.config.linked ?? {};
    return slot ? `quadrant.view.${slot}` : null;
  }

  recall() {
    try {
      return JSON.parse(sessionStorage.getItem(this.slot() ?? "") ?? "{}") || {};
    } catch {
      return {};
    }
  }

  remember() {
    clearTimeout(this.keepTimer);
    this.keepTimer = setTimeout(() => this.keepNow(), KEEP_AFTER);
  }

  keepNow() {
    clearTimeout(this.keepTimer);
    const slot = this.config && this.slot();
    if (!slot || !this.fit) return;
    try {
      sessionStorage.setItem(slot, JSON.stringify({ filters: this.filterText(), box: this.boxText(), opened: this.openedLink ?? 0 }));
    } catch { /* a full or forbidden store: the view is not kept */ }
  }

  /** The view as text, "" when it is the first one: middle and units a pixel-independent half width. */
  boxText() {
    const v = this.view, f = this.fit, still = (a, b, s) => Math.abs(a - b) * s < 1;
    if (still(v.cx, f.cx, v.sx) && still(v.cy, f.cy, v.sy) && Math.abs(v.sx / f.sx - 1) < 0.01) return "";
    return [v.cx, v.cy, v.sx / f.sx, v.sy / f.sy].map((n) => Number(n.toPrecision(6))).join("~");
  }

  readBox(text) {
    const parts = (text || "").split("~").map(Number);
    if (parts.length !== 4 || !parts.every(Number.isFinite) || !(parts[2] > 0 && parts[3] > 0)) return;
    const [cx, cy, zx, zy] = parts, most = (z) => Math.min(5000, Math.max(0.01, z));
    this.view = { cx, cy, sx: this.fit.sx * most(zx), sy: this.fit.sy * most(zy) };
  }

  /** For new points: the filters and the view of the link that was followed, else those kept in this tab. */
  reopen() {
    const kept = this.recall(), link = this.config.linked?.open, followed = link && link.n > (kept.opened ?? 0);
    const wanted = followed ? link : kept;
    this.openedLink = followed ? link.n : kept.opened ?? 0;
    this.wantedFilters = this.readFilters(wanted.filters);
    this.readBox(wanted.box);
  }

  askLink() {
    this.pendingLink = this.emit("action", { do: "link" });
    this.el.share.hidden = false;
    this.el.shareText.textContent = "Making the link…";
    this.el.shareField.hidden = true;
  }

  /** The page has written down what the link stands for: show it, and copy it where the browser lets us. */
  takeLink() {
    const answer = this.config.linked?.link;
    if (!this.pendingLink || answer?.n !== this.pendingLink) return;
    this.pendingLink = null;
    const more = new URLSearchParams(answer.query), filters = this.filterText(), box = this.boxText();
    if (filters) more.set("f", filters);
    if (box) more.set("b", box);
    const link = `${location.origin}${location.pathname}?${more}`;
    const { shareField, shareText } = this.el;
    shareField.hidden = false;
    shareField.value = link;
    const say = (text) => { shareText.textContent = text; this.el.live.textContent = text; };
    const byHand = () => { shareField.select(); say("The link to this view; press Ctrl+C to copy it"); };
    if (navigator.clipboard?.writeText) navigator.clipboard.writeText(link).then(() => say("Copied: the link to this view"), byHand);
    else byHand();
    shareField.focus();
    shareField.select();
  }
}
