"""Models in files, without pickle, and as scikit-learn's estimators."""

from fastlr.persistence.files import load, save, to_sklearn

__all__ = ["load", "save", "to_sklearn"]
