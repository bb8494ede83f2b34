"""A large set through every step, each in a process of its own, with time and memory: `python -m benchmarks.million FOLDER`.

Makes the set first when FOLDER has none (benchmarks/large.py). Memory: the most that a process held of its own (RssAnon), and with the
pages of mapped files that it shares with the page cache (VmHWM). Steps that are stored already are not run again, so a run that was
stopped goes on; its table keeps what was measured before.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.large import make

STEPS = (
    "embed", "embed:production", "preview", "neighbours", "map", "clusters", "duplicates", "formats", "distribution", "labels",
    "coverage",
)  # fmt: skip

HEAD = "| step | wall s | CPU s | own memory GiB | with mapped files | load |\n|---|---|---|---|---|---|"


def measured(command: list[str]) -> dict:
    """Run `python -m core …`; wall and CPU seconds, and the most memory held, in GiB."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "core", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    own = whole = 0
    while child.poll() is None:
        try:
            facts = dict(line.split(":", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines())
            own = max(own, int(facts.get("RssAnon", "0 kB").split()[0]))
            whole = max(whole, int(facts.get("VmHWM", "0 kB").split()[0]))
        except OSError:
            pass
        time.sleep(0.1)
    said = child.stderr.read()
    seconds = os.times()
    return {
        "command": " ".join(command[:2]), "wall": round(time.perf_counter() - begun, 1), "own": round(own / 2**20, 2),
        "whole": round(whole / 2**20, 2), "rc": child.returncode, "said": said[-600:] if child.returncode else "",
        "cpu_total": round(seconds.children_user + seconds.children_system, 1), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", help="these steps alone")
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    args = parser.parse_args()
    log = args.folder / "measured.jsonl"
    if args.table:
        print("\n".join([HEAD, *(row(json.loads(line)) for line in log.read_text().splitlines())]))
        return
    data, space = args.folder / "data", str(args.folder / "workspace")
    if not (data / "training.jsonl").exists():
        print(json.dumps(make(data, args.records, max(200, args.records // 50))), flush=True)
    log = args.folder / "measured.jsonl"
    done = (
        {entry["step"] for entry in map(json.loads, log.read_text().splitlines()) if not entry["rc"]}
        if log.exists()
        else set()
    )
    jobs = {
        f"import {role}": ["import", str(data / f"{role}.jsonl"), "-w", space, "--role", role]
        for role in ("training", "production")
    }
    vectors = [
        "--set",
        f"embed.model={data / 'training.npy'}",
        "--set",
        f"embed.production_vectors={data / 'production.npy'}",
    ]
    jobs |= {step: ["run", step, "-w", space, *(vectors if step == "embed" else [])] for step in STEPS}
    jobs["export"] = ["export", "-w", space, "--to", "trl", "--out", str(args.folder / "export.jsonl")]
    before = 0.0
    print(HEAD)
    for step, command in jobs.items():
        if step in done or (args.only and step not in args.only):
            continue
        entry = {"step": step} | measured(command)
        entry["cpu"], before = round(entry["cpu_total"] - before, 1), entry["cpu_total"]
        with log.open("a") as stream:
            stream.write(json.dumps(entry) + "\n")
        print(row(entry), entry["said"], flush=True)


def row(entry: dict) -> str:
    return f"| {' | '.join(str(entry[name]) for name in ('step', 'wall', 'cpu', 'own', 'whole', 'load'))} |"


if __name__ == "__main__":
    main()
