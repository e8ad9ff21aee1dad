"""Pictures of images, weights, training curves, scores and errors; matplotlib is imported on first use."""

from fastlr.plots.confusion import plot_confusion
from fastlr.plots.curves import plot_history, plot_kfold
from fastlr.plots.images import plot_images, plot_mistakes
from fastlr.plots.paths import plot_path, plot_sparsity
from fastlr.plots.scores import plot_scores
from fastlr.plots.weights import plot_weights

__all__ = [
    "plot_confusion",
    "plot_history",
    "plot_images",
    "plot_kfold",
    "plot_mistakes",
    "plot_path",
    "plot_scores",
    "plot_sparsity",
    "plot_weights",
]
