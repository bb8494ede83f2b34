"""TRAK (traker) on the mean margin of the response tokens; the mean of its scores over the validation records.

Gradients are projected to 128 dimensions: TRAK inverts their second moment, which with more dimensions than records is singular.
"""

import tempfile

import numpy as np

from benchmarks.peers.task import Clock, Task, main

DIMENSIONS = 128


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: (__import__("trak"), __import__("transformers.models.llama")))
    import torch
    from trak import TRAKer
    from trak.modelout_functions import AbstractModelOutput
    from trak.projectors import BasicProjector, ProjectionType

    model, _ = clock("load", lambda: task.prepared("all", "eager"))

    def margins(weights: dict, buffers: dict, ids: torch.Tensor, labels: torch.Tensor) -> tuple:
        """(the response tokens' log p / (1 - p), which of them count), both (T - 1,)"""
        out = torch.func.functional_call(model, (weights, buffers), (ids[None],), {"use_cache": False})
        logits, wanted = out.logits[0, :-1], labels[1:]
        counted, own = wanted >= 0, wanted.clamp_min(0)[:, None]
        others = logits.scatter(1, own, float("-inf")).logsumexp(1)
        return logits.gather(1, own)[:, 0] - others, counted

    class Response(AbstractModelOutput):
        def __init__(self) -> None:
            pass

        @staticmethod
        def get_output(model, weights, buffers, ids, labels) -> torch.Tensor:  # noqa: ANN001 - their signature
            values, counted = margins(weights, buffers, ids, labels)
            return (values * counted).sum() / counted.sum()

        def get_out_to_loss_grad(self, model, weights, buffers, batch) -> torch.Tensor:  # noqa: ANN001
            found = []
            for ids, labels in zip(*batch, strict=True):
                values, counted = margins(weights, buffers, ids, labels)
                found.append((torch.sigmoid(-values) * counted).sum() / counted.sum())
            return torch.stack(found).detach()[:, None]

    size = sum(p.numel() for p in model.parameters())
    count, few = len(task.ids["train"]), len(task.ids["valid"])
    with tempfile.TemporaryDirectory() as folder:
        projector = BasicProjector(
            size, DIMENSIONS, 0, ProjectionType.rademacher, "cpu", dtype=torch.float32, model_id=0
        )
        traker = TRAKer(
            model, Response(), count, save_dir=folder, device="cpu", projector=projector, proj_dim=None, use_half_precision=False
        )  # fmt: skip

        def featurize() -> None:
            traker.load_checkpoint(model.state_dict(), model_id=0)
            for rows in task.batches("train"):
                traker.featurize(task.padded("train", rows), inds=np.asarray(rows))
            traker.finalize_features()

        def score() -> np.ndarray:
            traker.start_scoring_checkpoint("scores", model.state_dict(), model_id=0, num_targets=few)
            for rows in task.batches("valid"):
                traker.score(task.padded("valid", rows), inds=np.asarray(rows))
            return np.asarray(traker.finalize_scores("scores")).mean(1)

        clock("query", featurize)
        return clock("score", score)


if __name__ == "__main__":
    main(run)
