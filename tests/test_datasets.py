"""The readers return what the files hold, and refuse damaged files before taking memory."""

import gzip
import importlib.util
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import savemat

from fastlr import datasets

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
needs_mnist = pytest.mark.skipif(
    "FASTLR_DATA" not in os.environ, reason="set FASTLR_DATA to the folder that holds mnist/"
)


def idx_bytes(array):
    array = np.asarray(array)
    header = bytes([0, 0, IDX_CODES[array.dtype.str[1:]], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def header(shape, code=0x08):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def write(path, content, compress=False):
    path.write_bytes(gzip.compress(content) if compress else content)
    return path


@pytest.fixture
def digits():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 4, 5), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    return images, labels


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", IDX_CODES)
def test_read_idx_round_trip(tmp_path, dtype, compress):
    array = np.arange(-12, 12).reshape(2, 3, 4).astype(dtype)
    read = datasets.read_idx(write(tmp_path / "array", idx_bytes(array), compress))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.dtype.isnative


@pytest.mark.parametrize("compress", [False, True])
def test_read_idx_zero_size(tmp_path, compress):
    content = header((0, 28, 28))
    assert datasets.read_idx(write(tmp_path / "empty", content, compress)).shape == (0, 28, 28)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic"),
        (b"\0\0\x08", "magic"),
        (b"\0\1\x08\1\0\0\0\1x", "magic"),
        (b"\0\0\x0a\1\0\0\0\1x", "magic"),
        (header(()) + b"x", "0 dimensions"),
        (header((1,) * 33) + b"x", "33 dimensions"),
        (b"\0\0\x08\3\0\0\0\1", "truncated IDX header"),
        (header((2, 3)) + b"12345", "truncated: 5 bytes"),
        (header((2, 3)) + b"1234567", "trailing"),
        (header((2,), 0x0E) + bytes(15), "truncated: 15 bytes"),
        (header((0,)) + b"1", "trailing"),
        (header((10**6, 10**6)) + b"12345", "truncated"),
        (header((2**32 - 1,) * 4) + b"12345", "larger than any array"),
        (header((0, *(2**32 - 1,) * 4)), "larger than any array"),
        (header((2**31, 2**31, 4)) + b"", "larger than any array"),  # 2^64: 0 in 64 bits
    ],
)
def test_read_idx_refuses_corrupt_files(tmp_path, content, message, compress):
    path = write(tmp_path / "damaged", content, compress)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            datasets.read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < 8e6


@pytest.mark.parametrize("shape", [(10,), (200_000_000,)], ids=["longer", "shorter"])
def test_read_idx_refuses_gzip_bomb_in_little_memory(tmp_path, shape):
    path = write(tmp_path / "bomb", header(shape) + bytes(100_000_000), compress=True)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"trailing|truncated"):
            datasets.read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize("damage", ["cut", "checksum", "body"])
def test_read_idx_refuses_damaged_gzip(tmp_path, damage):
    content = bytearray(gzip.compress(idx_bytes(np.arange(1000, dtype=np.int32))))
    if damage == "cut":
        content = content[:-20]
    elif damage == "checksum":
        content[-8] ^= 1
    else:
        content[20:60] = bytes(40)
    with pytest.raises(ValueError, match=r"gzip|truncated|trailing|magic"):
        datasets.read_idx(write(tmp_path / "damaged.gz", bytes(content)))


def test_read_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        datasets.read_idx(tmp_path / "absent")


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("test_stem", ["t10k", "t3k"])
def test_load_mnist_idx_names(tmp_path, digits, separator, suffix, test_stem):
    images, labels = digits
    for stem, rows in (("train", slice(0, 4)), (test_stem, slice(4, 6))):
        for kind, array in ((f"images{separator}idx3", images), (f"labels{separator}idx1", labels)):
            path = tmp_path / f"{stem}-{kind}-ubyte{suffix}"
            write(path, idx_bytes(array[rows]), compress=bool(suffix))
    (X_train, y_train), (X_test, y_test) = datasets.load_mnist(tmp_path)
    np.testing.assert_array_equal(X_train, images[:4].reshape(4, 20))
    np.testing.assert_array_equal(X_test, images[4:].reshape(2, 20))
    np.testing.assert_array_equal(np.r_[y_train, y_test], labels)
    assert X_train.dtype == np.uint8 and y_train.dtype == np.int64
    (unflattened, _), _ = datasets.load_mnist_idx(tmp_path, flatten=False)
    np.testing.assert_array_equal(unflattened, images[:4])


def test_load_mnist_idx_refuses(tmp_path, digits):
    images, labels = digits
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        datasets.load_mnist_idx(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        datasets.load_mnist_idx(tmp_path / "absent")
    write(tmp_path / "train-images-idx3-ubyte", idx_bytes(images))
    with pytest.raises(FileNotFoundError, match="no train-labels-idx1-ubyte"):
        datasets.load_mnist_idx(tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(labels[:5]))
    with pytest.raises(FileNotFoundError, match="t10k-images-idx3-ubyte or t3k-images"):
        datasets.load_mnist_idx(tmp_path)
    write(tmp_path / "t10k-images-idx3-ubyte", idx_bytes(images))
    write(tmp_path / "t10k-labels-idx1-ubyte", idx_bytes(labels))
    with pytest.raises(ValueError, match="6 images but 5 labels"):
        datasets.load_mnist_idx(tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(images))
    with pytest.raises(ValueError, match="labels have shape"):
        datasets.load_mnist_idx(tmp_path)
    write(tmp_path / "train-images-idx3-ubyte", idx_bytes(labels))
    with pytest.raises(ValueError, match="images have shape"):
        datasets.load_mnist_idx(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_load_mnist_npz(tmp_path, digits, save):
    images, labels = digits
    path = tmp_path / "mnist.npz"
    save(path, x_train=images, y_train=labels, x_test=images[::-1], y_test=labels[::-1])
    (X_train, y_train), (X_test, y_test) = datasets.load_mnist(path)
    np.testing.assert_array_equal(X_train, images.reshape(6, 20))
    np.testing.assert_array_equal(X_test, X_train[::-1])
    np.testing.assert_array_equal(y_test, y_train[::-1])
    (unflattened, _), _ = datasets.load_mnist_npz(path, flatten=False)
    np.testing.assert_array_equal(unflattened, images)


def test_load_mnist_npz_refuses(tmp_path, digits):
    images, labels = digits
    path = tmp_path / "mnist.npz"
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(path, x_train=images)
    with pytest.raises(ValueError, match=r"no array 'y_train'; found: x_train.npy"):
        datasets.load_mnist_npz(path)
    np.savez(path, **arrays | {"y_test": labels[1:]})
    with pytest.raises(ValueError, match=r"\(test\): 6 images but 5 labels"):
        datasets.load_mnist_npz(path)
    np.savez(path, **arrays | {"x_train": images / 255})
    with pytest.raises(ValueError, match="uint8"):
        datasets.load_mnist_npz(path)
    np.savez(path, **arrays | {"y_train": labels.astype(object)})
    with pytest.raises(ValueError, match="pickled objects"):
        datasets.load_mnist_npz(path)
    np.savez_compressed(path, **arrays)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="not an intact npz"):
        datasets.load_mnist_npz(path)


@pytest.mark.parametrize("directory_lies", [False, True])
def test_load_mnist_npz_refuses_header_beyond_file(tmp_path, monkeypatch, directory_lies):
    path = tmp_path / "mnist.npz"
    claim = {"descr": "|u1", "fortran_order": False, "shape": (10**4, 10**4, 10**4)}
    with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, claim)
        member.write(b"12345")
    if directory_lies:  # the zip directory claims the same 10^12 bytes as the array's header
        true_getinfo = zipfile.ZipFile.getinfo

        def getinfo(archive, name):
            info = true_getinfo(archive, name)
            info.file_size += 10**12 - 5
            return info

        monkeypatch.setattr(zipfile.ZipFile, "getinfo", getinfo)
    with pytest.raises(ValueError, match="it claims" if directory_lies else "truncated: 5 bytes"):
        datasets.load_mnist_npz(path)


def test_load_mnist_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        datasets.load_mnist(tmp_path / "absent.npz")


def course(n=20, side=4):
    """Images as they look and labels as they count, and both as the course's file stores them."""
    images, y = np.random.default_rng(0).random((n, side, side)), np.arange(n) % 10
    stored = {"X": images.transpose(0, 2, 1).reshape(n, -1), "y": np.where(y == 0, 10, y)[:, None]}
    return images.reshape(n, -1), y, stored


@pytest.mark.parametrize("do_compression", [False, True])
@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_load_mat(tmp_path, do_compression, kind):
    images, labels, stored = course()
    stored["y"] = stored["y"].astype(kind)
    others = {"about": "text", "cells": np.array([1, "a"], dtype=object), "z": np.ones(2) * 1j}
    savemat(tmp_path / "digits.mat", {**others, **stored}, do_compression=do_compression)
    X, y = datasets.load_mat(tmp_path / "digits.mat")
    np.testing.assert_array_equal(X, images)
    np.testing.assert_array_equal(y, labels)
    assert y.dtype == np.int64 and X.flags.c_contiguous
    X, y = datasets.load_mat(tmp_path / "digits.mat", transpose=False, ten_is_zero=False)
    np.testing.assert_array_equal(X, stored["X"])
    np.testing.assert_array_equal(y, stored["y"].ravel())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": None}, "has no variable 'X'"),
        ({"y": None}, "has no variable 'y'"),
        ({"X": "text"}, "X holds text; needed: a full matrix"),
        ({"X": np.ones((20, 16)) * 1j}, "X holds complex numbers"),
        ({"X": sp.csc_array(np.eye(20, 16))}, "X holds a sparse matrix"),
        ({"X": np.array([np.ones(20), 1], dtype=object)}, "X holds cells"),
        ({"X": np.ones((20, 4, 4))}, r"X has shape \(20, 4, 4\)"),
        ({"X": np.ones((20, 15))}, "15 pixels make no square; transpose=False"),
        ({"y": np.ones((19, 1))}, r"y has shape \(19, 1\); needed: \(20, 1\)"),
        ({"y": np.full((20, 1), 0.5)}, "not whole numbers"),
        ({"y": np.full((20, 1), np.nan)}, "not whole numbers"),
    ],
)
def test_load_mat_refuses_what_is_no_course(tmp_path, change, message):
    stored = {**course()[2], **change}
    savemat(tmp_path / "a.mat", {name: value for name, value in stored.items() if value is not None})
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load_mat(tmp_path / "a.mat")
    assert "a.mat" in str(caught.value)


def test_load_mat_refuses_other_versions(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.eye(4), "y": np.ones((4, 1))}, format="4")
    with pytest.raises(ValueError, match="version 4"):
        datasets.load_mat(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(384) + b"\x89HDF")
    with pytest.raises(ValueError, match=r"7\.3, which is HDF5.*-v7"):
        datasets.load_mat(path)
    with pytest.raises(FileNotFoundError):
        datasets.load_mat(tmp_path / "absent.mat")


@pytest.mark.parametrize("do_compression", [False, True])
def test_load_mat_survives_damage(tmp_path, do_compression):
    """Whatever byte is wrong: a ValueError or arrays, and no crash. Uncompressed files have no checksum."""
    path = tmp_path / "a.mat"
    savemat(path, course(5, 2)[2], do_compression=do_compression)
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for i in range(124, len(whole)):
        damaged += [whole[:i] + bytes([value]) + whole[i + 1 :] for value in (0, 14, 255)]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            datasets.load_mat(path)
        except ValueError:
            refused += 1
    assert refused > len(damaged) / 4


def mat_bytes(order, variables, compress=False):
    """A .mat file, written independently of scipy: any byte order, parts of any type."""
    content = b"MATLAB 5.0".ljust(124) + struct.pack(f"{order}H", 0x0100)
    content += struct.pack(f"{order}H", 0x4D49)

    def part(kind, data):
        if len(data) <= 4:
            return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
        return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)

    for name, (kind, array) in variables.items():
        body = part(6, struct.pack(f"{order}II", 6, 0)) + part(5, struct.pack(f"{order}2i", *array.shape))
        body += part(1, name.encode()) + part(kind, array.tobytes(order="F"))
        element = struct.pack(f"{order}II", 14, len(body)) + body
        if compress:
            packed = zlib.compress(element)
            element = struct.pack(f"{order}II", 15, len(packed)) + packed
        content += element
    return content


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_load_mat_of_any_byte_order_and_type(tmp_path, order, compress):
    codes = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
    for kind, dtype in codes.items():
        array = np.arange(12).reshape(3, 4).astype(order + dtype)
        content = mat_bytes(order, {"X": (kind, array), "y": (kind, array[:, :1])}, compress)
        X, y = datasets.load_mat(write(tmp_path / "a.mat", content), transpose=False)
        np.testing.assert_array_equal(X, array)
        assert X.dtype == np.dtype(dtype) and X.flags.writeable and y.tolist() == [0, 4, 8]


@pytest.mark.parametrize("kind", [0, 8, 14, 20, 255, 60000])
@pytest.mark.parametrize("compress", [False, True])
def test_load_mat_refuses_types_that_do_not_exist(tmp_path, kind, compress):
    """scipy crashes on them; the checksum of a compressed variable does not stop someone who means it."""
    content = mat_bytes("<", {"X": (kind, np.ones((3, 4))), "y": (9, np.ones((3, 1)))}, compress)
    with pytest.raises(ValueError, match=f"type {kind}"):
        datasets.load_mat(write(tmp_path / "a.mat", content))


@pytest.mark.parametrize("claim", [24, 40, 2**31, 2**32 - 8])
def test_load_mat_believes_no_length(tmp_path, claim):
    """The claims lie in compressed parts, where no size of a file limits them."""
    content = mat_bytes("<", {"X": (9, np.ones((2, 2))), "y": (9, np.ones((2, 1)))})
    place = content.index(struct.pack("<II", 9, 32)) + 4
    inner = content[128:place] + struct.pack("<I", claim) + content[place + 4 :]
    packed = zlib.compress(inner)
    path = write(tmp_path / "a.mat", content[:128] + struct.pack("<II", 15, len(packed)) + packed)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.mat: damaged MATLAB file"):
            datasets.load_mat(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1e6


def test_load_digits_is_a_stratified_split():
    (X_train, y_train), (X_test, y_test) = datasets.load_digits(test_size=0.25, random_state=3)
    assert X_train.shape == (1347, 64) and X_test.shape == (450, 64)
    assert X_train.dtype == np.uint8 and y_train.dtype == np.int64
    assert X_train.max() == 16
    total = np.bincount(np.r_[y_train, y_test])
    np.testing.assert_allclose(np.bincount(y_test), total / 4, atol=1)
    (again, _), _ = datasets.load_digits(test_size=0.25, random_state=3)
    np.testing.assert_array_equal(again, X_train)


@pytest.mark.parametrize("parser", ["pandas", "liac-arff"])
def test_fetch_mnist(monkeypatch, parser):
    import sklearn.datasets

    asked = {}

    def fetch_openml(name, **options):
        asked.update(options, name=name)
        X = np.broadcast_to(np.arange(784) % 256, (70_000, 784))
        return X, np.array(["1"] * 60_000 + ["7"] * 10_000, dtype=object)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: parser == "pandas")
    (X_train, y_train), (X_test, y_test) = datasets.load_mnist()
    assert asked["name"] == "mnist_784" and not asked["as_frame"] and asked["parser"] == parser
    assert X_train.shape == (60_000, 784) and X_test.shape == (10_000, 784)
    assert X_train.dtype == np.uint8 and X_train[0, 255] == 255
    assert set(y_train) == {1} and set(y_test) == {7} and y_test.dtype == np.int64


def test_fetch_mnist_refuses_another_shape(monkeypatch):
    import sklearn.datasets

    answer = np.zeros((5, 784)), np.zeros(5)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *args, **options: answer)
    with pytest.raises(ValueError, match=r"shape \(5, 784\)"):
        datasets.fetch_mnist()


@needs_mnist
def test_real_mnist():
    folder = Path(os.environ["FASTLR_DATA"]) / "mnist"
    (X_train, y_train), (X_test, y_test) = datasets.load_mnist(folder)
    assert X_train.shape == (60_000, 784) and X_test.shape[1] == 784
    assert len(y_test) == len(X_test)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9] and y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(y_train).tolist()[:3] == [5923, 6742, 5958]
    assert X_train.mean() == pytest.approx(33.318421, abs=1e-5)
