"""A collection brief: what to collect to close the holes, for the people who write or gather the records."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.dataset.tables import neutral

LEVEL = 0.05  # above this `chance`, a hole could be chance


@dataclass(frozen=True)
class Gap:
    """One hole as a task. `collect` = its share of production x the training size: the number that gives it the weight in training
    that it has in production; low and high from the 95 % bootstrap interval of that share, over the distinct texts of production."""

    number: int
    name: str
    terms: tuple[str, ...]
    size: int
    share: float
    low: float
    high: float
    similarity: float
    collect: int
    collect_low: int
    collect_high: int
    examples: tuple[str, ...]  # record ids of production
    nearest: tuple[str, ...]  # record ids of training
    stakes: int | None = None  # high-stakes production records in it; None: no rule says which those are
    rank: int = 0
    texts: int = 0  # distinct ones among its production records
    chance: float | None = None  # in how many draws of alike sets a hole is as unlikely; None: it cannot be told

    @property
    def doubtful(self) -> bool:
        """Whether it could be chance."""
        return self.chance is not None and self.chance > LEVEL


def gaps(info: Mapping[str, Any]) -> list[Gap]:
    """The holes in the info of a result of `coverage`, the one with most production first."""
    training = info["training"]
    out = []
    for hole in info["holes"]:
        low, high = hole["low"], hole["high"]
        out.append(
            Gap(
                hole["hole"] + 1, hole["name"], tuple(hole["terms"]), hole["size"], hole["share"], low, high,
                hole["similarity"], hole["collect"], math.ceil(low * training), math.ceil(high * training),
                tuple(hole["examples"]), tuple(hole["nearest"]), texts=hole.get("texts", hole["size"]), chance=hole.get("chance"),
            )
        )  # fmt: skip
    return out


COLUMNS = (
    "hole", "name", "terms", "production_records", "share_of_production", "share_low", "share_high", "collect", "collect_low",
    "collect_high", "high_stakes", "chance", "example_prompts", "nearest_training_ids",
)  # fmt: skip


def brief_csv(found: Sequence[Gap], prompts: Mapping[str, str]) -> str:
    """One row a hole, for a spreadsheet: cells that would run as a formula are made harmless. `prompts`: {production id: prompt}."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for g in found:
        texts = "\n\n".join(prompts.get(i, "") for i in g.examples)
        row = [
            g.rank or g.number, g.name, "; ".join(g.terms),
            g.size, f"{g.share:.6f}", f"{g.low:.6f}", f"{g.high:.6f}", g.collect, g.collect_low,
            g.collect_high, "" if g.stakes is None else g.stakes,
            "" if g.chance is None else f"{g.chance:.3f}", texts, " ".join(g.nearest),
        ]  # fmt: skip
        writer.writerow([neutral(str(cell)) for cell in row])
    return out.getvalue()


def brief_markdown(
    found: Sequence[Gap], prompts: Mapping[str, str], nearest: Mapping[str, str], info: Mapping[str, Any], name: str
) -> str:
    """The brief as a document. Prompts stand in fences, so that a viewer shows them as they are and fetches nothing."""
    covered = info["covered_share"]
    lines = [
        f"# Collection brief: {_plain(name)}",
        "",
        f"{info['production']:,} production records against {info['training']:,} training records; "
        + (f"{covered:.1%} of production is covered" if covered is not None else "coverage is unknown")
        + (
            f" (95 % interval {info['covered_low']:.1%} to {info['covered_high']:.1%})."
            if info.get("covered_low") is not None
            else "."
        ),
        "A production record is uncovered when its nearest training record has a cosine similarity below "
        f"{info['threshold']:.2f} ({info['threshold_rule']})"
        + (
            f", or training is less than {info['thin']:.0%} as dense around it as production is."
            if "thin" in info
            else "."
        ),
        "",
        "How many to collect = share of production x size of the training set, so that each hole gets the weight in training that it "
        "has in production. The range is the 95 % interval of that share. Write new records; do not copy the examples.",
        "",
    ]
    for g in found:
        lines += [
            f"## {g.rank or g.number}. {_plain(g.name)}",
            "",
            f"- Collect about **{g.collect:,}** records ({g.collect_low:,} to {g.collect_high:,})",
            f"- {g.size:,} production records, {g.share:.1%} of production ({g.low:.1%} to {g.high:.1%})",
            *([f"- {g.stakes:,} of them are high stakes"] if g.stakes is not None else []),
            *([f"- {told}"] if (told := by_chance(g)) else []),
            f"- Distinguishing terms: {', '.join(_plain(t) for t in g.terms)}",
            f"- Mean similarity to the nearest training record: {g.similarity:.2f}",
            "",
            "What production asks:",
            "",
        ]
        for i in g.examples:
            lines += [*_fenced(prompts.get(i, "")), ""]
        if g.nearest:
            lines += ["The nearest that training has (too far or too little to cover it):", ""]
            for i in g.nearest:
                lines += [f"Record `{i}`", "", *_fenced(nearest.get(i, "")), ""]
    if not found:
        lines.append("No hole was found.")
    return "\n".join(lines).rstrip() + "\n"


def by_chance(gap: Gap) -> str:
    """What chance says of a hole, in one sentence; "" where it cannot be told."""
    if gap.chance is None:
        return ""
    said = f"were training and production alike, {gap.chance:.1%} of the draws would hold a hole as unlikely"
    return (
        f"**Could be chance**: {said}. Look at the examples before collecting."
        if gap.doubtful
        else f"Hardly chance: {said}."
    )


def _fenced(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *(text.splitlines() or [""]), fence]


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#|!~])", r"\\\1", " ".join(text.split()))
