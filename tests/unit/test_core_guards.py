"""Rules of the house that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "umap", "hdbscan", "sklearn", "transformers", "sentence_transformers", "pynndescent", "numba"}
ACTIONS = {  # within core/actions, from the ground up
    "standing": 5, "raters": 5, "titling": 5, "decisions": 6, "naming": 6.5, "reranking": 6.5, "frame": 7, "picks": 7, "rating": 7,
    "highstakes": 7, "embeddings": 7, "risks": 7.5, "relabelling": 7.5, "inforce": 7.6, "mix": 7.8,
    "summary": 8, "heat": 8, "choosing": 8, "auditing": 8,
    "versions": 8, "rebalancing": 8, "difficulty_sources": 8, "variety": 8, "regions": 8, "holes": 8, "card": 8.5,
    "recipe_settings": 8.5, "version_history": 8.5, "readiness": 8.5, "exporting": 9, "recipes": 9, "reporting": 9, "proving": 9,
}  # fmt: skip
FLOORS = {
    "errors": 0, "progress": 0, "cluster": 1, "dataset": 1, "workspace": 2, "embedding": 3, "influence": 4, "review": 4,
    "quality": 4.5, "figures": 5, "steps": 6, "jobs": 7, "actions": ACTIONS, "cli": 10, "__main__": 11,
}  # fmt: skip


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def floor(parts: tuple[str, ...]) -> float:
    """The floor of core.<parts>; the highest of a room that has floors of its own."""
    found = FLOORS[parts[0]]
    if isinstance(found, dict):
        return found[parts[1]] if len(parts) > 1 and parts[1] in found else max(found.values())
    return found


def room(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The part of a module's name within which imports go any way: its folder, or in a room with floors the module itself."""
    return parts[:2] if isinstance(FLOORS.get(parts[0]), dict) else parts[:1]


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
    own = path.relative_to(ROOT / "core").with_suffix("").parts
    if own[-1] == "__init__":
        return
    for name in imported(path):
        parts = tuple(name.split(".")[1:])
        if name.startswith("core.") and parts != ("actions",) and room(parts) != room(own):
            assert floor(parts) < floor(own), f"{path} imports {name}"


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
