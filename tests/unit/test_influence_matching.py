"""The matching head: gradients against autograd, influence against the true change of the validation loss, cross-fitting, the step."""

import json

import numpy as np
import pytest

from core.errors import InputError
from core.influence import influence, shares
from core.influence import setup as setups
from core.influence.match import matching
from core.influence.match import step as match_step
from core.influence.match import texts as match_texts
from core.progress import silent
from tests.unit.test_influence_steps import add, compute, rows

torch = pytest.importorskip("torch")

WIDE = 12


def texts(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(e, x, r): responses that are a rotation of their contexts, with noise."""
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(WIDE, WIDE)))[0]
    x = matching.unit(random.normal(size=(count, WIDE)))
    r = matching.unit(x @ turn + 0.3 * random.normal(size=(count, WIDE)))
    return matching.unit(x + 0.1 * random.normal(size=(count, WIDE))), x, r


def head(count: int = 80, checks: int = 9, training=None):
    own, other = training or texts(count, 1), texts(checks, 2)
    folds = matching.folds_of([str(i) for i in range(len(own[0]))])
    return matching.parts(own, other, np.ones(len(own[0]), bool), folds, ridge=0.1)


def test_gradients_are_those_of_autograd():
    """f_a = (a . phi) b and 1/2 |t - f_a|^2, built in torch from u and r~ as the module's text says."""
    mine, _ = head(training=(own := texts(80, 1)))
    centre = torch.tensor(own[2].mean(0))
    for i in (0, 7, 40):
        a = torch.zeros(WIDE + 1, dtype=torch.float64, requires_grad=True)
        r = torch.tensor(own[2][i]) - centre
        root = torch.tensor([matching.KAPPA**0.5], dtype=torch.float64)
        b = torch.cat([root, torch.tensor(mine.towards[i])])
        loss = 0.5 * ((torch.cat([root, r / r.norm()]) - (a @ torch.tensor(mine.phi[i])) * b) ** 2).sum()
        loss.backward()
        assert float(loss.detach()) == pytest.approx(mine.losses(np.zeros(WIDE + 1))[i], rel=1e-12)
        assert np.allclose(a.grad.numpy(), mine.gradients()[i], rtol=1e-12, atol=1e-14)


def test_influence_is_the_true_one_step_change_of_the_validation_loss():
    """L(-eta g) - L(0) over the validation records, step 1e-6: -eta * influence to first order. Float64."""
    mine, theirs = head()
    v = matching.directions(theirs, [np.arange(9)])
    found, _ = matching.scores(mine, v)
    step, start = 1e-6, theirs.losses(np.zeros(WIDE + 1)).mean()
    change = np.array([theirs.losses(-step * g).mean() - start for g in mine.gradients()])
    assert np.allclose(-change / step, found[:, 0], rtol=1e-4, atol=1e-8)
    order = np.argsort(np.argsort(-change)), np.argsort(np.argsort(found[:, 0]))
    assert np.corrcoef(*order)[0, 1] > 0.998


def test_the_curvature_is_the_hessian_and_the_direction_solves_it():
    """H of the mean training loss by finite differences of its gradient (exact: quadratic); v solves (H + lambda I) v = g."""
    mine, theirs = head()
    matrix, scale = matching.curvature(mine, np.arange(80))
    eye = np.eye(WIDE + 1)

    def gradient(a):
        return np.array([(mine.losses(a + 1e-3 * e).mean() - mine.losses(a - 1e-3 * e).mean()) / 2e-3 for e in eye])

    numeric = np.stack([(gradient(e) - gradient(-e)) / 2 for e in eye])
    assert np.allclose(matrix, numeric, atol=1e-8)
    v = matching.directions(theirs, [np.arange(9)], matrix, 0.1 * scale)
    assert np.allclose((matrix + 0.1 * scale * eye) @ v[:, 0], -theirs.gradients().mean(0))
    assert match_step.probe(mine, v[:, 0], np.arange(16)) < 1e-9


def test_preconditioned_influence_is_the_true_change_after_a_preconditioned_step():
    """The step on the record is taken through (H + lambda I)^-1: L(-eta (H + lambda I)^-1 g) - L(0) = -eta * influence."""
    mine, theirs = head()
    matrix, scale = matching.curvature(mine, np.arange(80))
    found, _ = matching.scores(mine, matching.directions(theirs, [np.arange(9)], matrix, 0.1 * scale))
    moves = np.linalg.solve(matrix + 0.1 * scale * np.eye(WIDE + 1), mine.gradients().T).T
    start = theirs.losses(np.zeros(WIDE + 1)).mean()
    change = np.array([theirs.losses(-1e-6 * m).mean() - start for m in moves])
    assert np.allclose(-change / 1e-6, found[:, 0], rtol=1e-4, atol=1e-7)


def test_where_training_and_validation_prompts_are_alike_the_fit_alone_ranks():
    """With little damping phi . v tends to one constant for every record when the validation set is the training set."""
    mine, _ = head()
    matrix, scale = matching.curvature(mine, np.arange(80))
    flat = matching.Part(mine.phi, np.zeros(80), mine.size, mine.target, mine.towards, mine.spread, mine.centre, 1.0)
    _, weight = matching.scores(mine, matching.directions(flat, [np.arange(80)], matrix, 1e-9 * scale))
    assert np.allclose(weight * mine.size[0], 1.0, atol=1e-5)


def test_a_record_never_vouches_for_itself():
    """Its own response does not move what it is held against, nor does an exact copy's (they share a fold)."""
    own = texts(40, 1)
    names = [str(i) for i in range(39)] + ["0"]  # the last is a copy of the first
    for a in own:
        a[39] = a[0]
    folds = matching.folds_of(names)
    assert folds[0] == folds[39] and np.bincount(folds).max() <= 5
    changed = tuple(a.copy() for a in own)
    changed[2][0] = changed[2][39] = -own[2][0]
    before, after = (
        matching.parts(t, texts(5, 2), np.ones(40, bool), folds, ridge=0.1)[0].towards[[0, 39]] for t in (own, changed)
    )
    # Only the centre of all responses moves, by 4/40 of a unit vector at most.
    assert np.einsum("nd,nd->n", before, after).min() > 0.98


def test_swapped_responses_come_last():
    """20 of 400 planted, noise as long as the signal: AUROC of low influence above .9, plain and preconditioned."""
    own = texts(400, 1)
    own[2][:20] = np.roll(own[2][:20], 1, axis=0)
    mine, theirs = head(200, 200, own)
    matrix, scale = matching.curvature(mine, np.arange(400))
    every = [np.arange(200)]
    for v in (matching.directions(theirs, every), matching.directions(theirs, every, matrix, 0.3 * scale)):
        found = matching.scores(mine, v)[0][:, 0]
        assert (found[:20, None] < found[None, 20:]).mean() > 0.9
    assert (mine.fit[:20, None] < mine.fit[None, 20:]).mean() > 0.9


def test_empty_texts_have_no_fit_and_change_nothing():
    own = texts(40, 1)
    folds, learn = matching.folds_of([str(i) for i in range(40)]), np.ones(40, bool)
    learn[3] = False
    own[2][3] = 0
    mine, _ = matching.parts(own, texts(5, 2), learn, folds)
    assert mine.fit[3] == 0 and np.isfinite(mine.losses(np.ones(WIDE + 1))).all()


@pytest.fixture
def words(monkeypatch):
    """The head on word vectors: no model is loaded."""
    monkeypatch.setattr(match_texts, "default_model_path", lambda: None)


@pytest.fixture
def workspace(tmp_path):
    from core.workspace import open_workspace

    made = open_workspace(tmp_path / "ws")
    add(made, "training", [*rows(60), {"prompt": "And?", "response": "", "reasoning": None, "category": None}])
    return made


def test_the_step_says_what_it_is_and_checks_itself(workspace, words):
    result = compute(workspace, influence, influence.DEFAULTS)
    info, table = result.info, result.table()
    assert (
        info["proxy"]
        and info["model"] == "match"
        and "no language" in info["sentence"]
        and "61" not in info["sentence"]
    )
    assert info["direction_kind"] == "ggn" and info["exactness"] < 1e-9 and "finite differences" in info["check"]
    assert info["heldout"] == 12 == info["validation_records"] == sum(table["heldout"].to_pylist())
    assert match_step.MATCH_LIMIT in info["warnings"] and any("by their words" in w for w in info["warnings"])
    assert table["influence"].to_pylist()[-1] is None and info["without_response"] == 1
    values = table["influence"].to_numpy()[:-1]
    assert np.allclose(values, (matching.KAPPA + table["fit"].to_numpy()[:-1]) * table["weight"].to_numpy()[:-1])
    json.dumps(info)
    again = compute(workspace, influence, influence.DEFAULTS, key="f" * 16)
    assert again.table().equals(table)


def test_queries_scores_and_directions(workspace, words):
    add(workspace, "validation", rows(20))
    split = compute(workspace, influence, influence.DEFAULTS | {"queries": "category"})
    table = split.table()
    names = [f"influence:{n}" for n in split.info["queries"]]
    assert len(names) == 10 and split.info["query_records"] == [2] * 10
    each = np.stack([table[n].to_numpy()[:-1] for n in names], axis=1)
    assert np.allclose(each.mean(1), table["influence"].to_numpy()[:-1])
    assert np.allclose(each.max(1), table["influence_max"].to_numpy()[:-1])
    whole = compute(workspace, influence, influence.DEFAULTS | {"direction": "mean"}).table()
    beside = compute(workspace, influence, influence.DEFAULTS).table()["influence_mean_gradient"]
    assert beside.to_pylist() == whole["influence"].to_pylist()
    for score in ("cosine", "mean-cosine"):
        found = (
            compute(workspace, influence, influence.DEFAULTS | {"score": score}).table()["influence"].to_numpy()[:-1]
        )
        assert np.abs(found).max() <= 1 + 1e-9
    squares = compute(workspace, influence, influence.DEFAULTS | {"score": "self-influence"}).table()["influence"]
    assert min(squares.to_pylist()[:-1]) >= 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"direction": "adam"}, "not made for the matching proxy"),
        ({"warmup": 0.1}, "states of a language model"),
        ({"checkpoints": "kept"}, "states of a language model"),
        ({"score": "best"}, "score 'best' is not known"),
        ({"target": "prompt"}, "target 'prompt' is not known"),
        ({"damping": 0}, "must be above 0"),
        ({"score": "mean-cosine", "direction": "ggn"}, "direction=mean alone"),
    ],
)
def test_what_the_head_cannot_do_is_refused(workspace, words, wrong, said):
    with pytest.raises(InputError, match=said):
        compute(workspace, influence, influence.DEFAULTS | wrong)


def test_what_needs_a_language_model_says_so(workspace):
    with pytest.raises(InputError, match="no language model"):
        setups.prepare(type("I", (), {"params": {"model": "match"}, "results": {}, "progress": staticmethod(silent)}))


def test_on_the_embedded_model_vectors_are_reused_and_token_shares_sum_to_the_influence(workspace):
    if match_texts.default_model_path() is None:
        pytest.skip("the embedded model is not installed")
    first = compute(workspace, influence, influence.DEFAULTS, key="1" * 16)
    assert first.info["alone_and_together"] < 1e-4 and first.info["embedded"] > 60
    changed = rows(60)
    changed[7]["response"] = "Another answer altogether, about something else."
    add(workspace, "training", changed)
    second = compute(workspace, influence, influence.DEFAULTS, key="2" * 16)
    assert second.info["embedded"] == 1
    other = compute(workspace, influence, influence.DEFAULTS | {"direction": "mean", "seed": 1}, key="4" * 16)
    assert other.info["embedded"] == 0
    heat = compute(workspace, shares, shares.DEFAULTS, {"influence": second}, key="3" * 16)
    assert heat.info["agreement"] < 1e-5 and heat.info["records"] == 60
    ids, scores = workspace.dataset().ids(), second.table()["influence"].to_pylist()
    one = shares.read_heat(heat, ids[7:8])[ids[7]]
    lengths, each = one.parts["response"]
    assert lengths.sum() == len("Another answer altogether, about something else.") and one.total == pytest.approx(
        scores[7], rel=1e-4
    )
    assert each.sum() + one.elsewhere == pytest.approx(one.total, abs=1e-3)
