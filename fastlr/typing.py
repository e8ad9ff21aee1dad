"""Types in the signatures of what is public."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.floating[Any]]
# Frames of pandas and polars are array-like, sparse matrices are not.
Features: TypeAlias = ArrayLike | sp.spmatrix | sp.sparray
File: TypeAlias = str | PathLike[str]
Names: TypeAlias = Sequence[Any] | Array
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None
Scaling: TypeAlias = Literal["unit", "standard"] | None
Seed: TypeAlias = int | np.random.RandomState | None
History: TypeAlias = dict[str, list[float]]
Split: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]
