"""Agreement of two or more raters on the screen: numbers with targets, the confusion of each two, the contested records."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.quality.scorecard_targets import FEW_RATED
from core.review.acceptance import wilson
from core.review.agreement import Agreement, Kappa
from core.review.comparison import APART, TARGET_KAPPA, TARGET_RAW, TARGET_SOURCE, Comparison
from core.review.intervals import Interval
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
    read: Callable[[str], None] | None = None,
) -> None:
    """Everything about one comparison. ratings_of: record ids -> {rater: what each said}, for the table of contested records.

    read: opens a record where it is read and judged; called when its button is pressed.
    """
    if not found.records:
        st.info("No record was rated by two of them, so there is no agreement to speak of. It is undefined, not zero.")
        return
    _numbers(found)
    _targets(found)
    _hints(found)
    _intervals(found)
    pair = _pair(found, key)
    beside = st.container(horizontal=True, gap="large")  # one below the other where both do not fit
    with beside.container(width="stretch"):
        _confusion(found, pair, key)
    with beside.container(width=380):
        _two(found, pair)
    _contested(found, data, ratings_of, key, read)


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
    if kappa is None or kappa.high - kappa.low < 1e-9:  # no width: nobody differed, and the formula knows no more
        return _number(None if kappa is None else kappa.value)
    return f"{kappa.value:.4f} ({max(-1.0, kappa.low):.2f} to {min(1.0, kappa.high):.2f})"


def _targets(found: Comparison) -> None:
    name = "Cohen's kappa" if len(found.names) == 2 else "Fleiss' kappa"
    lines = [("Raw agreement", found.raw, TARGET_RAW, "90 %"), (name, found.kappa, TARGET_KAPPA, "0.8")]
    words = []
    for title, value, target, shown in lines:
        if value is None:
            words.append(f":gray[:material/radio_button_unchecked:] {title} is undefined")
        elif value > target and found.records < FEW_RATED:
            words.append(f":gray[:material/check_circle:] {title} is over {shown}, on few records")
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
    if found.records < FEW_RATED:
        few = f"{found.records:,} {'record is' if found.records == 1 else 'records are'} few"
        st.caption(
            f"{few}: chance alone can give such numbers, and an interval of no width only says that nobody differed yet."
        )


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

    from core.figures.charts import confusion, plain

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


def _intervals(found: Comparison) -> None:
    """Every statistic of all raters with its interval by resampling records; AC1 and kappa also with their formula's."""
    two = len(found.names) == 2
    pair = found.pair_intervals[0, 1] if two else {}
    cohen = found.pairs[0, 1].kappa if two else None
    boot = found.intervals
    rows = [("raw agreement", _number(found.raw), _ends(boot.get("raw")), "")]
    if two:
        rows.append(("Cohen's kappa", _number(cohen.value if cohen else None), _ends(pair.get("plain")), _ends(cohen)))
        if found.numeric:
            both = found.pairs[0, 1]
            for name, weighted in (("linear", both.linear), ("quadratic", both.quadratic)):
                value = _number(weighted.value if weighted else None)
                rows.append((f"kappa, {name} weights", value, _ends(pair.get(name)), _ends(weighted)))
    else:
        rows.append(("Fleiss' kappa", _number(found.fleiss), _ends(boot.get("fleiss")), ""))
    rows.append(("Gwet's AC1", _number(found.ac1), _ends(boot.get("ac1")), _ends(ac1_interval(found))))
    rows.append(("Krippendorff's alpha, nominal", _number(found.alpha), _ends(boot.get("nominal")), ""))
    if found.numeric:
        rows.append(("alpha, ordinal", _number(found.ordinal), _ends(boot.get("ordinal")), ""))
        rows.append(("alpha, interval", _number(found.interval), _ends(boot.get("interval")), ""))
    st.markdown("**With 95 % intervals**")
    st.table(
        {
            "": [row[0] for row in rows], "value": [row[1] for row in rows],
            "by resampling records": [row[2] for row in rows], "by formula": [row[3] for row in rows],
        },
        border="horizontal", hide_index=True,
    )  # fmt: skip
    st.caption(
        f"Whole records were drawn again {found.resamples:,} times with all their ratings (cluster bootstrap, percentiles); where a "
        "statistic is undefined in more than one of twenty draws it has no interval. By formula: Fleiss, Cohen and Everitt for kappa, "
        "Gwet for AC1."
    )
    if found.numeric:
        st.caption("Weights and scales take the classes as numbers in order: use them only where they are.")


def ac1_interval(found: Comparison) -> Interval | None:
    """AC1 with its standard error and Student's t, as Gwet gives it; None where it is undefined."""
    if found.ac1 is None or found.ac1_error is None or found.records < 2:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(found.records - 1, 0.975)) * found.ac1_error
    return Interval(max(-1.0, found.ac1 - half), min(1.0, found.ac1 + half), "Gwet")


def _ends(interval: Interval | Kappa | None) -> str:
    return UNDEFINED if interval is None else f"{max(-1.0, interval.low):.3f} to {min(1.0, interval.high):.3f}"


def _two(found: Comparison, pair: tuple[int, int]) -> None:
    """What tells why kappa is as it is: how frequent the classes are, how differently the two use them, agreement on each."""
    both = found.pairs[pair]
    st.markdown("**Prevalence and bias**")
    rows: list[tuple[str, str]] = []
    if both.raw is not None:
        agreed = round(both.raw * both.records)
        interval = wilson(agreed, both.records)
        rows.append(("agreed on", f"{agreed:,} of {both.records:,}"))
        rows.append(("raw agreement, 95 % (Wilson)", f"{interval.low:.1%}–{interval.high:.1%}"))
    rows.append(("PABAK, as if all classes were as frequent", _number(both.pabak)))
    if both.prevalence is not None:
        rows.append(("prevalence index", f"{both.prevalence:.2f}"))
        rows.append(("bias index", f"{both.bias:.2f}"))
    named = [(short(str(name), 30), share) for name, share in both.specific][:8]
    rows += [(f"agreement on “{name}”", _share(share)) for name, share in named]
    st.table(
        {"": [name for name, _ in rows], "value": [value for _, value in rows]}, border="horizontal", hide_index=True
    )
    if len(both.specific) > len(named):
        st.caption(f"The first {len(named)} of {len(both.specific)} classes.")
    st.caption(_why(both))


def _why(both: Agreement) -> str:
    """What prevalence and bias do to kappa here, in a sentence."""
    if both.kappa is None:
        return "Kappa is undefined here, so there is nothing for prevalence or bias to explain."
    if both.pabak is not None and both.pabak - both.kappa.value >= APART:
        return (
            f"Kappa ({both.kappa.value:.2f}) is far below PABAK ({both.pabak:.2f}): the classes are so unevenly used that much of the "
            "agreement counts as chance. That is the kappa paradox; judge by the agreement on the rare class and by AC1."
        )
    if both.bias is not None and both.bias >= APART:
        return "The two use the classes differently often (bias index 0.2 or more): one is stricter. Calibrate before going on."
    return "Agreement on a class: of the ratings that gave it, the share that the other gave too. A rare class shows there first."


def _contested(
    found: Comparison,
    data: Dataset,
    ratings_of: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    key: str,
    read: Callable[[str], None] | None,
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
            if read is not None and st.button("Read it in the audit", key=f"{key}.open", icon=":material/fact_check:"):
                read(ids[chosen[0]])
            records.show(
                data, ids[chosen[0]], {name: values[chosen[0]] for name, values in said.items()}, f"{key}.read"
            )
