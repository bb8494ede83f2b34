"""Commands about influence: a pick by a strategy, the proof by training, another validation set, and which words help."""

from pathlib import Path
from typing import Annotated, Any

import typer

from core import jobs
from core.cli.common import HERE, JobId, Json, Where, bring_in, number_or_word, read_json, say, stderr
from core.errors import InputError
from core.jobs import Reporter, run_steps
from core.steps import STEPS, current
from core.workspace import open_workspace

app = typer.Typer()
PROOF = "Train to see what helps"


@app.command()
def select(
    workspace: Where = HERE,
    strategy: Annotated[str, typer.Option(help="diq, influence, difficulty, random, similarity …")] = "diq",
    budget: Annotated[str, typer.Option(help="A share such as 10% or a number of records such as 200.")] = "10%",
    name: Annotated[str | None, typer.Option(help="Keep it under this name for export.")] = None,
    seed: int = 0,
    difficulty: Annotated[str | None, typer.Option(help="difficulty, ifd_ppl, ifd_loss, nll or perplexity.")] = None,
    influence: Annotated[
        str, typer.Option(help="influence, influence_max or influence:QUERY, where several queries were asked.")
    ] = "influence",
    difficulty_cut: Annotated[str, typer.Option(help="median, p75 or a number (the kinds of diq).")] = "median",
    influence_cut: Annotated[str, typer.Option(help="median, p75 or a number (the kinds of diq).")] = "median",
    cap: Annotated[
        str | None, typer.Option(help="Most of one cluster: 10% of the budget, or a number (diq caps).")
    ] = None,
    quotas: Annotated[
        str | None, typer.Option(help="production, equal, or a JSON file {category: share} (diq quotas).")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="The strategy whose lengths are matched (length-matched random).")
    ] = None,
    job: JobId = None,
    json_: Json = False,
) -> None:
    """Pick a budget of records by a strategy, and keep the pick as a named subset.

    Strategies: diq, diq caps, diq quotas, influence, difficulty, easy, random, length-matched random, longest, similarity, rds, holes,
    k-centre, facility location.
    """
    from core.actions.choosing import described, pick, selection_frame
    from core.actions.decisions import open_reviews
    from core.influence.selection.strategies import STRATEGIES
    from core.review.subsets import add_subset

    space = open_workspace(workspace, create=False)
    own = {
        "cap": cap,
        "quotas": read_json(Path(quotas)) if quotas not in (None, "production", "equal") else quotas,
        "like": like,
    }
    params = {name: value for name, value in own.items() if value is not None}
    if strategy in STRATEGIES and "difficulty_cut" in STRATEGIES[strategy].params:
        params |= {"difficulty_cut": number_or_word(difficulty_cut), "influence_cut": number_or_word(influence_cut)}
    reporter = Reporter(space, job, f"Pick by {strategy}", None)
    reporter.add([("select", f"Pick {budget} by {strategy}")])
    reporter.set(0, state="running")
    frame = selection_frame(space, space.need(), difficulty, influence)
    found = pick(space, strategy, budget, seed, difficulty, frame, influence=influence, **params)
    reporter.set(0, state="done", done=1, total=1)
    reporter.state("done")
    if name:
        digest = space.need().digest
        add_subset(
            open_reviews(space), name, found.record_ids,
            by="command line", strategy=strategy, dataset_digest=digest, params=found.params,
        )  # fmt: skip
    told = described(space, frame, found)
    facts = {
        "strategy": strategy, "params": found.params, "notes": found.notes, "described": told, "record_ids": found.record_ids,
    }  # fmt: skip
    kept = f", kept as {name!r}" if name else ""
    lines = [f"{len(found.record_ids):,} records by {strategy}{kept}", *[n for n in found.notes if n], *told]
    say(json_, facts, "\n".join(lines))


@app.command()
def proof(
    workspace: Where = HERE,
    learner: Annotated[
        str, typer.Option(help="head (quick, on embeddings), proxy (trained from nothing), or a model folder or hub id (LoRA).")
    ] = "head",
    strategies: Annotated[str, typer.Option(help="Comma-separated; those that suit when absent. Random is always among them.")] = "",
    budgets: Annotated[str, typer.Option(help="Percent of the records that may be picked.")] = "1,5,10,25,50,100",
    seeds: Annotated[int, typer.Option(help="Trainings of each strategy and budget; at least 2 for an interval.")] = 5,
    compare: Annotated[str, typer.Option(help="steps: equal optimiser steps; epochs: equal passes.")] = "steps",
    steps: Annotated[int, typer.Option(help="Optimiser steps of a training; 0: what suits the learner.")] = 0,
    epochs: Annotated[float, typer.Option(help="Passes, with --compare epochs.")] = 3.0,
    categories: Annotated[bool, typer.Option(help="Also what 100 more records of each category are worth.")] = True,
    difficulty: Annotated[str, typer.Option(help="difficulty, ifd_ppl, ifd_loss, nll or perplexity.")] = "",
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say how many trainings and how long they take.")] = False,
    job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Does it help here? Train on equal budgets by strategy and seed, and compare the loss on the validation set.

    Finished trainings are kept: a run that was stopped goes on where it was, and asking again trains only what is new.
    """
    from dataclasses import asdict

    from core.actions import proving
    from core.influence.proof.proof import parse_budgets, settings_from

    space = open_workspace(workspace, create=False)
    asked = settings_from({
        "learner": learner, "strategies": [s.strip() for s in strategies.split(",") if s.strip()], "budgets": parse_budgets(budgets),
        "seeds": seeds, "compare": compare, "steps": steps, "epochs": epochs, "categories": categories, "difficulty": difficulty,
    })  # fmt: skip
    if estimate:
        question, seconds = proving.prepare(space, asked)
        count = len({key for *_, key in question.runs})
        facts = {"trainings": count, "seconds": seconds, "learner": question.learner.sentence}
        say(
            json_,
            facts,
            f"{count} trainings, {proving.spoken(seconds)} for those that are missing. {question.learner.sentence}",
        )
        return
    reporter = Reporter(space, job, PROOF, None if json_ else stderr)
    reporter.add([("proof", PROOF)])
    with jobs.alone(space, reporter):
        reporter.set(0, state="running")
        stood = proving.prove(space, asked, reporter.progress(0), None if json_ else stderr)
    reporter.set(0, state="done", done=1, total=1, message="")
    reporter.state("done")
    say(json_, asdict(stood), "\n".join(proving.table(stood)))


@app.command()
def rerank(
    category: Annotated[str | None, typer.Option(help="Against the validation records of this category.")] = None,
    records: Annotated[list[str] | None, typer.Option("--record", help="Against this training record; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(help="Import this file as the validation set first.")] = None,
    forget: Annotated[str | None, typer.Option(help="Forget a re-ranking by its column name.")] = None,
    top: Annotated[int, typer.Option(help="How many of the best to print.")] = 10,
    workspace: Where = HERE, job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Rank the training records for another validation set from sketches, at once and approximately; kept as a column."""
    from core.actions import reranking

    space = open_workspace(workspace, create=False)
    if forget:
        reranking.forget(space, forget)
        say(json_, {"forgotten": forget}, f"{forget} forgotten")
        return
    reporter = Reporter(space, job, "Re-rank for another validation set", None if json_ else stderr)
    if file:
        bring_in(space, file, "validation", "auto", None, reporter, _row(reporter, f"Import {file.name}"))
    role = "training" if records else "validation"
    if role == "validation" and space.dataset("validation") is None:
        raise InputError(
            "There is no validation set to rank against. Give --file, or name training records with --record."
        )
    if records:
        named = f"{len(records)} records named on the command line"
        spec = reranking.by_ids(records, named)
    else:
        spec = reranking.by_category(category or "")
    missing = [reranking.SKETCH[r] for r in dict.fromkeys(("training", role)) if reranking.sketches(space, r) is None]
    if missing:
        run_steps(space, missing, None, reporter)
    name = reranking.remember(space, spec)
    reporter.state("done")
    found, ids = reranking.rerank(space, spec), space.need().ids()
    order = [n for n in (-found.values).argsort(kind="stable").tolist() if found.values[n] == found.values[n]]
    best = [{"record_id": ids[n], "influence": float(found.values[n])} for n in order[:top]]
    facts = {"column": name, "title": found.title, "records": found.records, "note": found.sentence, "best": best}
    lines = [f"{name}: {found.title}", found.sentence, *(f"{b['record_id']}  {b['influence']:+.4g}" for b in best)]
    say(json_, facts, "\n".join(lines))


def _row(reporter: Reporter, title: str) -> int:
    reporter.add([("import", title)])
    return len(reporter.status["steps"]) - 1


@app.command()
def tokens(
    records: Annotated[list[str], typer.Argument(help="Ids of training records.")],
    workspace: Where = HERE, job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Which words of some records help and which harm; `run influence:tokens` finds them for every record."""
    from core.actions import heat

    space = open_workspace(workspace, create=False)
    reporter = Reporter(space, job, STEPS[heat.STEP].title, None if json_ else stderr)
    if current(space, "influence") is None or set(heat.heats(space, records)) < set(records):
        run_steps(space, [heat.STEP], heat.overrides(space, records), reporter)
    reporter.state("done")
    found = heat.words_of(space, records)
    lines = [
        f"{r['record_id']}: influence {r['total']:+.3g}\n  helps: {_listed(r['helps'])}\n  harms: {_listed(r['harms'])}"
        for r in found
    ]
    say(json_, found, "\n".join(lines))


def _listed(words: list[dict[str, Any]]) -> str:
    return ", ".join(f"{w['text'].strip()!r} {w['share']:+.2g}" for w in words) or "nothing"
