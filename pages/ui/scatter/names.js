// Where the texts over the points go: nothing overlaps, the heavier name first, each as near to its middle as there is room.

const SPOTS = [[0, 0], [0, -14], [0, 14], [0, -26], [0, 26], [-0.55, -14], [0.55, -14], [-0.55, 14], [0.55, 14]]; // x in widths, y in pixels
const ROOM = 8000, MOVED = 20; // square pixels a name takes with some air; so many of the heaviest may stand beside their middle

/** [{text, x, y, size}] to write, of names [text, x, y] in pixels, heaviest first. `taken`: boxes [x0, y0, x1, y1] that stay free. */
function placeNames(names, width, height, measure, taken) {
  const out = [], most = Math.max(8, Math.round((width * height) / ROOM));
  for (let k = 0; k < names.length && out.length < most; k++) {
    const [text, px, py] = names[k];
    if (px < -40 || py < -10 || px > width + 40 || py > height + 10) continue;
    const size = k < names.length / 6 ? 12.5 : 11.5, shown = text.length > 34 ? text.slice(0, 33).trimEnd() + "…" : text, half = measure(shown, size) / 2 + 5;
    if (2 * half > width) continue;
    for (const [sx, sy] of k < MOVED ? SPOTS : SPOTS.slice(0, 1)) {
      const x = Math.min(width - half, Math.max(half, px + sx * 2 * half)), y = Math.min(height - 11, Math.max(11, py + sy));
      const box = [x - half, y - 10, x + half, y + 10];
      if (taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      out.push({ text: shown, x, y, size });
      break;
    }
  }
  return out;
}
