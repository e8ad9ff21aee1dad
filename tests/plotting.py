"""What the tests of pictures share."""

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402, F401


def assert_nothing_clipped(figure):
    """All that is drawn, text included, lies within the figure (in inches)."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, box


def titles(figure):
    return [ax.get_title() for ax in figure.axes]


def legend(ax):
    """The words of its legend."""
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]
