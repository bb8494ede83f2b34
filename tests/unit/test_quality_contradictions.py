import numpy as np
import pytest

from core.quality import contradictions, duplicates
from core.quality.contradictions import Text, differences, same_question
from tests.quality_data import embedded, make_dataset, make_inputs, make_result


def kinds(left: str, right: str) -> list[str]:
    return [kind for kind, _ in differences(Text(left), Text(right))]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Give 500 mg twice daily.", "Give 250 mg twice daily.", ["number"]),
        ("Give 500 mg or 250 mg twice daily.", "Give 250 mg twice daily.", []),
        ("Give 500mg for 7 days.", "Give 500 mg for 7 days with food.", []),
        ("Treat for 5 days.", "Treat for ten sessions.", []),
        ("It is safe to breastfeed on sertraline.", "It is not safe to breastfeed on sertraline.", ["negation"]),
        ("Take rest, fluids and paracetamol.", "Surgery tomorrow morning under general anaesthesia.", ["answer"]),
        ("Yes", "No.", ["negation"]),
        ("Urgency: Routine\nYes, it can wait.", "Urgency: Routine\nNo, it cannot wait.", ["negation"]),
        ("Yes, take both tablets together now.", "No, take both tablets now or later.", ["negation"]),
        ("Rest and drink enough water today.", "No", []),
        ("Take rest and fluids.", "Take fluids and rest often.", []),
    ],
)
def test_differences(left, right, expected):
    assert kinds(left, right) == expected == kinds(right, left)


def test_number_reason_names_both_doses():
    ((kind, reason),) = differences(Text("Start 20 mg once daily."), Text("Start 200 mg once daily."))
    assert kind == "number" and "20 against 200 mg" in reason


def test_questions_with_other_numbers_or_a_negation_are_other_questions():
    assert not same_question(Text("Dose for a child of 10 kg?"), Text("Dose for a child of 20 kg?"))
    assert not same_question(Text("Who should take it?"), Text("Who should not take it?"))
    assert same_question(Text("Dose for 10 kg?"), Text("What dose, 10 kg?"))


def step(tmp_path, records, vectors, **params):
    dataset = make_dataset(tmp_path / "d", records)
    inputs = make_inputs(
        tmp_path, {"training": dataset}, {"embed": embedded(tmp_path / "e", dataset, np.array(vectors, dtype=float))}
    )
    result = make_result(tmp_path / "r", "duplicates", duplicates.run(inputs), inputs.files)
    output = contradictions.run(make_inputs(tmp_path, {"training": dataset}, {"duplicates": result}, **params))
    position = {name: i for i, name in enumerate(dataset.ids())}
    return [
        (position[r["left_id"]], position[r["right_id"]], r["kind"], r["kinds"]) for r in output.table.to_pylist()
    ], output.info


def test_step_ranks_equal_prompts_and_categories_first(tmp_path):
    records = [
        {"prompt": "Amoxicillin dose?", "response": "500 mg three times a day", "category": "dose"},
        {"prompt": "Dose of amoxicillin?", "response": "50 mg three times a day", "category": "dose"},
        {"prompt": "Cough for a week", "response": "Rest and drink enough", "category": "triage"},
        {"prompt": "cough for  a week", "response": "Rest and drink enough", "category": "dose"},
        {"prompt": "Something else", "response": "Other", "category": "other"},
    ]
    found, info = step(tmp_path, records, [[1, 0, 0], [0.99, 0.1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert found == [(2, 3, "category", ["category"]), (0, 1, "number", ["number"])]
    assert (info["contradictions"], info["records"], info["same_text_groups"]) == (2, 4, 1)
    assert info["kinds"] == {"category": 1, "number": 1, "negation": 0, "answer": 0}


def test_copies_that_agree_are_no_contradiction_and_each_variant_is_compared_once(tmp_path):
    same = {"prompt": "q", "response": "Take 5 mg", "category": "a"}
    other = {"prompt": "Q", "response": "Take 9 mg", "category": "a"}
    near = {"prompt": "q?!", "response": "Take 7 mg", "category": "a"}
    found, info = step(tmp_path, [same, same, same, other, near], [[1, 0], [1, 0], [1, 0], [1, 0], [1, 0.05]])
    assert [f[:2] for f in found] == [(0, 3), (0, 4), (3, 4)]
    assert info["pairs_compared"] == 3


def test_nothing_near_gives_an_empty_table(tmp_path):
    found, info = step(tmp_path, [{"prompt": "a"}, {"prompt": "b"}], np.eye(2))
    assert found == [] and info["contradictions"] == 0


def test_many_variants_are_said(tmp_path):
    records = [{"prompt": "q", "response": f"Take {i} mg"} for i in range(1, 6)]
    found, info = step(tmp_path, records, np.ones((5, 2)), variants=3)
    assert len(found) == 3 and "more than 3" in info["warnings"][0]
