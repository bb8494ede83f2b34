"""Commands about difficulty ratings: what to rate next, keeping ratings, learning from them, what the sources say of each other."""

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say
from core.jobs import Reporter, run_steps
from core.workspace import open_workspace

app = typer.Typer()


@app.command()
def rate(
    file: Annotated[Path | None, typer.Argument(help="CSV of ratings to keep: record_id, level (1 to 5).")] = None,
    workspace: Where = HERE,
    by: Annotated[str, typer.Option(help="Who rated.")] = os.environ.get("USER", "") or "command line",
    next_: Annotated[int, typer.Option("--next", help="List so many records to rate next.")] = 0,
    how: Annotated[str, typer.Option(help="auto, random or useful.")] = "auto",
    train: Annotated[bool, typer.Option("--train", help="Learn difficulty from what is rated.")] = False,
    source: Annotated[str, typer.Option(help="With --train: people, llm or column.")] = "people",
    json_: Json = False,
) -> None:
    """Keep difficulty ratings, list what to rate next, or learn difficulty from ratings."""
    from core.actions.rating import next_to_rate, prepare_training, ratings_here, read_ratings

    space = open_workspace(workspace, create=False)
    data = space.need()
    facts: dict = {}
    lines = []
    if file:
        facts["kept"] = read_ratings(space, data, file, by)
        lines.append(f"{facts['kept']:,} new ratings kept from {file}")
    if next_:
        batch = next_to_rate(space, data, next_, how)
        facts["next"] = {"picked": batch.picked, "note": batch.note, "record_ids": list(batch.ids)}
        lines += [batch.note, *batch.ids]
    if train:
        prepare_training(space, data, source)
        run_steps(space, ["rated_difficulty"], None, Reporter(space, None, "Learn difficulty from ratings"))
        facts["learned"] = told = _learned(space)
        lines += told["said"]
    given = ratings_here(space, data)
    facts["ratings"] = len(given)
    lines.append(f"{len(given):,} of {data.count:,} records are rated by people")
    say(json_, facts, "\n".join(lines))


@app.command("difficulty-sources")
def sources(workspace: Where = HERE, json_: Json = False) -> None:
    """Every difficulty column there is: what it owes to length, and how it agrees with people's ratings."""
    from core.actions.difficulty_sources import compare

    space = open_workspace(workspace, create=False)
    rows = compare(space, space.need())
    text = [
        f"{r['title']}: {r['records']:,} records, rank correlation with length {_number(r['length'])}, with ratings "
        f"{_number(r['ratings'])} ({r['rated']:,} rated; among texts of like length {_number(r['matched'])})"
        for r in rows
    ]
    say(json_, {"sources": rows}, "\n".join(text))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _learned(space) -> dict:
    from core.actions.rating import learned

    info = learned(space).info
    rho, low, high = info["spearman"]
    kappa = info["kappa"]
    said = [
        f"Learned from {info['ratings']:,} ratings; on {info['judged']:,} of them, unseen: rank correlation "
        f"{_number(rho)} ({_number(low)} to {_number(high)}), quadratic-weighted kappa {_number(kappa[0])} "
        f"({_number(kappa[1])} to {_number(kappa[2])})",
        *info["warnings"],
    ]
    return {
        "said": said,
        **{k: info[k] for k in ("ratings", "judged", "spearman", "kappa", "length_matched", "warnings")},
    }
