"""Linear classifiers."""

from fastlr.linear_model.logistic import LogisticRegression

