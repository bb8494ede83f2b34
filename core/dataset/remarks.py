"""What an import should tell the user though nothing is wrong enough to leave a record out."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from core.dataset import names

EXAMPLES = 10
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\u180e]")
DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d| ?UTC)?")

# Letters of other scripts that look like a Latin one.
_LOOKS_LIKE = str.maketrans(
    "аеорсухіјѕԁԛԝһкмнтвΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορυχАВЕКМНОРСТУХІЈЅ",
    "aeopcyxijsdqwhkmhtbABEZHIKMNOPTYXavopuxABEKMHOPCTYXIJS",
)


class Remarks:
    """Collects findings while rows go by: a count and the first lines of each kind."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self.lines: dict[str, list[int]] = {}
        self.categories: Counter[str] = Counter()
        self.ids: dict[str, str] = {}
        self.alike: list[str] = []
        self.now = datetime.now(UTC)

    def note(self, kind: str, line: int) -> None:
        self.counts[kind] += 1
        if len(self.lines.setdefault(kind, [])) < EXAMPLES:
            self.lines[kind].append(line)

    def record(self, line: int, raw: str, columns: dict, messages: list[dict]) -> None:
        if len(messages) > 2:
            roles = [message["role"] for message in messages]
            if any(pair == ("assistant", "assistant") for pair in zip(roles, roles[1:], strict=False)):
                self.note("two assistant turns in a row", line)
            if roles[-1] != "assistant":
                self.note("ends without an assistant turn", line)
        if columns["category"] is not None:
            self.categories[columns["category"]] += 1
        if not raw.isascii() and DIRECTION.search(raw):
            self.note("text-direction override characters", line)
        if "\0" in raw or "\\u0000" in raw:
            self.note("NUL characters", line)

    def identity(self, value: str) -> None:
        folded = unicodedata.normalize("NFC", value).casefold()
        other = self.ids.setdefault(folded, value)
        if other != value and len(self.alike) < EXAMPLES:
            self.alike.append(f"{other!r} and {value!r}")

    def times(self, fields: Iterable[tuple[str, str | None]], line: int) -> None:
        for name, text in fields:
            if not text or len(text) < 10 or len(text) > 40 or text[4] != "-" or not _timelike(name):
                continue
            match = _MOMENT.fullmatch(text)
            if not match:
                continue
            if len(text) > 10 and not match.group(1):
                self.note(f"times without a zone in {name}", line)
            try:
                moment = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("Z", "+00:00"))
            except ValueError:
                continue
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if moment > self.now + timedelta(days=1):
                self.note(f"times in the future in {name}", line)

    def report(self) -> list[dict]:
        """[{"kind", "message", "count", "lines"?, "groups"?}], most frequent first."""
        found = [
            {
                "kind": kind,
                "count": count,
                "lines": self.lines[kind],
                "message": f"{count} records: {kind} (first: line {self.lines[kind][0]}).",
            }
            for kind, count in self.counts.most_common()
        ]
        if self.alike:
            message = f"Some ids are the same but for case or Unicode form: {'; '.join(self.alike[:3])}."
            found.append({"kind": "ids that differ only in form", "count": len(self.alike), "message": message})
        return found + _alike_categories(self.categories)


def _timelike(name: str) -> bool:
    short = names.key(name)
    return short in names.TIME or short.endswith(("date", "time", "timestamp"))


def _alike_categories(categories: Counter[str]) -> list[dict]:
    groups: dict[str, list[str]] = {}
    for name in categories:
        groups.setdefault(_plain(name), []).append(name)
    spelled = [sorted(group, key=lambda n: (-categories[n], n)) for group in groups.values() if len(group) > 1]
    found = []
    if spelled:
        shown = "; ".join(" / ".join(map(repr, group[:3])) for group in spelled[:3])
        found.append({
            "kind": "categories that differ by case or space", "count": len(spelled), "groups": spelled,
            "message": f"{len(spelled)} groups of categories differ only by case or space: {shown}. Merge them if they mean the same.",
        })  # fmt: skip
    skeletons: dict[str, list[str]] = {}
    for key, group in groups.items():
        skeletons.setdefault(skeleton(key), []).append(group[0])
    alike = [sorted(group) for group in skeletons.values() if len(group) > 1]
    alike += [[name] for name in categories if INVISIBLE.search(name) and not any(name in group for group in alike)]
    if alike:
        shown = "; ".join(" / ".join(map(ascii, group[:3])) for group in alike[:3])
        found.append({
            "kind": "categories that look alike", "count": len(alike), "groups": alike,
            "message": f"{len(alike)} categories hold invisible or look-alike letters: {shown}. They count as different categories.",
        })  # fmt: skip
    return found


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def skeleton(name: str) -> str:
    """A name with invisible characters taken out and letters of other scripts replaced by the Latin ones they look like."""
    return _plain(INVISIBLE.sub("", name).translate(_LOOKS_LIKE))
