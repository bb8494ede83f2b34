"""Rules of the house that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "umap", "hdbscan", "sklearn", "transformers", "sentence_transformers", "pynndescent", "numba"}
FLOORS = {
    "errors": 0, "progress": 0, "cluster": 1, "dataset": 1, "workspace": 2, "embedding": 3, "influence": 4,
    "quality": 4.5, "review": 4, "figures": 5, "standing": 5, "raters": 5, "steps": 6, "decisions": 6, "jobs": 7,
    "frame": 7, "picks": 7, "summary": 8, "heat": 8, "choosing": 8, "auditing": 8, "card": 8.5, "exporting": 9,
    "versions": 8, "version_history": 8.5, "version_figures": 9, "recipes": 9, "cli_export": 9.5,
    "cli_versions": 9.5, "rebalancing": 8, "relabelling": 7.5, "cli_quality": 9, "audit_figures": 6,
    "proof_figures": 6, "reporting": 9, "reranking": 6.5, "proving": 9, "cli": 10, "rating": 7,
    "difficulty_sources": 8, "cli_difficulty": 9, "cli_review": 9, "cli_search": 9, "__main__": 11, "highstakes": 7, "risks": 7.5,
    "readiness": 8.5, "naming": 6.5, "titling": 5, "variety": 8, "regions": 8, "holes": 8, "cli_coverage": 9.5, "embeddings": 7,
    "cli_embeddings": 9, "cli_clean": 9, "cli_audit": 9.5,
}  # fmt: skip


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", modules("core"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_core_knows_no_screen(path):
    assert not {name for name in imported(path) if name.split(".")[0] in ("streamlit", "pages")}


@pytest.mark.parametrize("path", modules("core"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_room_imports_only_from_floors_below(path):
    own = path.relative_to(ROOT / "core").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "core" and len(parts) > 1 and parts[1] != own:
            assert FLOORS[parts[1]] < FLOORS[own], f"{path} imports core.{parts[1]}"


@pytest.mark.parametrize("path", [*modules("core"), *modules("pages"), ROOT / "app.py"], ids=lambda p: p.name)
def test_no_unsafe_html_no_pickle_no_remote_code(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            assert (node.arg, node.value.value) not in {
                ("unsafe_allow_html", True),
                ("trust_remote_code", True),
                ("allow_pickle", True),
            }
    assert not {name for name in imported(path) if name.split(".")[0] in ("pickle", "joblib", "dill")}


def test_a_session_state_key_is_read_only_where_it_is_kept():
    """Plain keys live in pages/ui/state.py; pages use widget keys `page.widget`."""
    for path in modules("pages"):
        if path.name == "state.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Subscript)
                and ast.unparse(node.value) == "st.session_state"
                and isinstance(node.slice, ast.Constant)
            ):
                assert "." in node.slice.value, f"{path}: st.session_state[{node.slice.value!r}]"


def test_first_paint_loads_nothing_heavy(tmp_path):
    """The app and every page, imported and run once in a fresh process, leave the heavy libraries alone."""
    code = """
import os, sys
os.environ.update(QUADRANT_HOME=sys.argv[1], QUADRANT_OPEN="bare", QUADRANT_DATA="")
from core.workspace import open_workspace
open_workspace(sys.argv[1] + "/bare")
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app.py", default_timeout=60).run()
for page in sorted(p for p in os.listdir("pages") if p.endswith(".py")):
    at.switch_page("pages/" + page).run()
    assert not at.exception, at.exception
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = set(done.stdout.rsplit("loaded:", 1)[1].split())
    assert not loaded & HEAVY
    assert "streamlit" in loaded, "the check sees what is loaded"


def test_a_step_module_is_light_to_import():
    code = (
        "import sys, importlib\nfrom core.steps import STEPS, defaults\n"
        "for n in STEPS: defaults(n)\nprint(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & HEAVY
