import numpy as np
import pytest

from core.errors import InputError
from core.quality import duplicates
from core.quality.pairs import Pairs, cross_pairs_over, pairs_over, read
from tests.quality_data import embedded, make_dataset, make_inputs, make_result


def at_cosine(value: float) -> np.ndarray:
    return np.array([value, np.sqrt(1 - value**2), 0.0])


def brute(vectors, floor):
    scores = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(scores, 1) >= floor), strict=True)}


def near(random, count, width=16):
    vectors = random.standard_normal((count, width))
    vectors[1::3] = vectors[: len(vectors[1::3])] + 0.3 * random.standard_normal((len(vectors[1::3]), width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_all_pairs_over_several_blocks_are_those_of_brute_force():
    vectors = near(np.random.default_rng(0), 2500)
    found = pairs_over(vectors, 0.8)
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == brute(vectors, 0.8)
    assert (np.diff(found.similarity) <= 0).all() and (found.left < found.right).all()


def test_threshold_is_at_or_over():
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], dtype=np.float32)
    found = pairs_over(vectors, 0.8)  # 0.8 as float32 is exactly the similarity
    assert len(found) == 1 and len(found.over(0.8)) == 1 and len(found.over(0.801)) == 0


def test_threshold_under_the_floor_is_refused():
    with pytest.raises(InputError, match="from 0.8 upwards"):
        pairs_over(np.eye(3, dtype=np.float32), 0.8).over(0.7)


def test_too_many_pairs_raise_the_floor_and_say_so():
    random = np.random.default_rng(1)
    vectors = random.standard_normal(8) + 0.3 * random.standard_normal((300, 8))  # similarities around 0.92
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    everything = pairs_over(vectors, 0.8)
    assert len(everything) > 20_000
    found = pairs_over(vectors, 0.8, limit=20_000)
    assert found.floor in (0.85, 0.9, 0.92, 0.95) and len(found) == len(everything.over(found.floor))


def test_one_text_only_is_a_clear_stop():
    with pytest.raises(InputError, match="mostly one text"):
        pairs_over(np.ones((100, 1), dtype=np.float32), 0.8, limit=1000)


def test_empty_and_zero_rows():
    assert len(pairs_over(np.zeros((0, 4), np.float32))) == 0
    assert len(pairs_over(np.zeros((5, 4), np.float32))) == 0


def test_cross_pairs():
    left, right = near(np.random.default_rng(2), 60), near(np.random.default_rng(2), 40)
    found = cross_pairs_over(left, right, 0.9)
    expected = {(int(i), int(j)) for i, j in zip(*np.nonzero(left @ right.T >= 0.9), strict=True)}
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected


def make_pairs(*triples):
    left, right, similarity = zip(*triples, strict=True)
    return Pairs(np.array(left, np.int32), np.array(right, np.int32), np.array(similarity, np.float32), 0.8)


def test_groups_by_linkage_numbered_by_first_member():
    pairs = make_pairs((4, 5, 0.99), (0, 2, 0.95), (2, 3, 0.93), (0, 1, 0.85))
    assert duplicates.groups(pairs, 0.92, 7).tolist() == [0, -1, 0, 0, 1, 1, -1]
    assert duplicates.groups(pairs, 0.80, 7).tolist() == [0, 0, 0, 0, 1, 1, -1]
    assert duplicates.groups(pairs, 0.995, 7).tolist() == [-1] * 7


def test_keeper_is_longest_then_best_rated_then_first():
    label = np.array([0, 0, 0, 1, 1, 2, 2, -1])
    length = np.array([5, 9, 9, 4, 4, 3, 3, 1])
    rating = np.array([5, 1, 2, np.nan, 1, 7, 7, np.nan])
    assert np.flatnonzero(duplicates.keepers(label, length, rating)).tolist() == [2, 4, 5, 7]


def test_summary():
    expected = {"groups": 2, "members": 5, "largest": 3, "removable": 3, "ratio": 0.5}
    assert duplicates.summary(np.array([0, 0, 0, 1, 1, -1])) == expected
    assert duplicates.summary(np.array([-1, -1]))["ratio"] == 0


def test_canonical_text():
    assert duplicates.canonical_text("  Cafe\u0301 \n au\tLAIT ") == duplicates.canonical_text("CAFÉ au lait")
    assert duplicates.first_copies(["A b", "c", "a  B", "", "", None]).tolist() == [0, 1, 0, 3, 4, 5]


def test_step_and_the_live_threshold(tmp_path):
    records = [
        {"prompt": "Dose of aspirin?", "response": "81 mg", "reasoning": "short"},
        {"prompt": "dose of  Aspirin?", "response": "A much longer answer.", "reasoning": "and why"},
        {"prompt": "Aspirin dose?", "response": "x"},
        {"prompt": "Weather", "response": "y"},
        {"prompt": "", "response": "z"},
        {"prompt": "", "response": "z"},
    ]
    dataset = make_dataset(tmp_path / "d", records)
    vectors = np.array([at_cosine(1), at_cosine(0.3), at_cosine(0.9), [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    inputs = make_inputs(tmp_path, {"training": dataset}, {"embed": embedded(tmp_path / "e", dataset, vectors)})
    output = duplicates.run(inputs)
    rows = output.table.to_pylist()
    assert [r["group"] for r in rows] == [0, 0, -1, -1, -1, -1]  # equal text, whatever its own vector says
    assert [r["keeper"] for r in rows] == [False, True, True, True, True, True]
    assert rows[1]["copy"] == "text" and rows[5]["copy"] == "record"
    assert (rows[2]["nearest_id"], rows[2]["similarity"]) == (rows[0]["record_id"], pytest.approx(0.9))
    assert rows[3]["nearest_id"] is None and rows[3]["similarity"] is None
    assert (output.info["ratio"], output.info["exact_text"], output.info["pairs"]) == (pytest.approx(1 / 6), 1, 1)
    result = make_result(tmp_path / "r", "duplicates", output, inputs.files)
    pairs = duplicates.load_pairs(result)
    assert pairs.floor == 0.8 and len(pairs) == 2
    label, keeper = duplicates.regroup(result, pairs, 0.85)
    assert label.tolist() == [0, 0, 0, -1, -1, -1] and keeper.tolist() == [False, True, False, True, True, True]


def test_pairs_survive_storage(tmp_path):
    pairs = make_pairs((0, 1, 0.93), (1, 2, 0.85))
    pairs.write(tmp_path / "pairs.parquet")
    again = read(tmp_path / "pairs.parquet")
    assert again.floor == 0.8 and again.similarity.tolist() == pairs.similarity.tolist()


def test_groups_among_the_records_that_are_kept():
    """Copies stay together when the first of them is removed; a group of one is none; the removed are no keepers."""
    label = np.array([0, 0, 0, 1, 1, -1], np.int32)
    kept = np.array([False, True, True, True, False, True])
    assert duplicates.among(label, kept).tolist() == [-1, 0, 0, -1, -1, -1]
    assert duplicates.summary(duplicates.among(label, kept)[kept]) == {
        "groups": 1, "members": 2, "largest": 2, "removable": 1, "ratio": 1 / 4,
    }  # fmt: skip


def test_a_choice_by_hand_holds_for_its_group_alone():
    label = np.array([0, 0, 0, 1, 1, -1], np.int32)
    keeper = np.array([True, False, False, True, False, True])
    chosen = np.array([False, True, True, False, False, True])
    assert duplicates.by_hand(label, keeper, chosen).tolist() == [False, True, True, True, False, True]


def test_groups_are_ranked_by_size_then_by_first_member():
    label = np.array([0, 1, 1, 0, 2, 2, 2, -1], np.int32)
    assert [rows.tolist() for rows in duplicates.ranked(label)] == [[4, 5, 6], [0, 3], [1, 2]]
    assert duplicates.ranked(np.full(3, -1)) == []
