"""The command line. Bad input ends in one line on standard error and exit code 2; `check` ends in 1 when a gate fails."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from core import jobs
from core.actions.version_history import keep_card
from core.cli import (
    audit,
    clean,
    coverage,
    difficulty,
    embeddings,
    export,
    influence,
    quality,
    reports,
    review,
    search,
    versions,
)
from core.cli.common import (
    HERE,
    JobId,
    Json,
    Params,
    Where,
    bring_in,
    import_line,
    keep_compute,
    keep_params,
    say,
    stderr,
)
from core.errors import InputError, QuadrantError
from core.jobs import Reporter, run_steps
from core.quality.scorecard import Metric
from core.steps import STEPS, analysis, current
from core.workspace import open_workspace

app = typer.Typer(
    help="Choose and prove fine-tuning data: import, analyse, select, audit, check and export.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
Role = Annotated[str, typer.Option(help="training, production, validation or gold.")]
Schema = Annotated[str, typer.Option(help="auto, or one of the recognised schemas.")]
Fields = Annotated[list[str] | None, typer.Option("--field", help="Map by hand, e.g. --field response=answer.")]
Mapped = Annotated[str | None, typer.Option("--mapping", hidden=True)]  # a whole mapping as JSON, from the app
Named = Annotated[str | None, typer.Option("--name", hidden=True)]  # of an upload, whose file has a name of ours


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
    from core.actions.summary import metrics

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
    rows = [
        f"{m.verdict:8} {m.title:{width}}  {m.shown()}{_before(m)}  (target {m.shown_target()})  {m.note}" for m in card
    ]
    return "\n".join(rows)


def _before(metric: Metric) -> str:
    """What the value was of the set as imported, where a decision moved it."""
    return f" [{metric.shown_imported()} as imported]" if metric.imported is not None else ""


@app.command()
def status(
    workspace: Where = HERE,
    diversity: Annotated[
        bool, typer.Option("--diversity", help="Also how varied the set is; takes seconds on a large one.")
    ] = False,
    json_: Json = False,
) -> None:
    """What the workspace holds: datasets by role, results, and the job under way."""
    space = open_workspace(workspace, create=False)
    data = {role: space.dataset(role) for role in ("training", "production", "validation", "gold")}
    able, unable = analysis(space)
    steps = {name: "stored" if current(space, name) else "not run" for name in able} | {
        k: f"cannot run: {v}" for k, v in unable.items()
    }
    job = jobs.active(space)
    varied = None
    if diversity and data["training"]:
        from core.actions.variety import of_set

        varied = of_set(space, data["training"])
    facts = {
        "datasets": {r: {"name": d.name, "records": d.count, "digest": d.digest} for r, d in data.items() if d},
        **({"diversity": varied.facts()} if varied else {}),
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
    from core.actions.embeddings import all_live_keys

    removed = space.gc(all_live_keys(space))
    say(json_, {"removed": removed}, f"{len(removed)} stored results removed")


for room in (
    influence,
    difficulty,
    coverage,
    embeddings,
    search,
    quality,
    clean,
    review,
    audit,
    reports,
    export,
    versions,
):
    app.add_typer(room.app)


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
