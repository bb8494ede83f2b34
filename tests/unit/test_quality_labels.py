import json

import numpy as np
import pyarrow as pa
import pytest

from core.embedding.neighbours import knn
from core.errors import InputError, MissingInput
from core.quality import label_features, label_neighbours, labels
from core.workspace import Output
from tests.quality_data import embedded, make_dataset, make_inputs, make_result


def test_calibration_of_northcutt_figure_1():
    """Northcutt, Jiang and Chuang 2021, figure 1: the counts of the confident joint and the joint they calibrate to."""
    joint = labels.calibrate(np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]]))
    assert joint == pytest.approx(np.array([[0.25, 0.10, 0.05], [0.14, 0.15, 0], [0.08, 0.03, 0.20]]))


def test_calibration_scales_rows_to_the_given_counts():
    joint = labels.calibrate(np.array([[8, 2], [0, 0]]), np.array([50, 50]))
    assert joint == pytest.approx(np.array([[0.4, 0.1], [0, 0.5]]))


def test_confident_labels_by_hand():
    """Thresholds: label 0 (0.9 + 0.2) / 2 = 0.55, label 1 (0.8 + 0.6) / 2 = 0.7."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    given = np.array([0, 0, 1, 1])
    assert labels.thresholds(probabilities, given) == pytest.approx([0.55, 0.7])
    assert labels.confident_labels(probabilities, given).tolist() == [0, 1, 1, -1]
    assert labels.confident_joint(given, np.array([0, 1, 1, -1]), 2).tolist() == [[1, 1], [0, 1]]


def test_folds_are_even_keep_copies_together_and_ignore_the_order():
    texts = [f"text {i}" for i in range(50)] + ["TEXT  3"]
    given = np.array([i % 2 for i in range(50)] + [1])
    fold = label_features.folds_of(texts, given)
    assert fold[3] == fold[50]
    for label in (0, 1):
        assert np.bincount(fold[:50][given[:50] == label]).tolist() == [5] * 5
    order = np.random.default_rng(0).permutation(51)
    assert (label_features.folds_of([texts[i] for i in order], given[order]) == fold[order]).all()


def test_neighbour_agreement_by_hand():
    vectors = np.array([[1, 0], [0.99, 0.14], [0.9, 0.44], [0, 1]], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert label_neighbours.neighbour_agreement(vectors, np.array([0, 0, 1, 1]), 2).tolist() == [0.5, 0.5, 0, 0.5]
    assert np.isnan(label_neighbours.neighbour_agreement(vectors[:1], np.array([0]), 2)).all()


def blobs(tmp_path, per=30, extra=()):
    random = np.random.default_rng(0)
    centres = np.eye(6)[:3] * 4
    vectors = np.concatenate([c + 0.5 * random.standard_normal((per, 6)) for c in centres] + [np.zeros((0, 6))])
    records = [{"prompt": f"{name} {i}", "response": "x", "category": name} for name in "abc" for i in range(per)]
    records[0]["category"], records[per]["category"] = "c", "a"  # two wrong labels
    records += list(extra)
    vectors = np.concatenate([vectors, np.ones((len(extra), 6))])
    dataset = make_dataset(tmp_path / "d", records)
    return dataset, embedded(tmp_path / "e", dataset, vectors)


def test_step_finds_planted_labels(tmp_path):
    dataset, embed = blobs(tmp_path)
    output = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed}))
    rows = output.table.to_pylist()
    assert [i for i, row in enumerate(rows) if row["flagged"]] == [0, 30]
    assert (rows[0]["given"], rows[0]["suggested"], rows[30]["suggested"]) == ("c", "a", "b")
    assert min(rows, key=lambda row: row["self_confidence"])["flagged"] and rows[0]["knn_agreement"] == 0
    assert output.info["accuracy"] == pytest.approx(1 - 2 / 90, abs=0.01)
    assert {(c["given"], c["true"]) for c in output.info["confused"][:2]} == {("c", "a"), ("a", "b")}
    json.dumps(output.info, allow_nan=False)


def test_order_of_records_does_not_matter(tmp_path):
    dataset, embed = blobs(tmp_path)
    table, vectors = dataset.table(), np.asarray(embed.array())
    order = np.random.default_rng(3).permutation(dataset.count)
    columns = ["prompt", "response", "category"]
    again = make_dataset(tmp_path / "d2", table.select(columns).take(pa.array(order)).to_pylist())
    other = embedded(tmp_path / "e2", again, vectors[order])
    one = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed})).table
    two = labels.run(make_inputs(tmp_path, {"training": again}, {"embed": other})).table
    assert two["flagged"].to_pylist() == one["flagged"].take(pa.array(order)).to_pylist()
    assert two["self_confidence"].to_numpy() == pytest.approx(one["self_confidence"].to_numpy()[order], abs=0.02)


def test_small_and_absent_categories_are_left_out_and_said(tmp_path):
    extra = [{"prompt": f"rare {i}", "category": "rare"} for i in range(3)] + [{"prompt": "none"}]
    dataset, embed = blobs(tmp_path, extra=extra)
    output = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed}))
    last = output.table.to_pylist()[-4:]
    assert all(row["self_confidence"] is None and row["suggested"] is None and not row["flagged"] for row in last)
    assert (output.info["judged"], output.info["small"]) == (90, ["rare"])
    assert len(output.info["warnings"]) == 2 and "fewer than 5" in output.info["warnings"][1]


def test_one_category_is_undefined_and_none_is_an_error(tmp_path):
    dataset = make_dataset(tmp_path / "d", [{"prompt": str(i), "category": "a"} for i in range(10)])
    embed = embedded(tmp_path / "e", dataset, np.eye(10))
    output = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed}))
    assert "undefined" in output.info and "accuracy" not in output.info
    assert output.table["self_confidence"].null_count == 10
    bare = make_dataset(tmp_path / "d2", [{"prompt": str(i)} for i in range(10)])
    inputs = make_inputs(tmp_path, {"training": bare}, {"embed": embedded(tmp_path / "e2", bare, np.eye(10))})
    with pytest.raises(MissingInput, match="Map the column"):
        labels.run(inputs)
    with pytest.raises(InputError, match="nothing"):
        labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed}, column="nothing"))


def test_answers_that_name_their_label_are_recognised():
    names = ["card_lost", "triage", "rash"]
    assert label_features.names_label(names, ["card_lost", "Label: Triage.", "About it"])
    assert not label_features.names_label(names, ["card", "triages", "Rash!"])
    assert not label_features.names_label(["a"] * 3, ["an answer", None, "words alone"])


@pytest.mark.parametrize("judged", [60, 25, 4])
def test_shared_neighbours_are_those_that_a_search_among_the_judged_finds(judged):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 5)).astype(np.float32)
    vectors[7], vectors[11], vectors[12] = vectors[3], vectors[3], 0  # copies, and a record without a vector
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    shared, _ = knn(vectors, 12)
    rows = np.setdiff1d(np.sort(random.permutation(60)[:judged]), [12])
    expected, _ = knn(vectors[rows], 4)
    found = label_neighbours.shared_neighbours(shared, vectors, rows, 4)
    assert found.shape == expected.shape == (len(rows), min(4, len(rows) - 1))
    likeness = vectors[rows] @ vectors[rows].T
    assert np.allclose(np.take_along_axis(likeness, found, 1), np.take_along_axis(likeness, expected, 1), atol=1e-5)
    assert not (found == np.arange(len(rows))[:, None]).any()
    given = random.integers(0, 3, len(rows))
    assert label_neighbours.votes(found, given)[0] == pytest.approx(label_neighbours.votes(expected, given)[0])


def test_the_step_takes_shared_neighbours_and_says_when_they_are_approximate(tmp_path):
    dataset, embed = blobs(tmp_path)
    alone = labels.run(make_inputs(tmp_path / "a", {"training": dataset}, {"embed": embed}))
    found, _ = knn(np.asarray(embed.array()), 30)
    info = {"method": "pynndescent", "recall": 0.97, "recall_sample": 500}
    shared = make_result(tmp_path / "n", "neighbours", Output(None, found, info))
    output = labels.run(make_inputs(tmp_path / "b", {"training": dataset}, {"embed": embed, "neighbours": shared}))
    assert output.table.equals(alone.table)
    assert [w for w in output.info["warnings"] if "approximately: 97.0%" in w] and not alone.info["warnings"]


def test_words_of_many_texts_are_settled_on_a_part_and_given_to_all(tmp_path):
    texts = [f"{['pain', 'fever', 'cough'][i % 3]} {['mild', 'severe'][i % 2]} case" for i in range(120)]
    some = label_features.word_vectors(texts, 5, read=40)
    assert some.shape == label_features.word_vectors(texts, 5).shape == (120, 5)
    equal = np.array(texts)[:, None] == np.array(texts)
    assert ((some @ some.T > 0.999) == equal).all()


def test_large_arrays_are_files_and_give_the_same(tmp_path, monkeypatch):
    dataset, embed = blobs(tmp_path)
    one = labels.run(make_inputs(tmp_path / "a", {"training": dataset}, {"embed": embed}))
    monkeypatch.setattr("core.quality.columns.MAPPED", 0)
    two = labels.run(make_inputs(tmp_path / "b", {"training": dataset}, {"embed": embed}))
    assert two.table.equals(one.table) and two.info == one.info
    assert {p.name for p in (tmp_path / "b" / "scratch").iterdir()} == {"turned.npy", "probabilities.npy", "words.npy"}


def test_what_was_settled_on_a_part_is_said(tmp_path, monkeypatch):
    dataset, embed = blobs(tmp_path, per=60)
    monkeypatch.setattr("core.quality.softmax.SEARCH", 40)
    monkeypatch.setattr("core.quality.labels.READ", 50)
    info = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed})).info
    assert info["judged"] == 180 and info["searched"] == 40 and info["words_read"] == 50
    assert ["chosen on 40 of 180" in w or "settled on 50 of 180" in w for w in info["warnings"]] == [True, True]
