"""The plot of difficulty against influence with its two cuts, and the cards of the four quadrants."""

import numpy as np
import streamlit as st

from core.actions.frame import available, axis_title
from core.errors import InputError
from core.influence.selection.quadrant import QUADRANTS, Quadrants, quadrants
from core.workspace import Dataset, Workspace
from pages.ui import palette, quadrant_how, records, state
from pages.ui import quadrant_data as data_of
from pages.ui.quadrant_data import View
from pages.ui.safe import literal, short
from pages.ui.scatter import Axes, Categories, scatter

EXAMPLES = 3
ORDER = (0, 2, 1, 3)  # colours of Q1..Q4 in the shared palette
MEANING = {
    1: "Hard, and training on them helps: where a budget is best spent first.",
    2: "The model nearly has them, and they still help.",
    3: "Hard without helping here: off the task, or wrong. Read some.",
    4: "Known and of little help: the first to leave out.",
}


def number(value: float) -> str:
    """Four significant digits, without a tail of zeros; a dash for none."""
    return f"{value:.4g}" if np.isfinite(value) else "–"


def reading(record_id: str = "") -> None:
    """Ask for a record to be shown in full from the end of this run on, until the reader closes it."""
    state.remember("quadrant.reading", record_id)


def cut_fields(left, right) -> tuple[str, str]:
    """The two cuts as typed, or as dragged last: "median", a percentile such as p75, or a number."""
    kept: tuple[str, str] = state.remembered("quadrant.cuts", ("median", "median"))
    for where, at, axis in ((left, 0, "difficulty"), (right, 1, "influence")):
        key = f"quadrant.cut_{axis}"
        st.session_state[key] = kept[at]
        where.text_input(
            f"{axis.capitalize()} cut", key=key, on_change=_typed, args=(at, key),
            help="median, a percentile such as p75, or a number. Or drag the line in the plot.",
        )  # fmt: skip
    return kept


def _typed(at: int, key: str) -> None:
    cuts = list(state.remembered("quadrant.cuts", ("median", "median")))
    cuts[at] = st.session_state[key].strip() or "median"
    state.remember("quadrant.cuts", tuple(cuts))


def place(seen: View, cuts: tuple[str, str]) -> tuple[Quadrants, tuple[str, str]]:
    """The four quadrants by these cuts, and the cuts; by the medians, with a word why, where a cut cannot be read."""
    try:
        return quadrants(seen.frame.difficulty, seen.frame.influence, *cuts), cuts
    except InputError as error:
        st.error(literal(error, 400))
        plain = ("median", "median")
        return quadrants(seen.frame.difficulty, seen.frame.influence, *plain), plain


def plot(workspace: Workspace, data: Dataset, seen: View, placed: Quadrants, colour: str) -> None:
    """The points; what the reader drags, encloses or clicks there is taken over at once."""
    base = data_of.points(seen.key, data.digest, seen, data)
    if colour == "quadrant":
        codes = np.full(data.count, -1, np.int8)
        codes[seen.rows] = placed.codes - 1
        light, dark = palette.categorical(4), palette.categorical(4, dark=True)
        named = [f"Q{q} {name}" for q, name in QUADRANTS.items()]
        paint = Categories(
            codes, named, "Quadrant", "in no quadrant", [light[i] for i in ORDER], [dark[i] for i in ORDER]
        )
    else:
        paint = data_of.colour(workspace, data, colour)
    x = data_of.drawn_cut(seen, placed.difficulty_cut.value)
    chosen = data.index.mask(state.selection().ids)
    event = scatter(
        base.with_colour(paint).with_selected(chosen), "quadrant.plot", height=560,
        axes=Axes(
            axis_title(seen.source),
            quadrant_how.axis(workspace),
            tuple(QUADRANTS[q] for q in (4, 3, 2, 1)),
            _first_view(seen, placed, x),
            None if seen.levels is None else seen.levels.tolist(),
        ),
        cuts=(x, placed.influence_cut.value), label="Difficulty against influence of every training record",
    )  # fmt: skip
    if event.cuts is not None:
        _dragged(seen, placed, x, event.cuts)
        st.rerun()
    if event.selected is not None:
        picked = np.flatnonzero(event.selected & seen.pickable)
        left_out = int(event.selected.sum()) - len(picked)
        how = "enclosed" if event.polygon is not None else "chosen"
        state.select(records.ids_of(data).at(picked), f"{how} in the quadrant plot")
        if left_out:
            st.toast(f"{left_out:,} held-out records were left out: they are the target itself.")
        st.rerun()
    if event.clicked is not None:
        reading(records.ids_of(data)[event.clicked])


def _dragged(seen: View, placed: Quadrants, x: float, cuts: tuple[float, float]) -> None:
    """Take over the line that moved; the other keeps its own wording, such as "median"."""
    kept = list(state.remembered("quadrant.cuts", ("median", "median")))
    if not np.isclose(cuts[0], x, rtol=1e-9, atol=0):
        kept[0] = f"{data_of.meant_cut(seen, cuts[0]):.10g}"
    if not np.isclose(cuts[1], placed.influence_cut.value, rtol=1e-9, atol=0):
        kept[1] = f"{cuts[1]:.4g}"
    state.remember("quadrant.cuts", tuple(kept))


def _first_view(seen: View, placed: Quadrants, x: float) -> tuple[float, float, float, float] | None:
    """All but the outer half per cent of either axis, with both cuts and zero influence in it."""
    hard, helpful = seen.frame.difficulty, seen.frame.influence
    known = np.isfinite(hard) & np.isfinite(helpful)
    if known.sum() < 2:
        return None
    ends = []
    axes = ((hard[known], [x], seen.levels is not None), (helpful[known], [placed.influence_cut.value, 0.0], False))
    for values, inside, whole in axes:
        low, high = (values.min() - 0.4, values.max() + 0.4) if whole else np.percentile(values, [0.5, 99.5])
        low, high = min(low, *inside), max(high, *inside)
        pad = 0.06 * (high - low) or 1.0
        ends += [float(low - pad), float(high + pad)]
    return tuple(ends)


def cards(data: Dataset, seen: View, placed: Quadrants) -> None:
    """Each quadrant: how many, their means, three of them by chance, and the button that selects them."""
    ids = seen.frame.ids
    hard, helpful = np.asarray(seen.frame.difficulty, float), np.asarray(seen.frame.influence, float)
    total = max(1, int((placed.codes > 0).sum()))
    hard_by = (
        f"heuristic difficulty ({seen.source})" if seen.heuristic else "difficulty"
    )  # it goes into the export's manifest
    said = f"{hard_by} cut {number(placed.difficulty_cut.value)}, influence cut {number(placed.influence_cut.value)}"
    for pair in ((1, 2), (3, 4)):
        for q, where in zip(pair, st.columns(2), strict=True):
            rows = np.flatnonzero(placed.codes == q)
            with where, st.container(border=True, height="stretch", key=f"quadrant.card.{q}"):
                st.markdown(f"**Q{q}** · {QUADRANTS[q]}")
                if not len(rows):
                    st.caption("No record lies here with these cuts.")
                    continue
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"### {len(rows):,}", width="stretch")
                    if st.button("Select this quadrant", key=f"quadrant.select.{q}"):
                        state.select([ids[row] for row in rows.tolist()], f"Q{q} {QUADRANTS[q]} ({said})")
                        st.rerun()
                st.caption(
                    f"{100 * len(rows) / total:.1f} % of {total:,} · mean difficulty {hard[rows].mean():.3g} · "
                    f"mean influence {helpful[rows].mean():.3g}  \n{MEANING[q]}"
                )
                # An id is a digest of the content, so the first of them by name are a draw that stays while the cuts move.
                few = rows[np.argpartition(seen.frame.rank[rows], min(EXAMPLES, len(rows) - 1))[:EXAMPLES]]
                _examples(data, q, [ids[row] for row in few.tolist()])


def _examples(data: Dataset, q: int, ids: list[str]) -> None:
    """A few of them, each to be read in full."""
    found = data_of.texts(data.digest, tuple(sorted(ids)), data)
    for record_id, row in found.items():
        line = st.container(
            horizontal=True, gap="small", vertical_alignment="center", key=f"quadrant.line.{q}.{record_id}"
        )
        with line.container(width="stretch"):  # shrinks beside the button on a narrow screen, as a bare text would not
            st.caption(literal(short(row["prompt"], 110)))
        line.button(
            "", icon=":material/open_in_full:", key=f"quadrant.read.{q}.{record_id}", type="tertiary",
            help="Read this record in full", on_click=reading, args=(record_id,),
        )  # fmt: skip


def colours_of(workspace: Workspace, data: Dataset) -> dict[str, str]:
    """{name: title} of what the points can be coloured by."""
    return {"quadrant": "Quadrant"} | {name: title for name, (title, _) in available(workspace, data).items()}


@st.dialog("Record", width="large", on_dismiss=reading)
def read(data: Dataset, seen: View | None, record_id: str) -> None:
    """One record in full, with its place on both axes."""
    facts: dict[str, object] = {}
    at = records.positions(data).get(record_id)
    if seen is not None and at is not None:
        if seen.influence is not None:
            facts["influence"] = number(seen.influence[at])
            if seen.heldout[at]:
                facts["held out"] = "as validation; its own influence is flattered"
        if seen.difficulty is not None and seen.source != "difficulty":
            facts[f"{seen.source}, a heuristic" if seen.heuristic else seen.source] = number(seen.difficulty[at])
    records.show(data, record_id, facts, key="quadrant.record")
