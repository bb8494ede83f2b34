"""JSON Schema, styles, forbidden sections, languages and reasoning as format rules."""

import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.quality import languages
from core.quality.json_kinds import quick, validator
from core.quality.records import Records
from core.quality.rule_library import SHELF
from core.quality.rules import Rule, check, check_rule
from core.quality.style_kinds import HEADINGS
from core.quality.suggestions import suggest


def records(*responses, **columns):
    count = len(responses) or len(next(iter(columns.values())))
    table = {"response": list(responses) or [""] * count, "prompt": ["p"] * count} | columns
    table.setdefault("category", [None] * count)
    return Records(pa.table({k: pa.array(v, pa.string()) for k, v in table.items()}))


def told(some: Records, kind: str, **params) -> dict[int, str]:
    rule = Rule("r", "r", kind, params)
    check_rule(rule)
    return {v.row: v.message for v in check(some, rule)}


CODES = {
    "type": "object",
    "required": ["code", "items"],
    "properties": {"code": {"$ref": "#/$defs/icd"}, "items": {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}},
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": False,
    "$defs": {"icd": {"type": "string", "pattern": "^[A-Z][0-9]{2}$"}},
}  # fmt: skip


def test_a_response_is_held_to_the_whole_schema():
    some = records(
        '{"code": "I10", "items": [3]}', '{"code": "I1", "items": [3]}', '{"code": "I10", "items": [3, 4]}',
        '{"code": "I10", "items": ["a"], "x-a": 1}', '{"code": "I10", "items": [], "more": 1}', "[1]", "no",
    )  # fmt: skip
    found = told(some, "json_schema", schema=CODES)
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert "code: 'I1' does not match" in found[1] and "'more' may not be there" in found[4]
    assert "items/0: 'a' is not of type 'integer'" in found[3] and "x-a: 1 is not of type 'string'" in found[3]


LEAVES = st.one_of(
    st.just({"type": "string"}), st.just({"type": "integer"}), st.just({"type": ["number", "null"]}), st.just({"const": 1}),
    st.just({"enum": ["a", 2, True, None]}), st.just({"minimum": 2}), st.just({"exclusiveMaximum": 2}), st.just({"multipleOf": 2}),
    st.just({"multipleOf": 0.1}), st.just({"pattern": "^[a-c]+$"}), st.just({"pattern": "\\s"}), st.just({"pattern": "(?i)A"}),
    st.just({"minLength": 2}), st.just({"uniqueItems": True}), st.just({"maxItems": 1}), st.just({"required": ["a"]}),
    st.just(True), st.just(False), st.just({"$ref": "#/$defs/leaf"}), st.just({"format": "date"}),
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: {"properties": {"a": a, "type": b}, "additionalProperties": False}, inner, inner),
        st.builds(lambda a, b: {"patternProperties": {"^[ab]": a}, "additionalProperties": b}, inner, inner),
        st.builds(lambda a, b: {"prefixItems": [a], "items": b}, inner, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"oneOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"if": a, "then": b}, inner, inner),
        st.builds(lambda a: {"not": a}, inner),
        st.builds(lambda a: {"contains": a, "maxContains": 1}, inner),
        st.builds(lambda a: {"allOf": [a], "unevaluatedProperties": False}, inner),
    ),
    max_leaves=5,
)
SCALARS = (
    None, True, False, 0, 1, 1.0, 2, 0.3, 10**30, float("inf"), float("nan"), "", "a", "ab", "\u00a0", "\ud800", "2020-01-01"
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "type"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=1, max_size=8))
def test_what_the_quick_judge_lets_pass_breaks_nothing(schema, leaf, values):
    whole = {
        "type": ["object", "array", "string", "number", "null", "boolean"],
        "allOf": [schema],
        "$defs": {"leaf": leaf},
    }
    try:
        errors = validator(whole)
    except InputError:  # a schema that this app does not take
        return
    surely_holds = quick(whole)
    for value in values:
        if surely_holds(value):
            try:
                assert not errors(value), (whole, value)
            except RecursionError:
                pytest.fail(f"never ends: {whole}, {value}")


def test_the_quick_judge_judges_what_is_usual():
    """Else it would be no quicker: plain schemas are judged by it, those that the two libraries may read differently are not."""
    plain = CODES | {"oneOf": [{"required": ["code"]}, {"required": ["no"]}]}
    assert quick({k: v for k, v in plain.items() if k != "oneOf"})({"code": "I10", "items": [3]})
    assert not quick(CODES)({"code": "I1", "items": [3]})
    circle = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    for schema in (
        {"pattern": "\\s"}, {"pattern": "(?i)x"}, {"multipleOf": 0.01}, {"not": {"const": 1}},
        {"$defs": circle, "properties": {"a": {"$ref": "#/$defs/a"}}}, {"properties": {"child": {"$ref": "#"}}},
    ):  # fmt: skip
        validator(schema)
        assert not quick(schema)("x")


@pytest.mark.parametrize(
    "schema",
    [
        None, {}, [], {"type": "thing"}, {"$ref": "https://example.org/schema.json"}, {"$ref": "#/$defs/none"},
        {"$id": "http://a/b", "type": "object"}, {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"pattern": "(a)\\1"}, {"patternProperties": {"(?=a)": {}}},
    ],
)  # fmt: skip
def test_schemas_that_cannot_be_used_are_refused(schema):
    with pytest.raises(InputError):
        check_rule(Rule("mine", "m", "json_schema", {"schema": schema}))


def test_nothing_is_fetched_and_no_pattern_hangs(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *a, **k: pytest.fail("a connection was opened"))
    start = time.perf_counter()
    assert validator({"properties": {"a": {"pattern": "^(a+)+$"}}})({"a": "a" * 40_000 + "!"})
    assert validator({"additionalProperties": False, "patternProperties": {"^(a+)+$": {}}})({"a" * 40_000 + "!": 1})
    assert time.perf_counter() - start < 5


def test_data_in_a_schema_is_no_reference():
    check_rule(Rule("mine", "m", "json_schema", {"schema": {"enum": [{"$ref": "http://a"}, {"pattern": "("}]}}))
    assert told(
        records('{"$ref": "http://a"}', "{}"), "json_schema", schema={"const": {"$ref": "http://a"}}
    ).keys() == {1}


def test_a_schema_that_never_ends_is_refused_when_it_is_used():
    with pytest.raises(InputError):
        told(records("{}"), "json_schema", schema={"$ref": "#"})


def test_styles_and_forbidden_sections():
    lists = records("- a\n- b", "* a", "• a\n1. b", "1) a", "**bold** word", "a - b")
    assert told(lists, "list_style", bullet="-").keys() == {1, 2}
    assert told(lists, "list_style", number=".").keys() == {3}
    heads = records("## A\nx", "**A**\nx", "**A:** inline", "# A", "plain")
    assert told(heads, "heading_style", style="#").keys() == {1}
    assert told(heads, "heading_style", style="**").keys() == {0, 3}
    assert told(heads, "heading_style", style="none").keys() == {0, 1, 3}
    assert set(HEADINGS) == {"#", "**"}
    assert told(records("Sources: a", "## SOURCES", "sources say"), "no_section", label="Sources").keys() == {0, 1}
    for kind, params in (
        ("list_style", {}),
        ("list_style", {"bullet": "x"}),
        ("heading_style", {"style": "x"}),
        ("no_section", {}),
    ):
        with pytest.raises(InputError):
            check_rule(Rule("r", "r", kind, params))


TEXTS = {
    "en": "Take one tablet with food in the morning and call your doctor if the pain is not better by the end of the week.",
    "de": "Nehmen Sie eine Tablette mit dem Essen und rufen Sie den Arzt an, wenn die Schmerzen nicht besser werden.",
    "fr": "Prenez un comprimé avec le repas et appelez votre médecin si la douleur ne va pas mieux dans les jours qui suivent.",
    "es": "Tome una tableta con la comida y llame a su médico si el dolor no mejora en los días que siguen a la visita.",
    "it": "Prenda una compressa con il cibo e chiami il medico se il dolore non è migliorato nel corso della settimana.",
    "pt": "Tome um comprimido com a comida e ligue para o seu médico se a dor não melhorar nos dias que se seguem.",
    "nl": "Neem een tablet met het eten en bel uw arts als de pijn niet beter is aan het einde van de week.",
    "sv": "Ta en tablett med mat och ring din läkare om du har ont och det inte blir bättre till slutet av veckan.",
    "pl": "Proszę wziąć tabletkę z jedzeniem i zadzwonić do lekarza, jeśli ból nie minie do końca tygodnia, a także się nie nasili.",
    "ja": "食事と一緒に一錠を飲んで、痛みが良くならない場合は医師に電話してください。",
    "zh": "请随餐服用一片，如果一周后疼痛没有好转，请致电您的医生。",
    "ko": "식사와 함께 한 알을 드시고 통증이 나아지지 않으면 의사에게 전화하세요.",
    "Cyrillic": "Принимайте одну таблетку с едой и позвоните врачу, если боль не пройдет к концу недели.",
    "Arabic": "تناول قرصًا واحدًا مع الطعام واتصل بطبيبك إذا لم يتحسن الألم بحلول نهاية الأسبوع.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_language_is_told_by_its_words_or_script(code):
    assert languages.detected(TEXTS[code]) == code


@pytest.mark.parametrize("text", ["", "I10", "Amoxicillin 500 mg, ibuprofen 400 mg", "Yes.", "E11.9 β-hCG", "Ja."])
def test_what_cannot_be_told_is_no_answer(text):
    assert languages.detected(text) == ""


def test_texts_in_another_language_than_declared():
    some = records(
        TEXTS["en"], TEXTS["de"], TEXTS["Cyrillic"], TEXTS["Cyrillic"], TEXTS["en"], TEXTS["de"], "Ja.",
        language=["en-GB", "English", "uk", "German", "Klingon", None, "en"],
    )  # fmt: skip
    found = told(some, "language")
    assert found.keys() == {1, 3} and "reads as de" in found[1]


def test_reasoning_that_says_nothing():
    said = "because of the first and second and third finding here"
    same = "same old words that are said again and again"
    reasoning = [said, "p", "so so so so so so so so", same, same]
    some = records("r0", "r1", "r2", "r3", "r4", reasoning=reasoning)
    assert told(some, "reasoning", least=1).keys() == {1}
    assert told(some, "reasoning", least=1, words=8, repeats=2).keys() == {1, 2, 3, 4}


def test_styles_are_suggested_from_the_majority():
    some = records(*(["- a\n## Head"] * 45), *(["* a\n**Head**"] * 5), *(["plain"] * 30))
    rules = {rule.id: rule for rule in suggest(some)}
    assert rules["style:bullet"].params == {"bullet": "-"} and rules["style:bullet"].share == 0.9
    assert rules["style:heading"].params == {"style": "#"}
    assert "style:number" not in rules


def test_every_rule_of_the_shelf_can_run_and_finds_what_it_names():
    for rule in SHELF:
        check_rule(rule)
        check(records("Take 5 mg.", language=["en"]), rule)
    shelf = {rule.id: rule for rule in SHELF}

    def rows(name: str, *texts: str) -> set[int]:
        return {v.row for v in check(records(*texts), shelf[name])}

    assert rows("safety", "Call 911 at once.", "Rest.") == {1}
    assert rows("no_dose", "Take 5 mg/kg.", "Take it twice.") == {0}
    assert rows("icd10", '{"code": "E11.9"}', '{"code": "11"}', "E11.9") == {1, 2}
    assert rows("no_identifiers", "write to a@b.org", "call 555-123-4567", "at 10-12 h") == {0, 1}
    assert rows("plain", "# a", "a # b", "**a**") == {0, 2}
