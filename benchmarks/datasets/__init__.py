"""The data sets: a file each.

A file has TITLE; LIMIT, the seconds that all runs of a solver on it may take; STORAGES, of "float64",
"float32" and "uint8"; and `load(folder, penalty, storage)`, which makes a Problem. Peers compute in floating
point, and converting is not on the clock: on "uint8" they would run as on "float32", and the report takes
their times from there.
"""

from dataclasses import dataclass
from importlib import import_module

NAMES = (
    "digits", "mnist_5000", "mnist_60000", "five_eight", "news", "tall", "wide", "correlated", "separable",
    "mnist8m",
)  # fmt: skip
PENALTIES = ("l1", "l2")


@dataclass(frozen=True)
class Case:
    """A problem by its names: what solvers compete on."""

    dataset: str
    storage: str
    penalty: str

    @property
    def module(self):
        return import_module(f"benchmarks.datasets.{self.dataset}")

    @property
    def key(self):
        return f"{self.dataset}-{self.storage}-{self.penalty}"

    @property
    def title(self):
        return f"{self.module.TITLE}, {self.storage}, {self.penalty.upper()}"

    @property
    def lender(self):
        """The case from which the report takes the peers, or None."""
        if self.storage == "uint8" and "float32" in self.module.STORAGES:
            return Case(self.dataset, "float32", self.penalty)
        return None

    def load(self, folder):
        return self.module.load(folder, self.penalty, self.storage)


def cases(names=NAMES):
    """All cases of these data sets."""
    for name in names:
        for storage in import_module(f"benchmarks.datasets.{name}").STORAGES:
            for penalty in PENALTIES:
                yield Case(name, storage, penalty)
