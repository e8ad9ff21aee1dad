"""Both forms of early stopping against their rules written out literally."""

import re

import numpy as np
import pytest

from fastlr import EarlyStopping


def epochs_literally(values, patience, min_delta):
    """Higher is better. Returns the epoch that ends training (None: none does) and the best one."""
    reference, since, end = -np.inf, 0, None
    for epoch, value in enumerate(values):
        if value - reference > min_delta:
            reference, since = value, 0
        else:
            since += 1
        if since == patience:
            end = epoch
            break
    seen = values[: len(values) if end is None else end + 1]
    return end, int(np.argmax(seen))


def run(watcher, results, monitor):
    """Feeds results until the watcher ends; returns that epoch or None, and the last best one."""
    best = None
    for epoch, value in enumerate(results):
        accuracy, loss = (value, np.nan) if monitor == "accuracy" else (np.nan, -value)
        iteration = (epoch + 1) * watcher.batches - 1
        if watcher.update(iteration, accuracy, loss):
            best = epoch
        if watcher.ends(iteration):
            return epoch, best
    return None, best


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize("min_delta", [0.0, 0.125])
@pytest.mark.parametrize("patience", [1, 2, 5])
def test_epochs(monitor, min_delta, patience):
    rng = np.random.default_rng(0)
    for _ in range(50):
        # Sixteenths are exact, so that ties and improvements of exactly min_delta occur.
        values = rng.integers(0, 16, size=30) / 16 * np.linspace(0.5, 1, 2)[rng.integers(2)]
        values = np.sort(values) if rng.random() < 0.3 else values
        rule = EarlyStopping(patience=patience, monitor=monitor, min_delta=min_delta)
        watcher = rule.watch(7)
        assert watcher.frequency == 7
        assert run(watcher, values, monitor) == epochs_literally(values, patience, min_delta)


def test_first_of_equal_epochs_is_best():
    watcher = EarlyStopping(patience=3).watch(1)
    assert run(watcher, [0.5, 0.75, 0.75, 0.5, 0.75], "accuracy") == (4, 1)


def test_small_improvements_are_best_but_do_not_reset_patience():
    watcher = EarlyStopping(patience=2, min_delta=0.25).watch(1)
    assert run(watcher, [0.5, 0.625, 0.75, 1.0], "accuracy") == (2, 2)


def theano_literally(error_at, batches, patience, increase, threshold, frequency, n_epochs):
    """The loop of the tutorial. `error_at(iteration)` is the validation error after that minibatch.

    Returns the last iteration, the one with the best error, and whether patience ended the loop.
    """
    frequency = frequency or min(batches, patience // 2)
    best_error, best_iteration = np.inf, None
    for epoch in range(n_epochs):
        for minibatch in range(batches):
            iteration = epoch * batches + minibatch
            if (iteration + 1) % frequency == 0:
                error = error_at(iteration)
                if error < best_error:
                    if error < best_error * threshold:
                        patience = max(patience, iteration * increase)
                    best_error, best_iteration = error, iteration
            if patience <= iteration:
                return iteration, best_iteration, True
    return n_epochs * batches - 1, best_iteration, False


def theano_watched(error_at, rule, batches, n_epochs):
    """The same loop with a watcher that is asked after every minibatch."""
    watcher, best = rule.watch(batches), None
    for iteration in range(n_epochs * batches):
        if (iteration + 1) % watcher.frequency == 0:
            error = error_at(iteration)
            accuracy, loss = (1 - error, np.nan) if rule.monitor == "accuracy" else (np.nan, error)
            if watcher.update(iteration, accuracy, loss):
                best = iteration
        if watcher.ends(iteration):
            return iteration, best, True
    return n_epochs * batches - 1, best, False


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize("frequency", [None, 3])
@pytest.mark.parametrize("threshold", [0.995, 0.75, 1.0])
def test_theano(monitor, frequency, threshold):
    rng = np.random.default_rng(1)
    ended = 0
    for _ in range(60):
        batches, patience = int(rng.integers(1, 12)), int(rng.integers(2, 60))
        increase = float(rng.choice([1, 1.5, 2, 3]))
        # Halves, quarters ... of integers: 1 - (1 - error) is exact.
        errors = np.sort(rng.integers(1, 64, size=400))[::-1] / 64
        noisy = np.clip(errors + rng.integers(-4, 5, size=400) / 64, 1 / 64, 1)
        rule = EarlyStopping(
            patience=patience,
            monitor=monitor,
            patience_increase=increase,
            improvement_threshold=threshold,
            validation_frequency=frequency,
        )
        expected = theano_literally(noisy.__getitem__, batches, patience, increase, threshold, frequency, 30)
        assert theano_watched(noisy.__getitem__, rule, batches, 30) == expected
        ended += expected[2]
    assert ended > 10  # the rule has been at work


def test_theano_defaults_to_the_tutorials_frequency():
    assert EarlyStopping(patience=5000, patience_increase=2).watch(83).frequency == 83
    assert EarlyStopping(patience=100, patience_increase=2).watch(83).frequency == 50
    assert EarlyStopping(patience=1, patience_increase=2).watch(83).frequency == 1
    assert EarlyStopping(improvement_threshold=0.9).watch(83).frequency == 83


def test_watchers_share_nothing():
    rule = EarlyStopping(patience=2)
    first, second = rule.watch(5), rule.watch(5)
    assert run(first, [0.5, 0.25, 0.25], "accuracy") == (2, 0)
    assert run(second, [0.25, 0.5, 0.25], "accuracy") == (None, 1)
    assert rule == EarlyStopping(patience=2)


@pytest.mark.parametrize(
    "name, value",
    [
        ("patience", 0),
        ("patience", 2.5),
        ("patience", True),
        ("monitor", "f1"),
        ("monitor", None),
        ("min_delta", -0.1),
        ("min_delta", np.nan),
        ("patience_increase", 0.5),
        ("improvement_threshold", 0.0),
        ("improvement_threshold", 1.5),
        ("validation_frequency", 0),
        ("validation_frequency", 1.5),
    ],
)
def test_refuses(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*{re.escape(repr(value))}"):
        EarlyStopping(**{name: value}).watch(10)
