"""captum's TracInCP with its fast per-sample gradients (hooks on linear layers)."""

import numpy as np

from benchmarks.peers.task import Clock, Task, main, summed_losses


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: (__import__("captum.influence"), __import__("transformers.models.llama")))
    import torch
    from captum.influence import TracInCP
    from torch.utils.data import DataLoader, TensorDataset

    model, names = clock("load", lambda: task.prepared(space))
    model.get_input_embeddings().requires_grad_(
        True
    )  # captum hooks the inputs of layers, which must require a gradient

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.inner(input_ids=ids, use_cache=False).logits

    class Loss(torch.nn.Module):
        reduction = "sum"

        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return summed_losses(logits, labels).sum()

    class Batches(torch.utils.data.Dataset):
        def __init__(self, parts: list) -> None:
            self.parts = parts

        def __len__(self) -> int:
            return len(self.parts)

        def __getitem__(self, i: int) -> tuple:
            return self.parts[i].tensors

    wrapped = Logits().eval()
    scores = np.zeros(len(task.ids["train"]))
    test = task.padded("valid", range(len(task.ids["valid"])))

    def score() -> np.ndarray:
        order = np.concatenate(task.batches("train"))
        parts = [TensorDataset(*task.padded("train", rows)) for rows in task.batches("train")]

        loader = DataLoader(Batches(parts), batch_size=None)  # its items are whole batches, each with its own width
        found = TracInCP(
            wrapped, loader, ["here"], checkpoints_load_func=lambda m, c: 1.0,
            layers=[f"inner.{n}" for n in names] or None, loss_fn=Loss(), sample_wise_grads_per_batch=bool(names),
            batch_size=1,
        )  # fmt: skip
        scores[order] = found.influence(test, aggregate=True).numpy().reshape(-1)
        return scores / len(task.ids["valid"])

    return clock("score", score)


if __name__ == "__main__":
    main(run)
