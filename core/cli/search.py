"""Commands about selections: finding records by text, expression, meaning or likeness, and combining saved ones."""

from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say
from core.errors import InputError, MissingInput
from core.workspace import open_workspace

Names = list[str] | None
BY = ("meaning", "text", "regex", "like")


app = typer.Typer()


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A text, an RE2 expression, or with --by like a record id.")],
    workspace: Where = HERE,
    by: Annotated[str, typer.Option(help="meaning, text, regex or like.")] = "meaning",
    limit: Annotated[int, typer.Option(help="At most so many records; 0 = all that hold the text.")] = 50,
    name: Annotated[str | None, typer.Option(help="Save the hits as a selection of this name.")] = None,
    json_: Json = False,
) -> None:
    """Find training records by meaning, by their text, by an expression, or like another record."""
    space = open_workspace(workspace, create=False)
    data = space.need()
    found = _find(space, data, query, by, limit)
    ids, scores = (found.column(k).to_pylist() for k in range(2))
    if name:
        _save(space, name, ids, "search", {"by": by, "query": query})
    what = "occurrences" if by in ("text", "regex") else "cosine similarity"
    facts = {"by": by, "query": query, "what": what, "record_ids": ids, "scores": scores}
    lines = [f"{len(ids):,} records, {what}", *(f"{i}  {s:.4g}" for i, s in zip(ids, scores, strict=True))]
    say(json_, facts, "\n".join(lines))


@app.command()
def combine(
    name: Annotated[str, typer.Argument(help="The name of the new selection.")],
    workspace: Where = HERE,
    any_: Annotated[Names, typer.Option("--any", help="In at least one of these selections (or).")] = None,
    all_: Annotated[Names, typer.Option("--all", help="In each of these selections (and).")] = None,
    none: Annotated[Names, typer.Option("--none", help="In none of these selections (not).")] = None,
    json_: Json = False,
) -> None:
    """Save a selection made of others: in any of some, in all of others, in none of the rest."""
    from core.actions.decisions import open_reviews
    from core.review.combining import combined

    space = open_workspace(workspace, create=False)
    ids = combined(open_reviews(space), any_ or (), all_ or (), none or ())
    if not ids:
        raise InputError("No record is in that combination, so nothing is saved. Leave out one of the conditions.")
    _save(space, name, ids, "combined", {"any": any_ or [], "all": all_ or [], "none": none or []})
    say(json_, {"name": name, "record_ids": ids}, f"{len(ids):,} records saved as {name!r}")


def _find(space, data, query: str, by: str, limit: int):
    from core.embedding import search
    from core.steps import current

    if by not in BY:
        raise InputError(f"There is no search by {by!r}. Search by {', '.join(BY)}.")
    if by in ("text", "regex"):
        return search.by_text(data, query, limit=limit or None, regex=by == "regex")
    embed = current(space, "embed")
    if embed is None:
        raise MissingInput(
            "A search by meaning needs the embedding, which is not computed yet. Run `embed`, or search by text."
        )
    run = search.by_meaning if by == "meaning" else search.by_example
    return run(embed, query, limit or data.count)


def _save(space, name: str, ids: list[str], strategy: str, params: dict) -> None:
    from core.actions.decisions import open_reviews
    from core.review.subsets import add_subset

    digest = space.need().digest
    add_subset(
        open_reviews(space), name, ids, by="command line", strategy=strategy, dataset_digest=digest, params=params
    )
