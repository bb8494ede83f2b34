"""Builds one environment for each peer that has none: `python -m benchmarks.peers.install`; with names, builds those again.

The peers ask for other versions of torch and its friends than the app does (bergson even replaces torch), so each gets a virtual
environment below `.venv/peers/` (or $QUADRANT_PEERS). What cannot be installed is kept with its reason in `failed.txt`, and every
table names it as absent.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

TORCH = "torch==2.13.0"
PEERS: dict[str, tuple[str, ...]] = {
    "bergson": ("bergson==2.5.1",),
    "dattri": ("dattri==0.3.0", "transformers>=5.20,<6", "safetensors"),
    "kronfluence": ("kronfluence==1.0.1", "transformers>=5.20,<6", "safetensors"),
    "captum": ("captum==0.9.0", "transformers>=5.20,<6", "safetensors"),
    "traker": ("traker==0.3.2", "transformers>=5.20,<6", "safetensors"),
    "faiss": ("faiss-cpu>=1.12",),
    "cleanlab": ("cleanlab[datalab]==2.9.0",),
    "less": ("transformers>=5.20,<6", "safetensors"),  # not a package: its loop, see run_less.py
}
UNWANTED = ("torchvision", "torchaudio")  # builds for another torch; importing them breaks transformers


def home() -> Path:
    return Path(os.environ.get("QUADRANT_PEERS") or Path(__file__).resolve().parents[2] / ".venv" / "peers")


def python(name: str) -> Path:
    return home() / name / "bin" / "python"


def absent(name: str) -> str:
    """Why a peer cannot be asked; "" when it can."""
    if (home() / name / "ready").is_file():
        return ""
    reason = home() / name / "failed.txt"
    if reason.is_file():
        return reason.read_text("utf-8").strip()
    return f"not installed (python -m benchmarks.peers.install {name})"


def install(name: str) -> str:
    """Build the environment of one peer from nothing; returns "" or why it did not work."""
    folder = home() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "log.txt").touch()

    def pip(*arguments: str) -> None:
        command = [str(python(name)), "-m", "pip", *arguments]
        with (folder / "log.txt").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, timeout=1800)

    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        pip("install", "-q", "--disable-pip-version-check", TORCH, "numpy")
        # The torch that is there stays: a peer that asks for another one would bring a CUDA build of several gigabytes.
        (folder / "keep.txt").write_text(f"{TORCH}\n")
        pip("install", "-q", "--disable-pip-version-check", "-c", str(folder / "keep.txt"), *PEERS[name])
        pip("uninstall", "-q", "-y", *UNWANTED)
        module = {"traker": "trak", "less": "transformers"}.get(name, name)
        subprocess.run(
            [str(python(name)), "-c", f"import torch, {module}"], check=True, capture_output=True, timeout=300
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", b"") or (folder / "log.txt").read_bytes()
        lines = [x for x in said.decode("utf-8", "replace").splitlines() if x.strip()]
        reason = f"did not install: {lines[-1][:300] if lines else error}"
        (folder / "failed.txt").write_text(reason + "\n", "utf-8")
        return reason
    versions = subprocess.run(
        [str(python(name)), "-m", "pip", "freeze", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    )
    (folder / "ready").write_text(versions.stdout, "utf-8")
    return ""


def main() -> None:
    unknown = sorted(set(sys.argv[1:]) - set(PEERS))
    if unknown:
        sys.exit(f"No peer {unknown[0]!r}; there are {', '.join(PEERS)}.")
    for name in sys.argv[1:] or [p for p in PEERS if absent(p)]:
        print(f"{name}: {install(name) or 'installed'}", flush=True)


if __name__ == "__main__":
    main()
