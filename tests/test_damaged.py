"""Damaged files are read, or refused with a reason; none crashes, hangs, or takes memory that it claims."""

import tracemalloc
import warnings

import numpy as np
import pytest

from .damaged import SEEDS, read

FILES = [(kind, name) for kind, seeds in SEEDS.items() for name in seeds]
MOST = 100  # places of a file that are tried; fuzz/ tries others
LIMIT = 16e6  # bytes that a file of at most 4,000 bytes may take


@pytest.fixture(autouse=True)
def no_warnings():
    """Those of NumPy, pandas and SciPy about nonsense do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def places(content):
    """All of them, or as many as there is time for, drawn evenly."""
    rng = np.random.default_rng(len(content))
    return np.sort(rng.permutation(len(content))[:MOST]).tolist()


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_whole_files_are_read(tmp_path, kind, name):
    assert len(SEEDS[kind][name]) < 8000
    assert read(kind, SEEDS[kind][name], tmp_path) is not None


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_truncated_files(tmp_path, kind, name):
    content = SEEDS[kind][name]
    found = [read(kind, content[:length], tmp_path) for length in places(content)]
    if kind not in ("libsvm", "csv"):  # text can end anywhere
        assert sum(each is None for each in found) > 0.9 * len(found)


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_wrong_bytes(tmp_path, kind, name):
    content = SEEDS[kind][name]
    rng, refused = np.random.default_rng(0), 0
    for place in places(content):
        damaged = bytearray(content)
        damaged[place] ^= rng.integers(1, 256)
        refused += read(kind, bytes(damaged), tmp_path) is None
    assert refused


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_words_that_claim_too_much_take_no_memory(tmp_path, kind, name):
    content = SEEDS[kind][name]
    words = [
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x40",
        b"\xff" * 7 + b"\x7f",
        b"99999999",
        b"[[[[{{{{",
    ]
    read(kind, content, tmp_path)  # what is imported late is not counted
    tracemalloc.start()
    try:
        for i, place in enumerate(places(content)):
            word = words[i % len(words)]
            tracemalloc.reset_peak()
            read(kind, content[:place] + word + content[place + len(word) :], tmp_path)
            assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
