"""One column for each thing known of a training record, from whichever dataset or result knows it.

Plots colour by these, selection ranks by them, tables show them. Rows are always in the order of the training dataset.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.actions import naming
from core.actions.decisions import open_reviews, verdict_by_record
from core.dataset.columns import FIELD_PREFIX
from core.errors import InputError
from core.steps import current
from core.workspace import Dataset, Workspace


@dataclass(frozen=True)
class Column:
    """Values of one kind for every training record: text ("" = none) for kind "category", float64 (NaN = none) for "number"."""

    name: str
    title: str
    kind: str
    values: np.ndarray  # (N,) object of str, or float64
    note: str = ""  # what a reader must know: a proxy, a sample, a threshold


# name -> (title, kind, step, column of its table). The title is what axes and selectors say.
FROM_RESULTS = {
    "influence": ("Influence", "number", "influence", "influence"),
    "nll": ("NLL of the response (nats per token)", "number", "difficulty", "nll"),
    "perplexity": ("Perplexity of the response", "number", "difficulty", "perplexity"),
    "ifd_ppl": ("IFD (ratio of perplexities)", "number", "difficulty", "ifd_ppl"),
    "ifd_loss": ("IFD (ratio of losses)", "number", "difficulty", "ifd_loss"),
    "rated_difficulty": ("Difficulty learned from ratings (expected level)", "number", "rated_difficulty", "expected"),
    "rated_sd": ("Uncertainty of the learned difficulty (levels)", "number", "rated_difficulty", "sd"),
    "llm_overall": ("Difficulty by a language model, overall (1–5)", "number", "llm_difficulty", "overall"),
    "llm_knowledge": ("Difficulty by a language model, knowledge (1–5)", "number", "llm_difficulty", "knowledge"),
    "llm_reasoning": ("Difficulty by a language model, reasoning (1–5)", "number", "llm_difficulty", "reasoning"),
    "classifier": ("Difficulty by a classifier", "number", "classifier", "level"),
    "nearest_similarity": ("Similarity to the nearest record", "number", "duplicates", "similarity"),
    "self_confidence": ("Confidence in its category", "number", "labels", "self_confidence"),
}
RERANKED = "reranked:"  # before the digest of a re-ranking for another validation set: core.actions.reranking
QUERY_PREFIX = "influence:"  # before the name of one query of the validation set
FROM_RECORDS = {
    "category": "Category",
    "language": "Language",
    "annotator": "Annotator",
}
DERIVED = {
    "cluster": ("Cluster", "category", "clusters"),
    "duplicate": ("Near-duplicate", "category", "duplicates"),
    "format": ("Format rules", "category", "formats"),
    "label": ("Label check", "category", "labels"),
    "heldout": ("Held out as validation", "category", "influence"),
    "ifd": ("IFD of 1 or more", "category", "difficulty"),
}
RATED_IN_FILE = "Difficulty rating"
LEVEL = "cluster:"  # before the level of groups broader or finer than the clusters
HEURISTICS = ("ifd_ppl", "ifd_loss", "nll", "perplexity")
DIFFICULTY = (
    "difficulty", "rated_difficulty", "llm_overall", "classifier", "llm_knowledge", "llm_reasoning", *HEURISTICS,
)  # fmt: skip
"""Difficulty sources in order of preference: ratings by people or a model, then the heuristics of the losses, which nobody rated."""


def from_results(workspace: Workspace) -> dict[str, tuple[str, str, str, str]]:
    """FROM_RESULTS and, where influence was asked by several queries, a column for each and their maximum."""
    found = current(workspace, "influence")
    queries = found.info.get("queries") if found else None
    if not queries:
        return FROM_RESULTS
    names = {"influence_max": "Influence: the largest over the queries"}
    names |= {QUERY_PREFIX + q: f"Influence on {q}" for q in queries}
    whole = {"influence": ("Influence: the mean over the queries", *FROM_RESULTS["influence"][1:])}
    return FROM_RESULTS | whole | {n: (title, "number", "influence", n) for n, title in names.items()}


def influence_sources(workspace: Workspace) -> list[tuple[str, str]]:
    """(name, title) of the influence columns that exist now; the mean over the queries first."""
    if current(workspace, "influence") is None:
        return []
    own = [(name, title) for name, (title, _, step, _) in from_results(workspace).items() if step == "influence"]
    return own + list(reranked(workspace).items())


def reranked(workspace: Workspace) -> dict[str, str]:
    """{name: title} of the approximate columns for other validation sets, where the sketches are there."""
    from core.actions import reranking

    specs = reranking.remembered(workspace)
    able = {role: reranking.sketches(workspace, role) is not None for role in reranking.SKETCH} if specs else {}
    return {
        name: f"Re-ranked for {spec['title']} (approximate)"
        for name, spec in specs.items()
        if able["training"] and able[spec["role"]]
    }


def available(workspace: Workspace, data: Dataset) -> dict[str, tuple[str, str]]:
    """{name: (title, kind)} of the columns that can be asked for now, without reading their values."""
    names = {name: (title, "category") for name, title in FROM_RECORDS.items() if has_values(data, name)}
    known = from_results(workspace)
    steps = {step for *_, step in DERIVED.values()} | {step for _, _, step, _ in known.values()}
    there = {step for step in steps if current(workspace, step)}  # asked once each: several columns share a step
    names |= {n: (t, kind) for n, (t, kind, step) in DERIVED.items() if step in there}
    names |= _levels(workspace)
    names |= {
        "prompt_words": ("Prompt length (words)", "number"),
        "response_words": ("Response length (words)", "number"),
    }
    if has_values(data, "difficulty"):
        names["difficulty"] = (RATED_IN_FILE, "number")
    names |= {n: (t, kind) for n, (t, kind, step, _) in known.items() if step in there}
    names |= {n: (title, "number") for n, title in reranked(workspace).items()}
    names["verdict"] = ("Audit verdict", "category")
    names |= {n: (n.removeprefix(FIELD_PREFIX), "category") for n in data.columns if n.startswith(FIELD_PREFIX)}
    return names


def _levels(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Columns of the groups that are broader or finer than the clusters, where there are any."""
    found = current(workspace, "clusters")
    known = found.info.get("levels", []) if found else []
    return {LEVEL + level["level"]: (f"Cluster: {level['title'].lower()}", "category") for level in known}


def has_values(data: Dataset, name: str) -> bool:
    """Whether any record has a value there; read from the Parquet footer, not from the rows."""
    import pyarrow.parquet as pq

    if name not in data.columns:
        return False
    meta = pq.read_metadata(data.path / "records.parquet")
    index = data.columns.index(name)
    for group in range(meta.num_row_groups):
        statistics = meta.row_group(group).column(index).statistics
        if (
            statistics is None
            or statistics.null_count is None
            or statistics.null_count < meta.row_group(group).num_rows
        ):
            return True
    return False


def column(workspace: Workspace, data: Dataset, name: str) -> Column:
    """One column by name. Errors: InputError when it does not exist (yet)."""
    title, kind = available(workspace, data).get(name, (None, None))
    if title is None:
        raise InputError(f"There is no column {name!r} to show yet. Run the step that makes it, or choose another.")
    if name.startswith(RERANKED):
        from core.actions import reranking

        found = reranking.rerank(workspace, reranking.remembered(workspace)[name])
        return Column(name, found.title, kind, found.values, found.sentence)
    known = from_results(workspace)
    if name in known:
        _, _, step, source = known[name]
        result = current(workspace, step)
        return Column(name, title, kind, _numbers(result.table([source]).column(0)), str(result.info.get("note", "")))
    if name == "difficulty":
        return Column(name, title, kind, _numbers(data.column(name)), "as rated in the file")
    if name in ("prompt_words", "response_words"):
        return Column(name, title, kind, words(data.column(name.removesuffix("_words"))))
    if name in DERIVED or name.startswith(LEVEL):
        return Column(name, title, kind, *_derived(workspace, data, name))
    if name == "verdict":
        given = verdict_by_record(open_reviews(workspace))
        said = np.full(data.count, "", dtype=object)
        rows = data.index.rows(given)
        said[rows[rows >= 0]] = np.array(list(given.values()), dtype=object)[rows >= 0]
        return Column(name, title, kind, said)
    return Column(name, title, kind, texts(data.column(name)))


def words(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) float64: runs of characters between white space. Languages written without spaces count by characters instead."""
    text = pc.fill_null(column, "")
    spaced = pc.list_value_length(pc.ascii_split_whitespace(pc.utf8_trim_whitespace(text)))
    counts = _numbers(spaced)
    length = _numbers(pc.utf8_length(text))
    dense = length > 12 * np.maximum(counts, 1)  # Chinese, Japanese, Thai: hardly a space in it
    counts[length == 0] = 0
    return np.where(dense, length, counts)


def texts(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) object: the texts of a column, "" for none; equal texts are one object, so a million of few kinds weigh little."""
    words = pc.fill_null(column.cast(pa.large_string()), "").combine_chunks().dictionary_encode()
    kinds = words.dictionary.to_numpy(zero_copy_only=False)
    return kinds[words.indices.to_numpy()] if len(kinds) else np.empty(0, dtype=object)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False).copy()


def _derived(workspace: Workspace, data: Dataset, name: str) -> tuple[np.ndarray, str]:
    if name == "cluster" or name.startswith(LEVEL):
        result, level = current(workspace, "clusters"), name.removeprefix(LEVEL)
        names = naming.names(workspace, result, level)
        labels = result.table([level]).column(0).to_numpy()
        return np.array(
            [names.get(int(c), "noise") for c in labels], dtype=object
        ), "Clusters by HDBSCAN; grey is noise, in none"
    result = current(workspace, DERIVED[name][2])
    if name == "duplicate":
        table = result.table(["group", "keeper"])
        group, keeper = table.column(0).to_numpy(), np.asarray(table.column(1).to_numpy(zero_copy_only=False), bool)
        return np.where(group < 0, "unique", np.where(keeper, "kept of a group", "near-duplicate")).astype(object), ""
    if name == "format":
        broken = data.index.mask(result.table(["record_id"]).column(0))
        return np.where(broken, "breaks a rule", "complies").astype(object), ""
    if name == "label":
        flagged = np.asarray(result.table(["flagged"]).column(0).to_numpy(zero_copy_only=False), bool)
        return np.where(flagged, "suspect", "as expected").astype(object), ""
    if name == "ifd":
        ratio = _numbers(result.table(["ifd_loss"]).column(0))
        flag = np.where(ratio >= 1, "1 or more: the prompt did not help", "below 1").astype(object)
        flag[~np.isfinite(ratio)] = ""
        return flag, "the ratio of losses; 1 in one form is 1 in the other"
    held = np.asarray(result.table(["heldout"]).column(0).to_numpy(zero_copy_only=False), bool)
    return np.where(held, "held out", "training").astype(object), ""


def difficulty_sources(workspace: Workspace, data: Dataset) -> list[tuple[str, str]]:
    """(name, title) of the difficulty columns that exist now, best first."""
    there = {step for step in {FROM_RESULTS[n][2] for n in DIFFICULTY if n in FROM_RESULTS} if current(workspace, step)}
    return [
        (name, _plain_title(name))
        for name in DIFFICULTY
        if (FROM_RESULTS[name][2] in there if name in FROM_RESULTS else has_values(data, name))
    ]


def _plain_title(name: str) -> str:
    return FROM_RESULTS[name][0] if name in FROM_RESULTS else RATED_IN_FILE if name == "difficulty" else name


def axis_title(name: str) -> str:
    """A difficulty column as axes, hovers and manifests call it: what no person or model rated is called a heuristic."""
    title = _plain_title(name)
    if name in HEURISTICS:
        return f"Heuristic: {title}"
    return f"{title}, as in the file" if name == "difficulty" else title
