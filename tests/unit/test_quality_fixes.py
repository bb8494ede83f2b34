"""Fix-ups: what they may change, what they leave alone, and that they hold to the rules."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.quality import fixes, formats
from core.quality.rechecks import violations_now
from core.quality.records import Records
from core.quality.rules import Rule, check
from core.review import edits
from core.review.schema import open_store
from tests.quality_data import make_dataset, make_inputs, make_result


def fixed(texts: list[str], *rules: Rule, wanted=None) -> dict[int, str]:
    records = Records(pa.table({"prompt": ["p"] * len(texts), "response": texts}))
    broken = {rule.id: {v.row for v in check(records, rule)} for rule in rules}
    return {fix.row: fix.after for fix in fixes.propose(records, rules, broken, wanted)}


SPACE = Rule("space", "s", "stray_space")
DASH = Rule("dash", "d", "list_style", {"bullet": "-", "number": "."})
HASH = Rule("hash", "h", "heading_style", {"style": "#"})
BOLD = Rule("bold", "b", "heading_style", {"style": "**"})
FIRST = Rule("first", "f", "first_label", {"label": "Urgency", "values": ["Routine", "Urgent"], "space": True})


def test_each_fix_writes_the_text_as_its_rule_has_it():
    assert fixed(["x \n", "\u200bx", "x"], SPACE) == {0: "x", 1: "x"}
    assert fixed(["* a\n  • b\n1) c", "- a"], DASH) == {0: "- a\n  - b\n1. c"}
    assert fixed(["**Plan**\nrest", "## Plan"], HASH) == {0: "## Plan\nrest"}
    assert fixed(["### Plan ##\nrest"], BOLD) == {0: "**Plan**\nrest"}
    assert fixed(["urgency:urgent\nGo.", "Urgency: Routine"], FIRST) == {0: "Urgency: Urgent\nGo."}
    assert fixed(["## WHAT TO DO\nRest."], Rule("s", "s", "section", {"label": "What to do"})) == {
        0: "## What to do\nRest."
    }
    assert fixed(['```json\n{"a": 1}\n```'], Rule("j", "j", "json", {"required": ["a"]})) == {0: '{"a": 1}'}


def test_several_rules_make_one_text():
    assert fixed(["urgency:urgent\n* rest \n"], SPACE, DASH, FIRST) == {0: "Urgency: Urgent\n- rest"}
    assert fixed(["urgency:urgent\n* rest \n"], SPACE, DASH, FIRST, wanted=["dash"]) == {0: "urgency:urgent\n- rest \n"}


def test_code_is_left_alone():
    assert fixed(["* a\n```\n* b\n1) c\n```\n* d"], DASH) == {}  # the code inside would still break the rule
    assert fixes.FIXES["list_style"]("* a\n```\n* b\n```", {"bullet": "-"}) == "- a\n```\n* b\n```"


@pytest.mark.parametrize("text", ["Urgency: sometimes", "no label at all", '```json\n{"b": 1}\n```', "# a*b\n**c**"])
def test_what_a_person_has_to_decide_is_not_fixed(text):
    assert fixed([text], FIRST, Rule("j", "j", "json", {"required": ["a"]})) == {}


def test_a_fix_that_would_break_another_rule_is_not_made():
    forbids = Rule("no", "n", "forbids", {"pattern": r"(?m)^- "})
    assert fixed(["* a"], DASH, forbids) == {}
    assert fixed(["* a "], DASH, SPACE, forbids) == {0: "* a"}  # the other fix alone is safe


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aB1 \n*-#•.):_`\u00a0", max_size=60))
def test_a_fix_keeps_every_letter_and_its_rules_hold_afterwards(text):
    rules = (SPACE, DASH, HASH, FIRST)
    for after in fixed([text], *rules).values():
        assert fixes.same_words(text, after)
        assert [c for c in after.casefold() if c.isalnum()] == [c for c in text.casefold() if c.isalnum()]
        before = {r.id for r in rules if check(Records(pa.table({"prompt": ["p"], "response": [text]})), r)}
        now = {r.id for r in rules if check(Records(pa.table({"prompt": ["p"], "response": [after]})), r)}
        assert now < before
        assert after == fixed([text], *rules)[0] and not fixed([after], *rules)  # nothing is left to fix


def test_fixes_of_a_result_start_from_what_was_accepted(tmp_path):
    texts = ["one \n", "two ", "three", "* four "]
    dataset = make_dataset(tmp_path / "d", [{"prompt": f"p{i}", "response": t} for i, t in enumerate(texts)])
    rules = [SPACE.to_json(), DASH.to_json()]
    output = formats.run(make_inputs(tmp_path, {"training": dataset}, rules=rules))
    result = make_result(tmp_path / "r", "formats", output, params={"rules": rules})
    ids = dataset.ids()
    found = formats.fixes_of(dataset, result)
    assert {i: fix.after for i, fix in found} == {ids[0]: "one", ids[1]: "two", ids[3]: "- four"}
    assert found[-1][1].rules == ("dash", "space") and found[-1][1].row == 3
    edited = {ids[0]: "first", ids[1]: "second "}
    found = formats.fixes_of(dataset, result, edited=edited)
    assert {i: (fix.before, fix.after) for i, fix in found} == {
        ids[1]: ("second ", "second"),
        ids[3]: ("* four ", "- four"),
    }
    now = violations_now(dataset, result, edited, {}).to_pylist()
    assert [one["rule"] for one in now if one["record_id"] in edited] == ["space"]
    assert [one for one in now if one["record_id"] not in edited] == [
        one for one in result.table(["record_id", "rule", "severity"]).to_pylist() if one["record_id"] not in edited
    ]


def test_a_batch_is_undone_to_what_stood_before(tmp_path):
    store = open_store(tmp_path / "r.sqlite")
    edits.decide(store, edits.Proposal("a", "by hand", "ann", "v1"), "accept", "bob")
    assert (
        edits.accept_all(store, {"a": "fixed a", "b": "fixed b", "c": "fixed c"}, "format rules", "batch1", "bob") == 3
    )
    edits.accept_all(store, {"a": "fixed a", "b": "fixed b", "c": "fixed c"}, "format rules", "batch1", "bob")
    assert len(edits.edits(store)) == 4  # a retry writes nothing
    edits.decide(store, edits.Proposal("c", "later", "ann", "v2"), "accept", "bob")
    assert {i: e.text for i, e in edits.accepted(store).items()} == {"a": "fixed a", "b": "fixed b", "c": "later"}
    assert edits.undo_batch(store, "batch1", "bob") == 2
    assert {i: e.text for i, e in edits.accepted(store).items()} == {"a": "by hand", "c": "later"}
    assert edits.undo_batch(store, "batch1", "bob") == 0
