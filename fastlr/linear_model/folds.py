"""Cross-validation along grids of C: what LogisticRegressionCV and LinearSVCCV share.

A fold is a vector of weights over the rows of one X: zero for the rows held out, which is to be absent. X is
never copied for it, and folds are threads. Shapes: n samples, d features, K score columns, F folds, L values
of l1_ratio, m values of C.
"""

import math
import signal
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn import config_context, get_config
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)

from fastlr import memory, validate
from fastlr.base import stored_dtype
from fastlr.blas import single_threaded
from fastlr.data import Data, thread_count
from fastlr.linear_model.convex import CUT_SHORT, ENDINGS, ConvexClassifier, Limits, worst
from fastlr.linear_model.path import at, cut_short, fit_path, warn_unless_converged, with_ratio
from fastlr.progress import progress_of
from fastlr.typing import Features, Floats


@dataclass(frozen=True)
class Fold:
    """How often each row is in the training part and in the part held out, times its weight."""

    training: np.ndarray
    held: np.ndarray
    score: dict  # metadata of the rows held out, for a scorer

    @property
    def rows(self):
        """Those held out."""
        return np.flatnonzero(self.held)


def _counts(rows, n):
    """How often each of n rows occurs in an index array or a mask."""
    rows = np.asarray(rows)
    if not rows.size:
        return np.zeros(n, dtype=np.intp)
    is_mask = rows.dtype == bool
    counts = np.bincount(np.flatnonzero(rows) if is_mask else rows, minlength=n)
    if len(counts) > n or (is_mask and len(rows) != n):
        raise ValueError(f"cv must give numbers of rows below {n}, or masks of {n} rows.")
    return counts


def _of_rows(metadata, rows, n):
    """Metadata of some of n rows; what has no value for each row stays as it is."""
    return {
        name: _safe_indexing(value, rows) if np.ndim(value) and len(value) == n else value
        for name, value in metadata.items()
    }


def split(cv, training, metadata, of_scores):
    """The folds of a splitter that takes such metadata, as weights of the rows."""
    n, labels = len(training.y), training.classes[training.y]
    folds = []
    with validate.about("cv"):
        for train, test in check_cv(cv, labels, classifier=True).split(training.X, labels, **metadata):
            fold = Fold(*(training.weight * _counts(rows, n) for rows in (train, test)), {})
            for name, weight in (("training", fold.training), ("held-out", fold.held)):
                if not weight.any():
                    raise ValueError(
                        f"cv must leave {name} rows of positive weight in every fold; "
                        f"fold {len(folds)} has none."
                    )
            folds.append(replace(fold, score=_of_rows(of_scores, fold.rows, n)))
        if not folds:
            raise ValueError("cv must give at least one fold; found none.")
    return folds


def workers(n_jobs, n_threads, n_tasks):
    """Tasks at a time, and threads of each."""
    n_threads = thread_count(n_threads)
    n_jobs = n_threads if n_jobs is None else effective_n_jobs(int(n_jobs))
    n_jobs = min(n_jobs, n_tasks)
    return n_jobs, max(1, n_threads // n_jobs)


@contextmanager
def _held_interrupts():
    """The signals SIGINT of this context, in a list that grows. The first raises nothing: a KeyboardInterrupt
    that comes while the main thread takes a lock would leave that locked, and all threads waiting for it."""
    before, held = signal.getsignal(signal.SIGINT), []
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before is not signal.default_int_handler:
        yield held
        return

    def hold(number, frame):
        held.append(number)
        if len(held) > 1:
            before(number, frame)

    signal.signal(signal.SIGINT, hold)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)


def run_all(run, tasks, n_jobs, stop, report):
    """[run(*task) for task in tasks] in threads, while this one calls `report` now and then.

    An error in one, or in the report, says `stop` to the others and is raised when they have ended. An
    interrupt says it, too, and so does a report that returns True, but then what the tasks return counts; a
    second interrupt is raised.
    """
    config = get_config()

    def run_configured(task):
        # scikit-learn's own Parallel brings the filters of warnings along, too, and sets them for all
        # threads: one that ends after an error would change them behind the user's back.
        with config_context(**config):
            return run(*task)

    def failed():
        return any(future.done() and future.exception() for future in futures)

    futures = []

    def run_in_pool():
        # Not joblib's threads, whose results are lost after an interrupt.
        with ThreadPoolExecutor(n_jobs) as pool:
            try:
                for task in tasks:
                    futures.append(pool.submit(run_configured, task))
                pending = futures
                while pending and not failed():
                    pending = wait(pending, 0.1, FIRST_EXCEPTION).not_done
                    if report() or held:
                        stop.set()
            except KeyboardInterrupt:
                stop.set()
                if held:  # the second one
                    raise
                futures.extend(pool.submit(run_configured, task) for task in tasks[len(futures) :])
            except Exception:
                stop.set()
                raise
            if failed():
                stop.set()

    with _held_interrupts() as held:
        single_threaded(run_in_pool)
    if held:
        stop.set()
    return [future.result() for future in futures]


@dataclass(frozen=True)
class Search:
    """What the folds have come to: solutions[fold][ratio] by places in Cs, and scores, of which each is one
    number or several, NaN for fits that have not been made in full. A coef has that shape (K, d)."""

    ratios: np.ndarray
    Cs: np.ndarray
    shape: tuple
    solutions: list
    scores: np.ndarray  # (F, L, m) or (F, L, m, scores)

    def table(self, name, missing, shape=()):
        """An attribute of all solutions, which has that shape, as an array (F, L, m, *shape)."""
        solutions = self.all_solutions
        dtype = np.asarray(getattr(solutions[0], name) if solutions else missing).dtype
        table = np.full((*self.scores.shape[:3], *shape), missing, dtype=dtype)
        for f, row in enumerate(self.solutions):
            for l, path in enumerate(row):
                for c, solution in path.items():
                    table[f, l, c] = getattr(solution, name)
        return table

    def mean_model(self, l, c):
        """(coef, intercept), the means over the folds; None if they lack that place."""
        found = [row[l].get(c) for row in self.solutions]
        if any(solution is None for solution in found):
            return None
        return tuple(np.mean([getattr(s, name) for s in found], axis=0) for name in ("coef", "intercept"))

    @property
    def all_solutions(self):
        return [solution for row in self.solutions for path in row for solution in path.values()]


class GridClassifier(ConvexClassifier):
    """A certified classifier whose C, and l1_ratio, is chosen by cross-validation.

    Subclasses have the parameters `Cs`, `cv`, `refit`, `n_jobs`, `n_threads`, `tol`, `max_iter`,
    `random_state` and `verbose`. They define

        _model(**options)              the estimator of a single fit, at C = 1
        _grid()                        l1_ratios (L,), and Cs (m,) or the length of an automatic grid
        _automatic_grid(n, problems, ratios)   that grid
        _score(model, data, solution, training, fold)    as many numbers as `_no_score` has
        _pick(search)                  the place (l, c) that is chosen, and a dict of attributes
        _without_refit(search)         further attributes where nothing is fitted to all rows
        _tell_choice()                 the choice, in a sentence
    """

    C_: float
    Cs_: Floats

    _no_score: Any = np.nan

    def _scorer(self):
        """The scorer that is given fitted estimators, or None where there are none."""
        return None

    def get_metadata_routing(self) -> Any:
        """Where metadata go, by scikit-learn's routing: to `fit` itself, to the splitter and to the scorer.

        Returns
        -------
        router : sklearn.utils.metadata_routing.MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        if (scorer := self._scorer()) is not None:
            to_score = MethodMapping().add(caller="fit", callee="score").add(caller="score", callee="score")
            router.add(scorer=scorer, method_mapping=to_score)
        return router

    def _routed(self, method, sample_weight, params):
        """Metadata for the splitter and for the scorer."""
        _raise_for_params(params, self, method)
        scorer = self._scorer()
        if sample_weight is not None and scorer is not None:  # otherwise, this estimator alone takes weights
            params = {**params, "sample_weight": sample_weight}
        if _routing_enabled() and params:
            routed = process_routing(self, method, **params)
            found = (routed.get(name, {}) for name in ("splitter", "scorer"))
            found = [each.get(callee, {}) for each, callee in zip(found, ("split", "score"), strict=True)]
            # `fit` uses weights itself, but a score of this scorer would be the same without them.
            if method == "score" and "sample_weight" in params and "sample_weight" not in found[1]:
                raise TypeError(
                    "sample_weight must be None where `scoring` does not request it; found weights. Give "
                    "scoring a scorer with set_score_request(sample_weight=True)."
                )
            return found
        if params and "sample_weight" in signature(getattr(scorer, "_score_func", scorer)).parameters:
            return {}, params
        return {}, {}

    def fit(
        self,
        X: Features,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        max_time: float | None = None,
        **params: Any,
    ) -> Self:
        """Chooses from the grid, and with `refit` fits the model at the choice to all rows.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
            uint8, float32 and float64 are read as they are; CSR as float32 or float64.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
            Rows of weight zero count as absent, in training and in scores.
        max_time : float, optional
            Seconds for all fits, shared out equally: a fold that has used up its part ends with the fit under
            way. The choice is among the points of the grid that all folds have finished or, where there is
            none, the strongest penalty. The last fit starts from the mean of the folds' models, and has its
            certificate even when there is no time left; those are exceeded by about that of one certificate.
        **params : dict
            Metadata of the splitter, such as `groups`, and of the scorer; only with scikit-learn's metadata
            routing, ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self
            After a KeyboardInterrupt, too, which ends the fits as if `max_time` were up, with a warning.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        limits = Limits.of(max_time)
        validate.check_jobs(self.n_jobs)
        validate.check_flags(self, "refit")
        ratios, grid = self._grid()
        metadata = self._routed("fit", sample_weight, params)
        model = self._model(n_threads=thread_count(self.n_threads))
        model._check_parameters(max_time)
        training = validate.training(self, X, y, sample_weight)
        problems = model._problems(training, 1.0, ratios[0], 1.0 - ratios[0])
        for ratio in ratios:
            model._choose(with_ratio(problems, ratio))  # refuses before folds are fitted
        if isinstance(grid, int):
            grid = self._automatic_grid(grid, problems, ratios)
        seed = validate.random_state(self.random_state).randint(2**30)
        folds = split(self.cv, training, *metadata)
        total, deadline = len(folds) * len(ratios) * len(grid), limits.began + limits.max_time
        n_weights = sum(problem.loss.n_columns for problem in problems) * problems[0].data.d
        memory.require(
            total * n_weights * stored_dtype(training.X).itemsize,
            f"A cross-validation of {total:,} models of {n_weights:,} weights, all of which are kept,",
            "Use fewer values in the grid or fewer folds.",
        )

        with progress_of(self, total, (X, y, sample_weight), deadline=deadline) as progress:
            search = self._search(training, folds, ratios, grid, seed, limits, progress)
            (l, c), found = self._pick(search)
            chosen, solutions, last = at(with_ratio(problems, ratios[l]), grid[c]), search.all_solutions, None
            if self.refit or not solutions:
                model.random_state = seed + len(folds)
                inner = progress.within(2, ("fit to all rows", 0, 1))
                last = model._solve(chosen, limits, search.mean_model(l, c), inner)
                solutions, total = [*solutions, last], total + 1
            else:
                found |= self._without_refit(search)
                solver, reason = model._choose(chosen)
                found |= {"solver_": solver.name, "solver_reason_": reason}
            ending = cut_short(solutions, total, limits)
            found["status_"] = ending or (last.status if last else worst(s.status for s in solutions))
            self._set(training, last, **found)
        warn_unless_converged(solutions, total, ending, self, stacklevel=2)
        return self

    def _search(self, training, folds, ratios, Cs, seed, limits, progress):
        """Fits the folds."""
        tasks = [(task, fold, l) for task, (fold, l) in enumerate(np.ndindex(len(folds), len(ratios)))]
        scorer = self._scorer()
        # A function of the user's own may not be made for threads; scikit-learn's scorers wrap one of theirs.
        is_own = scorer is not None and not hasattr(scorer, "_score_func")
        n_jobs = 1 if is_own and self.n_jobs is None else self.n_jobs
        n_jobs, n_threads = workers(n_jobs, self.n_threads, len(tasks))
        # One for all, as sparse X may keep a copy by columns there.
        data = Data(training.X, n_threads)
        report = progress.fits(len(tasks) * len(Cs))

        def run(task, number, l):
            """The solutions of one path by place, and their scores."""
            solutions, scores = {}, {}
            if limits.reached:
                return solutions, scores
            rounds = math.ceil((len(tasks) - task) / n_jobs)
            own = limits.share(rounds + bool(self.refit))
            part = replace(training, weight=folds[number].training)
            model = self._model(n_threads=n_threads, random_state=seed + number)
            problems = model._problems(part, 1.0, ratios[l], 1.0 - ratios[l], data)
            for c, solution in fit_path(model, problems, Cs, own, progress.in_a_thread(1)):
                solutions[c] = solution
                report.made()
                if solution.status not in CUT_SHORT:
                    scores[c] = self._score(model, data, solution, training, folds[number])
            progress.say(
                f"[fastlr] fold {number + 1} of {len(folds)}, l1_ratio={ratios[l]:g}: {len(solutions)} fits, "
                f"{sum(s.n_iter for s in solutions.values())} iterations"
            )
            return solutions, scores

        done = run_all(run, tasks, n_jobs, limits.stop, report)
        table = np.full((len(folds), len(ratios), len(Cs), *np.shape(self._no_score)), np.nan)
        for (_, number, l), (_, scores) in zip(tasks, done, strict=True):
            for c, value in scores.items():
                table[number, l, c] = value
        paths = [solutions for solutions, _ in done]
        L = len(ratios)
        shape = len(training.classes) if len(training.classes) > 2 else 1, training.X.shape[1]
        return Search(ratios, Cs, shape, [paths[i : i + L] for i in range(0, len(paths), L)], table)

    def _explanation(self):
        lines = [self._tell_choice()]
        if self.status_ in CUT_SHORT:
            lines.append(f"Stopped early: {ENDINGS[self.status_][0]}. Only what all folds finished counts.")
        bounds = self._explain_bounds() if hasattr(self, "objective_") else []
        return [*lines, self.solver_reason_, *bounds]
