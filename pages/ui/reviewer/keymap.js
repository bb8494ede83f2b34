// The map of the keys, as a dialog.

import { el } from "./text.js";
import { button } from "./panel.js";

// answers: the keys of the panel, each [[keys], what they do].
export function keyMap(rubric, answers) {
  const dialog = el("dialog", "keys");
  dialog.setAttribute("aria-label", "Keys");
  const list = el("dl");
  const ruling = rubric.rule === "needed";
  const verdict = ruling
    ? [
        [["↵"], "Give the verdict that the rule makes of the answers, and on to the next unread record"],
        [["0"], "Unsure, whatever is answered"],
      ]
    : [
        [["1"], "Pass, and on to the next unread record"],
        [["2"], "Fail"],
        [["3"], "Unsure"],
      ];
  const rows = [
    ...verdict,
    ...answers,
    [["←", "→"], "Previous and next record"],
    [["j"], "Next unread record"],
    [["k"], "Skip: leave it for the end"],
    [["g"], "First unread record"],
    [["u"], "Undo the last verdict"],
    [["↑", "↓", "Space"], "Scroll the record"],
    [["f"], "Fold or unfold the reasoning"],
    [["m"], "Markdown rendered, or its source"],
    [["z"], "Tint the words that help or harm"],
    [["d"], "Differences to near-duplicates and contradictions"],
    [["?"], "This map; Esc closes it"],
  ];
  for (const [keys, text] of rows) {
    const term = el("dt");
    term.append(...keys.map((key) => el("kbd", "", key)));
    list.append(term, el("dd", "", text));
  }
  dialog.append(el("h2", "", "Keys"), list, button("step", "Close", () => dialog.close()));
  dialog.onclick = (event) => event.target === dialog && dialog.close();
  return dialog;
}
