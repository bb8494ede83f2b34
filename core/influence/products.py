"""Products of one module's gradient with directions: each position's share, or each record's score for many directions at once.

For one direction V a position costs b_t . (V a_t), one matrix product, and says what each position contributes. For Q directions
that would be Q matrix products. Forming each record's gradient G_i = sum_t b_t a_t' costs one, and <G_i, V_q> only
d_in d_out more a record and direction; it is held in blocks of BLOCK numbers, never for a whole batch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.influence.spaces import SCALE

if TYPE_CHECKING:
    import torch

BLOCK = 2**25  # numbers of per-record gradients held at once


@dataclass(frozen=True)
class Adapted:
    """Q directions on one adapted weight in LoRA space: A0 (r, in), B0 (out, r), vA (Q, r, in), vB (Q, out, r)."""

    a: "torch.Tensor"
    b: "torch.Tensor"
    va: "torch.Tensor"
    vb: "torch.Tensor"


def dot(x: "torch.Tensor", y: "torch.Tensor", wide: "torch.dtype") -> "torch.Tensor":
    """Sum over the last axis in `wide`."""
    return (x.to(wide) * y.to(wide)).sum(-1)


def linear_positions(
    x: "torch.Tensor", b: "torch.Tensor", weight: Any, bias: Any, conv: bool, q: int, wide: "torch.dtype"
) -> "torch.Tensor":
    """(...,) each position's b . (V_q x + bias_q)."""
    import torch

    part = torch.zeros(b.shape[:-1], dtype=wide, device=b.device)
    if isinstance(weight, Adapted):  # V = s (B0 vA + vB A0), of rank 2r
        first, second = torch.cat([weight.va[q], weight.a]), torch.cat([SCALE * weight.b, SCALE * weight.vb[q]], dim=1)
        part = dot(x @ first.T, b @ second, wide)
    elif weight is not None:
        v = weight[q].T if conv else weight[q]  # (out, in); the smaller side carries the elementwise work
        part = dot(b @ v, x, wide) if v.shape[0] > v.shape[1] else dot(x @ v.T, b, wide)
    return part if bias is None else part + (b.to(wide) * bias[q].to(wide)).sum(-1)


def linear_records(
    x: "torch.Tensor", b: "torch.Tensor", weight: Any, bias: Any, conv: bool, wide: "torch.dtype"
) -> "torch.Tensor":
    """(B, Q) from inputs x (B, T, in) and output gradients b (B, T, out), through each record's gradient."""
    total = 0
    if isinstance(weight, Adapted):
        da = SCALE * (b @ weight.b).transpose(1, 2) @ x  # dA_i = s sum_t (B0' b_t) x_t'
        db = SCALE * b.transpose(1, 2) @ (x @ weight.a.T)  # dB_i = s sum_t b_t (A0 x_t)'
        total = against(da, weight.va, wide) + against(db, weight.vb, wide)
    elif weight is not None:
        left, right = (x, b) if conv else (b, x)  # a Conv1D keeps its weight as (in, out)
        step = max(1, BLOCK // (len(x) * right.shape[-1]))
        for at in range(0, left.shape[-1], step):
            rows = slice(at, at + step)
            total = total + against(left[..., rows].transpose(1, 2) @ right, weight[:, rows], wide)
    return total if bias is None else total + against(b.to(wide).sum(1), bias, wide)


def against(gradient: "torch.Tensor", directions: "torch.Tensor", wide: "torch.dtype") -> "torch.Tensor":
    """(B, Q) inner products of (B, …) with (Q, …), in `wide`."""
    return gradient.flatten(1).to(wide) @ directions.flatten(1).to(wide).T


def segments(rows: "torch.Tensor", width: int) -> list[tuple[int, slice]]:
    """(record, slice) of each run of flat positions that belong to one record; `rows` ascending."""
    import torch

    owners, counts = torch.unique_consecutive(rows // width, return_counts=True)
    ends = counts.cumsum(0).tolist()
    return [(o, slice(e - c, e)) for o, c, e in zip(owners.tolist(), counts.tolist(), ends, strict=True)]
