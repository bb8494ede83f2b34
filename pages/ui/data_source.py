"""Which file is to be opened: an upload, written to a file of ours first, or a path on this machine."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.dataset.opening import checked, safe_name
from pages.ui import opening, state
from pages.ui.safe import literal

UPLOAD, PATH, SAMPLE, SHARES = "Upload", "Path on this machine", "Sample data", "Type shares"
ROLES = {
    "training": "Training",
    "production": "Production",
    "validation": "Validation",
    "gold": "Gold",
}
MEANS = {
    "training": "the records to choose from and to prove",
    "production": "what users really ask: records, or only the share of each category",
    "validation": "the records that influence is measured on; without them 5 % of training is held out",
    "gold": "records with agreed verdicts, on which reviewers are calibrated",
}
STALE = 86_400  # seconds after which an upload that was never imported is removed
PACKED = (".gz", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Source:
    path: Path
    name: str  # as the user calls it
    upload: bool = False  # the path is a copy of ours, in a folder of its own

    @property
    def stamp(self) -> tuple[int, int]:
        """(bytes, modification time): whether the file is still the one that was looked at."""
        facts = self.path.stat()
        return facts.st_size, facts.st_mtime_ns

    @property
    def weight(self) -> int:
        """Bytes that there are to read, roughly: packed ones count six times."""
        files = [p for p in self.path.rglob("*") if p.is_file()] if self.path.is_dir() else [self.path]
        return sum(f.stat().st_size * (6 if f.suffix.lower() in PACKED else 1) for f in files)


def role() -> str:
    """The role that the file is opened in."""
    chosen = st.segmented_control(
        "Role", list(ROLES), default="training", format_func=ROLES.get, key="data.role", required=True
    )
    st.caption(f"{ROLES[chosen]}: {MEANS[chosen]}.")
    return chosen


def way(chosen_role: str) -> str:
    ways = [UPLOAD, PATH, SHARES] if chosen_role == "production" else [UPLOAD, PATH]
    return st.segmented_control("File", [*ways, SAMPLE], default=UPLOAD, key=f"data.way.{chosen_role}", required=True)


def ask(chosen_way: str) -> Source | None:
    """The file that the user named, or None as long as there is none. Errors: InputError for a path that cannot be a file."""
    if chosen_way == SAMPLE:
        _sample()
        return None
    if chosen_way == PATH:
        typed = st.text_input(
            "Path of a file, or of a folder of Parquet shards",
            key=f"data.path.{state.remembered('data.round', 0)}",
            placeholder="/data/clinical-sft.jsonl",
            help="Read where it is, of any size. JSON Lines, JSON, CSV, TSV, Parquet and Excel, each also as .gz.",
        ).strip()
        if not typed:
            return None
        path = checked(typed)
        return Source(path, path.name)
    given = st.file_uploader(
        "JSON Lines, JSON, CSV, TSV, Parquet or Excel, each also as .gz",
        key=f"data.upload.{state.remembered('data.round', 0)}",
        help="Stays on this machine. A file over 1 GB is opened by its path, which has no limit.",
    )
    return _kept(given) if given is not None else None


def _kept(given) -> Source:
    """The upload as a file of ours in the workspace, written once."""
    known: tuple[str, str] | None = state.remembered("data.uploaded", None)
    if known and known[0] == given.file_id and Path(known[1]).exists():
        return Source(Path(known[1]), given.name, upload=True)
    root = state.workspace().path / "uploads"
    _sweep(root)
    folder = root / os.urandom(6).hex()
    folder.mkdir(parents=True)
    path = folder / safe_name(given.name)
    with path.open("wb") as out:
        shutil.copyfileobj(given, out, 1 << 20)
    state.remember("data.uploaded", (given.file_id, str(path)))
    return Source(path, given.name, upload=True)


def _sweep(root: Path) -> None:
    """Remove uploads of yesterday: never imported, or read by a job that is over."""
    for folder in root.glob("*"):
        if time.time() - folder.stat().st_mtime > STALE:
            shutil.rmtree(folder, ignore_errors=True)


def done(source: Source, keep: bool) -> None:
    """Forget the file after an import: an empty uploader and path. Our copy goes too unless a job still has to read it (`keep`)."""
    if source.upload and not keep:
        shutil.rmtree(source.path.parent, ignore_errors=True)
    state.remember("data.round", state.remembered("data.round", 0) + 1)
    state.remember("data.uploaded", None)


def told(error: Exception, source: Source) -> str:
    """An error's sentence for Markdown, the file under the name that the user knows."""
    return literal(state.refused(error).replace(source.path.name, source.name), 900)


def _sample() -> None:
    st.markdown(
        "850 clinical records written for this app, with production, validation and gold files, and faults of every "
        "kind the app finds. Fictional, and no medical advice."
    )
    if st.button("Open the sample data", type="primary", key="data.sample"):
        state.use_workspace("sample")
        if state.workspace().dataset() is None:
            opening.import_sample()
        st.rerun()
