"""Vectors of real questions for `python -m benchmarks.bench_layout --vectors OUT.npy`: `python -m benchmarks.real_questions OUT.npy`.

52,000, drawn by chance, of the 84,465 distinct questions of MedQuAD, CLINC150, RQE, WikiDoc, COVID-Q and PubMedQA in ../shared/data.
"""

import csv
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np

COUNT = 52_000
DATA = Path(__file__).resolve().parents[2] / "shared/data"


def questions() -> Iterator[str]:
    with gzip.open(DATA / "medquad/medquad_flat.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from (json.loads(line)["question"] for line in lines)
    with gzip.open(DATA / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        yield from (text for part in json.load(file).values() for text, _ in part)
    with gzip.open(DATA / "wikidoc_patient_info/medical_meadow_small.json.gz", "rt", encoding="utf-8") as file:
        yield from (record["input"] for record in json.load(file))
    with gzip.open(DATA / "covid_q/final_master_dataset.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from (row["Question"] for row in csv.DictReader(file))
    with gzip.open(DATA / "pubmedqa/ori_pqal.json.gz", "rt", encoding="utf-8") as file:
        yield from (record["QUESTION"] for record in json.load(file).values())
    with gzip.open(DATA / "rqe/RQE_Train_8588_AMIA2016.xml.gz", "rt", encoding="utf-8") as file:
        yield from (unescape(text) for text in re.findall(r"<(?:chq|faq)>(.*?)</", file.read(), re.DOTALL))


def main() -> None:
    from core.embedding.encode import Known, embed_texts, text_key
    from core.embedding.encoders import open_encoder
    from core.progress import silent

    texts = sorted({" ".join(text.split()) for text in questions() if text and text.strip()})
    np.random.default_rng(0).shuffle(texts)
    texts = texts[:COUNT]
    vectors = np.zeros((len(texts), 384), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        embed_texts(open_encoder(), texts, [text_key(t) for t in texts], vectors, Known.of([]), Path(folder), silent)
    np.save(sys.argv[1], vectors)
    print(f"{len(texts):,} questions")


if __name__ == "__main__":
    main()
