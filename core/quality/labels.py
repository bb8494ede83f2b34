"""Labels that the rest of the set speaks against: confident learning on out-of-fold probabilities, and the nearest neighbours.

Northcutt, Jiang and Chuang, "Confident Learning" (JAIR 2021). Departures: the folds keep copies of one text together, so that a
record cannot vouch for its own copy; they depend on the texts and not on the order of the records. The
classifier reads the embedding and, beside it, the words of prompt and response.
"""

import numpy as np
import pyarrow as pa

from core.embedding.neighbours import has_vector
from core.errors import InputError, MissingInput
from core.progress import Progress, part
from core.quality.columns import Columns, slices
from core.quality.label_features import READ, Texts, folds_of, names_label, word_vectors
from core.quality.label_neighbours import neighbour_votes, shared_neighbours, votes
from core.quality.softmax import out_of_fold
from core.workspace import Dataset, Inputs, Output, Result

RELIABLE = 0.8
"""Agreement of classifier and given labels under which wrong labels cannot be told from what the classifier cannot see."""
DEFAULTS = {
    "column": "category",
    "folds": 5,
    "least": 5,
    "neighbours": 10,
    "inverse_penalty": 0.0,  # of the logistic regression; 0: chosen by out-of-fold log-loss
    "words": 100,
    "seed": 0,
}


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K,) the mean self-confidence of each label (eq. 2): over it, a record counts as that label with confidence."""
    own = probabilities[np.arange(len(labels)), labels]
    total = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    return total / np.maximum(np.bincount(labels, minlength=probabilities.shape[1]), 1)


def confident_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the most probable label among those whose threshold it reaches, -1 where none does (eq. 1)."""
    limit, found = thresholds(probabilities, labels), np.empty(len(labels), dtype=np.int64)
    for rows in slices(len(labels)):
        likely = probabilities[rows]
        over = likely >= limit - 1e-6  # a label all of whose records are equally sure must reach its own mean
        found[rows] = np.where(over.any(axis=1), np.where(over, likely, -1.0).argmax(axis=1), -1)
    return found


def confident_joint(given: np.ndarray, confident: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) counts of given label (row) against confident label (column)."""
    sure = confident >= 0
    return np.bincount(given[sure] * classes + confident[sure], minlength=classes * classes).reshape(classes, classes)


def calibrate(joint: np.ndarray, given_counts: np.ndarray | None = None) -> np.ndarray:
    """(K, K) the joint distribution of given and true label, summing to 1: rows scaled to the counts of the given labels (eq. 3).

    Without `given_counts` the rows' own sums are taken. A row that nothing was counted in goes to its diagonal.
    """
    joint = np.asarray(joint, dtype=np.float64)
    rows = joint.sum(axis=1, keepdims=True)
    counts = rows[:, 0] if given_counts is None else np.asarray(given_counts, dtype=np.float64)
    shares = np.where(rows > 0, joint / np.where(rows > 0, rows, 1), np.eye(len(joint)))
    scaled = shares * counts[:, None]
    return scaled / scaled.sum()


def run(inputs: Inputs) -> Output:
    """Step `labels`: for each record the given and the suggested category with the probability of each (`self_confidence` and
    `suggested_confidence`, 0..1; a low first one = doubtful), whether confident learning flags it, the share of its neighbours that
    have its label (`knn_agreement`) and the label that most of them have (`knn_label`). `confident`: the label that confident learning
    counts the record as, null where no label reaches its threshold; with it `counted_again` counts under other given labels.

    The array is the calibrated joint (K, K) of given and true label over `info["names"]`, summing to 1.

    Records without a category, without text, or of a category with fewer than `least` records are not judged: their
    columns are null, and the info says how many. With fewer than two categories left everything is undefined.
    """
    params = DEFAULTS | dict(inputs.params)
    dataset, embed = inputs.datasets["training"], inputs.results["embed"]
    column = params["column"]
    if column not in dataset.columns:
        raise InputError(f"The training data holds no column {column!r} with labels; choose one of its columns.")
    codes, values = _coded(dataset, column)
    if not values:
        raise MissingInput(
            f"No training record has a {column}. Map the column that holds the labels, or leave this step out."
        )
    vectors = embed.array()
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    has_text = has_vector(vectors)
    rows = np.flatnonzero(has_text & (codes >= 0) & (counts >= params["least"])[codes])
    names = sorted({values[code] for code in np.unique(codes[rows]).tolist()})
    small = sorted(value for value, n in zip(values, counts.tolist(), strict=True) if n < params["least"])
    unlabelled, few = int((codes < 0).sum()), int(counts[counts < params["least"]].sum())
    info = {
        "column": column,
        "records": dataset.count,
        "judged": len(rows),
        "categories": len(names),
        "small": small,
        "text": embed.params.get("text", "prompt"),
        "warnings": _warnings(dataset.count, unlabelled, small, few, has_text, column, params["least"]),
    }
    columns = {
        "self_confidence": np.full(dataset.count, np.nan, np.float32),
        "suggested_confidence": np.full(dataset.count, np.nan, np.float32),
        "knn_agreement": np.full(dataset.count, np.nan, np.float32),
    }
    joint, near = None, np.full(dataset.count, None, dtype=object)
    suggested, flagged = np.full(dataset.count, None, dtype=object), np.zeros(dataset.count, dtype=bool)
    sure = np.full(dataset.count, None, dtype=object)
    if len(names) < 2:
        info["undefined"] = (
            f"Label noise is undefined: {len(names)} of the categories has {params['least']} records or more."
        )
    else:
        index = {name: i for i, name in enumerate(names)}
        labels = np.array([index.get(value, -1) for value in values], dtype=np.int64)[codes[rows]]
        fold = folds_of(Texts(dataset, str(info["text"]), rows), labels, params["folds"], params["seed"])
        seen = Columns(((vectors, rows),))
        info["words"] = bool(params["words"]) and not _answers_name(dataset, rows, [names[n] for n in labels.tolist()])
        if info["words"]:
            inputs.progress(0, 1, "reading the words of prompts and answers")
            words = word_vectors(Texts(dataset, "both", rows), params["words"], params["seed"], inputs.scratch, READ)
            seen = Columns((*seen.parts, (words, None)))
            info["words_read"] = min(len(rows), READ)
        elif params["words"]:
            info["warnings"].append(
                "Most answers name the label itself, so the classifier does not read them: it would copy the wrong labels too."
            )
        model = out_of_fold(
            seen,
            labels,
            fold,
            params["inverse_penalty"] or None,
            part(inputs.progress, 0.1, 0.9),
            scratch=inputs.scratch,
        )
        probabilities = model.probabilities
        info |= {"inverse_penalty": model.inverse_penalty, "log_loss": model.log_loss, "searched": model.searched}
        info["warnings"] += _sampled(info, len(rows))
        confident = confident_labels(probabilities, labels)
        joint = calibrate(confident_joint(labels, confident, len(names)), np.bincount(labels, minlength=len(names)))
        columns["self_confidence"][rows] = probabilities[np.arange(len(rows)), labels]
        agreement, most = _neighbours(inputs, vectors, rows, labels, info, part(inputs.progress, 0.9, 1.0))
        columns["knn_agreement"][rows] = agreement
        named = np.array([*names, None], dtype=object)
        near[rows] = named[most]
        doubted = (confident >= 0) & (confident != labels)
        flagged[rows] = doubted
        sure[rows] = named[confident]  # -1 is the last of `named`: none
        # The most probable label may still be the given one where another is over its own threshold: that one is meant.
        likeliest = probabilities.argmax(axis=1)
        best = np.where(doubted, confident, likeliest)
        suggested[rows] = named[best]
        columns["suggested_confidence"][rows] = probabilities[np.arange(len(rows)), best]
        noise = 1 - float(np.trace(joint))
        agreement = float((likeliest == labels).mean())
        if agreement < RELIABLE:
            info["warnings"].append(
                f"The classifier agrees with {agreement:.0%} of the labels: the ranking helps, "
                "but the share of wrong labels cannot be estimated."
            )
        info |= {
            "flagged": int(flagged.sum()),
            "noise": noise,  # estimated share of wrong labels: mass off the diagonal of the calibrated joint
            "accuracy": 1 - noise,
            "agreement": agreement,  # of the classifier with the given labels, on records that it did not learn from
            "reliable": agreement >= RELIABLE,  # whether `noise` and `accuracy` mean anything
            "names": names,
            "confused": _confused(joint, names, len(rows)),
        }
    inputs.progress(1, 1, f"{info.get('flagged', 0):,} labels in doubt")
    table = pa.table(
        {
            "record_id": pa.array(dataset.ids(), pa.string()),
            "given": pa.array(np.array([*values, None], dtype=object)[codes], pa.string()),
            "suggested": pa.array(suggested, pa.string()),
            "self_confidence": pa.array(columns["self_confidence"], from_pandas=True),
            "suggested_confidence": pa.array(columns["suggested_confidence"], from_pandas=True),
            "flagged": flagged,
            "knn_agreement": pa.array(columns["knn_agreement"], from_pandas=True),
            "knn_label": pa.array(near, pa.string()),
            "confident": pa.array(sure, pa.string()),
        }
    )
    return Output(table=table, array=joint, info=info)


def counted_again(given: np.ndarray, confident: np.ndarray, classes: int) -> float:
    """The estimated share of right labels, 0..1, of records (N,) with these given labels and the step's confident ones (-1: none).

    The trace of the calibrated joint, as in `run`; the classifier and its thresholds stay those that learned from the imported labels.
    """
    joint = confident_joint(given, confident, classes)
    return float(np.trace(calibrate(joint, np.bincount(given, minlength=classes))))


def _confused(joint: np.ndarray, names: list[str], count: int, most: int = 200) -> list[dict]:
    """The pairs of categories that are confused, by estimated records: [{given, true, records}]."""
    off = joint * count * (1 - np.eye(len(names)))
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, off.shape), strict=True) if off[i, j] > 0]
    return [{"given": names[i], "true": names[j], "records": round(float(off[i, j]), 2)} for i, j in pairs]


def _coded(dataset: Dataset, column: str) -> tuple[np.ndarray, list[str]]:
    """((N,) number of each record's value, -1 for none; the values as text)."""
    coded = dataset.column(column).dictionary_encode().unify_dictionaries()
    values = [str(value) for value in (coded.chunk(0).dictionary.to_pylist() if coded.num_chunks else [])]
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in coded.chunks]
    return np.concatenate(codes).astype(np.int64) if codes else np.zeros(0, np.int64), values


def _answers_name(dataset: Dataset, rows: np.ndarray, labels: list[str], most: int = 2_000) -> bool:
    """As `names_label`, reading the answers that it looks at alone."""
    every = max(1, -(-len(rows) // most))
    answers = list(Texts(dataset, "response", rows[::every]))
    return names_label(labels[::every], answers, most)


def _neighbours(
    inputs: Inputs, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray, info: dict, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The votes of the nearest judged records: of the neighbours that the map has too, where that step has run."""
    k = int((DEFAULTS | dict(inputs.params))["neighbours"])
    shared: Result | None = inputs.results.get("neighbours")
    if shared is None:
        return neighbour_votes(vectors if len(rows) == len(vectors) else vectors[rows], labels, k, progress)
    if shared.info.get("method") != "exact":
        info["warnings"].append(
            f"The nearest records are found approximately: {shared.info['recall']:.1%} of them, measured on "
            f"{shared.info['recall_sample']:,} records."
        )
    return votes(shared_neighbours(shared.array(), vectors, rows, k, progress), labels)


def _sampled(info: dict, judged: int) -> list[str]:
    """What of the classifier was settled on a part of the records."""
    said = []
    if info.get("words") and info["words_read"] < judged:
        said.append(
            f"Which words the classifier reads was settled on {info['words_read']:,} of {judged:,} records, drawn by chance."
        )
    if 0 < info["searched"] < judged:
        said.append(
            f"How strictly it learns was chosen on {info['searched']:,} of {judged:,} records, drawn by chance; it learns from all."
        )
    return said


def _warnings(
    count: int, unlabelled: int, small: list[str], few: int, has_text: np.ndarray, column: str, least: int
) -> list[str]:
    said = []
    if unlabelled:
        said.append(f"{unlabelled:,} of {count:,} records have no {column} and are not judged.")
    if small:
        which = ", ".join(small[:5]) + (" …" if len(small) > 5 else "")
        categories = "category has" if len(small) == 1 else "categories have"
        said.append(f"{len(small)} {categories} fewer than {least} records ({which}): {few:,} records are not judged.")
    empty = int((~has_text).sum())
    if empty:
        said.append(f"{empty:,} records have no text to judge by.")
    return said
