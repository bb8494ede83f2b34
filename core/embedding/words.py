"""Words of a text in any script, for the lexical encoder and for names."""

import re

_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_SPACELESS}]+|[^\W_{_SPACELESS}]+(?:[-'’.][^\W_{_SPACELESS}]+)*")
_BREAK = re.compile(r"[.,;:!?/()\[\]{}\"“”|\n•]|\s[-–—]\s")
_IS_SPACELESS = re.compile(rf"[{_SPACELESS}]")


def tokens(text: str) -> list[str]:
    """Words in order, as written; a run of Chinese, Japanese, Thai … (no spaces between words) stays one token."""
    return _TOKEN.findall(text)


def marked_tokens(text: str) -> list[tuple[str, bool]]:
    """Words in order, each with whether what comes right after it ends a phrase (a mark, a bracket, a new line)."""
    found = list(_TOKEN.finditer(text))
    ends = [*(m.start() for m in found[1:]), len(text)][: len(found)]
    return [(m.group(), _BREAK.search(text, m.end(), end) is not None) for m, end in zip(found, ends, strict=True)]


def is_spaceless(token: str) -> bool:
    """Whether a token is a run of a script written without spaces."""
    return _IS_SPACELESS.match(token) is not None


def shingles(run: str, smallest: int, largest: int) -> list[str]:
    """Every piece of `smallest` to `largest` characters of a run without spaces; the run itself when it is shorter."""
    if len(run) < smallest:
        return [run]
    return [run[i : i + size] for size in range(smallest, largest + 1) for i in range(len(run) - size + 1)]


def features(text: str) -> list[str]:
    """Lower-case words, pairs of neighbouring words, and 1–2 character pieces of scripts without spaces."""
    found: list[str] = []
    before = ""
    for token in tokens(text.lower()):
        if is_spaceless(token):
            found += shingles(token, 1, 2)
            before = ""
            continue
        found.append(token)
        if before:
            found.append(f"{before} {token}")
        before = token
    return found
