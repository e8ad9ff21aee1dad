"""8,100,000 images of digits, 6.4 GB, from the 60,000 of MNIST: `python -m benchmarks.mnist8m --data DIR`.

Each image appears 135 times, each time turned by up to 15 degrees and shifted by up to two pixels, at random,
by bilinear interpolation. Writes DIR/mnist8m/images.npy (uint8, rows of 784 pixels) and labels.npy
(uint8); --out chooses another folder. Needs some hundred megabytes of memory, whatever the number of rows.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks import workloads

SIDE = 28
TURN, SHIFT = np.deg2rad(15), 2.0
# Images that share a turn and a shift; a round of all images is written in random order.
PIECE = 500


def movement(angle, shift):
    """Bilinear interpolation as a CSR matrix (784, 784): a pixel of the new image is a mean of four of the
    old one, about the place that turning about the centre and shifting bring there; outside all is black."""
    grid = np.indices((SIDE, SIDE)).reshape(2, -1) - (SIDE - 1) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = turn @ grid + (SIDE - 1) / 2 - np.reshape(shift, (2, 1))
    low = np.floor(places).astype(np.int64)
    matrix = sparse.csr_matrix((SIDE**2, SIDE**2), dtype=np.float32)
    for step in np.ndindex(2, 2):
        row, column = corner = low + np.reshape(step, (2, 1))
        inside = ((corner >= 0) & (corner < SIDE)).all(axis=0)
        share = np.prod(1 - np.abs(places - corner), axis=0)[inside].astype(np.float32)
        pixels = (SIDE * row + column)[inside]
        matrix += sparse.csr_matrix((share, (np.flatnonzero(inside), pixels)), shape=matrix.shape)
    return matrix


def rounds(X, y, rng):
    """All images, moved, in a random order, once and again: arrays like X and y."""
    while True:
        order, places = rng.permutation(len(y)), rng.permutation(len(y))
        moved = np.empty_like(X)
        for first in range(0, len(y), PIECE):
            matrix = movement(rng.uniform(-TURN, TURN), rng.uniform(-SHIFT, SHIFT, size=2))
            images = matrix @ X[order[first : first + PIECE]].T.astype(np.float32)
            moved[places[first : first + PIECE]] = np.rint(images).T
        labels = np.empty_like(y)
        labels[places] = y[order]
        yield moved, labels


def write(X, y, n, folder, seed=0):
    """n rows made from X (uint8) and y, to images.npy and labels.npy in a folder; yields how many it has."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, done = np.empty(n, dtype=np.uint8), 0
    with open(folder / "images.npy.part", "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, X.shape[1])}
        np.lib.format.write_array_header_1_0(file, header)
        for images, classes in rounds(X, y, np.random.default_rng(seed)):
            count = min(len(classes), n - done)
            file.write(images[:count])
            labels[done : done + count] = classes[:count]
            done += count
            yield done
            if done == n:
                break
    np.save(folder / "labels.npy", labels)
    (folder / "images.npy.part").replace(folder / "images.npy")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mnist8m", description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds mnist/")
    parser.add_argument("--out", type=Path, help="where to write; DIR/mnist8m")
    parser.add_argument("--rows", type=int, default=8_100_000)
    options = parser.parse_args()
    X, y = workloads.training_images(options.data)
    began, folder = time.monotonic(), options.out or Path(options.data) / "mnist8m"
    for done in write(X, y, options.rows, folder):
        spent = time.monotonic() - began
        left = spent * (options.rows - done) / done
        print(f"\r{done:,} of {options.rows:,} rows, {spent:.0f} s, {left:.0f} s left ", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
