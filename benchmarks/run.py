"""Suboptimality against time, all solvers on all data sets: `python -m benchmarks.run --data DIR`.

A solver is run from scratch with one budget after the other (iterations that grow, tolerances that fall);
each run gives a point: its time and, by the neutral objective, how good the weights are. A solver has a
process of its own and a limit in seconds for all its runs on a problem, which ends the process where it
stands. Runs that were the first to reach a level and took less than five seconds are repeated, in rounds in
which the solvers take turns. Loading, converting, compiling and a fit of a few rows are not on the clock.

What is found is written to a file for each problem and solver as soon as it is there; what has a file is not
run again. `python -m benchmarks.report` makes tables and pictures of the files.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import time
import traceback
import warnings
from pathlib import Path

from benchmarks import datasets, solvers
from benchmarks.measure import apart, load, machine, timed
from benchmarks.objective import LEVELS

RESULTS = Path(__file__).parent / "results"
# What several libraries of BLAS and of threads look at.
THREAD_VARIABLES = "OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "BLIS"
REPEATED_BELOW = 5.0
# Seconds for loading, converting and compiling; also for judging the weights of a run.
PATIENCE = 120.0
REFERENCE_TOL = 1e-9
# So many budgets without a better point, by more than a twentieth, and a solver is at its end. Tolerances
# that are too loose to matter all give the same.
STALLED = {True: 5, False: 8}


class Contender:
    """A solver on a problem, in a process of its own.

    Parameters
    ----------
    case : Case
    name : str
    folder : str
    """

    def __init__(self, case, name, folder):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, case, name, folder), daemon=True)
        self._process.start()
        theirs.close()
        self.memory = 0
        self.is_idle = False

    def hear(self, timeout):
        """What the process says next. TimeoutError if that takes too long, RuntimeError if it failed."""
        end = time.monotonic() + timeout
        while not self._pipe.poll(max(0.0, min(0.1, end - time.monotonic()))):
            self.memory = max(self.memory, _anonymous(self._process.pid))
            if time.monotonic() >= end:
                raise TimeoutError
        try:
            word, value = self._pipe.recv()
        except EOFError:
            self._process.join(5)
            raise RuntimeError(f"the process ended with code {self._process.exitcode}") from None
        if word == "failed":
            raise RuntimeError(value)
        return value

    def run(self, budget, timeout):
        """Seconds of a run, and the objective of its weights."""
        self.is_idle = False
        try:
            self._pipe.send(budget)
        except OSError as error:
            raise RuntimeError(f"the process is gone: {error}") from None
        answer = self.hear(timeout), self.hear(PATIENCE)
        self.is_idle = True
        return answer

    def close(self):
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe, case, name, folder):
    """The process: prepares, then fits for each budget that it is sent."""
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    try:
        solver, problem = solvers.load(name), case.load(folder)
        solver.prepare(problem.head())(solver.BUDGETS[6])  # in which everything has been called
        fit = solver.prepare(problem)
        pipe.send(("ready", solvers.version(solver)))
        while True:
            budget = pipe.recv()
            seconds, weights = timed(lambda: fit(budget))  # noqa: B023
            pipe.send(("seconds", seconds))
            pipe.send(("objective", problem.objective(*weights)))
    except Exception as error:
        pipe.send(("failed", traceback.format_exception_only(error)[-1].strip()[:300]))


def _anonymous(pid):
    """Bytes of memory of a process that no file stands behind, where the system tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def reference(case, folder):
    """The optimum as a tight fit of fastlr's certifies it, and the shape of the problem."""
    from fastlr import LogisticRegression

    warnings.simplefilter("ignore")
    problem, tol = case.load(folder), getattr(case.module, "REFERENCE_TOL", REFERENCE_TOL)
    model = LogisticRegression(
        problem.penalty, C=problem.C, tol=tol, scaling=problem.scaling, max_iter=100_000, random_state=0
    )
    seconds, model = timed(lambda: model.fit(problem.X, problem.y))
    value = problem.objective(model.coef_, model.intercept_)
    if abs(value - model.objective_) > 1e-9 * model.null_objective_:
        raise RuntimeError(
            f"{case.key}: objective_ is {model.objective_!r}, the neutral objective {value!r}."
        )
    return {
        "objective": value,
        "gap": model.dual_gap_,
        "null": model.null_objective_,
        "seconds": seconds,
        "solver": model.solver_,
        "shape": [*problem.X.shape, problem.n_classes],
        "C": problem.C,
        "needs": sorted(problem.needs),
    }


def suboptimality(objective, known):
    """Relative to the null model, above the certified lower bound of the optimum."""
    return (objective - (known["objective"] - known["gap"])) / known["null"]


def refusal(solver, case, folder, known):
    """Why a solver does not take a problem, or ""."""
    lacks = sorted(set(known["needs"]) - solver.TAKES)
    if lacks:
        return ", ".join(lacks)
    return solver.refuses(case.load(folder)) if hasattr(solver, "refuses") else ""


def climb(contender, budgets, known, limit):
    """Points of growing budgets, and what ended them."""
    points, spent, best, since, growing = [], 0.0, math.inf, 0, budgets[1] > budgets[0]
    for budget in budgets:
        if growing and points and points[-1]["seconds"][0] > limit - spent:
            return points, "limit"  # the next would take longer than the last
        try:
            seconds, objective = contender.run(budget, limit - spent)
        except TimeoutError:
            return points, "limit"
        except RuntimeError as error:
            return points, f"failed: {error}"
        spent += seconds
        reached = suboptimality(objective, known) if math.isfinite(objective) else math.inf
        points.append({"budget": budget, "seconds": [seconds], "suboptimality": min(reached, 1e300)})
        since = 0 if reached < 0.95 * best else since + 1
        best = min(best, reached)
        if best <= LEVELS[-1]:
            return points, "reached"
        if since >= STALLED[growing]:
            return points, "stalled"
        if spent >= limit:
            return points, "limit"
    return points, "budgets"


def telling(points):
    """The points that were the first to reach a level, if they were fast."""
    first = [next((p for p in points if p["suboptimality"] <= level), None) for level in LEVELS]
    return [p for i, p in enumerate(first) if p and p not in first[:i] and p["seconds"][0] < REPEATED_BELOW]


def compete(case, names, options):
    """All these solvers on a problem; writes a file for each."""
    place = options.results / case.key
    known = json.loads((place / "reference.json").read_text())
    limit, alive = options.budget or case.module.LIMIT, {}
    for name in names:
        file = place / f"{name}.json"
        if file.exists() and "missing" not in json.loads(file.read_text()):
            continue
        result = {"machine": options.machine, "load": load(), "threads": options.threads, "limit": limit}
        try:
            solver = solvers.load(name)
        except (ImportError, OSError) as error:  # OSError: a library that it needs is not there
            result["missing"] = f"not installed: {error}"
            _write(file, result)
            continue
        result["refused"] = refusal(solver, case, options.data, known)
        if result["refused"]:
            _write(file, result)
            continue
        contender = Contender(case, name, options.data)
        try:
            result["version"] = contender.hear(PATIENCE)
            result["points"], result["ended"] = climb(contender, solver.BUDGETS, known, limit)
        except (RuntimeError, TimeoutError) as error:
            result["points"], result["ended"] = [], f"failed: {error or 'could not be prepared in time'}"
        result["memory"] = contender.memory
        _write(file, result)
        print(f"{case.key:28} {name:20} {_told(result)}", flush=True)
        fast = telling(result["points"]) if options.repeats > 1 else []
        if not fast or not contender.is_idle:
            contender.close()
        if fast:
            alive[name] = contender, result, fast
    repeat(case, alive, options)
    for name, (_, result, _) in alive.items():
        _write(place / f"{name}.json", result)


def repeat(case, alive, options):
    """The fast points of contenders once more and once more, in turns; their processes end."""
    for name, (contender, result, fast) in alive.items():
        if not contender.is_idle:  # it was ended in the middle of a run
            contender = Contender(case, name, options.data)
            with contextlib.suppress(RuntimeError, TimeoutError):
                contender.hear(PATIENCE)
            alive[name] = contender, result, fast
    for _ in range(options.repeats - 1):
        for contender, _, fast in alive.values():
            time.sleep(0.2)  # threads of the solver before spin for a while after their last product
            with contextlib.suppress(RuntimeError, TimeoutError):  # what has been measured stays
                for point in fast:
                    point["seconds"].append(contender.run(point["budget"], PATIENCE)[0])
    for contender, _, _ in alive.values():
        contender.close()


def _told(result):
    """A line: the first time at each level, and how the runs ended."""
    times = []
    for level in LEVELS:
        first = next((p for p in result["points"] if p["suboptimality"] <= level), None)
        times.append(f"{first['seconds'][0]:9.3g}" if first else "        -")
    best = min((p["suboptimality"] for p in result["points"]), default=math.inf)
    return f"{' '.join(times)}   {best:.1e} {result['ended']}"


def _write(file, result):
    part = file.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1))
    part.replace(file)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds mnist/, 20news/ and mnist8m/")
    parser.add_argument("--only", nargs="+", choices=datasets.NAMES, help="data sets; all but mnist8m")
    parser.add_argument("--solvers", nargs="+", choices=solvers.NAMES, default=solvers.NAMES)
    parser.add_argument("--storages", nargs="+", help="of float64, float32, uint8; all")
    parser.add_argument(
        "--budget", type=float, help="seconds of all runs of a solver; by default as its data set says"
    )
    parser.add_argument("--repeats", type=int, default=3, help="of fast runs")
    parser.add_argument("--threads", type=int, default=2, help="for every solver")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the files are")
    options = parser.parse_args(arguments)
    os.environ |= {f"{name}_NUM_THREADS": str(options.threads) for name in THREAD_VARIABLES}
    warnings.simplefilter("ignore")
    options.machine = machine().rsplit("; ", 1)[0]
    for case in datasets.cases(options.only or datasets.NAMES[:-1]):
        if options.storages and case.storage not in options.storages:
            continue
        place = options.results / case.key
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "reference.json").exists():
            _write(place / "reference.json", apart(reference, case, options.data))
        compete(case, options.solvers, options)


if __name__ == "__main__":
    main()
