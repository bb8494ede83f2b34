"""Commands about labels and balance: drift, relabelling by rule, a queue of doubts, pins, and a rebalancing plan."""

from typing import Annotated

import typer

from core.cli.common import HERE, ME, By, Json, Where, say
from core.errors import InputError, MissingInput
from core.workspace import open_workspace

PLANS = ("remove", "collect", "band")


app = typer.Typer()


@app.command()
def drift(
    workspace: Where = HERE,
    by: Annotated[
        str, typer.Option(help="annotator, a field with names or dates, or file: the order of the file.")
    ] = "annotator",
    json_: Json = False,
) -> None:
    """Whether labels differ by annotator or over time: the share in doubt of each group, with interval and corrected tests."""
    from dataclasses import asdict

    import numpy as np

    from core.actions.decisions import kept_ids
    from core.quality import drift as own
    from core.steps import current

    space = open_workspace(workspace, create=False)
    data, result = space.need(), current(space, "labels")
    if result is None:
        raise MissingInput("Doubtful labels are not computed for this data. Run the step `labels` first.")
    name = by if by in data.columns else f"field.{by}"
    if by != "file" and name not in data.columns:
        raise InputError(f"The training data holds no column {by!r} to compare labels by.")
    table = result.table(["record_id", "given", "flagged", "self_confidence"])
    kept = set(kept_ids(space, data))
    judged = np.array([c is not None and i in kept for i, c in zip(
        table["record_id"].to_pylist(), table["self_confidence"].to_pylist(), strict=True)])  # fmt: skip
    order = None
    if by == "file":
        groups, order = own.positions(data.count)
    else:
        groups = data.column(name).to_pylist()
        if name != "annotator" and (timed := own.periods(groups)):
            groups, order = timed
    flagged = np.asarray(table["flagged"].to_numpy(zero_copy_only=False), dtype=bool)
    found = own.drift(groups, flagged, table["given"].to_pylist(), judged, order)
    lines = [
        f"{g.name}: {g.doubted:,} of {g.judged:,} in doubt, {g.share:.1%} ({g.low:.1%} to {g.high:.1%}), "
        f"expected {g.expected:.1f}, p {g.p_holm:.4f} after Holm; labels apart {g.mix:.4f} bits"
        for g in found.groups
    ]
    say(json_, asdict(found) | {"tests": found.tests}, "\n".join(lines))


@app.command()
def relabel(
    workspace: Where = HERE,
    given: Annotated[str | None, typer.Option(help="The label now; any when absent.")] = None,
    suggested: Annotated[str | None, typer.Option(help="The suggested label; any when absent.")] = None,
    confidence: Annotated[float, typer.Option(help="Least probability of the suggested label.")] = 0.9,
    neighbours: Annotated[bool, typer.Option("--neighbours", help="Only where most neighbours agree.")] = False,
    passed: Annotated[bool, typer.Option("--passed", help="Also records that passed an audit.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write it to the ledger; without it, only show it.")] = False,
    record: Annotated[str | None, typer.Option(help="Relabel this one record, with --label, whatever was suggested.")] = None,
    label: Annotated[str | None, typer.Option(help="The new label of --record.")] = None,
    by: By = ME, json_: Json = False,
) -> None:  # fmt: skip
    """Relabel by rule: shows what would change; with --apply it is one entry of the ledger, which can be undone."""
    from core.actions.relabelling import Rule, apply_rule, preview, relabel_one

    space = open_workspace(workspace, create=False)
    if record is not None or label is not None:
        if record is None or label is None:
            raise InputError("One record is relabelled by --record and --label together.")
        entry = relabel_one(space, record, label, by)
        say(
            json_,
            {"entry": entry.entry, "record": record, "label": label},
            f"{record} is {label} now, entry {entry.entry} of the ledger",
        )
        return
    seen = preview(space, Rule(given, suggested, confidence, neighbours, passed))
    entry = apply_rule(space, seen, by) if apply else None
    facts = {
        "rule": seen.rule.facts(), "changes": [list(c) for c in seen.changes], "passed": seen.passed, "already": seen.already,
        "answers": seen.answers, "named": seen.named, "entry": entry.entry if entry else None,
    }  # fmt: skip
    head = f"{len(seen.changes):,} records {f'relabelled, entry {entry.entry} of the ledger' if entry else 'would be relabelled'}"
    say(json_, facts, "\n".join([head, *(f"{a} -> {b}: {n:,}" for a, b, n in seen.pairs)]))


@app.command()
def queue(
    workspace: Where = HERE,
    most: Annotated[int, typer.Option(help="Records at most.")] = 200,
    by: By = ME, json_: Json = False,
) -> None:  # fmt: skip
    """Put the most doubtful labels into a queue for the reviewer, the least confident first."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from core.actions.relabelling import changes_in_force
    from core.actions.relabelling import queue as make
    from core.steps import current

    space = open_workspace(workspace, create=False)
    result = current(space, "labels")
    if result is None:
        raise MissingInput("Doubtful labels are not computed for this data. Run the step `labels` first.")
    table = result.table(["record_id", "flagged", "self_confidence"])
    table = table.filter(pc.fill_null(table["flagged"], False))
    order = np.argsort(table["self_confidence"].to_numpy(), kind="stable")
    settled = changes_in_force(space)
    ids = [one for one in table["record_id"].take(pa.array(order)).to_pylist() if one not in settled]
    sample = make(space, ids, "Queue: labels in doubt", by, most)
    facts = {"sample": sample.id, "name": sample.name, "records": sample.size, "of": len(ids)}
    say(
        json_,
        facts,
        f"{sample.name}: {sample.size:,} of {len(ids):,} doubtful labels, to be read on the Audit page",
    )


@app.command()
def pin(
    workspace: Where = HERE,
    subset: Annotated[str | None, typer.Option(help="Pin the records of this named subset.")] = None,
    record: Annotated[list[str] | None, typer.Option(help="Pin this record; may be repeated.")] = None,
    undo: Annotated[int | None, typer.Option(help="Take back this entry of the ledger.")] = None,
    by: By = ME, json_: Json = False,
) -> None:  # fmt: skip
    """Pin records, so that no rebalancing plan takes them out."""
    from core.actions.decisions import open_reviews
    from core.review import ledger as led
    from core.review.subsets import subset_ids

    store = open_reviews(open_workspace(workspace, create=False))
    if undo is not None:
        led.undo(store, undo, by=by)
    ids = [*(subset_ids(store, subset) if subset else ()), *(record or ())]
    if ids:
        led.pin_records(store, ids, reason=f"Pinned: {subset}" if subset else "Pinned by name", by=by)
    held = led.pinned_ids(store)
    say(json_, {"pinned": sorted(held)}, f"{len(held):,} records are pinned")


@app.command()
def rebalance(
    workspace: Where = HERE,
    column: Annotated[str, typer.Option(help="category, language, or any column that can be compared.")] = "category",
    plan: Annotated[str, typer.Option(help="remove, collect, or band: the fewest changes into the band.")] = "band",
    ratio: Annotated[float | None, typer.Option(help="The band, x over or under. Stays set.")] = None,
    per_class: Annotated[
        int | None, typer.Option(help="Least records of a category (30-50 in practice). Stays set.")
    ] = None,
    per_language: Annotated[
        int | None, typer.Option(help="Least records of a language (500-1,000). Stays set.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(help='Oversample this value on purpose; may be repeated, "" for none. Stays set.'),
    ] = None,
    weight: Annotated[float | None, typer.Option(help="How many times as often as production asks. Stays set.")] = None,
    imported: Annotated[
        bool, typer.Option("--imported", help="Plan for the set as imported, decisions since left aside.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Keep what stays under this name for export.")] = None,
    json_: Json = False,
) -> None:
    """What would bring training to production's shares, as the set stands; with --name, what stays becomes a named subset."""
    import numpy as np

    from core.actions.decisions import open_reviews
    from core.actions.inforce import in_force
    from core.actions.mix import labels_now, mix
    from core.actions.rebalancing import balance_settings, band_plan, downsample, set_balance
    from core.actions.standing import NOTHING
    from core.review.subsets import add_subset

    if plan not in PLANS:
        raise InputError(f"There is no plan {plan!r}; choose {', '.join(PLANS)}.")
    space = open_workspace(workspace, create=False)
    told = {"ratio": ratio, "per_class": per_class, "per_language": per_language, "weight": weight}
    told = {name: value for name, value in told.items() if value is not None}
    if more is not None:
        told["more"] = balance_settings(space)["more"] | {column: [one for one in more if one]}
    if told:
        set_balance(space, **told)
    data = space.need()
    force = NOTHING if imported else in_force(space, data)
    found, labels = mix(space, data, column, force), labels_now(space, data, column, force)
    if not found.info:
        raise MissingInput(
            found.why or "There is nothing to compare with. Import a production sample, or give its shares."
        )
    categories, shares = found.table["category"], found.table["production_share"]
    n = np.array(found.table["training"], dtype=np.int64)
    if plan == "band":
        then = band_plan(space, data, labels, categories, n.tolist(), shares, column).counts
    else:
        then = np.array(found.table["keep"]) if plan == "remove" else n + np.array(found.table["add"])
    rows = [{"category": c, "now": int(a), "then": int(b)} for c, a, b in zip(categories, n, then, strict=True)]
    if name:
        keep = {r["category"]: min(r["now"], r["then"]) for r in rows}
        ids = downsample(space, data, labels, keep).ids
        add_subset(open_reviews(space), name, ids, by="command line", strategy=f"rebalance: {plan}", dataset_digest=data.digest,
                   params={"column": column, "keep": keep})  # fmt: skip
    removed, added = (int(x) for x in ((n - then).clip(0).sum(), (then - n).clip(0).sum()))
    of = "the set as it stands" if found.standing else "the set as imported"
    facts = {
        "plan": plan, "column": column, "of": of, "predicted": bool(found.info.get("predicted")), "removed": removed, "added": added,
        "categories": rows, "warnings": found.info["warnings"],
    }  # fmt: skip
    lines = [
        f"remove {removed:,}, collect {added:,}, of {of}" + (f" ({force.sentence()})" if found.standing else ""),
        *found.info["warnings"],
        *(f"{r['category']}: {r['now']:,} -> {r['then']:,}" for r in rows),
    ]
    say(json_, facts, "\n".join(lines))
