"""A sequence classifier by path: expected level, label mapping, refusal of what could run code, and the order of rows."""

import json

import numpy as np
import pytest

from core.dataset.importing import import_file
from core.errors import InputError, MissingInput
from core.influence.difficulty import classifier
from core.steps import current, run_step, set_params
from core.workspace import open_workspace

pytest.importorskip("torch")
TEXTS = [f"case {n} " + "fever rash cough " * (n % 7) for n in range(20)]


def build(folder, labels, seed=0):
    """A tiny BERT classifier from config, random weights, a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "case", "fever", "rash", "cough", *map(str, range(20))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
        id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)}, num_labels=len(labels), initializer_range=0.5,
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"prompt": t, "response": f"answer {n}"}) + "\n" for n, t in enumerate(TEXTS)))
    space = open_workspace(tmp_path / "ws")
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    return space


def test_the_expected_level_is_the_mean_of_the_levels_under_the_softmax(space, tmp_path):
    import torch
    from transformers import AutoTokenizer

    model = build(tmp_path / "m", ["very hard", "easy", "medium"])
    set_params(space, "classifier", {"model": str(tmp_path / "m"), "batch_tokens": 60})
    result = run_step(space, "classifier")
    found = result.table()["level"].to_numpy()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    for n in (0, 6, 13, 19):
        with torch.no_grad():
            chances = torch.softmax(
                model(**tokenizer(space.need().column("prompt")[n].as_py(), return_tensors="pt")).logits[0].double(), 0
            ).numpy()
        assert found[n] == pytest.approx(float(chances @ [5, 2, 3]), abs=1e-5), "alone and in its batch"
        variance = chances @ np.array([25, 4, 9.0]) - (chances @ [5, 2, 3]) ** 2
        assert result.table()["sd"][n].as_py() == pytest.approx(np.sqrt(variance), abs=1e-4)
    assert result.info["labels"] == {"very hard": 5.0, "easy": 2.0, "medium": 3.0} and result.info[
        "revision"
    ].startswith("sha256:")
    assert found.std() > 0 and result.table()["record_id"].to_pylist() == space.need().ids()


def test_a_single_output_is_the_score_itself_and_long_texts_are_counted(space, tmp_path):
    build(tmp_path / "m", ["score"])
    set_params(space, "classifier", {"model": str(tmp_path / "m"), "max_length": 12})
    result = run_step(space, "classifier")
    assert result.info["score"] == "the model's single output"
    tokens = np.array(result.table()["tokens"].to_pylist())
    assert (
        result.info["truncated"] == int((tokens > 12).sum()) > 0
        and "were cut at 12 tokens" in result.info["warnings"][0]
    )


@pytest.mark.parametrize(
    ("labels", "given", "levels"),
    [
        (["LABEL_0", "LABEL_1"], {}, [0, 1]), (["level-3", "level-1"], {}, [3, 1]), (["1", "2.5"], {}, [1, 2.5]),
        (["L5", "L-less 4"], {}, [5, 4]), (["a", "b"], {"a": 4, "b": 1}, [4, 1]), (["Very_Easy", "hard"], {}, [1, 4]),
    ],
)  # fmt: skip
def test_levels_are_read_from_the_labels_or_given(labels, given, levels):
    assert classifier.level_values(dict(enumerate(labels)), given).tolist() == levels


@pytest.mark.parametrize(
    ("labels", "given", "said"),
    [
        (["yes", "no"], {}, "tells no level"), (["1 of 5", "2"], {}, "tells no level"), (["1", "01"], {}, "one of its own"),
        (["a", "b"], {"a": 1}, "has no level"), (["a", "b"], {"a": 1, "b": "x"}, "tells no level"),
    ],
)  # fmt: skip
def test_labels_that_tell_no_level_are_refused(labels, given, said):
    with pytest.raises(InputError, match=said):
        classifier.level_values(dict(enumerate(labels)), given)


def test_folders_that_cannot_be_used(space, tmp_path):
    with pytest.raises(MissingInput, match="No classifier is named"):
        run_step(space, "classifier")
    assert current(space, "classifier") is None
    set_params(space, "classifier", {"model": str(tmp_path / "none")})
    with pytest.raises(InputError, match=r"no config\.json"):
        run_step(space, "classifier")
    build(tmp_path / "m", ["1", "2"])
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    set_params(space, "classifier", {"model": str(tmp_path / "pickled")})
    with pytest.raises(InputError, match=r"no \.safetensors"):
        run_step(space, "classifier")
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights.pop("classifier.weight")
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    set_params(space, "classifier", {"model": str(tmp_path / "m")})
    with pytest.raises(InputError, match="lacks 1 weights of a classifier"):
        run_step(space, "classifier")
