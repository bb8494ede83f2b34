"""Writers that are killed while they save: run as a program, it prints as JSON which verdicts were acknowledged.

    python -m tests.killed DATABASE SAMPLE KILLS PER_KILL SEED [early]

Each child is a fork that saves batches of one to three verdicts and writes the acknowledged ids into a pipe. It is killed with
SIGKILL at a moment of its own: as soon as so many ids have come, or a random part of a save later. `early` is a broken store, one
that acknowledges before it saves: the test that finds nothing wrong with it could not find anything.
"""

import json
import os
import random
import signal
import sys
import time

from core.review.store import Verdict, open_store, save_verdicts


def verdict(sample: str, n: int, reviewer: str = "Ada") -> Verdict:
    return Verdict(
        f"{reviewer}-{n}", sample, f"{n:016x}-1", f"{n:016x}", reviewer, "pass",
        created_at="2026-03-01T09:30:00.000Z", note="x" * (n % 7) * 100,
    )  # fmt: skip


def child(where: str, sample: str, start: int, pipe: int, early: bool) -> None:
    store = open_store(where)
    n = start
    while True:
        batch = [verdict(sample, n + i) for i in range(1 + n % 3)]
        told = ("\n".join(one.client_id for one in batch) + "\n").encode()
        if early:
            os.write(pipe, told)
        acknowledged = save_verdicts(store, batch)
        assert acknowledged == [one.client_id for one in batch]
        if not early:
            os.write(pipe, told)
        n += len(batch)


def main(where: str, sample: str, kills: int, per_kill: int, seed: int, early: bool) -> None:
    chance = random.Random(seed)
    warm = open_store(where)  # loads what every child would load again
    save_verdicts(warm, [])
    warm.engine.dispose()  # a connection must not be shared with a fork
    acknowledged: list[str] = []
    start = 0
    for _ in range(kills):
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(out)
                child(where, sample, start, into, early)
            finally:
                os._exit(9)  # a child that ends by itself has failed
        os.close(into)
        stream = os.fdopen(out, "rb")
        seen = [stream.readline() for _ in range(per_kill)]
        if not early:
            time.sleep(chance.random() * 0.004)
        os.kill(pid, signal.SIGKILL)
        seen += stream.readlines()
        stream.close()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, (
            "the child was not killed but failed"
        )
        acknowledged += [line.decode().strip() for line in seen if line.endswith(b"\n")]
        start = 1 + max(int(one.split("-")[1]) for one in acknowledged)
    print(json.dumps(acknowledged))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), early="early" in sys.argv[6:])
