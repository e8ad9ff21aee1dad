"""Small valid files for each reader, and all that damaged ones may lead to: for test_damaged.py and fuzz/.

Where a checksum protects the inside of a file, there is a second kind, packed after the damage: whoever
wants to deceive computes checksums anew.
"""

import gzip
import io
import struct
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.io import savemat

import fastlr
from fastlr import datasets
from fastlr.persistence import files
from fastlr.readers import read_table

X = np.arange(8, dtype=np.float32).reshape(4, 2) / 8
IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
Y = np.arange(4, dtype=np.uint8) % 2
_BETWEEN = b"\n|\n"  # members of an archive


def _bytes(write, *arguments, **options):
    stream = io.BytesIO()
    write(stream, *arguments, **options)
    return stream.getvalue()


def _idx(array, code):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def _saved(model):
    with tempfile.TemporaryDirectory() as folder:
        fastlr.save(model, Path(folder) / "model")
        return (Path(folder) / "model").read_bytes()


def _members(content):
    """An archive as it is before it is packed: names and contents."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return _BETWEEN.join(
            part for name in archive.namelist() for part in (name.encode(), archive.read(name))
        )


def _archive(content, compression=zipfile.ZIP_DEFLATED, with_digest=False):
    parts = content.split(_BETWEEN)
    members = {name.decode("latin-1"): member for name, member in zip(parts[::2], parts[1::2], strict=False)}
    if with_digest:
        members["sha256"] = files._digest(members).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, compression)
    return stream.getvalue()


def _model(content):
    return _archive(content, zipfile.ZIP_STORED, with_digest=True)


def _packed_mat(content):
    """Each element of a .mat file compressed, as far as the tags lead."""
    packed, rest = content[:128], content[128:]
    while len(rest) >= 8:
        length = 8 + struct.unpack("<I", rest[4:8])[0]
        element = zlib.compress(rest[:length])
        packed, rest = packed + struct.pack("<II", 15, len(element)) + element, rest[length:]
    return packed


def _load(path):
    model = fastlr.load(path)
    if getattr(model, "refit", True) and model.n_features_in_ < 100:
        with suppress(ValueError):  # parameters are looked at when they are used
            model.predict(np.zeros((2, model.n_features_in_)))
    return model


_KERAS = {"x_train": IMAGES, "y_train": Y, "x_test": IMAGES[:2], "y_test": Y[:2]}
_SPARSE = {kind: sp.csr_matrix(X).asformat(kind) for kind in ("csr", "csc", "bsr")}
_SEEDS = {
    "idx": {"u1": _idx(IMAGES, 8), "f8": _idx(np.ones(3), 14), "gz": gzip.compress(_idx(IMAGES, 8), mtime=0)},
    "npy": {"f4": _bytes(np.save, np.c_[X, Y]), "u1": _bytes(np.save, np.asfortranarray(IMAGES[0]))},
    "npz": {
        "packed": _bytes(np.savez_compressed, X=X, y=np.array(["a", "b", "b", "a"])),
        **{kind: _bytes(sp.save_npz, matrix) for kind, matrix in _SPARSE.items()},
    },
    "mnist": {"plain": _bytes(np.savez, **_KERAS), "packed": _bytes(np.savez_compressed, **_KERAS)},
    "libsvm": {"text": b"1 1:0.5 2:2\n-1 2:1e3 # a remark\n1 qid:3 1:1\n"},
    "csv": {"names": b'a,b,kind\n1,2.5,x\n3,4,"y"\n', "numbers": b"1;2;0\n3;4;1\n"},
    "mat": {
        "plain": _bytes(savemat, {"X": X, "y": Y[:, None], "more": "text"}),
        "packed": _bytes(savemat, {"X": X, "y": Y[:, None]}, do_compression=True),
    },
    "model": {
        "logistic": _saved(fastlr.LogisticRegression(class_weight={0: 1.5}).fit(X, Y)),
        "network": _saved(fastlr.MLPClassifier(2, max_iter=1, tol=None, random_state=0).fit(X, Y)),
        "folds": _saved(fastlr.LogisticRegressionCV(Cs=[1.0], cv=2, refit=False).fit(X, [0, 1, 1, 0])),
    },
}
SEEDS = {
    **_SEEDS,
    "idx-packed": {"u1": _SEEDS["idx"]["u1"]},
    "npz-packed": {name: _members(content) for name, content in _SEEDS["npz"].items()},
    "mnist-packed": {"plain": _members(_SEEDS["mnist"]["plain"])},
    "mat-packed": {"plain": _SEEDS["mat"]["plain"]},
    "model-packed": {name: _members(content) for name, content in _SEEDS["model"].items()},
}
_PACK = {
    "idx-packed": lambda content: gzip.compress(content, mtime=0),
    "npz-packed": _archive,
    "mnist-packed": _archive,
    "mat-packed": _packed_mat,
    "model-packed": _model,
}
_READ = {"idx": datasets.read_idx, "mnist": datasets.load_mnist_npz, "model": _load}


def read(kind, content, folder):
    """What the reader of a kind makes of a file of this content, or None where it refuses."""
    path = Path(folder) / f"a.{kind.removesuffix('-packed')}"
    try:
        content = _PACK.get(kind, bytes)(content)
    except (ValueError, UserWarning, struct.error):  # it cannot be packed
        return None
    path.write_bytes(content)
    try:
        return _READ.get(path.suffix[1:], lambda path: read_table(path, n_features=2))(path)
    except (ValueError, OSError) as error:
        if str(path) not in str(error) and getattr(error, "filename", None) != str(path):
            raise AssertionError(f"{error!r} does not name the file") from error
        return None
