"""The single values of a comparison, each with what it means, its uncertainty, and what is only chance."""

import streamlit as st

from core.workspace import Dataset, Workspace
from pages.ui.safe import literal


def headline(info: dict) -> None:
    """KL with its interval and the line of chance, then its relatives."""
    left, right = st.columns([5, 7], gap="medium")
    with left, st.container(border=True, height="stretch"):
        _kl(info)
    with right:
        _others(info)


def _kl(info: dict) -> None:
    st.markdown("**KL D(production ‖ training)**")
    endless = "kl" in info["infinite"]
    st.markdown("## ∞ nats" if endless else f"## {info['kl']:.4f} nats")
    if endless:
        st.markdown(
            f"Infinite: training lacks {_names(info['missing'])}, which production asks for. "
            f"Smoothed it is **{info['kl_smoothed']:.4f} nats**."
        )
    if info["low"] is not None:
        exact = (
            " Production's shares are predicted: the classifier's error is in the interval."
            if info.get("predicted")
            else ""
            if info["sampled"]
            else " The shares of production are taken as exact, so only training is drawn anew."
        )
        st.caption(
            f"{100 * info['confidence']:.0f} % bootstrap interval of the smoothed value ({info['kl_smoothed']:.4f}): "
            f"{info['low']:.4f} to {info['high']:.4f} nats, moved by the bias of the redraws. Smoothing adds {info['alpha']:g} to the "
            f"count of each category.{exact}"
        )
    st.caption(chance(info))


def chance(info: dict) -> str:
    """What chance alone gives to sets of this size, and whether this is more."""
    size = f"{info['training']:,} training" + (
        f" and {info['production']:,} production" if info["production"] is not None else ""
    )
    line = (
        f"With {size} records in {info['categories']:,} categories, chance alone gives {info['null_mean']:.4f} on "
        f"average and up to {info['null_line']:.4f} in 95 of 100 sets of one and the same origin"
    )
    if "kl" in info["infinite"]:
        return line + "."
    more = info["kl"] > info["null_line"]
    return line + (": this mismatch is more than chance." if more else ": this mismatch may be chance.")


# name -> (label, shape, what it means)
OTHERS = {
    "kl_reverse": (
        "Reverse KL", "{:.4f} nats",
        "D(training ‖ production): weighs what training has and production does not ask for.",
    ),
    "js": ("Jensen–Shannon", "{:.4f} bits", "The divergence, not its root: 0 equal, 1 nothing in common. Unsmoothed."),
    "tv": ("Total variation", "{:.1%}", "The share of training that would have to change its category."),
    "psi": (
        "PSI", "{:.4f} nats",
        "Population stability index: KL and reverse KL together. By custom 0.1 is a shift, 0.25 a large one.",
    ),
    "chi2": ("Chi-squared", "{:,.1f}", "Pearson's statistic of the table of counts."),
    "g": ("G", "{:,.1f}", "Likelihood-ratio statistic of the same table."),
}  # fmt: skip


def _others(info: dict) -> None:
    names = list(OTHERS)
    for row in (names[:3], names[3:]):
        for place, name in zip(st.columns(3), row, strict=True):
            _metric(place, info, name, *OTHERS[name])
    if info["p_chi2"] is None:
        st.caption("With a single category there is nothing to test.")
        return
    by = info["method"]
    how = (
        f"from {by.removesuffix('permutations')}random tables of the same totals"
        if "permut" in by
        else f"from the {by}"
    )
    st.caption(
        f"p {_p(info['p_chi2'])} by chi-squared and {_p(info['p_g'])} by G, {how} ({info['dof']:,} degrees of freedom, "
        f"least expected count {info['least_expected']:.2g}). A small p says that the mismatch is real, not that it is large."
    )


def _metric(place, info: dict, name: str, label: str, shape: str, means: str) -> None:
    if name in info["infinite"]:
        smoothed = info.get(f"{name}_smoothed")
        place.metric(label, "∞", f"smoothed {shape.format(smoothed)}" if smoothed is not None else None,
                     delta_color="off", delta_arrow="off", help=means)  # fmt: skip
    else:
        place.metric(label, shape.format(info[name]), help=means)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def moved(now: dict, imported: dict) -> None:
    """What the decisions since the import did to KL."""
    if not imported:
        return
    before, after = ("∞" if "kl" in info["infinite"] else f"{info['kl']:.4f}" for info in (imported, now))
    st.caption(
        f":material/history: Everything here is of the set as it stands: KL {after} nats. As imported it was {before} nats, "
        "which is what the stored step holds."
    )


def _names(names: list[str], most: int = 3) -> str:
    shown = ", ".join(f"*{literal(n, 40)}*" for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def sides(workspace: Workspace, data: Dataset, info: dict, column: str) -> None:
    """What the two sides consist of, and who is not counted."""
    production = workspace.dataset("production")
    said = [f"Training: {info['training']:,} of {data.count:,} records of {literal(data.name, 60)}"]
    if info.get("predicted"):
        said.append(
            f"production: shares predicted from {production.count:,} unlabelled records of {literal(production.name, 60)}"
        )
    elif production is not None:
        said.append(
            f"production: {info['production']:,} of {production.count:,} records of {literal(production.name, 60)}"
        )
    elif workspace.shares_total():
        said.append(f"production: {workspace.shares_total():,} requests, given as counts")
    else:
        said.append(f"production: given as {len(workspace.shares() or {}):,} shares, without records")
    st.caption("; ".join(said) + ".")
    for warning in info["warnings"]:
        st.caption(f":material/info: {literal(warning, 300)}")
    if column == "cluster":
        st.caption(
            "A production record counts under the cluster of its nearest training record, when that is near enough to cover it."
        )
