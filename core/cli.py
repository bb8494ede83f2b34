"""The command line. Bad input ends in one line on standard error and exit code 2; `check` ends in 1 when a gate fails."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from core import (
    cli_audit,
    cli_clean,
    cli_coverage,
    cli_difficulty,
    cli_embeddings,
    cli_export,
    cli_quality,
    cli_review,
    cli_search,
    cli_versions,
    jobs,
)
from core.cluster import Compute
from core.errors import InputError, QuadrantError
from core.jobs import Reporter, run_steps
from core.steps import STEPS, analysis, current
from core.version_history import keep_card
from core.workspace import Dataset, Workspace, open_workspace

app = typer.Typer(
    help="Choose and prove fine-tuning data: import, analyse, select, audit, check and export.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

Where = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder; made by import and analyze.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
JobId = Annotated[str | None, typer.Option("--job", hidden=True)]
Role = Annotated[str, typer.Option(help="training, production, validation or gold.")]
Schema = Annotated[str, typer.Option(help="auto, or one of the recognised schemas.")]
Fields = Annotated[list[str] | None, typer.Option("--field", help="Map by hand, e.g. --field response=answer.")]
Mapped = Annotated[str | None, typer.Option("--mapping", hidden=True)]  # a whole mapping as JSON, from the app
Named = Annotated[str | None, typer.Option("--name", hidden=True)]  # of an upload, whose file has a name of ours
Params = Annotated[list[str] | None, typer.Option("--set", help="A step's parameter, e.g. --set influence.space=lora.")]
HERE = Path("workspace")
PROOF = "Train to see what helps"


def say(as_json: bool, facts: Any, text: str) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=1, default=str) if as_json else text)


def bring_in(
    workspace: Workspace, file: Path, role: str, schema: str, fields: list[str] | None, reporter: Reporter, index: int,
    mapping: str | None = None, name: str | None = None,
) -> Dataset:  # fmt: skip
    """Import a file in a role, its mapping recognised and then corrected by `fields`, or given whole."""
    from core.dataset.importing import import_file
    from core.dataset.mapping import edited
    from core.dataset.preview import preview

    mapping = json.loads(mapping) if mapping else None
    if fields:
        seen = preview(file, rows=1, role=role, schema=schema)
        mapping = edited(seen.mapping, fields)
    report = reporter.progress(index)
    return workspace.add(
        role, name or file.name, lambda folder: import_file(file, folder, role, mapping, report, schema)
    )  # fmt: skip


def read_params(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """`step.name=value` -> {step: {name: value}}; a value is read as JSON where it is JSON, else taken as text."""
    found: dict[str, dict[str, Any]] = {}
    for item in given or []:
        left, equals, right = item.partition("=")
        step, dot, name = left.rpartition(".")
        if not equals or not dot or step not in STEPS:
            raise InputError(f"--set {item!r} is not understood. Write step.parameter=value, for example map.seed=7.")
        try:
            value = json.loads(right)
        except ValueError:
            value = right
        found.setdefault(step, {})[name] = value
    return found


def keep_params(workspace: Workspace, given: list[str] | None) -> None:
    """What is set on the command line stays set in the workspace, so that later commands and the app see the same results."""
    from core.steps import set_params

    for step, values in read_params(given).items():
        set_params(workspace, step, values)


def keep_compute(workspace: Workspace, workers: int | None, ray: str | None) -> None:
    """Where batches are computed stays set too: the app's jobs follow it."""
    if workers is None and ray is None:
        return
    if workers is None:
        workers = 0 if ray else 1  # 0: all that the cluster has
    workspace.set_setting("compute", Compute(workers, ray or "").checked().facts())


def import_line(data: Dataset) -> str:
    """What an import did, in one line: how many records, and how many rows were quarantined for which reason."""
    report = data.report
    text = f"{data.count:,} {data.role} records imported from {data.name} ({report['schema']})"
    reasons = ", ".join(f"{fact['count']:,} {kind}" for kind, fact in report["reasons"].items())
    return f"{text}; {report['quarantined']:,} rows quarantined: {reasons}" if report["quarantined"] else text


@app.command("import")
def import_command(
    file: Path, workspace: Where = HERE, role: Role = "training", schema: Schema = "auto", field: Fields = None,
    unit: Annotated[str | None, typer.Option(help="percent or fraction, for a file of category shares.")] = None,
    mapping: Mapped = None, name: Named = None, job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Import a file in a role: JSONL, JSON, CSV, TSV, Parquet or Excel, each also .gz; production also as category shares."""
    from core.dataset.preview import preview
    from core.dataset.shares import read_counted

    space = open_workspace(workspace)
    untold = not field and not mapping and schema == "auto"
    if role == "production" and untold and preview(file, rows=5, role=role).kind == "shares":
        shares, total = read_counted(file, unit)
        space.set_shares(shares, total)
        counted = f", counted from {total:,} requests" if total else ""
        say(
            json_,
            {"shares": shares, "total": total},
            f"{len(shares)} production shares taken from {file.name}{counted}",
        )
        return
    reporter = Reporter(space, job, f"Import {name or file.name}", None)
    reporter.add([("import", f"Import {name or file.name}")])
    reporter.set(0, state="running")
    data = bring_in(space, file, role, schema, field, reporter, 0, mapping, name)
    reporter.set(0, state="done", done=1, total=1, message=import_line(data))
    reporter.state("done")
    facts = {"role": role, "records": data.count, "digest": data.digest, "mapping": data.mapping, "report": data.report}
    say(json_, facts, import_line(data))


@app.command()
def run(
    steps: Annotated[list[str] | None, typer.Argument(help="Steps; what they need runs first.")] = None,
    workspace: Where = HERE,
    all_: Annotated[bool, typer.Option("--all", help="Every step that the data of the workspace allows.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes, one for each GPU (needs Ray). Stays set.")] = None,
    ray: Annotated[str | None, typer.Option(help='Address of a Ray cluster; "auto": this node\'s. Stays set.')] = None,
    set_: Params = None, job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Run steps: embed map clusters coverage duplicates contradictions formats labels distribution difficulty influence …"""
    space = open_workspace(workspace, create=False)
    keep_params(space, set_)
    keep_compute(space, workers, ray)
    if not steps and not all_:
        raise InputError(f"Name a step, or --all. The steps are {', '.join(STEPS)}.")
    names = list(steps or []) + (analysis(space)[0] if all_ else [])
    reporter = Reporter(space, job, "Analysis" if all_ else ", ".join(names), None if json_ else stderr)
    outcome = run_steps(space, names, None, reporter, keep_going=all_)
    failed = {k: v for k, v in outcome.items() if v.startswith("failed")}
    if failed:
        reporter.state(
            "failed", "; ".join(f"{STEPS[k].title}: {v.removeprefix('failed: ')}" for k, v in failed.items())
        )
    else:
        reporter.state("done")
    keep_card(space)
    say(json_, {"steps": outcome}, "\n".join(f"{k}: {v}" for k, v in outcome.items()))


@app.command()
def analyze(
    file: Path, workspace: Where = HERE, role: Role = "training", schema: Schema = "auto", field: Fields = None,
    set_: Params = None, mapping: Mapped = None, name: Named = None, job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Import a file, run every step that needs no further input, and print the scorecard."""
    from core.summary import metrics

    space = open_workspace(workspace)
    keep_params(space, set_)
    title = name or file.name
    reporter = Reporter(space, job, f"Analyse {title}", None if json_ else stderr)
    reporter.add([("import", f"Import {title}")])
    reporter.set(0, state="running")
    data = bring_in(space, file, role, schema, field, reporter, 0, mapping, name)
    reporter.set(0, state="done", done=1, total=1, message=import_line(data))
    outcome = run_steps(space, analysis(space)[0], None, reporter, keep_going=True)
    failed = {k: v for k, v in outcome.items() if v.startswith("failed")}
    error = "; ".join(f"{STEPS[k].title}: {v.removeprefix('failed: ')}" for k, v in failed.items())
    reporter.state("failed" if failed else "done", error)
    card = metrics(space) if space.dataset() else []
    if card:
        keep_card(space, found=card)
    facts = {"import": data.report, "steps": outcome, "scorecard": [m.to_json() for m in card]}
    say(json_, facts, card_text(card))


def card_text(card: list) -> str:
    width = max((len(m.title) for m in card), default=0)
    rows = [f"{m.verdict:8} {m.title:{width}}  {m.shown()}  (target {m.shown_target()})  {m.note}" for m in card]
    return "\n".join(rows)


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
    from core.choosing import described, pick, selection_frame
    from core.decisions import open_reviews
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

    from core import proving
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


def number_or_word(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


@app.command()
def report(
    workspace: Where = HERE,
    sample: Annotated[
        str | None, typer.Option(help="Id (or its start) or name of a sample; the newest when absent.")
    ] = None,
    to: Annotated[str, typer.Option(help="markdown, or html: one file to print, with drawings.")] = "markdown",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output when absent.")] = None,
    json_: Json = False,
) -> None:
    """The result of an audit on one page: sample, readers, verdicts, intervals, plan, decision and its limits."""
    from core.decisions import open_reviews
    from core.reporting import findings, sample_named
    from core.review.report import FORMS
    from core.review.report import report as page_of

    space = open_workspace(workspace, create=False)
    if to not in FORMS:
        raise InputError(f"A report cannot be written as {to!r}. Choose markdown or html.")
    found = findings(space, sample_named(open_reviews(space), sample))
    text = page_of(found, to)
    if out:
        write_text(out, text)
    said = found.summary
    facts = {
        "sample": found.sample.id, "decision": said.decision, "headline": said.headline, "detail": said.detail,
        "failed": said.failed, "judged": said.judged, "unread": said.unread, "out": str(out) if out else None,
    }  # fmt: skip
    say(json_, facts, f"{said.headline}. Written to {out}" if out else text)


@app.command()
def agreement(
    workspace: Where = HERE,
    column: Annotated[list[str] | None, typer.Option(help="Columns that rate one thing; found when absent.")] = None,
    json_: Json = False,
) -> None:
    """Agreement of annotator columns that came with the data: raw, kappa, AC1, alpha, each with its interval."""
    from core.raters import rating_columns, ratings_of, suggested
    from core.review.comparison import compare

    data = open_workspace(workspace, create=False).need("training")
    known = rating_columns(data)
    names = {one.title: one.name for one in known} | {one.name: one.name for one in known}
    unknown = [one for one in column or [] if one not in names]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no column of ratings. Known: {', '.join(one.title for one in known) or 'none'}."
        )
    chosen = [names[one] for one in column] if column else suggested(known)
    if len(chosen) < 2:
        raise InputError(
            "Agreement needs two columns that rate the same thing. Name them with --column, once for each."
        )
    titles = [name.removeprefix("field.") for name in chosen]
    found = compare(ratings_of(data, chosen), titles, data.ids())
    kappa = "cohen_kappa" if len(chosen) == 2 else "fleiss_kappa"
    values = {"raw": found.raw, kappa: found.kappa, "ac1": found.ac1, "alpha_nominal": found.alpha}
    values |= {"alpha_ordinal": found.ordinal, "alpha_interval": found.interval} if found.numeric else {}
    pair = found.pair_intervals[0, 1].get("plain") if len(chosen) == 2 else found.intervals.get("fleiss")
    ends = [
        found.intervals.get("raw"),
        pair,
        *(found.intervals.get(n) for n in ("ac1", "nominal", "ordinal", "interval")),
    ]
    facts = {
        "columns": titles, "records": found.records, "unanimous": found.unanimous, "resamples": found.resamples,
        "statistics": {
            name: {"value": value, "low": one.low if one else None, "high": one.high if one else None}
            for (name, value), one in zip(values.items(), ends, strict=False)
        },
        "contested": [{"record_id": one, "apart": share} for one, share in found.contested[:20]],
    }  # fmt: skip
    lines = [f"{', '.join(titles)}: {found.records:,} records rated by two or more, {found.unanimous:,} unanimous"]
    for name, told in facts["statistics"].items():
        value = "undefined" if told["value"] is None else f"{told['value']:.4f}"
        low_high = (
            "no interval"
            if told["low"] is None
            else f"{told['low']:.3f} to {told['high']:.3f} (95 %, bootstrap by record)"
        )
        lines.append(f"{name:14} {value}  {low_high}")
    say(json_, facts, "\n".join(lines))


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing file.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Correct it.") from error


def write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


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
    from core import reranking

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
    from core import heat

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


@app.command()
def status(workspace: Where = HERE, json_: Json = False) -> None:
    """What the workspace holds: datasets by role, results, diversity, and the job under way."""
    from core.variety import of_set

    space = open_workspace(workspace, create=False)
    data = {role: space.dataset(role) for role in ("training", "production", "validation", "gold")}
    able, unable = analysis(space)
    steps = {name: "stored" if current(space, name) else "not run" for name in able} | {
        k: f"cannot run: {v}" for k, v in unable.items()
    }
    job = jobs.active(space)
    varied = of_set(space, data["training"]) if data["training"] else None
    facts = {
        "datasets": {r: {"name": d.name, "records": d.count, "digest": d.digest} for r, d in data.items() if d},
        "diversity": varied.facts() if varied else None,
        "steps": steps, "job": job.title if job else None,
    }  # fmt: skip
    lines = [f"{r}: {d.count:,} records from {d.name}" for r, d in data.items() if d]
    lines += [f"{name}: {state}" for name, state in steps.items()] + ([f"running: {job.title}"] if job else [])
    lines += [f"diversity: {varied.said()}"] if varied else []
    say(json_, facts, "\n".join(lines))


@app.command()
def gc(workspace: Where = HERE, json_: Json = False) -> None:
    """Remove stored results that do not belong to the data and settings of now. Human decisions are never touched."""
    space = open_workspace(workspace, create=False)
    if jobs.active(space):
        raise InputError("A job is running in this workspace. Wait for it, or cancel it, then collect.")
    from core.embeddings import all_live_keys

    removed = space.gc(all_live_keys(space))
    say(json_, {"removed": removed}, f"{len(removed)} stored results removed")


cli_clean.add_to(app, say)
cli_coverage.add_to(app, say)
cli_difficulty.add_to(app, say)
cli_embeddings.add_to(app, say)
cli_review.add_to(app, say)
cli_quality.add_to(app, say)
cli_search.add_to(app, say)
cli_audit.add_to(app, say)
cli_export.add_to(app, say)
cli_versions.add_to(app, say)


def stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line; errors a user can act on are one line, everything else is a defect and shows its trace."""
    try:
        code = app(standalone_mode=False)  # the exit code that a command raised with typer.Exit
        if isinstance(code, int) and code:
            sys.exit(code)
    except QuadrantError as error:
        settle(str(error), 2)
    except (typer.Abort, KeyboardInterrupt):
        settle("Stopped.", 130)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            settle(None, 1)
            raise
        settle(message(), 2)


def settle(message: str | None, code: int) -> None:
    """Give the status file of a job its last word, print the message, exit."""
    from core.errors import Cancelled

    error = sys.exc_info()[1]
    argv = sys.argv
    if "--job" in argv and "--workspace" in argv:
        space, job = Path(argv[argv.index("--workspace") + 1]), argv[argv.index("--job") + 1]
        jobs.finish(
            space / "jobs" / f"{job}.json",
            "cancelled" if isinstance(error, Cancelled) else "failed",
            message or repr(error),
        )
    if message is None:
        return
    print(message, file=sys.stderr)
    sys.exit(code)
