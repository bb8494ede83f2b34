"""The most memory that a process of each step holds of its own, against the file it works on: `python -m benchmarks.bench_memory`.

`[FOLDER] [--records 50000] [--only STEP …]`. Makes a set with benchmarks/large.py (precomputed vectors, a production sample, a
validation set) in FOLDER, then runs each step by `python -m core` in a process of its own and reads RssAnon, as
benchmarks/million.py does. The house's rule: an analysis step holds at most 3 times the file that was imported.

A process that has loaded the libraries of a step, and worked on next to nothing, holds what its code and tables take, which does not
grow with the set. So everything is run on a small set of the same kind too, and the rule is put to the difference.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.large import make
from benchmarks.million import measured

LIMIT = 3.0
SMALL = 2_000
STEPS = (
    "embed", "embed:production", "embed:validation", "neighbours", "map", "clusters", "duplicates", "formats", "labels",
    "contradictions", "distribution", "leakage", "coverage",
)  # fmt: skip
SLOW = ("misfit", "influence", "difficulty")  # embed responses, or train a model first: measured when they are named
HEAD = "| step | own memory, MiB | of a set of 2,000 | the difference, x the file | within 3 x | CPU s |\n|---|---|---|---|---|---|"


def prepare(folder: Path, records: int) -> Path:
    """The set, with a validation set of its own, in FOLDER/data."""
    data = folder / "data"
    if not (data / "training.jsonl").exists():
        make(data, records, max(200, records // 50))
        made = folder / "validation"
        make(made, max(200, records // 100), 20, seed=5)
        for suffix in ("jsonl", "npy"):
            (made / f"training.{suffix}").rename(data / f"validation.{suffix}")
    return data


def peaks(folder: Path, records: int, only: list[str] | None = None) -> dict[str, dict]:
    """step -> {"own": GiB, "cpu": seconds, "rc", "said"}, all steps in a new workspace, or some in that of an earlier run."""
    data, space = prepare(folder, records), str(folder / "workspace")
    given = [
        "--set", f"embed.model={data / 'training.npy'}", "--set", f"embed.production_vectors={data / 'production.npy'}",
    ]  # fmt: skip
    if not only:
        shutil.rmtree(space, ignore_errors=True)  # a stored result would be measured as the reading of it
    commands = {
        f"import {role}": ["import", str(data / f"{role}.jsonl"), "-w", space, "--role", role]
        for role in ("training", "production", "validation")
    }
    commands |= {step: ["run", step, "-w", space] for step in (*STEPS, *SLOW)}
    commands["embed"] += [*given, "--set", f"embed.validation_vectors={data / 'validation.npy'}"]
    found, before = {}, 0.0
    for step, command in commands.items():
        if step not in (only or commands) or (step in SLOW and not only):
            continue
        one = measured(command)
        found[step] = one | {"cpu": one["cpu_total"] - before}
        print(f"{folder.name}: {step}, {1024 * one['own']:.0f} MiB", file=sys.stderr, flush=True)
        before = one["cpu_total"]
    return found


def row(step: str, large: dict, small: dict, size: int) -> str:
    if large["rc"] or small["rc"]:
        said = (large["said"] or small["said"]).strip().splitlines()
        return f"| {step} | did not run: {said[-1][:120] if said else ''} | | | | |"
    share = max(0.0, large["own"] - small["own"]) * 2**30 / size
    cells = (
        f"{large['own'] * 1024:.0f}", f"{small['own'] * 1024:.0f}", f"{share:.1f}", "yes" if share <= LIMIT else "**no**",
        f"{large['cpu']:.1f}",
    )  # fmt: skip
    return f"| {step} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--only", nargs="*", help="these steps alone, in a workspace that has the others")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as gone:
        folder = args.folder or Path(gone)
        small = peaks(folder / "small", SMALL, args.only)
        large = peaks(folder / "large", args.records, args.only)
        size = (folder / "large" / "data" / "training.jsonl").stat().st_size
    print(f"{args.records:,} records of 384 dimensions, a file of {size / 2**20:.0f} MiB\n\n{HEAD}")
    for step, one in large.items():
        print(row(step, one, small[step], size))


if __name__ == "__main__":
    main()
