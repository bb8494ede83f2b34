"""Export: what is written, in which format, to where; the removals in force and the named subsets behind it."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from core.actions.decisions import open_reviews
from core.actions.inforce import in_force
from core.dataset.writing import FORMATS, RAW
from core.errors import QuadrantError
from core.review.ledger import removed_ids
from core.review.schema import Store
from core.review.subsets import add_subset, subset_ids, subsets
from core.workspace import Dataset, Workspace
from pages.ui import export_file, export_how, export_lists, state
from pages.ui.export_file import Choice
from pages.ui.export_lists import asking, plural
from pages.ui.safe import literal, short

KINDS = {"selection": "The selection", "subset": "A named subset", "all": "All but the removed"}


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Export")
    if data is None:
        st.markdown("What goes into training, in the format of your trainer? Import training records first.")
        st.page_link("pages/data.py", label="Open a file", icon=":material/folder_open:")
        return
    st.markdown("What goes into training, in the format of your trainer, with a manifest that says how it came about.")
    store = open_reviews(workspace)
    said = state.remembered("export.said", "")
    if said:
        state.remember("export.said", "")
        st.toast(literal(said, 200))
    removed = removed_ids(store)
    left, right = st.columns([2, 3], gap="large")
    with left:
        choice = _choice(store, data, removed)
        to = _format()
        choice = _corrections(workspace, store, data, choice, to)
        if choice and choice.ids:
            ready = export_how.ask(workspace, data, choice, to)
    with right:
        if choice and choice.ids:
            export_file.preview(data, ready or choice, to)
        else:
            st.caption("There is nothing to write with this choice.")
    if choice and choice.ids and ready:
        choice = ready
        _target(workspace, data, choice, to)
    export_file.done(workspace)
    removable = _selection(store, data, removed)
    export_lists.removals(store)
    export_lists.named(store, data)
    question, details = state.remembered("export.asking", ("", {}))
    if question == "remove" and removable:
        export_lists.remove(store, removable, details["token"])
    elif question == "replace" and choice and choice.ids:
        export_file.ask(workspace, choice, to, details["path"])


def _choice(store: Store, data: Dataset, removed: set[str]) -> Choice | None:
    """What is to be written, and a sentence that counts it."""
    chosen, names = state.selection(), [s.name for s in subsets(store)]
    able = [k for k in KINDS if k == "all" or (k == "selection" and chosen) or (k == "subset" and names)]
    key = f"export.what.{'-'.join(able)}.{len(chosen)}.{chosen.title}"  # a new selection is what one came here for
    kept = state.remembered(key, able[0] if chosen else "all")
    kind = st.radio("What", able, index=able.index(kept), format_func=KINDS.get, key=key)
    state.remember(key, kind)
    name = None
    if kind == "selection":
        title, ids = chosen.title, chosen.ids
    elif kind == "subset":
        known = state.remembered("export.subset", names[0])
        name = st.selectbox("Subset", names, index=names.index(known) if known in names else 0, format_func=short)
        state.remember("export.subset", name)
        title, ids = name, tuple(subset_ids(store, name))
    else:
        title, ids = "everything but the removed records", ()
    rows = np.arange(data.count) if kind == "all" else data.index.rows(ids)
    inside = rows[rows >= 0]
    out = inside[~data.index.mask(removed)[inside]] if removed else inside
    found = Choice(title, out, data.index.names, name, len(inside) - len(out), len(rows) - len(inside))
    words = [f"**{plural(len(out))}**" + (f" · {literal(title, 80)}" if kind != "all" else f" of {data.count:,}")]
    if found.left_out:
        words.append(f"{plural(found.left_out)} left out as removed")
    if found.lost:
        words.append(f"{plural(found.lost)} not in the data that is open now")
    st.markdown("  \n".join(words))
    return found


def _format() -> str:
    names = list(FORMATS)
    kept = state.remembered("export.format", "original")
    to = st.selectbox(
        "Format", names, index=names.index(kept), format_func=lambda n: FORMATS[n].title, key="export.format"
    )
    state.remember("export.format", to)
    st.caption(literal(FORMATS[to].note, 300))
    return to


def _corrections(workspace: Workspace, store: Store, data: Dataset, choice: Choice | None, to: str) -> Choice | None:
    """The choice with accepted corrections applied, where there are any and the format has a place for them."""
    edited = in_force(workspace, data).changed if choice else set()
    inside = choice.rows[np.isin(choice.rows, data.index.known(edited))] if edited else ()
    if not choice or not len(inside):
        return choice
    if to in RAW:
        st.caption(
            f"{plural(len(inside))} with an accepted edit or a changed label: this format writes the rows as imported, without it. "
            "The scorecard, which counts it, is not that of such a file."
        )
        return choice
    kept = state.remembered("export.corrections", True)
    wanted = st.checkbox(
        f"Apply {len(inside):,} accepted {'edit' if len(inside) == 1 else 'edits'}", kept, key="export.corrections",
        help="Corrected responses, fix-ups and changed labels are written in place of what was imported, which the manifest keeps.",
    )  # fmt: skip
    state.remember("export.corrections", wanted)
    return replace(choice, corrections=wanted)


def _target(workspace: Workspace, data: Dataset, choice: Choice, to: str) -> None:
    """The path and the button."""
    key = f"export.path.{workspace.path.name}.{to}.{choice.title}"
    field, button = st.columns([4, 1], vertical_alignment="bottom")
    typed = field.text_input(
        "File on this machine", str(export_file.default_path(workspace, data, choice, to)), key=key,
        help="Ending in .gz it is compressed. A manifest with the digests, parameters and ledger entries is written beside it.",
    )  # fmt: skip
    if button.button("Export", key="export.write", type="primary", width="stretch", icon=":material/download:"):
        path = workspace.path / "exports" / Path(typed.strip()).expanduser()  # an absolute path stands as it is
        if not typed.strip():
            st.error("Name the file to write.")
        elif any(one.is_file() for one in export_file.targets(choice, path)):
            asking("replace", path=path)
        else:
            export_file.write(workspace, choice, to, path)


def _selection(store: Store, data: Dataset, removed: set[str]) -> list[str]:
    """What else can be done with the selection: keep it under a name, or remove it from the data. Returns what can be removed."""
    chosen = state.selection()
    if not chosen:
        return []
    st.subheader("The selection")
    rows = data.index.known(chosen.ids)
    ids = data.index.names.at(rows[~data.index.mask(removed)[rows]] if removed else rows)
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(f"**{plural(len(chosen))}** · {literal(chosen.title, 100)}", width="stretch")
    with row.popover("Save as subset"), st.form("export.save", border=False):
        name = st.text_input("Name", short(chosen.title, 80), key="export.save_name")
        if st.form_submit_button("Save", type="primary"):
            _save(store, data, chosen, name)
    if row.button(
        "Remove…", key="export.remove", disabled=not ids, help="Take these records out of the data, with a reason"
    ):
        asking("remove", token=os.urandom(8).hex())
    return ids


def _save(store: Store, data: Dataset, chosen: state.Selection, name: str) -> None:
    try:
        add_subset(
            store, name, chosen.ids,
            by=state.reviewer(), strategy="selection", dataset_digest=data.digest, params={"title": chosen.title},
        )  # fmt: skip
    except QuadrantError as error:
        st.error(literal(error, 300))
    else:
        st.rerun()


page()
