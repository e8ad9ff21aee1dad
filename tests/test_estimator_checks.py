"""scikit-learn's checks of all estimators, none of them expected to fail."""

import warnings

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlr import (
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    MLPClassifier,
    SGDClassifier,
)

ESTIMATORS = [
    LogisticRegression(),
    LogisticRegression("l1"),
    LogisticRegression("elasticnet", l1_ratio=0.5),
    LogisticRegression(scaling="standard", solver="newton-cd"),
    LogisticRegressionCV(Cs=3, cv=3, solver="newton-cd"),
    LogisticRegressionCV(Cs=3, cv=3, l1_ratios=(0.5, 1.0)),
    LinearSVC(),
    LinearSVC("l1"),
    LinearSVC(penalize_intercept=False),
    LinearSVCCV(Cs=3, cv=3),
    SGDClassifier(),
    SGDClassifier(momentum=0.9),
    SGDClassifier(penalty="l1", alpha=1e-4, learning_rate="adaptive"),
    # Seven digits of a weight that stands for repetition are beyond float32.
    MLPClassifier(dtype="float64"),
    MLPClassifier(5, "tanh", learning_rate_init=0.1, max_iter=300, dtype="float64"),
]


@parametrize_with_checks(ESTIMATORS)
def test_estimator(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are scikit-learn's own
        check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_no_tag_asks_for_leniency(estimator):
    tags = get_tags(estimator)
    assert not (tags.non_deterministic or tags.no_validation or tags._skip_test)
    assert not tags.classifier_tags.poor_score and tags.classifier_tags.multi_class
