"""What the map is made of: the text that is embedded, the model, the mode of the layout. Changing it computes again, as a job."""

import streamlit as st

from core.actions.embeddings import Embedding, choose, stored
from core.errors import QuadrantError
from core.steps import analysis, params_of, set_params
from core.workspace import Dataset, Workspace
from pages.ui import jobs
from pages.ui.safe import literal

FOLLOW = ("preview", "map", "clusters", "duplicates", "contradictions", "labels", "coverage")
TEXTS = {"prompt": "Prompt", "response": "Response", "both": "Both"}
DTYPES = {"float32": "float32", "float16": "float16, half the size"}
MODES = {"reproducible": "Reproducible (seeded)", "parallel": "Parallel (umap-learn's own, another map each time)"}


def popover(workspace: Workspace, data: Dataset) -> None:
    embed, layout = params_of(workspace, "embed"), params_of(workspace, "map")
    known = stored(workspace, data)
    panel = st.popover("Settings", icon=":material/tune:", key="coverage.settings")
    if len(known) > 1:
        _side_by_side(workspace, known, panel)
    with panel, st.form("coverage.form", border=False):
        text = st.radio(
            "Text that is embedded", list(TEXTS), index=_index(TEXTS, embed["text"]), format_func=TEXTS.get,
            horizontal=True, key="coverage.text",
        )  # fmt: skip
        model = st.text_input(
            "Embedding model", embed["model"], key="coverage.model", placeholder="all-MiniLM-L6-v2",
            help="The built-in all-MiniLM-L6-v2; the folder of another sentence-transformers model, or its hub id; before either "
            "`openvino-int8:` or `onnx-int8:` for a faster, slightly less faithful run on a CPU (optional packages; the difference is "
            "measured and shown); `lexical` to compare words only; `column:NAME` or a .npy file for vectors that you bring.",
        )  # fmt: skip
        dtype = st.radio(
            "Stored as", list(DTYPES), index=_index(DTYPES, embed["dtype"]), format_func=DTYPES.get, horizontal=True,
            key="coverage.dtype",
            help="float16 halves the file and what is read of it. Measured on three sets of questions: similarities move by about "
            "0.0001 at most, and 99.97 % of the 30 nearest neighbours stay.",
        )  # fmt: skip
        mode = st.radio(
            "Layout", list(MODES), index=_index(MODES, layout["mode"]), format_func=MODES.get, key="coverage.mode"
        )
        st.caption(
            "Clusters, near-duplicates, label checks and holes follow the embedding. What was computed before is kept."
        )
        if st.form_submit_button("Compute again", type="primary", width="stretch", key="coverage.compute"):
            _apply(workspace, {"text": text, "model": model.strip() or embed["model"], "dtype": dtype}, {"mode": mode})

    if panel.button(
        "Lay out anew", key="coverage.anew", width="stretch", icon=":material/refresh:",
        help="A new version keeps the places of the records that an earlier one had. This draws a map of its own for the data of now, "
        "and later versions keep to that one.",
    ):  # fmt: skip
        set_params(workspace, "map", {"edition": int(layout["edition"]) + 1})
        jobs.launch(["run", "map"], "Lay out the map anew")


def _side_by_side(workspace: Workspace, known: list[Embedding], panel) -> None:
    """Which of the stored embeddings the pages show; nothing is computed."""
    titles = {e.key: f"{e.title} ({e.created[:10]})" for e in known}
    now = next((n for n, e in enumerate(known) if e.active), None)
    active = known[now].key if now is not None else None
    # The key follows the one in use, or a new model would be undone by what was picked before it.
    chosen = panel.selectbox(
        "Embedding on the pages", list(titles), index=now, format_func=titles.get, key=f"coverage.embedding.{active}",
        placeholder="not computed yet",
        help="The embeddings of this data that are stored side by side. Their maps and clusters are kept.",
    )  # fmt: skip
    if chosen and chosen != active:
        choose(workspace, chosen)
        st.rerun()


def _index(options: dict[str, str], value: str) -> int:
    return list(options).index(value) if value in options else 0


def _apply(workspace: Workspace, embed: dict, layout: dict) -> None:
    other = any(params_of(workspace, "embed")[k] != v for k, v in embed.items())
    if not other and params_of(workspace, "map")["mode"] == layout["mode"]:
        st.caption("These are the settings of now; nothing to compute.")
        return
    try:
        set_params(workspace, "embed", embed)
        set_params(workspace, "map", layout)
        steps = [s for s in FOLLOW if s in analysis(workspace)[0]] if other else ["map"]
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    jobs.launch(["run", *steps], "Embed and map again" if other else "Lay out the map again")
