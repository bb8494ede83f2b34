"""The proof: its intervals by hand, equal subsets, nothing of the validation set in any, stored runs, cancelling."""

import json
import math

import numpy as np
import pytest

from core.actions import proving
from core.dataset.importing import import_file
from core.errors import Cancelled, InputError
from core.influence.proof.head import Head
from core.influence.proof.learners import Fit, batches, check_rows, steps_for
from core.influence.proof.proof import (
    ANY,
    marginal_runs,
    marginals,
    parse_budgets,
    points,
    settings_from,
    t_interval,
    verdicts,
)  # fmt: skip
from core.workspace import open_workspace

TOPICS = ("cough", "rash", "dose")


# -- intervals and what they say -------------------------------------------------------------------------------------------


def test_t_interval_by_hand():
    """1, 2, 3: mean 2, s = 1, t(2; .975) = 4.3027, half width 4.3027 / sqrt(3) = 2.4841."""
    found = t_interval([1, 2, 3])
    assert (found.mean, found.n) == (2, 3)
    assert found.low == pytest.approx(2 - 2.48414, abs=1e-4) and found.high == pytest.approx(2 + 2.48414, abs=1e-4)
    assert math.isnan(t_interval([1.0]).low) and math.isnan(t_interval([]).mean)


def run(label: str, budget: float, seed: int, loss: float, kind: str = "curve", added: int = 0) -> dict:
    return {"kind": kind, "label": label, "budget": budget, "seed": seed, "size": 10, "added": added, "loss": loss}


def test_differences_are_paired_by_seed():
    """Random 1, 2, 3 and a strategy always .1 below: the losses overlap, the paired difference is -.1 with no spread."""
    done = [run("random", 10, s, s + 1.0) for s in range(3)] + [run("diq", 10, s, s + 0.9) for s in range(3)]
    found = {p.strategy: p for p in points(done)}
    assert found["diq"].loss.low < found["random"].loss.high
    assert found["diq"].gap.mean == pytest.approx(-0.1) and found["diq"].gap.high == pytest.approx(-0.1)
    told = verdicts(list(found.values()), {"diq": "DIQ"})
    assert told[0].startswith("DIQ beat random at 10 %")


def test_the_verdict_allows_for_the_number_of_comparisons():
    """Gaps -.3, -.2, -.1: 95 % alone is -.2 +- 4.303 * .0577 = (-.448, +.048): zero is inside, nobody beats random."""
    done = [run("random", 10, s, 1.0) for s in range(3)] + [run("a", 10, s, 0.7 + s / 10) for s in range(3)]
    assert verdicts(points(done), {})[0].startswith("No strategy beat random here")
    many = [run("random", b, s, 1.0) for b in (5, 10) for s in range(4)]
    many += [run("a", b, s, 0.8 + 0.01 * s) for b in (5, 10) for s in range(4)]
    one, two = (p for p in points(many) if p.strategy == "a")
    assert one.sure.high - one.sure.low > one.gap.high - one.gap.low
    # Two comparisons: each at 97.5 %, t(3; .9875) = 4.1765.
    half = 4.1765 * np.std([0.8, 0.81, 0.82, 0.83], ddof=1) / 2
    assert two.sure.high - two.sure.mean == pytest.approx(half, rel=1e-3)


def test_worse_than_random_is_said_too_and_too_little_says_nothing():
    done = [run("random", 10, s, 1.0) for s in range(3)] + [run("a", 10, s, 1.5 + s / 100) for s in range(3)]
    told = verdicts(points(done), {"a": "A"})
    assert told[0].startswith("No strategy beat random") and told[1].startswith("A did worse than random at 10 %")
    assert "Nothing can be said yet" in verdicts(points(done[:1]), {})[0]


def test_marginal_values_by_hand():
    done = [run("", 50, s, 2.0 + s, "base") for s in range(2)]
    done += [run("triage", 50, s, 1.5 + s, "more", 30) for s in range(2)] + [
        run(ANY, 50, s, 1.9 + s, "more", 30) for s in range(2)
    ]
    first, last = marginals(done)
    assert (first.category, first.added, first.change.mean) == ("triage", 30, -0.5)
    assert first.beyond.mean == pytest.approx(-0.4) and last.category == ANY and last.beyond.n == 0


def test_marginal_runs_add_equally_many_of_every_category_to_the_same_base():
    names = ["a"] * 120 + ["b"] * 60 + ["c"] * 8
    runs = marginal_runs(np.arange(188), names, 2)
    for seed in range(2):
        own = {r.label: r for r in runs if r.seed == seed}
        assert set(own) == {"", "a", "b", ANY}, "c has too few in reserve"
        base = set(own[""].rows.tolist())
        assert len(base) == 94
        sizes = {r.added for n, r in own.items() if n}
        assert len(sizes) == 1 and 20 <= sizes.pop() <= 45
        for name in ("a", "b"):
            more = set(own[name].rows.tolist()) - base
            assert len(more) == own[name].added and {names[r] for r in more} == {name}
            assert base <= set(own[name].rows.tolist())


def test_settings_are_checked():
    assert parse_budgets("10, 1 5%;5") == (1.0, 5.0, 10.0)
    for wrong in (
        {"budgets": (0.0,)},
        {"budgets": ()},
        {"seeds": 0},
        {"compare": "tokens"},
        {"pace": 1},
        {"epochs": 0},
    ):
        with pytest.raises(InputError):
            settings_from(wrong)
    with pytest.raises(InputError, match="not understood"):
        parse_budgets("a few")


# -- learners --------------------------------------------------------------------------------------------------------------


def test_batches_pass_over_the_rows_again_and_again():
    found = list(batches(np.arange(5), 2, 6, seed=1))
    assert [len(b) for b in found] == [2, 2, 1, 2, 2, 1]
    assert sorted(np.concatenate(found[:3])) == sorted(np.concatenate(found[3:])) == list(range(5))
    again = list(batches(np.arange(5), 2, 6, seed=1))
    assert all((a == b).all() for a, b in zip(found, again, strict=True))
    assert steps_for(100, 8, 3) == 38 and steps_for(2, 8, 1) == 1


def toy_head(count: int = 60, forbidden=None) -> Head:
    """Two kinds of prompts at right angles with words of their own: what one kind teaches says nothing of the other."""
    vectors = np.zeros((count, 8), np.float32)
    vectors[np.arange(count), np.arange(count) % 2] = 1
    responses = [("alpha beta", "gamma delta")[n % 2] for n in range(count)]
    return Head(
        vectors, responses, vectors[:1], responses[:1], np.zeros(count, bool) if forbidden is None else forbidden
    )


def test_the_head_starts_at_the_words_shares_and_learns_from_the_right_records():
    """Four words a quarter each (+1 smoothing for each and the rest): start -log(31 / 125); only even rows can teach the check."""
    head = toy_head()
    right, wrong = head.fit(np.arange(0, 60, 2), 0, 40), head.fit(np.arange(1, 60, 2), 0, 40)
    assert right.start == wrong.start == pytest.approx(-math.log(31 / 125), rel=1e-5)
    assert right.loss < 0.97 * right.start < wrong.start < wrong.loss
    assert head.fit(np.arange(0, 60, 2), 0, 40).loss == right.loss
    few = head.fit(np.array([0]), 0, 40)
    assert right.loss < few.loss, "the prior holds a fit of one record nearer to the start"


def test_a_learner_refuses_the_validation_set():
    forbidden = np.zeros(60, bool)
    forbidden[4] = True
    head = toy_head(forbidden=forbidden)
    with pytest.raises(ValueError, match="part of the validation set"):
        head.fit(np.arange(10), 0, 2)
    with pytest.raises(ValueError, match="nothing"):
        check_rows(head, np.zeros(0, int))


@pytest.mark.parametrize("kind", ["proxy", "folder"])
def test_a_causal_model_learns_and_goes_back_to_its_start(kind, tmp_path):
    from core.influence import proxy
    from core.influence.encode import Conversation
    from core.influence.proof.finetune import Causal

    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(30)]
    records = [
        Conversation((("user", " ".join(rng.choice(words, 6))),), "the same answer every time") for _ in range(24)
    ]
    shape = {"vocabulary": 300, "width": 64, "blocks": 1}
    model = "proxy"
    if kind == "folder":
        tokenizer = proxy.train_tokenizer((r.target for r in records), 300)
        proxy.save(proxy.build(len(tokenizer), {**proxy.DEFAULTS, **shape}), tokenizer, tmp_path)
        model = str(tmp_path)
    learner = Causal(
        model, records, records[:4], np.zeros(24, bool), shape, device="cpu", dtype="float32", max_length=48
    )
    first = learner.fit(np.arange(4, 24), 0, 12)
    assert first.loss < first.start
    again = learner.fit(np.arange(4, 24), 0, 12)
    assert again.start == pytest.approx(first.start, rel=1e-6) and again.loss == pytest.approx(first.loss, rel=1e-5)
    if kind == "folder":
        names = {n for n, _ in learner.kept.module.named_parameters()}
        assert not any("parametrizations" in n for n in names), "no adapter is left"
        assert not any(p.requires_grad for p in learner.kept.module.parameters())


# -- in a workspace --------------------------------------------------------------------------------------------------------


class Counting:
    """A learner whose loss is the number of records it did not see; it counts its trainings."""

    name, sentence, batch = "counting", "A learner for tests.", 4
    fitted: list = []

    def __init__(self, count: int, forbidden: np.ndarray) -> None:
        self.identity, self.able, self.forbidden = "counting", np.ones(count, bool), forbidden

    def fit(self, rows, seed, steps, progress=lambda *_: None):
        rows = check_rows(self, rows)
        Counting.fitted.append((len(rows), seed))
        progress(steps, steps, "")
        return Fit(100.0 - len(rows) + seed / 10, 100.0, steps, 0.01)


@pytest.fixture
def space(tmp_path, monkeypatch):
    """90 training records, of which two share their text with validation records; a learner that only counts."""
    space = open_workspace(tmp_path / "space")
    rows = [
        {
            "prompt": f"case {n} of {TOPICS[n % 3]}?",
            "response": f"advice {n}",
            "category": TOPICS[n % 3],
            "difficulty": 1 + n % 5,
        }
        for n in range(90)
    ]
    held = [{"prompt": f"Held {n}?", "response": f"kept apart {n}", "category": TOPICS[n % 3]} for n in range(8)]
    held += [
        {"prompt": "CASE 3 of  cough?", "response": "Advice 3", "category": "cough", "note": "the same text"},
        dict(rows[7]),
    ]
    for role, listed in (("training", rows), ("validation", held)):
        path = tmp_path / f"{role}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in listed), "utf-8")
        space.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))
    Counting.fitted = []
    monkeypatch.setattr(proving, "_learner", lambda w, s, data, check, rows, forbidden: Counting(data.count, forbidden))
    return space


SETTINGS = settings_from({"budgets": (10.0, 50.0, 100.0), "seeds": 2, "strategies": ("difficulty", "longest")})


def test_subsets_are_equal_and_hold_nothing_of_the_validation_set(space):
    asked = proving.question(space, SETTINGS)
    assert asked.pool == 88 and "2 training records are part of the validation set" in " ".join(asked.notes)
    ids = space.need().ids()
    prompts = space.need().column("prompt").to_pylist()
    for run_, _, _ in asked.runs:
        taken = {prompts[r] for r in run_.rows}
        assert not taken & {"case 3 of cough?", "case 7 of rash?"}
        assert len(set(run_.rows.tolist())) == len(run_.rows) <= len(ids)
    sizes = {(r.budget, len(r.rows)) for r, _, _ in asked.runs if r.kind == "curve"}
    assert sizes == {(10.0, 9), (50.0, 44), (100.0, 88)}
    assert {r.label for r, _, _ in asked.runs if r.kind == "curve"} == {"random", "difficulty", "longest"}


def test_without_a_validation_set_the_held_out_records_are_in_no_subset(space):
    space.drop("validation")
    asked = proving.question(space, SETTINGS)
    assert asked.pool < 90 and "held out for it" in asked.notes[0]
    held = np.flatnonzero(asked.learner.forbidden)
    assert len(held) == 18 and not any(set(held) & set(r.rows.tolist()) for r, _, _ in asked.runs)


def test_equal_steps_or_equal_epochs(space):
    steps = {s for _, s, _ in proving.question(space, SETTINGS).runs}
    assert steps == {60}
    epochs = proving.question(space, settings_from({**SETTINGS.to_json(), "compare": "epochs"}))
    found = {(r.kind, len(r.rows)): s for r, s, _ in epochs.runs}
    assert found["curve", 9] == 7 and found["curve", 88] == 66
    assert {s for (kind, _), s in found.items() if kind != "curve"} == {60}


def test_a_proof_is_stored_run_by_run_and_goes_on_where_it_was_cancelled(space):
    seen = []

    def impatient(done, total, message):
        seen.append((done, total, message))
        if len(Counting.fitted) >= 10:  # three trainings measure the speed
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        proving.prove(space, SETTINGS, impatient)
    half = proving.standing(space)
    assert 0 < half.done < half.total and half.points and not half.finished
    kept = len(list((proving.folder(space) / "runs").glob("*.json")))
    before = len(Counting.fitted)
    whole = proving.prove(space, SETTINGS)
    assert whole.finished and len(Counting.fitted) - before == whole.total - kept
    assert all(0 <= d <= t for d, t, _ in seen if t)
    before = len(Counting.fitted)
    assert proving.prove(space, SETTINGS).points == whole.points and len(Counting.fitted) == before
    more = proving.prove(space, settings_from({**SETTINGS.to_json(), "seeds": 3}))
    assert more.finished and len(Counting.fitted) - before == more.total - whole.total, "only the new seed is trained"


def test_the_same_records_train_once_and_a_cut_off_file_is_trained_again(space):
    whole = proving.prove(space, SETTINGS)
    asked = proving.question(space, SETTINGS)
    assert whole.total == len({key for *_, key in asked.runs}) < len(asked.runs), "100 % is the same for every strategy"
    at_all = [p.loss.mean for p in whole.points if p.budget == 100]
    assert len(at_all) == 3 and len(set(at_all)) == 1
    one = next((proving.folder(space) / "runs").glob("*.json"))
    one.write_text('{"loss": 1')
    assert proving.standing(space).done == whole.total - 1
    assert proving.prove(space, SETTINGS).points == whole.points


def test_the_cost_is_said_before_and_other_data_makes_it_stale(space):
    asked, seconds = proving.prepare(space, SETTINGS)
    stood = proving.standing(space)
    assert stood.done == 0 and stood.current and seconds > 0 and stood.estimate == pytest.approx(seconds)
    assert len(Counting.fitted) == 3, "the speed is measured, nothing is kept"
    space.drop("training")
    assert not proving.standing(space).current
    assert (
        proving.spoken(40) == "about 40 s"
        and proving.spoken(600) == "about 10 min"
        and proving.spoken(7200) == "about 2.0 h"
    )


def test_the_head_needs_embeddings_of_the_prompt_alone(space, monkeypatch):
    monkeypatch.undo()
    from core.errors import MissingInput

    with pytest.raises(MissingInput, match="embed"):
        proving.question(space, SETTINGS)
