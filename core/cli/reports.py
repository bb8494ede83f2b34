"""Commands that print what people found: the report of an audit, and agreement."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say, write_text
from core.errors import InputError
from core.workspace import open_workspace

app = typer.Typer()


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
    from core.actions.decisions import open_reviews
    from core.actions.reporting import findings, sample_named
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
    from core.actions.raters import rating_columns, ratings_of, suggested
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
