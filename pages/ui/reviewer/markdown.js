// Markdown as a reader sees it, built of our own elements and text nodes alone. A link is its text with its target beside it, never
// clickable; an image is named, never loaded; HTML and formulas stay the text they are. What is not understood is shown as it stands.

import { el, literal } from "./text.js";

const DEEP = 8; // levels of quotes, lists and emphasis; deeper ones stay text
const FAR = 4000; // characters that a closing mark may be away
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*))?$/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const ESCAPED = /[!-/:-@[-`{-~]/;

// Whether reading gains by it: blocks, or marks of emphasis and code. Single line breaks and addresses alone do not.
export function looksLikeMarkdown(text) {
  const head = text.slice(0, 20000);
  return /^ {0,3}(?:#{1,6} |>|`{3}|~{3}|[-*+] +\S|\d{1,3}[.)] +\S|\|.*\|\s*$)/m.test(head) || /\*\*\S|(^|\W)__\S|`[^`\n]+`/.test(head);
}

export function rendered(parent, text) {
  blocks(parent, text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

const indent = (line) => /^ */.exec(line)[0].length;
const starts = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.exec(line)?.[4];

function blocks(parent, lines, depth) {
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    if (!line.trim()) {
      i++;
      continue;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      const inner = [];
      const end = new RegExp(`^ {0,3}${fence[1][0]}{${fence[1].length},}\\s*$`);
      for (i++; i < lines.length && !end.test(lines[i]); i++) inner.push(lines[i]);
      i++;
      const box = el("pre", "md-code");
      if (fence[2].trim()) literal(box.appendChild(el("span", "md-lang")), fence[2].trim().slice(0, 40) + "\n");
      literal(box, inner.join("\n"));
      parent.append(box);
      continue;
    }
    const heading = HEADING.exec(line);
    if (heading) {
      const box = el("div", `md-h md-h${heading[1].length}`);
      box.setAttribute("role", "heading");
      box.setAttribute("aria-level", String(Math.min(6, heading[1].length + 3)));
      inline(box, heading[2] ?? "", 0);
      parent.append(box);
      i++;
      continue;
    }
    if (RULE.test(line)) {
      parent.append(el("hr", "md-rule"));
      i++;
      continue;
    }
    if (QUOTE.test(line) && depth < DEEP) {
      const inner = [];
      for (; i < lines.length && (QUOTE.test(lines[i]) || (lines[i].trim() && inner.at(-1)?.trim() && !starts(lines[i]))); i++) {
        inner.push(QUOTE.exec(lines[i])?.[1] ?? lines[i]);
      }
      blocks(parent.appendChild(el("blockquote", "md-quote")), inner, depth + 1);
      continue;
    }
    if (ITEM.exec(line)?.[4] && depth < DEEP) {
      i = list(parent, lines, i, depth);
      continue;
    }
    if (line.includes("|") && i + 1 < lines.length && lines[i + 1].includes("-") && DIVIDER.test(lines[i + 1])) {
      const head = cells(line);
      const marks = cells(lines[i + 1]);
      if (head.length === marks.length && head.length <= 60) {
        i = table(parent, lines, i, head, marks);
        continue;
      }
    }
    const inner = [line];
    for (i++; i < lines.length && lines[i].trim() && !starts(lines[i]); i++) {
      if (lines[i].includes("|") && DIVIDER.test(lines[i + 1] ?? "")) break;
      inner.push(lines[i]);
    }
    // Line breaks inside a paragraph stay: answers are written with them.
    const box = el("p", "md-p");
    box.dir = "auto";
    inline(box, inner.join("\n"), 0);
    parent.append(box);
  }
}

function list(parent, lines, i, depth) {
  const first = ITEM.exec(lines[i]);
  const ordered = /\d/.test(first[2]);
  const base = first[1].length;
  const box = el(ordered ? "ol" : "ul", "md-list");
  if (ordered) box.start = Number.parseInt(first[2], 10);
  while (i < lines.length) {
    const item = ITEM.exec(lines[i]);
    if (!item?.[4] || item[1].length < base || item[1].length > base + 3 || /\d/.test(item[2]) !== ordered) break;
    const content = item[1].length + item[2].length + 1;
    const inner = [item[4]];
    for (i++; i < lines.length; i++) {
      const line = lines[i];
      if (!line.trim()) {
        const next = lines.slice(i + 1, i + 4).find((one) => one.trim());
        if (next === undefined || indent(next) < content - 1) break;
        inner.push("");
      } else if (indent(line) >= content - 1 && indent(line) > base) inner.push(line.slice(Math.min(indent(line), content)));
      else if (!starts(line) && inner.at(-1)) inner.push(line.trimStart());
      else break;
    }
    const entry = box.appendChild(el("li"));
    blocks(entry, inner, depth + 1);
    let next = i;
    while (next < lines.length && !lines[next].trim()) next++;
    if (next > i && ITEM.exec(lines[next] ?? "")?.[1].length === base) i = next; // a loose list goes on
  }
  parent.append(box);
  return i;
}

function cells(line) {
  const found = [""];
  const inner = line.trim().replace(/^\|/, "");
  for (let i = 0; i < inner.length; i++) {
    if (inner[i] === "\\" && inner[i + 1] === "|") found[found.length - 1] += inner[++i];
    else if (inner[i] === "|") found.push("");
    else found[found.length - 1] += inner[i];
  }
  if (found.length > 1 && !found.at(-1).trim()) found.pop();
  return found.map((text) => text.trim());
}

function table(parent, lines, i, head, marks) {
  const side = marks.map((mark) => (/^:-+:$/.test(mark) ? "center" : /-:$/.test(mark) ? "end" : ""));
  const row = (texts, tag) => {
    const line = el("tr");
    head.forEach((_, n) => {
      const cell = line.appendChild(el(tag));
      cell.dir = "auto";
      if (side[n]) cell.style.textAlign = side[n];
      inline(cell, texts[n] ?? "", 0);
    });
    return line;
  };
  const box = el("table");
  box.append(el("thead"), el("tbody"));
  box.firstChild.append(row(head, "th"));
  for (i += 2; i < lines.length && lines[i].includes("|") && lines[i].trim(); i++) box.lastChild.append(row(cells(lines[i]), "td"));
  parent.appendChild(el("div", "md-table")).append(box);
  return i;
}

const LINK = /\[((?:[^[\]\\]|\\.){0,1000})\]\(\s*(<[^<>\n]{0,2000}>|[^\s()]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500})?)(?:\s+(["'])([^"']{0,500})\3)?\s*\)/y;
const WORD = /[\p{L}\p{N}]/u;

function inline(parent, text, depth) {
  let plain = "";
  const flush = () => {
    if (plain) literal(parent, plain);
    plain = "";
  };
  const into = (tag, className, inner) => {
    flush();
    inline(parent.appendChild(el(tag, className)), inner, depth + 1);
  };
  for (let i = 0; i < text.length; ) {
    const c = text[i];
    if (c === "\\" && ESCAPED.test(text[i + 1] ?? "")) {
      plain += text[i + 1];
      i += 2;
      continue;
    }
    if (c === "`") {
      const run = /^`+/.exec(text.slice(i, i + 20))[0];
      const close = closing(text, run, i + run.length, (at) => text[at - 1] !== "`" && text[at + run.length] !== "`");
      if (close > 0) {
        flush();
        literal(parent.appendChild(el("code", "md-inline")), text.slice(i + run.length, close));
        i = close + run.length;
      } else {
        plain += run;
        i += run.length;
      }
      continue;
    }
    const image = c === "!" && text[i + 1] === "[";
    if (image || c === "[") {
      LINK.lastIndex = image ? i + 1 : i;
      const link = LINK.exec(text);
      if (link) {
        flush();
        const box = parent.appendChild(el("span", image ? "md-image" : "md-link"));
        if (image) box.append(el("span", "md-what", "image, not loaded "));
        if (depth < DEEP) inline(box.appendChild(el("span", "md-label")), link[1], depth + 1);
        literal(box.appendChild(el("span", "md-target")), ` (${link[2]}${link[4] ? ` "${link[4]}"` : ""})`);
        i = LINK.lastIndex;
        continue;
      }
    }
    if ((c === "*" || c === "_" || (c === "~" && text[i + 1] === "~")) && depth < DEEP) {
      const mark = text.startsWith(c + c, i) ? c + c : c;
      const after = text[i + mark.length] ?? " ";
      const opens = !/\s/.test(after) && after !== c && (c === "*" || c === "~" || !WORD.test(text[i - 1] ?? " "));
      const close = opens
        ? closing(text, mark, i + mark.length + 1, (at) => {
            const beyond = text[at + mark.length] ?? " ";
            return !/\s/.test(text[at - 1]) && text[at - 1] !== "\\" && (mark.length === 2 || (beyond !== c && text[at - 1] !== c)) && (c !== "_" || !WORD.test(beyond));
          })
        : -1;
      if (close > 0) {
        into(c === "~" ? "s" : mark.length === 2 ? "strong" : "em", "", text.slice(i + mark.length, close));
        i = close + mark.length;
      } else {
        plain += mark;
        i += mark.length;
      }
      continue;
    }
    plain += c;
    i++;
  }
  flush();
}

// Where the closing mark stands, -1 if not near: looking at most FAR characters on keeps a page of stars from taking for ever.
function closing(text, mark, from, fits) {
  const near = text.slice(from, from + FAR);
  for (let at = near.indexOf(mark), tries = 0; at >= 0 && tries < 60; at = near.indexOf(mark, at + 1), tries++) {
    if (fits(from + at)) return from + at;
  }
  return -1;
}
