"""Which words are marked between two records."""

from hypothesis import given
from hypothesis import strategies as st

from pages.ui.diff.words import MOST, pieces


def marked(side):
    return [text.strip() for differs, text in side if differs]


def test_changed_words_are_marked_on_both_sides():
    left, right, note = pieces("Take 5 mg twice a day.", "Take 50 mg twice a day.")
    assert (marked(left), marked(right), note) == (["5"], ["50"], "")


def test_a_changed_space_is_a_change():
    left, right, _ = pieces("Urgency: Routine", "Urgency:  Routine")
    assert [t for d, t in right if d] == ["  Routine"] and [t for d, t in left if d] == [" Routine"]


def test_scripts_without_spaces_are_compared_sign_by_sign():
    left, right, _ = pieces("每天服用五毫克", "每天服用十毫克")
    assert (marked(left), marked(right)) == (["五"], ["十"])


def test_nothing_is_marked_where_that_would_not_help():
    assert pieces("same text", "same text")[2] == "the same in both"
    assert "too long" in pieces("a " * (MOST + 1), "b")[2]
    unlike = pieces(" ".join(f"a{n}" for n in range(30)), " ".join(f"b{n}" for n in range(30)))
    assert "0 of 30 words" in unlike[2] and not marked(unlike[0]) and not marked(unlike[1])


@given(st.text(), st.text())
def test_runs_joined_are_the_texts(a, b):
    left, right, _ = pieces(a, b)
    assert ("".join(t for _, t in left), "".join(t for _, t in right)) == (a, b)
