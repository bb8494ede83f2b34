"""What a GPU is given, tried without one: choice of device, batches by free memory, transfers that nothing waits for."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from core.influence import batches, losses, models, scoring, transfer  # noqa: E402
from core.influence.chunks import run_batches  # noqa: E402
from core.influence.encode import plan_batches  # noqa: E402
from core.progress import silent  # noqa: E402
from tests.unit.test_influence_ghost import some_tokens, tiny  # noqa: E402


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated=True: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (64 * 2**30, 80 * 2**30))


def test_a_gpu_is_taken_without_being_asked_for(gpu, monkeypatch):
    assert models.choose_device() == ("cuda", "bfloat16")
    assert models.choose_device("cuda:1", "float32") == ("cuda:1", "float32")
    assert models.choose_device("cpu") == ("cpu", "float32")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated=True: emulated)
    assert models.choose_device() == ("cuda", "float16"), "an old GPU emulates bfloat16"


def test_without_a_gpu_the_cpu_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert models.choose_device() == ("cpu", "float32")


def test_batches_on_a_gpu_fill_what_the_driver_says_is_free(gpu, monkeypatch):
    model = tiny("llama", "float32")
    on_gpu = models.LanguageModel(model.module, None, "tiny", "", "cuda", "bfloat16", 512)
    most, sentence = batches.token_budget(on_gpu, 100)
    assert most == batches.CUDA_MOST and "64.0 GiB of free GPU memory" in sentence
    each = batches.bytes_per_token(on_gpu)
    room = 4 * 3 * losses.chunk("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int((room + 3000 * each) / batches.SHARE) + 1, 0))
    assert batches.token_budget(on_gpu, 100)[0] == 2048
    assert losses.chunk("cuda") > losses.chunk("cpu") == losses.CHUNK


def test_a_batch_goes_to_a_gpu_from_pinned_memory_without_waiting(monkeypatch):
    seen = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: seen.append("pinned") or self)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, device, non_blocking=False: seen.append((device, non_blocking)) or self
    )
    transfer.to_device([np.arange(3), np.ones(2)], "cuda:0")
    assert seen == ["pinned", ("cuda:0", True)] * 2
    seen.clear()
    transfer.to_device([np.arange(3)], "cpu")
    assert seen == [("cpu", False)]


def test_a_batch_is_read_after_the_next_was_started():
    told = []

    def work(rows):
        told.append(("start", int(rows[0])))

        def values():
            told.append(("read", int(rows[0])))
            return {"y": rows * 2.0}

        return values

    planned = [np.array([n]) for n in range(3)]
    found = list(transfer.one_behind(work, planned, [0, 1, 2]))
    assert [n for n, _ in found] == [0, 1, 2] and [v["y"][0] for _, v in found] == [0, 2, 4]
    assert told == [("start", 0), ("start", 1), ("read", 0), ("start", 2), ("read", 1), ("read", 2)]


def test_a_deferred_run_gives_the_scores_of_a_plain_one(tmp_path, monkeypatch):
    model, pool, valid = tiny("llama", "float32"), some_tokens(20, 1), some_tokens(6, 2)
    plain = scoring.scores(model, pool, valid, space="all", batch_tokens=64)
    monkeypatch.setattr(scoring, "on_gpu", lambda device: True)
    late = scoring.scores(model, pool, valid, space="all", batch_tokens=64)
    assert np.array_equal(plain, late, equal_nan=True)

    def too_big(rows):  # halves wait for their values, too
        if len(rows) > 2:
            raise MemoryError("not enough memory")
        return lambda: {"y": rows.astype(float)}

    planned = plan_batches(pool.lengths, 64)
    halved = batches.Halving(too_big, pool.lengths)
    (tmp_path / "s").mkdir()
    found, _ = run_batches(tmp_path / "s", "x", planned, pool.lengths, halved, ("y",), silent)
    assert np.array_equal(found["y"], np.arange(20.0)) and halved.halved
