"""Difficulty by a sequence classifier from a folder on this machine, such as DIQ's fine-tuned BiomedBERT."""

import re
from pathlib import Path

import streamlit as st

from core.errors import InputError, QuadrantError
from core.steps import current, params_of, set_params
from core.workspace import Dataset, Workspace
from pages.ui import jobs
from pages.ui.safe import literal

TEXTS = {"prompt": "The prompt", "response": "The response", "both": "Prompt and response"}


def levels_of(text: str) -> dict[str, float]:
    """{label: level} of "easy=1, hard=4". Errors: InputError."""
    found: dict[str, float] = {}
    for part in filter(str.strip, re.split(r"[,\n;]", text)):
        label, equals, level = part.rpartition("=")
        try:
            if not equals:
                raise ValueError
            found[label.strip()] = float(level)
        except ValueError:
            raise InputError(
                f"{part.strip()!r} is no level of a label. Write label=level, for example easy=1, medium=3, hard=5."
            ) from None
    return found


def panel(workspace: Workspace, data: Dataset) -> None:
    params = params_of(workspace, "classifier")
    found = current(workspace, "classifier") if params["model"] else None
    if found is not None:
        info = found.info
        labels = ", ".join(f"{name} = {level:g}" for name, level in info["labels"].items())
        st.markdown(
            f"**{literal(info['architecture'])}** of {literal(info['model'], 120)}, revision {literal(info['revision'])}: "
            f"{literal(info['score'])}"
            + (f" over {literal(labels, 300)}." if info["score"] == "expected level" else ".")
        )
        for warning in info["warnings"]:
            st.warning(literal(warning, 300), icon=":material/warning:")
    with st.form("quadrant.classifier", border=True):
        folder = st.text_input(
            "Folder", params["model"], key="quadrant.classifier_folder", placeholder="/models/biomedbert-difficulty",
            help="config.json, safetensors and a tokenizer, as transformers writes them. Nothing is fetched, no code is run.",
        )  # fmt: skip
        left, right = st.columns(2)
        text = left.selectbox(
            "Text",
            list(TEXTS),
            list(TEXTS).index(params["text"]),
            format_func=TEXTS.get,
            key="quadrant.classifier_text",
        )
        levels = right.text_input(
            "Levels of the labels", ", ".join(f"{k}={v:g}" for k, v in params["levels"].items()), key="quadrant.classifier_levels",
            placeholder="empty: read from the labels", help="For example easy=1, medium=3, hard=5, where the labels hold no number.",
        )  # fmt: skip
        if st.form_submit_button("Rate with it", type="primary"):
            _start(workspace, folder.strip(), text, levels)


def _start(workspace: Workspace, folder: str, text: str, levels: str) -> None:
    if not folder or not (Path(folder).expanduser() / "config.json").is_file():
        st.error("There is no transformers model: the folder named must hold a config.json.")
        return
    try:
        set_params(workspace, "classifier", {"model": folder, "text": text, "levels": levels_of(levels)})
    except QuadrantError as error:
        st.error(literal(error, 300))
        return
    jobs.launch(["run", "classifier"], "Rate difficulty with a classifier")
