"""A large, realistic set to try everything on: `python -m benchmarks.large FOLDER --records 1000000`.

Writes training.jsonl, training.npy (a vector for each record, float16), production.jsonl and production.npy. What it is made of is
known, so that what the app finds can be checked against it: topics in categories, of sizes that follow Zipf's law, lying together in
the space as related topics do; about 3 % near-duplicates (a number or two changed, cosine similarity about .97) and 1 % exact
copies; a production sample whose categories have other shares, with topics that the training set lacks (the holes). Vectors have the
within-topic (about .6) and between-topic (about .1) similarities of sentence encoders. Text and vectors come from the seed alone.
"""

import argparse
import json
from pathlib import Path

import numpy as np

WIDTH = 384
CATEGORIES = (
    "cardiology", "respiratory", "neurology", "dermatology", "oncology", "paediatrics", "obstetrics", "psychiatry", "nephrology",
    "endocrinology", "gastroenterology", "rheumatology", "ophthalmology", "ear, nose and throat", "urology", "haematology",
    "infectious disease", "emergency", "geriatrics", "pharmacology",
)  # fmt: skip
HEADS = (
    "acute", "chronic", "recurrent", "suspected", "postoperative", "severe", "mild", "atypical", "congenital",
    "drug-induced", "unilateral", "bilateral",
)  # fmt: skip
SITES = (
    "cardiac", "bronchial", "cerebral", "dermal", "hepatic", "renal", "ocular", "gastric", "thyroid", "pelvic", "lumbar",
    "cervical", "pleural", "vascular",
)  # fmt: skip
ENDS = (
    "stenosis", "fibrosis", "oedema", "infection", "ulcer", "neuropathy", "effusion", "ischaemia", "dysplasia", "failure",
    "obstruction", "haemorrhage",
)  # fmt: skip
DRUGS = (
    "metoprolol", "salbutamol", "levetiracetam", "hydrocortisone", "cisplatin", "amoxicillin", "labetalol", "sertraline",
    "furosemide", "insulin", "omeprazole", "methotrexate",
)  # fmt: skip
ASKS = (
    "What is the first-line treatment of {topic} in {who}?",
    "A {age}-year-old with {topic} takes {drug}. What should be checked before the dose is raised?",
    "Which findings tell {topic} from its most common mimic in {who}?",
    "How should {topic} be followed up after {days} days of {drug}?",
    "Explain to {who} why {drug} was stopped because of {topic}.",
    "Summarise the risks of {drug} for a {age}-year-old with {topic}.",
)
ANSWERS = (
    "Begin with the history and the examination, and rule out what is dangerous about {topic} first.",
    "{drug} is a reasonable choice; check kidney function, interactions and allergies before the first dose.",
    "For {who} the usual dose is lower, and review after {days} days is advised.",
    "Refer at once when there is fever, confusion, or pain that gets worse within hours.",
    "The evidence for {drug} in {topic} comes from small trials, so tell the patient what is not known.",
    "Document the decision and agree on what would change it.",
)
NOTES = (
    "fever", "fatigue", "weight loss", "night sweats", "dizziness", "nausea", "palpitations", "itching", "blurred vision",
    "chest pain", "back pain", "a dry cough", "swollen ankles", "a rash", "poor appetite", "restless sleep",
)  # fmt: skip
WHO = ("adults", "children", "older patients", "pregnant patients", "patients with renal impairment")
NEAR, COPIES, BLOCK = 0.03, 0.01, 20_000


def topics(count: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names (T), category of each (T,), and unit centres (T, WIDTH): a direction of the category, then one of the topic's own."""
    random = np.random.default_rng(seed)
    category = np.arange(count) % len(CATEGORIES)
    names = []
    for n in range(count):
        m = n // (len(HEADS) * len(SITES) * len(ENDS))
        words = (
            HEADS[n % len(HEADS)],
            SITES[n // len(HEADS) % len(SITES)],
            ENDS[n // len(HEADS) // len(SITES) % len(ENDS)],
        )
        names.append(" ".join(words) + (f" type {m + 1}" if m else ""))
    common = unit(random.standard_normal(WIDTH))
    families = unit(random.standard_normal((len(CATEGORIES), WIDTH)))
    own = unit(random.standard_normal((count, WIDTH)))
    return names, category, unit(0.3 * common + 0.5 * families[category] + 0.8 * own).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def shares(count: int, seed: int) -> np.ndarray:
    """(T,) shares of topics by Zipf's law, in an order of the seed's."""
    sizes = 1 / (10 + np.arange(count))
    return np.random.default_rng(seed).permutation(sizes / sizes.sum())


def write(folder: Path, stem: str, records: int, share: np.ndarray, seed: int, copies: bool = True) -> None:
    names, category, centres = topics(len(share), 1)
    random = np.random.default_rng([seed, 0])
    # Records of a topic differ along few directions, of which each topic has its own mixture, and a little along all.
    ways = unit(random.standard_normal((64, WIDTH))).astype(np.float32)
    which = np.random.default_rng(2).integers(0, 64, (len(share), 12))
    out = np.lib.format.open_memmap(folder / f"{stem}.npy", "w+", np.float16, (records, WIDTH))
    with (folder / f"{stem}.jsonl").open("w", encoding="utf-8") as stream:
        for start in range(0, records, BLOCK):
            random = np.random.default_rng([seed, 1, start])
            count = min(BLOCK, records - start)
            topic = random.choice(len(share), count, p=share)
            place = np.arange(count)
            kind = random.random(count) if copies else np.ones(count)
            source = np.where(
                (kind < NEAR + COPIES) & (place > 0),
                (random.random(count) * place).astype(int),
                -1,
            )
            mix = random.standard_normal((count, 12)).astype(np.float32) * 0.24
            rows = centres[topic] + np.einsum("nk,nkd->nd", mix, ways[which[topic]])
            rows = unit(rows + random.standard_normal((count, WIDTH)).astype(np.float32) * (0.5 / WIDTH**0.5))
            drawn = np.stack([random.integers(0, 2**30, count) for _ in range(8)], 1)
            lines: list[str] = []
            for n in range(count):
                if source[n] >= 0:
                    topic[n], drawn[n] = topic[source[n]], drawn[source[n]]
                    rows[n] = rows[source[n]]
                    if kind[n] < NEAR:
                        drawn[n, 3] += 1  # another age or number of days
                        rows[n] = unit(rows[n] + random.standard_normal(WIDTH) * (0.22 / WIDTH**0.5))
                lines.append(record(names[topic[n]], CATEGORIES[category[topic[n]]], drawn[n].tolist()))
            out[start : start + count] = rows
            stream.writelines(lines)
    out.flush()


def record(topic: str, category: str, drawn: list[int]) -> str:
    a, b, c, d, e, f, g, h = drawn
    facts = {"topic": topic, "who": WHO[b % 5], "drug": DRUGS[c % 12], "age": 18 + d % 70, "days": 2 + d % 89}
    first, second = NOTES[g // 6 % 16], NOTES[h // 6 % 16]
    seen = f" Noted: {first} for {facts['days']} days, {second}; creatinine {50 + g // 100 % 180}, pressure {95 + h // 100 % 90}."
    picked = {e % 6, f % 6, g % 6, h % 6}
    answer = " ".join(ANSWERS[n].format(**facts) for n in picked)
    made = {"instruction": ASKS[a % 6].format(**facts) + seen, "output": answer, "category": category}
    return json.dumps(made, ensure_ascii=False) + "\n"


def make(folder: Path, records: int, production: int, seed: int = 0) -> dict:
    """Write the four files; returns what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    count = max(20, min(2000, records // 250))
    trained = shares(count, seed + 1)
    hidden = np.random.default_rng(seed + 2).choice(count, max(1, count // 20), replace=False)
    trained[hidden] = 0
    asked = shares(count, seed + 3)
    write(folder, "training", records, trained / trained.sum(), seed + 10)
    write(folder, "production", production, asked, seed + 11, copies=False)
    return {"records": records, "production": production, "topics": count, "hidden_topics": len(hidden)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument(
        "--production", type=int, default=0, help="records of the production sample; 2 %% of the others when 0"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(make(args.folder, args.records, args.production or max(200, args.records // 50), args.seed)))


if __name__ == "__main__":
    main()
