"""Real files imported with exact counts.

The counts of rows are those of the README beside each file; what is quarantined was counted once with Python's own csv and json
modules: empty answers in MedQuAD (31,034), COVID-Q (763, and one question), PandaLM (29 empty, 4 booleans).
"""

import json

import pytest

from core.dataset.preview import preview
from core.dataset.writing import suffix_of, write
from core.errors import InputError
from tests.dataset_files import SHARED, imported

DATA = SHARED / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data beside the checkout is not there")
FORMATS, FACTORY = "import_formats", "import_formats/llama_factory"

# (file, format, schema, rows, records, {reason: count})
FILES = [
    (f"{FACTORY}/alpaca_en_demo.json", "json", "alpaca", 999, 999, {}),
    (f"{FACTORY}/alpaca_zh_demo.json.gz", "json", "alpaca", 1000, 1000, {}),
    (f"{FACTORY}/glaive_toolcall_en_demo.json", "json", "sharegpt", 300, 300, {}),
    (f"{FACTORY}/glaive_toolcall_zh_demo.json.gz", "json", "sharegpt", 300, 300, {}),
    (f"{FACTORY}/dpo_en_demo.json.gz", "json", "preference", 300, 300, {}),
    (f"{FACTORY}/kto_en_demo.json.gz", "json", "kto", 300, 300, {}),
    (f"{FACTORY}/identity.json", "json", "alpaca", 91, 91, {}),
    (f"{FACTORY}/reason_tool_use_demo_50.jsonl.gz", "jsonl", "messages", 50, 50, {}),
    (f"{FORMATS}/huatuo_zh/llama_data.json.gz", "jsonl", "alpaca", 8658, 8658, {}),
    (f"{FORMATS}/meqsum/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx", "excel", "question-answer", 1000, 1000, {}),
    (f"{FORMATS}/oasst/en_100_tree.jsonl.gz", "jsonl", "tree", 100, 100, {}),
    (f"{FORMATS}/self_instruct/seed_tasks.jsonl", "jsonl", "instances", 175, 175, {}),
    ("medquad/medquad_flat.jsonl.gz", "jsonl", "question-answer", 47441, 16407, {"empty response": 31034}),
    ("pubmedqa/ori_pqal.json.gz", "json-object", "question-answer", 1000, 1000, {}),
    ("clinc150/data_full.json.gz", "json-object", "text-label", 23700, 23700, {}),
    ("clinc150/clinc150_train_noisy.csv.gz", "csv", "text-label", 15000, 15000, {}),
    ("wikidoc_patient_info/medical_meadow_small.json.gz", "json", "alpaca", 5942, 5942, {}),
    ("mmlu_redux/all.csv.gz", "csv", "question-answer", 5700, 5700, {}),
    ("mmlu_redux/by_subject/virology.csv.gz", "csv", "question-answer", 100, 100, {}),
    ("covid_q/final_master_dataset.csv.gz", "csv", "question-answer", 1611, 847, {"empty response": 763, "empty prompt": 1}),
    ("pandalm/testset-v1.json.gz", "json", "compared", 999, 966, {"empty response": 29, "response1 is not text": 4}),
    ("afrimed_difficulty/afrimedqa_v2_expert_mcq.csv.gz", "csv", "question-answer", 3910, 3910, {}),
    ("medical_abstracts/medical_tc_test.csv.gz", "csv", "text-label", 2888, 2888, {}),
    ("t0_influence/pool/common_gen_sentence_to_concepts.jsonl.gz", "jsonl", "prompt-completion", 200, 200, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "schema", "rows", "records", "reasons"), FILES, ids=[f[0].rsplit("/", 1)[-1] for f in FILES]
)
def test_imported_exactly_and_out_again(tmp_path, name, kind, schema, rows, records, reasons):
    data = imported(DATA / name, tmp_path)
    report = data.report
    assert (report["format"], report["schema"], report["rows"], data.count) == (kind, schema, rows, records)
    assert data.reasons() == reasons and report["quarantined"] == len(data.quarantine) == sum(reasons.values())
    for found in report["reasons"].values():
        assert found["lines"] == sorted(found["lines"]) and len(found["lines"]) == min(found["count"], 10)
    assert len(set(data.ids)) == records and all(data.column("prompt")) and all(data.column("response"))
    out = tmp_path / ("out" + suffix_of(data, "original"))
    write(data, data.ids, "original", out)
    again = imported(out, tmp_path, mapping=data.mapping)
    assert again.ids == data.ids and again.column("raw") == data.column("raw") and again.report["quarantined"] == 0
    shown = preview(DATA / name)
    assert shown.schema == schema and not shown.error and (shown.records or shown.problems)


def test_medquad_in_production_keeps_its_unanswered_questions(tmp_path):
    data = imported(DATA / "medquad/medquad_flat.jsonl.gz", tmp_path, role="production")
    assert data.count == 47441 and data.column("response").count("") == 31034
    assert len(set(data.column("category"))) == 39  # the question types of the README


def test_medquad_is_mapped_by_its_usual_names():
    assert preview(DATA / "medquad/medquad_flat.jsonl.gz").mapping.names() == {
        "prompt": "question", "response": "answer", "category": "qtype",
    }  # fmt: skip


def test_oasst_every_path(tmp_path):
    """626 leaves, of which those under one last assistant turn are one path."""
    path = DATA / FORMATS / "oasst/en_100_tree.jsonl.gz"
    best = imported(path, tmp_path)
    every = imported(path, tmp_path, mapping=best.mapping | {"unfold": "prompt"})
    assert best.count == 100 and 500 < every.count <= 626 and len(set(every.ids)) == every.count
    assert set(best.column("response")) <= set(every.column("response"))


def test_tool_calls_of_glaive_are_messages(tmp_path):
    data = imported(DATA / FACTORY / "glaive_toolcall_en_demo.json", tmp_path)
    calls = [m for text in data.column("messages") for m in json.loads(text) if m.get("tool_calls")]
    tools = [m for text in data.column("messages") for m in json.loads(text) if m["role"] == "tool"]
    assert len(calls) == len(tools) == 211 and calls[0]["tool_calls"][0]["function"]["name"] == "search_recipes"


def test_reasoning_of_the_tool_demo_is_apart(tmp_path):
    data = imported(DATA / FACTORY / "reason_tool_use_demo_50.jsonl.gz", tmp_path)
    assert all(data.column("reasoning")) and not any("<think>" in text for text in data.column("response"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rqe/RQE_Test_302_pairs_AMIA2016.xml.gz", "XML or HTML"),
        ("medquad/MedQuAD_raw_xml.tar.gz", "tar archive"),
        ("medquad/QA-TestSet-LiveQA-Med-Qrels-2479-Answers.zip", "zip archive"),
        (f"{FACTORY}/dataset_info.json", "no field could be recognised as the prompt"),
        ("pandalm/gpt-3.5-turbo-testset-v1.json.gz", "no field could be recognised as the prompt"),
        ("clinc150/domains.json", "import the file as production"),
    ],
)
def test_what_is_no_training_data_is_refused_with_what_to_do(tmp_path, name, words):
    with pytest.raises(InputError, match=words):
        imported(DATA / name, tmp_path)
