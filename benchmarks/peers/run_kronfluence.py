"""kronfluence's pairwise scores with the identity as the Hessian and the query gradients aggregated. Linear layers only."""

import tempfile

import numpy as np

from benchmarks.peers.task import Clock, Task, main, summed_losses


def run(task: Task, space: str, clock: Clock, strategy: str = "identity") -> np.ndarray:
    clock("import", lambda: (__import__("kronfluence.analyzer"), __import__("transformers.models.llama")))
    import torch
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task as Theirs
    from kronfluence.utils.dataset import DataLoaderKwargs

    model, names = clock("load", lambda: task.prepared(space))

    class Ours(Theirs):
        def compute_train_loss(self, batch: tuple, model: torch.nn.Module, sample: bool = False) -> torch.Tensor:
            logits = model(input_ids=batch[0], use_cache=False).logits
            labels = batch[1]
            if sample:
                drawn = torch.multinomial(logits.detach()[:, :-1].flatten(0, 1).softmax(-1), 1).view(len(labels), -1)
                labels = torch.cat([labels[:, :1], drawn.where(labels[:, 1:] != -100, labels[:, 1:])], 1)
            return summed_losses(logits, labels).sum()

        def compute_measurement(self, batch: tuple, model: torch.nn.Module) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return names

        def get_attention_mask(self, batch: tuple) -> torch.Tensor:
            return batch[2]

    def dataset(name: str, rows: np.ndarray) -> torch.utils.data.TensorDataset:
        ids, labels = task.padded(name, rows)
        sizes = torch.tensor([len(task.ids[name][i]) for i in rows])
        mask = (torch.arange(ids.shape[1]) < sizes[:, None]).long()  # kronfluence counts with it
        return torch.utils.data.TensorDataset(ids, labels, mask)

    ours = Ours()
    model = prepare_model(model, ours)
    order = np.concatenate(task.batches("train"))
    train, valid = dataset("train", order), dataset("valid", np.concatenate(task.batches("valid")))
    size = max(1, task.batch_tokens // train.tensors[0].shape[1])
    scores = np.zeros(len(order))
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("peer", model, ours, cpu=True, output_dir=folder, disable_tqdm=True)
        analyzer.set_dataloader_kwargs(DataLoaderKwargs(num_workers=0))
        factors = FactorArguments(strategy=strategy)
        clock("query", lambda: analyzer.fit_all_factors(
            "factors", train, per_device_batch_size=size, factor_args=factors
        ))  # fmt: skip
        clock("score", lambda: analyzer.compute_pairwise_scores(
            "scores", "factors", query_dataset=valid, train_dataset=train, per_device_query_batch_size=size,
            per_device_train_batch_size=size, score_args=ScoreArguments(aggregate_query_gradients=True),
        ))  # fmt: skip
        found = analyzer.load_pairwise_scores("scores")["all_modules"]
    scores[order] = found.double().numpy().reshape(-1) / len(valid)
    return scores


if __name__ == "__main__":
    main(run)
