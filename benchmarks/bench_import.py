"""Import and export of MedQuAD (47,441 rows, 39 MB): seconds, and memory beyond that of the loaded program.

    python benchmarks/bench_import.py [FILE]

Each run is a process of its own, so that the peak is its own. Targets: import < 5 s, memory <= 3x the input.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEDQUAD = ROOT.parent / "shared/data/medquad/medquad_flat.jsonl.gz"


def peak() -> int:
    """Bytes of memory held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_import(path: Path, role: str, folder: Path) -> dict:
    from core.dataset.importing import import_file

    before, started, used = peak(), time.perf_counter(), time.process_time()
    facts = import_file(path, folder, role)
    found = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used, "memory": peak() - before}
    (folder / "facts.json").write_text(json.dumps(facts), "utf-8")
    return found | {"records": facts["count"], "rows": facts["report"]["rows"]}


def measure_export(folder: Path, to: str) -> dict:
    import pyarrow.parquet as pq

    from core.dataset.writing import write
    from tests.dataset_files import Imported

    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    data = Imported(folder, "training", "medquad", facts["digest"], facts["count"], facts["mapping"], facts["report"])
    before, started = peak(), time.perf_counter()
    with pq.ParquetFile(folder / "records.parquet", pre_buffer=False) as file:
        ids = file.read(columns=["record_id"], use_threads=False).column(0).to_pylist()
    write(data, ids, to, folder / f"out-{to}", overwrite=True)
    return {"seconds": time.perf_counter() - started, "memory": peak() - before}


def alone(*words: object) -> dict:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", *map(str, words)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def unpacked(path: Path, folder: Path) -> Path:
    import gzip
    import shutil

    if path.suffix != ".gz":
        return path
    target = folder / path.name.removesuffix(".gz")
    with gzip.open(path) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out)
    return target


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        sys.path.insert(0, str(ROOT))
        what, *words = sys.argv[2:]
        if what == "import":
            print(json.dumps(measure_import(Path(words[0]), words[1], Path(words[2]))))
        else:
            print(json.dumps(measure_export(Path(words[0]), words[1])))
        return
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else MEDQUAD
    if not path.is_file():
        print(f"{path} is not there; give a file: python benchmarks/bench_import.py FILE")
        return
    with tempfile.TemporaryDirectory() as name:
        plain = unpacked(path, Path(name))
        size = plain.stat().st_size
        print(f"{path.name}: {size / 1e6:.1f} MB of text\n")
        print("| step | role | rows | records | s (CPU s) | memory MB (x input) |\n|---|---|---|---|---|---|")
        for role in ("training", "production"):
            for file in dict.fromkeys((path, plain)):
                with tempfile.TemporaryDirectory() as folder:
                    r = alone("import", file, role, folder)
                    print(
                        f"| import {file.suffix} | {role} | {r['rows']:,} | {r['records']:,} | {r['seconds']:.2f} ({r['cpu']:.2f}) "
                        f"| {r['memory'] / 1e6:.0f} ({r['memory'] / size:.1f}x) |"
                    )
                    for to in ("original", "jsonl", "trl") if role == "training" and file == path else ():
                        e = alone("export", folder, to)
                        print(
                            f"| export {to} | {role} | | {r['records']:,} | {e['seconds']:.2f} "
                            f"| {e['memory'] / 1e6:.0f} ({e['memory'] / size:.1f}x) |"
                        )


if __name__ == "__main__":
    main()
