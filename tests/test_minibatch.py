"""Schedules, minibatches and the training loop, on a model that only counts its steps."""

import numpy as np
import pytest

from fastlr import EarlyStopping
from fastlr.minibatch import Plan, Rules, Schedule, train


class Counter:
    """Its weights are the number of steps taken; `results` maps that to (loss, accuracy)."""

    def __init__(self, n, results=lambda steps: (1.0, 0.5), val_results=None, work=1):
        self.n, self.row_work = n, work
        self.results, self.val_results = results, val_results
        self.weights = [np.zeros(1, dtype=int)]
        self.batches, self.rates, self.calls, self.evaluated = [], [], [], []

    def steps(self, order, batch_size, rates):
        assert len(rates) == -(-len(order) // batch_size)
        starts = range(0, len(order), batch_size)
        self.batches += [list(order[start : start + batch_size]) for start in starts]
        self.rates += list(rates)
        self.weights[0] += len(rates)
        self.calls.append(len(rates))

    def evaluate(self, part):
        self.evaluated.append((part, self.count))
        return (self.val_results if part == "validation" else self.results)(self.count)

    @property
    def count(self):
        return int(self.weights[0][0])


def run(model, *, batch_size=10, shuffle=True, drop_last=False, max_iter=5, **options):
    options = {
        "schedule": Schedule("constant", 0.5),
        "rng": np.random.default_rng(0),
        **options,
    }
    rules = {name: options.pop(name) for name in ("tol", "patience", "watcher") if name in options}
    plan = Plan(batch_size, shuffle, drop_last)
    return train(model, plan=plan, rules=Rules(max_iter, **rules), **options)


def flat(batches):
    return [row for batch in batches for row in batch]


def watch(rule, model, batch_size=10):
    return rule.watch(Plan(batch_size).batches(model.n))


class Interrupted(Counter):
    """The user interrupts a call, by its name, for a number of steps taken."""

    def __init__(self, n, where, at, **results):
        super().__init__(n, **results)
        self.where, self.at = where, at

    def _interrupt(self, where):
        if where == self.where and self.count >= self.at:
            raise KeyboardInterrupt

    def steps(self, order, batch_size, rates):
        super().steps(order, batch_size, rates)
        self._interrupt("steps")

    def evaluate(self, part):
        self._interrupt(part)
        return super().evaluate(part)


@pytest.mark.parametrize(
    "kind, formula",
    [
        ("constant", lambda t: 0.3),
        ("adaptive", lambda t: 0.3),
        ("invscaling", lambda t: 0.3 / (t + 1) ** 0.4),
        ("optimal", lambda t: 0.3 / (1 + 0.3 * 0.01 * t)),
    ],
)
def test_schedule(kind, formula):
    schedule = Schedule(kind, eta0=0.3, power_t=0.4, alpha=0.01)
    rates = schedule.rates(0, 50)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, [formula(t) for t in range(50)], rtol=1e-14)
    np.testing.assert_array_equal(rates[20:], schedule.rates(20, 30))


def test_schedule_factor():
    np.testing.assert_allclose(Schedule("adaptive", 0.5).rates(3, 2, 0.2), [0.1, 0.1])
    assert len(Schedule("optimal", 0.5).rates(0, 0)) == 0


@pytest.mark.parametrize("n, size", [(100, 10), (103, 10), (7, 7), (7, 1)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_plan(n, size, shuffle):
    rng = np.random.default_rng(0)
    plan = Plan(size, shuffle)
    first, second = plan.order(n, rng), plan.order(n, rng)
    np.testing.assert_array_equal(np.sort(first), np.arange(n))
    assert np.array_equal(first, second) == (not shuffle)
    assert plan.batches(n) == -(-n // size)
    cut = Plan(size, shuffle, drop_last=True)
    assert len(cut.order(n, rng)) == n // size * size
    assert cut.batches(n) == n // size
    assert len(np.unique(cut.order(n, rng))) == n // size * size


def test_every_epoch_visits_every_row_once():
    model = Counter(103)
    result = run(model, max_iter=3)
    assert (result.n_epochs, result.n_steps, result.best_epoch) == (3, 33, 3)
    assert not result.converged
    assert [len(batch) for batch in model.batches] == ([10] * 10 + [3]) * 3
    orders = [flat(model.batches[11 * e : 11 * (e + 1)]) for e in range(3)]
    for order in orders:
        assert sorted(order) == list(range(103))
    assert orders[0] != orders[1] != orders[2]


def test_drop_last():
    model = Counter(103)
    result = run(model, max_iter=2, drop_last=True, shuffle=False)
    assert [len(batch) for batch in model.batches] == [10] * 20
    assert flat(model.batches[:10]) == list(range(100))
    assert result.n_steps == 20


def test_history_has_one_value_per_epoch_of_the_weights_at_its_end():
    model = Counter(50, lambda steps: (1 / steps, steps / 100), lambda steps: (2 / steps, 0.25))
    result = run(model, max_iter=4, validation="validation")
    assert list(result.history) == ["loss", "train_score", "val_loss", "val_score", "time"]
    ends = np.array([5, 10, 15, 20])
    np.testing.assert_allclose(result.history["loss"], 1 / ends)
    np.testing.assert_allclose(result.history["train_score"], ends / 100)
    np.testing.assert_allclose(result.history["val_loss"], 2 / ends)
    assert result.history["val_score"] == [0.25] * 4
    assert result.history["time"] == sorted(result.history["time"])
    assert all(type(v) is float for values in result.history.values() for v in values)
    assert list(run(Counter(50)).history) == ["loss", "train_score", "time"]


def test_nothing_is_evaluated_twice():
    for options in ({}, {"validation": "validation"}):
        model = Counter(50, lambda steps: (1.0, 0.5), lambda steps: (1.0, 0.5))
        run(model, max_iter=3, watcher=watch(EarlyStopping(), model), **options)
        assert len(model.evaluated) == len(set(model.evaluated)) == 3 * (1 + len(options))


def test_report():
    events = []
    model = Counter(50)
    run(model, max_iter=3, watcher=watch(EarlyStopping(), model), report=events.append)
    ends = [event for event in events if event.has_ended]
    assert [(event.epoch, event.minibatch, event.n_minibatches) for event in ends] == [
        (1, 5, 5), (2, 5, 5), (3, 5, 5)
    ]  # fmt: skip
    assert [event.is_last for event in ends] == [False, False, True]
    assert [event.results for event in events if event.results] == [(1.0, 0.5)] * 3
    assert [event.minibatch for event in events if event.epoch == 1] == [0, 5, 5]
    assert len(events[-1].history["loss"]) == 3


def test_a_report_may_end_the_training():
    model = Counter(50)
    result = run(model, max_iter=9, report=lambda event: event.has_ended and event.epoch == 2)
    assert (result.n_epochs, model.count, result.converged) == (2, 10, True)


def test_steps_go_on_counting():
    schedule = Schedule("invscaling", 1.0)
    model = Counter(45)
    result = run(model, max_iter=2, schedule=schedule, first_step=7)
    assert result.n_steps == 17
    np.testing.assert_array_equal(model.rates, schedule.rates(7, 10))


def test_long_epochs_are_cut_into_calls_but_not_otherwise():
    short, long = Counter(95), Counter(95, work=2e7)
    results = [run(model, max_iter=2) for model in (short, long)]
    assert short.calls == [10, 10]
    assert max(long.calls) < 10
    assert short.batches == long.batches
    assert short.rates == long.rates
    assert results[0].n_steps == results[1].n_steps


def test_best_weights_are_restored():
    accuracies = [0.1, 0.5, 0.75, 0.5, 0.75, 0.25, 0.0]
    model = Counter(50, val_results=lambda steps: (1.0, accuracies[steps // 5 - 1]))
    rule = EarlyStopping(patience=3)
    result = run(model, validation="validation", watcher=watch(rule, model), max_iter=7)
    assert (result.n_epochs, result.best_epoch, result.converged) == (6, 3, True)
    assert model.count == 15
    assert result.n_steps == 30
    assert result.history["val_score"] == accuracies[:6]


def test_best_weights_are_restored_at_max_iter_too():
    model = Counter(50, lambda steps: (float(steps != 10), 0.5))
    rule = EarlyStopping(patience=10, monitor="loss")
    result = run(model, watcher=watch(rule, model), max_iter=4)
    assert (result.n_epochs, result.best_epoch, result.converged) == (4, 2, False)
    assert model.count == 10


def test_without_a_watcher_the_last_weights_are_kept():
    model = Counter(50, lambda steps: (float(steps), 0.5), lambda steps: (1.0, 1 / steps))
    result = run(model, validation="validation", max_iter=4)
    assert (model.count, result.best_epoch) == (20, 4)


def ends_literally(losses, tol, patience):
    """Epochs until `patience` in a row did not improve the least loss by `tol`, or None."""
    best, since = np.inf, 0
    for epoch, loss in enumerate(losses, 1):
        since = since + 1 if loss > best - tol else 0
        best = min(best, loss)
        if since == patience:
            return epoch
    return None


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("tol", [0.0, 0.0625, -0.125])
def test_tol(tol, patience):
    rng = np.random.default_rng(0)
    for _ in range(20):
        falling = np.sort(rng.integers(1, 64, size=25))[::-1]
        losses = (falling + rng.integers(0, 3, size=25)) / 64
        expected = ends_literally(losses, tol, patience)
        model = Counter(20, lambda steps, losses=losses: (losses[steps // 2 - 1], 0.5))
        result = run(model, tol=tol, patience=patience, max_iter=25)
        assert result.converged == (expected is not None)
        assert result.n_epochs == (expected or 25)
        assert model.count == 2 * result.n_epochs


def test_a_watcher_overrules_tol():
    model = Counter(20)
    result = run(model, tol=1e-3, patience=1, max_iter=8, watcher=watch(EarlyStopping(patience=5), model))
    assert result.n_epochs == 6


def test_adaptive_divides_by_five_before_it_ends():
    model = Counter(10)
    schedule = Schedule("adaptive", 0.5)
    result = run(model, schedule=schedule, tol=1e-3, patience=2, max_iter=100)
    # The first epoch always improves; then two epochs at each rate, until that is 5^-9 < 1e-6.
    factors = np.repeat(0.2 ** np.arange(10), [3] + [2] * 9)
    np.testing.assert_allclose(model.rates, 0.5 * factors)
    assert result.converged


def test_adaptive_does_not_change_without_tol():
    model = Counter(10)
    run(model, schedule=Schedule("adaptive", 0.5), max_iter=20)
    assert model.rates == [0.5] * 20


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_training_ends_where_the_loss_is_no_longer_finite(bad):
    model = Counter(10, lambda steps: (1.0 if steps < 3 else bad, 0.5))
    result = run(model, max_iter=20)
    assert (result.n_epochs, result.converged) == (3, False)


def theano_literally(error_at, batches, patience, increase, n_epochs):
    """The loop of Theano's tutorial: iteration of the end and of the best weights, if it ended."""
    frequency = min(batches, patience // 2)
    best_error, best_iteration = np.inf, None
    for iteration in range(n_epochs * batches):
        if (iteration + 1) % frequency == 0:
            error = error_at(iteration)
            if error < best_error:
                if error < best_error * 0.995:
                    patience = max(patience, iteration * increase)
                best_error, best_iteration = error, iteration
        if patience <= iteration:
            return iteration, best_iteration, True
    return n_epochs * batches - 1, best_iteration, False


def test_theanos_rule_in_the_loop():
    rng = np.random.default_rng(2)
    ended = 0
    for _ in range(60):
        batches, patience = int(rng.integers(2, 12)), int(rng.integers(2, 60))
        falling = np.sort(rng.integers(5, 64, size=400))[::-1]
        errors = (falling + rng.integers(-4, 5, size=400)) / 128
        end, best, converged = theano_literally(errors.__getitem__, batches, patience, 2, 30)
        model = Counter(
            10 * batches,
            val_results=lambda steps, errors=errors: (np.nan, 1 - errors[steps - 1]),
        )
        rule = EarlyStopping(patience=patience, patience_increase=2)
        result = run(model, validation="validation", watcher=watch(rule, model), max_iter=30)
        assert (result.n_steps, result.converged) == (end + 1, converged)
        assert model.count == best + 1
        assert result.best_epoch == best // batches + 1
        assert result.n_epochs == end // batches + 1
        assert [len(values) for values in result.history.values()] == [result.n_epochs] * 5
        ended += converged
    assert ended > 10


def test_theanos_rule_validates_across_epochs():
    model = Counter(50, val_results=lambda steps: (1.0, 0.5))
    rule = EarlyStopping(patience=100, patience_increase=2, validation_frequency=7)
    run(model, validation="validation", watcher=watch(rule, model), max_iter=7)
    at = {steps for part, steps in model.evaluated if part == "validation"}
    assert at == {7, 14, 21, 28, 35} | {
        5,
        10,
        15,
        20,
        25,
        30,
        35,
    }  # every 7 steps, and epochs' ends


@pytest.mark.parametrize("where", ["steps", None, "validation"])
def test_an_interrupt_leaves_the_latest_weights_and_whole_epochs(where):
    model = Interrupted(100, where, 25, val_results=lambda steps: (2.0, 0.1))
    training = run(model, validation="validation")
    assert model.count == 30  # of three epochs, one of which has no results
    assert {name: len(values) for name, values in training.history.items()} == {
        "loss": 2, "train_score": 2, "val_loss": 2, "val_score": 2, "time": 2,
    }  # fmt: skip
    assert (training.is_interrupted, training.converged, training.n_epochs) == (True, False, 2)
    assert training.best_epoch == 2


def test_an_interrupt_leaves_the_best_weights_of_a_watcher():
    model = Interrupted(100, "steps", 45, results=lambda steps: (abs(steps - 20), 0.5))
    training = run(model, watcher=watch(EarlyStopping(patience=5, monitor="loss"), model), max_iter=9)
    assert (model.count, training.best_epoch, training.n_epochs) == (20, 2, 4)


@pytest.mark.parametrize("where", ["steps", None])
def test_an_interrupt_within_the_first_epoch_is_raised(where):
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(100, where, 10))


def test_a_training_that_ends_is_not_interrupted():
    assert not run(Counter(100)).is_interrupted
