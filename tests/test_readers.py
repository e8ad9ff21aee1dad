"""Tables come out of files as they went in, and what cannot be a table is refused with its reason."""

import csv
import gzip
import importlib.util
import io
import os
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import savemat
from sklearn.datasets import dump_svmlight_file

from fastlr.readers import READERS, read_table

pandas = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5)).round(3)
Y = np.arange(30) % 3
WORDS = np.array(["no", "yes", "perhaps"])[Y]
NAMES = ["a", "b", "c", "d", "e"]


def frame(y=Y, **others):
    return pandas.DataFrame(X, columns=NAMES).assign(**others, kind=y)


def write(path, content):
    path.write_text(content)
    return path


def same(table, features=X, labels=Y):
    found = table.X.toarray() if sp.issparse(table.X) else table.X
    np.testing.assert_array_equal(found, features)
    if labels is None:
        assert table.y is None
    else:
        np.testing.assert_array_equal(table.y, labels)
        assert table.y.dtype.kind == np.asarray(labels).dtype.kind


# ---- every kind of file -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("X", "y"), ("x", "y"), ("data", "target"), ("images", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, names, save):
    save(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True)))
    same(read_table(tmp_path / "a.npz"))


def test_npz_labels_of_another_name(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y, words=WORDS[:, None])
    same(read_table(tmp_path / "a.npz", "words"), labels=WORDS)
    with pytest.raises(ValueError, match=r"target 'wurds' is neither .* found: X, y, words"):
        read_table(tmp_path / "a.npz", "wurds")


def test_npz_of_keras(tmp_path):
    images, labels = RNG.integers(0, 256, (9, 4, 5), dtype=np.uint8), np.arange(9, dtype=np.uint8)
    arrays = {"x_train": images[:6], "y_train": labels[:6], "x_test": images[6:], "y_test": labels[6:]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    table = read_table(tmp_path / "mnist.npz")
    np.testing.assert_array_equal(table.X, images[:6].reshape(6, 20))
    np.testing.assert_array_equal(table.test[0], images[6:].reshape(3, 20))
    assert table.X.dtype == np.uint8 and table.image_shape == (4, 5)
    np.testing.assert_array_equal(np.r_[table.y, table.test[1]], labels)


def test_npz_of_scipy(tmp_path):
    sparse = sp.random_array((30, 8), density=0.3, random_state=0, format="csc")
    sp.save_npz(tmp_path / "a.npz", sparse)
    np.save(tmp_path / "labels.npy", WORDS)
    table = read_table(tmp_path / "a.npz", str(tmp_path / "labels.npy"))
    assert table.X.format == "csr"
    same(table, sparse.toarray(), WORDS)
    same(read_table(tmp_path / "a.npz", n_features=8), sparse.toarray(), None)
    with pytest.raises(ValueError, match="has no labels"):
        read_table(tmp_path / "a.npz")


def test_npz_of_scipy_with_an_index_beyond_the_columns(tmp_path):
    sparse = sp.csr_array(np.eye(4))
    sparse.indices[2] = 10**6
    arrays = {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr}
    np.savez(tmp_path / "a.npz", **arrays, shape=(4, 4), format=b"csr", y=np.arange(4))
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
def test_sparse_matrices_of_scipy_are_checked_before_they_are_used(tmp_path, kind):
    """scipy converts by indices and lengths that it has not looked at."""
    path, sparse = tmp_path / "a.npz", sp.random_array((30, 8), density=0.3, random_state=0).asformat(kind)
    parts = {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr, "shape": sparse.shape}
    np.savez(path, **parts, format=kind.encode(), y=Y)
    same(read_table(path), sparse.toarray())
    for change, message in [
        ({"indices": np.where(parts["indices"] == 7, 10**6, parts["indices"])}, "indices|index"),
        ({"indices": -1 - parts["indices"]}, "indices|index"),
        ({"indptr": parts["indptr"][::-1]}, "index pointer|indptr"),
        ({"shape": (10**9, 8)}, "too small for a sparse matrix of shape|index pointer"),
        ({"shape": (2**62, 8)}, "too small for a sparse matrix of shape"),
        ({"shape": (30, 8, 1)}, r"needed: csr, csc or bsr, \(n, d\)"),
        ({"shape": (-30, 8)}, "a.npz"),
        ({"format": "csx"}, "format csx .* needed: csr, csc or bsr"),
        ({"format": np.array(["csr"])}, "needed: csr, csc or bsr"),
        ({"indices": parts["indices"] / 2}, "sparse matrix of float64, float64, int"),
        ({"data": parts["data"] * 1j}, "sparse matrix of complex128"),
    ]:
        np.savez(path, **{"format": kind.encode(), **parts, **change}, y=Y)
        with pytest.raises(ValueError, match=message) as caught:
            read_table(path)
        assert str(path) in str(caught.value)


def test_members_that_are_not_there_take_no_memory(tmp_path):
    """64 MB, which an archive of 70 kB could hold, but does not."""
    path = tmp_path / "a.npz"
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|u1", "fortran_order": False, "shape": (1 << 26, 1)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", content.getvalue() + os.urandom(70_000))
    damaged = bytearray(path.read_bytes())
    place = damaged.index(b"PK\1\2") + 24
    damaged[place : place + 4] = (len(content.getvalue()) + (1 << 26)).to_bytes(4, "little")
    path.write_bytes(damaged)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.npz"):
            read_table(path)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_members_that_overlap_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=X, y=Y)
    damaged = bytearray(path.read_bytes())
    place = damaged.index(b"PK\1\2") + 20
    damaged[place : place + 8] = (10**9).to_bytes(4, "little") * 2
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="its members claim to be larger than it"):
        read_table(path)


def test_npz_refuses(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, A=X, b=Y)
    with pytest.raises(ValueError, match=r"found: A, b; needed: X and y"):
        read_table(path)
    np.savez(path, X=X)
    with pytest.raises(ValueError, match=r"has no labels; found: X"):
        read_table(path)
    same(read_table(path, n_features=5), labels=None)
    np.savez(path, X=X, y=Y.astype(object))
    with pytest.raises(ValueError, match="pickled objects"):
        read_table(path)
    np.savez(path, X=X, y=Y[1:])
    with pytest.raises(ValueError, match=r"labels have shape \(29,\); needed: \(30,\)"):
        read_table(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="not an intact npz"):
        read_table(path)


@pytest.mark.parametrize("target", [None, 0, "2", -1])
def test_npy(tmp_path, target):
    column = 5 if target is None else int(target) % 6
    np.save(tmp_path / "a.npy", np.insert(X, column, Y, axis=1))
    same(read_table(tmp_path / "a.npy", target))


def test_npy_refuses(tmp_path):
    path = tmp_path / "a.npy"
    for array, message in [
        (Y, r"shape \(30,\); needed: a matrix"),
        (np.array([[1, "a"]], dtype=object), "objects"),
        (np.array([["a", "b"]]), "type <U1; needed: real numbers"),
        (np.ones((3, 1)), "3 rows and 0 features"),
        (np.ones((0, 3)), r"a\.npy"),
        (X * 1j, "complex128"),
    ]:
        np.save(path, array)
        with pytest.raises(ValueError, match=message):
            read_table(path)
    np.save(path, X)
    with pytest.raises(ValueError, match="no column 'kind' to be the target; its columns: 0 to 4, without"):
        read_table(path, "kind")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_table(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_table(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 10**30), "truncated: its header gives shape"),
        ((2**32, 2**32), "truncated: its header gives shape"),  # 2^64: 0 in 64 bits
        ((10**9, 3), "truncated: 48 bytes"),
        ((2, 2), "trailing bytes after the 32"),
        ((-2, -3), "damaged header"),
        ((True, 6), "damaged header"),
        ((1,) * 40, "damaged header"),
    ],
)
def test_npy_headers_that_do_not_fit(tmp_path, shape, message):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": shape})
    (tmp_path / "a.npy").write_bytes(content.getvalue() + bytes(48))
    with pytest.raises(ValueError, match=rf"a\.npy: {message}"):
        read_table(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\4N.", b"\x93NUMPY\2\0\xff\xff\xff\xff{}"])
def test_npy_files_of_other_kinds(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy: damaged header"):
        read_table(tmp_path / "a.npy")


@pytest.mark.parametrize("index", [2**31, 2**63 - 1, 2**63, 10**30])
def test_libsvm_features_that_no_table_has(tmp_path, index):
    with pytest.raises(ValueError, match=r"a\.svm: has the number of a feature beyond 2\^31 - 1"):
        read_table(write(tmp_path / "a.svm", f"1 {index}:2\n"))


@pytest.mark.parametrize("suffix", [".libsvm", ".svm", ".svmlight"])
def test_libsvm(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    dump_svmlight_file(X, Y, str(path), zero_based=False)
    same(read_table(path))
    wider = read_table(path, n_features=7)
    assert wider.X.shape == (30, 7)
    with pytest.raises(ValueError, match="input file contains 5 features"):
        read_table(path, n_features=3)
    with pytest.raises(ValueError, match="fixed place"):
        read_table(path, "kind")
    with pytest.raises(ValueError, match=r"a\.s?(lib)?"):
        read_table(write(path, "1 1:2 no:3\n"))
    with pytest.raises(ValueError, match="0 rows"):
        read_table(write(path, ""))


def test_mat_of_the_course(tmp_path):
    images, labels = RNG.random((20, 20, 20)), np.arange(20) % 10
    stored = {"X": images.transpose(0, 2, 1).reshape(20, 400), "y": np.where(labels, labels, 10)[:, None]}
    savemat(tmp_path / "digits.mat", stored)
    table = read_table(tmp_path / "digits.mat")
    same(table, images.reshape(20, 400), labels)
    assert table.image_shape == (20, 20)


def test_mat_of_anything_else_is_taken_as_it_is(tmp_path):
    labels = Y + 8  # 8, 9, 10
    savemat(tmp_path / "a.mat", {"X": X, "y": labels[:, None]})
    same(read_table(tmp_path / "a.mat"), labels=labels)


def test_folder(tmp_path):
    images, labels = RNG.integers(0, 256, (6, 2, 3), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    for stem, rows in (("train", slice(0, 4)), ("t10k", slice(4, 6))):
        n = len(labels[rows])
        header = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 3])
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(header + images[rows].tobytes())
        header = bytes([0, 0, 8, 1, 0, 0, 0, n])
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(header + labels[rows].tobytes())
    table = read_table(tmp_path)
    np.testing.assert_array_equal(table.X, images[:4].reshape(4, 6))
    assert table.image_shape == (2, 3) and table.test[1].tolist() == [4, 5]
    with pytest.raises(FileNotFoundError, match="train-images"):
        read_table(tmp_path.parent)


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    frame(WORDS).to_parquet(path)
    same(read_table(path), labels=WORDS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((ValueError, OSError)):
        read_table(path)


@pytest.mark.parametrize(
    ("suffix", "package"), [("parquet", "pyarrow"), ("parquet", "pandas"), ("csv", "pandas")]
)
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, suffix, package):
    path = write(tmp_path / f"a.{suffix}", "a,b\n1,2\n")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(ModuleNotFoundError, match=f"reading .{suffix} needs .*{package}.*: pip install "):
        read_table(path)


def test_unknown_kinds(tmp_path):
    with pytest.raises(ValueError, match=r"type \.docx cannot be read; needed: a folder .*\.npz, \.npy"):
        read_table(tmp_path / "a.docx")
    for suffix in READERS:
        if suffix != ".parquet" or importlib.util.find_spec("pyarrow"):
            with pytest.raises(FileNotFoundError):
                read_table(tmp_path / f"absent{suffix}")


# ---- tables of text -----------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("labels", [Y, WORDS], ids=["numbers", "words"])
@pytest.mark.parametrize("has_names", [True, False])
def test_csv(tmp_path, separator, labels, has_names):
    path = tmp_path / "a.csv"
    frame(labels).to_csv(path, index=False, sep=separator, header=has_names)
    table = read_table(path)
    same(table, labels=labels)
    assert table.names == (NAMES if has_names else None)
    assert table.target == ("column 'kind'" if has_names else "column 5")


def test_csv_of_many_columns(tmp_path, monkeypatch):
    """Of long lines only a start is searched for the separator: the Sniffer would take minutes."""
    found = []
    true_sniff = csv.Sniffer.sniff
    monkeypatch.setattr(csv.Sniffer, "sniff", lambda *a, **b: found.append(a[1]) or true_sniff(*a, **b))
    for separator in ",;\t":
        names = separator.join(f'"a{i}"' for i in range(3000))
        path = write(tmp_path / "a.csv", f"{names}\n{separator.join(['1.5'] * 3000)}\n")
        assert read_table(path).X.shape == (1, 2999)
    assert max(map(len, found)) <= 1 << 14 and len(found) == 3


def test_csv_compressed_and_from_standard_input(tmp_path, monkeypatch):
    content = frame(WORDS).to_csv(index=False).encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    same(read_table(tmp_path / "a.csv.gz"), labels=WORDS)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    same(read_table("-"), labels=WORDS)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content)[:-20])
    with pytest.raises(ValueError, match=r"a\.csv\.gz"):
        read_table(tmp_path / "a.csv.gz")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(ValueError, match="standard input: is empty"):
        read_table("-")


@pytest.mark.parametrize(
    ("content", "n_rows"),
    [
        ("a,b\n1,2\n3,4\n", 2),
        ("1,2\n3,4\n", 2),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", 2),
        ("length,width,kind\n5.1,3.5,setosa\n", 1),
        ("5.1,,setosa\n4.9,3.0,setosa\n", None),  # data, of which a value is missing
        ("0,1,2,kind\n1.5,2,3,a\n", 1),  # names that pandas gave
        ("label,0,1\n7,2,3\n", 1),
        (",a,kind\n0,1.5,x\n1,2.5,y\n", 2),  # with the index, as pandas writes it
        ("7,8\n", 1),
        ("\ufeffa,b\n1,2\n", 1),
    ],
)
def test_csv_finds_its_names(tmp_path, content, n_rows):
    path = write(tmp_path / "a.csv", content)
    if n_rows is None:
        with pytest.raises(ValueError, match=r"column 1 lacks 1 of \d values, the first in row 1"):
            read_table(path)
    else:
        assert len(read_table(path).y) == n_rows


@pytest.mark.parametrize("target", ["b", "1", 1, -5])
def test_csv_target(tmp_path, target):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False)
    table = read_table(path, target)
    assert table.names == ["a", "c", "d", "e", "kind"] and table.target == "column 'b'"
    np.testing.assert_array_equal(table.y, X[:, 1])


def test_csv_target_that_is_not_there(tmp_path):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False)
    for target in ("colour", "6", -7):
        with pytest.raises(ValueError, match=f"no column .?{target}.? .*: a, b, c, d, e, kind"):
            read_table(path, target)


def test_csv_of_bytes_is_narrow(tmp_path):
    pixels = RNG.integers(0, 256, (30, 4))
    pandas.DataFrame(pixels).assign(label=Y).to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv")
    same(table, pixels)
    assert table.X.dtype == np.uint8
    pandas.DataFrame(pixels + 1).assign(label=Y).to_csv(tmp_path / "a.csv", index=False)
    same(read_table(tmp_path / "a.csv"), pixels + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": "red"}, "column 'c' holds text or objects, such as 'red' in row 1; needed: numbers"),
        ({"c": [1.5, "?"] * 15}, "column 'c' holds text or objects, such as '\\?' in row 2"),
        ({"c": "2024-01-31"}, "column 'c' holds text or objects, such as '2024-01-31' in row 1"),
        ({"c": [None, 2.0] * 15}, "column 'c' lacks 15 of 30 values, the first in row 1"),
        ({"c": [1.0, np.inf] * 15}, "15 values are NaN or infinite, the first in row 2, column 'c'"),
        ({"y": [0, 1, None] * 10}, "the target, column 'kind', lacks 10 of 30 values, the first in row 3"),
    ],
)
def test_csv_refuses_what_is_no_number(tmp_path, change, message):
    frame(**change).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "0 rows"),
        ("a,b\n1,2\n1,2,3,4\n", "Expected 2 fields"),
        ("kind\n1\n2\n", "0 features"),
    ],
)
def test_csv_refuses_what_is_no_table(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_table(write(tmp_path / "a.csv", content))
    assert "a.csv" in str(caught.value)


def test_csv_refuses_binary_files(tmp_path):
    (tmp_path / "a.csv").write_bytes(os.urandom(1000))
    with pytest.raises(ValueError, match=r"a\.csv"):
        read_table(tmp_path / "a.csv")


# ---- for a model that knows its features --------------------------------------------------------------


def test_rows_to_predict_by_number(tmp_path):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False, header=False)
    same(read_table(path, n_features=5))
    same(read_table(path, n_features=6), np.c_[X, Y], None)
    with pytest.raises(ValueError, match="has 5 features; the model needs 4"):
        read_table(path, n_features=4)
    np.save(tmp_path / "a.npy", X)
    same(read_table(tmp_path / "a.npy", n_features=5), labels=None)
    same(read_table(tmp_path / "a.npy", n_features=4), X[:, :4], X[:, 4])


def test_rows_to_predict_by_name(tmp_path):
    """In any order, with the target anywhere; other columns do not matter where the target is named."""
    path = tmp_path / "a.csv"
    frame(WORDS)[["kind", "e", "a", "b", "d", "c"]].to_csv(path, index=False)
    known = {"n_features": 5, "feature_names": NAMES}
    same(read_table(path, **known), labels=WORDS)
    frame(WORDS, id=range(30)).to_csv(path, index=False)
    same(read_table(path, **known), labels=None)
    same(read_table(path, "kind", **known), labels=WORDS)
    frame()[["a", "b", "kind"]].to_csv(path, index=False)
    with pytest.raises(ValueError, match="lacks the features c, d, e; found: a, b, kind"):
        read_table(path, **known)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (Y.astype(np.float32), Y),
        (Y == 1, Y == 1),
        (Y + 0.5, Y + 0.5),
        (np.where(Y == 0, np.nan, Y), "NaN"),
        (Y.astype("M8[D]"), "type datetime64"),
    ],
    ids=["whole", "bool", "fractions", "nan", "dates"],
)
def test_labels(tmp_path, labels, expected):
    np.savez(tmp_path / "a.npz", X=X, y=labels)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            read_table(tmp_path / "a.npz")
    else:
        same(read_table(tmp_path / "a.npz"), labels=expected)


def test_sparse_rows_that_are_not_finite(tmp_path):
    sparse = sp.csr_array(np.eye(4))
    sparse.data[2] = np.inf
    sp.save_npz(tmp_path / "a.npz", sparse)
    with pytest.raises(ValueError, match="1 values are NaN or infinite, the first in row 3, column 2"):
        read_table(tmp_path / "a.npz", n_features=4)


def test_large_values_are_finite(tmp_path):
    large = np.full((30, 5), 1e308)
    np.savez(tmp_path / "a.npz", X=large, y=Y)
    same(read_table(tmp_path / "a.npz"), large)
