"""The generator of large sets: the same bytes from the same seed, the similarities and repetitions that it promises."""

import json

import numpy as np

from benchmarks.large import COPIES, NEAR, make


def test_a_made_set_holds_what_it_says(tmp_path):
    facts = make(tmp_path / "a", 4000, 300)
    assert facts == {"records": 4000, "production": 300, "topics": 20, "hidden_topics": 1}
    lines = (tmp_path / "a" / "training.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    vectors = np.load(tmp_path / "a" / "training.npy")
    assert (
        len(rows) == len(vectors) == 4000
        and vectors.dtype == np.float16
        and set(rows[0]) == {"instruction", "output", "category"}
    )
    make(tmp_path / "b", 4000, 300)
    for name in ("training.jsonl", "training.npy", "production.jsonl", "production.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    repeated = 1 - len(set(lines)) / len(lines)
    assert abs(repeated - COPIES) < 0.006
    alike = vectors[:2000].astype(np.float32) @ vectors[:2000].astype(np.float32).T
    assert np.allclose(np.diag(alike), 1, atol=2e-3)
    pairs = alike[np.triu_indices(2000, 1)]
    near = (pairs > 0.92).sum() / 2000
    assert 0.7 * (NEAR + COPIES) < near < 1.6 * (NEAR + COPIES)  # a copy of a copy makes more than one pair
    assert 0.0 < np.median(pairs) < 0.3 and 0.5 < np.median(pairs[pairs > 0.45]) < 0.75
    asked = {
        json.loads(line)["category"] for line in (tmp_path / "a" / "production.jsonl").read_text("utf-8").splitlines()
    }
    assert asked - {row["category"] for row in rows}  # the hidden topic's category has no other here
