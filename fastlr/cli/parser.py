"""The words of the command line: options, help and exit codes; `commands` does the work."""

import argparse
import os
import signal
import sys
import warnings
from pathlib import Path

from fastlr import __version__
from fastlr.cli import commands

_OPTIONAL = ("matplotlib", "pandas", "pyarrow")

_DATA = """
DATA, in all commands:
  .npz           arrays X and y (or x_train, y_train, x_test, y_test, as Keras's mnist.npz),
                 or a scipy.sparse matrix with --target labels.npy
  .npy           a matrix; one column is the target
  .csv .tsv      a table, with or without names in its first line (.gz, too); - reads CSV
                 from standard input (needs pandas)
  .libsvm .svm   sparse rows, each after its label
  .parquet       a table (needs pandas and pyarrow)
  .mat           MATLAB's X and y, version 5 to 7; 20 x 20 digits are turned upright
  a folder       MNIST's IDX files, train and test
The target is the last column unless --target says otherwise. Nothing is ever unpickled.
"""

_EXIT = """
exit code: 0 done (not converged is a warning), 1 failed, 2 wrong usage, 130 interrupted
"""

_MAIN = """
Linear classification at the speed of the machine: softmax regression, support vector
machines, minibatch SGD and a small neural network, with a certificate of how far a fit can
be from the optimum.

  python -m fastlr demo                                 see it work
  python -m fastlr fit train.csv --test 0.2 --out model.npz
  python -m fastlr predict model.npz new.csv > labels.txt
  python -m fastlr inspect model.npz
"""

_FIT = """
Fits a model to DATA, writes it to a file and prints a report: what was fitted, accuracy,
log-loss, confusions, and the certificate, which says how far the objective can be from the
best one possible.

models:
  logistic   softmax regression (probabilities; certified)
  svm        linear support vector machine, squared hinge, one class against the rest (certified)
  sgd        softmax regression by minibatches, stopped early by a tenth of the data
  mlp        a neural network with one hidden layer of 25 units, by minibatches
"""

_FIT_EXAMPLES = """
examples:
  python -m fastlr fit flowers.csv --target species --test 0.25 --out flowers.npz
  python -m fastlr fit mnist/ --penalty l1 --C 0.001 --out sparse.npz --plots pictures/
  python -m fastlr fit mnist/ --model svm --max-time 10 --out svm.npz
  python -m fastlr fit train.libsvm --test test.libsvm --C 10 --out text.npz
  zcat big.csv.gz | python -m fastlr fit - --target label --out model.npz

Ctrl-C ends a fit with the best model so far, which is written all the same (by minibatches:
once an epoch has ended).
"""

_PREDICT = """
Predicts the classes of DATA: one label a line, in the order of the rows. DATA may hold the
true labels, too: as the column that --target names, or as the one column more than the model
has features. The accuracy then goes to standard error. Of data in two parts, such as a folder
of MNIST's files, the test part is read. Columns with names are found by these.
"""

_PREDICT_EXAMPLES = """
examples:
  python -m fastlr predict model.npz new.csv | sort | uniq -c
  python -m fastlr predict model.npz test.csv --target species > /dev/null
  python -m fastlr predict model.npz new.csv --proba --out probabilities.csv
"""

_INSPECT = """
Tells what is in a model file: class and parameters, classes, features, weights, how the fit
ended, and its certificate.
"""

_DEMO = """
Fits the sparse L1 softmax and the early-stopped SGD on the digits that scikit-learn bundles,
or on MNIST; prints a table beside scikit-learn's SAGA; writes pictures.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like all others of fastlr."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(2, f"fastlr: {message}\n")


def main(arguments=None):
    """Runs the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    code : int
        0 done, 1 failed, 130 interrupted. Wrong usage raises SystemExit(2).

    Examples
    --------
    >>> from fastlr.cli import main
    >>> main(["fit", "no-such-file.csv", "--out", "model.npz"])  # the reason goes to standard error
    1
    """
    options = build_parser().parse_args(arguments)
    if options.command == "fit" and (complaint := commands.misfit(options)):
        options.parser.error(complaint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)  # among them that a fit has not converged
            warnings.showwarning = lambda message, *place, **more: commands.say(f"warning: {message}")
            code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # of `| head`, which has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + getattr(signal, "SIGPIPE", 13)
    except KeyboardInterrupt:
        commands.say("interrupted")
        return 130
    except (OSError, ValueError, MemoryError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name not in _OPTIONAL:
            raise
        commands.say(_reason(error))
        return 1


def _reason(error):
    if isinstance(error, ModuleNotFoundError) and error.name == "matplotlib":
        return "pictures need matplotlib: pip install 'fastlr[plots]'"
    if isinstance(error, MemoryError):
        return f"not enough memory {error}".strip()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return getattr(error, "strerror", None) or str(error)


def build_parser():
    """The parser of all commands."""
    parser = _Parser(prog="python -m fastlr", description=_MAIN, epilog=_DATA + _EXIT)
    parser.add_argument("--version", action="version", version=f"fastlr {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, about, description, epilog=""):
        sub = subparsers.add_parser(name, help=about, description=description, epilog=epilog + _EXIT)
        sub.set_defaults(run=run, parser=sub)
        return sub

    _fit_options(command("fit", commands.fit, "fit a model to a file", _FIT, _FIT_EXAMPLES + _DATA))
    _predict_options(
        command("predict", commands.predict, "labels for new rows", _PREDICT, _PREDICT_EXAMPLES + _DATA)
    )
    inspect = command("inspect", commands.inspect, "what is in a model file", _INSPECT)
    inspect.add_argument("model", metavar="MODEL", help="a file that fit has written")
    demo = command(
        "demo", commands.demo, "fit the classic MNIST models, print a table, write pictures", _DEMO
    )
    demo.add_argument("--mnist", metavar="DIR", help="folder of MNIST's IDX files (plain or .gz)")
    demo.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default="fastlr-demo",
        help="where pictures go (default: %(default)s)",
    )
    return parser


def _fit_options(fit):
    fit.add_argument("data", metavar="DATA", help="what to learn from; see below")
    fit.add_argument("--out", metavar="MODEL", type=Path, required=True, help="write the model here (.npz)")
    data = fit.add_argument_group("data")
    data.add_argument(
        "--target", metavar="T", help="column of the labels, by name or number from 0 (default: last)"
    )
    data.add_argument(
        "--test", metavar="DATA|SHARE", type=_test,
        help="other data to test on, or a share to set aside, such as 0.2 (default: the test part of DATA, "
        "if any)",
    )  # fmt: skip
    model = fit.add_argument_group("model")
    model.add_argument(
        "--model", choices=commands.MODELS, default="logistic", help="see above (default: %(default)s)"
    )
    model.add_argument(
        "--penalty", choices=("l1", "l2", "elasticnet", "none"), default="l2",
        help="l1 makes weights zero, l2 makes them small (default: %(default)s)",
    )  # fmt: skip
    model.add_argument(
        "--C",
        type=_positive,
        default=1.0,
        help="the smaller, the stronger the penalty (default: %(default)s)",
    )
    model.add_argument(
        "--l1-ratio",
        metavar="R",
        type=_share,
        help="share of l1 in elasticnet (default: 0.5)",
    )
    model.add_argument(
        "--scaling", choices=("auto", "unit", "standard", "none"), default="auto",
        help="unit: bytes to [0, 1]; standard: mean 0, deviation 1; auto: unit for images, none for sparse "
        "rows, standard for tables (default: %(default)s)",
    )  # fmt: skip
    run = fit.add_argument_group("fit")
    run.add_argument(
        "--tol", type=_positive,
        help="of logistic and svm: certified gap, in shares of the objective without features (default: "
        "1e-4)",
    )  # fmt: skip
    run.add_argument(
        "--max-time", metavar="S", type=_positive,
        help="of logistic and svm: seconds; the best model by then counts",
    )  # fmt: skip
    run.add_argument(
        "--eta0",
        type=_positive,
        help="of sgd and mlp: size of steps (default: 0.1, and 0.24 for images by sgd)",
    )
    run.add_argument("--threads", metavar="N", type=_count, help="threads (default: all processors)")
    run.add_argument(
        "--seed", type=_seed, default=0, help="of all that is drawn at random (default: %(default)s)"
    )
    show = fit.add_argument_group("output")
    show.add_argument("--plots", metavar="DIR", type=Path, help="write pictures there")
    loud = show.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="no report")
    loud.add_argument("--verbose", action="store_true", help="progress on standard error")


def _predict_options(predict):
    predict.add_argument("model", metavar="MODEL", help="a file that fit has written")
    predict.add_argument("data", metavar="DATA", help="rows to predict; see below")
    predict.add_argument("--target", metavar="T", help="column of the true labels, by name or number from 0")
    predict.add_argument("--proba", action="store_true", help="CSV: label, and the probability of each class")
    predict.add_argument("--out", metavar="FILE", type=Path, help="write here (default: standard output)")


def _positive(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text}; needed: a positive number")
    return value


def _share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"found {text}; needed: a number from 0 to 1")
    return value


def _count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}; needed: a whole number from 1")
    return value


def _seed(text):
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"found {text}; needed: a whole number from 0 to 2^32 - 1")
    return value


def _test(text):
    """A share as a float, a path as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"found {text}; needed: a share between 0 and 1, or data")
    return value


for _type, _name in ((_positive, "number"), (_share, "number"), (_count, "whole number"), (_seed, "seed")):
    _type.__name__ = _name  # argparse says "invalid number value: 'x'"
