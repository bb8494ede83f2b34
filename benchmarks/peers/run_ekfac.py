"""kronfluence with EKFAC factors, its own default; see run_kronfluence.py."""

from functools import partial

from benchmarks.peers.run_kronfluence import run
from benchmarks.peers.task import main

if __name__ == "__main__":
    main(partial(run, strategy="ekfac"))
