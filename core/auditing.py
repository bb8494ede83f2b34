"""Drawing an audit sample from the training set of a workspace."""

from dataclasses import replace

from core.decisions import kept_ids, open_reviews, seen_now
from core.errors import InputError
from core.review.plan import Plan, fixed_plan
from core.review.rubric_store import use_rubric
from core.review.rubrics import rubric_named
from core.review.samples import Sample, add_sample, sample_records, samples
from core.review.sampling import draw_random, draw_stratified
from core.review.subsets import subset_ids
from core.workspace import Workspace


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
) -> tuple[Sample, list[str]]:
    """Draw and store a sample of the kept training records, of a named subset, or of `ids`; returns it with its record ids.

    The same seed over the same records draws the same sample. Fewer records than `size`: all of them, a census. plan: what will decide
    (`core.review.plan`), kept with the sample; the practice's share of `size` by default.
    rubric: the id of what is asked of each record, the default one when absent.
    """
    data = workspace.need("training")
    store = open_reviews(workspace)
    asked = rubric_named(workspace.path, rubric) if rubric else None
    if size < 1:
        raise InputError(f"A sample of {size} records shows nothing. Draw at least 1; the practice is 50.")
    population = kept_ids(workspace, data)
    if subset:
        ids = subset_ids(store, subset)
    if ids is not None:
        wanted = set(ids)
        population = [i for i in population if i in wanted]
    if not population:
        raise InputError("There is no record to draw from: the selection is empty, or all of it was removed.")
    if stratify:
        category = dict(zip(data.ids(), data.column("category").to_pylist(), strict=True))
        draw = draw_stratified(population, [category[i] for i in population], size, seed)
    else:
        draw = draw_random(population, size, seed)
    kept = (plan or fixed_plan(len(draw.record_ids))).recipe()
    draw = replace(draw, recipe={**draw.recipe, "plan": kept})
    source = f" of {subset}" if subset else ""
    sample = add_sample(
        store, draw, name=name or f"{len(draw.record_ids)} by seed {seed}{', stratified' if stratify else ''}{source}",
        role="training", dataset_digest=data.digest, by=by or "someone", digests=seen_now(data, draw.record_ids),
    )  # fmt: skip
    if asked:
        use_rubric(store, sample.id, asked, by or "someone")
    return sample, [r.record_id for r in sample_records(store, sample.id)]


def gold_sample(workspace: Workspace, by: str = "") -> Sample:
    """The sample that holds every gold record, in shuffled order; drawn once for each version of the gold set."""
    data = workspace.need("gold")
    store = open_reviews(workspace)
    for known in samples(store):
        if known.role == "gold" and known.dataset_digest == data.digest:
            return known
    draw = draw_random(data.ids(), data.count, 7)
    return add_sample(
        store, draw, name="Gold records", role="gold", dataset_digest=data.digest, by=by or "someone",
        digests=seen_now(data, draw.record_ids),
    )  # fmt: skip
