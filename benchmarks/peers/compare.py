"""Our engine and the peers' on one task, one after another on the same machine: speed, memory, and whether the answers agree.

python -m benchmarks.peers.compare [--size small|large] [--spaces lora-qkv,linear] [--only quadrant,bergson] [--threads 1]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import install, task

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bergson", "dattri", "kronfluence", "captum", "less")
SIZES = {
    "tiny": dict(width=64, blocks=2, vocabulary=512, train=40, valid=12, length=40, batch_tokens=512),
    "small": dict(width=128, blocks=3, vocabulary=4096, train=300, valid=40, length=120, batch_tokens=2048),
    "large": dict(width=384, blocks=8, vocabulary=8192, train=200, valid=20, length=160, batch_tokens=2048),
}
LINEAR_ONLY = ("bergson", "kronfluence", "captum")
CANNOT = "has no gradients of embeddings and norms: see `linear`"
AGREE = 1e-5  # relative L2 difference, float32


def ask(
    tool: str, folder: Path, space: str, out: Path, threads: int, limit: float = 1800, runner: str = ""
) -> dict[str, Any]:
    """{phases, memory_mib, wall, cpu, scores} of one tool in a process of its own, or {absent: why}.

    `runner`: which run_*.py of the tool's environment is asked, when it is not the tool's own name.
    """
    if tool not in ("quadrant", "forward"):
        reason = install.absent(tool)
        if reason:
            return {"absent": reason}
    if space == "all" and tool in LINEAR_ONLY:
        return {"absent": CANNOT}
    python = sys.executable if tool in ("quadrant", "forward") else str(install.python(tool))
    module, what = ("quadrant", "forward") if tool == "forward" else (runner or tool, space)
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [python, "-m", f"benchmarks.peers.run_{module}", str(folder), what, str(out)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"absent": f"not done within {limit:.0f} s"}
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"absent": f"failed: {lines[-1][:200] if lines else done.returncode}"}
    report = json.loads((out / "report.json").read_text("utf-8"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report | {"wall": wall, "cpu": cpu, "scores": np.load(out / "scores.npy", allow_pickle=False)}


def seconds(report: dict[str, Any], kind: int) -> float:
    """Query and scores, the model loaded: wall (0) or CPU (1) seconds."""
    return sum(report["phases"].get(phase, [0, 0])[kind] for phase in ("query", "score"))


def table(
    size: str, spaces: tuple[str, ...], tools: tuple[str, ...], threads: int = 1, say: Callable[[str], None] = print
) -> list[str]:
    """Tells a Markdown table line by line; returns sentences on answers that do not agree with ours."""
    shape = SIZES[size]
    apart: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "task"
        task.write_task(folder, **shape)
        weights = (folder / "model" / "model.safetensors").stat().st_size / 4e6
        facts = task.Task(folder)
        read = sum(len(x) for x in facts.ids["train"])
        count = shape["train"]
        forward = ask("forward", folder, "forward", Path(place) / "forward", threads)
        base = forward["phases"]["score"]
        for line in (
            f"{size}: Llama shape, {weights:.1f} M parameters, {count} records of {read / count:.0f} tokens, "
            f"{shape['valid']} validation records, sum loss, batches of {shape['batch_tokens']:,} tokens, {threads} thread(s), "
            f"float32, CPU. A forward pass with losses takes {base[0]:.1f} s ({base[1]:.1f} CPU s).",
            "",
            "| parameters | tool | records/s, end to end | records/s, engine | engine CPU s | scores / forward (CPU) | memory MiB "
            "| difference to ours |",
            "|---|---|---|---|---|---|---|---|",
        ):
            say(line)
        for space in spaces:
            found: dict[str, dict[str, Any]] = {}
            for tool in ("quadrant", *tools):
                report = found[tool] = ask(tool, folder, space, Path(place) / f"{tool}-{space}", threads)
                if "absent" in report:
                    say(f"| {space} | {tool} | {report['absent']} | | | | | |")
                    continue
                gap = ""
                if tool != "quadrant" and "scores" in found["quadrant"]:
                    ours = found["quadrant"]["scores"]
                    apart_by = np.linalg.norm(report["scores"] - ours) / np.linalg.norm(ours)
                    gap = f"{apart_by:.1e}"
                    if not apart_by <= AGREE:
                        apart.append(
                            f"{tool} on {space} differs from our scores by {apart_by:.1e} (limit {AGREE:.0e})."
                        )
                ratio = report["phases"]["score"][1] / base[1]
                say(
                    f"| {space} | {tool} | {count / report['wall']:.1f} | {count / seconds(report, 0):.1f} | {seconds(report, 1):.1f} "
                    f"| {ratio:.2f} | {report['memory_mib']:,.0f} | {gap} |"
                )
            for line in verdict(space, found):
                say(line)
    return apart


def verdict(space: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """A row that sets ours against the fastest peer, by wall and by CPU time."""
    peers = {k: v for k, v in found.items() if k != "quadrant" and "absent" not in v}
    if not peers or "absent" in found["quadrant"]:
        return []
    ours, parts = found["quadrant"], []
    for name, of in (
        ("end to end", lambda r: r["wall"]), ("end to end, CPU time", lambda r: r["cpu"]),
        ("engine", lambda r: seconds(r, 0)), ("engine, CPU time", lambda r: seconds(r, 1)),
    ):  # fmt: skip
        best = min(peers, key=lambda k: of(peers[k]))
        parts.append(f"{of(peers[best]) / of(ours):.2f}x {best} ({name})")
    return [f"| {space} | **ours to the fastest peer** | {'; '.join(parts)} | | | | | |"]


def main(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", action="append", choices=sorted(SIZES))
    options.add_argument("--spaces", default=",".join(task.SPACES))
    options.add_argument("--only", default=",".join(TOOLS), help="peers to ask")
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args(arguments)
    apart: list[str] = []
    for size in given.size or ["small", "large"]:
        tools = tuple(x for x in given.only.split(",") if x)
        apart += table(size, tuple(given.spaces.split(",")), tools, given.threads, partial(print, flush=True))
        print(flush=True)
    if apart:
        sys.exit(" ".join(apart))


if __name__ == "__main__":
    main()
