"""Chat templates of several habits, the plain template, and how padded batches mark what is scored."""

import numpy as np
import pytest

from core.influence.encode import Conversation, Encoder, Tokens, padded

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
USERS_ONLY = "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}" + CHATML
RECORD = Conversation((("system", "Be brief."), ("user", "Dose?")), "500 mg.")


@pytest.fixture(scope="module")
def tokenizer():
    from core.influence.proxy import train_tokenizer

    made = train_tokenizer(["Be brief. Dose? 500 mg."], 300)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


def parts(tokenizer, template, record=RECORD):
    tokenizer.chat_template = template
    encoder = Encoder(tokenizer, 512)
    tokens = encoder.encode([record])
    ids, start = tokens.ids[0], tokens.start[0]
    return tokenizer.decode(ids[:start]), tokenizer.decode(ids[start:]), tokens, tokenizer.decode(encoder.header)


def test_chatml(tokenizer):
    context, response, tokens, header = parts(tokenizer, CHATML)
    assert (
        context == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nDose?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert response == "500 mg.<|im_end|>"  # the end of the turn is part of what is learnt
    assert header == "<|im_start|>assistant\n" and tokens.fell_back == 0


def test_a_template_without_system_role_gets_its_text_in_the_first_user_turn(tokenizer):
    context, _, tokens, _ = parts(tokenizer, NO_SYSTEM)
    assert (
        context == "<|im_start|>user\nBe brief.\n\nDose?<|im_end|>\n<|im_start|>assistant\n" and tokens.fell_back == 0
    )


def test_turns_that_a_template_refuses_get_the_plain_one_and_are_counted(tokenizer):
    context, _, tokens, _ = parts(
        tokenizer, USERS_ONLY, Conversation((("user", "a"), ("assistant", "b"), ("user", "c")), "d")
    )
    assert (
        context.endswith("### User:\na\n\n### Assistant:\nb\n\n### User:\nc\n\n### Assistant:\n")
        and tokens.fell_back == 1
    )


def test_the_plain_template_where_there_is_no_chat_template(tokenizer):
    context, response, tokens, _ = parts(tokenizer, None)
    assert context == "### System:\nBe brief.\n\n### User:\nDose?\n\n### Assistant:\n"
    assert response == "500 mg.<|q:end|>" and "plain" in tokens.template


def test_padding_and_places():
    """Two records of 4 and 2 tokens, responses from 2 and from 0 (whose first token has nothing before it)."""
    ids = [np.array([5, 6, 7, 8], np.int32), np.array([3, 4], np.int32)]
    tokens = Tokens(ids, np.array([2, 0], np.int32), np.zeros(2, bool), "", 0)
    table, places, labels = padded(tokens, np.array([0, 1]))
    assert table.tolist() == [[5, 6, 7, 8], [3, 4, 0, 0]]
    assert places.tolist() == [1, 2, 4] and labels.tolist() == [7, 8, 4]
    assert tokens.response_tokens.tolist() == [2, 1]
