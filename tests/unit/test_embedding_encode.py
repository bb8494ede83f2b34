"""Step `embed`: text choice, one vector a text, counts of what was cut, reuse, resume, and vectors brought by the user."""

import numpy as np
import pytest

from core.embedding import encode
from core.embedding.texts import common_lead, text_key, texts_of, without_lead
from core.errors import Cancelled, InputError, MissingInput
from tests.embedding_data import HashEncoder, computed, dataset, workspace

PARAMS = encode.DEFAULTS | {"model": "hash"}


@pytest.fixture
def encoder(monkeypatch):
    made = HashEncoder()
    monkeypatch.setattr(encode, "open_encoder", lambda name: made)
    return made


def test_vectors_are_unit_rows_in_order_and_each_distinct_text_is_embedded_once(tmp_path, encoder):
    space = workspace(tmp_path)
    data = dataset(space, ["chest pain", "cough", "chest pain", "  ", "a b c d e f g h i j"])
    result = computed(space, "embed", encode.run, PARAMS, [data])
    array, table = result.array(), result.table().to_pydict()
    assert np.allclose(np.linalg.norm(array, axis=1), [1, 1, 1, 0, 1], atol=1e-6)
    assert np.array_equal(array[0], array[2]) and sorted(encoder.encoded) == [
        "a b c d e f g h i j",
        "chest pain",
        "cough",
    ]
    assert table["record_id"] == data.ids() and table["text_key"][0] == table["text_key"][2] == text_key("chest pain")
    assert table["tokens"] == [2, 1, 2, 0, 10] and table["truncated"] == [False] * 4 + [True]
    assert table["empty"] == [False, False, False, True, False]
    info = result.info
    assert (info["truncated"], info["empty"], info["tokens"], info["tokens_read"]) == (1, 1, 15, 13)
    assert "1 of 5 texts were cut at 8 tokens" in " ".join(info["warnings"]) and "warning" not in info


def test_rows_of_unchanged_records_are_taken_from_an_earlier_result(tmp_path, encoder):
    space = workspace(tmp_path)
    first = computed(space, "embed", encode.run, PARAMS, [dataset(space, ["one", "two", "a b c d e f g h i j"])])
    encoder.encoded.clear()
    data = dataset(space, ["new", "a b c d e f g h i j", "one"])
    second = computed(space, "embed", encode.run, PARAMS, [data])
    assert encoder.encoded == ["new"] and second.info["reused"] == 2
    assert np.array_equal(second.array()[1:], first.array()[[2, 0]])
    assert second.table()["truncated"].to_pylist() == [False, True, False] and second.info["tokens_read"] == 10


def test_another_model_under_the_same_name_reuses_nothing(tmp_path, encoder):
    space = workspace(tmp_path)
    computed(space, "embed", encode.run, PARAMS, [dataset(space, ["one", "two"])])
    encoder.revision = "hash-2"
    assert computed(space, "embed", encode.run, PARAMS, [dataset(space, ["one", "six"])]).info["reused"] == 0


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK_TOKENS", 10)
    space = workspace(tmp_path)
    texts = [f"text {n} of a long run" for n in range(20)]
    data = dataset(space, texts)

    def stop(done, total, message):
        if done > total / 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        computed(space, "embed", encode.run, PARAMS, [data], progress=stop)
    before = len(encoder.encoded)
    next((space.path / "scratch").rglob("chunk-*.npz")).write_bytes(b"torn")  # a torn file is computed again
    result = computed(space, "embed", encode.run, PARAMS, [data])
    assert result.info["resumed"] > 0 and len(encoder.encoded) - before == result.info["embedded"] < 20
    whole = np.stack([HashEncoder().vectors(HashEncoder().tokenise([t]), np.zeros(1, int))[0] for t in texts])
    assert np.allclose(result.array(), whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-6)


def test_batches_hold_every_row_once_within_the_budget():
    sizes = np.random.default_rng(0).integers(1, 40, 200)
    found = list(encode.batches(sizes, 50))
    assert sorted(np.concatenate(found)) == list(range(200))
    assert all(len(b) == 1 or len(b) * sizes[b].max() <= 50 for b in found)


def test_a_shared_instruction_is_left_out_and_said(tmp_path, encoder):
    space = workspace(tmp_path)
    prompts = [f"Answer this question truthfully\nWhat is disease {n}?" for n in range(18)] + ["Hello there", "Bye"]
    data = dataset(space, prompts)
    texts, lead = texts_of(data, "prompt")
    assert lead == "Answer this question truthfully\n" and texts[0] == "What is disease 0?" and texts[-1] == "Bye"
    assert texts_of(data, "prompt", strip_lead=False) == (prompts, "")
    result = computed(space, "embed", encode.run, PARAMS, [data])
    assert result.info["lead_records"] == 18 and "same instruction" in result.info["warnings"][0]


@pytest.mark.parametrize(
    ("texts", "lead"),
    [
        (
            [f"What is the dose of drug {n}" for n in range(20)],
            "",
        ),  # part of the question, no line or sentence of its own
        (["Same text."] * 20, ""),
        ([f"请回答以下问题。问题{n}" for n in range(20)], "请回答以下问题。"),
        ([f"Be brief. Q{n}" for n in range(15)] + [f"other {n}" for n in range(5)], ""),  # 75 %
        ([f"Be brief. Q{n}" for n in range(9)], ""),  # too few to tell
    ],
)
def test_what_counts_as_a_shared_instruction(texts, lead):
    assert common_lead(texts) == lead


def test_a_prompt_that_is_only_the_instruction_stays_whole():
    assert without_lead("Be brief. ", "Be brief. ") == "Be brief. "


def test_text_choice(tmp_path):
    data = dataset(workspace(tmp_path), ["p", "q"], response=["r", ""])
    assert texts_of(data, "response")[0] == ["r", ""] and texts_of(data, "both")[0] == ["p\n\nr", "q"]
    with pytest.raises(InputError, match="prompt, response, both"):
        texts_of(data, "answer")


def test_given_vectors_from_a_file_are_checked(tmp_path):
    space = workspace(tmp_path)
    data = dataset(space, ["a", "b", "c", "d"])
    good = tmp_path / "good.npy"
    np.save(good, np.array([[3, 4], [0, 0], [np.nan, 1], [0, 2]], np.float64))
    result = computed(space, "embed", encode.run, PARAMS | {"model": str(good)}, [data])
    assert np.allclose(result.array(), [[0.6, 0.8], [0, 0], [0, 0], [0, 1]])
    assert (result.info["broken"], result.info["zero"], result.info["empty"], result.info["kind"]) == (1, 1, 2, "given")
    for array, word in (
        (np.ones((3, 2)), "4 records"),
        (np.ones(4), "shape"),
        (np.array([["a"]] * 4), "type"),
        (np.array([{}] * 4, object), "no plain .npy"),
    ):
        np.save(tmp_path / "bad.npy", array, allow_pickle=True)
        with pytest.raises(InputError, match=word):
            computed(space, "embed", encode.run, PARAMS | {"model": str(tmp_path / "bad.npy")}, [data])
    with pytest.raises(InputError, match="cannot be read"):
        computed(space, "embed", encode.run, PARAMS | {"model": str(tmp_path / "none.npy")}, [data])
    production = dataset(space, ["x"], role="production")
    with pytest.raises(MissingInput, match="production_vectors"):
        computed(space, "embed:production", encode.run, PARAMS | {"model": str(good)}, [production])


def test_given_vectors_from_a_field(tmp_path):
    space = workspace(tmp_path)
    data = dataset(space, ["a", "b", "c"], field__vec=["[1, 0]", "0 2", None], field__bad=["x", "[1]", "[1, 2]"])
    result = computed(space, "embed", encode.run, PARAMS | {"model": "column:vec"}, [data])
    assert np.allclose(result.array(), [[1, 0], [0, 1], [0, 0]])
    with pytest.raises(InputError, match="must be a list of numbers"):
        computed(space, "embed", encode.run, PARAMS | {"model": "column:bad"}, [data])
    with pytest.raises(InputError, match="no field nope"):
        computed(space, "embed", encode.run, PARAMS | {"model": "column:nope"}, [data])
    listed = dataset(space, ["d", "e"], raw=['{"v": [0, 1]}', '{"v": [1, 1]}'])
    assert np.allclose(
        computed(space, "embed", encode.run, PARAMS | {"model": "column:v"}, [listed]).array()[0], [0, 1]
    )


def test_lexical_vectors_place_production_in_the_space_of_training(tmp_path):
    space = workspace(tmp_path)
    data = dataset(space, ["chest pain at night", "cough and fever", "高血压 治疗", "?!"])
    params = PARAMS | {"model": "lexical"}
    train = computed(space, "embed", encode.run, params, [data])
    assert train.info["kind"] == "lexical" and "compare words" in train.info["warnings"][0] and train.info["empty"] == 1
    production = dataset(space, ["night chest pain", "fever"], role="production")
    with pytest.raises(MissingInput, match="Run `embed` first"):
        computed(space, "embed:production", encode.run, params, [production])
    placed = computed(space, "embed:production", encode.run, params, [production], [train])
    assert (placed.array() @ train.array().T).argmax(1).tolist() == [0, 1]


def test_the_screen_is_told_when_the_default_model_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "FALLBACK", True)
    space = workspace(tmp_path)
    result = computed(space, "embed", encode.run, PARAMS | {"model": "lexical"}, [dataset(space, ["one two", "two"])])
    assert "is not installed" in result.info["warning"]


@pytest.mark.parametrize("model", ["lexical", "hash"])
def test_no_records_and_only_empty_texts_are_no_error(tmp_path, encoder, model):
    space = workspace(tmp_path)
    assert computed(space, "embed", encode.run, PARAMS | {"model": model}, [dataset(space, [])]).array().shape[0] == 0
    result = computed(space, "embed", encode.run, PARAMS | {"model": model}, [dataset(space, ["", " "])])
    assert not result.array().any() and result.info["empty"] == 2


def test_share_of_letters_in_another_script():
    assert (
        encode.other_script(["pain 12", "Größe"]) == 0
        and encode.other_script(["高血压", "abc"]) == 0.5
        and encode.other_script([]) == 0
    )
