"""Commands that act on what the checks found: fix-ups of the form, and taking leaked records out of training."""

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import HERE, By, JobId, Json, Where, say
from core.errors import InputError, MissingInput
from core.jobs import Reporter
from core.workspace import open_workspace

app = typer.Typer()


@app.command()
def fix(
    workspace: Where = HERE,
    rule: Annotated[list[str] | None, typer.Option(help="Mend for these rules only (their ids).")] = None,
    accept: Annotated[bool, typer.Option(help="Accept the fix-ups; without it they are only counted.")] = False,
    undo: Annotated[str | None, typer.Option(help="Take this batch of fix-ups back.")] = None,
    by: By = "command line",
    job: JobId = None,
    json_: Json = False,
) -> None:
    """Fix-ups of the form of responses: what the rules would have written otherwise, safely; applied by `export --corrections`."""
    from core.actions.decisions import kept_ids, open_reviews
    from core.quality.formats import fixes_of
    from core.review.edits import accept_all, accepted, undo_batch
    from core.steps import current

    space = open_workspace(workspace, create=False)
    store = open_reviews(space)
    if undo:
        count = undo_batch(store, undo, by)
        if not count:
            raise InputError(
                f"No fix-up of the batch {undo!r} is in force. Batches are printed when they are accepted."
            )
        say(json_, {"batch": undo, "taken_back": count}, f"{count:,} responses stand again as before {undo}")
        return
    data, result = space.need(), current(space, "formats")
    if result is None:
        raise MissingInput("The format rules were not checked on this data. Run `formats` first.")
    known = {one["id"] for one in result.info["rules"]}
    for name in rule or ():
        if name not in known:
            raise InputError(f"There is no rule {name!r} in force; the rules are {', '.join(sorted(known))}.")
    kept = data.index.mask(kept_ids(space, data))
    reporter = Reporter(space, job, "Accept fix-ups" if accept else "Look for fix-ups", None)
    reporter.add([("fix", "Work out the fix-ups")])
    reporter.set(0, state="running")
    edited = {i: one.text for i, one in accepted(store).items()}
    found = fixes_of(data, result, kept, edited, rule or None)
    batch = f"fix:{os.urandom(8).hex()}"
    if accept and found:
        accept_all(store, {i: one.after for i, one in found}, "format rules", batch, by)
    reporter.set(0, state="done", done=1, total=1, message=f"{len(found):,} responses can be mended safely")
    reporter.state("done")
    count: dict[str, int] = {}
    for _, one in found:
        for name in one.rules:
            count[name] = count.get(name, 0) + 1
    facts: dict = {"records": len(found), "rules": count, "accepted": False}
    lines = [f"{len(found):,} responses can be mended safely"]
    lines += [f"  {name}: {n:,}" for name, n in sorted(count.items(), key=lambda item: -item[1])]
    if accept and found:
        facts |= {"accepted": True, "batch": batch}
        lines.append(f"Accepted as {batch}: `export --corrections` applies them, `fix --undo {batch}` takes them back.")
    say(json_, facts, "\n".join(lines))


@app.command()
def leakage(
    workspace: Where = HERE,
    file: Annotated[
        list[Path] | None, typer.Option(help="A benchmark file to hold training against, beside those before.")
    ] = None,
    remove: Annotated[bool, typer.Option(help="Remove the training records that leak into a counted set.")] = False,
    into: Annotated[list[str] | None, typer.Option(help="With --remove: these sets only, counted or not.")] = None,
    by: By = "command line",
    json_: Json = False,
) -> None:  # fmt: skip
    """Training records that stand in a validation, gold or production set, or in a benchmark file; removed on request."""
    from core.actions.decisions import open_reviews
    from core.actions.standing import standing
    from core.quality.leakage import leaked_ids
    from core.review.ledger import remove_records, removed_ids
    from core.steps import params_of, run_step, set_params

    space = open_workspace(workspace, create=False)
    if file:
        paths = [str(one.expanduser().resolve()) for one in file]
        absent = next((path for path in paths if not Path(path).is_file()), None)
        if absent:
            raise InputError(f"The benchmark file {absent} is not there. Correct the path.")
        before = list(params_of(space, "leakage")["files"])
        set_params(space, "leakage", {"files": [*before, *(path for path in paths if path not in before)]})
    data, result = space.need(), run_step(space, "leakage")
    store = open_reviews(space)
    gone = removed_ids(store)
    facts: dict = {}
    if remove:
        ids = [i for i in leaked_ids(result, into) if i not in gone]
        if ids:
            where = ", ".join(into) if into else "a set that judges the model"
            entry = remove_records(store, ids, reason=f"Leaks into {where}"[:200], by=by)
            facts["entry"] = entry.entry
        facts["removed"] = len(ids)
        gone = removed_ids(store)
    info = standing(result, data, gone)
    facts |= {"records": info["records"], "sets": {n: info["sets"][n] | info["by_set"][n] for n in info["sets"]},
              "warnings": info["warnings"]}  # fmt: skip
    lines = [f"{facts['removed']:,} records removed"] if remove else []
    lines.append(f"{info['records']:,} training records leak into counted sets ({info['by']}, {info['threshold']:g})")
    for name, one in facts["sets"].items():
        mark = "" if one["counted"] else " (not counted)"
        lines.append(
            f"  {name}{mark}: {one['training']:,} of training, {one['others']:,} of its {one['records']:,}, {one['exact']:,} equal"
        )
    say(json_, facts, "\n".join([*lines, *facts["warnings"]]))


@app.command()
def settle(
    record: Annotated[
        list[str] | None, typer.Argument(help="Two records of a contradicting pair, which both may stand.")
    ] = None,
    workspace: Where = HERE,
    undo: Annotated[int | None, typer.Option(help="Take back this entry of the ledger.")] = None,
    by: By = "command line",
    json_: Json = False,
) -> None:
    """The contradicting pairs as the set stands; with two records, these were read and both stay: the pair counts no more."""
    from core.actions.decisions import open_reviews
    from core.actions.inforce import in_force
    from core.actions.standing import contradictions_now
    from core.review import ledger as led
    from core.steps import current

    space = open_workspace(workspace, create=False)
    data, store = space.need(), open_reviews(space)
    result = current(space, "contradictions")
    if result is None:
        raise MissingInput("Contradictions were not looked for on this data. Run the step `contradictions` first.")
    if undo is not None:
        led.undo(store, undo, by=by)

    def pairs() -> list[dict]:
        return contradictions_now(result, data, in_force(space, data), current(space, "duplicates")).to_pylist()

    entry = None
    if record:
        pair = next((p for p in pairs() if {p["left_id"], p["right_id"]} == set(record)), None)
        if pair is None:
            raise InputError(
                f"{' and '.join(record)} are no contradicting pair that stands. `settle` alone lists the pairs."
            )
        entry = led.keep_records(store, list(record), reason=f"Read, both stand: {pair['reason']}"[:200], by=by)
    left = pairs()
    facts = {"entry": entry.entry if entry else None, "settled": len(in_force(space, data).settled), "pairs": left}
    lines = [f"{len(left):,} contradicting pairs stand, {facts['settled']:,} were read and settled"]
    lines += [f"  {p['left_id']} {p['right_id']}  {p['similarity']:.3f}  {p['reason']}" for p in left]
    say(json_, facts, "\n".join(lines))
