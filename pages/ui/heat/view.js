// One text with its shares as a heat, in the place where a page shows a text.

import { block } from "./text.js";
import { dark, layer, legend } from "./heat.js";

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
