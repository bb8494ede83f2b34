"""Which words of a record help or harm, as a heat over its text: what is stored is shown, what is not is offered as a job.

Painting loads no model: the shares were stored by the step `influence:tokens` (core.actions.heat).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.actions.heat import STEP, complete, heats, stored
from core.influence.models import MATCH, PROXY
from core.influence.shares import QUANTISED, Heat
from core.steps import current
from core.workspace import Workspace
from pages.ui import jobs, state

HERE = Path(__file__).parent
FILES = ("text.js", "heat.js")
PART = {"text": "response", "reasoning": "reasoning"}  # of a turn -> of the shares
NOTE = "Hover a word for its number: what training on that word alone adds. The prompt has no share."


def units(text: str, lengths: np.ndarray) -> np.ndarray:
    """The same runs counted in UTF-16 units, as a browser counts: characters beyond U+FFFF are two."""
    if text.isascii():
        return lengths
    wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) > 0xFFFF
    upto = np.concatenate([[0], np.cumsum(wide)])
    ends = np.minimum(np.cumsum(lengths), len(wide))
    return np.diff(ends + upto[ends], prepend=0)


def wire(heat: Heat, turn: Mapping[str, Any], note: str = "") -> dict[str, Any]:
    """The shares as the browser takes them, for the answer turn of the record as `shown` gives it."""
    largest, parts = heat.largest, {}
    for name, part in PART.items():
        text = turn.get(name) or ""
        if text and part in heat.parts:
            lengths, shares = heat.parts[part]
            levels = np.rint(shares / (largest or 1.0) * 32767).astype(int)
            parts[name] = {"lengths": units(text, lengths).tolist(), "shares": levels.tolist()}
    said = f"{NOTE} {QUANTISED}" + (f" {note}" if note else "")
    return {"parts": parts, "largest": largest, "total": heat.total, "elsewhere": heat.elsewhere, "note": said}


def proxy_note(workspace: Workspace) -> str:
    """What a reader must know of the model behind the colours."""
    base = current(workspace, "influence")
    model = base.params["model"] if base is not None else ""
    said = {PROXY: "Of the proxy language model, which is no judge of content.", MATCH: "Of the matching proxy."}
    return said.get(model, "")


def version(workspace: Workspace) -> str:
    """Changes when other shares are stored than before; "" = none."""
    return "".join(r.key[:8] for r in stored(workspace))


def tints(workspace: Workspace):
    """The `tints` of the reviewer: (what changes when others are stored, (record ids, rows as shown) -> what the browser takes)."""

    def found(ids: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        note, known = proxy_note(workspace), heats(workspace, list(ids))
        return {i: wire(h, answer_of(rows[i]), note) for i, h in known.items() if i in rows and answer_of(rows[i])}

    return version(workspace), found


def answer_of(record: Mapping[str, Any]) -> dict[str, Any]:
    return next((turn for turn in record["turns"] if turn.get("answer")), {})


def switch(record_id: str, record: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The switch above a training record; what to draw while it is on, None while it is off or nothing is stored."""
    workspace = state.workspace()
    base = current(workspace, "influence")
    if base is None or base.params.get("score") == "self-influence" or not answer_of(record):
        return None
    known = heats(workspace, [record_id])
    if record_id not in known:
        _offer(workspace, record_id, key)
        return None
    on = st.toggle(
        "Words that help or harm", value=bool(state.remembered("heat.on", True)), key=f"{key}.heat",
        help="Colours each word of the answer by what training on it adds to the record's influence.",
    )  # fmt: skip
    state.remember("heat.on", on)
    return wire(known[record_id], answer_of(record), proxy_note(workspace)) if on else None


def _offer(workspace: Workspace, record_id: str, key: str) -> None:
    """The job that finds the words, for this record or for all."""
    if complete(workspace) is not None:
        st.caption("No word of this record has a share: it has no response that the model was asked about.")
        return
    with st.popover("Which words help or harm?", icon=":material/format_ink_highlighter:"):
        st.markdown(
            "Colours each word of the answer by what training on it adds to the record's influence. One record takes the time of "
            "loading the model; all of them take about one and a half times as long as influence itself, and 4 bytes a word on disk."
        )
        if st.button("This record", key=f"{key}.heat.one", type="primary"):
            jobs.launch(["tokens", record_id], "Find the words that help or harm")
        if st.button("All records", key=f"{key}.heat.all"):
            jobs.launch(["run", STEP], "Find the words that help or harm")


def draw(text: str, found: Mapping[str, Any], part: str, key: str, legend: bool) -> None:
    """One text of the record with its tints; `part` of the turn: "text" or "reasoning"."""
    shares = found["parts"].get(part)
    facts = {name: found[name] for name in ("largest", "total", "elsewhere", "note")}
    _component()(key=key, data={"text": text, "part": shares, "heat": facts, "legend": legend}, height="content")


def joined(folder: Path, names: Sequence[str]) -> str:
    """Files of JavaScript as the one module that Streamlit takes: in order, their imports of each other resolved."""
    text = "\n".join((folder / name).read_text("utf-8") for name in names)
    text = re.sub(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', "", text, flags=re.MULTILINE)
    return re.sub(r"^export (?=function|class|const)", "", text, flags=re.MULTILINE)


@lru_cache(maxsize=1)
def _component():
    shared = HERE.parent / "reviewer"
    script = joined(shared, FILES) + "\n" + joined(HERE, ("view.js",))
    css = (HERE / "view.css").read_text("utf-8") + (shared / "heat.css").read_text("utf-8")
    return st.components.v2.component("quadrant_heat", css=css, js=script)


__all__ = ["draw", "switch", "tints", "units", "wire"]
