"""8,100,000 images made from MNIST by `python -m benchmarks.mnist8m`, read from the disk; as L2 on 60,000."""

from pathlib import Path

import numpy as np

from benchmarks.objective import Problem

TITLE = "MNIST 8M"
LIMIT = 300
STORAGES = ("uint8",)
# Tighter than the last level by enough, and as tight as float32 weights can tell.
REFERENCE_TOL = 5e-8


def load(folder, penalty, storage):
    folder = Path(folder) / "mnist8m"
    X, y = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy").astype(np.int64)
    return Problem(X, y, 600 / len(y), penalty, "unit", 255.0)
