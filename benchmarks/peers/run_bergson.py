"""bergson: the mean validation gradient by its reduction, then its on-the-fly scorer, all in memory. Linear layers only."""

import tempfile

import numpy as np

from benchmarks.peers.task import Clock, Task, main


def run(task: Task, space: str, clock: Clock) -> np.ndarray:
    clock("import", lambda: (__import__("bergson"), __import__("transformers.models.llama")))
    from pathlib import Path

    import torch
    from bergson import CollectorComputer, GradientProcessor, IndexConfig, InMemoryCollector, PreprocessConfig, Scorer
    from bergson.score.score_writer import InMemorySequenceScoreWriter
    from datasets import Dataset

    model, names = clock("load", lambda: task.prepared(space))
    # The collector hooks the base model, where module names have no "model." in front.
    modules = {n.removeprefix("model.") for n in names}

    def dataset(name: str) -> Dataset:
        rows = range(len(task.ids[name]))
        starts = [max(1, int(s)) for s in task.start[name]]
        return Dataset.from_dict(
            {
                "input_ids": [task.ids[name][i].tolist() for i in rows],
                "labels": [[-100] * starts[i] + task.ids[name][i][starts[i] :].tolist() for i in rows],
                "length": [len(task.ids[name][i]) for i in rows],
            }
        )

    with tempfile.TemporaryDirectory() as folder:
        settings = IndexConfig(run_path=f"{folder}/run", loss_reduction="sum", projection_dim=0)
        Path(settings.partial_run_path).mkdir(parents=True, exist_ok=True)

        def collect(name: str, **more: object) -> InMemoryCollector:
            data = dataset(name)
            collector = InMemoryCollector(
                model=model.base_model,
                cfg=settings,
                processor=GradientProcessor(),
                target_modules=modules,
                data=data,
                **more,
            )
            batches = [b.tolist() for b in task.batches(name)]
            CollectorComputer(
                model, data, collector=collector, batches=batches, cfg=settings
            ).run_with_collector_hooks()
            return collector

        query = clock("query", lambda: collect("valid", preprocess_cfg=PreprocessConfig(aggregation="mean")).gradients)
        writer = InMemorySequenceScoreWriter(len(task.ids["train"]), 1)
        scorer = Scorer(query, list(query), writer, torch.device("cpu"), torch.float32)
        clock("score", lambda: collect("train", scorer=scorer))
        return np.asarray(writer.scores).reshape(-1)


if __name__ == "__main__":
    main(run)
