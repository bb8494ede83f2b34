"""dattri's TracInAttributor (vmap of grad), its silent projection to 512 dimensions switched off.

The validation records are one "test sample" whose target is their mean loss; dattri computes its gradient again for every training
batch, which is part of its price.
"""

import numpy as np

from benchmarks.peers.task import Clock, Task, main, summed_losses


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: (__import__("dattri.algorithm.tracin"), __import__("transformers.models.llama")))
    import torch
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask
    from torch.utils.data import DataLoader, TensorDataset

    model, _ = clock("load", lambda: task.prepared(space, "eager"))  # vmap does not pass through fused attention
    fixed = {k: p.detach() for k, p in model.named_parameters() if not p.requires_grad}

    def loss(params: dict, data: tuple) -> torch.Tensor:
        ids, labels = data
        out = torch.func.functional_call(model, {**fixed, **params}, (ids[None],), {"use_cache": False})
        return summed_losses(out.logits, labels[None]).sum()

    def target(params: dict, data: tuple) -> torch.Tensor:
        ids, labels = data
        out = torch.func.functional_call(model, {**fixed, **params}, (ids,), {"use_cache": False})
        return summed_losses(out.logits, labels).mean()

    names = [k for k, p in model.named_parameters() if p.requires_grad]
    attribution = AttributionTask(loss, model, model.state_dict(), target)
    found = TracInAttributor(attribution, torch.ones(1), False, layer_name=names)
    found.projector_kwargs = None
    scores = np.zeros(len(task.ids["train"]))
    ids, labels = task.padded("valid", range(len(task.ids["valid"])))
    test = DataLoader(TensorDataset(ids[None], labels[None]), batch_size=1)

    def score() -> np.ndarray:
        for rows in task.batches("train"):  # sorted by length, as everybody's
            data = DataLoader(TensorDataset(*task.padded("train", rows)), batch_size=len(rows))
            scores[rows] = found.attribute(data, test)[:, 0].numpy()
        return scores

    return clock("score", score)


if __name__ == "__main__":
    main(run)
