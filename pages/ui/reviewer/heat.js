// Which words of a text help or harm: each run of characters on a tint of its share, blue helps, orange harms. Never colour alone: a
// harmful run has a dashed underline, a helpful one a solid one, and every run says its number. Only text nodes and spans of ours.

import { el, literal } from "./text.js";

const FAINT = 0.02; // of the largest share of the record: below it a run is left plain
const LINED = 0.25; // from here on underlined as well

const signed = (x) => (x === 0 ? "0" : `${x > 0 ? "+" : "−"}${Number(Math.abs(x).toPrecision(2))}`);

// The shares of one text as laid out for drawing. heat: {lengths, shares} in UTF-16 units and in 1/32767 of `largest`.
export function layer(heat, largest) {
  if (!heat || !heat.lengths.length) return null;
  const ends = new Uint32Array(heat.lengths.length);
  let at = 0;
  heat.lengths.forEach((length, i) => (ends[i] = at += length));
  return { draw: (parent, text, start, stop) => heated(parent, text, start, stop, { ends, shares: heat.shares, largest }) };
}

// Appends text[start:stop] to parent with its tints.
function heated(parent, text, start, stop, laid) {
  const { ends, shares, largest } = laid;
  let low = 0, high = ends.length; // prettier-ignore
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] <= start) low = middle + 1;
    else high = middle;
  }
  let from = start;
  for (let i = low; i < ends.length && from < stop; i++) {
    const to = Math.min(ends[i], stop);
    const strength = shares[i] / 32767;
    const value = strength * largest;
    const word = value > 0 ? "helps" : value < 0 ? "harms" : "neither";
    const node = el("span", `run ${word}`);
    if (Math.abs(strength) >= FAINT) node.style.setProperty("--share", Math.abs(strength).toFixed(3));
    if (Math.abs(strength) >= LINED) node.classList.add("lined");
    node.title = `${word} ${signed(value)} (${Math.round(100 * Math.abs(strength))} % of the largest)`;
    literal(node, text.slice(from, to));
    parent.append(node);
    from = to;
  }
  if (from < stop) {
    const rest = el("span", "run unscored");
    rest.title = "No share: beyond the length that the model was given";
    literal(rest, text.slice(from, stop));
    parent.append(rest);
  }
}

// The key to the colours with the sum of the record. heat: the whole of a record's, as Python sends it.
export function legend(heat) {
  const box = el("div", "heat-key");
  const line = el("div", "heat-scale");
  const bar = el("span", "heat-bar");
  bar.setAttribute("aria-hidden", "true");
  line.append(el("span", "", "harms validation loss"), bar, el("span", "", "helps"));
  box.append(line);
  box.append(
    el("span", "heat-said", `Sum ${signed(heat.total)}, the record's influence; largest word ${signed(heat.largest).slice(1)}; end of turn ${signed(heat.elsewhere)}.`),
    el("span", "heat-said", heat.note),
  );
  return box;
}

// Whether the page under a node is dark, by the colour that the app's theme gives it.
export function dark(node) {
  const found = getComputedStyle(node).getPropertyValue("--st-background-color").trim();
  const probe = document.createElement("span");
  probe.style.color = found;
  node.append(probe);
  const [r, g, b] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return r * 0.3 + g * 0.6 + b * 0.1 < 110;
}
