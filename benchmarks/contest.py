"""A piece of work, and the sides that do it in turns: what becomes a row of a table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from benchmarks.measure import ratio, seconds, take_turns, timed

# What `tol` is chosen from, to reach a peer's objective.
TOLERANCES = tuple(float(f"{digit}e-{power}") for power in range(2, 9) for digit in (1, 0.3))


@dataclass
class Peer:
    """A side that is not fastlr's.

    Parameters
    ----------
    name : str
    prepare : callable
        Brings the data into the peer's form and returns what fits once; raises ImportError.
    slow : bool, default=False
        Runs once, and with --quick not at all.
    scale : float, default=1.0
        What its time is multiplied by, if it does a part of the work.
    note : str, default=""
    """

    name: str
    prepare: Callable
    slow: bool = False
    scale: float = 1.0
    note: str = ""

    @property
    def is_installed(self):
        try:
            self.prepare()
        except ImportError:
            return False
        return True

    @cached_property
    def first(self):
        """Seconds of the first fit, and its model; rows that share a slow peer share this."""
        self.fit = self.prepare()
        return timed(self.fit)


def _unchanged(coef, intercept):
    return coef, intercept


@dataclass
class Work:
    """A problem, how fastlr fits it, and who else does.

    Parameters
    ----------
    label : str
    fit : callable
        A fitted model of fastlr's for a tolerance.
    objective : callable
        Of coef and intercept, in the units of the problem.
    peers : list of Peer
    tol : float or None, default=None
        None is the loosest that reaches the peer's objective.
    known : float, default=-inf
        The objective to reach where the peer is cut short.
    units : callable
        Weights that act on raw X, in the units of the problem.
    """

    label: str
    fit: Callable
    objective: Callable
    peers: list = field(default_factory=list)
    tol: float | None = None
    known: float = -np.inf
    units: Callable = _unchanged

    def judged(self, model):
        """The objective of a model of fastlr's."""
        return self.objective(*self.units(model.coef_, model.intercept_))

    def tolerance(self, target):
        """The tolerance to measure at."""
        if self.tol is not None:
            return self.tol
        return next((tol for tol in TOLERANCES if self.judged(self.fit(tol)) <= target), TOLERANCES[-1])


def rows_of(work, options):
    """A row for each peer of a piece of work; one without, if none runs."""
    count = 0
    for peer in work.peers:
        if peer.slow and options.quick:
            continue
        try:
            yield _row(work, peer, options.repeats)
            count += 1
        except ImportError as error:
            yield f"{work.label}, against {peer.name}", "", "", "", f"not installed: {error.name}"
    if not count:
        yield _row(work, None, options.repeats)


def _row(work, peer, repeats):
    target, theirs = work.known, ""
    if peer is not None:
        _, rival = peer.first
        reached = work.objective(rival.coef_, rival.intercept_)
        target = reached if peer.scale == 1 else work.known
        theirs = f"; peer {reached:.8g}" + _told(rival, "" if not peer.note else f" ({peer.note})")
    tol = work.tolerance(target)
    found = {}
    sides = {"fastlr": lambda: found.update(fastlr=work.fit(tol))}
    if peer is not None and not peer.slow:
        sides[peer.name] = peer.fit
    times = take_turns(sides, repeats)
    model = found["fastlr"]
    value = work.judged(model)
    note = f"objective {value:.8g}" + theirs + describe(model, tol) + suspicion(model, value)
    if work.tol is None and value > target:
        note += f"; DOES NOT REACH {target:.8g}"
    if peer is None:
        return work.label, seconds(times["fastlr"]), "", "", note
    if reached < value - model.dual_gap_ - 1e-9 * value:
        note += "; PEER IS BELOW THE CERTIFIED BOUND"
    rounds = [peer.scale * t for t in times.get(peer.name, [peer.first[0]])]
    label = f"{work.label}, against {peer.name}"
    return label, seconds(times["fastlr"]), seconds(rounds), ratio(rounds, times["fastlr"]), note


def _told(rival, note):
    n_iter = getattr(rival, "n_iter_", None)
    return note if n_iter is None else f", {np.max(n_iter)} iterations{note}"


def describe(model, tol):
    """tol, gap, iterations and solver of a model."""
    text = f"; tol {tol:g}, gap {model.dual_gap_:.2g}"
    if hasattr(model, "null_objective_"):
        text += f" ({model.dual_gap_ / model.null_objective_:.1e} of null)"
    text += f", {np.max(model.n_iter_)} iterations of {model.solver_}"
    return text if model.converged_ else text + ", NOT CONVERGED"


def suspicion(model, value):
    """A word if the model's own objective is not the neutral one."""
    return (
        "" if abs(model.objective_ - value) <= 1e-6 * value else f"; objective_ SAYS {model.objective_:.8g}"
    )
