"""What the commands share: their options, how they print, and how they read what was typed."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cluster import Compute
from core.errors import InputError
from core.jobs import Reporter
from core.steps import STEPS
from core.workspace import Dataset, Workspace, write_atomically

Where = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder; made by import and analyze.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
JobId = Annotated[str | None, typer.Option("--job", hidden=True)]
By = Annotated[str, typer.Option(help="Who does it, for the record.")]
Params = Annotated[list[str] | None, typer.Option("--set", help="A step's parameter, e.g. --set influence.space=lora.")]
HERE = Path("workspace")
ME = os.environ.get("USER", "") or "command line"


def say(as_json: bool, facts: Any, text: str) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=1, default=str) if as_json else text)


def stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing file.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Correct it.") from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


def number_or_word(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def read_params(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """`step.name=value` -> {step: {name: value}}; a value is read as JSON where it is JSON, else taken as text."""
    found: dict[str, dict[str, Any]] = {}
    for item in given or []:
        left, equals, right = item.partition("=")
        step, dot, name = left.rpartition(".")
        if not equals or not dot or step not in STEPS:
            raise InputError(f"--set {item!r} is not understood. Write step.parameter=value, for example map.seed=7.")
        try:
            value = json.loads(right)
        except ValueError:
            value = right
        found.setdefault(step, {})[name] = value
    return found


def keep_params(workspace: Workspace, given: list[str] | None) -> None:
    """What is set on the command line stays set in the workspace, so that later commands and the app see the same results."""
    from core.steps import set_params

    for step, values in read_params(given).items():
        set_params(workspace, step, values)


def keep_compute(workspace: Workspace, workers: int | None, ray: str | None) -> None:
    """Where batches are computed stays set too: the app's jobs follow it."""
    if workers is None and ray is None:
        return
    if workers is None:
        workers = 0 if ray else 1  # 0: all that the cluster has
    workspace.set_setting("compute", Compute(workers, ray or "").checked().facts())


def bring_in(
    workspace: Workspace, file: Path, role: str, schema: str, fields: list[str] | None, reporter: Reporter, index: int,
    mapping: str | None = None, name: str | None = None,
) -> Dataset:  # fmt: skip
    """Import a file in a role, its mapping recognised and then corrected by `fields`, or given whole."""
    from core.dataset.importing import import_file
    from core.dataset.mapping import edited
    from core.dataset.preview import preview

    mapping = json.loads(mapping) if mapping else None
    if fields:
        seen = preview(file, rows=1, role=role, schema=schema)
        mapping = edited(seen.mapping, fields)
    report = reporter.progress(index)
    return workspace.add(
        role, name or file.name, lambda folder: import_file(file, folder, role, mapping, report, schema)
    )  # fmt: skip


def import_line(data: Dataset) -> str:
    """What an import did, in one line: how many records, and how many rows were quarantined for which reason."""
    report = data.report
    text = f"{data.count:,} {data.role} records imported from {data.name} ({report['schema']})"
    reasons = ", ".join(f"{fact['count']:,} {kind}" for kind, fact in report["reasons"].items())
    return (
        f"{text}; {report['quarantined']:,} row{'s' * (report['quarantined'] != 1)} quarantined: {reasons}"
        if report["quarantined"]
        else text
    )
