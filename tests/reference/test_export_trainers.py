"""Exports read by the programs they are for: Hugging Face `datasets`, TRL's SFTTrainer and DPOTrainer, with a tiny model."""

import json
import os

import pytest

from core.dataset.writing import write
from tests.dataset_files import imported, lines, written

if os.environ.get(
    "QUADRANT_NEEDS_TRAINERS"
):  # in continuous integration a missing trainer is a failure and no reason to skip
    import datasets
    import trl  # noqa: F401
else:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (requirements-dev.txt)")

TURNS = [
    {"role": "user", "content": "What is a fever ?"},
    {"role": "assistant", "content": "A body temperature above 38 ."},
]
TOOL = {
    "type": "function",
    "function": {"name": "dose", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


def call(arguments: dict) -> dict:
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "dose", "arguments": arguments}}],
    }


THOUGHT = {"messages": [TURNS[0], TURNS[1] | {"reasoning_content": "Because of heat ."}]}
CALLS = [
    {"messages": [{"role": "system", "content": "Be brief ."}, TURNS[0], call({"mg": 5}), {"role": "tool", "content": "ok"}, TURNS[1]],
     "tools": [TOOL]},
    {"messages": [TURNS[0], call({"mg": "five", "times": [1, 2]}), {"role": "tool", "content": "ok"}, TURNS[1]], "tools": [TOOL]},
]  # fmt: skip
ROWS = [{"messages": TURNS}, {"messages": TURNS}, THOUGHT, *CALLS]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(path) -> the rows as `datasets` reads them."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets.disable_progress_bars()
    return lambda path, **options: datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"), **options
    )


def plain(value):
    """A loaded value without the nulls that a schema puts in."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("to", ["trl", "axolotl"])
def test_messages_come_back_through_datasets(tmp_path, load, to):
    data = imported(written(tmp_path, "a.jsonl", lines(*ROWS)), tmp_path)
    write(data, data.ids, to, tmp_path / "out.jsonl")
    found = load(tmp_path / "out.jsonl")
    assert [plain(row["messages"]) for row in found] == [row["messages"] for row in ROWS]
    assert [json.loads(row["tools"]) for row in found] == [row.get("tools") for row in ROWS]


def test_what_only_late_records_have_loads_behind_ten_megabytes(tmp_path, load):
    """`datasets` fixes the schema after ten megabytes: reasoning and tool calls that come later must not break it."""
    long = [{"messages": [{"role": "user", "content": f"{n} " + "word " * 400}, TURNS[1]]} for n in range(5_400)]
    data = imported(written(tmp_path, "a.jsonl", lines(*long, *ROWS)), tmp_path)
    for to in ("trl", "trl-prompt-completion"):
        path = tmp_path / f"{to}.jsonl"
        write(data, data.ids, to, path)
        assert path.stat().st_size > 10.5 * 2**20, "the late records stand behind the first block"
        found = load(path)
        assert len(found) == len(long) + len(ROWS)
        last = [
            plain(row.get("messages") or [*row["prompt"], *row["completion"]])
            for row in found.select(range(len(long), len(found)))
        ]
        assert last == [row["messages"] for row in ROWS]


def test_llamafactory_columns_and_tags_are_those_of_its_entry(tmp_path, load):
    data = imported(written(tmp_path, "a.jsonl", lines(*ROWS)), tmp_path)
    write(data, data.ids, "llamafactory", tmp_path / "mine.json")
    entry = json.loads((tmp_path / "dataset_info.json").read_text())["mine"]
    found = load(tmp_path / entry["file_name"])
    assert set(entry["columns"].values()) == set(found.column_names) == {"conversations", "system", "tools"}
    tags = entry["tags"]
    odd, even = {tags["user_tag"], tags["observation_tag"]}, {tags["assistant_tag"], tags["function_tag"]}
    for row in found:  # the order that its converter demands
        turns = [turn[tags["role_tag"]] for turn in row["conversations"]]
        assert len(turns) % 2 == 0 and all(turn in (odd, even)[n % 2] for n, turn in enumerate(turns)), turns
        assert all(isinstance(turn[tags["content_tag"]], str) for turn in row["conversations"])


def test_openai_parquet_and_csv_load(tmp_path, load):
    data = imported(written(tmp_path, "a.jsonl", lines(*ROWS)), tmp_path)
    for to in ("openai", "jsonl"):
        write(data, data.ids, to, tmp_path / f"{to}.jsonl")
        assert len(load(tmp_path / f"{to}.jsonl")) == len(ROWS)
    for to, kind in (("parquet", "parquet"), ("csv", "csv")):
        write(data, data.ids, to, tmp_path / f"a.{to}")
        found = datasets.load_dataset(
            kind, data_files=str(tmp_path / f"a.{to}"), split="train", cache_dir=str(tmp_path / "c")
        )
        assert found["record_id"][:] == data.ids and found["response"][:] == data.column("response")


# -- TRL itself ---------------------------------------------------------------------------------------------------------------
TEMPLATE = (
    "{% if tools %}tools : {{ tools[0].function.name }} {% endif %}"
    "{% for m in messages %}{{ m.role }} : {% if m.reasoning_content %}think : {{ m.reasoning_content }} {% endif %}"
    "{% for c in m.tool_calls or [] %}call : {{ c.function.name }} {% for k in c.function.arguments %}{{ k }} {% endfor %}{% endfor %}"
    "{{ m.content }} </s> {% endfor %}{% if add_generation_prompt %}assistant : {% endif %}"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(model, tokenizer): two layers, one token a word, a chat template that shows reasoning, calls and tools."""
    pytest.importorskip("trl", reason="trl is not installed (requirements-dev.txt)")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = (
        "<unk> </s> <pad> user assistant system tool : think call tools dose mg times Because of heat Be brief ok No "
    )
    words += "What is a fever ? A body temperature above 38 ."
    inner = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words.split())}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=256,
        pad_token_id=2, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)  # DPO loads its reference model from where the model came
    return LlamaForCausalLM.from_pretrained(folder), tokenizer


def trainer_of(tiny, rows, tmp_path):
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        output_dir=str(tmp_path / "run"), report_to=[], max_steps=1, per_device_train_batch_size=2, use_cpu=True, save_strategy="no",
        bf16=False, gradient_checkpointing=False,
    )  # fmt: skip
    return SFTTrainer(model=tiny[0], args=args, train_dataset=rows, processing_class=tiny[1])


@pytest.mark.parametrize("to", ["trl", "trl-prompt-completion"])
def test_trl_trains_on_it_and_reads_every_part(tmp_path, load, tiny, to):
    data = imported(written(tmp_path, "a.jsonl", lines(*ROWS)), tmp_path)
    write(data, data.ids, to, tmp_path / "out.jsonl")
    trainer = trainer_of(tiny, load(tmp_path / "out.jsonl"), tmp_path)
    texts = [tiny[1].decode(row["input_ids"]) for row in trainer.train_dataset]
    assert len(texts) == len(ROWS), "no record is dropped"
    assert "think : Because of heat" in texts[2] and "tools : dose" in texts[3] and "call : dose mg" in texts[3]
    assert "call : dose mg times" in texts[4] and "tools" not in texts[0] and "None" not in "".join(texts)
    if to == "trl-prompt-completion":
        row = trainer.train_dataset[0]
        mask = row["completion_mask"] if "completion_mask" in row else [label != -100 for label in row["labels"]]
        kept = [token for token, on in zip(row["input_ids"], mask, strict=True) if on]
        assert tiny[1].decode(kept).strip() == "A body temperature above 38 . </s>", (
            "the loss is on the completion alone"
        )
    assert trainer.train().training_loss > 0


def test_trl_takes_preference_pairs(tmp_path, load, tiny):
    from trl import DPOConfig, DPOTrainer

    rows = [{"prompt": "What is a fever ?", "chosen": "A body temperature above 38 .", "rejected": "No"}] * 3
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)
    write(data, data.ids, "trl-preference", tmp_path / "out.jsonl")
    args = DPOConfig(
        output_dir=str(tmp_path / "run"), report_to=[], max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False,
        save_strategy="no", gradient_checkpointing=False,
    )  # fmt: skip
    trainer = DPOTrainer(model=tiny[0], args=args, train_dataset=load(tmp_path / "out.jsonl"), processing_class=tiny[1])
    assert len(trainer.train_dataset) == 3 and trainer.train().training_loss > 0


def test_the_length_limits_of_the_preflight_are_those_of_trl(tiny):
    from trl import DPOConfig, SFTConfig

    from core.dataset.preflight import LIMITS

    defaults = {kind: kind.__dataclass_fields__["max_length"].default for kind in (SFTConfig, DPOConfig)}
    assert LIMITS["trl"] == LIMITS["trl-prompt-completion"] == defaults[SFTConfig]
    assert LIMITS["trl-preference"] == defaults[DPOConfig]
