"""Make the sample files from the hand-written material: `python sample_data/make.py`, or `--check` to compare only.

Seeded and deterministic, standard library only. The material under material/ holds clean records and hand-written
faults; this script assigns faults to records, gives every row an id, and writes the key that names each fault.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MATERIAL = HERE / "material"
SEED = 20250311
CATEGORIES = (
    "triage",
    "medication-safety",
    "differential-diagnosis",
    "lab-interpretation",
    "discharge-summary",
    "mental-health",
    "patient-education",
    "clinical-coding",
    "paediatrics",
)
SYSTEM = (
    "You are a careful clinical assistant. Be concise, say what is urgent, and say when you are unsure. "
    "Fictional sample data, not medical advice."
)
ANNOTATORS = {"amb": 0.06, "kso": 0.12, "rlv": 0.18, "tdn": 0.25, "yhp": 0.39}  # share of the faulty records
SAFETY = re.compile(
    r"ambulance|emergency|crisis|casualty|\b112\b|\b999\b|poisons line|\bdial|\bcall(s|ed)?\b|same[- ]day|"
    r"ring (the team|us)|straight in",
    re.IGNORECASE,
)
URGENCY = re.compile(r"Urgency: (Emergency|Urgent|Routine|Self-care)\n")
REASONED = ("triage", "differential-diagnosis")  # categories whose records must carry reasoning
SWAPPED, MISLABELLED = 30, 40
MISSING_SAFETY = {"mental-health": 12, "triage": 8}
FORMAT_RULES = {
    "urgency_missing": ("triage", 8),
    "urgency_casing": ("triage", 6),
    "trailing_whitespace": (None, 6),
    "reasoning_missing": ("differential-diagnosis", 6),
    "not_json": ("clinical-coding", 4),
    "truncated": (None, 6),
}
PLAIN = ("medication-safety", "differential-diagnosis", "lab-interpretation", "patient-education", "paediatrics")
CONTRACTIONS = (("don't", "do not"), ("it's", "it is"), ("isn't", "is not"), ("you're", "you are"), ("can't", "cannot"))

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    """Rows of one material file."""
    text = (MATERIAL / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def load_clean() -> list[Row]:
    """Every clean hand-written record, with its category, in a fixed order."""
    rows = [{**row, "category": category} for category in CATEGORIES for row in read(category)]
    for row in rows:
        row["fault"] = None
    return rows


def find(rows: list[Row], item: Row) -> Row:
    """The clean record that a hand-written fault is made from."""
    matches = [row for row in rows if row["category"] == item["category"] and row["topic"] == item["of"]]
    if not matches:
        raise SystemExit(f"material: no {item['category']} record has the topic {item['of']!r}")
    return matches[0]


def without_safety(response: str) -> str:
    """The response without the sentences that say when to seek emergency help."""
    paragraphs = []
    for paragraph in response.split("\n\n"):
        head, lines = "", paragraph
        if URGENCY.match(paragraph):
            head, lines = paragraph.split("\n", 1)
            head += "\n"
        kept = [part for part in re.split(r"(?<=[.!?])\s+", lines) if not SAFETY.search(part)]
        if kept or head:
            paragraphs.append(head + " ".join(kept))
    return "\n\n".join(paragraphs).strip()


def safety_can_go(row: Row) -> bool:
    """Whether removing the safety sentence leaves a full answer and takes something away."""
    if row["response"].startswith("Urgency: Emergency"):
        return False
    left = without_safety(row["response"])
    return left != row["response"] and len(left.split()) >= 30


def break_format(row: Row, rule: str, rng: random.Random) -> str:
    """Break one format rule in the row; returns what was done."""
    response = row["response"]
    if rule == "urgency_missing":
        row["response"] = response.split("\n", 1)[1]
        return "urgency_missing: triage response does not begin with the Urgency line"
    if rule == "urgency_casing":
        head, rest = response.split("\n", 1)
        wrong = rng.choice((head.upper(), head.lower(), head.replace("Urgency:", "urgency -"), head.replace(": ", ":")))
        row["response"] = f"{wrong}\n{rest}"
        return f"urgency_casing: first line is {wrong!r}"
    if rule == "trailing_whitespace":
        row["response"] = response + rng.choice(("   ", "\n\n", " \n", "\t"))
        return "trailing_whitespace: response ends with white space"
    if rule == "reasoning_missing":
        row["reasoning"] = ""
        return "reasoning_missing: the category needs reasoning and it is empty"
    if rule == "not_json":
        choice = rng.randrange(3)
        fence = f"```json\n{response}\n```"
        broken = (response.rstrip().removesuffix("}"), fence, response.replace('"', "'"))
        row["response"] = broken[choice]
        return "not_json: coding response is not valid JSON"
    words = response.split(" ")
    row["response"] = " ".join(words[: int(len(words) * rng.uniform(0.45, 0.7))]).rstrip(" .,;:!?")
    return "truncated: response is cut off in the middle"


def plain_english(text: str) -> str:
    """The same answer with contractions written out: the light edit of some near-duplicates."""
    for short, full in CONTRACTIONS:
        text = text.replace(short, full)
    return text


def plant(rows: list[Row], rng: random.Random) -> list[Row]:
    """Plant every fault in the clean rows, in place, and return all rows (the copies appended)."""
    near, contra, wrong = read("near_duplicates"), read("contradictions"), read("wrong_responses")
    bases = {id(find(rows, item)) for item in (*near, *contra, *wrong)}
    added: list[Row] = []
    for item in wrong:
        row = find(rows, item)
        if item["old"] not in row["response"]:
            raise SystemExit(f"material: {item['of']!r} does not contain {item['old']!r}")
        row["response"] = row["response"].replace(item["old"], item["new"])
        row.update(fault="wrong_response", detail=item["detail"])
    for n, item in enumerate(near):
        base = find(rows, item)
        response = plain_english(base["response"]) if n % 2 else base["response"]
        edit = "answer equal" if response == base["response"] else "answer lightly edited"
        copy = {**base, "prompt": item["prompt"], "response": response, "fault": "near_duplicate"}
        added.append({**copy, "detail": f"prompt reworded, {edit}", "other": base})
    for item in contra:
        base = find(rows, item)
        texts = {key: item[key] for key in ("prompt", "reasoning", "response")}
        detail = "nearly the same prompt, a different clinical answer"
        added.append({**base, **texts, "fault": "contradiction", "detail": detail, "other": base})

    def take(count: int, fits: Any) -> list[Row]:
        free = [row for row in rows if row["fault"] is None and id(row) not in bases and fits(row)]
        return rng.sample(free, count)

    for base in take(10, lambda row: True):
        bases.add(id(base))
        added.append({**base, "fault": "exact_duplicate", "detail": "same prompt and response", "other": base})
    for category, count in MISSING_SAFETY.items():
        for row in take(count, lambda row, c=category: row["category"] == c and safety_can_go(row)):
            row["response"] = without_safety(row["response"])
            row.update(fault="missing_safety", detail="sentence on when to call for emergency help removed")
    for rule, (category, count) in FORMAT_RULES.items():
        fits = (lambda row, c=category: row["category"] == c) if category else (lambda row: row["category"] in PLAIN)
        for row in take(count, fits):
            row.update(detail=break_format(row, rule, rng), fault="format_violation")
    swapped = take(SWAPPED, lambda row: row["category"] in PLAIN)
    bases.update(id(row) for row in swapped)
    for n, row in enumerate(swapped):
        same = n % 2 == 0
        donor = take(1, lambda d, r=row, s=same: d["category"] in PLAIN and (d["category"] == r["category"]) == s)
        bases.add(id(donor[0]))
        where = "of the same category" if same else "of another category"
        row.update(fault="swapped_response", detail=f"response of another record {where}", other=donor[0])
        row["response"] = donor[0]["response"]
    for row in take(MISLABELLED, lambda row: row["reasoning"] and row["category"] != "clinical-coding"):
        true = row["category"]
        row["label"] = rng.choice([name for name in PLAIN if name != true])
        row.update(fault="wrong_label", detail=f"is {true}, labelled {row['label']}")
    return rows + added


def training(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Training rows and the key entries of their faults."""
    rows = plant(load_clean(), rng)
    rng.shuffle(rows)
    for n, row in enumerate(rows, 1):
        row["id"] = f"qs-{n:04d}"
    ids_of_bases = {id(row): row["id"] for row in rows}
    out, key = [], []
    for row in rows:
        shares = tuple(ANNOTATORS.values()) if row["fault"] else (1, 1, 1, 1, 1)
        record = message_row(row, row["id"], row.get("label", row["category"]))
        record["annotator"] = rng.choices(tuple(ANNOTATORS), shares)[0]
        record["created"] = day(rng)
        record.update(language="en", source="quadrant-sample")
        out.append(record)
        if row["fault"]:
            other = ids_of_bases[id(row["other"])] if row.get("other") is not None else None
            key.append({"id": row["id"], "fault": row["fault"], "detail": row["detail"], "other": other})
    return out, key


def message_row(row: Row, name: str, category: str) -> Row:
    """A chat row: system, user, assistant."""
    turns = (("system", SYSTEM), ("user", row["prompt"]), ("assistant", row["response"]))
    messages = [{"role": role, "content": content} for role, content in turns]
    record = {"id": name, "category": category, "messages": messages, "reasoning": row["reasoning"]}
    if "difficulty" in row:
        record["difficulty"] = row["difficulty"]
    return record


def day(rng: random.Random) -> str:
    """A date in the six months in which the set was supposedly written."""
    return (date(2025, 3, 3) + timedelta(days=rng.randrange(180))).isoformat()


def production(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Production rows (prompt and category) and the key entries of the holes."""
    rows = read("production")
    rng.shuffle(rows)
    out, holes = [], {}
    for n, row in enumerate(rows, 1):
        name = f"qp-{n:04d}"
        entry = {"id": name, "category": row["category"], "prompt": row["prompt"], "created": day(rng)}
        out.append({**entry, "language": "en", "source": "quadrant-sample-production"})
        if row["topic"]:
            holes.setdefault(row["topic"], []).append(name)
    key = [
        {
            "id": None,
            "fault": "production_hole",
            "detail": f"{len(ids)} production prompts on {topic}, none in training",
            "other": None,
            "topic": topic,
            "production_ids": ids,
        }
        for topic, ids in sorted(holes.items())
    ]
    return out, key


def heldout(name: str, prefix: str, extra: tuple[str, ...]) -> list[Row]:
    """Validation or gold rows."""
    out = []
    for n, row in enumerate(read(name), 1):
        record = message_row(row, f"{prefix}-{n:04d}", row["category"])
        record.update({field: row[field] for field in extra}, language="en", source=f"quadrant-sample-{name}")
        out.append(record)
    return out


def jsonl(rows: list[Row]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def readme(train: list[Row], prod: list[Row], valid: list[Row], gold: list[Row], key: list[Row]) -> str:
    """README.md with the counts of this very set."""
    have, want = Counter(row["category"] for row in train), Counter(row["category"] for row in prod)
    shares = "\n".join(
        f"| {name} | {have[name]} | {have[name] / len(train):.1%} | {want[name] / len(prod):.1%} |"
        for name in CATEGORIES
    )
    counts = Counter(entry["fault"] for entry in key)
    faults = "\n".join(f"| {name} | {counts[name]} | {FAULTS[name]} |" for name in FAULTS)
    return README.format(
        train=len(train), prod=len(prod), valid=len(valid), gold=len(gold), shares=shares, faults=faults, seed=SEED
    )


FAULTS = {
    "near_duplicate": "another record's prompt lightly reworded; the answer equal or lightly edited",
    "exact_duplicate": "the same prompt and response once more",
    "contradiction": "nearly the prompt of another record (`other`), with a different and wrong clinical answer",
    "wrong_label": "`category` replaced by another",
    "swapped_response": "the response belongs to another record (`other`)",
    "wrong_response": "clinical content made wrong, often by a factor of ten; `detail` says what",
    "format_violation": "a format rule is broken; `detail` begins with the rule",
    "missing_safety": "the sentence on when to call for emergency help is removed",
    "production_hole": "a topic of production that training lacks; `production_ids` lists its prompts",
}
README = """# Sample data

A clinical fine-tuning set written for Quadrant, with faults planted in it and a key that names each one.

**Fictional, not medical advice.** No record describes a real person. Some answers are wrong on purpose (see the faults
below). Nobody should treat anybody by these files, or train a model on them that answers patients.

| file | rows | what it is |
|---|---|---|
| training.jsonl | {train} | chat records with category, reasoning, difficulty 1–5, annotator and date |
| production.jsonl | {prod} | prompts as a service would receive them, with their category, without responses |
| validation.jsonl | {valid} | good records held out, in production's proportions |
| gold.jsonl | {gold} | records with a known verdict (`pass` or `fail`, and the `issue`), to calibrate reviewers |
| key.jsonl | one entry a fault | id, fault, detail, other (the record it was made from) |

## Categories

| category | training | share | production share |
|---|---|---|---|
{shares}

The training column counts labels as they stand, the wrong ones included.

## Format rules the set keeps, except where a fault breaks one

- A triage response begins with the line `Urgency: Emergency`, `Urgent`, `Routine` or `Self-care`.
- A clinical-coding response is a JSON object.
- Triage and differential-diagnosis records carry reasoning; elsewhere it may be empty.
- A mental-health response names when to turn to a crisis line or the emergency services.
- No response ends with white space.

## Planted faults

No record carries two faults.

| fault | count | what it is |
|---|---|---|
{faults}

The five annotators made faults at different rates.

## How it is made

`python sample_data/make.py` rewrites every file from the hand-written records in `material/` (seed {seed}), byte for
byte; `--check` says whether the files are up to date. To change a record, edit the material and run the script.

## Licence

The sample data (this folder's `.jsonl` files) is released under CC0 1.0: use it as you like, without any warranty.
"""


def build() -> dict[str, str]:
    """Every output file's name and text."""
    rng = random.Random(SEED)
    train, key = training(rng)
    prod, holes = production(rng)
    valid = heldout("validation", "qv", ("difficulty",))
    gold = heldout("gold", "qg", ("verdict", "issue"))
    return {
        "training.jsonl": jsonl(train),
        "production.jsonl": jsonl(prod),
        "validation.jsonl": jsonl(valid),
        "gold.jsonl": jsonl(gold),
        "key.jsonl": jsonl(key + holes),
        "README.md": readme(train, prod, valid, gold, key + holes),
    }


def stale() -> list[str]:
    """Output files that differ from what the script would write."""
    return [
        name
        for name, text in build().items()
        if not (HERE / name).exists() or (HERE / name).read_bytes() != text.encode("utf-8")
    ]


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description="Make the sample files from the hand-written material.")
    parser.add_argument("--check", action="store_true", help="only say whether the files are up to date")
    if parser.parse_args().check:
        names = stale()
        print(f"out of date: {', '.join(names)}" if names else "up to date")
        return 1 if names else 0
    for name, text in build().items():
        (HERE / name).write_bytes(text.encode("utf-8"))
        print(f"{name}: {text.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
