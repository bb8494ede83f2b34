"""Commands about what is asked in a review, and about the corrected responses that readers propose."""

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import HERE, Json, Where, say
from core.errors import InputError
from core.workspace import open_workspace

app = typer.Typer()


@app.command()
def rubrics(
    workspace: Where = HERE,
    show: Annotated[str | None, typer.Option(help="Print the rubric with this id as its file.")] = None,
    add: Annotated[Path | None, typer.Option(help="Check a rubric's JSON file and keep it in the workspace.")] = None,
    remove: Annotated[str | None, typer.Option(help="Take the workspace's file of this id away.")] = None,
    use: Annotated[str | None, typer.Option(help="Read a sample with the rubric of this id.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="With --use: the sample's id or its start; the newest when absent.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the rubrics, print one, add or remove one, or choose the one that a sample is read with."""
    from core.actions.decisions import open_reviews
    from core.review import rubrics as rub
    from core.review.rubric_store import use_rubric

    space = open_workspace(workspace, create=False)
    if show:
        one = rub.rubric_named(space.path, show)
        say(json_, dict(one.data), rub.json_of(one).rstrip())
        return
    said = []
    if add:
        try:
            text = add.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{add} cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}. Name a JSON file."
            ) from error
        one = rub.rubric_from(text, add.name)
        said.append(f"{one.id} kept as {rub.keep_rubric(space.path, one)}, version {one.digest[:12]}")
    if remove and not rub.forget_rubric(space.path, remove):
        raise InputError(
            f"The workspace has no file of its own for the rubric {remove!r}. `rubrics` lists those it has."
        )
    if use:
        store, one = open_reviews(space), rub.rubric_named(space.path, use)
        found = _sample(store, sample)
        use_rubric(store, found.id, one, "command line")
        said.append(f"{found.name} is read with {one.id}, version {one.digest[:12]}")
    found, problems = rub.rubrics(space.path)
    listed = [
        {
            "id": one.id, "title": one.title, "version": one.digest, "criteria": list(one.questions), "rule": one.rule,
            "from": "workspace" if (space.path / "rubrics" / f"{one.id}.json").is_file() else "ready",
        }
        for one in found.values()
    ]  # fmt: skip
    lines = [
        f"{r['id']}: {r['title']} ({r['from']}, version {r['version'][:12]}): {', '.join(r['criteria'])}"
        for r in listed
    ]
    say(json_, {"rubrics": listed, "problems": problems, "said": said}, "\n".join([*said, *lines, *problems]))


@app.command()
def corrections(
    workspace: Where = HERE,
    accept: Annotated[
        list[str] | None, typer.Option(help="Accept the correction of this record; may be repeated.")
    ] = None,
    reject: Annotated[list[str] | None, typer.Option(help="The correction of this record is not wanted.")] = None,
    withdraw: Annotated[list[str] | None, typer.Option(help="This record stands as imported again.")] = None,
    of: Annotated[str | None, typer.Option(help="Whose correction, where several readers wrote one.")] = None,
    by: Annotated[str, typer.Option(help="Who decides.")] = os.environ.get("USER", "") or "command line",
    json_: Json = False,
) -> None:
    """List the corrected responses that readers propose, and accept or reject them; `export --corrections` applies them."""
    from core.actions.decisions import open_reviews
    from core.review.edits import decide, edits, proposals
    from core.review.samples import samples
    from core.review.verdicts import current_verdicts

    store = open_reviews(open_workspace(workspace, create=False))
    standings = [entry for one in samples(store) for entry in current_verdicts(store, one.id)]
    for action, ids in (("accept", accept), ("reject", reject), ("withdraw", withdraw)):
        for record_id in ids or ():
            found = [p for p in proposals(standings, edits(store)) if p.record_id == record_id and of in (None, p.by)]
            texts = {p.text for p in found}
            if len(texts) != 1:
                many = (
                    f"{len(texts)} different corrections; name the reader with --of"
                    if texts
                    else "no correction; list them first"
                )
                raise InputError(f"Record {record_id} has {many}.")
            decide(store, found[0], action, by)
    now = proposals(standings, edits(store))
    listed = [{"record_id": p.record_id, "by": p.by, "state": p.decision or "open", "text": p.text} for p in now]
    lines = [f"{r['record_id']} by {r['by']}: {r['state']}: {' '.join(r['text'].split())[:100]}" for r in listed]
    say(json_, {"corrections": listed}, "\n".join(lines) or "No response is corrected yet.")


def _sample(store, wanted: str | None):
    from core.review.samples import samples

    found = [one for one in samples(store) if wanted is None or one.id.startswith(wanted) or one.name == wanted]
    if not found or (wanted and len(found) > 1):
        raise InputError(
            f"{'No sample' if not found else f'{len(found)} samples'} answer to {wanted!r}. Give more of its id."
        )
    return found[0]
