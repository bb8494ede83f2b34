"""Category names that are markup, drawn by plotly in a real browser: shown letter by letter, and nothing fetched."""

from core.figures import charts as figures

NAMES = [
    "<b>bold</b>",
    '<a href="https://x.org">a</a>',
    '<i style="background:url(//example.org/y)">',
    "&lt;b&gt; &#60;",
    "%{x} $a$ <br>",
]


def test_names_are_shown_literally_in_ticks_legend_and_hover(page, tmp_path):
    bars = figures.category_bars(NAMES, [0.2] * 5, [0.3, 0.25, 0.2, 0.15, 0.1])
    stacked = figures.histogram(range(5), NAMES)
    html = bars.to_html(full_html=False, include_plotlyjs=True) + stacked.to_html(
        full_html=False, include_plotlyjs=False
    )
    (tmp_path / "figures.html").write_text(f"<!doctype html><meta charset=utf-8><body>{html}", encoding="utf-8")
    page.goto((tmp_path / "figures.html").as_uri())
    page.wait_for_selector(".legendtext")
    read = "nodes => nodes.map(node => node.textContent)"
    assert page.eval_on_selector_all(".js-plotly-plot:first-of-type .ytick text", read)[:2] == NAMES[:2]
    assert set(NAMES) <= set(page.eval_on_selector_all(".legendtext", read))
    page.evaluate("Plotly.Fx.hover(document.querySelector('.js-plotly-plot'), [{curveNumber: 0, pointNumber: 2}])")
    page.wait_for_selector(".hovertext text")
    assert NAMES[2] in " ".join(page.eval_on_selector_all(".hovertext text", read))
    assert page.foreign == []
