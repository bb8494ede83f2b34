"""Parameter spaces: of which parameters the gradients of influence are taken.

all      every parameter, tied ones once.
last-k   every parameter of the last k blocks.
adapter  the factors of the LoRA adapter that was merged into the model (see adapters.py), where they stand now.
lora     rank-r adapters on the attention projections (query, key, value; also where they are fused).

The adapters of `lora` are never added to the forward pass. The adapted weight is W + s (B A - B0 A0) with (A, B) at (A0, B0), both
seeded random: the model's losses are untouched, and A gets a gradient as well as B. (The usual start B0 = 0 gives A a zero
gradient, so that half of the space would say nothing.) With G the gradient of W, dA = s B0' G and dB = s G A0', hence
<dA, vA> + <dB, vB> = <G, s (B0 vA + vB A0)>: a direction of rank 2r on W.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    import torch

ATTENTION = re.compile(
    r"(^|\.)(q_proj|k_proj|v_proj|qkv_proj|c_attn|query_key_value|Wqkv|query|key|value|W_pack|q_a_proj|q_b_proj"
    r"|kv_a_proj_with_mqa|kv_b_proj)$"
)
SCALE = 1.0  # s = alpha / r with alpha = r


@dataclass(frozen=True)
class Space:
    """Which parameters of one model; `names` are parameter names (of the adapted weights, for lora)."""

    name: str
    names: tuple[str, ...]
    rank: int  # 0 but for lora
    seed: int
    dimensions: int
    own: "Mapping[str, tuple[torch.Tensor, torch.Tensor]] | None" = None  # s A and s B of a merged adapter, by weight

    @property
    def sentence(self) -> str:
        if self.own is not None:
            return f"the adapter's own parameters: A and B on {len(self.names)} weights, {self.dimensions:,} dimensions"
        if self.rank:
            return (
                f"LoRA space: rank {self.rank} on {len(self.names)} attention projections (query, key, value), "
                f"{self.dimensions:,} dimensions, A and B both seeded random (seed {self.seed}), the model's function unchanged"
            )
        where = "all parameters" if self.name == "all" else f"parameters of the last {self.name[5:]} blocks"
        return f"{where}, {self.dimensions:,} dimensions, tied weights once"


def resolve(module: "torch.nn.Module", name: str, rank: int = 8, seed: int = 0) -> Space:
    """The space called "all", "last-K" or "lora" in this model. Errors: InputError when the model has no such part."""
    parameters = dict(module.named_parameters())  # tied weights once, under their first name
    if name == "all":
        return Space(name, tuple(parameters), 0, seed, sum(p.numel() for p in parameters.values()))
    if name == "adapter":
        own = getattr(module, "adapter_factors", None)
        if not own:
            raise InputError(
                "space=adapter takes gradients of an adapter, and none was named. Set influence.adapter to its folder."
            )
        size = sum(a.numel() + b.numel() for a, b in own.values())
        return Space(name, tuple(own), max(a.shape[0] for a, _ in own.values()), seed, size, own)
    if name == "lora":
        names = [
            f"{m}.weight" for m, _ in module.named_modules() if ATTENTION.search(m) and f"{m}.weight" in parameters
        ]
        names = [n for n in names if parameters[n].ndim == 2]
        if not names:
            raise InputError(
                "No attention projection with a familiar name (q_proj, c_attn …) was found for space=lora. Use all or last-2."
            )
        return Space(name, tuple(names), rank, seed, sum(rank * sum(parameters[n].shape) for n in names))
    matched = re.fullmatch(r"last-([1-9]\d*)", name)
    if not matched:
        raise InputError(f"Parameter space {name!r} is not known; choose lora, adapter, all, or last-K such as last-2.")
    blocks = blocks_of(module)
    prefixes = tuple(f"{b}." for b in blocks[-int(matched[1]) :])
    names = [n for n in parameters if n.startswith(prefixes)]
    if not names:
        raise InputError(f"No list of blocks was found in {type(module).__name__} for space={name}. Use all or lora.")
    return Space(name, tuple(names), 0, seed, sum(parameters[n].numel() for n in names))


def blocks_of(module: "torch.nn.Module") -> list[str]:
    """Names of the model's blocks, first to last: the module list that holds the most parameters."""
    import torch

    lists = {n: m for n, m in module.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m)}
    if not lists:
        return []
    best = max(lists, key=lambda n: sum(p.numel() for p in lists[n].parameters()))
    return [f"{best}.{i}" for i in range(len(lists[best]))]


def factors(space: Space, name: str, d_in: int, d_out: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """(A0 (r, d_in), B0 (d_out, r)) float32 on the CPU, the same for every run: uniform as PEFT draws A, in +-1/sqrt(size)."""
    import torch

    if space.own is not None:  # s A and s B: dA = s B' G and dB = s G A'
        return space.own[name]
    seed = int.from_bytes(hashlib.blake2b(f"{space.seed}:{name}".encode(), digest_size=7).digest(), "little")
    generator = torch.Generator().manual_seed(seed)
    a = (torch.rand(space.rank, d_in, generator=generator) * 2 - 1) / d_in**0.5
    b = (torch.rand(d_out, space.rank, generator=generator) * 2 - 1) / d_out**0.5
    return a, b
