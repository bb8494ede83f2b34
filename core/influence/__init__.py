"""Models, losses, difficulty, influence, the quadrant and the other selection strategies."""

import os

# Threads that wait for each other by spinning make a small model 100 times slower as soon as another process wants the same cores
# (measured: 11.9 s a training step against 0.12 s). Read by OpenMP when torch is loaded, which no module of this room does at import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
