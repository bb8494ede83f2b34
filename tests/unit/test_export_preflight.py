"""The preflight says of each record what a trainer would do with it."""

import json

import numpy as np
import pytest

from core.dataset.preflight import ESTIMATE, LIMITS, counter, estimated, preflight
from core.dataset.selected import Selected
from core.errors import InputError
from tests.dataset_files import imported, lines, written

ASK, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
BROKEN = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{x"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def checked(tmp_path, rows, to, **options):
    data = imported(written(tmp_path, f"{len(rows)}{to}.jsonl", lines(*rows)), tmp_path)
    assert data.count == len(rows), data.reasons()
    return preflight(Selected(data, np.arange(data.count)), to, **options), data.ids


def effects(found) -> dict[str, tuple[str, int]]:
    return {f.rule: (f.effect, len(f.ids)) for f in found.findings}


GOOD = {"messages": [ASK, ANSWER]}


@pytest.mark.parametrize(
    ("row", "to", "rule", "effect"),
    [
        ({"messages": [ANSWER, ASK, ANSWER]}, "llamafactory", "turn_order", "dropped"),
        ({"messages": [ASK, ASK, ANSWER]}, "llamafactory", "turn_order", "dropped"),
        ({"messages": [ASK, ASK, ANSWER]}, "trl", "turn_order", "risk"),
        ({"messages": [ASK, ANSWER, {"role": "system", "content": "s"}, ASK, ANSWER]}, "llamafactory", "late_system", "changed"),
        ({"messages": [ASK, ANSWER, ASK]}, "axolotl", "after_response", "changed"),
        ({"messages": [ASK, ANSWER | {"reasoning_content": "w"}]}, "openai", "reasoning", "changed"),
        ({"messages": [ASK, ANSWER | {"name": "Dr. Who"}]}, "openai", "bad_name", "refused"),
        ({"messages": [ASK, ANSWER, {"role": "tool", "content": "r"}, ANSWER]}, "openai", "tool_order", "refused"),
        ({"messages": [ASK, {"role": "assistant", "content": "t", "tool_calls": [CALL]}, {"role": "tool", "content": "r"}, ANSWER]},
         "llamafactory", "beside_call", "changed"),
        ({"messages": [ASK, {"role": "assistant", "content": "", "tool_calls": [BROKEN]},
                       {"role": "tool", "content": "r"}, ANSWER]}, "axolotl", "bad_arguments", "refused"),
        ({"messages": [ASK | {"content": "word " * 900}, ANSWER]}, "trl", "nothing_left", "dropped"),
        ({"messages": [ASK, ANSWER | {"content": "word " * 900}]}, "trl", "too_long", "cut"),
        ({"messages": [ASK, ANSWER | {"content": "word " * 2000}]}, "axolotl", "too_long", "dropped"),
        ({"prompt": "p", "chosen": "c", "rejected": "c "}, "trl-preference", "same_pair", "dropped"),
        (GOOD, "trl-preference", "no_rejected", "refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_fault_is_found_with_what_the_trainer_does(tmp_path, row, to, rule, effect):
    found, ids = checked(tmp_path, [row], to)
    assert effects(found)[rule] == (effect, 1)
    assert found.lost == (tuple(ids) if any(f.effect in ("refused", "dropped") for f in found.findings) else ())


@pytest.mark.parametrize("to", [name for name in LIMITS if name != "trl-preference"])
def test_a_plain_record_has_no_finding_anywhere(tmp_path, to):
    found, _ = checked(
        tmp_path, [GOOD, {"messages": [{"role": "system", "content": "s"}, ASK, ANSWER, ASK, ANSWER]}], to
    )
    assert found.findings == () and found.lost == () and found.limit == LIMITS[to] and found.counted == ESTIMATE


def test_findings_stand_worst_first_and_count_all_ids(tmp_path):
    long = {"messages": [ASK, ANSWER | {"content": "word " * 900}]}
    rows = [
        GOOD,
        *({"messages": [ASK, ANSWER | {"content": "word " * 900, "name": f"n {n}"}]} for n in range(30)),
        long,
    ]
    found, ids = checked(tmp_path, rows, "openai", limit=300)
    assert [f.rule for f in found.findings] == ["bad_name", "too_long"]
    assert found.findings[0].ids == tuple(ids[1:31]) == found.lost and len(found.findings[0].details) == 20
    assert json.loads(json.dumps(found.to_json()))["findings"][1]["records"] == 31


def test_tokens_by_a_tokenizer_are_exact_and_an_estimate_says_so(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    inner = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.save(str(tmp_path / "tokenizer.json"))
    count, how = counter(tmp_path)
    assert count(["a b c", ""]) == [3, 0] and tmp_path.name in how
    found, _ = checked(
        tmp_path, [{"messages": [ASK, ANSWER | {"content": "one two three"}]}], "trl", tokenizer=tmp_path, limit=13
    )
    assert found.longest == 1 + 3 + 2 * 5 and "too_long" in effects(found)
    assert estimated(["abcdefgh", "", "漢字"]) == [2, 0, 3]
    with pytest.raises(InputError, match="no tokenizer at"):
        counter(tmp_path / "nowhere")


def test_no_trainer_no_preflight(tmp_path):
    with pytest.raises(InputError, match="no trainer's format"):
        checked(tmp_path, [GOOD], "csv")
    with pytest.raises(InputError, match="leaves nothing"):
        checked(tmp_path, [GOOD], "trl", limit=0)
