"""Weights on the disk while a fit runs, so that one that is killed can go on."""

import json
import os
import time

import numpy as np

from fastlr import npz

_SECONDS = 1.0  # between two of them, at least
_SHARE = 10  # and so many times what the last one took


class Checkpoint:
    """A file of the weights so far; a fit that finds it starts from them.

    It holds nothing but a point to start from: the certificate of a fit is its own, whatever the file says.

    Parameters
    ----------
    path : str or path-like
    classes : array of shape (n_classes,)
    """

    def __init__(self, path, classes):
        if not isinstance(path, (str, os.PathLike)):  # a number would be one of an open file
            raise TypeError(f"checkpoint must be None or a path; found {path!r}.")
        self.path, self.classes = path, [str(label) for label in classes.tolist()]
        self.next = 0.0

    def load(self, shape):
        """The coefficients of that shape and the intercepts of the file, or None if there is no file.

        Raises
        ------
        ValueError
            If it is damaged, or of another problem.
        """
        if not os.path.exists(self.path):
            folder = os.path.dirname(os.path.realpath(self.path))
            if not os.path.isdir(folder):  # better now than after the first pass
                raise FileNotFoundError(f"checkpoint={str(self.path)!r} needs a folder that is there.")
            return None
        with npz.open_npz(self.path) as archive:
            coef, intercept, about = (
                npz.read_member(archive, name, self.path) for name in ("coef", "intercept", "about")
            )
        try:
            classes = [str(label) for label in json.loads(about.tobytes())["classes"]]
        except (ValueError, LookupError, TypeError):
            classes = None
        if classes is None or {coef.dtype.kind, intercept.dtype.kind} != {"f"}:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a file that a fit has written. Remove it."
            )
        if coef.shape != shape or intercept.shape != shape[:1] or classes != self.classes:
            raise ValueError(
                f"checkpoint={str(self.path)!r} holds weights of shape {coef.shape} for the classes "
                f"{', '.join(classes)}; this fit has shape {shape} and the classes "
                f"{', '.join(self.classes)}. Remove the file, or name another."
            )
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError(f"checkpoint={str(self.path)!r} holds weights that are not finite. Remove it.")
        return coef, intercept

    def keep(self, coef, intercept, *, is_last=False):
        """Writes the weights, unless that was done a moment ago and these are not the last ones."""
        began = time.monotonic()
        if began < self.next and not is_last:
            return
        about = np.frombuffer(json.dumps({"classes": self.classes}).encode(), dtype=np.uint8)
        arrays = {"coef": np.asarray(coef), "intercept": np.asarray(intercept), "about": about}
        npz.write({f"{name}.npy": npz.as_bytes(array) for name, array in arrays.items()}, self.path)
        now = time.monotonic()
        self.next = now + max(_SECONDS, _SHARE * (now - began))
