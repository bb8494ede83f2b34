// Draws the two records. Every text goes into a text node.

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function cell(runs, side) {
  const made = element("div", "text");
  made.dir = "auto";
  if (!runs.length) made.append(element("span", "none", "(empty)"));
  for (const [differs, text] of runs) {
    made.append(differs ? element(side ? "ins" : "del", "", text) : document.createTextNode(text));
  }
  return made;
}

export default function ({ data, parentElement }) {
  parentElement.querySelector(".diff")?.remove();
  if (!data) return;
  const root = element("div", "diff");
  for (const [title, facts] of data.heads) {
    const head = element("div", "head");
    head.append(element("strong", "", title), element("small", "", facts || ""));
    root.append(head);
  }
  for (const part of data.parts) {
    const name = element("div", "name", part.name);
    if (part.note) name.append(element("span", "note", part.note));
    root.append(name, ...part.sides.map(cell));
    if (part.sides.length === 1) root.lastChild.classList.add("both");
  }
  parentElement.append(root);
}
