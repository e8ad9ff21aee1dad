"""Values as JSON and arrays, and back: what a file without pickle can hold of a model.

JSON's own values stand for themselves. A dict of one key with a $ stands for a value of another type: that of
key "$array" is the name of an array that is stored beside the JSON.
"""

from dataclasses import asdict

import numpy as np
import scipy.sparse as sp

from fastlr.stopping import EarlyStopping

ARRAY_KINDS = "?biufSUmM"  # truth, numbers, strings and times
_PLAIN = (bool, int, float, str, type(None))


class UnstorableError(ValueError):
    """A value that would need pickle."""


def pack(value, name, arrays):
    """A value as JSON can hold it; its arrays go into `arrays`, under names that begin with this one."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is float and not np.isfinite(value):
        return {"$float": repr(value)}
    if type(value) in _PLAIN:
        return value
    if type(value) is list:
        return [pack(part, f"{name}.{i}", arrays) for i, part in enumerate(value)]
    if type(value) is tuple:
        return {"$tuple": pack(list(value), name, arrays)}
    if type(value) is dict:
        return _pack_dict(value, name, arrays)
    if type(value) is EarlyStopping:
        return {"$EarlyStopping": pack(asdict(value), name, arrays)}
    if isinstance(value, np.ma.MaskedArray):
        parts = {"data": np.asarray(value.data), "mask": np.ma.getmaskarray(value)}
        return {"$masked": pack(parts, name, arrays)}
    if isinstance(value, np.ndarray):
        return _pack_array(value, name, arrays)
    if sp.issparse(value) and value.format == "csr":
        parts = {each: getattr(value, each) for each in ("data", "indices", "indptr")}
        return {"$csr": pack({**parts, "shape": list(value.shape)}, name, arrays)}
    raise UnstorableError(f"{name} is a {type(value).__name__}, which would need pickle")


def _pack_dict(value, name, arrays):
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: pack(part, f"{name}.{key}", arrays) for key, part in value.items()}
    return {"$dict": pack([[key, part] for key, part in value.items()], name, arrays)}


def _pack_array(value, name, arrays):
    if value.dtype.kind in ARRAY_KINDS:
        name = name if name.replace(".", "").replace("_", "").isalnum() else "array"
        while name in arrays:
            name += "_"
        arrays[name] = np.asarray(value)
        return {"$array": name}
    # Names of columns, and labels that came from pandas, are arrays of Python's strings.
    if value.dtype.kind == "O" and value.ndim == 1:
        parts = pack(value.tolist(), name, arrays)
        if all(type(part) in _PLAIN for part in parts):
            return {"$objects": parts}
    raise UnstorableError(f"{name} is an array of {value.dtype}, which would need pickle")


def unpack(value, arrays):
    """The value that `pack` had; takes the arrays it uses out of `arrays`."""
    if isinstance(value, list):
        return [unpack(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith("$") for key in value):
        return {key: unpack(part, arrays) for key, part in value.items()}
    ((kind, content),) = value.items()
    if kind == "$array":
        if content not in arrays:
            raise ValueError(f"array {content!r} is missing")
        return arrays.pop(content)
    if kind not in _UNPACKED:
        raise ValueError(f"a value of the unknown kind {kind}")
    return _UNPACKED[kind](unpack(content, arrays))


def _objects(parts):
    array = np.empty(len(parts), dtype=object)
    array[:] = parts
    return array


def _masked(parts):
    if parts["data"].shape != parts["mask"].shape:
        raise ValueError("a mask that does not fit its array")
    return np.ma.array(parts["data"], mask=parts["mask"])


def _csr(parts):
    return sp.csr_matrix((parts["data"], parts["indices"], parts["indptr"]), parts["shape"])


_UNPACKED = {
    "$float": float,
    "$tuple": tuple,
    "$dict": dict,
    "$EarlyStopping": lambda fields: EarlyStopping(**fields),
    "$csr": _csr,
    "$masked": _masked,
    "$objects": _objects,
}
