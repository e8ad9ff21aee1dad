"""fastlr: softmax regression at the speed of the machine, with a certificate for every fit."""

from fastlr.linear_model.logistic import LogisticRegression

__version__ = "0.1.0"
