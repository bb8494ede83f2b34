"""Versions, their differences, the gates of continuous integration, and recipes on the command line."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import HERE, JobId, Json, Where, say, write_text
from core.errors import InputError
from core.workspace import Dataset, Workspace, open_workspace

WORD = {"matched": "matched", "changed": "edited since", "gone": "not here"}


app = typer.Typer()


@app.command()
def versions(
    workspace: Where = HERE, role: Annotated[str, typer.Option(help="training, production …")] = "training",
    use: Annotated[str | None, typer.Option(help="Make this version the current one: its number or digest.")] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Every import of a changed file, oldest first; or go back to one."""
    from core.actions.versions import version_named

    space = open_workspace(workspace, create=False)
    if use:
        space.use(version_named(space, use, role))
    now = space.dataset(role)
    told = [
        {"number": n, "digest": one.digest, "name": one.name, "records": one.count, "imported": one.imported,
         "quarantined": one.report.get("quarantined", 0), "current": now is not None and one.path == now.path}
        for n, one in enumerate(space.versions(role), 1)
    ]  # fmt: skip
    lines = [
        f"{'*' if one['current'] else ' '} {one['number']:>3}  {one['digest'][:12]}  {one['imported'][:16]}  "
        f"{one['records']:>9,} records  {one['name']}"
        for one in told
    ]
    say(json_, told, "\n".join(lines) or f"No {role} data was imported yet.")


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="A workspace; with --workspace a version: number, digest, previous, current.")],
    second: Annotated[str, typer.Argument(help="The other one.")],
    workspace: Annotated[Path | None, typer.Option("--workspace", "-w", help="Compare two versions in this workspace.")] = None,
    text: Annotated[int, typer.Option(help="Show the words of this many edited records.")] = 0,
    job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Compare two versions, or the training records of two workspaces: added, removed, edited, and the metrics side by side."""
    from core.actions.summary import metrics
    from core.actions.versions import as_of, difference, keep_difference, stored_difference, version_named
    from core.jobs import Reporter

    if workspace is not None:
        space = open_workspace(workspace, create=False)
        a, b = (version_named(space, name) for name in (first, second))
        views: list[Workspace] = [as_of(space, one) for one in (a, b)]
        reporter = Reporter(space, job, "Compare two versions", None)
        reporter.add([("diff", "Compare two versions")])
        reporter.set(0, state="running")
        found = stored_difference(space, a, b)
        if found is None:
            found = difference(a, b)
            keep_difference(space, found)
        reporter.set(0, state="done", done=1, total=1)
        reporter.state("done")
    else:
        views = [open_workspace(Path(one), create=False) for one in (first, second)]
        a, b = (one.need() for one in views)
        found = difference(a, b)
    cards = [{m.id: m for m in metrics(view, data)} for view, data in zip(views, (a, b), strict=True)]
    facts = found.facts()
    edited = found.changes.filter(_is(found.changes, "edited"))
    told = facts | {
        "removed": found.ids("removed", "before"), "added": found.ids("added", "after"), "edited": edited.to_pylist(),
        "metrics": {k: [card[k].to_json()["value"] for card in cards] for k in cards[0]},
        "intervals": {k: [[card[k].low, card[k].high] for card in cards] for k in cards[0]},
    }  # fmt: skip
    lines = [f"{facts['kept']:,} records in both ({facts['moved']:,} in another order), {facts['removed']:,} only in {first}, "
             f"{facts['added']:,} only in {second}, {facts['edited']:,} edited"]  # fmt: skip
    lines += [f"{m.title}: {_shown(m)} -> {_shown(cards[1][k])}" for k, m in cards[0].items()]
    lines += _texts(a, b, edited.slice(0, text).to_pylist()) if text else []
    say(json_, told, "\n".join(lines))


@app.command()
def check(
    workspace: Where = HERE,
    gates: Annotated[Path | None, typer.Option(help="JSON or YAML file of gates; the default targets when absent.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit report here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write the result as JSON here, whatever is printed.")] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Check the scorecard, of the set as it stands, against gates. Exit 0: all hold; 1: one fails or is unknown; 2: a bad call."""
    from core.actions.inforce import in_force
    from core.actions.summary import metrics
    from core.quality import gates as gating
    from core.quality.scorecard_advice import advice

    space = open_workspace(workspace, create=False)
    card = metrics(space)
    wanted = gating.gates_from(_read(gates)) if gates else gating.default_gates(card)
    if not wanted:
        raise InputError(
            "Nothing is measured yet, so there is nothing to check. Run the analysis first, or name gates."
        )
    results = gating.check_gates(card, wanted)
    data = space.need()
    facts = {
        "holds": gating.all_hold(results), "dataset": {"name": data.name, "digest": data.digest, "records": data.count},
        "as_it_stands": in_force(space, data).sentence(),
        "gates": [r.to_json() for r in results], "scorecard": [m.to_json() for m in card],
        "advice": [{"text": one.text, "page": one.page} for one in advice(card)],
    }  # fmt: skip
    for path, content in (
        (junit, gating.junit(results)),
        (report, json.dumps(facts, ensure_ascii=False, indent=1)),
    ):
        if path:
            write_text(path, content)
    say(json_, facts, "\n".join(f"{r.verdict:8} {r.text}" for r in results))
    if not gating.all_hold(results):
        raise typer.Exit(1)


@app.command()
def recipe(
    out: Annotated[Path | None, typer.Option(help="The YAML file to write; standard output when absent.")] = None,
    workspace: Where = HERE, json_: Json = False,
) -> None:  # fmt: skip
    """Write the decisions in force as a recipe: settings, removals, labels, accepted responses, named subsets."""
    from core.actions.recipes import recipe_of, write_recipe, yaml_of

    made = recipe_of(open_workspace(workspace, create=False))
    if out:
        write_recipe(made, out)
    counts = {k: len(made[k]) for k in ("ledger", "relabels", "responses", "subsets")}
    facts = counts | {"out": str(out)} if out else made
    said = ", ".join(f"{n:,} {k}" for k, n in counts.items())
    say(json_, facts, f"{said} written to {out}" if out else yaml_of(made))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recipe.")], workspace: Where = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what matches, what was edited, what is gone.")] = False,
    by: Annotated[str, typer.Option(help="Who decides; the name in the ledger.")] = "recipe",
    job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Repeat the decisions of a recipe on the version that is open here. Exit 0 also when some find nothing: the text says so."""
    from core.actions.recipes import read_recipe
    from core.actions.recipes import replay as run_recipe
    from core.actions.version_history import keep_card
    from core.jobs import Reporter

    space = open_workspace(workspace, create=False)
    reporter = Reporter(space, job, f"Replay {file.name}", None)
    reporter.add([("replay", f"Replay {file.name}")])
    reporter.set(0, state="running")
    told = run_recipe(space, read_recipe(file), by, dry_run)
    if not dry_run:
        keep_card(space)
    reporter.set(0, state="done", done=1, total=1)
    reporter.state("done")
    facts = {"dry_run": dry_run, "outcomes": [one.to_json() for one in told]}
    lines = []
    for one in told:
        counts = {k: len(getattr(one, k)) for k in WORD}
        said = ", ".join(f"{n:,} {WORD[k]}" for k, n in counts.items() if n)
        lines.append(
            f"{one.state:8} {one.what}" + (f" — {said}" if said else "") + (f" ({one.why})" if one.why else "")
        )
        lines += [f"         {old} is now {new}: decide again" for old, new in one.changed[:10]]
    say(json_, facts, "\n".join(lines) or "The recipe holds no decision.")


def _is(table: Any, kind: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table["kind"], kind)


def _shown(metric: Any) -> str:
    interval = f" ({metric.shown_interval()})" if metric.low is not None else ""
    return metric.shown() + interval


def _texts(a: Dataset, b: Dataset, edited: list[dict]) -> list[str]:
    """The parts of edited records that differ, as unified differences of their lines."""
    import difflib

    from core.dataset.selected import select

    if not edited:
        return []
    names = ["record_id", "prompt", "response", "reasoning", "category"]
    old = {row["record_id"]: row for row in select(a, [one["before_id"] for one in edited]).rows(names)}
    new = {row["record_id"]: row for row in select(b, [one["after_id"] for one in edited]).rows(names)}
    lines: list[str] = []
    for one in edited:
        left, right = old[one["before_id"]], new[one["after_id"]]
        lines.append(f"{one['before_id']} -> {one['after_id']} ({one['how']}; {one['parts']})")
        for name in names[1:]:
            before, after = (str(row.get(name) or "").splitlines() for row in (left, right))
            lines += [f"  {name} {line}" for line in list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]]
    return lines


def _read(path: Path) -> Any:
    """JSON, or YAML by its ending, read safely."""
    try:
        text = path.read_text("utf-8")
        if path.suffix in (".yml", ".yaml"):
            import yaml

            return yaml.safe_load(text)
        return json.loads(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing file.") from error
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as gates ({' '.join(str(error).split())[:200]}). Correct it."
        ) from error
