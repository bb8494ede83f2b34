"""Work spread over several processes, GPUs or machines: Ray Data actors over Parquet shards, the results those of one process.

The unit is a *batch* exactly as it is planned for one process, so its padding, and with it every number, does not depend on
who computes it. Batches go into Parquet shards in the scratch folder; an actor builds its model once, takes a shard, and gives back
its values. An actor that dies is started anew and its shard is done again. Ray is optional: one process needs none of this.

On a cluster, workspace and model must lie on storage that every node sees under the same path. Ray's usage statistics are off. It
opens ports on this machine's network interfaces, guarded by a token; one worker opens none.
"""

import importlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError

Unit = dict[str, Any]  # column -> what one batch needs: a flat array or a list of texts
Values = dict[str, np.ndarray]  # name -> flat array of the batch's values
Maker = Callable[[dict[str, Any]], Callable[[Unit], Values]]
SHARDS_A_WORKER = 6  # few enough to keep shards long, many enough that a death costs little and nobody waits at the end
ROOT = Path(__file__).resolve().parents[1]
MOST = 4096  # workers
FAILED = "quadrant: "


@dataclass(frozen=True)
class Compute:
    """Where batches are computed. One worker and no address: in this process."""

    workers: int = 1  # 0: all that the cluster has
    ray: str = ""  # address of a running cluster, or "auto"; "": workers on this machine

    @property
    def here(self) -> bool:
        return self.workers == 1 and not self.ray

    @staticmethod
    def of(settings: dict[str, Any]) -> "Compute":
        """As a workspace's settings say; one process when they say nothing."""
        given = settings.get("compute") or {}
        return Compute(given.get("workers", 1), given.get("ray", ""))

    def checked(self) -> "Compute":
        """Errors: InputError for a number of workers that cannot be, or when Ray is needed and not installed."""
        least = 0 if self.ray else 1
        if not isinstance(self.workers, int) or not least <= self.workers <= MOST:
            raise InputError(f"{self.workers} workers were asked for; between {least} and {MOST:,} are possible.")
        if not self.here:
            need_ray()
        return self

    def facts(self) -> dict[str, Any]:
        """For the settings and the manifest."""
        return asdict(self)


HERE = Compute()


def need_ray() -> Any:
    """The ray module, its reports home switched off. Errors: InputError when it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            "Several workers need Ray, which is not installed. Install it with: pip install 'ray[data]>=2.55'. One worker needs none."
        ) from error
    return ray


def threads_each(workers: int) -> int:
    """CPU threads of one of several workers on this machine."""
    return max(1, (os.cpu_count() or 1) // max(1, workers))


def connected(compute: Compute) -> tuple[Any, int, dict[str, Any]]:
    """(ray, workers, what each asks of the cluster): a cluster of our own or the one at the address, kept until the process ends."""
    ray = need_ray()
    threads = 1 if compute.ray else threads_each(compute.workers)
    environment = {
        "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    quiet = {"log_to_driver": False, "configure_logging": False, "runtime_env": {"env_vars": environment}}
    if ray.is_initialized() and not compute.ray and ray.cluster_resources().get("CPU") != compute.workers:
        ray.shutdown()
    try:
        if ray.is_initialized():
            pass
        elif compute.ray:
            ray.init(address=compute.ray, **quiet)
        else:
            ray.init(address="local", num_cpus=compute.workers, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        where = f"The Ray cluster at {compute.ray!r} cannot be reached" if compute.ray else "Ray cannot be started"
        raise InputError(f"{where} ({reason}). Start it, name another address, or use one worker.") from error
    has = ray.cluster_resources()
    gpus = int(has.get("GPU", 0))
    workers = compute.workers or gpus or max(1, int(has.get("CPU", 1)))
    if gpus and workers > gpus:
        raise InputError(f"{workers} workers were asked for, but there are {gpus} GPUs, one for each. Ask for {gpus}.")
    return ray, workers, {"num_gpus": 1} if gpus else {"num_cpus": 1}


class Worker:
    """What an actor is: a maker's function, built once, then fed with the paths of shards."""

    def __init__(self, make: str, settings: str) -> None:
        self.work = made(make, json.loads(settings))

    def __call__(self, shards: pa.Table) -> pa.Table:
        found: list[dict[str, Any]] = []
        for path in shards["shard"].to_pylist():
            if not Path(path).is_file():
                raise InputError(
                    f"{FAILED}A worker does not see {path}. Put the workspace on storage that every node shares."
                )
            for unit in pq.read_table(path).to_pylist():
                try:
                    values = self.work({k: v for k, v in unit.items() if v is not None})
                except InputError as error:
                    raise InputError(f"{FAILED}{error}") from error
                found.append({"batch": unit["batch"], "values": {k: packed(v) for k, v in values.items()}})
        return pa.Table.from_pylist(found)


def packed(values: np.ndarray) -> dict[str, Any]:
    """An array as bytes and dtype: what comes back is the same to the last bit."""
    values = np.ascontiguousarray(values)
    return {"dtype": values.dtype.str, "bytes": values.tobytes()}


def made(make: str, settings: dict[str, Any]) -> Callable[[Unit], Values]:
    module, _, function = make.partition(":")
    maker: Maker = getattr(importlib.import_module(module), function)
    return maker(settings)


def spread(
    compute: Compute,
    make: str,
    settings: dict[str, Any],
    unit: Callable[[int], Unit],
    numbers: Sequence[int],
    scratch: Path,
) -> Iterator[tuple[int, Values]]:
    """(number, values) of each batch, in the order in which they are done.

    `make` is "module:function", called with `settings` (JSON) once in each worker; what it returns is called with `unit(number)`.
    Errors: InputError of a worker as it is; InputError when Ray is missing or cannot be reached.
    """
    if not len(numbers):
        return
    ray, workers, asks = connected(compute)
    folder = scratch / "shards"
    try:
        paths = shards_of(unit, numbers, min(len(numbers), workers * SHARDS_A_WORKER), folder)
        ray.data.DataContext.get_current().enable_progress_bars = False
        data = ray.data.from_items([{"shard": str(p)} for p in paths], override_num_blocks=len(paths)).map_batches(
            Worker, fn_constructor_args=(make, json.dumps(settings)), batch_format="pyarrow", batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(paths)), max_tasks_in_flight_per_actor=1), **asks,
        )  # fmt: skip
        try:
            for table in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row in table.to_pylist():
                    yield row["batch"], {k: unpacked(v) for k, v in row["values"].items()}
        except ray.exceptions.RayError as error:
            raise explained(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpacked(value: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(value["bytes"], np.dtype(value["dtype"]))


def explained(error: Exception) -> Exception:
    """The sentence of a worker's InputError, found in Ray's report of it; any other error as it is."""
    for line in str(error).splitlines():
        if "InputError: " + FAILED in line:
            return InputError(line.partition("InputError: " + FAILED)[2])
    return error


def shards_of(unit: Callable[[int], Unit], numbers: Sequence[int], count: int, folder: Path) -> list[Path]:
    """Parquet files of consecutive batches, one row a batch, about equally many in each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for k, some in enumerate(np.array_split(np.asarray(numbers), count)):
        rows = [{"batch": int(n), **unit(int(n))} for n in some]
        path = folder / f"{k:06d}.parquet"
        pq.write_table(pa.table({c: pa.array([r[c] for r in rows]) for c in rows[0]}), path, compression="zstd")
        paths.append(path)
    return paths
