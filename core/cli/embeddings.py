"""Embeddings side by side, on the command line."""

from dataclasses import asdict
from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say
from core.workspace import open_workspace

app = typer.Typer()


@app.command()
def embeddings(
    workspace: Where = HERE,
    use: Annotated[str | None, typer.Option(help="Work with this one: its number, the start of its key, or its model.")] = None,
    forget: Annotated[str | None, typer.Option(help="Remove this one, which must not be in use.")] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """The stored embeddings of the training data, side by side; another comes with `run embed --set embed.model=…`."""
    from core.actions.embeddings import choose, named, remove, stored

    space = open_workspace(workspace, create=False)
    space.need()
    if use:
        choose(space, use)
    if forget:
        remove(space, named(space, forget))
    known = stored(space)
    lines = []
    for number, one in enumerate(known, 1):
        faith = one.fidelity or {}
        told = (
            f"  cosine with the whole model {faith['mean_cosine']:.4f}, 10 nearest {faith['overlap_at_10']:.0%}"
            if faith
            else ""
        )
        lines.append(f"{'*' if one.active else ' '} {number:>3}  {one.key[:12]}  {one.created[:16]}  {one.title}{told}")
    say(json_, [asdict(one) for one in known], "\n".join(lines) or "No embedding is stored. Run `embed` first.")
