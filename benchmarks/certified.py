"""Certified fits against their peers, measured in one run: `python -m benchmarks.certified --data DIR`.

The sides of a row take turns, one at a time; a peer that takes long runs once. Every objective in a note is
`workloads.objective`, plain NumPy in float64, at the weights that a side returned. Where a row says "to the
peer's objective", fastlr has the loosest tolerance whose objective is no higher than that of the peer in the
same run. DIR holds mnist/ and 20news/. Peers that are not installed are left out, with a word.
"""

import argparse
import statistics
import warnings
from functools import cache, partial

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC as SklearnLinearSVC

from benchmarks import peers, workloads
from benchmarks.contest import Peer, Work, rows_of, suspicion
from benchmarks.measure import compared, fit_memory, print_table, seconds, take_turns, timed
from fastlr import LinearSVC, LinearSVCCV, LogisticRegression, LogisticRegressionCV
from fastlr.data import available_threads

# What some peers reach where they run to the end, for runs that cut them short (--quick).
KNOWN = {"MNIST L2": 218.5258, "20news L1": 14430.227}

training_images = cache(workloads.training_images)
fives_and_eights = cache(workloads.fives_and_eights)
news = cache(workloads.news)


def logistic(X, y, **parameters):
    """A function of tol: LogisticRegression, fitted."""
    return lambda tol: LogisticRegression(tol=tol, random_state=0, **parameters).fit(X, y)


def tutorial(options):
    X, y = workloads.tutorial(*workloads.mnist(options.data))
    C = workloads.TUTORIAL_C
    saga = Peer("scikit-learn SAGA", lambda: peers.sklearn(X, y, C, solver="saga", tol=0.01), slow=True)
    saga.note = "tol 0.01"
    yield from rows_of(
        Work(
            "MNIST, tutorial's 5,000 rows, L1, C = 50/5000",
            logistic(X, y, C=C, penalty="l1", solver=options.l1_solver),
            partial(workloads.objective, X, y, C), [saga], tol=1e-6,
        ),
        options,
    )  # fmt: skip


def mnist_l1(options):
    X, y = training_images(options.data)
    C, scaler = 50 / len(y), StandardScaler().fit(X)
    scaled = scaler.transform(X)
    saga = Peer(
        "3 epochs of scikit-learn SAGA",
        lambda: peers.sklearn(scaled, y, C, solver="saga", tol=0, max_iter=3),
        slow=True,
    )
    work = Work(
        "MNIST, 60,000 rows in uint8, standardised, L1, C = 50/60000",
        logistic(X, y, C=C, penalty="l1", scaling="standard", solver=options.l1_solver),
        partial(workloads.objective, scaled, y, C), [saga], tol=1e-4,
        units=lambda coef, intercept: (coef * scaler.scale_, intercept + coef @ scaler.mean_),
    )  # fmt: skip
    for row in rows_of(work, options):
        per_epoch = f"; peer {saga.first[0] / 3:.3g} s per epoch" if row[2] else ""
        yield (*row[:4], row[4] + per_epoch)


def mnist_l2(options):
    X, y = training_images(options.data)
    unit, C = X / 255, 0.01
    lbfgs = Peer(
        "scikit-learn lbfgs",
        lambda: peers.sklearn(unit, y, C, l1=False, solver="lbfgs", tol=1e-4, max_iter=1000),
        slow=True,
    )
    objective = partial(workloads.objective, unit, y, C, l1_ratio=0)
    for kind, data, scaling in (("uint8", X, "unit"), ("float64", unit, None)):
        fit = logistic(data, y, C=C, penalty="l2", scaling=scaling, solver=options.l2_solver)
        factor = 255 if scaling else 1
        work = Work(
            f"MNIST, 60,000 rows in {kind}, / 255, L2, C = 0.01, to the peer's objective",
            fit, objective, [lbfgs], known=KNOWN["MNIST L2"],
            units=lambda coef, intercept, factor=factor: (coef * factor, intercept),
        )  # fmt: skip
        yield from rows_of(work, options)


def binary(options):
    X, y = fives_and_eights(options.data)
    C = 0.2
    rivals = [
        Peer("adelie", partial(peers.adelie, X, y, C)),
        Peer("glum", partial(peers.glum, X, y, C), slow=True),
        Peer("skglm", partial(peers.skglm, X, y, C), slow=True),
    ]
    if not any(peer.is_installed for peer in rivals):
        epochs = partial(peers.sklearn, X, y, C, solver="saga", tol=0, max_iter=100)
        rivals.append(Peer("100 epochs of scikit-learn SAGA", epochs, slow=True))
    yield from rows_of(
        Work(
            "MNIST 5 v 8, / 255, float64, L1, C = 0.2, to the peer's objective",
            logistic(X, y, C=C, penalty="l1", solver=options.l1_solver),
            partial(workloads.objective, X, y, C), rivals, known=279.0898,
        ),
        options,
    )  # fmt: skip


def squared_hinge(options):
    X, y = fives_and_eights(options.data)
    C = 0.2
    objective = partial(
        workloads.objective, X, y, C, losses=workloads.squared_hinge_losses, intercept_penalty=1.0
    )
    liblinear = Peer("scikit-learn LinearSVC", partial(peers.sklearn_svc, X, y, C), slow=True)
    liblinear.note = "default tol"
    yield from rows_of(
        Work(
            "MNIST 5 v 8, L1 squared hinge, C = 0.2, to the peer's objective",
            lambda tol: LinearSVC("l1", C=C, tol=tol, random_state=0).fit(X, y),
            objective, [liblinear], known=262.5731,
        ),
        options,
    )  # fmt: skip


def grid(options):
    """The same folds, the same grid, and both fit all rows at the best C in the end."""
    X, y = fives_and_eights(options.data)
    Cs = [0.025, 0.05, 0.1, 0.2, 0.4]
    ours = LinearSVCCV("l1", Cs=Cs, cv=5, random_state=0)
    label = "MNIST 5 v 8, L1 squared hinge, 5 values of C x 5 folds"
    times = take_turns({"fastlr": lambda: ours.fit(X, y)}, options.repeats)
    found = ours.cv_results_
    note = f"best C {ours.C_:g}, mean test scores " + " ".join(
        f"{score:.5f}" for score in found["mean_test_score"]
    )
    if options.quick:
        yield label, seconds(times["fastlr"]), "", "", note
        return
    svc = SklearnLinearSVC(penalty="l1", dual=False, random_state=0)
    peer = GridSearchCV(svc, {"C": Cs}, cv=5, n_jobs=available_threads(), return_train_score=True)
    times["peer"] = [timed(lambda: peer.fit(X, y))[0]]
    apart = max(
        np.abs(found[name] - peer.cv_results_[name]).max() for name in ("mean_test_score", "mean_train_score")
    )
    note += f"; peer {peer.best_params_['C']:g}, mean test and train scores differ by {apart:.1e} at most"
    note += "" if apart <= 5e-4 and peer.best_params_["C"] == ours.C_ else ": DISAGREE"
    name = f"scikit-learn GridSearchCV, {available_threads()} jobs"
    yield compared(f"{label}, against {name}", times, "fastlr", "peer", note)


def news_l1(options):
    X, y = news(options.data)
    C = 1.0
    fit = partial(peers.sklearn, X, y, C, solver="saga")
    saga = Peer("scikit-learn SAGA", partial(fit, tol=1e-3, max_iter=1000), slow=True, note="tol 1e-3")
    if options.quick:
        part = partial(fit, tol=0, max_iter=10)
        saga = Peer("scikit-learn SAGA", part, scale=9.4, note="10 epochs, time x 9.4, for 94")
    yield from rows_of(
        Work(
            "20news, TF-IDF in float64, L1, C = 1, to the peer's objective",
            logistic(X, y, C=C, penalty="l1", solver=options.l1_solver),
            partial(workloads.objective, X, y, C), [saga], known=KNOWN["20news L1"],
        ),
        options,
    )  # fmt: skip


def news_weak(options):
    X, y = news(options.data)
    X, C = X.astype(np.float32), 10.0
    epochs = partial(peers.sklearn, X, y, C, solver="saga", tol=0, max_iter=5)
    yield from rows_of(
        Work(
            "20news, TF-IDF in float32, L1, C = 10",
            logistic(X, y, C=C, penalty="l1", solver=options.l1_solver),
            partial(workloads.objective, X, y, C),
            [Peer("5 epochs of scikit-learn SAGA", epochs, slow=True)], tol=1e-4,
        ),
        options,
    )  # fmt: skip


def news_l2(options):
    X, y = news(options.data)
    X, C = X.astype(np.float32), 10.0
    epochs = partial(peers.sklearn, X, y, C, l1=False, solver="saga", tol=0, max_iter=20)
    yield from rows_of(
        Work(
            "20news, TF-IDF in float32, L2, C = 10, to the peer's objective",
            logistic(X, y, C=C, penalty="l2", solver=options.l2_solver),
            partial(workloads.objective, X, y, C, l1_ratio=0),
            [Peer("20 epochs of scikit-learn SAGA", epochs)],
        ),
        options,
    )  # fmt: skip


def path_cv(options):
    X, y = workloads.tutorial(*workloads.mnist(options.data))
    tol = 1e-3
    folds = list(StratifiedKFold(5).split(X, y))
    ours = LogisticRegressionCV(
        Cs=10, cv=folds, penalty="l1", tol=tol, solver=options.l1_solver, random_state=0
    )
    times = take_turns({"fastlr": lambda: ours.fit(X, y)}, options.repeats)
    note = f"best C {ours.C_:.3g}, accuracy {ours.mean_scores_.max():.4f}"
    note += f", {np.sum(ours.n_iter_)} iterations in all; tol {tol:g} at each point"
    label = "MNIST, tutorial's 5,000 rows, L1, 10 values of C x 5 folds"
    if options.quick:
        yield label, seconds(times["fastlr"]), "", "", note
        return
    points = [_point(ours, X[folds[0][0]], y[folds[0][0]], c) for c in (1, 5, 9)]
    times["peer"] = [50 * statistics.mean(spent for spent, _, _ in points)]
    parts = ", ".join(f"{spent:.3g} s, {n_iter} epochs, {excess:+.0e}" for spent, n_iter, excess in points)
    note += (
        "; peer: fits at the second, sixth and last C on one fold, tol 1e-4, 200 epochs at most, each from "
        f"fastlr's solution for the C before, mean time x 50; objective above fastlr's, of null: {parts}"
    )
    yield compared(f"{label}, against scikit-learn SAGA", times, "fastlr", "peer", note)


def _point(ours, X, y, c):
    """Seconds and epochs of a SAGA fit at grid point c of the first fold, and how far its objective is above
    that of fastlr's, as a share of the null model's."""
    C, models = ours.Cs_[c], ours.coefs_paths_[0, 0]
    saga = peers.sklearn_model(C, solver="saga", tol=1e-4, max_iter=200, warm_start=True)
    saga.coef_, saga.intercept_ = models[c - 1, :, :-1].copy(), models[c - 1, :, -1].copy()
    spent, _ = timed(lambda: saga.fit(X, y))
    null = np.zeros_like(saga.coef_), np.log(np.bincount(y) / len(y))
    sides = (models[c, :, :-1], models[c, :, -1]), (saga.coef_, saga.intercept_), null
    ours, theirs, nothing = (workloads.objective(X, y, C, *side) for side in sides)
    return spent, int(np.max(saga.n_iter_)), (theirs - ours) / nothing


def small(options):
    rng = np.random.default_rng(0)
    sets = {
        "Gaussian, 100 x 1,000, 10 classes": (rng.normal(size=(100, 1000)), rng.integers(10, size=100)),
        "iris": load_iris(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "breast cancer, unscaled": load_breast_cancer(return_X_y=True),
    }
    for name, (X, y) in sets.items():
        models = [
            LogisticRegression("l1", C=C, tol=1e-8, solver=options.l1_solver, random_state=0)
            for C in (0.01, 1.0, 100.0)
        ]
        work = lambda models=models, X=X, y=y: [model.fit(X, y) for model in models]  # noqa: E731
        times = take_turns({"fastlr": work}, options.repeats)
        gaps = [model.dual_gap_ / model.null_objective_ for model in models]
        values = [workloads.objective(X, y, m.C, m.coef_, m.intercept_) for m in models]
        note = f"largest gap {max(gaps):.1e} of null; {', '.join(str(m.n_iter_[0]) for m in models)} "
        note += f"iterations of {models[0].solver_}" + "".join(map(suspicion, models, values))
        note += "" if all(model.converged_ for model in models) else ", NOT CONVERGED"
        yield f"{name}, L1, C = 0.01, 1 and 100, tol 1e-8", seconds(times["fastlr"]), "", "", note


def memory(options):
    X, y = training_images(options.data)
    estimators = {
        "L1, standardised": LogisticRegression("l1", C=50 / len(y), scaling="standard", solver="newton-cd"),
        "L2, / 255": LogisticRegression("l2", C=0.01, scaling="unit", solver="newton-cg"),
    }
    for name, estimator in estimators.items():
        extra = fit_memory(estimator, X, y, min(options.repeats, 3))
        middle = statistics.median(extra)
        note = f"{100 * middle / X.nbytes:.0f} % of X beyond X; {max(extra) / 1e6:.1f} MB at most"
        label = f"peak memory, MNIST 60,000 rows in uint8, {name}, {estimator.solver}"
        yield label, f"{middle / 1e6:.1f} MB", "", "", note


ROWS = {
    "tutorial": tutorial,
    "mnist-l1": mnist_l1,
    "mnist-l2": mnist_l2,
    "binary": binary,
    "svc": squared_hinge,
    "grid": grid,
    "news-l1": news_l1,
    "news-weak": news_weak,
    "news-l2": news_l2,
    "cv": path_cv,
    "small": small,
    "memory": memory,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certified", description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds mnist/ and 20news/")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of a row")
    parser.add_argument("--quick", action="store_true", help="one round, and no slow peers")
    parser.add_argument("--l1-solver", default="auto", help="solver of the L1 rows")
    parser.add_argument("--l2-solver", default="auto", help="solver of the L2 rows")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    if options.quick:
        options.repeats = 1
    warnings.simplefilter("ignore")  # peers that are cut short say so; notes tell of fastlr's own
    print_table(row for name in options.only for row in ROWS[name](options))


if __name__ == "__main__":
    main()
