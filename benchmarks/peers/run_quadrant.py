"""Quadrant's own engine on the common task (space `forward`: losses only, the yardstick)."""

import numpy as np

from benchmarks.peers.task import LINEAR, Clock, Task, main


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: __import__("core.influence.ghost"))
    import torch

    from core.influence.direction import mean_gradient
    from core.influence.encode import Tokens, plan_batches
    from core.influence.ghost import Ghost
    from core.influence.losses import ResponseLoss, make_batch
    from core.influence.models import LanguageModel
    from core.influence.spaces import Space, resolve

    def tokens(name: str) -> Tokens:
        return Tokens(task.ids[name], task.start[name], np.zeros(len(task.ids[name]), bool), "", 0)

    module = clock("load", task.model)
    losses = ResponseLoss(LanguageModel(module, None, "peer", "", "cpu", "float32", 2048), "sum")
    train, valid = tokens("train"), tokens("valid")
    scores = np.zeros(len(train.ids))
    batches = plan_batches(train.lengths, task.batch_tokens)
    if space == "forward":

        def forward() -> None:
            for rows in batches:
                scores[rows] = losses(make_batch(train, rows, "cpu"))

        clock("score", forward)
        return scores
    if space in ("linear", "lora-linear"):
        names = tuple(
            f"{n}.weight" for n, m in module.named_modules()
            if isinstance(m, torch.nn.Linear) and n.rpartition(".")[2] in LINEAR
        )  # fmt: skip
        chosen = Space(space, names, task.rank if space == "lora-linear" else 0, 0, 0)
    else:
        chosen = resolve(module, "lora" if space == "lora-qkv" else "all", task.rank, 0)
    direction = clock("query", lambda: mean_gradient(losses, valid, chosen, task.batch_tokens))
    ghost = Ghost(losses, direction)

    def score() -> None:
        for rows in batches:
            scores[rows] = ghost.score(train, rows).influence

    clock("score", score)
    return scores


if __name__ == "__main__":
    main(run)
