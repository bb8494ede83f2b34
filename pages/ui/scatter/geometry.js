// Arithmetic on points and bits; no DOM.

const bitAt = (bits, i) => (bits[i >> 3] >> (i & 7)) & 1;

function countBits(bits) {
  let total = 0;
  for (let i = 0; i < bits.length; i++) {
    let b = bits[i];
    b -= (b >> 1) & 0x55;
    b = (b & 0x33) + ((b >> 2) & 0x33);
    total += (b + (b >> 4)) & 0x0f;
  }
  return total;
}

function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Base64 of bytes, in pieces small enough for the call stack. */
function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode.apply(null, bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** A step coprime with n near the golden section: i -> i * step mod n visits every point once, evenly spread. */
function spreadStep(n) {
  const gcd = (a, b) => (b ? gcd(b, a % b) : a);
  let step = Math.max(1, Math.round(n * 0.6180339887));
  while (gcd(step, n) !== 1) step += 1;
  return step;
}

/** Test for points in a polygon [[x, y], …] (even-odd rule): edges are sorted into rows, so a test costs a few edges. */
function polygonTest(polygon) {
  const n = polygon.length;
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const [x, y] of polygon) {
    x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
  }
  const rowCount = 512;
  const rowOf = (y) => Math.min(rowCount - 1, Math.max(0, Math.floor(((y - y0) / (y1 - y0)) * rowCount)));
  const rows = Array.from({ length: rowCount }, () => []);
  if (n > 2 && y1 > y0)
    for (let i = 0, j = n - 1; i < n; j = i++) {
      const a = rowOf(Math.min(polygon[i][1], polygon[j][1])), b = rowOf(Math.max(polygon[i][1], polygon[j][1]));
      for (let r = a; r <= b; r++) rows[r].push(polygon[i][0], polygon[i][1], polygon[j][0], polygon[j][1]);
    }
  return (x, y) => {
    if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1)) return false;
    const edges = rows[rowOf(y)];
    let inside = false;
    for (let e = 0; e < edges.length; e += 4) {
      const ay = edges[e + 1], by = edges[e + 3];
      if (ay > y !== by > y && x < ((edges[e + 2] - edges[e]) * (y - ay)) / (by - ay) + edges[e]) inside = !inside;
    }
    return inside;
  };
}

/** A grid over the points with a position, for the nearest one to the pointer. */
class PointGrid {
  constructor(xs, ys, box) {
    const n = xs.length;
    this.xs = xs; this.ys = ys; this.box = box;
    this.size = Math.min(1024, Math.max(8, Math.round(Math.sqrt(n / 2))));
    this.kx = this.size / (box.x1 - box.x0 || 1); this.ky = this.size / (box.y1 - box.y0 || 1);
    const cells = new Int32Array(n);
    this.start = new Uint32Array(this.size * this.size + 1);
    for (let i = 0; i < n; i++) {
      cells[i] = this.cell(xs[i], ys[i]);
      if (cells[i] >= 0) this.start[cells[i] + 1] += 1;
    }
    for (let c = 1; c < this.start.length; c++) this.start[c] += this.start[c - 1];
    this.order = new Uint32Array(this.start[this.start.length - 1]);
    const next = this.start.slice();
    for (let i = 0; i < n; i++) if (cells[i] >= 0) this.order[next[cells[i]]++] = i;
  }
  column(x) { return Math.min(this.size - 1, Math.max(0, Math.floor((x - this.box.x0) * this.kx))); }
  row(y) { return Math.min(this.size - 1, Math.max(0, Math.floor((y - this.box.y0) * this.ky))); }
  cell(x, y) { return Number.isFinite(x) && Number.isFinite(y) ? this.row(y) * this.size + this.column(x) : -1; }
  /** Index of the accepted point nearest to (x, y) within the ellipse of radii rx, ry, or -1. */
  nearest(x, y, rx, ry, accept) {
    const c0 = this.column(x - rx), c1 = this.column(x + rx), r0 = this.row(y - ry), r1 = this.row(y + ry);
    let best = -1, least = 1;
    for (let r = r0; r <= r1; r++)
      for (let k = this.start[r * this.size + c0]; k < this.start[r * this.size + c1 + 1]; k++) {
        const i = this.order[k], dx = (this.xs[i] - x) / rx, dy = (this.ys[i] - y) / ry, d = dx * dx + dy * dy;
        if (d <= least && (d < least || best < 0) && accept(i)) { best = i; least = d; }
      }
    return best;
  }
}

/** (N,) bytes 0..7: how crowded each point's neighbourhood is, each step twice as crowded; 3 is the average of occupied cells. */
function densityOf(xs, ys, box) {
  const n = xs.length, size = 192, kx = size / (box.x1 - box.x0 || 1), ky = size / (box.y1 - box.y0 || 1), counts = new Uint32Array(size * size), out = new Uint8Array(n);
  const cell = (i) => Math.min(size - 1, Math.floor((ys[i] - box.y0) * ky)) * size + Math.min(size - 1, Math.floor((xs[i] - box.x0) * kx));
  const placed = (i) => xs[i] - xs[i] === 0 && ys[i] - ys[i] === 0;
  for (let i = 0; i < n; i++) if (placed(i)) counts[cell(i)] += 1;
  let occupied = 0, total = 0;
  for (const c of counts) if (c) { occupied += 1; total += c; }
  if (!occupied) return out;
  const level = new Uint8Array(size * size), mean = total / occupied;
  for (let c = 0; c < counts.length; c++) if (counts[c]) level[c] = Math.min(7, Math.max(0, Math.round(3 + Math.log2(counts[c] / mean))));
  for (let i = 0; i < n; i++) if (placed(i)) out[i] = level[cell(i)];
  return out;
}

/** Round tick values between two ends, about `want` of them. */
function ticks(low, high, want) {
  const span = high - low;
  if (!(span > 0) || want < 1) return [];
  const power = 10 ** Math.floor(Math.log10(span / want)), ratio = span / want / power;
  const step = power * (ratio > 7.5 ? 10 : ratio > 3.5 ? 5 : ratio > 1.5 ? 2 : 1);
  const out = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9 && out.length < 100; k++) out.push(k * step);
  return out;
}

/** The level nearest to a point that was spread around it; the value itself without levels. */
function nearestLevel(levels, value) {
  return levels?.length ? levels.reduce((best, l) => (Math.abs(l - value) < Math.abs(best - value) ? l : best)) : value;
}

/** What a cut says: its value, or among levels the first that lies above it. */
function cutText(levels, value) {
  if (!levels?.length) return formatNumber(value);
  const first = levels.find((l) => l >= value);
  return first === undefined ? `> ${formatNumber(levels[levels.length - 1])}` : `≥ ${formatNumber(first)}`;
}

const formatCount = new Intl.NumberFormat("en-US").format;

function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("-", "−").replace("e-", "e−").replace("e+", "e");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
