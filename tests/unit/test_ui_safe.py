"""Text from data in Markdown: shown as it stands, nothing of it a link, an image, a colour or a formula."""

import re

import pytest

from pages.ui.safe import literal, short

HOSTILE = [
    "![x](http://evil.example/p.png)", "[link](http://evil.example)", "http://evil.example/a", "HTTPS://evil.example",
    "www.evil.example", "me@evil.example", ":red[x] :smile: :material/home:", "$x^2$", "<img src=x>", "`code` **bold** ~~no~~",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_reader_sees_the_same_characters(text):
    seen = re.sub(r"\\([^\w\s])", r"\1", literal(text)).replace("\u2060", "")
    assert seen == text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_address_is_left_whole(text):
    """remark-gfm looks for these in the text that remains after the escapes are gone."""
    after = re.sub(r"\\([^\w\s])", r"\1", literal(text))
    assert not re.search(r"(https?://|www(?=\.))[-.\w]+", after, re.IGNORECASE)
    assert not re.search(r"[-.\w+]+@[-\w]+(\.[-\w]+)+", after)


def test_short_is_one_line_and_cut():
    assert short("a\nb\tc") == "a b c"
    assert len(short("x" * 500)) == 90
