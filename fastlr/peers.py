"""scikit-learn's estimators with the weights of those of fastlr, and with what its parameters mean there."""

import copy

import numpy as np
from sklearn.utils import check_random_state


def _shared(model, *names):
    """Copies of parameters or attributes that the model has."""
    return {name: copy.deepcopy(getattr(model, name)) for name in names if hasattr(model, name)}


def softmax(model, C, l1_ratio):
    """The LogisticRegression for the weights of a softmax."""
    from sklearn.linear_model import LogisticRegression

    options = _shared(model, "fit_intercept", "class_weight", "max_iter", "random_state", "warm_start")
    if LogisticRegression().penalty == "deprecated":  # from 1.8 on
        options["l1_ratio"] = l1_ratio
    elif 0 < l1_ratio < 1:
        options |= {"penalty": "elasticnet", "l1_ratio": l1_ratio}
    else:
        options["penalty"] = "l1" if l1_ratio else "l2"
    return LogisticRegression(C=C, solver="saga" if l1_ratio else "lbfgs", **options)


def machine(model, C):
    """The LinearSVC for the weights of a squared hinge."""
    from sklearn.svm import LinearSVC

    names = "penalty", "fit_intercept", "intercept_scaling", "class_weight", "max_iter", "random_state"
    return LinearSVC(C=C, **_shared(model, *names))


def network(model):
    """The MLPClassifier for the weights of a network, with what its `partial_fit` and `warm_start` need."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import LabelBinarizer

    options = _shared(
        model, "activation", "solver", "alpha", "learning_rate", "learning_rate_init", "power_t", "max_iter",
        "shuffle", "random_state", "warm_start", "momentum", "nesterovs_momentum", "validation_fraction",
        "n_iter_no_change",
    )  # fmt: skip
    if model.tol is None:
        options |= {"tol": 0.0, "n_iter_no_change": np.inf}
    else:
        options["tol"] = max(model.tol, 0.0)
    peer = MLPClassifier(
        tuple(len(b) for b in model.intercepts_[:-1]), batch_size=model.batch_size or "auto",
        early_stopping=bool(model.early_stopping), **options,
    )  # fmt: skip
    names = "coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_"
    vars(peer).update(_shared(model, *names))
    history = getattr(model, "history_", {"loss": []})
    vars(peer).update(
        t_=0, loss_curve_=list(history["loss"]), best_loss_=min(history["loss"], default=np.inf),
        _no_improvement_count=0, _random_state=check_random_state(peer.random_state),
        _label_binarizer=LabelBinarizer().fit(model.classes_),
    )  # fmt: skip
    if peer.early_stopping:
        scores = list(history.get("val_score", ()))
        vars(peer).update(
            validation_scores_=scores, best_validation_score_=max(scores, default=-np.inf),
            best_loss_=None, _best_coefs=[W.copy() for W in peer.coefs_],
            _best_intercepts=[b.copy() for b in peer.intercepts_],
        )  # fmt: skip
    return peer


def fitted(peer, model):
    """The peer with the classes, names and linear weights of a model."""
    names = "classes_", "coef_", "intercept_", "n_features_in_", "feature_names_in_"
    vars(peer).update(_shared(model, *names))
    return peer
