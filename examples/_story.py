"""What the five stories share: arguments, data, the lines that compare, and where pictures go."""

import argparse
import os
from pathlib import Path

import matplotlib

from fastlr import datasets

matplotlib.use("Agg")  # pictures go to files, also where there is no screen


def arguments(description):
    """The command line of a story, with `data` (None: digits) and `out` (a folder, which exists now)."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("FASTLR_DATA"),
        help="folder of MNIST's IDX files, or one that has them in mnist/, or Keras's mnist.npz; by default "
        "$FASTLR_DATA, else the digits that scikit-learn bundles",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default="gallery", help="for pictures (%(default)s)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def digits_or_mnist(options):
    """Name of the data, then (X_train, y_train) and (X_test, y_test): uint8 images in rows, int64 labels."""
    if not options.data:
        return "digits", *datasets.load_digits()
    source = Path(options.data)
    try:
        return "MNIST", *datasets.load_mnist(source / "mnist" if (source / "mnist").is_dir() else source)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--data: {error}") from error


def compare(what, author, fastlr):
    """Prints one line of the table: what it is about | what the author had | what fastlr gives."""
    print(f"{what:36} | {author:>22} | {fastlr}")


def save(figure, out, name):
    """Writes out/name.png, at most 800 pixels wide."""
    path = Path(out) / f"{name}.png"
    figure.savefig(path, dpi=min(125, 800 / figure.get_figwidth()))
    print(f"wrote {path}")
