// One text with its shares as a heat, in the place where a page shows a text.

import { block } from "./text.js";
import { layer, legend } from "./heat.js";

export function dark(node) {
  const found = getComputedStyle(node).getPropertyValue("--st-background-color").trim();
  const probe = document.createElement("span");
  probe.style.color = found;
  node.append(probe);
  const [r, g, b] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return r * 0.3 + g * 0.6 + b * 0.1 < 110;
}

const views = new WeakMap();

export default function ({ parentElement, data }) {
  let root = views.get(parentElement);
  if (!root?.isConnected) {
    root = document.createElement("div");
    parentElement.append(root);
    views.set(parentElement, root);
  }
  root.className = "heat-view heat-theme";
  root.dataset.theme = dark(root) ? "dark" : "light";
  const parts = data.legend ? [legend(data.heat)] : [];
  parts.push(block(data.text, { heat: layer(data.part, data.heat.largest) }));
  root.replaceChildren(...parts);
}
