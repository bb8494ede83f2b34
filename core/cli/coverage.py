"""Commands about coverage: the collection brief of the holes, diversity beside random samples, names of clusters."""

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say
from core.errors import InputError, MissingInput
from core.workspace import open_workspace

app = typer.Typer()


@app.command()
def holes(
    workspace: Where = HERE,
    to: Annotated[Path | None, typer.Option(help="Write the collection brief there: .md or .csv.")] = None,
    json_: Json = False,
) -> None:
    """The holes against production, ranked by mass and stakes, with how many records to collect."""
    from dataclasses import asdict

    from core.actions.holes import brief, described, ranked
    from core.steps import current

    space = open_workspace(workspace, create=False)
    production, found = space.need("production"), current(space, "coverage")
    if found is None:
        raise MissingInput("The holes are not known yet. Run `coverage` first.")
    listed = ranked(space, found, production)
    if to is not None:
        text = brief(space, to.suffix.lstrip(".").lower())
        try:
            to.write_text(text, "utf-8")
        except OSError as error:
            raise InputError(
                f"{to} cannot be written: {error.strerror}. Name a file in a folder that exists."
            ) from error
    lines = described(listed) or ["No hole: no group of production records lies beyond the reach of training."]
    say(json_, {"holes": [asdict(h) for h in listed], "brief": str(to) if to else None}, "\n".join(lines))


@app.command()
def diversity(
    workspace: Where = HERE,
    subset: Annotated[str | None, typer.Option(help="A kept subset, beside random records of equal number.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Another version of the training set, by the start of its digest.")
    ] = None,
    production: Annotated[bool, typer.Option("--production", help="The production sample.")] = False,
    json_: Json = False,
) -> None:
    """How varied the set is; or a subset, a version or production, each number beside random samples of equal size."""
    from core.actions.decisions import open_reviews
    from core.actions.variety import MEASURES, of_dataset, of_records, of_set
    from core.review.subsets import subsets

    space = open_workspace(workspace, create=False)
    data = space.need()
    if subset:
        kept = next((s for s in subsets(open_reviews(space)) if s.name == subset), None)
        if kept is None:
            raise InputError(f"There is no subset {subset!r}. Keep one with `select --name`, or name another.")
        answer = of_records(space, data, kept.record_ids, subset)
    elif version or production:
        known = space.versions() if version else [space.need("production")]
        other = next((d for d in known if not version or d.digest.startswith(version)), None)
        if other is None:
            raise InputError(f"No version of the training set has a digest that begins with {version!r}.")
        answer = of_dataset(space, data, other)
    else:
        answer = of_set(space, data)
    lines = [answer.subject + (f", beside {answer.baseline} of equal number" if answer.baseline else "")]
    if answer.vendi is not None:
        lines.append(f"Vendi score of all: {answer.vendi:.2f}")
    for r in answer.rows:
        if r.value is not None:
            chance = f"; random {r.mean:.3g} ({r.low:.3g} to {r.high:.3g})" if r.mean is not None else ""
            on = f" (on {r.measured:,} of {r.of:,})" if r.measured < r.of else ""
            lines.append(f"{MEASURES[r.name][0]}: {r.value:.4g}{on}{chance}")
    say(json_, answer.facts(), "\n".join(lines))


@app.command("name-cluster")
def name_cluster(
    cluster: Annotated[int, typer.Argument(help="Its number in the clusters' table.")],
    name: Annotated[str, typer.Argument(help="The new name; empty: the terms again.")] = "",
    workspace: Where = HERE,
    level: Annotated[str, typer.Option(help="cluster, broad, middle or fine.")] = "cluster",
    by: Annotated[str, typer.Option(help="Who names it.")] = os.environ.get("USER", "") or "command line",
    json_: Json = False,
) -> None:
    """Give a cluster a name of yours; it stays when the clusters are found again and this one is essentially the same."""
    from core.actions.naming import rename

    space = open_workspace(workspace, create=False)
    shown = rename(space, level, cluster, name, by)
    say(json_, {"level": level, "cluster": cluster, "name": shown}, f"Cluster {cluster} is called {shown}")
