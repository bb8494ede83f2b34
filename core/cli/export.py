"""Exports on the command line: the file for a trainer, its splits, its card, and what the trainer would drop."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import HERE, JobId, Json, Where, say, stderr, write_text
from core.jobs import Reporter
from core.workspace import Workspace, open_workspace

Subset = Annotated[str | None, typer.Option(help="A named subset; everything but the removed records if absent.")]
Ids = Annotated[Path | None, typer.Option("--ids", help="A JSON list of record ids, in the order to write.")]
Title = Annotated[str, typer.Option("--title", hidden=True)]
Edits = Annotated[
    bool, typer.Option("--corrections", help="Write accepted edits and changed labels in place of what was imported.")
]
Limit = Annotated[int | None, typer.Option(help="Most tokens of a record; the trainer's default when absent.")]
Tokens = Annotated[
    str | None, typer.Option("--tokenizer", help="A tokenizer.json, or its folder, to count with; else an estimate.")
]


app = typer.Typer()


@app.command()
def export(
    to: Annotated[str, typer.Option(help="original, jsonl, csv, csv-safe, parquet, trl, openai, axolotl, llamafactory …")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    workspace: Where = HERE, subset: Subset = None, ids: Ids = None, title: Title = "",
    overwrite: bool = False, corrections: Edits = False,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Leave out what the trainer would refuse or drop.")] = False,
    limit: Limit = None, tokenizer: Tokens = None,
    split: Annotated[str | None, typer.Option(help="A file for each split: train=80,validation=10,test=10.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="What stays in one split: duplicates, prompt, or a column. May be repeated.")
    ] = None,
    stratify: Annotated[str, typer.Option(help='Column whose mix each split should have; "" for none.')] = "category",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    card: Annotated[bool, typer.Option("--card", help="Write a dataset card in Markdown beside it.")] = False,
    job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Write records for a trainer, with a manifest beside it; if asked in splits whose groups stay whole, and with a card."""
    from core.actions.exporting import Splitting, export_records
    from core.dataset.splitting import parse_shares

    space = open_workspace(workspace, create=False)
    how = Splitting(parse_shares(split), tuple(group or ()), stratify, seed) if split else None
    manifest = _reported(
        space, job, f"Export {out.name}", out,
        lambda progress: export_records(
            space, to, out, subset, _ids(ids), title, overwrite, progress, corrections, leave_out, limit, tokenizer, how, card
        ),
    )  # fmt: skip
    say(json_, manifest, "\n".join(_lines(manifest, to, out, corrections)))


@app.command()
def preflight(
    to: Annotated[str, typer.Option(help="trl, trl-prompt-completion, trl-preference, axolotl, llamafactory or openai.")],
    workspace: Where = HERE, subset: Subset = None, ids: Ids = None, corrections: Edits = False, limit: Limit = None,
    tokenizer: Tokens = None,
    out: Annotated[Path | None, typer.Option(help="Also write what was found here, as JSON with every record id.")] = None,
    job: JobId = None, json_: Json = False,
) -> None:  # fmt: skip
    """Which records a trainer would drop, cut or refuse, and why; nothing is exported."""
    from core.actions.exporting import check
    from core.dataset.preflight import EFFECTS

    space = open_workspace(workspace, create=False)
    found = _reported(
        space, job, f"Preflight for {to}", out,
        lambda progress: check(space, to, subset, _ids(ids), corrections, limit, tokenizer, progress),
    )  # fmt: skip
    facts = found.to_json()
    if out:
        everything = facts | {"ids": {f.rule: list(f.ids) for f in found.findings}, "left_out": list(found.lost)}
        write_text(out, json.dumps(everything, ensure_ascii=False))
    lines = [
        f"{found.records:,} records for {to}, at most {found.limit:,} tokens ({found.counted}); the longest has {found.longest:,}"
    ]
    lines += [f"{f.effect:8} {len(f.ids):>8,}  {f.title} (first: {f.ids[0]}, {f.details[0]})" for f in found.findings]
    lines.append(f"{len(found.lost):,} would be lost ({EFFECTS['refused']}, or {EFFECTS['dropped']})")
    say(json_, facts, "\n".join(lines))


def _reported(space: Workspace, job: str | None, title: str, out: Path | None, work: Callable[[Any], Any]) -> Any:
    """The work done under a status file, where it is a job."""
    reporter = Reporter(space, job, title, None if job or not sys.stderr.isatty() else stderr)
    reporter.add([("export", title)])
    reporter.set(0, state="running")
    found = work(reporter.progress(0))
    reporter.set(0, state="done", done=1, total=1, message=str(out) if out else "")
    reporter.state("done")
    return found


def _lines(manifest: dict, to: str, out: Path, corrections: bool) -> list[str]:
    files = manifest.get("files")
    if files:
        lines = [f"{one['records']:,} records written to {one['file']} ({name})" for name, one in files.items()]
        facts = manifest["splits"]
        lines.append(
            f"groups by {', '.join(facts['grouped_by'])} stay whole; furthest share off by {100 * facts['off_by']:.2f} points"
        )
        if "near_duplicates_across" in facts:
            lines.append(
                f"{facts['near_duplicates_across']:,} near-duplicate pairs (similarity {facts['similarity']:g}) across splits"
            )
    else:
        lines = [f"{manifest['records']:,} records written to {out} ({to}); manifest beside it"]
    lines += manifest["notes"]
    left = manifest["subset"].get("preflight", {}).get("left_out")
    if left is not None:
        lines.append(f"{len(left):,} records left out that the trainer would refuse or drop; the manifest names them")
    if corrections:
        lines.append(
            f"{len(manifest['subset']['corrections']):,} corrected responses; their originals are in the manifest"
        )
        lines += [
            f"{one['record_id']} left as imported: {one['why']}" for one in manifest["subset"]["corrections_left_out"]
        ]
        if manifest["subset"].get("labels"):
            lines.append(f"{len(manifest['subset']['labels']):,} labels changed; the imported ones are in the manifest")
    return lines + ([f"card written to {manifest['card']}"] if manifest.get("card") else [])


def _ids(path: Path | None) -> list[str] | None:
    from core.errors import InputError

    if path is None:
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise ValueError("it is no list of texts")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as record ids: {error}. Give a JSON list of ids.") from None
    return found
