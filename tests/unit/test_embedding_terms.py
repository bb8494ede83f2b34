"""Names of groups: distinguishing, distinct, without boilerplate, in scripts with and without spaces."""

from collections import Counter

import numpy as np
import pytest

from core.embedding.phrases import terms_of
from core.embedding.terms import _shares, _weights, name_groups, titles
from core.embedding.words import features, tokens


def test_terms_set_groups_apart_and_keep_their_capitals():
    groups = {
        0: [f"What is the treatment of COPD with inhaled steroids, patient {n}" for n in range(9)],
        1: [f"What is the treatment of atrial fibrillation with anticoagulants, patient {n}" for n in range(9)],
        2: [f"What is the treatment of iron deficiency in pregnancy, patient {n}" for n in range(9)],
    }
    names = name_groups(groups)
    assert "COPD" in names[0] and "inhaled steroids" in names[0]
    assert "atrial fibrillation" in names[1] and "iron deficiency" in names[2]
    assert not any("treatment" in t or "patient" in t.lower() for terms in names.values() for t in terms)


def test_a_phrase_stands_in_for_its_words_and_plurals_count_once():
    groups = {0: ["low back pain", "low back pain again"] * 4, 1: ["ear infection", "ear infections"] * 4}
    names = name_groups(groups)
    assert "back" not in names[0] and any("back pain" in t for t in names[0])
    assert not {"infection", "infections"} <= set(names[1])


def test_chinese_names_are_words_and_not_cuts():
    groups = {
        0: ["患者有高血压，怎么办？", "高血压如何治疗？", "老年高血压的用药", "确诊高血压后吃什么药"] * 3,
        1: ["糖尿病能吃水果吗", "得了糖尿病怎么办", "糖尿病的饮食", "控制糖尿病的方法"] * 3,
    }
    names = name_groups(groups)
    assert "高血压" in names[0] and "糖尿病" in names[1]


def test_equal_groups_get_distinct_titles_and_wordless_ones_a_number():
    names = titles(name_groups({0: ["cough"] * 3, 1: ["cough"] * 3, 2: ["??"] * 3, 3: []}), "cluster")
    assert len(set(names.values())) == 4 and names[2] == "cluster 2"


def test_words_in_any_script():
    assert tokens("HbA1c of 7.5, re-check: 高血压ok") == ["HbA1c", "of", "7.5", "re-check", "高血压", "ok"]
    assert features("Chest pain 高血") == ["chest", "pain", "chest pain", "高", "血", "高血"]


def test_texts_that_share_no_word_are_still_named():
    names = name_groups({0: ["asthma", "eczema", "hay fever", "hives"], 1: ["fracture"] * 4})
    assert names[0] and set(" ".join(names[0]).split()) <= {"asthma", "eczema", "hay", "fever", "hives"}


def test_medical_phrases_of_three_words_stay_whole_and_stop_at_a_full_stop():
    groups = {
        0: [f"Dose in chronic kidney disease. Stage {n} of chronic kidney disease, please" for n in range(6)],
        1: [f"Clot: deep vein thrombosis after flight {n}" for n in range(6)],
    }
    names = name_groups(groups)
    assert "chronic kidney disease" in names[0] and "deep vein thrombosis" in names[1]
    assert not any("disease stage" in t.lower() for t in names[0])


def test_a_capital_at_the_start_of_a_sentence_says_nothing_and_numbers_with_units_name_nothing():
    groups = {
        0: ["Platelets 23, 46f, 80kg", "Platelets low 12mg", "are platelets 34+5?"] * 3,
        1: ["Rash since Monday"] * 9,
    }
    names = name_groups(groups)
    assert names[0][0] == "platelets"
    assert not any(any(c.isdigit() for c in t) for t in names[0])


def test_the_embedding_tells_a_word_of_the_subject_from_one_that_lies_anywhere():
    """ "also" and "asthma" are equally frequent in group 0 and absent elsewhere but in the background: only the vectors tell."""
    groups = {0: ["zzalso. asthma"] * 8 + ["zzalso", "asthma"] * 2, 1: ["fracture"] * 12}
    rest = ["zzalso"] * 6 + ["asthma"] * 6
    here, there, away = np.eye(3, dtype=np.float32)
    mine = np.tile(here, (12, 1))
    vectors = {0: mine, 1: np.tile(there, (12, 1)), None: np.array([away] * 6 + [here] * 6)}
    assert name_groups(groups, rest, vectors=vectors)[0][0] == "asthma"
    vectors[None] = vectors[None][::-1].copy()
    assert name_groups(groups, rest, vectors=vectors)[0][0] == "zzalso"


def test_the_order_of_the_texts_changes_no_name():
    texts = ["sore throat and fever", "throat swab", "fever at night", "swollen throat"] * 5
    assert name_groups({0: texts, 1: ["broken wrist"] * 9}) == name_groups({0: texts[::-1], 1: ["broken wrist"] * 9})


def test_a_phrase_keeps_its_inner_particle_and_a_name_of_a_person_its_von():
    groups = {
        0: [f"shortness of breath on stairs {n}" for n in range(9)],
        1: [f"bleeding in von Willebrand disease {n}" for n in range(9)],
        2: [f"dolor de cabeza fuerte {n}" for n in range(9)],
    }
    names = name_groups(groups)
    assert any("shortness of breath" in t for t in names[0])
    assert any("von Willebrand disease" in t for t in names[1]) and "dolor de cabeza" in " ".join(names[2])


def test_what_nearly_always_follows_belongs_to_the_term():
    names = name_groups({0: ["gamma heavy chain disease"] * 3 + ["gout"] * 3, 1: ["fracture"] * 6})
    assert "gamma heavy chain disease" in names[0]


def test_a_word_as_common_in_many_groups_names_none_and_weak_words_come_once():
    """ "people" and "syndrome" stand in every group: only what is a group's own is left, after one word for how it is asked."""
    kinds = ("albinism", "gout", "rickets", "lupus", "scurvy", "measles", "anthrax", "mumps")
    groups = {
        n: [f"what are the {'symptoms' if n < 1 else 'facts'} of {kind} syndrome, type {i}" for i in range(9)]
        for n, kind in enumerate(kinds)
    }
    names = name_groups(groups)
    said = [w.lower() for terms in names.values() for t in terms for w in t.split()]
    assert all(kind in " ".join(names[n]).lower() for n, kind in enumerate(kinds))
    assert "type" not in said and "facts" not in said
    assert sum(t in ("symptoms", "syndrome", "type") for t in names[0]) <= 1


def test_a_phrase_is_not_left_open():
    found = terms_of("genetic changes related to Wilson disease", {})
    assert {"genetic changes", "wilson disease"} <= found
    assert not any(t.endswith(" related") or t.startswith("related ") for t in found)


def test_the_weight_is_the_share_times_the_logarithm_of_the_spread():
    """Four groups; the term in .5 of one and .25 of another: as common as in 1.5 groups. ln(1 + 4 / 1.5)^4 * .5 = 1.42491."""
    held = {0: Counter(gout=2, other=4), 1: Counter(gout=1), 2: Counter(), 3: Counter()}
    sizes = dict.fromkeys(held, 4)
    found = _weights(held[0], 4, _shares(held, sizes), 4, set())
    assert found["gout"] == pytest.approx(0.5 * np.log(1 + 4 / 1.5) ** 4) == pytest.approx(1.42491, abs=1e-5)
    assert found["other"] == pytest.approx(np.log(5) ** 4)
