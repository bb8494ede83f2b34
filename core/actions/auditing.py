"""Drawing an audit sample from the training set of a workspace, and repeating a draw from its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.actions.decisions import final_by_record, kept_ids, open_reviews, seen_now
from core.actions.frame import available, column
from core.actions.highstakes import high_stakes_ids
from core.actions.risks import risks
from core.errors import InputError, QuadrantError
from core.review.plan import Plan, fixed_plan
from core.review.rubric_store import use_rubric
from core.review.rubrics import rubric_named
from core.review.samples import Frame, Sample, add_sample, frame_of, sample_records, samples
from core.review.sampling import Draw, double_positions, draw_random, draw_stratified
from core.review.schema import Store
from core.review.subsets import subset_ids
from core.review.unequal import draw_unequal
from core.review.verdicts import current_verdicts
from core.workspace import Dataset, Workspace

METHODS = {
    "random": "Simple random: every record has the same chance",
    "stratified": "Stratified: every group gets its share",
    "risk": "Risk-based: riskier records are likelier, with known chances",
    "high-stakes": "Every high-stakes record",
    "follow-up": "Follow-up: more from the groups in which a record failed",
}
FOLLOW_BY = ("category", "cluster")
DOUBLE = 0.10
"""The share of a sample that a second reader reads too; the practice asks for 5 to 10 %."""


def draw_audit(
    workspace: Workspace,
    size: int = 50,
    seed: int = 7,
    stratify: bool = False,
    subset: str | None = None,
    ids: list[str] | None = None,
    name: str | None = None,
    by: str = "",
    plan: Plan | None = None,
    rubric: str | None = None,
    *,
    method: str = "random",
    group: str = "category",
    points: Mapping[str, float] | None = None,
    after: Sample | None = None,
    double: float = 0.0,
) -> tuple[Sample, list[str]]:
    """Draw and store a sample of the kept training records, of a named subset, or of `ids`; returns it with its record ids.

    The same seed over the same records draws the same sample. Fewer records than `size`: all of them, a census. plan: what will decide
    (`core.review.plan`), kept with the sample; the practice's share of `size` by default.
    rubric: the id of what is asked of each record, the default one when absent. method: one of METHODS; `stratify` is short for
    stratified. group: the column of strata, or what a follow-up goes by. points: of the risks (risks.py). after: the sample that
    is followed up. double: the share of the sample that a second reader reads too (`core.review.queues`), drawn by chance.
    """
    data = workspace.need("training")
    store = open_reviews(workspace)
    asked = rubric_named(workspace.path, rubric) if rubric else None
    if size < 1:
        raise InputError(f"A sample of {size} records shows nothing. Draw at least 1; the practice is 50.")
    method = "stratified" if stratify else method
    if method not in METHODS:
        raise InputError(f"There is no way to draw called {method!r}. Choose {', '.join(METHODS)}.")
    population = kept_ids(workspace, data)
    whole = len(population)
    if subset:
        ids = subset_ids(store, subset)
    if ids is not None:
        wanted = set(ids)
        population = [i for i in population if i in wanted]
    part = len(population) < whole
    of: dict[str, object] = {}
    if method == "high-stakes":
        high = high_stakes_ids(workspace, data, store)
        population = [i for i in population if i in high]
        size = max(1, len(population))
        if not population:
            raise InputError(
                "No record is high stakes. Choose columns and values that make one so, or mark records while reading."
            )
    if method == "follow-up":
        if after is None:
            raise InputError("A follow-up needs the sample that it follows. Name it.")
        population, of = _to_follow(workspace, data, store, after, group, population)
    if not population:
        raise InputError("There is no record to draw from: the selection is empty, or all of it was removed.")
    frame = Frame(
        sorted(population), _marks(workspace, data, method, group, points, population, of), _left_out(data, population)
    )
    draw = _draw(method, frame, size, seed, group)
    kept = (plan or fixed_plan(len(draw.record_ids))).recipe()
    second = {"share": double, "positions": double_positions(len(draw.record_ids), double, seed)} if double else None
    recipe = {
        **draw.recipe,
        "plan": kept,
        "how": method,
        "group": group if method in ("stratified", "follow-up") else None,
        **of,
    }
    recipe |= {"part": True} if part else {}  # of a selection: its share of failures is not that of the set
    draw = replace(draw, recipe=recipe | {"frame": frame.digest, "double": second})
    source = f" of {subset}" if subset else ""
    sample = add_sample(
        store, draw, name=name or f"{_called(method, len(draw.record_ids), seed, group, after)}{source}", role="training",
        dataset_digest=data.digest, by=by or "someone", digests=seen_now(data, draw.record_ids), frame=frame,
    )  # fmt: skip
    if asked:
        use_rubric(store, sample.id, asked, by or "someone")
    return sample, [r.record_id for r in sample_records(store, sample.id)]


def _called(method: str, size: int, seed: int, group: str, after: Sample | None) -> str:
    if method == "high-stakes":
        return f"High stakes: all {size}"
    if method == "follow-up" and after:
        return f"{size} by seed {seed}, follow-up by {group} of {after.name}"[:200]
    plain = {"stratified": ", stratified", "risk": ", risk-based"}
    return f"{size} by seed {seed}{plain.get(method, '')}{f' by {group}' if method == 'stratified' and group != 'category' else ''}"


def _draw(method: str, frame: Frame, size: int, seed: int, group: str) -> Draw:
    """The draw that a frame, a method, a size and a seed determine; nothing else has a say in it."""
    if method == "stratified":
        return draw_stratified(frame.ids, frame.marks, size, seed, by=group)
    if method == "risk":
        return draw_unequal(frame.ids, dict(zip(frame.ids, frame.marks, strict=True)), size, seed)
    return draw_random(frame.ids, size, seed)


def _marks(
    workspace: Workspace, data: Dataset, method: str, group: str, points: Mapping[str, float] | None,
    population: Sequence[str], of: dict[str, object],
) -> list | None:  # fmt: skip
    """The stratum or the weight of each record of the population, by ids sorted as text; says in `of` where they come from."""
    if method == "stratified":
        values = _groups(workspace, data, group)
        return [values[one] for one in sorted(population)]
    if method == "risk":
        found = risks(workspace, data, points)
        of["risks"] = found.recipe()
        weight = dict(zip(data.ids(), found.weights.tolist(), strict=True))
        return [weight[one] for one in sorted(population)]
    return None


def _groups(workspace: Workspace, data: Dataset, group: str) -> dict[str, str]:
    """record_id -> its group; InputError when there is no such column of words yet."""
    known = available(workspace, data)
    if known.get(group, ("", "number"))[1] != "category":
        names = [name for name, (_, kind) in known.items() if kind == "category"]
        raise InputError(f"There is no column {group!r} of groups here. There is {', '.join(names[:15])}.")
    return dict(zip(data.ids(), column(workspace, data, group).values.tolist(), strict=True))


def _to_follow(
    workspace: Workspace, data: Dataset, store: Store, after: Sample, group: str, population: Sequence[str]
) -> tuple[list[str], dict[str, object]]:
    """(records of the groups in which one of `after` failed, without those that anybody has read; how that came about)."""
    of = _groups(workspace, data, group)
    failed = [one for one, said in final_by_record(store, after).items() if said == "fail" and one in of]
    groups = sorted({of[one] for one in failed})
    if not groups:
        raise InputError(
            f"No record of {after.name!r} has failed, or none that is still in the data. There is nothing to follow up."
        )
    read = {entry.verdict.record_id for sample in samples(store) for entry in current_verdicts(store, sample.id)}
    found = [one for one in population if of[one] in groups and one not in read]
    if not found:
        raise InputError(
            f"Every record of {', '.join(groups[:5])} has been read already. There is nothing left to follow up."
        )
    excluded = sum(of[one] in groups for one in population) - len(found)
    return found, {"after": after.id, "groups": groups, "already_read": excluded}


def _left_out(data: Dataset, population: Sequence[str]) -> list[str]:
    return sorted(data.index.names.at(np.flatnonzero(~data.index.mask(population))))


@dataclass(frozen=True)
class Check:
    """Whether a sample comes out again from its record."""

    same: bool | None
    """None: it cannot be told."""
    told: str


def redraw(workspace: Workspace, sample: Sample) -> Check:
    """The draw of a sample repeated from its record alone, and compared: ids in reading order, chances, the double-review share."""
    store = open_reviews(workspace)
    data = next((one for one in workspace.versions(sample.role) if one.digest == sample.dataset_digest), None)
    if data is None:
        return Check(
            None, "The version of the data that it was drawn from is not kept any more, so the draw cannot be repeated."
        )
    recipe = sample.recipe
    try:
        frame = frame_of(store, sample.id, data.ids())
        if frame is None:
            return Check(
                None,
                "It was drawn before the records drawn from were kept with a sample, so the draw cannot be repeated.",
            )
        method = str(recipe.get("how", sample.method))
        again = _draw(
            method, frame, int(recipe["asked"]), int(sample.seed or 0), str(recipe.get("group") or "category")
        )
    except (QuadrantError, KeyError, TypeError, ValueError) as error:
        return Check(False, f"Its record does not describe a draw: {error}")
    records = sample_records(store, sample.id)
    double = recipe.get("double")
    differ = [
        what
        for what, equal in (
            ("the records drawn from", frame.digest == recipe.get("frame") and again.population == sample.population),
            ("the records, in reading order", list(again.record_ids) == [one.record_id for one in records]),
            ("their chances", _close(again.probabilities, [one.probability for one in records])),
            (
                "the double-review share",
                not double
                or double["positions"] == double_positions(len(records), double["share"], int(sample.seed or 0)),
            ),
        )  # fmt: skip
        if not equal
    ]
    if differ:
        return Check(False, f"Drawn again from its record it differs: {', '.join(differ)}.")
    return Check(
        True,
        f"Drawn again from its record: the same {len(records):,} records in the same order, with the same chances.",
    )


def _close(left: Sequence[float], right: Sequence[float]) -> bool:
    return len(left) == len(right) and all(abs(a - b) < 1e-12 for a, b in zip(left, right, strict=True))


def gold_sample(workspace: Workspace, by: str = "", number: int = 1) -> Sample:
    """The sample that holds every gold record, in shuffled order; drawn once for each version of the gold set and round."""
    data = workspace.need("gold")
    store = open_reviews(workspace)
    for known in samples(store):
        if known.role == "gold" and known.dataset_digest == data.digest and known.recipe.get("round", 1) == number:
            return known
    draw = draw_random(data.ids(), data.count, 6 + number)
    draw = replace(draw, recipe={**draw.recipe, "round": number})
    return add_sample(
        store, draw, name="Gold records" if number == 1 else f"Gold records, round {number}", role="gold",
        dataset_digest=data.digest, by=by or "someone", digests=seen_now(data, draw.record_ids),
    )  # fmt: skip
