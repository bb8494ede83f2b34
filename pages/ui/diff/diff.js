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
    const note = part.equal ? "the same in both" : part.compared ? "" : "too long to compare word by word";
    const name = element("div", "name", part.name);
    if (note) name.append(element("span", "note", note));
    root.append(name, cell(part.sides[0], 0), cell(part.sides[1], 1));
  }
  parentElement.append(root);
}
