"""Confusion matrices are legible."""

import numpy as np
import pytest

from fastlr import plots

from .plotting import assert_nothing_clipped, matplotlib, plt


@pytest.mark.parametrize("log", [False, True])
def test_confusion_writes_readable_numbers(log):
    matrix = np.array([[900, 0, 3], [1, 20, 300], [0, 0, 0]])
    ax = plots.plot_confusion(matrix, labels=["cat", "dog", "horse"], log=log)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "900", (2, 0): "3", (0, 1): "1", (1, 1): "20", (2, 1): "300"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    for axis in (ax.xaxis, ax.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["cat", "dog", "horse"]
    image = ax.images[0]
    assert isinstance(image.norm, matplotlib.colors.LogNorm) == log
    assert image.get_array().mask[0, 1]  # blank
    for text in ax.texts:
        column, row = text.get_position()
        cell = relative_luminance(image.cmap(image.norm(matrix[row, column])))
        ink = relative_luminance(matplotlib.colors.to_rgba(text.get_color()))
        low, high = sorted((cell, ink))
        # The middle blues allow 4.48; WCAG asks 4.5 of small text.
        assert (high + 0.05) / (low + 0.05) > 4.4
    assert_nothing_clipped(ax.figure)


def relative_luminance(rgba):
    """As WCAG 2 defines it."""
    rgb = np.asarray(rgba[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_confusion_of_fractions_and_weights():
    fractions = plots.plot_confusion([[0.973, 0.027], [0.0004, 0.9996]])
    assert [text.get_text() for text in fractions.texts] == ["0.97", "0.03", "<.01", "1.00"]
    assert fractions.figure.axes[1].get_ylabel() == "fraction of samples"
    weights = plots.plot_confusion([[120.25, 0.5], [0.0, 3.0]])
    assert [text.get_text() for text in weights.texts] == ["120.2", "0.50", "3"]
    assert weights.figure.axes[1].get_ylabel() == "sample weight"


@pytest.mark.parametrize("log", [False, True])
def test_confusion_of_many_classes_with_long_names(log):
    names = [f"comp.sys.hardware.{i}" for i in range(20)]
    ax = plots.plot_confusion(np.full((20, 20), 12), labels=names, log=log)
    assert len(ax.texts) == 400
    assert_nothing_clipped(ax.figure)


@pytest.mark.parametrize("log", [False, True])
def test_confusion_in_a_given_axes_and_all_zero(log):
    _, axes = plt.subplots(1, 2)
    assert plots.plot_confusion(np.zeros((2, 2), int), log=log, ax=axes[1]) is axes[1]
    assert not axes[1].texts and not axes[0].images


def test_confusion_refuses():
    for matrix in (np.ones((2, 3)), np.ones(4), np.ones((0, 0))):
        with pytest.raises(ValueError, match="matrix: found shape"):
            plots.plot_confusion(matrix)
    for value in (-1, np.nan):
        with pytest.raises(ValueError, match="matrix: found negative or non-finite"):
            plots.plot_confusion([[1, value], [0, 1]])
    with pytest.raises(ValueError, match="labels: found 1; needed: 2"):
        plots.plot_confusion(np.ones((2, 2)), labels=["a"])
    with pytest.raises(ValueError, match=r"matrix: found values of type .*; needed: numbers"):
        plots.plot_confusion([["a", "b"], ["c", "d"]])
