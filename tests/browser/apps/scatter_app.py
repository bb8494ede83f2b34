"""A page with nothing but the scatter, for the browser tests and the benchmark: settings in the query string, events as JSON text.

?n=2000 points · mode=map|axes|values · layers=1 · control=1 (the page owns the selection)
nan=12 · data=normal|empty|one|equal · facets=1 · far=1 (a few far points)
"""

import hashlib
import json
import time

import numpy as np
import streamlit as st

from pages.ui.scatter import (
    Axes,
    Categories,
    Values,
    category_facet,
    centroid_names,
    number_facet,
    scatter,
    scatter_payload,
)  # fmt: skip

st.set_page_config(layout="wide")
query = st.query_params
n, mode = int(query.get("n", 2000)), query.get("mode", "map")
NAMES = [
    "Medication safety", "Triage & red flags", "Chronic pain", "Cardiology follow-up", "Paediatrics", "Mental health",
    "Dermatology", "Lab results explained", "Vaccination", "Pregnancy", "Discharge summaries", "Nutrition",
    "<img src=x onerror=alert(1)>", "Radiology reports",
]  # fmt: skip


@st.cache_resource(max_entries=6)
def points(n: int, seed: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = {"empty": 0, "one": 1}.get(kind, n)
    codes = rng.choice(len(NAMES), n, p=(w := np.arange(len(NAMES), 0, -1) ** 1.3) / w.sum())
    turn = np.arange(len(NAMES)) * 2.39996  # a sunflower of clusters, each of three lobes
    middle = np.stack([np.cos(turn), np.sin(turn)], 1) * np.sqrt(np.arange(1, len(NAMES) + 1))[:, None] * [2.9, 2.0]
    centres = middle[:, None] + rng.normal(0, 0.62, (len(NAMES), 3, 2))
    spread = rng.gamma(4, 0.1, (len(NAMES), 3, 1))
    part = rng.integers(0, 3, n)
    xy = centres[codes, part] + rng.normal(0, 1, (n, 2)) * spread[codes, part]
    noise = rng.random(n) < 0.08
    xy[noise] = rng.normal(0, 4, (int(noise.sum()), 2)) * [1.45, 1]
    codes = np.where(noise, -1, codes)
    if kind == "equal":
        xy[:] = 3.25
    return xy[:, 0].astype(np.float32), xy[:, 1].astype(np.float32), codes, rng.random(n)


@st.cache_resource(max_entries=6)
def payload(n: int, seed: int, mode: str, kind: str, layers: bool, nan: int, facets: bool = False, far: bool = False):
    x, y, codes, extra = points(n, seed, kind)
    x, y = x.copy(), y.copy()
    if far:
        x[:3] = [60, 80, -70]
    x[:nan] = np.nan
    colour = Categories(codes, NAMES, "Category")
    if mode == "values":
        colour = Values(np.where(extra < 0.02, np.nan, y), "Influence", "diverging")
    if mode == "axes":
        x, y = np.exp(extra + codes * 0.05).astype(np.float32), (x * 0.02).astype(np.float32)
    layer = (extra < 0.2).astype(np.uint8) if layers else None
    labels = None
    if n <= 50_000:
        labels = [
            f"Record {i}: a patient asks whether ibuprofen <b>may</b> be taken with warfarin" for i in range(len(x))
        ]
    made = scatter_payload(x, y, colour, layer=layer, labels=labels, identity=f"{n}-{seed}")
    return made.with_facets(columns(x, codes, extra)) if facets else made


def columns(x: np.ndarray, codes: np.ndarray, extra: np.ndarray) -> list:
    """Eight columns to filter by, as many as the map has."""
    influence = np.where(extra < 0.02, np.nan, extra - 0.5 + codes * 0.01)
    audited = np.where(extra < 0.9, -1, (extra * 5557 % 2).astype(int))
    return [
        category_facet("category", "Category", codes, NAMES, "noise"),
        category_facet("cluster", "Cluster", (codes * 7 + (extra * 20).astype(int)) % 90, [f"Cluster {k}" for k in range(90)]),
        number_facet("length", "Response length (words)", np.exp(extra * 4 + 2)),
        number_facet("difficulty", "Difficulty rating", 1 + (extra * 977 % 5).astype(int)),
        number_facet("influence", "Influence", influence),
        category_facet("language", "Language", (extra * 1777 % 3).astype(int), ["en", "de", "fr"]),
        category_facet("annotator", "Annotator", (extra * 331 % 6).astype(int), [f"A{k}" for k in range(6)]),
        category_facet("verdict", "Audit verdict", audited, ["pass", "fail"], "not audited"),
    ]  # fmt: skip


seed = st.session_state.setdefault("seed", 0)
made = payload(
    n,
    seed,
    mode,
    query.get("data", "normal"),
    "layers" in query,
    int(query.get("nan", 0)),
    "facets" in query,
    "far" in query,
)
x, y = made.xy()
codes = points(n, seed, query.get("data", "normal"))[2]
axes = cuts = names = None
if mode == "axes":
    axes = Axes(
        "Difficulty (NLL, nats per token)",
        "Influence",
        ("Easy, harmful", "Hard, harmful", "Easy, helpful", "Hard, helpful"),
    )
    cuts = st.session_state.setdefault("cuts", (float(np.median(x)), float(np.median(y))))
elif len(x):
    names = centroid_names(x, y, codes, NAMES)
selection = None
if "control" in query:
    selection = st.session_state.get("selection")
    selection = np.zeros(len(x), bool) if selection is None or len(selection) != len(x) else selection

if st.session_state.get("away"):
    st.button("come back", on_click=lambda: st.session_state.update(away=False))
    st.stop()
st.session_state.setdefault("away", False)

height = int(query.get("height", 620))
event = scatter(made, "plot", height=height, axes=axes, cuts=cuts, names=names, selection=selection, label="Test plot",
    actions=("undo", "redo", "like") if "facets" in query else (), colour_name="category", linked={"slot": query.get("slot")},
)  # fmt: skip
now = time.time()
log = st.session_state.setdefault("log", [])
if event.selected is not None:
    st.session_state["selection"] = event.selected
    ids = np.flatnonzero(event.selected)
    log.append({
        "selected": len(ids), "ids": ids.tolist() if len(ids) <= 5000 else hashlib.sha256(ids.astype("<u4").tobytes()).hexdigest(),
        "polygon": None if event.polygon is None else event.polygon.tolist(), "at": now, "counter": event.counter,
    })  # fmt: skip
if event.clicked is not None:
    log.append({"clicked": event.clicked})
if event.action is not None:
    log.append({"action": event.action, "about": event.about})
if event.cuts is not None:
    st.session_state["cuts"] = event.cuts
    log.append({"cuts": event.cuts})
if event.dropped:
    log.append({"dropped": event.dropped})

runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
left, middle, right, last, leave = st.columns(5)
leave.button("go away", on_click=lambda: st.session_state.update(away=True))
left.button("run again", key="again")
if middle.button("select the first ten", key="ten"):
    st.session_state["selection"] = np.arange(len(x)) < 10
    st.rerun()
if right.button("other dataset", key="other"):
    st.session_state["seed"] += 1
    st.rerun()
if last.button("cut in the middle", key="cut"):
    st.session_state["cuts"] = (1.5, 0.0)
    st.rerun()
st.html(
    f'<pre data-testid="log" hidden>{json.dumps({"log": log[-3:], "length": len(log), "digest": made.digest, "run": runs})}</pre>'
)
