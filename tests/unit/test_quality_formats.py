import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InputError
from core.quality import formats
from core.quality.rule_library import READY
from core.quality.rules import Records, Rule, check, check_rule, looks_cut, rule_from
from core.quality.suggestions import suggest
from tests.quality_data import make_dataset, make_inputs


def records(*responses, **columns):
    count = len(responses) or len(next(iter(columns.values())))
    table = {"response": list(responses) or [""] * count, "prompt": ["p"] * count} | columns
    table.setdefault("category", [None] * count)
    return Records(pa.table({k: pa.array(v, pa.string()) for k, v in table.items()}))


def rows(some: Records, kind: str, applies_to: str = "all", **params) -> list[int]:
    rule = Rule("r", "r", kind, params, applies_to)
    check_rule(rule)
    return sorted({v.row for v in check(some, rule)})


def ready(name: str) -> Rule:
    return next(rule for rule in READY if rule.id == name)


def test_every_ready_rule_is_valid_and_clean_text_breaks_none():
    clean = records(
        "Take one tablet with food. Call your doctor if you feel unwell.", messages=[conversation("user", "assistant")]
    )
    for rule in READY:
        check_rule(rule)
        assert check(clean, rule) == [], rule.id


def test_required_and_forbidden_patterns():
    some = records("Dose: 5 mg", "no dose", "Dose: unknown")
    assert rows(some, "matches", pattern=r"Dose: \d") == [1, 2]
    assert rows(some, "forbids", pattern=r"unknown") == [2]


def test_a_pattern_that_backtracks_elsewhere_is_linear_here():
    start = time.perf_counter()
    assert rows(records("a" * 50_000 + "!"), "matches", pattern=r"^(a+)+$") == [0]
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", ""])
def test_patterns_re2_does_not_take_are_refused(pattern):
    with pytest.raises(InputError):
        check_rule(Rule("mine", "m", "matches", {"pattern": pattern}))


@pytest.mark.parametrize(
    "value",
    [
        {"id": "a", "kind": "nothing"},
        {"kind": "json"},
        {"id": "a", "kind": "json", "colour": 1},
        {"id": "a", "kind": "length", "params": {"min": 3}},
        {"id": "a", "kind": "json", "severity": "fatal"},
        {"id": "a", "kind": "not_empty", "params": {"column": "raw"}},
    ],
)
def test_bad_rules_are_refused_with_the_choices(value):
    with pytest.raises(InputError):
        rule_from(value)


def test_snippet_stands_at_the_match_also_after_wide_characters():
    some = records("é漢😀" * 100 + "BAD" + "x" * 100)
    (violation,) = check(some, Rule("r", "r", "forbids", {"pattern": "BAD"}))
    assert "BAD" in violation.snippet and violation.snippet.startswith("…") and len(violation.snippet) <= 82


def test_sections_in_their_usual_dress():
    some = records(
        "Plan: rest",
        "**Plan:** rest",
        "## Plan\nrest",
        "- Plan: rest",
        "1. **Plan**: rest",
        "plan: rest",
        "The Plan: no",
        "Planning: x",
    )
    found = check(some, Rule("r", "r", "section", {"label": "Plan"}))
    assert [v.row for v in found] == [5, 6, 7]
    assert "another case" in found[0].message and "no section" in found[1].message


def test_first_line_label_and_its_values():
    values = ["Emergency", "Routine"]
    some = records(
        "Urgency: Routine\nx",
        "**Urgency:** Emergency.\nx",
        "Urgency: routine",
        "Urgency: Soon",
        "Rest.\nUrgency: Routine",
    )
    found = check(some, Rule("r", "r", "first_label", {"label": "Urgency", "values": values}))
    assert [v.row for v in found] == [2, 3, 4]
    assert "write it “Routine”" in found[0].message and "expected Emergency | Routine" in found[1].message


def test_first_line_label_may_ask_for_the_space():
    some = records("Urgency: Routine", "Urgency:Routine", "**Urgency:** Routine")
    assert rows(some, "first_label", label="Urgency", space=True) == [1]
    assert rows(some, "first_label", label="Urgency") == []


def test_json_responses():
    some = records('{"a": 1}', '```json\n{"a": 1}\n```', "[1]", '{"b": true}', '{"a": true}', "{", "[" * 100_000)
    found = {
        v.row: v.message for v in check(some, Rule("r", "r", "json", {"required": ["a"], "types": {"a": "number"}}))
    }
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert "fence" in found[1] and "array" in found[2] and "lacks 'a'" in found[3] and "not of type number" in found[4]


def test_stray_space_and_empty_text():
    some = records("x ", "x", "\n x", "", "\u200b", "x\u00a0")
    assert rows(some, "stray_space", columns=["response"]) == [0, 2, 4, 5]
    assert rows(some, "not_empty") == [3, 4]


def test_length_band_includes_its_ends():
    assert rows(records("a", "ab", "abc", "abcd"), "length", low=2, high=3) == [0, 3]


def conversation(*roles, content="x"):
    return json.dumps([{"role": role, "content": content} for role in roles])


@pytest.mark.parametrize(
    ("roles", "fine"),
    [
        (("user", "assistant"), True),
        (("system", "user", "assistant", "user", "assistant"), True),
        (("user", "assistant", "tool", "assistant"), True),
        (("user", "assistant", "tool", "tool", "assistant", "user", "assistant"), True),
        (("assistant", "user"), False),
        (("user", "user", "assistant"), False),
        (("user", "assistant", "user"), False),
        (("user", "system", "assistant"), False),
        (("system",), False),
    ],
)
def test_turn_order(roles, fine):
    assert rows(records("x", messages=[conversation(*roles)]), "turn_order") == ([] if fine else [0])


def test_empty_turns_but_not_tool_calls():
    call = json.dumps(
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}]
    )
    some = records("x", "x", "x", messages=[conversation("user", "assistant", content=" "), call, conversation("user")])
    assert rows(some, "empty_turns") == [0]


def test_reasoning_present_and_not_a_copy():
    some = records(
        "a",
        "b",
        "c",
        "The same answer as the other.",
        reasoning=["because of this and that", None, " x ", "The same answer as the other."],
    )
    found = {v.row: v.message for v in check(some, Rule("r", "r", "reasoning", {"least": 10}))}
    assert sorted(found) == [1, 2, 3] and "repeats" in found[3]


@pytest.mark.parametrize(
    "text",
    [
        "Take it twice daily with food and",
        "The usual options are, in order of preference, rest,",
        "Run this:\n```python\nprint(1)\n",
        "The patient should be reviewed within two days because the potassium was raised when last chec",
    ],
)
def test_cut_off(text):
    assert looks_cut(text)


@pytest.mark.parametrize(
    "text",
    [
        "Yes", "12 mg", "Rest, fluids, paracetamol", "- Take with food\n- Avoid alcohol and drive only when you feel well enough",
        "Diagnosis: community-acquired pneumonia of the right lower lobe without effusion", '{"a": [1, 2]}', "```\ncode\n```",
        "该患者应尽快就医，不要等待，并且应当带上所有正在服用的药物清单，以便医生能够准确判断病情的严重程度和可能的药物相互作用以及其他问题所在",
        "He said “do not take it with grapefruit juice, whatever anybody else may tell you”",
    ],
)  # fmt: skip
def test_not_cut_off(text):
    assert looks_cut(text) == ""


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("template_tokens", "Sure.<|im_end|>"),
        ("template_tokens", "x\n### Response:\ny"),
        ("placeholders", "Dear [patient name], take {{dose}}"),
        ("broken_characters", "Donâ€™t, 37Â°C"),
        ("broken_characters", "a\ufffdb"),
        ("broken_characters", "\x07bell"),
        ("model_talk", "As an AI language model, I cannot"),
    ],
)
def test_ready_rules_find_what_they_name(rule, text):
    assert [v.row for v in check(records("All is well.", text), ready(rule))] == [1]


@pytest.mark.parametrize(
    "text", ["Âge et château, â l'ancienne, TODOS los días", "[1] see the reference [dated 2020]", "a\tb\r\nc"]
)
def test_ready_rules_leave_ordinary_text_alone(text):
    assert [
        rule.id for rule in READY for _ in check(records(text, messages=[conversation("user", "assistant")]), rule)
    ] == []


def test_category_casing_names_the_usual_form():
    some = records(category=["Triage", "Triage", "triage", "drug_dose", "Drug dose", "Drug dose", None])
    found = {v.row: v.message for v in check(some, ready("category_casing"))}
    assert sorted(found) == [2, 3] and "elsewhere “Triage”" in found[2]


def test_rule_of_one_category_looks_at_nothing_else():
    some = records("x", "x", "Plan: y", category=["a", "b", "a"])
    assert rows(some, "section", applies_to="a", label="Plan") == [0]
    assert rows(some, "section", applies_to="nobody", label="Plan") == []


def triage(n, value="Routine"):
    return f"Urgency: {value}\nSee case {n}. Call 911 if it gets worse."


def test_suggested_rules_are_those_of_the_large_majority():
    triaged = [triage(i, "Routine" if i % 2 else "Emergency") for i in range(19)] + ["No label here."]
    coded = [json.dumps({"code": i, "name": "x"}) for i in range(20)]
    free = [f"Free text number {i} that has no shape" for i in range(20)]
    some = records(*triaged, *coded, *free, category=["triage"] * 20 + ["coding"] * 20 + ["free"] * 20)
    found = {rule.id: rule for rule in suggest(some)}
    label = found["first:triage:Urgency"]
    assert (label.params, label.share, label.origin) == (
        {"label": "Urgency", "values": ["Emergency", "Routine"], "space": True},
        0.95,
        "suggested",
    )
    assert found["json:coding"].params == {"required": ["code", "name"]}
    assert found["safety:triage"].kind == "matches"
    assert (
        not [i for i in found if ":free" in i and not i.startswith("length")] and "section:triage:Urgency" not in found
    )
    assert [v.row for v in check(some, label)] == [19]
    for rule in found.values():
        check_rule(rule)


def test_what_all_categories_do_is_one_rule():
    some = records(*["Diagnosis: x\nPlan: y."] * 40, category=["a"] * 20 + ["b"] * 20)
    assert {"first:all:Diagnosis", "section:all:Plan"} <= {rule.id for rule in suggest(some)}


def test_small_sets_suggest_nothing():
    assert suggest(records("Plan: x", "Plan: y")) == []


def test_step_counts_records_not_violations(tmp_path):
    answers = [triage(i) for i in range(20)]
    data = [{"prompt": "p", "response": r, "category": "triage"} for r in answers] + [
        {"prompt": "p ", "response": "nothing,", "category": "triage"},
        {"prompt": "p", "response": "", "category": "triage"},
    ]
    dataset = make_dataset(tmp_path / "d", data)
    output = formats.run(make_inputs(tmp_path, {"training": dataset}))
    by_record = output.table.to_pandas().groupby("record_id")["rule"].agg(set)
    assert len(by_record) == 2 and output.info["violating"] == 2
    assert {"stray_space", "first:all:Urgency"} <= by_record[dataset.ids()[20]]
    assert {"empty_response", "empty_turns"} <= by_record[dataset.ids()[21]]
    assert output.info["compliance"] == pytest.approx(20 / 22)
    rules = {rule["id"]: rule for rule in output.info["rules"]}
    assert (rules["empty_turns"]["violations"], rules["empty_turns"]["looked_at"]) == (1, 22)
    json.dumps(output.info)


def test_blocks_of_the_file_give_what_the_whole_gives(tmp_path):
    """Every kind of suggested rule, and the two kinds that compare records with each other, over groups of 7 rows and over one."""
    data = []
    for i in range(120):
        json_answer = {"response": f'{{"code": "{i % 9}", "why": "x{i}"}}' if i % 40 else "{bad", "category": "codes"}
        closing = "\nAsk your doctor when it gets worse." if i % 9 else ""
        plain = {"response": f"## Findings\nText {i}.\n- one\n- two{closing}", "category": "notes"}
        data += [
            json_answer | {"reasoning": f"because of {i % 4}"},
            {"response": triage(i), "category": "triage"},
            plain,
        ]
    data += [{"response": f"Only {i}", "category": "few"} for i in range(3)] + [{"response": "Urgency: Routine"}]
    for i in range(0, len(data), 11):
        data[i] |= {"category": str(data[i].get("category", "few")).title(), "prompt": " p"}
    dataset = make_dataset(tmp_path / "d", [{"prompt": "p"} | one for one in data])
    own = [
        {"id": "repeated", "kind": "reasoning", "params": {"repeats": 29}},
        {"id": "repeated here", "kind": "reasoning", "params": {"repeats": 25}, "applies_to": "codes"},
        {"id": "casing", "kind": "label_casing", "params": {"column": "category"}},
        {"id": "casing here", "kind": "label_casing", "params": {"column": "reasoning"}, "applies_to": "codes"},
    ]
    rules = ["suggested", "ready", *own]
    whole = formats.run(make_inputs(tmp_path, {"training": dataset}, rules=rules))
    path = dataset.path / "records.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=7)
    blocks = formats.run(make_inputs(tmp_path, {"training": dataset}, rules=rules))
    assert pq.ParquetFile(path).num_row_groups > 50
    assert blocks.table.equals(whole.table) and blocks.info == whole.info
    kinds = {rule["id"].split(":")[0] for rule in whole.info["rules"] if rule["origin"] == "suggested"}
    assert {"json", "first", "section", "reasoning", "closing", "safety", "length", "style"} <= kinds
    assert {"repeated", "casing"} <= set(whole.table["rule"].to_pylist())
    assert "30 records have this very reasoning" in " ".join(whole.table["message"].to_pylist())


def test_own_rules_by_parameter(tmp_path):
    dataset = make_dataset(
        tmp_path / "d", [{"prompt": "a", "response": "b", "field.note": "see you"}, {"prompt": "a", "response": "c"}]
    )
    own = {"id": "note", "kind": "matches", "params": {"column": "field.note", "pattern": "see"}}
    output = formats.run(make_inputs(tmp_path, {"training": dataset}, rules=["ready", own], off=["category_casing"]))
    assert output.table["rule"].to_pylist() == ["note"]
    assert output.table["record_id"].to_pylist() == dataset.ids()[1:]
    with pytest.raises(InputError, match="id"):
        formats.run(make_inputs(tmp_path, {"training": dataset}, rules=[own, own]))
    with pytest.raises(InputError, match="suggested, ready"):
        formats.run(make_inputs(tmp_path, {"training": dataset}, rules="everything"))


def test_compliance_has_its_interval():
    """Clopper–Pearson by the exact binomial tails: 3 of 50 gives 0.0125..0.1655 (Newcombe 1998 uses the same method)."""
    found = formats.interval(3, 50)
    assert (found["low"], found["high"]) == (pytest.approx(1 - 0.16548, abs=1e-5), pytest.approx(1 - 0.01255, abs=1e-5))
    assert formats.interval(0, 50)["high"] == 1 and formats.interval(50, 50)["low"] == 0
    assert formats.interval(0, 0) == {"low": None, "high": None}
