"""Typed access to what a session remembers; the only module that reads or writes st.session_state by plain key.

Widget keys are "page.widget" and belong to the pages. What must outlive a reload stands in the URL: `w`, the workspace, and `s`,
a token under which the workspace keeps this browser's selection.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.errors import WorkspaceError
from core.workspace import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("QUADRANT_HOME") or ROOT / "workspaces")
SAMPLE = ROOT / "sample_data"
UNDOS, UNDO_IDS = 40, 3_000_000  # selections that can be had back, and the records in them altogether
_NAME = re.compile(r"[^\w\-]+")


def workspace_names() -> list[str]:
    """Folders under the home that are workspaces, and the one in use."""
    found = {p.parent.name for p in HOME.glob("*/workspace.json")}
    return sorted(found | {current_name()}, key=str.casefold)


def current_name() -> str:
    """The workspace in use: of this session, of the link, or the one the app was started with."""
    if "workspace" not in st.session_state:
        asked = safe_name(st.query_params.get("w", ""))
        exists = bool(asked) and (HOME / asked / "workspace.json").exists()
        st.session_state["workspace"] = asked if exists else started_with()
    return st.session_state["workspace"]


def started_with() -> str:
    """The workspace that the app opens: QUADRANT_OPEN, else one named after the file in QUADRANT_DATA, else "sample"."""
    data = os.environ.get("QUADRANT_DATA", "")
    return safe_name(os.environ.get("QUADRANT_OPEN", "")) or (name_for(Path(data)) if data else "sample")


def name_for(path: Path) -> str:
    """The workspace name for a file: its name without endings."""
    return safe_name(path.name.split(".")[0]) or "data"


def safe_name(text: str) -> str:
    return _NAME.sub("-", text).strip("-")[:60]


def workspace() -> Workspace:
    """The workspace in use, made when it is new. One that this session had open and whose folder is gone is told, never made anew."""
    name = current_name()
    if st.session_state.get("opened") == name and not (HOME / name / "workspace.json").exists():
        _leave(name)
    found = open_workspace(HOME / name)
    st.session_state["opened"] = name
    return found


def _leave(name: str) -> None:
    """Go to another workspace, because the folder of this one was moved or deleted under the running app."""
    said = (
        f"The folder of workspace {name} is gone: {HOME / name}. If it was moved, put it back and open it here again."
    )
    others = [other for other in workspace_names() if other != name]
    del st.session_state["opened"]
    remember("opening.fault", said)
    use_workspace("sample" if "sample" in others or not others else others[0])
    st.rerun()
    raise WorkspaceError(said)  # within a callback a rerun is only asked for


def use_workspace(name: str) -> None:
    st.session_state["workspace"] = name
    st.session_state.pop("selection", None)
    st.session_state.pop("token", None)
    st.session_state["undo"] = st.session_state["redo"] = []
    st.query_params["w"] = name
    st.query_params.pop("s", None)


@dataclass(frozen=True)
class Selection:
    """The records that the user has picked; `ids` in dataset order or, from a strategy, in order of rank."""

    ids: tuple[str, ...] = ()
    title: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    def __bool__(self) -> bool:
        return bool(self.ids)


def selection() -> Selection:
    """The one selection of this browser, kept through pages and reloads."""
    if "selection" not in st.session_state:
        token = safe_name(st.query_params.get("s", ""))
        kept = workspace().selection(token) if token else None
        if kept:
            st.session_state["token"] = token
        st.session_state["selection"] = Selection(tuple(kept["ids"]), kept["title"]) if kept else Selection()
    return st.session_state["selection"]


def select(ids: list[str] | tuple[str, ...], title: str) -> None:
    """Replace the selection; an empty one clears it. The one before can be had back."""
    st.session_state["undo"] = _kept([*st.session_state.get("undo", []), selection()])
    st.session_state["redo"] = []
    _select(ids, title)


def _select(ids: list[str] | tuple[str, ...], title: str) -> None:
    st.session_state["selection"] = Selection(tuple(ids), title if ids else "")
    token = st.session_state.setdefault("token", os.urandom(5).hex())
    try:
        workspace().keep_selection(token, list(ids), title)
    except OSError as error:  # the selection itself stands
        remember("opening.fault", f"{refused(error)} Until then a selection is lost at a reload.")


def refused(error: Exception) -> str:
    """The sentence of an error; of one that the machine raised, what could not be written and what to do."""
    if not isinstance(error, OSError) or not error.filename:
        return str(error)
    return f"{error.filename} cannot be read or written: {error.strerror}. Make it writable, or use another folder."


def _kept(past: list[Selection]) -> list[Selection]:
    """The latest selections, as many as fit: at most UNDOS, and UNDO_IDS records together."""
    total, kept = 0, []
    for one in reversed(past[-UNDOS:]):
        total += len(one)
        if kept and total > UNDO_IDS:
            break
        kept.append(one)
    return kept[::-1]


def undo_selection() -> None:
    """Back to the selection before this one, if there was one."""
    _step("undo", "redo")


def redo_selection() -> None:
    """Forward again, after an undo."""
    _step("redo", "undo")


def can_step(way: str) -> bool:
    """Whether there is something to `undo` or `redo`."""
    return bool(st.session_state.get(way))


def _step(way: str, back: str) -> None:
    if not can_step(way):
        return
    other = st.session_state[way].pop()
    st.session_state[back] = _kept([*st.session_state.get(back, []), selection()])
    _select(other.ids, other.title)


def link() -> None:
    """Write the workspace and the selection into the URL, which a page change empties."""
    st.query_params["w"] = current_name()
    if st.session_state.get("token"):
        st.query_params["s"] = st.session_state["token"]
    if signed_in():
        st.query_params.pop("r", None)
    elif st.query_params.get("r") or "reviewer" in st.session_state:
        st.query_params["r"] = reviewer()


def remembered(key: str, default: object) -> object:
    """A setting of a page that outlives a page change (Streamlit drops the state of widgets that are not drawn)."""
    return st.session_state.setdefault(f"kept.{key}", default)


def remember(key: str, value: object) -> None:
    st.session_state[f"kept.{key}"] = value


def reviewer() -> str:
    """The name that verdicts are stored under; it stands in the URL too (`r`), so that a reload goes on under it."""
    asked = " ".join(st.query_params.get("r", "").split())[:80]
    return st.session_state.setdefault("reviewer", asked or os.environ.get("USER") or "reviewer")


def sign_in(name: str) -> None:
    """The name that a sign-in gives: from now on nothing else does."""
    st.session_state["reviewer"] = name
    st.session_state["signed_in"] = True


def signed_in() -> bool:
    """Whether the reviewer's name comes from a sign-in rather than from whoever sits here."""
    return bool(st.session_state.get("signed_in"))


def set_reviewer(name: str) -> None:
    if signed_in():
        return
    st.session_state["reviewer"] = st.query_params["r"] = " ".join(name.split())[:80] or "reviewer"
