import json
import subprocess
import sys

import numpy as np
import pytest

from core.figures import charts as figures

HOSTILE = [
    "<b>bold</b>",
    '<a href="https://example.org/x">link</a>',
    '<span style="background:url(https://example.org/y)">x</span>',
    "a<br>b\nc",
    "&lt;b&gt; &amp; &#60;i>",
    "%{x} %{customdata}",
    "$\\alpha$",
    "2024-01-01",
    "\u202egnitaeh",
    "x" * 500,
    "x" * 499 + "y",
]


def strings(value):
    if isinstance(value, dict):
        for key, item in value.items():
            # A hovertemplate is our own text: what it shows of others stands in customdata.
            yield from [] if key in ("hovertemplate", "template", "tickformat") else strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def every_figure(names):
    n = len(names)
    shares = [1 / n] * n
    return {
        "category_bars": figures.category_bars(names, shares, shares, ["over"] * n),
        "contributions": figures.contributions(names, [0.1] * n),
        "histogram": figures.histogram(np.arange(n), names, unit=names[0], lines={names[1]: 2.0}),
        "loss_curve": figures.loss_curve([1, 2], [3.0, 2.0], [None, 2.5]),
        "oc_curve": figures.oc_curve([0, 0.1], [1, 0.2], names[0], {names[1]: (0.05, 0.7)}),
        "intervals": figures.intervals(names, shares, [0.0] * n, [None] * n, target=0.5),
        "history": figures.history(names, shares, [0.0] * n, [1.0] * n, target=0.5),
        "confusion": figures.confusion(names, np.ones((n, n))),
    }


@pytest.mark.parametrize("name", every_figure(["a", "b"]))
def test_no_text_of_the_user_is_markup(name):
    figure = json.loads(every_figure(HOSTILE)[name].to_json())
    for text in strings(figure):
        assert not set(text) & {*"<>%$\n\u202e"}, text
    templates = [trace.get("hovertemplate", "") for trace in figure["data"]]
    assert not any("example.org" in t or "bold" in t for t in templates if name != "histogram")
    assert not any("<a" in t or "<span" in t or "<b>" in t for t in templates)


def test_plain_keeps_ordinary_text_and_says_where_it_was_cut():
    assert figures.plain("Drug–drug interaction (über 65)") == "Drug–drug interaction (über 65)"
    assert figures.plain("a" * 70, 10) == "a" * 9 + "…"
    assert figures.plain("<&>") == "&lt;&amp;&gt;"
    assert figures.plain(None) == "None" and figures.plain(3) == "3"
    assert figures.plain("&" * 60).count("&amp;") == 60  # cut before escaping, never inside an entity


def test_background_is_clear_and_no_font_or_title_is_set():
    for name, figure in every_figure(["a", "b"]).items():
        layout = json.loads(figure.to_json())["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)", name
        assert "title" not in layout and "font" not in layout, name


def test_category_bars_are_sorted_by_production_and_flagged():
    figure = figures.category_bars(["a", "b", "c"], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], ["over", "", "under"])
    assert list(figure.layout.yaxis.ticktext) == ["c", "b", "a"]
    assert [trace.name for trace in figure.data] == ["Production", "Training"]
    assert list(figure.data[0].x) == [0.5, 0.3, 0.2]
    assert [(note.text, note.y) for note in figure.layout.annotations] == [("▼ under", 0), ("▲ over", 2)]


def test_names_that_look_alike_keep_a_row_each():
    figure = figures.category_bars(["x" * 99 + "1", "x" * 99 + "2"], [0.5, 0.5], [0.6, 0.4])
    assert list(figure.layout.yaxis.tickvals) == [0, 1] and len(figure.data[0].y) == 2


def test_infinite_contribution_is_shown_as_such_and_the_rest_is_summed():
    figure = figures.contributions(["a", "b", "c"], [0.2, np.inf, -0.1])
    assert list(figure.layout.yaxis.ticktext) == ["b", "a", "c"]
    assert list(figure.data[0].text) == ["∞", "+0.2000", "-0.1000"]
    assert all(np.isfinite(figure.data[0].x))
    many = figures.contributions([str(i) for i in range(30)], [0.01] * 30, most=20)
    assert list(many.layout.yaxis.ticktext)[-1] == "10 more" and many.data[0].x[-1] == pytest.approx(0.1)


def test_histogram_counts_here_and_leaves_absent_values_out():
    figure = figures.histogram([0, 0.1, 1.0, np.nan, 0.9], ["a", "a", "b", "b", None], bins=2)
    assert {trace.name: list(trace.y) for trace in figure.data} == {"none": [0, 1], "a": [2, 0], "b": [0, 1]}
    assert figures.histogram([]).data == () and figures.histogram([np.nan]).data == ()
    big = figures.histogram(np.random.default_rng(0).standard_normal(200_000))
    assert len(big.to_json()) < 20_000
    (ratings,) = figures.histogram([1, 2, 2, 5]).data
    assert list(ratings.x) == [1, 2, 3, 4, 5] and list(ratings.y) == [1, 2, 0, 0, 1] and ratings.customdata[4] == "5"


def test_interval_and_history_draw_what_is_known():
    figure = figures.intervals(["a", "b"], [0.5, 0.7], [0.4, None], [0.65, None])
    assert figure.data[0].error_x.array == pytest.approx((0.15, 0)) and figure.data[
        0
    ].error_x.arrayminus == pytest.approx((0.1, 0))
    gap = figures.history(["v1", "v2", "v3"], [0.5, None, 0.6], [0.4, None, 0.5], [0.6, None, 0.7])
    assert list(gap.data[1].y) == [0.5, None, 0.6] and list(gap.data[0].x) == [0, 2, 2, 0]


def test_empty_input_draws_an_empty_figure():
    for figure in (figures.category_bars([], [], []), figures.contributions([], []), figures.intervals([], [], [], [])):
        figure.to_json()


def test_import_is_quick_and_brings_nothing_heavy():
    code = (
        "import time, sys; t = time.perf_counter(); import core.figures.charts; s = time.perf_counter() - t;"
        "print(s, [m for m in ('streamlit', 'pandas', 'torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]") and float(out.split()[0]) < 3
