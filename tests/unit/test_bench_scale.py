"""docs/scale.md holds what benchmarks/scale.py prints, and that follows from its formulas."""

from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.bench_gpu import SHAPES

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_of_the_page_are_those_of_the_script():
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    for table in scale.tables().split("\n\n"):
        assert table in page, "run python -m benchmarks.scale and put its tables into docs/scale.md"


def test_the_price_of_a_record_by_hand():
    # 0.5 B: 24 blocks of 2 * 896^2 + 2 * 896 * 128 + 3 * 896 * 4864 = 14,909,440 weights
    weights = 24 * 14_909_440
    forward = 2 * weights * 300 + 4 * 24 * 896 * 300 * 301 / 2 + 2 * 151_936 * 896 * 200
    assert scale.needed(SHAPES["0.5B"], "LoRA") == pytest.approx(2 * forward)
    assert scale.needed(SHAPES["0.5B"], "all parameters") == pytest.approx(3 * forward)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(8.34, "8.3 s"), (73, "73 s"), (600, "10 min"), (7_300, "2.0 h"), (1e7, "120 days"), (3.5e8, "11 years")],
)
def test_spans_read_well(seconds, said):
    assert scale.span(seconds) == said
