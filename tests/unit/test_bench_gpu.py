"""The GPU benchmark: its count of operations by hand, and that it runs where there is no GPU."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks import bench_gpu as subject  # noqa: E402


def test_operations_of_a_forward_pass_by_hand():
    shape = subject.Shape(width=4, inner=8, blocks=2, heads=2, kv_heads=1, vocabulary=10, tied=True)
    # q 4x4, o 4x4, k 4x2, v 4x2, three of 4x8: 16 + 16 + 8 + 8 + 96 = 144 a block
    assert shape.block_weights == 288 and shape.weights == 288 + 40
    # two records of 3 and 1 tokens: 6 + 1 pairs of a token and what it sees, 4 operations a pair, width and block
    expected = 2 * 288 * 4 + 4 * 2 * 4 * 7 + 2 * 10 * 4 * 3
    assert subject.operations(shape, np.array([3, 1]), np.array([2, 1])) == expected


def test_the_shapes_are_those_of_qwen():
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    for name, published in (("0.5B", 494_032_768), ("7B", 7_615_616_512)):
        s = subject.SHAPES[name]
        config = Qwen2Config(
            hidden_size=s.width, intermediate_size=s.inner, num_hidden_layers=s.blocks, num_attention_heads=s.heads,
            num_key_value_heads=s.kv_heads, vocab_size=s.vocabulary, tie_word_embeddings=s.tied,
        )  # fmt: skip
        with torch.device("meta"):
            model = Qwen2ForCausalLM(config)
        assert sum(p.numel() for p in model.parameters()) == published
        assert 0 < published - s.weights < 1e-3 * published, "norms and biases alone are left out"


def test_it_runs_at_a_very_small_size(capsys):
    subject.main(["--tiny"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| tiny")]
    assert [r.split("|")[2].strip() for r in rows] == ["forward", "lora", "all"]


def test_without_a_gpu_it_says_so_in_one_sentence(capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    subject.main([])
    assert capsys.readouterr().out.strip() == subject.NO_GPU
