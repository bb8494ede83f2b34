"""Does it help here? Train on equal budgets by strategy and seed, and compare the loss on the validation set.

Every training is stored under what it depends on (learner, records, seed, steps), so a run that was broken off goes on where it
stopped, two strategies that pick the same records train once, and a changed question trains only what is new.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.actions.choosing import pick, restricted, selection_frame
from core.embedding.products import single
from core.errors import InputError, MissingInput, QuadrantError
from core.influence import holdout
from core.influence.proof.learners import Learner, steps_for
from core.influence.proof.proof import (
    ANY,
    Marginal,
    Point,
    Run,
    Settings,
    marginal_runs,
    marginals,
    points,
    settings_from,
    verdicts,
)  # fmt: skip
from core.influence.selection.strategies import STRATEGIES, Frame, able
from core.progress import Progress, silent
from core.steps import current
from core.workspace import Dataset, Workspace, digest_of, now, write_atomically

SUITED = ("random", "diq", "diq quotas", "influence", "similarity")
"""Compared by default, where able; one of the others can be asked for."""
STEPS = {"head": 60, "proxy": 150}
OTHER_STEPS = 200  # of a model that the user names


@dataclass(frozen=True)
class Question:
    """All that a proof needs, gathered: nothing of it has been trained yet."""

    settings: Settings
    learner: Learner
    runs: tuple[tuple[Run, int, str], ...]  # (run, optimiser steps, key)
    pool: int  # records that could be picked
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A proof as far as it has come, for a screen; read from files alone."""

    settings: Settings
    done: int
    total: int
    pool: int
    points: tuple[Point, ...]
    marginals: tuple[Marginal, ...]
    verdicts: tuple[str, ...]
    sentence: str
    notes: tuple[str, ...]
    steps: str
    start: float | None  # loss before training
    seconds: float  # spent on what is done
    estimate: float | None  # for what is missing
    created: str
    current: bool  # made of the training records of now

    @property
    def finished(self) -> bool:
        return self.done == self.total


def folder(workspace: Workspace) -> Path:
    return workspace.path / "proof"


# -- gathering -------------------------------------------------------------------------------------------------------------


def question(workspace: Workspace, settings: Settings) -> Question:
    """Picks every subset. Errors: InputError, MissingInput when a strategy or the learner lacks something."""
    data = workspace.need()
    source = settings.difficulty or None
    whole = selection_frame(workspace, data, source)
    check, check_rows, said = _validation(workspace, data)
    at = {i: n for n, i in enumerate(data.ids())}
    rows = np.array([at[i] for i in whole.ids], np.int64)
    seen = _texts(check, check_rows)
    texts = _texts(data, None)
    forbidden = np.array([t in seen for t in texts], bool)
    if check is data:
        forbidden |= ~holdout.without(data.ids(), [data.ids()[r] for r in check_rows])
    learner = _learner(workspace, settings, data, check, check_rows, forbidden)
    usable = np.flatnonzero(~forbidden[rows] & learner.able[rows])
    frame = whole if len(usable) == len(rows) else restricted(whole, usable)
    rows = rows[usable]
    notes = [f"Measured on {said}."]
    embed = current(workspace, "embed")
    if settings.learner == "head" and embed is not None and embed.info.get("kind") == "given":
        notes.append("The vectors were given; if they hold the response as well, the head sees what it should predict.")
    leaked = int(forbidden.sum())
    if leaked:
        notes.append(f"{leaked:,} training records are part of the validation set or share its text: in no subset.")
    if len(rows) < 20:
        raise InputError(
            f"{len(rows)} records can be trained on; a proof needs at least 20. Import more training records."
        )
    names = settings.strategies or tuple(s for s in SUITED if able(s, frame))
    names = ("random", *[n for n in names if n != "random"])
    if any(n in ("influence", "diq", "diq caps", "diq quotas", "similarity", "rds") for n in names):
        notes.append(
            "Influence and similarity looked at these validation records to rank by them (never to train on them), which favours "
            "them: a "
            "validation set of their own would be stricter."
        )
    runs = _curve(workspace, settings, frame, rows, names)
    if settings.categories and frame.category is not None:
        labels = np.array([""] * data.count, dtype=object)
        labels[rows] = [c or "(none)" for c in frame.category]
        extra = marginal_runs(rows, labels, settings.seeds)
        told = {r.label for r in extra}
        few = sorted({str(labels[r]) for r in rows} - told)
        if few and told - {"", ANY}:
            listed = ", ".join(few[:4]) + (", …" if len(few) > 4 else "")
            notes.append(f"{len(few)} categories are too small to tell what more of them are worth: {listed}.")
        runs += extra
    planned = []
    ids = np.array(data.ids(), dtype=object)
    for run in sorted(runs, key=lambda r: (r.seed, r.kind != "curve", r.budget)):
        steps = _steps(settings, learner, run, len(rows))
        seed = run.seed
        key = digest_of(learner.identity, str(seed), str(steps), *sorted(ids[run.rows]))[:24]
        planned.append((run, steps, key))
    return Question(replace(settings, strategies=names), learner, tuple(planned), len(rows), tuple(notes))


def _curve(workspace: Workspace, settings: Settings, frame: Frame, rows: np.ndarray, names: Sequence[str]) -> list[Run]:
    runs = []
    for name in names:
        for budget in settings.budgets:
            for seed in range(settings.seeds):
                if budget == 100:
                    own = rows
                else:
                    found = pick(workspace, name, f"{budget:g}%", seed, settings.difficulty or None, frame)
                    own = rows[found.rows]
                runs.append(Run("curve", name, budget, seed, np.sort(own)))
    return runs


def _steps(settings: Settings, learner: Learner, run: Run, pool: int) -> int:
    """A marginal value compares equal steps whatever is asked for: more records must not mean more training."""
    own = settings.steps or STEPS.get(settings.learner, OTHER_STEPS)
    if settings.compare == "epochs" and run.kind == "curve":
        return steps_for(len(run.rows), learner.batch, settings.epochs)
    return own


def steps_sentence(settings: Settings) -> str:
    own = settings.steps or STEPS.get(settings.learner, OTHER_STEPS)
    if settings.compare == "epochs":
        return (
            f"Equal epochs: {settings.epochs:g} passes over every subset, so a larger one also trains longer; within a budget all "
            "strategies "
            f"get equally many steps. Marginal values: {own} steps each."
        )
    return f"Equal steps: {own} optimiser steps for every subset; a smaller one sees its records more often."


def _validation(workspace: Workspace, data: Dataset) -> tuple[Dataset, np.ndarray, str]:
    """(dataset, rows, what it is): the validation set; without one the records that influence holds out of training."""
    given = workspace.dataset("validation")
    if given is not None:
        return (
            given,
            np.arange(given.count),
            f"the {given.count:,} records of the validation set {given.name}, never trained on",
        )
    influence = current(workspace, "influence")
    if influence is not None:
        held = np.asarray(influence.table(["heldout"]).column(0).to_numpy(zero_copy_only=False), bool)
        if held.any():
            return (
                data,
                np.flatnonzero(held),
                f"the {int(held.sum()):,} training records held out as validation set, never trained on",
            )
    responses = data.column("response").to_pylist()
    chosen = holdout.choose(
        data.ids(), data.column("category").to_pylist(), np.array([bool((r or "").strip()) for r in responses])
    )
    return data, chosen.rows, f"{len(chosen.rows):,} training records held out for it, never trained on"


def _texts(data: Dataset, rows: np.ndarray | None) -> list[tuple[str, str]] | set[tuple[str, str]]:
    """(prompt, response) with white space and case evened out: a list of all, or the set of some rows."""
    pairs = zip(data.column("prompt").to_pylist(), data.column("response").to_pylist(), strict=True)
    every = [(" ".join((p or "").casefold().split()), " ".join((r or "").casefold().split())) for p, r in pairs]
    return every if rows is None else {every[r] for r in rows}


def _learner(
    workspace: Workspace,
    settings: Settings,
    data: Dataset,
    check: Dataset,
    check_rows: np.ndarray,
    forbidden: np.ndarray,
) -> Learner:
    if settings.learner == "head":
        from core.influence.proof.head import Head

        embed = current(workspace, "embed")
        other = embed if check is data else current(workspace, "embed:validation")
        if embed is None or other is None:
            raise MissingInput(
                "The quick head learns from embeddings, which are not there yet. Run `embed` and `embed:validation`."
            )
        if embed.info.get("text") in ("response", "both") and embed.info.get("kind") != "given":
            raise InputError(
                f"The embeddings are of the {embed.info.get('text')}, so a head on them would see the response it predicts. Embed "
                "the prompt, "
                "or choose the proxy."
            )
        responses = data.column("response").to_pylist()
        checks = responses if check is data else check.column("response").to_pylist()
        return Head(
            single(embed.array()),
            responses,
            single(other.array()[check_rows]),
            [checks[r] for r in check_rows],
            forbidden,
        )
    from core.influence.encode import conversations
    from core.influence.proof.finetune import Causal

    records = conversations(data)
    checks = records if check is data else conversations(check)
    return Causal(settings.learner, records, [checks[r] for r in check_rows], forbidden)


# -- time ------------------------------------------------------------------------------------------------------------------


def measure(asked: Question) -> dict[str, float]:
    """{per_step, overhead}: seconds on this machine now, from two short trainings of random records (nothing of them is kept)."""
    rows = np.flatnonzero(asked.learner.able & ~asked.learner.forbidden)
    rows = np.random.default_rng(0).permutation(rows)[: 8 * asked.learner.batch]
    short, long = 1, 5
    asked.learner.fit(rows, 0, 1)  # the first call of a process also warms up
    first, second = (asked.learner.fit(rows, 0, steps).seconds for steps in (short, long))
    per_step = max(1e-4, (second - first) / (long - short))
    return {"per_step": per_step, "overhead": max(0.0, first - short * per_step)}


def estimate(workspace: Workspace, asked: Question) -> float:
    """Seconds that the missing trainings will take, by what a step takes here; the measurement is kept with the learner."""
    missing = {key: steps for _, steps, key in asked.runs if _stored(workspace, key) is None}
    path = folder(workspace) / "rates.json"
    rates = _read(path) or {}
    known = rates.get(asked.learner.identity)
    if known is None and missing:
        known = measure(asked)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json.dumps({**rates, asked.learner.identity: known}))
    return sum(steps * known["per_step"] + known["overhead"] for steps in missing.values()) if missing else 0.0


def spoken(seconds: float) -> str:
    """A duration as one says it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


# -- running and reading ---------------------------------------------------------------------------------------------------


def prepare(workspace: Workspace, settings: Settings) -> tuple[Question, float]:
    """Gathers the question, measures what it costs, and keeps both as the workspace's proof; trains nothing to keep."""
    asked = question(workspace, settings)
    seconds = estimate(workspace, asked)
    facts = {
        "settings": asked.settings.to_json(), "data": workspace.need().digest, "pool": asked.pool, "notes": asked.notes,
        "sentence": asked.learner.sentence, "identity": asked.learner.identity, "created": now(),
        "runs": [{**run.facts(), "steps": steps, "key": key} for run, steps, key in asked.runs],
    }  # fmt: skip
    folder(workspace).mkdir(exist_ok=True)
    write_atomically(folder(workspace) / "plan.json", json.dumps(facts, ensure_ascii=False))
    return asked, seconds


def prove(
    workspace: Workspace, settings: Settings, progress: Progress = silent, say: Callable[[str], None] | None = None
) -> Standing:
    """Train whatever of the question is missing, and return how it stands. Cancelled passes through; finished trainings stay."""
    progress(0, 0, "picking the subsets and measuring the speed")
    asked, seconds = prepare(workspace, settings)
    todo: dict[str, tuple[Run, int]] = {}
    for run, steps, key in asked.runs:
        if _stored(workspace, key) is None:
            todo.setdefault(key, (run, steps))
    kept = len({key for *_, key in asked.runs}) - len(todo)
    if say:
        say(f"{len(todo):,} trainings, {spoken(seconds)}; {kept:,} are there already")
    began, spent, whole = time.monotonic(), 0, sum(steps for _, steps in todo.values())
    for key, (run, steps) in todo.items():
        left = (time.monotonic() - began) / spent * (whole - spent) if spent else seconds
        what = (
            f"{STRATEGIES[run.label].title}, {run.budget:g} %"
            if run.kind == "curve"
            else f"more of {run.label}"
            if run.label
            else "base"
        )
        message = f"{what}, seed {run.seed}: {len(run.rows):,} records; {spoken(left)} left"

        def report(done: int, total: int, _: str, spent: int = spent, message: str = message) -> None:
            progress(spent + done, whole, message)

        fit = asked.learner.fit(run.rows, run.seed, steps, report)
        if not np.isfinite(fit.loss):
            raise InputError(
                f"The training of {what}, seed {run.seed}, ended in a loss that is no number. Choose another learner."
            )
        _store(
            workspace,
            key,
            {**run.facts(), "loss": fit.loss, "start": fit.start, "steps": steps, "seconds": round(fit.seconds, 3)},
        )
        spent += steps
    return standing(workspace)


def standing(workspace: Workspace) -> Standing | None:
    """The workspace's proof as it stands; None when none was asked for. Reads files alone."""
    plan = _read(folder(workspace) / "plan.json")
    if plan is None:
        return None
    try:
        settings = settings_from(plan["settings"])
    except QuadrantError:
        return None
    found = {r["key"]: _stored(workspace, r["key"]) for r in plan["runs"]}
    done = [{**r, "loss": found[r["key"]]["loss"]} for r in plan["runs"] if found[r["key"]]]
    trained = [v for v in found.values() if v]
    rate = (_read(folder(workspace) / "rates.json") or {}).get(plan["identity"])
    missing = {r["key"]: r["steps"] for r in plan["runs"] if not found[r["key"]]}
    estimate_ = sum(s * rate["per_step"] + rate["overhead"] for s in missing.values()) if rate else None
    data = workspace.dataset()
    curve = points(done)
    return Standing(
        settings=settings,
        done=len(trained),
        total=len(found),
        pool=plan["pool"],
        points=tuple(curve),
        marginals=tuple(marginals(done)),
        verdicts=tuple(verdicts(curve, {n: s.title for n, s in STRATEGIES.items()})),
        sentence=plan["sentence"],
        notes=tuple(plan["notes"]),
        steps=steps_sentence(settings),
        start=float(np.mean([v["start"] for v in trained])) if trained else None,
        seconds=sum(v["seconds"] for v in trained),
        estimate=estimate_,
        created=plan["created"],
        current=data is not None and data.digest == plan["data"],
    )


def _stored(workspace: Workspace, key: str) -> dict[str, Any] | None:
    return _read(folder(workspace) / "runs" / f"{key}.json")


def _store(workspace: Workspace, key: str, facts: Mapping[str, Any]) -> None:
    path = folder(workspace) / "runs" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(facts, ensure_ascii=False))


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON file, or None when it is not there or was cut off: then what it held is computed again."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def table(stood: Standing) -> list[str]:
    """The standing as lines of text, for the command line."""
    lines = [
        stood.sentence,
        stood.steps,
        *stood.notes,
        f"{stood.done} of {stood.total} trainings, {stood.seconds:.0f} s",
    ]
    for p in stood.points:
        gap = (
            ""
            if p.strategy == "random" or p.gap.n < 2
            else f"  to random {p.gap.mean:+.4f} ({p.gap.low:+.4f} to {p.gap.high:+.4f})"
        )
        lines.append(
            f"{p.strategy:22} {p.budget:5g} % {p.size:7,} records  loss {p.loss.mean:.4f} ({p.loss.low:.4f} to {p.loss.high:.4f}){gap}"
        )
    for m in stood.marginals:
        beyond = (
            ""
            if m.category == ANY or m.beyond.n < 2
            else f"; beyond any {m.beyond.mean:+.4f} ({m.beyond.low:+.4f} to {m.beyond.high:+.4f})"
        )
        lines.append(
            f"{m.added:4} more of {m.category}: {m.change.mean:+.4f} ({m.change.low:+.4f} to {m.change.high:+.4f}){beyond}"
        )
    return [*lines, *stood.verdicts]
