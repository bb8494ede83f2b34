"""Directions against what they are defined as: a dense Gauss-Newton matrix solved outright, Adam's formula, sums written out."""

import numpy as np
import pytest

from core.errors import InputError
from core.influence import queries
from core.influence.batches import Halving, free_bytes, kept_budget, token_budget
from core.influence.curvature import GaussNewton
from core.influence.direction import mean_gradient, nested, on_weight
from core.influence.ghost import exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.preconditioned import BATCH, FLOOR, Curvature, drawn, precondition, sentence, solve
from core.influence.scoring import scores
from core.influence.spaces import resolve
from tests.unit.test_influence_ghost import no_float32, relative, some_tokens, spearman, tiny

torch = pytest.importorskip("torch")
__all__ = ["no_float32"]


def flat(vector: dict) -> np.ndarray:
    return torch.cat([t.flatten() for t in vector.values()]).double().numpy()


def dense(model, losses, tokens, space) -> np.ndarray:
    """The Gauss-Newton matrix itself: logits differentiated one by one, through plain autograd."""
    count = len(tokens.ids)
    chosen = {n: p for n, p in model.module.named_parameters() if n in space.names}
    basis = None
    if space.rank:  # columns of P: what a unit step of one adapter entry does to the weights
        example = mean_gradient(losses, tokens, space, 500).tensors()
        columns = []
        for name, t in example.items():
            for i in range(t.numel()):
                unit = {k: torch.zeros_like(v) for k, v in example.items()}
                unit[name].view(-1)[i] = 1
                values = nested(space, unit)
                columns.append(torch.cat([on_weight(space, n, values[n], False).flatten() for n in space.names]))
        basis = torch.stack(columns, dim=1)
    total = 0
    for row in range(count):
        batch = make_batch(tokens, np.array([row]), "cpu")
        for p in chosen.values():
            p.requires_grad_(True)
        logits = model.module(input_ids=batch.ids).logits[0][batch.places]
        jacobian = torch.stack(
            [
                torch.cat([g.flatten() for g in torch.autograd.grad(z, list(chosen.values()), retain_graph=True)])
                for z in logits.flatten()
            ]
        )
        for p in chosen.values():
            p.requires_grad_(False)
        if basis is not None:
            jacobian = jacobian @ basis
        p = logits.detach().softmax(-1)
        each = jacobian.view(*logits.shape, -1)
        for t in range(len(p)):
            h = torch.diag(p[t]) - torch.outer(p[t], p[t])
            total = total + each[t].T @ h @ each[t] / len(p)
    return (total / count).numpy()


@pytest.mark.parametrize(
    ("shape", "space"), [("llama", "lora"), ("gpt2", "last-1"), ("qwen", "lora"), ("llama-tied", "all")]
)
def test_gauss_newton_products_are_those_of_the_dense_matrix(shape, space, no_float32):
    """G v from forward and backward passes, on padded batches, against J' H J written out for a few coordinates' worth of v."""
    model = tiny(shape)
    losses, tokens = ResponseLoss(model), some_tokens(3, low=1)
    where = resolve(model.module, space, rank=1)
    v = mean_gradient(losses, some_tokens(2, seed=5, low=1), where, 500).tensors()
    found = GaussNewton(losses, tokens, where, 200).product(v)
    # where there are too many coordinates for a matrix: J v by a central difference, then J' u by autograd, record by record
    wanted = (
        dense(model, losses, tokens, where) @ flat(v) if space == "lora" else by_difference(model, tokens, where, v)
    )
    assert relative(flat(found), wanted) <= (1e-9 if space == "lora" else 1e-6)
    assert not any(p.requires_grad or p.grad is not None for p in model.module.parameters())


def by_difference(model, tokens, space, v) -> np.ndarray:
    chosen = {n: p for n, p in model.module.named_parameters() if n in space.names}
    total, step = {n: torch.zeros_like(p) for n, p in chosen.items()}, 1e-5
    for row in range(len(tokens.ids)):
        batch = make_batch(tokens, np.array([row]), "cpu")

        def logits(batch=batch):
            return model.module(input_ids=batch.ids).logits[0][batch.places]

        moved = []
        for sign in (1, -1):
            with torch.no_grad():
                for n, p in chosen.items():
                    p += sign * step * v[n]
                moved.append(logits())
                for n, p in chosen.items():
                    p -= sign * step * v[n]
        jv = (moved[0] - moved[1]) / (2 * step)
        for p in chosen.values():
            p.requires_grad_(True)
        z = logits()
        p = z.detach().softmax(-1)
        u = p * jv - p * (p * jv).sum(-1, keepdim=True)
        for (n, _), g in zip(
            chosen.items(), torch.autograd.grad((z * u).sum() / len(z), list(chosen.values())), strict=True
        ):
            total[n] += g / len(tokens.ids)
        for p in chosen.values():
            p.requires_grad_(False)
    return flat(total)


def test_the_ggn_direction_is_the_damped_system_solved_outright(no_float32):
    """Enough steps of conjugate gradients give (G + lambda I)^-1 g of a dense solve; the mean diagonal is the trace over d."""
    model = tiny("llama")
    losses, tokens = ResponseLoss(model), some_tokens(2, low=1)
    where = resolve(model.module, "lora", rank=1)
    g = mean_gradient(losses, some_tokens(3, seed=5, low=1), where, 500)
    matrix = dense(model, losses, tokens, where)
    how = Curvature("ggn", tokens, records=10, damping=0.5, iterations=80)
    (found,) = precondition(losses, [g], how, 500)
    facts = found.facts
    true_diagonal = np.trace(matrix) / len(matrix)
    assert facts["mean_diagonal"] == pytest.approx(true_diagonal, rel=0.5)  # four random probes
    assert facts["damping"] == pytest.approx(0.5 * facts["mean_diagonal"])
    wanted = np.linalg.solve(matrix + facts["damping"] * np.eye(len(matrix)), flat(g.tensors()))
    assert relative(flat(found.tensors()), wanted) <= 1e-6
    assert facts["residual"] <= 1e-6 and facts["records"] == 2
    (rough,) = precondition(losses, [g], Curvature("ggn", tokens, damping=0.5, iterations=3), 500)
    left = flat(g.tensors()) - (matrix + facts["damping"] * np.eye(len(matrix))) @ flat(rough.tensors())
    assert rough.facts["iterations"] == 3
    assert rough.facts["residual"] == pytest.approx(np.linalg.norm(left) / np.linalg.norm(flat(g.tensors())), rel=1e-6)
    assert "3 steps of conjugate gradients" in sentence("ggn", [rough])


def test_hutchinson_finds_the_mean_diagonal_with_enough_probes(no_float32):
    model = tiny("llama")
    losses, tokens = ResponseLoss(model), some_tokens(1, low=1)
    where = resolve(model.module, "lora", rank=1)
    like = mean_gradient(losses, tokens, where, 500).tensors()
    matrix = dense(model, losses, tokens, where)
    assert GaussNewton(losses, tokens, where, 500).mean_diagonal(like, 0, 60) == pytest.approx(
        np.trace(matrix) / len(matrix), rel=0.15
    )


def test_conjugate_gradients_on_a_matrix_by_hand():
    """[[4, 1], [1, 3]] x = [1, 2]: x = [1/11, 7/11] in two steps (the textbook example), damping 0 taken as tiny."""
    matrix = torch.tensor([[4.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    x, steps, residual = solve(
        lambda v: {"x": matrix @ v["x"]}, {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}, 1e-15, 10
    )
    assert np.allclose(x["x"], [1 / 11, 7 / 11]) and steps == 2 and residual < 1e-10
    one, _, _ = solve(lambda v: {"x": matrix @ v["x"]}, {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}, 1e-15, 1)
    assert np.allclose(one["x"], np.array([1.0, 2.0]) * 5 / 20)  # first step: alpha = r.r / r.Ar along the right side


@pytest.mark.parametrize("space", ["all", "lora"])
def test_the_adam_direction_by_hand(space):
    """g / (sqrt(mean of squared batch gradients) + eps), eps = 1e-8 + FLOOR times the root of the mean of all those squares."""
    model = tiny("llama")
    losses, tokens = ResponseLoss(model), some_tokens(3 * BATCH)
    where = resolve(model.module, space, rank=2)
    g = mean_gradient(losses, some_tokens(3, seed=5), where, 500)
    how = Curvature("adam", tokens, records=3 * BATCH, seed=4)
    (found,) = precondition(losses, [g], how, 500)
    rows = drawn(tokens, 3 * BATCH, 4)
    batches = [
        flat(mean_gradient(losses, tokens.take(rows[i : i + BATCH]), where, 500).tensors())
        for i in (0, BATCH, 2 * BATCH)
    ]
    s = np.mean(np.square(batches), axis=0)
    wanted = flat(g.tensors()) / (np.sqrt(s) + 1e-8 + FLOOR * np.sqrt(s.mean()))
    assert relative(flat(found.tensors()), wanted) <= 1e-9
    assert found.facts["batches"] == 3 and found.records == g.records


def test_a_sample_stays_when_another_record_changes():
    tokens = some_tokens(40)
    first = {tuple(tokens.ids[i]) for i in drawn(tokens, 10, 1)}
    changed = some_tokens(40)
    changed.ids[int(drawn(tokens, 40, 1)[-1])] = np.arange(9, dtype=np.int32) + 20
    assert len(first & {tuple(changed.ids[i]) for i in drawn(changed, 10, 1)}) >= 9
    assert first != {tuple(tokens.ids[i]) for i in drawn(tokens, 10, 2)}


@pytest.mark.parametrize("direction", ["mean", "adam", "ggn"])
def test_scores_of_several_queries_are_those_of_each_alone(direction):
    """One column a query, in the order of the names; each is the inner product with that query's own direction."""
    model = tiny("llama")
    tokens, validation = some_tokens(9), some_tokens(5, seed=3)
    groups = ["b", "a", "b", "c", "a"]
    options = {"direction": direction, "curvature": tokens, "rank": 2, "batch_tokens": 120}
    if direction == "ggn":
        options |= {"iterations": 2, "records": 4}
    found = scores(model, tokens, validation, groups=groups, **options)
    assert found.shape == (9, 3)
    for q, name in enumerate("abc"):
        alone = scores(model, tokens, validation.take([i for i, g in enumerate(groups) if g == name]), **options)
        assert relative(found[:, q], alone[:, 0]) <= 1e-7
    cosine = scores(model, tokens, validation, groups=groups, score="cosine", **options)
    assert (np.sign(cosine) == np.sign(found)).all() and np.abs(cosine).max() <= 1


def test_queries_split_and_name_what_they_cannot_do():
    tokens = some_tokens(70)
    tokens.start[2] = len(tokens.ids[2])  # no response: in no query
    found = queries.split(tokens, ["x", "y", "z", *["x"] * 67])
    assert [(q.name, len(q.rows)) for q in found] == [("x", 68), ("y", 1)]
    assert [q.column for q in found] == ["influence:x", "influence:y"]
    assert queries.split(tokens, None)[0].column == "influence"
    with pytest.raises(InputError, match="fall into 69 groups; at most 64"):
        queries.split(tokens, [str(i) for i in range(70)])
    columns = ["record_id", "category", "field.source"]
    assert queries.field_of("source", columns) == "field.source" and queries.field_of("category", columns) == "category"
    with pytest.raises(InputError, match="Choose category, source"):
        queries.field_of("prompt", columns)
    same = queries.digest(tokens, queries.split(tokens, ["x"] * 70))
    assert same == queries.digest(
        tokens.take(np.arange(70)[::-1]), queries.split(tokens.take(np.arange(70)[::-1]), ["x"] * 70)
    )


def test_directions_rank_noise_differently_but_agree_on_sign_where_curvature_is_flat():
    """With overwhelming damping (G + lambda I)^-1 g is g / lambda: the ranking of the mean gradient."""
    model = tiny("llama")
    tokens, validation = some_tokens(20), some_tokens(5, seed=3)
    plain = scores(model, tokens, validation, rank=2)[:, 0]
    flatly = scores(model, tokens, validation, rank=2, direction="ggn", damping=1e9, iterations=2)[:, 0]
    assert spearman(plain, flatly) >= 0.9999
    sharply = scores(model, tokens, validation, rank=2, direction="ggn", damping=0.01, iterations=10)[:, 0]
    assert spearman(plain, sharply) < 0.999


def test_settings_that_make_no_sense_are_refused():
    tokens = some_tokens(3)
    for wrong in ({"kind": "newton"}, {"kind": "ggn", "damping": 0}, {"kind": "ggn", "iterations": 0}):
        with pytest.raises(InputError):
            Curvature(tokens=tokens, **wrong)
    with pytest.raises(InputError, match="score 'angle' is not known"):
        scores(tiny("llama"), tokens, tokens, score="angle")


# -- batches ---------------------------------------------------------------------------------------------------------------


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_before_they_are_tried():
    lengths, tried = np.full(16, 10), []

    def work(rows):
        tried.append(len(rows))
        if len(rows) > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return {"x": rows * 2.0}

    halving = Halving(work, lengths)
    assert np.array_equal(halving(np.arange(16))["x"], np.arange(16) * 2.0)
    assert tried == [16, 8, 4, 4, 4, 4] and halving.halved == 2 and "2 batches did not fit" in halving.note
    tried.clear()
    halving(np.arange(16))
    assert tried == [4, 4, 4, 4]


def test_one_record_that_does_not_fit_is_named_and_other_errors_pass():
    def out(rows):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate")

    with pytest.raises(InputError, match="One record of 10 tokens does not fit"):
        Halving(out, np.full(3, 10))(np.arange(3))

    def broken(rows):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Halving(broken, np.full(3, 10))(np.arange(3))


def test_the_batch_follows_free_memory_and_a_resumed_run_keeps_its_own(tmp_path, monkeypatch):
    model = tiny("llama", "float32")
    assert free_bytes("cpu") > 2**20
    budgets = []
    for free in (2**26, 2**27, 2**40):
        monkeypatch.setattr("core.influence.batches.free_bytes", lambda device, free=free: free)
        budgets.append(token_budget(model, 64)[0])
    assert budgets == sorted(budgets) and budgets[-1] == 4096 and budgets[0] >= 64
    monkeypatch.setattr("core.influence.batches.free_bytes", lambda device: 2**40)
    first, said = kept_budget(tmp_path, model, 64)
    monkeypatch.setattr("core.influence.batches.free_bytes", lambda device: 2**20)
    assert kept_budget(tmp_path, model, 64) == (first, said) and "4,096 tokens a batch" in said


def test_a_mean_gradient_in_halves_is_the_same(monkeypatch):
    model = tiny("llama")
    losses, tokens = ResponseLoss(model), some_tokens(8)
    where = resolve(model.module, "lora", rank=2)
    whole = mean_gradient(losses, tokens, where, 1000)
    real = ResponseLoss.__call__

    def tight(self, batch, backward=False):
        if len(batch.counts) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(self, batch, backward)

    monkeypatch.setattr(ResponseLoss, "__call__", tight)
    assert relative(flat(mean_gradient(losses, tokens, where, 1000).tensors()), flat(whole.tensors())) <= 1e-12
    monkeypatch.undo()
    assert (
        relative(
            exact_scores(losses, tokens, np.arange(2), whole)[0],
            exact_scores(losses, tokens, np.arange(2), [whole])[0][:, 0],
        )
        == 0
    )


def test_the_ggn_direction_of_a_half_precision_model_is_taken_in_float32_and_its_weights_come_back():
    """Ranks like float64 at .999; taken in bfloat16 throughout it would be .91 to .99. Weights bit for bit afterwards."""
    reference, found = tiny("llama", "bfloat16"), {}
    tokens, validation = some_tokens(40), some_tokens(16, seed=9)
    for dtype in ("float64", "bfloat16"):
        model = tiny("llama", dtype)
        model.module.load_state_dict(reference.module.state_dict())
        found[dtype] = scores(model, tokens, validation, direction="ggn", rank=4, batch_tokens=300)[:, 0]
        for name, p in model.module.state_dict().items():
            assert torch.equal(p.double(), reference.module.state_dict()[name].double())
            assert p.dtype == getattr(torch, dtype)
    assert spearman(found["bfloat16"], found["float64"]) >= 0.999
