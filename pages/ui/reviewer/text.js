// Text from data, put on the screen literally: only text nodes and elements of ours, never markup, never a fetch.

const WINDOW = 8000; // characters shown before "show all"
const CHUNK = 20000; // characters in one block, so that the browser lays out only what is in view
const STEP = 1000000; // characters more for each "show": a giant text is read in parts
const RENDERED = 200000; // longer texts are shown as they stand

// Characters that cannot be seen or that turn the reading direction. Tab, newline and carriage return are left alone.
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;
const NAMES = {
  0x00: "NUL", 0x07: "BEL", 0x08: "BS", 0x0b: "VT", 0x0c: "FF", 0x1b: "ESC", 0x7f: "DEL", 0xad: "soft hyphen",
  0x61c: "ALM", 0x200b: "zero-width space", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM",
  0x2028: "line separator", 0x2029: "paragraph separator", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO",
  0x202e: "RLO", 0x2060: "word joiner", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM",
}; // prettier-ignore

export function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

// A joiner inside an emoji, or between letters of a script that needs it, belongs to the text and is left as it is.
function belongs(text, at, code) {
  if (code === 0xfe0f || code === 0xfe0e) return /[\p{Extended_Pictographic}\d#*]$/u.test(text.slice(Math.max(0, at - 2), at));
  if (code !== 0x200c && code !== 0x200d) return false;
  const before = [...text.slice(Math.max(0, at - 4), at)].pop() ?? "";
  const after = [...text.slice(at + 1, at + 3)][0] ?? "";
  const emoji = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]/u;
  if (emoji.test(before) && emoji.test(after)) return true;
  const joined = /[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Gujarati}\p{Script=Gurmukhi}\p{Script=Khmer}\p{Script=Mongolian}\p{M}]/u;
  return joined.test(before) && joined.test(after);
}

function mark(code) {
  const name = NAMES[code] ?? "U+" + code.toString(16).toUpperCase().padStart(4, "0");
  const node = el("span", "mark", code === 0 ? "␀" : name);
  node.title = `Hidden character U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return node;
}

export function literal(parent, text) {
  let last = 0;
  HIDDEN.lastIndex = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const code = match[0].codePointAt(0);
    if (belongs(text, match.index, code)) continue;
    if (match.index > last) parent.append(text.slice(last, match.index));
    parent.append(mark(code));
    if (code === 0x2028 || code === 0x2029) parent.append("\n");
    last = match.index + match[0].length;
  }
  if (last < text.length) parent.append(last ? text.slice(last) : text);
}

// The same JSON text with line breaks and indents: no value is parsed, so 1e5, 007-like strings and long integers stay exact.
export function indented(text) {
  const trimmed = text.trim();
  if (!/^[[{]/.test(trimmed) || trimmed.length > 400000) return null;
  try {
    JSON.parse(trimmed);
  } catch {
    return null;
  }
  let out = "", depth = 0, inside = false; // prettier-ignore
  const line = () => "\n" + "  ".repeat(Math.min(depth, 40));
  for (let i = 0; i < trimmed.length; i++) {
    const c = trimmed[i];
    if (inside) {
      out += c;
      if (c === "\\") out += trimmed[++i] ?? "";
      else if (c === '"') inside = false;
    } else if (c === '"') {
      inside = true;
      out += c;
    } else if (c === "{" || c === "[") {
      let next = i + 1;
      while (/\s/.test(trimmed[next] ?? "x")) next++;
      if (trimmed[next] === "}" || trimmed[next] === "]") {
        out += c + trimmed[next];
        i = next;
      } else {
        depth++;
        out += c + line();
      }
    } else if (c === "}" || c === "]") {
      depth--;
      out += line() + c;
    } else if (c === ",") out += c + line();
    else if (c === ":") out += ": ";
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}

// Never between the two halves of a character.
const cut = (text, at) => (/[\udc00-\udfff]/.test(text[at] ?? "") ? at + 1 : at);

const counted = (n) => n.toLocaleString("en-US");

// A block of text: windowed when long, JSON laid out for reading with a switch to the source.
// whole: how long the text is at its source when only its beginning was sent; onWhole asks for the rest.
// render(parent, text): draws Markdown; absent: the text as it stands. heat: tints for it (heat.js), which want it as it stands.
export function block(text, { className = "text", whole = null, onWhole = null, render = null, heat = null } = {}) {
  const box = el("div", "block");
  const pretty = indented(text);
  let formatted = pretty !== null && !heat;
  let limit = WINDOW;

  const draw = () => {
    box.replaceChildren();
    const source = formatted ? pretty : text;
    let end = source.length <= limit * 1.25 ? source.length : cut(source, limit);
    if (render && !heat && pretty === null && end <= RENDERED) {
      if (end < source.length) end = Math.max(source.lastIndexOf("\n", end), 0) || end;
      const part = el("div", "md");
      part.dir = "auto";
      render(part, source.slice(0, end));
      box.append(part);
    } else {
      for (let start = 0, stop; start < end || start === 0; start = stop || 1) {
        stop = Math.min(end, cut(source, start + CHUNK));
        const part = el("div", className + (pretty !== null ? " code" : "") + (end > CHUNK ? " chunk" : ""));
        part.dir = "auto";
        if (heat && !formatted) heat.draw(part, source, start, stop);
        else literal(part, source.slice(start, stop));
        box.append(part);
      }
    }
    const more = end < source.length || whole !== null;
    if (!more && pretty === null) return;
    const bar = el("div", "more");
    if (more) {
      const size = whole ?? source.length;
      const next = whole === null && size > STEP * 1.25;
      const button = el("button", "quiet", next ? `Show more: ${counted(end)} of ${counted(size)} characters are shown` : `Show all ${counted(size)} characters`);
      button.type = "button";
      button.onclick = () => {
        if (whole !== null && onWhole) {
          button.textContent = "Fetching the whole text…";
          button.disabled = true;
          onWhole();
        } else {
          limit = next ? (limit < STEP ? STEP : limit + STEP) : size;
          draw();
        }
      };
      bar.append(button);
    }
    if (pretty !== null) {
      const button = el("button", "quiet", formatted ? "Show the JSON as it stands" : "Lay the JSON out");
      button.type = "button";
      button.onclick = () => {
        formatted = !formatted;
        draw();
      };
      bar.append(button);
    }
    box.append(bar);
  };
  draw();
  return box;
}
