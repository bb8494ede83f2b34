"""Near-equal prompts that teach different things: another category, another number, a negation, or an answer of other words.

Read these before removing near-duplicates: one of the two is wrong, and the keeper rule cannot know which.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.quality.duplicates import canonical_text, embedded_texts, first_copies, load_pairs
from core.quality.pairs import Pairs
from core.workspace import Dataset, Inputs, Output, Result

DEFAULTS = {"threshold": 0.90, "overlap": 0.5, "variants": 8}
"""`threshold`: at 0.90 the rule finds 15 of the 15 contradictions planted in the sample data and none that is not, at 0.92 14; on
medical_abstracts both find the same pairs, all of equal texts. `overlap`: answers that share less than this of their words differ;
`variants`: copies of one prompt that are compared each."""

KINDS = {
    "category": "the same question has two categories",
    "number": "the answers give different numbers",
    "negation": "one answer negates the other",
    "answer": "the answers share few words",
}
"""Kind -> what it means, the gravest first."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_LABELLED = re.compile(r"\s*[*_#]*[A-Z][\w /-]{1,30}:")
_NUMBER = re.compile(
    r"(?<![\w.,/-])(\d+(?:[.,]\d+)?)(?:\s*(?:-|–|to)\s*\d+(?:[.,]\d+)?)?\s*"
    r"(mg/kg|mmol/l|mg/dl|g/l|mcg|µg|μg|mg|kg|ml|mmhg|mmol|iu|units?|tablets?|puffs?|drops?|hours?|hrs?|h|days?|weeks?|months?|years?"
    r"|times|minutes?|min|%|°c|g|l)(?![\w/])",
    re.I,
)
_NEGATION = _words(
    "no not never none without cannot nor neither avoid contraindicated stop don't doesn't didn't isn't aren't can't won't shouldn't "
    "mustn't don’t doesn’t didn’t isn’t aren’t can’t won’t shouldn’t mustn’t unsafe discontinue withhold"
)
_YES, _NO = _words("yes yeah certainly definitely"), _words("no not never don't don’t nothing neither")
_FILLER = _words(
    "a an the of to in on at for and or is are was were be been it its this that these those with by from as i you he she they we "
    "my your his her their our do does did can could should would may might will have has had what how which who if"
)


@dataclass(frozen=True)
class Text:
    """A text with what the comparison reads off it."""

    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(
            w
            for w in _WORD.findall(self.text.casefold())
            if w not in _FILLER and w not in _NEGATION and not w.isdigit()
        )

    @cached_property
    def negations(self) -> int:
        return sum(word in _NEGATION for word in _WORD.findall(self.text.casefold()))

    @cached_property
    def opening(self) -> str:
        """ "yes" or "no" when the text, or its second line after a "Label: value", begins so; else ""."""
        lines = [line for line in self.text.split("\n") if line.strip()][:2]
        if len(lines) == 2 and _LABELLED.match(lines[0]):
            lines = lines[1:]
        word = _WORD.search(lines[0].casefold()) if lines else None
        return "" if word is None else "yes" if word[0] in _YES else "no" if word[0] in _NO else ""

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Every number, with no unit looked at."""
        return frozenset(re.findall(r"\d+(?:[.,]\d+)?", self.text))

    @cached_property
    def doses(self) -> dict[str, frozenset[float]]:
        """Numbers by unit: {"mg": {500.0}, "day": {7.0}}."""
        found: dict[str, set[float]] = {}
        for value, unit in _NUMBER.findall(self.text):
            found.setdefault(_UNIT.get(unit.lower(), unit.lower().removesuffix("s")), set()).add(
                float(value.replace(",", "."))
            )
        return {unit: frozenset(values) for unit, values in found.items()}


_UNIT = {
    "μg": "mcg",
    "µg": "mcg",
    "hr": "hour",
    "hrs": "hour",
    "h": "hour",
    "min": "minute",
    "mmhg": "mmhg",
    "times": "times",
}


def overlap(left: frozenset, right: frozenset) -> float:
    """Shared words over those of the shorter text, 0..1; 1 when one has none."""
    least = min(len(left), len(right))
    return len(left & right) / least if least else 1.0


def differences(left: Text, right: Text, least_overlap: float = 0.5) -> Iterator[tuple[str, str]]:
    """(kind, reason) for each way in which two answers to the same question contradict each other."""
    clashes = []
    for unit in sorted(left.doses.keys() & right.doses.keys()):
        if not left.doses[unit] & right.doses[unit]:
            a, b = (", ".join(f"{value:g}" for value in sorted(side.doses[unit])[:3]) for side in (left, right))
            clashes.append(f"{a} against {b} {unit}")
    shared = overlap(left.words, right.words)
    if clashes:
        yield "number", f"{KINDS['number']}: {'; '.join(clashes[:3])}"
    short = max(len(left.words), len(right.words)) <= 2  # "Yes." against "No."
    if shared >= 0.6 and (short or (left.words and right.words)) and (left.negations == 0) != (right.negations == 0):
        yield "negation", KINDS["negation"]
    elif {left.opening, right.opening} == {"yes", "no"}:
        yield "negation", "one answer begins with yes, the other with no"
    if shared < least_overlap and min(len(left.words), len(right.words)) >= 2:
        yield "answer", f"{KINDS['answer']}: {shared:.0%} of the shorter"


def same_question(left: Text, right: Text) -> bool:
    """Whether two near-equal prompts ask the same: same numbers, both negated or neither."""
    return left.numbers == right.numbers and (left.negations == 0) == (right.negations == 0)


def run(inputs: Inputs) -> Output:
    """Step `contradictions`: left_id, right_id, similarity, kind, kinds, reason, same_text; the gravest first.

    One row a pair of records. Copies of one prompt count as similarity 1; of many copies those that differ are compared, up to
    `variants`. Where the numbers or the negation of the two prompts differ, so may the answers: only categories are
    compared there.
    """
    params = DEFAULTS | dict(inputs.params)
    dataset, result = inputs.datasets["training"], inputs.results["duplicates"]
    pairs = load_pairs(result)
    near = pairs.over(max(params["threshold"], pairs.floor))
    first = first_copies(embedded_texts(dataset, "prompt"))
    asked = np.concatenate([near.left, near.right, np.flatnonzero(first != np.arange(len(first)))])
    columns = _read(dataset, np.flatnonzero(np.isin(first, np.unique(first[asked]))))
    variants, cut = _variants(first, columns, params["variants"])

    def told(compared: int, found: int) -> None:
        inputs.progress(min(compared, len(near)), len(near), f"comparing answers, {found:,} contradictions so far")

    rows, compared = _compared(_candidates(near, first, variants), columns, first, params["overlap"], told)
    table = _table(rows, np.array(dataset.ids(), dtype=object))
    info = {
        "pairs_compared": compared,
        **counts(table),
        "same_text_groups": len(
            {int(first[r[1]]) for r in rows if r[6]}
        ),  # groups of equal prompts that contradict themselves
        "threshold": near.floor,
        "warnings": [
            f"{cut:,} prompts have more than {params['variants']} different answers: not every pair was compared."
        ]
        if cut
        else [],
    }
    if result.info.get("text", "prompt") != "prompt":
        info["warnings"].append(
            f"Pairs were found by {result.info['text']}, not by prompt: near-equal prompts may be missing."
        )
    inputs.progress(1, 1, f"{len(rows):,} contradictions")
    return Output(table=table, info=info)


COLUMNS = ("prompt", "response", "category")


def _read(dataset: Dataset, rows: np.ndarray) -> dict[str, dict[int, str | None]]:
    """The columns that are compared, of some rows (ascending) alone: name -> row -> what stands there."""
    found: dict[str, dict[int, str | None]] = {name: {} for name in COLUMNS}
    start = 0
    for table in dataset.blocks(COLUMNS):
        low, high = np.searchsorted(rows, [start, start + table.num_rows])
        some = table.take(pa.array(rows[low:high] - start))
        for name in COLUMNS:
            found[name].update(zip(rows[low:high].tolist(), some[name].to_pylist(), strict=True))
        start += table.num_rows
    return found


def _compared(candidates, columns, first: np.ndarray, least: float, told=None) -> tuple[list[tuple], int]:
    """(rows, pairs compared); a row is (order, a, b, similarity, kinds, reason, same text), the gravest first. `columns`: name ->
    what stands in each row, a list or a mapping of the rows that are asked for."""
    texts: dict[str, dict[int, Text]] = {"prompt": {}, "response": {}}

    def text(name: str, row: int) -> Text:
        known = texts[name]
        if row not in known:
            known[row] = Text(columns[name][row] or "")
        return known[row]

    categories, rank = columns["category"], {kind: i for i, kind in enumerate(KINDS)}
    rows: list[tuple] = []
    compared = 0
    for a, b, similarity in candidates:
        if told is not None and compared % 2000 == 0:
            told(compared, len(rows))
        compared += 1
        found = []
        if categories[a] is not None and categories[b] is not None and categories[a] != categories[b]:
            found.append(("category", f"{KINDS['category']}: {categories[a]} and {categories[b]}"))
        if same_question(text("prompt", a), text("prompt", b)):
            found += differences(text("response", a), text("response", b), least)
        if found:
            kinds = [kind for kind, _ in found]
            same = bool(first[a] == first[b])
            key = (not same, rank[kinds[0]], -len(kinds), -similarity, a, b)
            rows.append((key, a, b, similarity, kinds, "; ".join(reason for _, reason in found), same))
    return sorted(rows, key=lambda row: row[0]), compared


def _table(rows: list[tuple], ids: np.ndarray) -> pa.Table:
    left, right = np.array([r[1] for r in rows], dtype=int), np.array([r[2] for r in rows], dtype=int)
    return pa.table(
        {
            "left_id": pa.array(ids[left], pa.string()),
            "right_id": pa.array(ids[right], pa.string()),
            "similarity": pa.array([r[3] for r in rows], pa.float32()),
            "kind": pa.array([r[4][0] for r in rows], pa.string()),
            "kinds": pa.array([r[4] for r in rows], pa.list_(pa.string())),
            "reason": pa.array([r[5] for r in rows], pa.string()),
            "same_text": pa.array([r[6] for r in rows], pa.bool_()),
        }
    )


def counts(table: pa.Table) -> dict:
    """{"contradictions", "records", "kinds"} of the pairs of a table as the step stores it."""
    kinds = Counter(pc.list_flatten(table["kinds"]).to_pylist())
    both = pa.chunked_array([*table["left_id"].chunks, *table["right_id"].chunks], pa.string())
    return {
        "contradictions": table.num_rows,
        "records": pc.count_distinct(both).as_py(),
        "kinds": {kind: kinds.get(kind, 0) for kind in KINDS},
    }


def compared_again(
    dataset: Dataset, result: Result, pairs: Pairs, first: np.ndarray, kept: np.ndarray,
    changed: Mapping[str, Mapping[int, str]],
) -> pa.Table:  # fmt: skip
    """The table of a stored `contradictions` result as the records stand now, in the order of the step.

    `pairs` and `first`: of the `duplicates` result and of the prompts (`first_copies`). `kept` (N,) bool: the records still in the
    data. `changed`: "response" and "category" -> row -> what stands there now. Only pairs that a removed or changed record has a
    part in are compared anew; what they contradict may be new, gone, or held by another copy of the prompt.
    """
    params = DEFAULTS | dict(result.params)
    near = pairs.over(max(params["threshold"], pairs.floor))
    rows = np.unique(
        np.concatenate([np.flatnonzero(~kept), *(np.fromiter(c, np.int64, len(c)) for c in changed.values())])
    )
    ids = np.array(dataset.ids(), dtype=object)
    touched = np.unique(first[rows.astype(np.int64)])
    own, other = first[near.left], first[near.right]
    mine = np.isin(own, touched) | np.isin(other, touched)
    near = Pairs(near.left[mine], near.right[mine], near.similarity[mine], near.floor)
    asked = np.flatnonzero(np.isin(first, np.unique(np.concatenate([touched, own[mine], other[mine]]))))
    asked = asked[kept[asked]]
    columns = _read(dataset, asked)
    for name, values in columns.items():
        values |= {row: text for row, text in changed.get(name, {}).items() if row in values}
    variants = _variants_of(first, asked, columns, params["variants"])[0]
    within = np.isin(first, touched)
    candidates = (one for one in _candidates(near, first, variants, kept) if within[one[0]] or within[one[1]])
    new, _ = _compared(candidates, columns, first, params["overlap"])
    table, old = result.table(), pa.array(ids[within], pa.string())
    stays = pc.invert(pc.or_(pc.is_in(table["left_id"], old), pc.is_in(table["right_id"], old)))
    again = _table(new, ids)
    found = pa.concat_tables([table.select(again.column_names).filter(stays).cast(again.schema), again])
    rank, at = {kind: i for i, kind in enumerate(KINDS)}, {one: n for n, one in enumerate(ids)}
    keys = [
        (not r["same_text"], rank[r["kind"]], -len(r["kinds"]), -r["similarity"], at[r["left_id"]], at[r["right_id"]])
        for r in found.to_pylist()
    ]
    return found.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__), pa.int64()))


def _variants(first: np.ndarray, columns: dict, most: int) -> tuple[dict[int, list[int]], int]:
    """Of each prompt with copies (by its first record) the records that differ in category or answer, `most` at the most;
    and how many prompts have more."""
    return _variants_of(first, np.flatnonzero(np.isin(first, first[first != np.arange(len(first))])), columns, most)


def _variants_of(first: np.ndarray, rows: np.ndarray, columns: dict, most: int) -> tuple[dict[int, list[int]], int]:
    found: dict[int, dict] = {}
    for row in rows.tolist():
        kinds = found.setdefault(int(first[row]), {})
        kinds.setdefault((columns["category"][row], canonical_text(columns["response"][row] or "")), row)
    cut = sum(len(kinds) > most for kinds in found.values())
    return {row: list(kinds.values())[:most] for row, kinds in found.items()}, cut


def _candidates(
    near: Pairs, first: np.ndarray, variants: dict[int, list[int]], kept: np.ndarray | None = None
) -> Iterator[tuple[int, int, float]]:
    """Pairs of records to compare, with the similarity of their prompts: among copies, then among near-equal prompts. With `kept`
    (N,) bool, every record that may be compared is among the variants."""

    def of(row: int) -> list[int]:
        return variants.get(row, [row] if kept is None or kept[row] else [])

    for group in variants.values():
        yield from ((a, b, 1.0) for at, a in enumerate(group) for b in group[at + 1 :])
    seen: set[tuple[int, int]] = set()
    for i, j, similarity in zip(
        first[near.left].tolist(), first[near.right].tolist(), near.similarity.tolist(), strict=True
    ):
        key = (min(i, j), max(i, j))
        if i != j and key not in seen:
            seen.add(key)
            yield from ((min(a, b), max(a, b), similarity) for a in of(i) for b in of(j))
