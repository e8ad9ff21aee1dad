"""Tables and pictures of what `benchmarks.run` found: `python -m benchmarks.report` makes docs/benchmarks.md.

Every figure in that page comes from the files of results, every name from the files of solvers and data sets,
which need not be installed here. Needs matplotlib.
"""

import argparse
import json
import shutil
import statistics
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks import datasets, solvers
from benchmarks.measure import seconds
from benchmarks.objective import LEVELS
from benchmarks.run import REPEATED_BELOW, RESULTS

DOCS = Path(__file__).parents[1] / "docs"
OURS = "fastlr"
# The level of the first table.
MAIN = LEVELS[1]
# What is less is drawn here.
FLOOR = 1e-8
TEXTS = {name: solvers.described(name) for name in solvers.NAMES}
# Okabe and Ito's colours by family, with markers for eyes that see no colours; fastlr alone is blue.
FAMILIES = {
    "#0072B2": ("fastlr", "fastlr_sgd"),
    "#E69F00": (
        "sk_saga", "sk_lbfgs", "sk_newton_cg", "sk_newton_cholesky", "sk_liblinear", "sk_sgd", "intelex",
    ),
    "#009E73": ("skglm", "celer", "glum", "adelie"),
    "#CC79A7": ("snapml", "lightning"),
    "#D55E00": ("torch_sgd", "torch_lbfgs"),
    "#777777": ("numpy_fista", "numpy_sgd"),
}  # fmt: skip
STYLES = {
    name: {"color": colour, "marker": marker}
    for colour, names in FAMILIES.items()
    for name, marker in zip(names, "os^Dv*X", strict=False)
}
ENDS = {
    "reached": "reached the last level",
    "limit": "time limit",
    "stalled": "no better with a larger budget",
    "budgets": "largest budget",
}


class Found:
    """What there is of a case.

    Parameters
    ----------
    case : Case
    folder : Path
        Of all results.
    """

    def __init__(self, case, folder):
        self.case, place = case, folder / case.key
        self.known = json.loads((place / "reference.json").read_text())
        files = {name: place / f"{name}.json" for name in solvers.NAMES}
        self.results = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
        self.lent = set()
        lender = case.lender and folder / case.lender.key
        if lender and (lender / "reference.json").exists():
            peers = Found(case.lender, folder)
            self.lent = {name for name in peers.curves if not name.startswith(OURS)}
            self.results |= {name: peers.results[name] for name in self.lent}

    @property
    def curves(self):
        """Results of those that ran."""
        return {name: result for name, result in self.results.items() if "points" in result}

    def times(self, name, level):
        """Seconds of the first run that was at the level, and of its repeats; None if there is none."""
        points = self.results.get(name, {}).get("points", ())
        return next((point["seconds"] for point in points if point["suboptimality"] <= level), None)

    def ranking(self, level):
        """(median seconds, name) of fastlr and the peers that got there, the fastest first. fastlr SGD is
        another estimator, and neither helps nor is a peer."""
        times = {name: self.times(name, level) for name in self.curves if name != "fastlr_sgd"}
        return sorted((statistics.median(values), name) for name, values in times.items() if values)

    def best_peer(self, level):
        """The first peer of the ranking, or None."""
        return next((name for _, name in self.ranking(level) if not name.startswith(OURS)), None)

    @property
    def order(self):
        """Names as a table lists them: by the last level that they reached, then by the time to it."""

        def place(name):
            times = [self.times(name, level) for level in LEVELS]
            reached = [i for i, values in enumerate(times) if values]
            deepest = reached[-1] if reached else -1
            return -deepest, statistics.median(times[deepest]) if reached else 0, nearest(self.results[name])

        return sorted(self.curves, key=place)


def nearest(result):
    """The best suboptimality of all runs."""
    return min((point["suboptimality"] for point in result["points"]), default=float("inf"))


def power(level):
    return f"{level:.0e}".replace("e-0", "e-")


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(all_found):
    """A row for each problem: fastlr against the best peer at the main level."""
    rows = []
    for found in all_found:
        ours, peer = found.times(OURS, MAIN), found.best_peer(MAIN)
        theirs = found.times(peer, MAIN) if peer else None
        verdict = "did not get there" if ours is None else ""
        if ours and theirs:
            ratio = statistics.median(theirs) / statistics.median(ours)
            verdict = f"{ratio:.2g}" if ratio >= 1 else f"**{ratio:.2g}: {TEXTS[peer]['TITLE']} wins**"
        name = TEXTS[peer]["TITLE"] if peer else _nobody(found)
        cells = found.case.module.TITLE, found.case.storage, found.case.penalty.upper()
        rows.append(
            [*cells, seconds(ours) if ours else "-", name, seconds(theirs) if theirs else "-", verdict]
        )
    heads = [
        "data",
        "storage",
        "penalty",
        f"fastlr, to {power(MAIN)}",
        "best peer",
        "its time",
        "peer / fastlr",
    ]
    return table(heads, rows)


def _nobody(found):
    """Who came nearest, where no peer got there."""
    peers = [name for name in found.curves if not name.startswith(OURS)]
    if not peers:
        return "no peer ran"
    near = min(peers, key=lambda name: nearest(found.results[name]))
    text = f"none within {found.results[near]['limit']:g} s"
    if not found.results[near]["points"]:
        return text
    return f"{text}; {TEXTS[near]['TITLE']} came to {nearest(found.results[near]):.1e}"


def lost(all_found):
    """Sentences: where a peer was first, at each level."""
    lines = []
    for level in LEVELS:
        at = [(found, found.ranking(level)) for found in all_found]
        at = [(found, ranking) for found, ranking in at if ranking]
        wins = [
            f"{found.case.title} ({TEXTS[found.best_peer(level)]['TITLE']}, {_factor(found, level)})"
            for found, ranking in at
            if found.best_peer(level) and not ranking[0][1].startswith(OURS)
        ]
        first = f"To {power(level)}, fastlr is first on {len(at) - len(wins)} of {len(at)} problems"
        lines.append(f"- {first}" + (f"; a peer is first on: {'; '.join(wins)}." if wins else "."))
    return "\n".join(lines)


def _factor(found, level):
    ours, theirs = found.times(OURS, level), found.times(found.best_peer(level), level)
    if ours is None:
        return "fastlr did not get there"
    return f"{statistics.median(ours) / statistics.median(theirs):.1f} times as fast"


def details(found):
    """The section of a problem."""
    n, d, K = found.known["shape"]
    known, case = found.known, found.case
    rows = []
    for name in found.order:
        result = found.results[name]
        times = [found.times(name, level) for level in LEVELS]
        longest = max((statistics.median(p["seconds"]) for p in result["points"]), default=0)
        end = ENDS.get(result["ended"], result["ended"])
        note = ""
        if not times[-1]:
            near = f"{nearest(result):.1e} at best" if result["points"] else "no run came to its end"
            note = f"**did not get there**: {near}; {end}" + f", its longest run {longest:.2g} s" * bool(
                longest
            )
        if nearest(result) < 0:
            note += " BELOW THE CERTIFIED BOUND"
        mark = "\\*" * ("DIFFERS" in TEXTS[name]) + " (float32)" * (name in found.lent)
        title = f"**{TEXTS[name]['TITLE']}**" if name == OURS else TEXTS[name]["TITLE"]
        cells = [seconds(values) if values else "-" for values in times]
        if case.dataset == "mnist8m":
            cells.append(f"{result['memory'] / 1e6:.0f} MB")
        rows.append([title + mark, *cells, note])
    memory = ["anonymous memory"] * (case.dataset == "mnist8m")
    heads = ["solver", *(f"to {power(level)}" for level in LEVELS), *memory, ""]
    limits = sorted({result["limit"] for result in found.curves.values()})
    limit = " or ".join(f"{value:g}" for value in limits)
    return (
        f"### {case.title}\n\n{n:,} x {d:,}, {K} classes, C = {known['C']:.4g}; all runs of a solver within "
        f"{limit} s. Optimum {known['objective']:.10g}, certified to {known['gap'] / known['null']:.1e} of "
        f"F_null = {known['null']:.8g} ({known['solver']}, {known['seconds']:.2g} s).\n\n"
        f"![Suboptimality against seconds, {case.title}](benchmarks/{case.key}.png)\n\n{table(heads, rows)}\n"
    )


def entrants(all_found):
    """Who took part, in which version, who not and why."""
    rows = []
    for name, texts in TEXTS.items():
        results = [found.results[name] for found in all_found if name in found.results]
        versions = sorted({result["version"] for result in results if "version" in result})
        missing = sorted({result["missing"] for result in results if "missing" in result})
        refused = {result["refused"] for result in results if result.get("refused")}
        kinds = sorted(
            {kind for text in refused if " " not in text.replace(", ", "") for kind in text.split(", ")}
        )
        reasons = sorted(text for text in refused if " " in text.replace(", ", ""))
        ran = sum("points" in result for result in results)
        lacks = "; ".join([*([f"does not take {', '.join(kinds)}"] if kinds else []), *reasons])
        notes = [*missing, *([f"differs: {texts['DIFFERS']}"] if "DIFFERS" in texts else []), lacks]
        rows.append(
            [texts["TITLE"], texts["PACKAGE"], ", ".join(versions), str(ran), "; ".join(filter(None, notes))]
        )
    return table(["solver", "package", "version", "problems", ""], rows)


def told(all_found, values):
    """The distinct values of a key over all results, as text."""
    results = [result for found in all_found for result in found.results.values()]
    return sorted({str(result[values]) for result in results if values in result})


def page(all_found):
    loads = [float(text.split()[1].strip(",")) for text in told(all_found, "load")]
    levels = ", ".join(power(level) for level in LEVELS)
    kept = {found.case.dataset: found for found in all_found}
    sections = "\n".join(
        f"## {found.case.module.TITLE}\n\n"
        + "\n".join(details(other) for other in all_found if other.case.dataset == dataset)
        for dataset, found in kept.items()
    )
    return f"""# Benchmarks

Written by `python -m benchmarks.report` from what `python -m benchmarks.run --data DIR` measured; nothing
here is typed by hand. `pip install -r benchmarks/requirements-peers.txt` brings the peers.

{summary(all_found)}

Time until the weights are at a suboptimality of {power(MAIN)} or better: the median of the repeats, and in
brackets the least and the greatest. A peer is any solver that is not fastlr's.

{lost(all_found)}

## How it is measured

- **Suboptimality** is (F - F_low) / F_null. F is the objective C sum_i loss_i + penalty of the weights that a
  solver returns, in float64 and plain NumPy; F_null is that of the best model with an intercept only; F_low
  is the lower bound of the optimum that the duality gap of a tight fit of fastlr's proves. So the gap is part
  of everybody's suboptimality.
- **Runs.** A solver starts from nothing with more iterations, or a smaller tolerance, each time; a run is one
  point of its curve, and the first that is at a level gives the time to it. Iterations grow by half and
  tolerances fall by a factor of about three: times are too long by so much at most. Only the fit is on the
  clock: not reading, not converting X to the form that a solver likes best, not compiling, not a first fit of
  a few rows.
- **Limits.** All runs of a solver on a problem together have the seconds that its section tells; then its
  process is ended. Who is not at {power(LEVELS[-1])} by then **did not get there**, and the table says how
  near it came and how long its longest run was.
- **Repeats.** The runs that were the first to reach {levels} were repeated in rounds in which the solvers
  took turns, if they took less than {REPEATED_BELOW:g} s; a time without brackets is of one run.
- **Threads**: {", ".join(told(all_found, "threads"))} for every solver. Each has a process of its own.
- \\* marks a solver whose own objective differs a little from the neutral one; the last table says how.
- uint8: peers compute in floats, and converting is not on the clock; their rows are those of float32.
- **Machine**: {" / ".join(told(all_found, "machine"))};
  load average from {min(loads):.2f} to {max(loads):.2f}.

{sections}
## Solvers

{entrants(all_found)}
"""


def draw(found):
    """A figure: suboptimality against seconds, both logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    ax = figure.subplots()
    for level in LEVELS:
        ax.axhline(level, color="0.85", linewidth=0.8, zorder=0)
    for name in found.order:
        points = found.results[name]["points"]
        if not points:
            continue
        # The best within so many seconds.
        x, y = zip(
            *sorted((statistics.median(p["seconds"]), p["suboptimality"]) for p in points), strict=True
        )
        y = np.maximum(np.minimum.accumulate(y), FLOOR)
        end = 1 + np.flatnonzero(y == FLOOR)[0] if y[-1] == FLOOR else len(y)
        ours = name.startswith(OURS)
        ax.plot(
            x[:end], y[:end], label=TEXTS[name]["TITLE"], linewidth=3 if name == OURS else 1.3,
            linestyle="--" if name == "fastlr_sgd" else "-", markersize=7 if ours else 5,
            zorder=5 if ours else 2, clip_on=(y > 2).any(), **STYLES[name],
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", ylim=(FLOOR, 2), xlabel="seconds of a fit", title=found.case.title)
    ax.set_ylabel(f"suboptimality, of F_null (at least {FLOOR:g})")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def save(figure, file):
    """As a PNG of 128 colours, which is half as large."""
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, dpi=90)
    Image.open(buffer).convert("RGB").quantize(128).save(file, optimize=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where benchmarks.run wrote")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of benchmarks.md and benchmarks/")
    options = parser.parse_args(arguments)
    there = (case for case in datasets.cases() if (options.results / case.key / "reference.json").exists())
    all_found = [found for found in (Found(case, options.results) for case in there) if found.curves]
    if not all_found:
        parser.error(f"no results in {options.results}; run python -m benchmarks.run first.")
    pictures = options.docs / "benchmarks"
    shutil.rmtree(pictures, ignore_errors=True)  # those of problems that are no more
    pictures.mkdir(parents=True)
    for found in all_found:
        save(draw(found), pictures / f"{found.case.key}.png")
    (options.docs / "benchmarks.md").write_text(page(all_found))


if __name__ == "__main__":
    main()
