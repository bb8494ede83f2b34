"""Relabelling by rule, and a queue of doubtful labels for the reviewer: what the step `labels` found, put to use.

A rule says: records labelled A for which the classifier suggests B with at least this probability are called B from now on. It is
previewed with its count, applied as one entry of the ledger, undone there, and obeyed where it is stated: by the Labels and the
Distribution page, and by an export that asks for corrections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.actions.decisions import open_reviews, seen_now, verdict_by_record
from core.errors import InputError, MissingInput
from core.review.ledger import Entry, removed_ids
from core.review.relabels import Change, relabel, relabelled
from core.review.samples import Sample, add_sample
from core.review.sampling import Draw
from core.steps import current, params_of
from core.workspace import Dataset, Workspace

QUEUE = "queue"
"""`how` of a sample that was chosen and not drawn: it says nothing of the set, and the scorecard leaves it out."""


@dataclass(frozen=True)
class Rule:
    """Which labels change: of `given` (None: any) into `suggested` (None: whatever is suggested), from this probability on."""

    given: str | None = None
    suggested: str | None = None
    confidence: float = 0.9
    neighbours: bool = False  # only where most of the nearest records have the suggested label too
    read: bool = False  # also records that passed an audit

    def facts(self) -> dict[str, Any]:
        return {
            "given": self.given, "suggested": self.suggested, "confidence": self.confidence, "neighbours": self.neighbours,
            "read": self.read,
        }  # fmt: skip

    @property
    def sentence(self) -> str:
        given, suggested = self.given or "any label", self.suggested or "the suggested label"
        near = ", and most neighbours agree" if self.neighbours else ""
        return f"Given {given}, suggested {suggested}, probability {self.confidence:g} or more{near}"


@dataclass(frozen=True)
class Preview:
    """What a rule would do; nothing is written yet."""

    rule: Rule
    column: str
    changes: tuple[tuple[str, str, str], ...]  # (record_id, imported label, new label), the surest first
    confidence: tuple[float, ...]  # of the new label, aligned
    passed: int  # left out: they passed an audit
    already: int  # left out: an earlier entry gives them this label
    answers: int  # of the changes, records whose response is the old label itself: an export replaces it too
    named: (
        int  # and records whose response names the old label among other words: it stays, and contradicts the new label
    )

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """(imported label, new label, records), the most frequent first."""
        count: dict[tuple[str, str], int] = {}
        for _, before, after in self.changes:
            count[before, after] = count.get((before, after), 0) + 1
        return [(*pair, n) for pair, n in sorted(count.items(), key=lambda item: (-item[1], item[0]))]


def changes_in_force(workspace: Workspace, column: str | None = None) -> dict[str, Change]:
    """record_id -> the label that stands in place of the imported one, on the column whose labels are judged."""
    return relabelled(open_reviews(workspace), column or str(params_of(workspace, "labels")["column"]))


def relabelled_column(values: pa.ChunkedArray, ids: Sequence[str], changes: Mapping[str, Change]) -> pa.ChunkedArray:
    """A column of labels as it stands now: each change whose imported label is still the one that it was made from."""
    if not changes:
        return values
    at = pc.index_in(pa.array(list(changes), pa.string()), pa.array(ids, pa.string())).to_pylist()
    found = values.to_pylist()
    for place, change in zip(at, changes.values(), strict=True):
        if place is not None and str(found[place]) == change.before:
            found[place] = change.after
    return pa.chunked_array([pa.array(found, pa.string())])


def preview(workspace: Workspace, rule: Rule) -> Preview:
    """The records a rule would relabel, never one that the ledger removed, nor (unless asked) one that passed an audit.

    Errors: a probability outside 0..1, a label that is suggested for itself, no result of the step `labels`.
    """
    if not 0 <= rule.confidence <= 1:
        raise InputError(f"A probability of {rule.confidence:g} does not exist; give one from 0 to 1.")
    if rule.given is not None and rule.given == rule.suggested:
        raise InputError(f"The rule turns {rule.given!r} into itself. Name another label.")
    result = current(workspace, "labels")
    if result is None:
        raise MissingInput("Doubtful labels are not computed for this data. Run the step `labels` first.")
    if "undefined" in result.info:
        raise InputError(result.info["undefined"])
    data, store = workspace.need(), open_reviews(workspace)
    column = str(result.info["column"])
    table = result.table(["record_id", "given", "suggested", "suggested_confidence", "knn_label"])
    for wanted in (rule.given, rule.suggested):
        if wanted is not None and wanted not in result.info["names"]:
            raise InputError(
                f"No judged record has the {column} {wanted!r}. Choose one of the labels that were judged."
            )
    keep = pc.and_(
        pc.not_equal(table["given"], table["suggested"]),
        pc.greater_equal(table["suggested_confidence"], rule.confidence),
    )
    for name, wanted in (("given", rule.given), ("suggested", rule.suggested)):
        if wanted is not None:
            keep = pc.and_(keep, pc.equal(table[name], wanted))
    if rule.neighbours:
        keep = pc.and_(keep, pc.equal(table["knn_label"], table["suggested"]))
    found = table.filter(pc.fill_null(keep, False))
    order = np.argsort(-np.asarray(found["suggested_confidence"].to_numpy(), dtype=float), kind="stable")
    rows = found.take(pa.array(order)).to_pylist()
    removed, said, now = removed_ids(store), verdict_by_record(store), relabelled(store, column)
    changes, sure, passed, already = [], [], 0, 0
    for row in rows:
        record_id = row["record_id"]
        if record_id in removed:
            continue
        standing = now.get(record_id)
        if standing is not None and (standing.before, standing.after) == (row["given"], row["suggested"]):
            already += 1
        elif said.get(record_id) == "pass" and not rule.read:
            passed += 1
        else:
            changes.append((record_id, row["given"], row["suggested"]))
            sure.append(float(row["suggested_confidence"]))
    answers, named = _answers(data, changes)
    return Preview(rule, column, tuple(changes), tuple(sure), passed, already, answers, named)


def _answers(data: Dataset, changes: Sequence[tuple[str, str, str]]) -> tuple[int, int]:
    """(records whose response is their label, records whose response names it among other words)."""
    if not changes:
        return 0, 0
    at = pc.index_in(
        pa.array([one for one, _, _ in changes]), data.column("record_id").combine_chunks().cast(pa.string())
    )
    texts = data.column("response").take(at).to_pylist()
    same = named = 0
    for text, (_, before, _) in zip(texts, changes, strict=True):
        text = (text or "").strip()
        same += text == before
        named += text != before and before in text
    return same, named


def apply_rule(workspace: Workspace, seen: Preview, by: str, token: str | None = None, reason: str = "") -> Entry:
    """The entry of the ledger that relabels what a preview showed. The same `token` (of one click) again changes nothing."""
    if not seen.changes:
        raise InputError("The rule changes no label. Lower the probability, or choose another pair.")
    facts = seen.rule.facts() | {"column": seen.column}
    return relabel(
        open_reviews(workspace), seen.changes, field=seen.column, rule=facts,
        reason=reason or seen.rule.sentence, by=by, token=token,
    )  # fmt: skip


def relabel_one(workspace: Workspace, record_id: str, label: str, by: str, token: str | None = None) -> Entry:
    """The entry of the ledger that gives one record another label on the judged column. Errors: an unknown record, its own label."""
    data, column = workspace.need(), str(params_of(workspace, "labels")["column"])
    at = data.index.get(record_id)
    if at is None:
        raise InputError(f"There is no record {record_id!r} in the training data that is open.")
    before = data.column(column)[at].as_py() if column in data.columns else None
    if before is None or str(before) == label:
        raise InputError(f"The {column} of {record_id} is {before!r} already, or not given; name another label.")
    return relabel(
        open_reviews(workspace), [(record_id, str(before), label)], field=column, rule={"record": record_id},
        reason=f"Read: {before} is rather {label}"[:200], by=by, token=token,
    )  # fmt: skip


def label_fixes(data: Dataset, changes: Mapping[str, Change], ids: Sequence[str]) -> dict[str, str]:
    """record_id -> response to write where the imported response is the old label itself (spaces around it stay)."""
    wanted = [one for one in ids if one in changes]
    if not wanted:
        return {}
    at = pc.index_in(pa.array(wanted), data.column("record_id").combine_chunks().cast(pa.string()))
    fixed = {}
    for record_id, text in zip(wanted, data.column("response").take(at).to_pylist(), strict=True):
        change = changes[record_id]
        if text and text.strip() == change.before:
            fixed[record_id] = text.replace(change.before, change.after, 1)
    return fixed


def queue(workspace: Workspace, ids: Sequence[str], name: str, by: str, most: int = 200) -> Sample:
    """A sample for the reviewer that holds these records in this order, at most `most` of them: chosen, not drawn.

    Its population is itself, so its share of failures is that of the queue and never an estimate for the set.
    """
    known, gone = set(workspace.need().ids()), removed_ids(open_reviews(workspace))
    some = [one for one in dict.fromkeys(ids) if one in known and one not in gone][:most]
    if not some:
        raise InputError("There is no record to read: the queue is empty, or all of it was removed.")
    data = workspace.need()
    recipe = {"how": QUEUE, "order": "the most doubtful first", "of": len(ids), "most": most}
    draw = Draw(some, [1.0] * len(some), "census", None, len(some), recipe=recipe)
    return add_sample(
        open_reviews(workspace), draw, name=name[:200], role="training", dataset_digest=data.digest, by=by or "someone",
        digests=seen_now(data, some),
    )  # fmt: skip
