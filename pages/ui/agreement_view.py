"""Agreement of two or more raters on the screen: numbers with targets, the confusion of each two, the contested records."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.review.acceptance import wilson
from core.review.agreement import Agreement, Kappa
from core.review.comparison import TARGET_KAPPA, TARGET_RAW, TARGET_SOURCE, Comparison
from core.workspace import Dataset
from pages.ui import records
from pages.ui.safe import literal, short

PLOT = {"displayModeBar": False}
UNDEFINED = "undefined"


def view(
    found: Comparison,
    data: Dataset,
    ratings_of: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    key: str,
) -> None:
    """Everything about one comparison. ratings_of: record ids -> {rater: what each said}, for the table of contested records."""
    if not found.records:
        st.info("No record was rated by two of them, so there is no agreement to speak of. It is undefined, not zero.")
        return
    _numbers(found)
    _targets(found)
    _hints(found)
    pair = _pair(found, key)
    beside = st.container(horizontal=True, gap="large")  # one below the other where both do not fit
    with beside.container(width="stretch"):
        _confusion(found, pair, key)
    with beside.container(width=380):
        _two(found, found.pairs[pair])
    _contested(found, data, ratings_of, key)


def _numbers(found: Comparison) -> None:
    two = len(found.names) == 2
    cohen = found.pairs[0, 1].kappa if two else None
    with st.container(horizontal=True):
        st.metric(
            "Raw agreement", UNDEFINED if found.raw is None else f"{found.raw:.1%}", border=True, width="stretch",
            help="The share of records on which both said the same."
            if two else "The mean over records of the share of rater pairs that said the same.",
        )  # fmt: skip
        st.metric(
            "Cohen's kappa" if two else "Fleiss' kappa", _with_interval(cohen) if two else _number(found.fleiss),
            border=True, width="stretch", help="Agreement beyond chance: 0 is what chance gives, 1 is complete."
            + (" With its 95 % interval." if two else ""),
        )  # fmt: skip
        st.metric(
            "Gwet's AC1", _number(found.ac1), border=True, width="stretch",
            help="Agreement beyond chance that stays steady where one class is rare.",
        )  # fmt: skip
        st.metric(
            "Krippendorff's alpha", _number(found.alpha), border=True, width="stretch",
            help="Nominal: all disagreements count alike.",
        )  # fmt: skip
        st.metric("Records rated twice", f"{found.records:,}", border=True, width="stretch")


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _with_interval(kappa: Kappa | None) -> str:
    return UNDEFINED if kappa is None else f"{kappa.value:.4f} ({kappa.low:.2f} to {kappa.high:.2f})"


def _targets(found: Comparison) -> None:
    name = "Cohen's kappa" if len(found.names) == 2 else "Fleiss' kappa"
    lines = [("Raw agreement", found.raw, TARGET_RAW, "90 %"), (name, found.kappa, TARGET_KAPPA, "0.8")]
    words = []
    for title, value, target, shown in lines:
        if value is None:
            words.append(f":gray[:material/radio_button_unchecked:] {title} is undefined")
        elif value > target:
            words.append(f":green[:material/check_circle:] {title} is over {shown}")
        else:
            words.append(f":red[:material/error:] {title} is not over {shown}")
    st.markdown(" &nbsp; ".join(words), help=literal(TARGET_SOURCE, 300))
    unanimous = f"Unanimous on {found.unanimous:,} of {found.records:,} records. " if len(found.names) > 2 else ""
    st.caption(f"{unanimous}{literal(TARGET_SOURCE, 300)}")


def _hints(found: Comparison) -> None:
    if found.raw is not None and found.kappa is None:
        st.info(
            "Everybody always gave the same class, so agreement beyond chance is undefined: neither 0 nor 1. Compare "
            "records on which another answer was possible."
        )
    if found.paradox and found.prevalent:
        name, share = found.prevalent
        common = literal(short(name, 40))
        st.info(
            f"{share:.0%} of the ratings are “{common}”. When one class is that frequent, chance agreement is high and "
            "kappa is low even where people agree (the kappa paradox). Read AC1 beside it, and judge the rare classes by the "
            "records below."
        )
    if found.records < 50:
        st.caption(f"{found.records:,} records are few: the interval of kappa is an approximation and wide.")


def _pair(found: Comparison, key: str) -> tuple[int, int]:
    """The two raters whose table is shown; with three or more, all pairs are listed to choose from."""
    pairs = list(found.pairs)
    if len(pairs) == 1:
        return pairs[0]
    st.markdown("**Each two of them**")
    st.dataframe(
        {
            "first": [short(found.names[i], 50) for i, _ in pairs],
            "second": [short(found.names[j], 50) for _, j in pairs],
            "records": [found.pairs[pair].records for pair in pairs],
            "raw agreement": [_share(found.pairs[pair].raw) for pair in pairs],
            "Cohen's kappa (95 %)": [_with_interval(found.pairs[pair].kappa) for pair in pairs],
            "AC1": [_number(found.pairs[pair].ac1) for pair in pairs],
            "alpha": [_number(found.pairs[pair].alpha) for pair in pairs],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip
    return st.selectbox(
        "Table of", pairs, key=f"{key}.pair",
        format_func=lambda pair: f"{short(found.names[pair[0]], 40)} and {short(found.names[pair[1]], 40)}",
    )  # fmt: skip


def _share(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.1%}"


def _confusion(found: Comparison, pair: tuple[int, int], key: str) -> None:
    import numpy as np

    from core.figures import confusion, plain

    both = found.pairs[pair]
    if not both.records:
        st.caption("These two rated no record in common.")
        return
    first, second = (found.names[i] for i in pair)
    st.markdown("**Who said what**")
    counts = np.asarray(both.table)
    names = [str(name) for name in both.classes]
    figure = confusion(names, counts)
    if len(names) <= 12:
        figure.update_traces(text=np.where(counts > 0, counts.astype(str), ""), texttemplate="%{text}")
    figure.update_xaxes(title={"text": plain(second)}, tickangle=0 if max(map(len, names)) <= 8 else -40)
    figure.update_yaxes(title={"text": plain(first)})
    st.plotly_chart(figure, theme="streamlit", config=PLOT, key=f"{key}.confusion")
    st.caption(f"Records by what {literal(first, 60)} (rows) and {literal(second, 60)} (columns) said.")


def _two(found: Comparison, both: Agreement) -> None:
    """Further numbers of the two: interval, scales, prevalence and bias."""
    st.markdown("**More numbers**")
    rows: list[tuple[str, str]] = []
    if both.raw is not None:
        agreed = round(both.raw * both.records)
        interval = wilson(agreed, both.records)
        rows.append(("agreed on", f"{agreed:,} of {both.records:,}"))
        rows.append(("raw agreement, 95 % (Wilson)", f"{interval.low:.1%}–{interval.high:.1%}"))
    rows.append(("Cohen's kappa, 95 %", _with_interval(both.kappa)))
    rows.append(("AC1", _number(both.ac1)))
    rows.append(("alpha, nominal", _number(both.alpha)))
    if found.numeric:
        rows.append(("kappa, linear weights", _with_interval(both.linear)))
        rows.append(("kappa, quadratic weights", _with_interval(both.quadratic)))
        rows.append(("alpha, ordinal (all raters)", _number(found.ordinal)))
        rows.append(("alpha, interval (all raters)", _number(found.interval)))
    if both.prevalence is not None:
        rows.append(("prevalence index", f"{both.prevalence:.2f}"))
        rows.append(("bias index", f"{both.bias:.2f}"))
    st.table(
        {"": [name for name, _ in rows], "value": [value for _, value in rows]}, border="horizontal", hide_index=True
    )
    if found.numeric:
        st.caption("Weights and scales take the classes as numbers in order: use them only where they are.")


def _contested(
    found: Comparison, data: Dataset, ratings_of: Callable[[Sequence[str]], Mapping[str, Sequence[str]]], key: str
) -> None:
    apart = found.records - found.unanimous
    st.subheader("Contested records")
    if not apart:
        st.markdown("There is none: every record that was rated twice got one rating.")
        return
    ids = [record_id for record_id, _ in found.contested]
    rows = {row["record_id"]: row for row in records.rows_of(data, ids, ("category", "prompt"))}
    said = {short(name, 40): [short(value, 60) for value in values] for name, values in ratings_of(ids).items()}
    frame: dict[str, list] = {**said}
    if len(found.names) > 2:
        frame["pairs apart"] = [f"{share:.0%}" for _, share in found.contested]
    if any(row.get("category") for row in rows.values()):
        frame["category"] = [short(rows.get(one, {}).get("category") or "", 40) for one in ids]
    frame["prompt"] = [short(rows[one]["prompt"], 200) if one in rows else "changed or gone since" for one in ids]
    chosen = st.dataframe(
        frame, hide_index=True, width="stretch", key=f"{key}.contested", on_select="rerun", selection_mode="single-row"
    )["selection"]["rows"]
    shown = f"The first {len(ids):,} of {apart:,}. " if len(ids) < apart else f"{apart:,} in all. "
    order = "Those with most pairs apart come first. " if len(found.names) > 2 else ""
    st.caption(f"{shown}{order}Choose a row to read the record.")
    if chosen and chosen[0] < len(ids):
        with st.container(border=True):
            records.show(
                data, ids[chosen[0]], {name: values[chosen[0]] for name, values in said.items()}, f"{key}.read"
            )
