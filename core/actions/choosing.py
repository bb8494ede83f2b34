"""From a workspace to a selection of records: what strategies rank by, the pick itself, and orders that took long to find."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.actions.decisions import open_reviews
from core.actions.frame import axis_title, column, difficulty_sources
from core.actions.picks import Reach, coverage_by_chance, describe, reach
from core.embedding.products import single
from core.errors import MissingInput
from core.influence.selection.strategies import STRATEGIES, Frame, Selection, heavy, parse_budget, select
from core.review.ledger import removed_ids
from core.steps import current
from core.workspace import Dataset, Output, Result, Workspace, digest_of

ORDER_VERSION = 1  # raise it when a heavy strategy would pick otherwise


def selection_frame(
    workspace: Workspace, data: Dataset, difficulty: str | None = None, influence: str = "influence"
) -> Frame:
    """Everything that is known now and that a strategy may rank by, over the records that can be picked.

    Those are the records that the ledger keeps, without those held out as validation: the target itself is no training record.
    `difficulty` names the source (DIFFICULTY of frame.py); the best one there is by default. `influence` names its column: the
    mean over the queries, their maximum or a single one (see core.actions.frame.influence_sources).
    """
    ids = data.ids()
    able = ~data.index.mask(removed_ids(open_reviews(workspace)))
    sources = [name for name, _ in difficulty_sources(workspace, data)]
    source = difficulty or (sources[0] if sources else None)
    found, embed, valid = (current(workspace, s) for s in ("influence", "embed", "embed:validation"))
    scores = None
    if found is not None:
        scores = column(workspace, data, influence).values
        able &= ~np.asarray(found.table(["heldout"]).column(0).to_numpy(zero_copy_only=False), bool)
    clusters, near = current(workspace, "clusters"), current(workspace, "neighbours")
    whole = Frame(
        ids,
        influence=scores,
        difficulty=column(workspace, data, source).values if source else None,
        length=column(workspace, data, "response_words").values,
        embeddings=single(embed.array()) if embed else None,
        validation_embeddings=single(valid.array()) if valid else None,
        category=data.column("category").to_pylist(),
        cluster=clusters.table(["cluster"]).column(0).to_numpy().astype(np.int64) if clusters else None,
        uncovered_embeddings=uncovered(workspace),
        production_shares=production_shares(workspace),
        neighbours=(near.array(), np.load(near.file("similarity.npy"), mmap_mode="r", allow_pickle=False))
        if near
        else None,
    )
    return whole if able.all() else restricted(whole, np.flatnonzero(able))


def uncovered(workspace: Workspace) -> np.ndarray | None:
    """(U, d) unit rows of the production records that training does not cover (step `coverage`); None when that is not known."""
    coverage, embed = current(workspace, "coverage"), current(workspace, "embed:production")
    if coverage is None or embed is None:
        return None
    covered = np.asarray(coverage.table(["covered"]).column(0).to_numpy(zero_copy_only=False), bool)
    vectors = single(embed.array()[np.flatnonzero(~covered)])
    return vectors[vectors.any(1)]


def production_shares(workspace: Workspace) -> dict[str, float] | None:
    """{category: share} of production, given or counted; None when neither says anything of categories."""
    given = workspace.shares()
    if given:
        return given
    sample = workspace.dataset("production")
    if sample is None:
        return None
    counts = pc.value_counts(pc.fill_null(sample.column("category").cast(pa.large_string()), "")).to_pylist()
    total = sum(c["counts"] for c in counts)
    if not total or all(c["values"] == "" for c in counts):
        return None
    return {c["values"]: c["counts"] / total for c in counts}


def restricted(frame: Frame, rows: np.ndarray) -> Frame:
    """The same columns over some of the rows."""

    def take(values):
        return None if values is None else values[rows]

    return replace(
        frame,
        ids=[frame.ids[r] for r in rows],
        influence=take(frame.influence),
        difficulty=take(frame.difficulty),
        length=take(frame.length),
        embeddings=take(frame.embeddings),
        category=[frame.category[r] for r in rows] if frame.category is not None else None,
        cluster=take(frame.cluster),
        neighbours=_among(*frame.neighbours, rows) if frame.neighbours is not None else None,
    )


def _among(indices: np.ndarray, similarity: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of the chosen rows, numbered among them; those that were not chosen are -1."""
    back = np.full(len(indices), -1, np.int64)
    back[rows] = np.arange(len(rows))
    own = indices[rows]
    return np.where(own >= 0, back[own], -1), similarity[rows]


def pick(
    workspace: Workspace,
    strategy: str,
    budget: str | int,
    seed: int = 0,
    difficulty: str | None = None,
    frame: Frame | None = None,
    compute: bool = True,
    influence: str = "influence",
    **params,
) -> Selection:
    """Pick a budget of the training records. Errors: InputError (strategy, budget), MissingInput (a score not computed yet).

    `frame`: what `selection_frame` gave for this difficulty, when the caller has it already. A strategy that takes long keeps its
    order in the workspace; with `compute` False it is a MissingInput until it was computed.
    """
    data = workspace.need("training")
    frame = frame or selection_frame(workspace, data, difficulty, influence)
    needs = STRATEGIES[strategy].needs if strategy in STRATEGIES else ()
    if "influence" in needs and frame.influence is None:
        raise MissingInput(f"Strategy {strategy} needs influence. Run `influence` first.")
    if "difficulty" in needs and frame.difficulty is None:
        raise MissingInput(f"Strategy {strategy} needs difficulty. Map a rating column, or run `difficulty` first.")
    size = parse_budget(budget, len(frame.ids))
    if strategy in STRATEGIES and heavy(strategy, frame, size):
        found = _stored(workspace, strategy, frame, size, seed, params, compute)
    else:
        found = select(strategy, frame, budget, seed, **params)
    source = difficulty or next((name for name, _ in difficulty_sources(workspace, data)), None)
    which = {} if influence == "influence" else {"influence": influence}
    # The title says "Heuristic" where nobody rated, so a subset and its export manifest say so too.
    which["difficulty_axis"] = axis_title(source) if source else None
    return replace(found, params={**found.params, "difficulty": source, **which})


def production_reach(workspace: Workspace, frame: Frame) -> Reach | None:
    """Which records of the frame reach which production texts; None without embedded production."""
    embed = current(workspace, "embed:production")
    if embed is None or frame.embeddings is None:
        return None
    vectors = single(embed.array())
    if vectors.shape[1] != frame.embeddings.shape[1]:
        return None
    return reach(frame.embeddings, vectors, embed.table(["text_key"]).column(0).to_pylist())


def described(workspace: Workspace, frame: Frame, found: Selection) -> list[str]:
    """What the pick looks like, a sentence each: its categories and coverage against production and chance."""
    reached = production_reach(workspace, frame)
    told = describe(
        found,
        [c or "" for c in frame.category or [""] * len(frame.ids)],
        frame.embeddings,
        frame.production_shares,
        reached,
    )
    lines = []
    if told["kl"] is not None:
        lines.append(
            f"Category mix: {told['categories']} categories, KL {told['kl']:.3f} nats from production, "
            f"{told['off_production']:.0%} of it off."
        )
    if reached is not None:
        expected, low, high = coverage_by_chance(reached, len(found.rows))
        lines.append(
            f"Covers {told['coverage']:.1%} of production; random picks of this size {expected:.1%} "
            f"({low:.1%} to {high:.1%} in 95 of 100)."
        )
    if told["vendi"] is not None:
        lines.append(f"Diversity: as many as {told['vendi']:.1f} wholly different records (Vendi score).")
    return lines


def _stored(
    workspace: Workspace, strategy: str, frame: Frame, size: int, seed: int, params: Mapping, compute: bool
) -> Selection:
    """A pick that takes long: read from the order kept under its inputs, which also serves every smaller budget."""
    embed = current(workspace, "embed")
    goals = [
        digest_of(np.ascontiguousarray(v).tobytes().hex()) if v is not None else ""
        for v in (frame.validation_embeddings, frame.uncovered_embeddings)
    ]
    inputs = {
        "strategy": strategy, "records": digest_of(*frame.ids), "embed": embed.key if embed else "", "targets": goals,
        "seed": seed, "params": dict(params),
    }  # fmt: skip
    step = f"order:{strategy.replace(' ', '-')}"
    known = [
        r for r in workspace.results(step) if r.manifest["inputs"] == inputs and r.manifest["version"] == ORDER_VERSION
    ]
    found = next((r for r in known if r.info["budget"] >= size), None)
    if found is None:
        if not compute:
            raise MissingInput(
                f"{STRATEGIES[strategy].title} over {len(frame.ids):,} records takes a job of its own and was not computed yet."
            )
        found = _compute(workspace, step, strategy, frame, size, seed, params, inputs)
    rows = np.asarray(found.array()[:size], np.int64)
    complete = {**STRATEGIES[strategy].params, **params, "seed": seed, "budget": size}
    note = "" if found.info["budget"] == size else f"The first {size:,} of a kept order of {found.info['budget']:,}. "
    notes = tuple([note + found.info["notes"][0], *found.info["notes"][1:]])
    return Selection(tuple(frame.ids[r] for r in rows), strategy, complete, notes, rows)


def _compute(
    workspace: Workspace, step: str, strategy: str, frame: Frame, size: int, seed: int, params: Mapping, inputs: dict
) -> Result:
    chosen = select(strategy, frame, size, seed, **params)
    recipe = {"version": ORDER_VERSION, "params": {"budget": size, **params}, "inputs": inputs}
    key = digest_of(step, str(recipe))
    output = Output(array=np.asarray(chosen.rows, np.int64), info={"budget": size, "notes": list(chosen.notes)})
    return workspace.compute(step, key, recipe, lambda _: output, {}, {})
