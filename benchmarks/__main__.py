"""`make bench`: every benchmark, one after another, each printing a Markdown table. Name some to run only those; --list names
them all."""

import ast
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALL = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def _about(name: str) -> str:
    """The first line of a benchmark's docstring."""
    return (ast.get_docstring(ast.parse((HERE / f"bench_{name}.py").read_text("utf-8"))) or "").split("\n")[0]


def main() -> None:
    if "--list" in sys.argv[1:]:
        return print("\n".join(f"{name:13} {_about(name)}" for name in ALL))
    wanted = sys.argv[1:] or ALL
    unknown = sorted(set(wanted) - set(ALL))
    if unknown:
        sys.exit(f"No benchmark {unknown[0]!r}; there are {', '.join(ALL)}.")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    failed = []
    for name in wanted:
        print(f"## {name}\n", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], cwd=HERE.parent, check=False)
        failed += [name] if done.returncode else []
        print(flush=True)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


main()
