import json

import pytest

from core.errors import InputError, MissingInput
from core.quality import distribution
from tests.quality_data import make_dataset, make_inputs


def records(**counts):
    return [
        {"prompt": f"{c} {i}", "response": "x" * (i + 1), "category": c} for c, n in counts.items() for i in range(n)
    ]


def test_step_with_records_says_what_it_leaves_out(tmp_path):
    training = make_dataset(tmp_path / "t", [*records(a=6, b=2), {"prompt": "no category"}])
    production = make_dataset(tmp_path / "p", records(a=2, b=2, c=1), role="production")
    output = distribution.run(make_inputs(tmp_path, {"training": training, "production": production}, draws=100))
    rows = {row["category"]: row for row in output.table.to_pylist()}
    assert (rows["a"]["training"], rows["a"]["production"], rows["c"]["flag"]) == (6, 2, "missing")
    assert output.info["warnings"] == ["1 of 9 training records have no category; the shares leave them out."]
    assert output.info["kl"] is None and output.info["missing"] == ["c"]
    json.dumps(output.info, allow_nan=False)


def test_step_with_shares(tmp_path):
    training = make_dataset(tmp_path / "t", records(a=6, b=2))
    output = distribution.run(make_inputs(tmp_path, {"training": training}, shares={"a": 0.75, "b": 0.25}))
    assert output.info["kl"] == 0 and output.table["production"].null_count == 2


def test_step_without_production_says_what_to_do(tmp_path):
    training = make_dataset(tmp_path / "t", records(a=6))
    with pytest.raises(MissingInput, match="production shares"):
        distribution.run(make_inputs(tmp_path, {"training": training}))


def test_no_category_at_all(tmp_path):
    training = make_dataset(tmp_path / "t", [{"prompt": "x"}])
    with pytest.raises(InputError, match="Map a category column"):
        distribution.run(make_inputs(tmp_path, {"training": training}, shares={"a": 1}))


def test_numbers_go_into_bands_in_their_own_order(tmp_path):
    training = make_dataset(tmp_path / "t", records(a=60))
    production = make_dataset(tmp_path / "p", records(a=30), role="production")
    found = distribution.compare_datasets(training, production, column="response_length", draws=0)
    assert found.categories[0].startswith("under") and found.categories[-1].endswith("and over")
    assert found.training.sum() == 60 and found.production.sum() == 30
    turns = distribution.compare_datasets(training, production, column="turns", draws=0)
    assert turns.categories == ("2",)


def test_text_that_looks_like_numbers_stays_text_when_it_is_a_code(tmp_path):
    training = make_dataset(tmp_path / "t", [{"prompt": "x", "field.code": "007"}, {"prompt": "y", "field.code": "NA"}])
    left, _, order = distribution.column_counts(training, None, "field.code")
    assert left == {"007": 1, "NA": 1} and order is None


def test_unknown_column_names_the_choices(tmp_path):
    training = make_dataset(tmp_path / "t", records(a=2))
    with pytest.raises(InputError, match="category"):
        distribution.column_counts(training, None, "colour")
