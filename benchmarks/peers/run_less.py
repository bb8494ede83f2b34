"""The loop of LESS: one backward a record at batch size 1, then a dot product (its projection left out, which only helps it)."""

import numpy as np

from benchmarks.peers.task import Clock, Task, main, summed_losses


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: (__import__("torch"), __import__("transformers.models.llama")))
    import torch

    model, _ = clock("load", lambda: task.prepared(space))
    chosen = [p for p in model.parameters() if p.requires_grad]

    def gradient(name: str, row: int) -> torch.Tensor:
        ids, labels = task.padded(name, [row])
        loss = summed_losses(model(input_ids=ids, use_cache=False).logits, labels).sum()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, chosen)])

    def query() -> torch.Tensor:
        count = len(task.ids["valid"])
        total = gradient("valid", 0)
        for row in range(1, count):
            total += gradient("valid", row)
        return total / count

    direction = clock("query", query)
    return clock(
        "score", lambda: np.array([float(gradient("train", i) @ direction) for i in range(len(task.ids["train"]))])
    )


if __name__ == "__main__":
    main(run)
