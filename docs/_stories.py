"""How sphinx-gallery runs examples/."""

import os

import matplotlib


def arguments(gallery_conf, script_vars):
    """The command line of a story: where its pictures go, besides into its page."""
    return ["--out", "../docs/_build/pictures"]


def prepare(gallery_conf, fname):
    """The site tells of scikit-learn's digits, whatever the machine has."""
    os.environ.pop("FASTLR_DATA", None)
    matplotlib.use("Agg")
