"""Labels that the rest of the set speaks against: confident learning on out-of-fold probabilities, and the nearest neighbours.

Northcutt, Jiang and Chuang, "Confident Learning" (JAIR 2021). Departures: the folds keep copies of one text together, so that a
record cannot vouch for its own copy; they depend on the texts and not on the order of the records. The
classifier reads the embedding and, beside it, the words of prompt and response.
"""

import hashlib
import re
from collections import Counter

import numpy as np
import pyarrow as pa

from core.embedding.neighbours import knn
from core.errors import InputError, MissingInput
from core.progress import Progress, part, silent
from core.quality.duplicates import canonical_text, embedded_text
from core.quality.softmax import out_of_fold
from core.workspace import Inputs, Output

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


def folds_of(texts: list[str], labels: np.ndarray, folds: int = 5, seed: int = 0) -> np.ndarray:
    """(N,) fold of each record, stratified by label; equal canonical texts share one. Independent of the order of the records."""
    key = [
        hashlib.blake2b(f"{seed}\0{canonical_text(text)}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in texts
    ]
    label_of: dict[bytes, int] = {}
    for k, label in zip(key, labels.tolist(), strict=True):
        label_of[k] = min(label, label_of.get(k, label))
    fold_of: dict[bytes, int] = {}
    for rank, (_, k) in enumerate(sorted((label, k) for k, label in label_of.items())):
        fold_of[k] = rank % folds  # consecutive texts of one label go round the folds
    return np.array([fold_of[k] for k in key], dtype=np.int64)


def word_vectors(texts: list[str], width: int = 100, seed: int = 0) -> np.ndarray:
    """(N, <= width) float32 unit rows of the words of texts: TF-IDF of the 20,000 most frequent, then SVD; no label is used.

    Beside an embedding of the prompt it lets the classifier see the answer, and words that the embedding blurs.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        counts = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=20_000, dtype=np.float32).fit_transform(
            texts
        )
    except ValueError:  # no word occurs twice
        return np.zeros((len(texts), 0), dtype=np.float32)
    width = min(width, counts.shape[1] - 1, len(texts) - 1)
    if width < 1:
        return np.zeros((len(texts), 0), dtype=np.float32)
    rows = TruncatedSVD(width, random_state=seed).fit_transform(counts).astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-9)


def names_label(labels: list[str], answers: list[str | None], most: int = 2_000) -> bool:
    """Whether more than half of the answers hold their own label as a word, as in a set made for classification.

    Of more than `most` records, every n-th is looked at.
    """
    step = -(-len(labels) // most)
    some = list(zip(labels, answers, strict=True))[:: max(step, 1)]
    named = sum(
        re.search(rf"(?<!\w){re.escape(canonical_text(label))}(?!\w)", canonical_text(answer or "")) is not None
        for label, answer in some
    )
    return named > len(some) / 2


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K,) the mean self-confidence of each label (eq. 2): over it, a record counts as that label with confidence."""
    own = probabilities[np.arange(len(labels)), labels]
    total = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    return total / np.maximum(np.bincount(labels, minlength=probabilities.shape[1]), 1)


def confident_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the most probable label among those whose threshold it reaches, -1 where none does (eq. 1)."""
    limit = thresholds(probabilities, labels)
    over = probabilities >= limit - 1e-6  # a label all of whose records are equally sure must reach its own mean
    best = np.where(over, probabilities, -1.0).argmax(axis=1)
    return np.where(over.any(axis=1), best, -1)


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


def neighbour_votes(
    vectors: np.ndarray, labels: np.ndarray, k: int = 10, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """((N,) float32 share of the k most similar other records with the same label, 0..1; (N,) int64 the label most of them have).

    Unit rows (N, d); the neighbours are exact. Of labels with equally many votes that of the nearer neighbour wins. nan and -1 when
    there is no other record.
    """
    count = len(labels)
    found, _ = knn(vectors, k, progress)
    if found.shape[1] < 1:
        return np.full(count, np.nan, dtype=np.float32), np.full(count, -1, dtype=np.int64)
    agreement, most = np.full(count, np.nan, dtype=np.float32), np.full(count, -1, dtype=np.int64)
    for start in range(0, count, 65_536):
        rows = slice(start, min(start + 65_536, count))
        known = found[rows, 0] >= 0
        near = labels[found[rows]]
        agreement[rows] = np.where(known, (near == labels[rows, None]).mean(axis=1), np.nan)
        votes = (near[:, :, None] == near[:, None, :]).sum(axis=2)  # of each neighbour's label among the k
        most[rows] = np.where(known, near[np.arange(len(near)), votes.argmax(axis=1)], -1)
    return agreement, most


def neighbour_agreement(vectors: np.ndarray, labels: np.ndarray, k: int = 10) -> np.ndarray:
    """(N,) float32 share of the k most similar other records with the same label, 0..1; unit rows (N, d). nan when alone."""
    return neighbour_votes(vectors, labels, k)[0]


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
    given = dataset.column(column).to_pylist()
    if all(value is None for value in given):
        raise MissingInput(
            f"No training record has a {column}. Map the column that holds the labels, or leave this step out."
        )
    vectors = embed.array()
    size = Counter(given)
    small = sorted(str(name) for name, n in size.items() if name is not None and n < params["least"])
    has_text = np.linalg.norm(vectors, axis=1) > 0
    judged = np.array([v is not None and size[v] >= params["least"] for v in given]) & has_text
    rows = np.flatnonzero(judged)
    names = sorted({str(given[row]) for row in rows})
    info = {
        "column": column,
        "records": dataset.count,
        "judged": len(rows),
        "categories": len(names),
        "small": small,
        "text": embed.params.get("text", "prompt"),
        "warnings": _warnings(dataset.count, given, size, small, has_text, column, params["least"]),
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
        labels = np.array([index[str(given[row])] for row in rows], dtype=np.int64)
        texts = embedded_text(dataset, str(info["text"]))
        fold = folds_of([texts[row] for row in rows], labels, params["folds"], params["seed"])
        some = np.asarray(vectors[rows], dtype=np.float32)
        seen = some
        answers = dataset.column("response").to_pylist()
        if params["words"] and names_label([str(given[row]) for row in rows], [answers[row] for row in rows]):
            info["words"] = False
            info["warnings"].append(
                "Most answers name the label itself, so the classifier does not read them: it would copy the wrong labels too."
            )
        elif params["words"]:
            info["words"] = True
            inputs.progress(0, 1, "reading the words of prompts and answers")
            both = embedded_text(dataset, "both")
            seen = np.concatenate(
                [some, word_vectors([both[row] for row in rows], params["words"], params["seed"])], axis=1
            )
        model = out_of_fold(seen, labels, fold, params["inverse_penalty"] or None, part(inputs.progress, 0.1, 0.9))
        probabilities = model.probabilities
        info |= {"inverse_penalty": model.inverse_penalty, "log_loss": model.log_loss}
        confident = confident_labels(probabilities, labels)
        joint = calibrate(confident_joint(labels, confident, len(names)), np.bincount(labels, minlength=len(names)))
        columns["self_confidence"][rows] = probabilities[np.arange(len(rows)), labels]
        agreement, most = neighbour_votes(some, labels, params["neighbours"], part(inputs.progress, 0.9, 1.0))
        columns["knn_agreement"][rows] = agreement
        named = np.array([*names, None], dtype=object)
        near[rows] = named[most]
        doubted = (confident >= 0) & (confident != labels)
        flagged[rows] = doubted
        sure[rows] = named[confident]  # -1 is the last of `named`: none
        # The most probable label may still be the given one where another is over its own threshold: that one is meant.
        best = np.where(doubted, confident, probabilities.argmax(axis=1))
        suggested[rows] = named[best]
        columns["suggested_confidence"][rows] = probabilities[np.arange(len(rows)), best]
        noise = 1 - float(np.trace(joint))
        agreement = float((probabilities.argmax(axis=1) == labels).mean())
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
            "given": pa.array([None if v is None else str(v) for v in given], pa.string()),
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


def _warnings(
    count: int, given: list, size: Counter, small: list[str], has_text: np.ndarray, column: str, least: int
) -> list[str]:
    said = []
    if size[None]:
        said.append(f"{size[None]:,} of {count:,} records have no {column} and are not judged.")
    if small:
        records = sum(n for name, n in size.items() if name is not None and n < least)
        which = ", ".join(small[:5]) + (" …" if len(small) > 5 else "")
        few = "category has" if len(small) == 1 else "categories have"
        said.append(f"{len(small)} {few} fewer than {least} records ({which}): {records:,} records are not judged.")
    empty = int((~has_text).sum())
    if empty:
        said.append(f"{empty:,} records have no text to judge by.")
    return said
