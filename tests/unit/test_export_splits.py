"""Splits: groups stay whole, shares hold as far as groups allow, the same seed draws the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.exporting import Splitting, export_records, split_path
from core.dataset.splitting import joined, parse_shares, split_by_group
from core.errors import InputError
from core.workspace import open_workspace
from tests.dataset_files import lines

THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=40, max_size=200), st.integers(0, 5))
def test_a_group_is_never_parted_and_every_record_has_a_split(groups, seed):
    groups = np.array(groups)
    if len(np.unique(groups)) < 3:
        return
    found = split_by_group(groups, THREE, seed)
    assert len(found.of) == len(groups) and set(found.of.tolist()) <= {0, 1, 2}
    for group in np.unique(groups):
        assert len(np.unique(found.of[groups == group])) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(100, 500), st.integers(1, 6), st.integers(0, 9))
def test_without_groups_every_stratum_is_within_one_record_of_its_share(count, kinds, seed):
    strata = [f"k{n % kinds}" for n in range(count)]
    found = split_by_group(np.arange(count), THREE, seed, strata)
    for k in range(kinds):
        mine = found.of[np.array(strata) == f"k{k}"]
        for s, share in enumerate(THREE.values()):
            assert abs((mine == s).sum() - share * len(mine)) <= 1
    assert max(abs(s["records"] - s["asked"] * count) for s in found.facts["splits"].values()) <= kinds


def test_shares_hold_within_the_largest_group():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 400, 3000)
    found = split_by_group(groups, THREE, 0, [f"k{g % 7}" for g in groups])
    largest = found.facts["largest_group"]
    assert all(abs(s["records"] - s["asked"] * 3000) <= largest for s in found.facts["splits"].values())
    assert found.facts["off_by"] <= largest / 3000


def test_the_seed_decides_and_nothing_else():
    groups = np.repeat(np.arange(200), 2)
    one, two, other = (split_by_group(groups, THREE, seed).of for seed in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


def test_one_giant_group_is_told_not_hidden():
    found = split_by_group(np.array([0] * 90 + list(range(1, 11))), {"train": 0.5, "test": 0.5}, 0)
    assert found.facts["largest_group"] == 90 and found.facts["off_by"] == pytest.approx(0.4)
    assert found.facts["splits"]["train"]["records"] in (90, 10)
    with pytest.raises(InputError, match="too few"):
        split_by_group(np.zeros(50, int), THREE)


def test_groups_join_through_a_third_record():
    near = np.array([0, 0, -1, 1, 1, -1], dtype=object)
    source = ["x", None, "x", "y", "", None]
    found = joined(near, source)
    assert found[0] == found[1] == found[2] and found[3] == found[4] and len(set(found.tolist())) == 3


@pytest.mark.parametrize(
    "text", ["", "train", "train=80", "train=80,test=30", "train=80,train=20", "train=-1,test=2", "a/b=50,c=50"]
)
def test_shares_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError):
        parse_shares(text)
    assert parse_shares("train=80, test=20%") == {"train": 0.8, "test": 0.2} == parse_shares("train=.8,test=.2")


def test_the_name_of_a_split_stands_before_the_ending():
    assert [split_path(Path(n), "test").name for n in ("a.jsonl", "a.b.jsonl.gz", "a")] == [
        "a-test.jsonl",
        "a.b-test.jsonl.gz",
        "a-test",
    ]


@pytest.fixture
def space(tmp_path):
    from core.dataset.importing import import_file

    rows = [
        {
            "prompt": f"question {n // 2} about {'abc'[n % 3]}",
            "response": f"answer {n}",
            "category": "abc"[n % 3],
            "source": f"s{n // 6}",
        }
        for n in range(120)
    ]
    (tmp_path / "a.jsonl").write_text(lines(*rows))
    made = open_workspace(tmp_path / "ws")
    made.add("training", "a.jsonl", lambda folder: import_file(tmp_path / "a.jsonl", folder, "training"))
    return made


def test_an_export_in_splits_loses_nothing_and_parts_no_source(space, tmp_path):
    how = Splitting({"train": 0.75, "test": 0.25}, ("prompt", "source"))
    manifest = export_records(space, "jsonl", tmp_path / "out.jsonl", split=how, card=True)
    rows = {name: [json.loads(line) for line in (tmp_path / f"out-{name}.jsonl").open()] for name in ("train", "test")}
    ids = {name: {row["record_id"] for row in some} for name, some in rows.items()}
    assert not ids["train"] & ids["test"] and ids["train"] | ids["test"] == set(space.need().ids())
    sources = {name: {row["fields"]["source"] for row in some} for name, some in rows.items()}
    assert not sources["train"] & sources["test"]
    assert manifest["splits"]["grouped_by"] == ["equal prompts", "source"] and manifest["records"] == 120
    one = json.loads((tmp_path / "out-train.jsonl.manifest.json").read_text())
    assert one["subset"]["split"] == "train" and one["subset"]["splits"] == manifest["splits"]
    card = (tmp_path / manifest["card"]).read_text()
    assert "out-train.jsonl" in card and "equal prompts, source stay whole" in card and "75.0%" in card
    import yaml

    front = yaml.safe_load(card.split("---")[1])
    assert [f["split"] for f in front["configs"][0]["data_files"]] == ["train", "test"] and front[
        "size_categories"
    ] == ["n<1K"]


def test_no_split_is_written_when_one_cannot_be(space, tmp_path):
    (tmp_path / "out-test.jsonl").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        export_records(space, "jsonl", tmp_path / "out.jsonl", split=Splitting({"train": 0.5, "test": 0.5}))
    assert not (tmp_path / "out-train.jsonl").exists() and (tmp_path / "out-test.jsonl").read_text() == "mine"
    with pytest.raises(InputError, match="no column 'nothing'"):
        export_records(space, "jsonl", tmp_path / "b.jsonl", split=Splitting(THREE, ("nothing",)))


def test_what_a_trainer_would_drop_is_left_out_and_named(tmp_path):
    from core.dataset.importing import import_file

    rows = [{"prompt": "p", "response": f"r{n}"} for n in range(5)] + [{"prompt": "word " * 3000, "response": "r"}]
    (tmp_path / "a.jsonl").write_text(lines(*rows))
    made = open_workspace(tmp_path / "ws")
    data = made.add("training", "a.jsonl", lambda folder: import_file(tmp_path / "a.jsonl", folder, "training"))
    manifest = export_records(made, "trl", tmp_path / "out.jsonl", leave_out=True, card=True)
    assert manifest["records"] == 5 and manifest["subset"]["preflight"]["left_out"] == [data.ids()[-1]]
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 5
    assert "1 records left out" in (tmp_path / manifest["card"]).read_text()
