"""What fits tell while they run: the line of the terminal, on a clock of its own, and printed lines."""

import doctest
import io
import itertools
import math
import re
import signal
import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import fastlr.terminal
from fastlr import (
    EarlyStopping,
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    SGDClassifier,
    logistic_path,
)
from fastlr.minibatch import Event
from fastlr.progress import Progress, left_by_gap
from fastlr.solvers.minimise import Check
from fastlr.terminal import duration

X, Y = load_iris(return_X_y=True)


class Terminal(io.StringIO):
    """Knows what has been shown of its one line, and what is there now."""

    def isatty(self):
        return True

    @property
    def shown(self):
        return [text.rstrip() for text in self.getvalue().split("\r") if text.strip()]

    @property
    def screen(self):
        line = ""
        for text in self.getvalue().split("\r"):
            line = text + line[len(text) :]
        return line


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def terminal(monkeypatch):
    """In place of standard error, which pytest would put back; of 80 columns."""
    stream = Terminal()

    class System:
        stderr = stream
        stdout = property(lambda self: sys.stdout)

    monkeypatch.setattr(fastlr.terminal, "sys", System())
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TERM", raising=False)
    return stream


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def at_once(monkeypatch):
    """Every fit is a long one, and every state of it is shown."""
    monkeypatch.setattr(fastlr.terminal, "_PATIENCE", 0)
    monkeypatch.setattr(fastlr.terminal, "_PAUSE", 0)


def problem(null_objective=200.0):
    return SimpleNamespace(null_objective=null_objective)


def check(n_iter, gap, objective=123.4567):
    return Check(n_iter, objective, gap, 0.02, None, None)


# ---- the line -------------------------------------------------------------------------------------


def test_the_line_comes_after_a_while_and_not_too_often(terminal, clock):
    with Progress("Model", clock=clock) as progress:
        report = progress.checks(problem(), 1000, None)
        for eighth in range(33):
            clock.now = 100 + eighth / 8
            report.tick(eighth)
            assert bool(terminal.shown) == (eighth >= 16)
        assert 5 <= len(terminal.shown) <= 11
        assert terminal.screen == "Model: iter 32/1000, 4 s, at most 2 min left"
    assert terminal.screen.strip() == "" and terminal.getvalue().endswith("\r")


def test_a_short_fit_leaves_no_trace(terminal, clock):
    with Progress("Model", clock=clock) as progress:
        progress.checks(problem(), 1000, None)(check(1, 1.0))
    assert terminal.getvalue() == ""


def test_a_shorter_text_covers_a_longer_one(terminal, clock):
    with Progress("Model", clock=clock) as progress:
        clock.now += 3
        progress.line.show(lambda: ["Model", "a long text", "and its end"])
        clock.now += 3
        progress.line.show(lambda: ["Model", "short"])
        assert terminal.screen.rstrip() == "Model: short"


@pytest.mark.parametrize("width, text", [
    (110, "Model: iter 10/1000, gap 1.0e-02 -> 0.0001, objective 123.457, 10 s, about 10 s left"),
    (79, "iter 10/1000, gap 1.0e-02 -> 0.0001, objective 123.457, 10 s, about 10 s left"),
    (60, "iter 10/1000, gap 1.0e-02 -> 0.0001, 10 s, about 10 s left"),
    (40, "iter 10/1000, 10 s, about 10 s left"),
    (20, "iter 10/1000, 10 s,"),
])  # fmt: skip
def test_what_matters_most_stays_on_a_narrow_terminal(terminal, clock, monkeypatch, width, text):
    monkeypatch.setenv("COLUMNS", str(width))
    with Progress("Model", clock=clock) as progress:
        report = progress.checks(problem(), 1000, None)
        report(check(1, 200.0))  # the gap falls by a factor of 100 in 10 s, and is to do so again
        clock.now += 10
        report(check(10, 2.0))
        assert terminal.screen == text and len(text) < width


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_a_terminal_that_goes_away_does_not_end_the_fit(terminal, at_once, monkeypatch, error):
    written = []

    def write(text):
        written.append(text)
        raise error

    monkeypatch.setattr(terminal, "write", write)
    assert LogisticRegression().fit(X, Y).converged_
    assert len(written) <= 2  # it is not tried again, but to clear the line


# ---- who sees it ----------------------------------------------------------------------------------


def test_nothing_is_written_where_there_is_no_terminal(at_once, capsys, monkeypatch):
    models = (LogisticRegression(), LinearSVC(), SGDClassifier(tol=None, max_iter=3), LinearSVCCV(Cs=2))
    for clf in models:
        clf.fit(X, Y)
    logistic_path(X, Y, Cs=2)
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "")
    for stream in (None, io.TextIOWrapper(io.BytesIO())):
        if stream is not None:
            stream.close()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            LogisticRegression().fit(X, Y)


@pytest.mark.parametrize("verbose", [0, False, -1, np.False_])
def test_silence(terminal, at_once, capsys, verbose):
    LogisticRegression(verbose=verbose).fit(X, Y)
    LogisticRegressionCV(Cs=2, verbose=verbose).fit(X, Y)
    SGDClassifier(tol=None, max_iter=3, verbose=verbose).fit(X, Y)
    logistic_path(X, Y, Cs=2, verbose=verbose)
    assert (capsys.readouterr().out, terminal.getvalue()) == ("", "")


def test_printed_lines_need_no_terminal_and_replace_the_line(terminal, at_once, capsys):
    LogisticRegression(verbose=True).fit(X, Y)
    assert "iterations, objective" in capsys.readouterr().out and not terminal.getvalue()


@pytest.mark.parametrize("verbose", ["much", 1.5, [1]])
@pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC, SGDClassifier, LogisticRegressionCV])
def test_verbose_is_a_number(kind, verbose):
    clf = kind().fit(X, Y)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="verbose must be None, a bool or an integer; found"):
        clf.set_params(verbose=verbose).fit(X, Y)
    assert {**vars(clf), "verbose": None} == before


def test_no_line_in_threads(terminal, at_once):
    thread = threading.Thread(target=LogisticRegression().fit, args=(X, Y))
    thread.start()
    thread.join()
    assert not terminal.getvalue()


def test_no_line_in_worker_processes(terminal, monkeypatch):
    assert fastlr.terminal.watched_stream() is terminal
    worker = SimpleNamespace(name="LokyProcess-1")
    monkeypatch.setattr(fastlr.terminal.multiprocessing, "current_process", lambda: worker)
    assert fastlr.terminal.watched_stream() is None


def test_no_line_where_it_cannot_be_rewritten(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert fastlr.terminal.watched_stream() is None


def test_no_line_in_doctests(terminal, at_once):
    text = ">>> _ = LogisticRegression().fit(X, Y)\n"
    names = {"LogisticRegression": LogisticRegression, "X": X, "Y": Y}
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(doctest.DocTestParser().get_doctest(text, names, "fit", None, 0), out=io.StringIO().write)
    assert runner.summarize(verbose=False) == (0, 1)
    assert not terminal.getvalue()


# ---- what it says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("clf, pattern", [
    (LogisticRegression("l1", tol=1e-6), r"iter \d+/1000, gap \d\.\de-0\d -> 1e-06, objective [\d.]+, \d+ s"),
    (LinearSVC(tol=1e-6), r"problem 3/3, iter \d+/1000, gap .*objective [\d.]+, \d+ s, about \d+ s left"),
    (SGDClassifier(tol=None, max_iter=3), r"epoch 3/3, loss \d\.\d{4}, minibatch [0-2]/2, \d+ s, at most"),
    (LogisticRegressionCV(Cs=2), r"LogisticRegressionCV: 10/10 fits, \d+ s, about 0 s left"),
    (LogisticRegressionCV(Cs=2), r"fit to all rows, iter \d+/1000, "),
    (LinearSVCCV(Cs=2), r"LinearSVCCV: 10/10 fits"),
])  # fmt: skip
def test_lines_of_fits(terminal, at_once, monkeypatch, clf, pattern):
    monkeypatch.setenv("COLUMNS", "120")
    clf.fit(X, Y)
    assert any(re.search(pattern, text) for text in terminal.shown), terminal.shown
    assert terminal.screen.strip() == ""


def test_the_line_of_a_path(terminal, at_once):
    logistic_path(X, Y, Cs=[0.1, 1.0])
    for number, C in enumerate(("0.1", "1"), 1):
        pattern = rf"C={C} \({number}/2\), iter \d+/1000, gap .* s, about \d+ s left"
        assert any(re.search(pattern, text) for text in terminal.shown)


def test_an_sgd_with_validation_shows_its_score(terminal, clock):
    with Progress("SGD", clock=clock) as progress:
        report = progress.epochs(100, None)
        history = {"loss": [0.5], "train_score": [0.8], "val_loss": [0.6], "val_score": [0.75], "time": [9.0]}
        clock.now += 15
        report(Event(2, 5, 10, history))
    # An epoch takes 10 s, and 98.5 are to come.
    assert terminal.shown == [
        "epoch 2/100, validation 75.00%, loss 0.5000, 15 s, at most 16 min left"
    ]  # fmt: skip


@pytest.mark.parametrize("clf", [LogisticRegression(), LinearSVC(), LogisticRegressionCV(Cs=2)])
def test_an_interrupt_leaves_the_line_cleared(terminal, at_once, monkeypatch, clf):
    """It comes when something is on the terminal."""
    writes = itertools.count()

    def write(text):
        io.StringIO.write(terminal, text)
        if next(writes) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(terminal, "write", write)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clf.fit(X, Y)
    assert terminal.shown and terminal.screen.strip() == "" and terminal.getvalue().endswith("\r")


def test_an_interrupt_of_an_sgd_leaves_the_line_cleared(terminal, at_once, monkeypatch):
    def interrupt(*_):
        assert terminal.screen.strip()
        raise KeyboardInterrupt

    monkeypatch.setattr("fastlr.linear_model.sgd._SoftmaxModel.evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        SGDClassifier().fit(X, Y)
    assert terminal.screen.strip() == ""


def test_warnings_come_when_the_line_is_gone(terminal, at_once, monkeypatch):
    seen = []
    monkeypatch.setattr(warnings, "showwarning", lambda *_: seen.append(terminal.screen.strip()))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "_showwarnmsg_impl", lambda *_: seen.append(terminal.screen.strip()))
        LogisticRegression(max_iter=1, tol=0).fit(X, Y)
        SGDClassifier(max_iter=1).fit(X, Y)
        LogisticRegressionCV(Cs=2, max_iter=1, tol=0).fit(X, Y)
    assert seen == ["", "", ""] and terminal.shown


# ---- time left ------------------------------------------------------------------------------------


def test_the_gap_is_extrapolated_from_the_later_half():
    # Slow at first, then a factor of 10 a second, with three more factors to go.
    points = [(0, 1.0), (4, 0.9), (6, 0.9), (8, 0.9e-2), (10, 0.9e-4)]
    assert left_by_gap(points, 0.9e-7) == pytest.approx(3)
    assert left_by_gap(points[-2:], 0.9e-7) == pytest.approx(3)


@pytest.mark.parametrize("points, target", [
    ([], 0.1), ([(1, 0.5)], 0.1), ([(1, math.inf), (2, 0.5)], 0.1), ([(1, 0.5), (2, 0.5)], 0.1),
    ([(1, 0.4), (2, 0.5)], 0.1), ([(1, 0.5), (1, 0.4)], 0.1), ([(1, 0.5), (2, 0.4)], 0.0),
    ([(1, 0.5), (2, 0.05)], 0.1),
])  # fmt: skip
def test_no_estimate_where_there_is_no_ground_for_one(points, target):
    assert left_by_gap(points, target) is None


@pytest.mark.parametrize("left, most, part, deadline, text", [
    (5.0, math.inf, None, math.inf, "10 s, about 5 s left"),
    (5.0, 3.0, None, math.inf, "10 s, about 3 s left"),
    (None, 3.0, None, math.inf, "10 s, at most 3 s left"),
    (None, math.inf, None, math.inf, "10 s"),
    (None, math.inf, None, 117.0, "10 s, at most 7 s left"),
    (50.0, math.inf, None, 117.0, "10 s, about 7 s left"),
    (50.0, math.inf, None, 90.0, "10 s, about 0 s left"),
    # The second of four parts is at its end: ten seconds for two, and as many again.
    (0.0, math.inf, ("", 1, 4), math.inf, "10 s, about 10 s left"),
    (None, 0.0, ("", 1, 4), math.inf, "10 s, about 10 s left"),
    (2.0, math.inf, ("", 0, 1), math.inf, "10 s, about 2 s left"),
    (1e300, math.inf, None, math.inf, "10 s"),
])  # fmt: skip
def test_time_left(clock, left, most, part, deadline, text):
    progress = Progress("Model", 0, deadline=deadline, clock=clock).within(part=part)
    clock.now += 10
    assert progress.times(left, most) == text


def test_time_runs_on_between_checks(terminal, clock):
    with Progress("Model", clock=clock) as progress:
        report = progress.checks(problem(), 1000, None)
        report(check(1, 200.0))
        clock.now += 10
        report(check(10, 2.0))
        clock.now += 4
        report.tick(14)
    assert "14 s, about 6 s left" in terminal.shown[-1]


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (99.4, "99 s"), (99.5, "2 min"), (3600, "60 min"), (5969, "99 min"), (5970, "1.7 h"),
    (36000, "10.0 h"),
])  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


# ---- printed lines --------------------------------------------------------------------------------


THEANO = re.compile(r"epoch (\d+), minibatch (\d+)/(\d+), (validation|training) error (\d+\.\d{6}) %")
LAST = re.compile(
    r"best (validation|training) error (\d+\.\d{6}) % in epoch (\d+); (\d+) epochs, \d+\.\d\d epochs/s"
)


def theano(**options):
    rule = EarlyStopping(patience=30, patience_increase=2, **options)
    return SGDClassifier(
        eta0=0.1, batch_size=10, max_iter=20, early_stopping=rule, random_state=0, verbose=1,
        validation_fraction=0.2,
    )  # fmt: skip


def test_theano_prints_each_validation(capsys):
    """Twice an epoch of twelve minibatches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = theano(validation_frequency=6).fit(X, Y)
    *lines, last = capsys.readouterr().out.splitlines()
    found = [THEANO.fullmatch(line).groups() for line in lines]
    places = [(str(epoch), at, "12") for epoch in range(1, clf.n_iter_ + 1) for at in ("6", "12")]
    assert [groups[:3] for groups in found] == places[: clf.t_ // 6]  # patience may end within an epoch
    assert {groups[3] for groups in found} == {"validation"}
    at_ends = {int(groups[0]): float(groups[4]) for groups in found if groups[1] == "12"}
    for epoch, error in at_ends.items():
        assert error == pytest.approx(100 * (1 - clf.history_["val_score"][epoch - 1]), abs=1e-6)
    _, best, epoch, epochs = LAST.fullmatch(last).groups()
    errors = [float(groups[4]) for groups in found]
    assert float(best) == min(errors) and int(epochs) == clf.n_iter_
    assert int(epoch) == int(found[errors.index(min(errors))][0]) == clf.best_epoch_


def test_theano_without_validation_data_watches_the_training_rows(capsys):
    theano().set_params(validation_fraction=0, max_iter=200).fit(X, Y)
    *lines, last = capsys.readouterr().out.splitlines()
    assert all(THEANO.fullmatch(line)[4] == "training" for line in lines)
    assert LAST.fullmatch(last)[1] == "training"


def test_validations_over_several_epochs(capsys):
    clf = theano(validation_frequency=24).fit(X, Y)
    *lines, _ = capsys.readouterr().out.splitlines()
    epochs = [int(THEANO.fullmatch(line)[1]) for line in lines]
    assert epochs and epochs == [2 * (k + 1) for k in range(clf.t_ // 24)]


def test_levels_of_cross_validation(capsys):
    counts = []
    for verbose in range(4):
        LogisticRegressionCV(Cs=2, cv=3, verbose=verbose, n_threads=1).fit(X, Y)
        lines = capsys.readouterr().out.splitlines()
        patterns = (r"fold \d of 3", r"C=.*iterations", r"^\[fastlr\] +\d+ iterations")
        counts.append([sum(bool(re.search(p, line)) for line in lines) for p in patterns])
    assert counts[0] == [0, 0, 0] and counts[1] == [3, 0, 0] and counts[2] == [3, 6, 0]
    assert counts[3][:2] == [3, 6] and counts[3][2] >= 7


def test_levels_of_a_path(capsys):
    logistic_path(X, Y, Cs=3, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert sum("C=" in line for line in lines) == 3
    assert sum(bool(re.match(r"\[fastlr\] +\d+ iterations", line)) for line in lines) >= 3
