"""The command line: what it prints and where, what it writes, and with which code it ends."""

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file, load_digits, load_iris

import fastlr
from fastlr import cli
from fastlr.cli import commands, parser, report
from fastlr.minibatch import Schedule
from fastlr.solvers import SOLVERS

pandas = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def iris():
    frame = load_iris(as_frame=True).frame
    names = np.array(["setosa", "versicolor", "virginica"])
    return frame.assign(species=names[frame.pop("target")])


@pytest.fixture
def flowers(iris, tmp_path):
    iris.to_csv(tmp_path / "flowers.csv", index=False)
    return str(tmp_path / "flowers.csv")


@pytest.fixture
def model(flowers, tmp_path, capsys):
    path = str(tmp_path / "model.npz")
    assert cli.main(["fit", flowers, "--out", path, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    return path


def run(capsys, *arguments):
    """Exit code, standard output and standard error."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def process(*arguments, **options):
    root = str(Path(fastlr.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "MPLBACKEND": "Agg"}
    return subprocess.run(
        [sys.executable, "-m", "fastlr", *map(str, arguments)],
        capture_output=True, text=True, env=environment, timeout=300, **options,
    )  # fmt: skip


# ---- fit ------------------------------------------------------------------------------------------------


def test_fit_reports_what_it_did(flowers, iris, tmp_path, capsys):
    out = tmp_path / "new" / "folder" / "model.npz"
    code, printed, told = run(capsys, "fit", flowers, "--out", out, "--test", 0.2, "--C", 0.5)
    assert code == 0 and told == ""
    found = fastlr.load(out)
    assert found.C == 0.5 and found.scaling == "standard" and found.converged_
    assert found.feature_names_in_.tolist() == list(iris.columns[:4])
    assert "flowers.csv: 120 training and 30 test rows, 4 features, float64" in printed
    assert "column 'species'; 3 classes: setosa, versicolor, virginica" in printed
    assert found.explain() in printed and f"wrote {out}" in printed
    training, test = (next(x for x in printed.splitlines() if x.startswith(w)) for w in ("training", "test"))
    assert training.split()[1] == "120" and test.split()[1] == "30"
    # The matrix has the rows that were set aside, ten of each class.
    matrix = printed[printed.index("confusions") :].splitlines()[2:5]
    counts = [[int(cell.replace(".", "0")) for cell in line.split()[1:4]] for line in matrix]
    assert np.sum(counts, axis=1).tolist() == [10, 10, 10]
    assert float(test.split()[2].rstrip("%")) == pytest.approx(100 * np.trace(counts) / 30, abs=0.01)


def test_the_scores_are_those_of_the_model(flowers, iris, tmp_path, capsys):
    from sklearn.metrics import log_loss

    iris[::2].to_csv(tmp_path / "even.csv", index=False)
    iris[1::2][iris.columns[::-1]].to_csv(tmp_path / "odd.csv", index=False)  # columns are found by name
    code, printed, _ = run(
        capsys, "fit", tmp_path / "even.csv", "--out", tmp_path / "m.npz", "--test", tmp_path / "odd.csv",
        "--target", "species",
    )  # fmt: skip
    found = fastlr.load(tmp_path / "m.npz")
    for name, part in (("training", iris[::2]), ("test", iris[1::2])):
        X, y = part.drop(columns="species"), part["species"]
        line = next(line for line in printed.splitlines() if line.startswith(name)).split()
        assert line[1:] == ["75", f"{found.score(X, y):.2%}", f"{log_loss(y, found.predict_proba(X)):.4f}"]
    assert code == 0


@pytest.mark.parametrize(
    ("options", "kind", "parameters"),
    [
        ([], "LogisticRegression", {"penalty": "l2", "C": 1.0, "random_state": 0, "scaling": "standard"}),
        (["--penalty", "elasticnet", "--l1-ratio", "0.3"], "LogisticRegression", {"l1_ratio": 0.3}),
        (["--penalty", "none", "--tol", "0.01"], "LogisticRegression", {"penalty": None, "tol": 0.01}),
        (["--model", "svm", "--penalty", "l1"], "LinearSVC", {"penalty": "l1"}),
        (["--model", "sgd", "--C", "2"], "SGDClassifier", {"alpha": 1 / 300, "eta0": 0.1}),
        (["--scaling", "none", "--threads", "1"], "LogisticRegression", {"scaling": None, "n_threads": 1}),
        (["--seed", "3", "--max-time", "60"], "LogisticRegression", {"random_state": 3}),
    ],
)
def test_options_of_fit(flowers, tmp_path, capsys, options, kind, parameters):
    code, printed, _ = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", *options)
    found = fastlr.load(tmp_path / "m.npz")
    assert code == 0 and type(found).__name__ == kind
    assert {name: getattr(found, name) for name in parameters} == parameters
    assert ("log-loss" in printed) == (kind != "LinearSVC")
    assert ("certificate" in printed) == (kind == "SGDClassifier") and "No test data" in printed
    assert ("the optimum lies between" in printed) == (kind != "SGDClassifier")


def test_a_neural_network(flowers, tmp_path, capsys):
    code, *_ = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--model", "mlp")
    assert code == 0 and type(fastlr.load(tmp_path / "m.npz")).__name__ == "MLPClassifier"
    assert run(capsys, "inspect", tmp_path / "m.npz")[0] == 0


def test_sparse_rows(tmp_path, capsys):
    X, y = load_digits(return_X_y=True)
    for name, rows in (("train", slice(0, 600)), ("test", slice(600, 900))):
        dump_svmlight_file(X[rows] / 16, y[rows], str(tmp_path / f"{name}.libsvm"), zero_based=False)
    train, test, out = tmp_path / "train.libsvm", tmp_path / "test.libsvm", tmp_path / "m.npz"
    code, printed, _ = run(capsys, "fit", train, "--test", test, "--out", out)
    assert code == 0 and "sparse" in printed and "scaling: none" in printed
    code, printed, told = run(capsys, "predict", out, test)
    wrong = int(np.sum(np.array(printed.split(), dtype=int) != y[600:900]))
    assert code == 0 and 0 < wrong < 60 and f"{wrong} of 300 rows are wrong" in told


def test_images_come_with_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8).astype(np.uint8)[:400]
    parts = {"x_train": images[:300], "y_train": y[:300], "x_test": images[300:], "y_test": y[300:400]}
    np.savez(tmp_path / "digits.npz", **parts)
    code, printed, _ = run(
        capsys, "fit", tmp_path / "digits.npz", "--out", tmp_path / "m.npz", "--plots", tmp_path / "p" / "q"
    )
    assert code == 0 and "300 training and 100 test rows" in printed and "scaling: unit" in printed
    written = {path.name for path in (tmp_path / "p" / "q").iterdir()}
    assert written == {"history.png", "confusion.png", "weights.png", "mistakes.png"}
    assert all(f"wrote {tmp_path / 'p' / 'q' / name}" in printed for name in written)
    assert len(run(capsys, "predict", tmp_path / "m.npz", tmp_path / "digits.npz")[1].split()) == 100


def test_images_of_a_network_are_of_its_units(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    from fastlr import plots

    X, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "digits.npz", X=X.reshape(-1, 8, 8).astype(np.uint8), y=y)
    drawn, plot_weights = {}, plots.plot_weights

    def plotted(coef, **options):
        drawn.update(options, coef=coef)
        return plot_weights(coef, **options)

    monkeypatch.setattr(plots, "plot_weights", plotted)
    options = "--model", "mlp", "--plots", tmp_path / "p"
    assert run(capsys, "fit", tmp_path / "digits.npz", "--out", tmp_path / "m.npz", *options)[0] == 0
    np.testing.assert_array_equal(drawn["coef"], fastlr.load(tmp_path / "m.npz").coefs_[0].T)
    assert (drawn["classes"][0], drawn["classes"][-1]) == ("unit 1", "unit 25")


def test_flowers_are_no_images(flowers, tmp_path, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    assert run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--plots", tmp_path)[0] == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {"history.png", "confusion.png"}


def test_progress_goes_to_standard_error(flowers, tmp_path, capsys):
    _, quiet, nothing = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz")
    _, printed, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--verbose")
    assert "gap" in told and nothing == ""
    assert len(printed.splitlines()) == len(quiet.splitlines())
    found = fastlr.load(tmp_path / "m.npz")
    assert found.verbose == type(found)().verbose


def test_not_converged_is_a_warning(flowers, tmp_path, capsys):
    code, printed, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--max-time", "1e-9")
    assert code == 0 and told.startswith("fastlr: warning: not converged, with a gap of ")
    assert told.endswith(" where 0.0001 was asked for: give a longer --max-time or a larger --tol\n")
    assert "max_time was up." in printed and not fastlr.load(tmp_path / "m.npz").converged_
    shown = run(capsys, "inspect", tmp_path / "m.npz")[1]
    for words in ("warm_start", "loosen tol"):  # of Python
        assert words not in printed + told + shown


def test_epochs_that_are_not_enough_are_a_warning(flowers, tmp_path, capsys):
    options = "--model", "sgd", "--eta0", "1e-6"
    code, _, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--quiet", *options)
    assert code == 0
    assert (
        told == "fastlr: warning: not converged, 1000 epochs were not enough: give larger steps by --eta0\n"
    )


def test_an_interrupted_fit_keeps_the_model(flowers, tmp_path, capsys, monkeypatch):
    def interrupting(steps):
        def interrupted(*start):
            for n, iterate in enumerate(steps(*start)):
                if n == 3:
                    raise KeyboardInterrupt
                yield iterate

        return interrupted

    for name, solver in SOLVERS.items():
        monkeypatch.setitem(SOLVERS, name, replace(solver, steps=interrupting(SOLVERS["lbfgs"].steps)))
    code, printed, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--tol", "1e-12")
    assert code == 130 and f"interrupted; the best model so far is in {tmp_path / 'm.npz'}" in told
    assert "interrupted by the user" in printed
    assert fastlr.load(tmp_path / "m.npz").status_ == "interrupted"


@pytest.mark.parametrize("model", ["sgd", "mlp"])
def test_an_interrupted_training_keeps_the_model(flowers, tmp_path, capsys, monkeypatch, model):
    rates, calls = Schedule.rates, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:  # a call an epoch
            raise KeyboardInterrupt
        return rates(*arguments)

    monkeypatch.setattr(Schedule, "rates", interrupted)
    path = tmp_path / "m.npz"
    code, printed, told = run(capsys, "fit", flowers, "--out", path, "--model", model)
    assert (code, told) == (130, f"fastlr: interrupted; the best model so far is in {path}\n")
    assert "\n3 epochs; kept are the weights of epoch" in printed
    assert fastlr.load(path).status_ == "interrupted"


def test_an_interrupt_while_reading(flowers, tmp_path, capsys, monkeypatch):
    def read_table(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "read_table", read_table)
    assert run(capsys, "fit", flowers, "--out", tmp_path / "m.npz") == (130, "", "fastlr: interrupted\n")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "No such file or directory"),
        ("", [], "is empty"),
        ("a,b,kind\n1,2,x\n3,4,x\n", [], "column 'kind', has one class only among the training rows: x;"),
        ("a,b,kind\n1,red,x\n3,blue,y\n", [], "column 'b' holds text or objects, such as 'red' in row 1"),
        ("a,b,kind\n1,,x\n3,4,y\n", [], "column 'b' lacks 1 of 2 values, the first in row 1"),
        ("a,b,kind\n1,2,\n3,4,y\n", [], "the target, column 'kind', lacks 1 of 2 values"),
        ("a,b,kind\n1,2,x\n3,4,y\n", ["--target", "c"], "no column 'c' to be the target; its columns: a, b"),
        ("a,kind\n1,x\n2,x\n3,y\n4,y\n", ["--test", "0.2"], "leaves 3 of 4 rows to train on and 1 to test"),
        ("a,kind\n1,x\n2,y\n", ["--test", "0.5"], "has one class only among the training rows"),
        ("a,b,kind\n1,2,x\n3,4,y\n", ["--test", "absent.csv"], "absent.csv: No such file or directory"),
    ],
)  # fmt: skip
def test_bad_data(tmp_path, capsys, content, options, message):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    code, printed, told = run(capsys, "fit", path, "--out", tmp_path / "m.npz", *options)
    assert code == 1 and printed == "" and not (tmp_path / "m.npz").exists()
    assert told.startswith("fastlr: ") and message in told and "Traceback" not in told


def test_data_is_not_overwritten(flowers, iris, tmp_path, capsys):
    before = Path(flowers).read_bytes()
    test = tmp_path / "test.csv"
    iris.to_csv(test, index=False)
    for options in (["--out", flowers], ["--out", test, "--test", test]):
        code, _, told = run(capsys, "fit", flowers, *options)
        assert code == 1 and "it is not overwritten" in told
    assert Path(flowers).read_bytes() == before
    assert "is a folder; needed: a file" in run(capsys, "fit", flowers, "--out", tmp_path)[2]


def test_folders_are_made_before_the_work(flowers, tmp_path, capsys):
    code, printed, told = run(capsys, "fit", flowers, "--out", tmp_path / "m", "--plots", flowers)
    assert (code, printed, told) == (1, "", f"fastlr: {flowers}: is a file; needed: a folder\n")
    assert not (tmp_path / "m").exists()
    told = run(capsys, "fit", flowers, "--out", f"{flowers}/m")[2]
    assert told == f"fastlr: {flowers}: is a file; needed: a folder\n"


def full(*_):
    raise OSError(28, "No space left on device", "a file beside it")


def test_a_model_that_cannot_be_written(flowers, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    code, printed, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz")
    assert (code, printed, told) == (1, "", f"fastlr: {tmp_path / 'm.npz'}: No space left on device\n")


def test_pictures_and_predictions_on_a_full_disk(flowers, model, tmp_path, capsys, monkeypatch):
    """The model is safe by then, older files stay, and no half of a new one."""
    labels, folder, out = tmp_path / "labels.txt", tmp_path / "pictures", tmp_path / "new.npz"
    labels.write_text("older")
    true_fsync = os.fsync
    monkeypatch.setattr(os, "fsync", full)
    code, _, told = run(capsys, "predict", model, flowers, "--out", labels)
    assert told == f"fastlr: {labels}: No space left on device\n"
    assert code == 1 and labels.read_text() == "older"
    monkeypatch.setattr(os, "fsync", lambda file: full() if any(folder.glob(".*")) else true_fsync(file))
    code, _, told = run(capsys, "fit", flowers, "--out", out, "--plots", folder)
    assert told == f"fastlr: {folder / 'history.png'}: No space left on device\n"
    assert code == 1 and list(folder.iterdir()) == [] and fastlr.load(out).converged_
    assert set(os.listdir(tmp_path)) == {"flowers.csv", "labels.txt", "model.npz", "new.npz", "pictures"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "required: --out"),
        (["--out", "m", "--C", "-1"], "argument --C: found -1; needed: a positive number"),
        (["--out", "m", "--C", "x"], "argument --C: invalid number value: 'x'"),
        (["--out", "m", "--test", "1.5"], "found 1.5; needed: a share between 0 and 1"),
        (["--out", "m", "--threads", "0"], "needed: a whole number from 1"),
        (["--out", "m", "--model", "tree"], "invalid choice: 'tree'"),
        (["--out", "m", "--model", "svm", "--penalty", "none"], "--penalty none: svm takes l1, l2"),
        (["--out", "m", "--model", "sgd", "--max-time", "1"], "--max-time: only certified models"),
        (["--out", "m", "--model", "mlp", "--tol", "1"], "--tol: only certified models (logistic, svm) take"),
        (
            ["--out", "m", "--eta0", "1"],
            "--eta0: only models by minibatches (sgd, mlp) take it",
        ),
        (["--out", "m", "--l1-ratio", "1"], "--l1-ratio: only --penalty elasticnet takes it, not l2"),
        (["--out", "m", "--quiet", "--verbose"], "not allowed with"),
    ],
)
def test_wrong_usage(capsys, options, message):
    with pytest.raises(SystemExit) as caught:
        cli.main(["fit", "data.csv", *options])
    printed, told = capsys.readouterr()
    assert caught.value.code == 2 and printed == ""
    assert told.startswith("usage: python -m fastlr fit") and "\nfastlr: " in told and message in told


def test_matplotlib_is_asked_for_before_the_work(flowers, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, told = run(capsys, "fit", flowers, "--out", tmp_path / "m.npz", "--plots", tmp_path / "p")
    assert code == 1 and "pip install 'fastlr[plots]'" in told and not (tmp_path / "m.npz").exists()


# ---- predict and inspect --------------------------------------------------------------------------------


def test_predict(model, flowers, iris, tmp_path, capsys):
    expected = fastlr.load(model).predict(iris.drop(columns="species"))
    wrong = int(np.sum(expected != iris["species"]))
    code, printed, told = run(capsys, "predict", model, flowers)
    assert code == 0 and printed.splitlines() == expected.tolist() and wrong > 0
    assert told == f"fastlr: accuracy {1 - wrong / 150:.2%}: {wrong} of 150 rows are wrong\n"
    # Without labels, without names, as another kind of file.
    features = iris.drop(columns="species")
    features.to_csv(tmp_path / "plain.csv", index=False, header=False)
    np.save(tmp_path / "plain.npy", features.to_numpy())
    sp.save_npz(tmp_path / "plain.npz", sp.csr_array(features.to_numpy()))
    for name in ("plain.csv", "plain.npy", "plain.npz"):
        code, again, told = run(capsys, "predict", model, tmp_path / name)
        assert code == 0 and again == printed and "accuracy" not in told
    code, nothing, _ = run(capsys, "predict", model, flowers, "--out", tmp_path / "f" / "labels.txt")
    assert code == 0 and nothing == "" and (tmp_path / "f" / "labels.txt").read_text() == printed


def test_predict_probabilities(model, flowers, iris, capsys):
    code, printed, _ = run(capsys, "predict", model, flowers, "--proba")
    head, *rows = csv.reader(io.StringIO(printed))
    found = fastlr.load(model)
    X = iris.drop(columns="species")
    assert code == 0 and head == ["label", *found.classes_]
    assert [row[0] for row in rows] == found.predict(X).tolist()
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), found.predict_proba(X), rtol=1e-8)


def test_predict_refuses(model, flowers, iris, tmp_path, capsys):
    iris.drop(columns=iris.columns[1]).to_csv(tmp_path / "narrow.csv", index=False)
    np.save(tmp_path / "wide.npy", np.ones((3, 7)))
    run(capsys, "fit", flowers, "--model", "svm", "--out", tmp_path / "svm.npz")
    np.savez(tmp_path / "other.npz", X=np.eye(3))
    before = Path(model).read_bytes()
    for arguments, message in [
        ((model, tmp_path / "narrow.csv"), "lacks the features sepal width (cm); found: sepal length (cm)"),
        ((model, tmp_path / "wide.npy"), "has 6 features; the model needs 4"),
        ((model, tmp_path / "absent.npy"), "No such file"),
        ((tmp_path / "absent.npz", flowers), "absent.npz: No such file"),
        ((tmp_path / "other.npz", flowers), "other.npz"),
        ((tmp_path / "svm.npz", flowers, "--proba"), "LinearSVC has no probabilities"),
        ((model, flowers, "--out", model), "it is not overwritten"),
    ]:
        code, printed, told = run(capsys, "predict", *arguments)
        assert code == 1 and printed == "" and told.startswith("fastlr: ") and message in told
    assert Path(model).read_bytes() == before


def test_predict_with_labels_of_another_kind(model, iris, tmp_path, capsys):
    iris.assign(species=range(150)).to_csv(tmp_path / "a.csv", index=False)
    code, printed, told = run(capsys, "predict", model, tmp_path / "a.csv")
    assert code == 0 and len(printed.splitlines()) == 150
    assert "no accuracy: none of the labels (0, 1, 2," in told


def test_inspect(model, iris, capsys):
    code, printed, _ = run(capsys, "inspect", model)
    found = fastlr.load(model)
    assert code == 0 and found.explain() in printed and "LogisticRegression(" in printed
    assert "classes: 3: setosa, versicolor, virginica" in printed
    assert f"features: 4: {', '.join(iris.columns[:4])}" in printed
    assert f"norm {np.linalg.norm(found.coef_):.4g}" in printed and "0.0% zeros" in printed
    assert f"history of {len(found.history_['time'])} entries" in printed


# ---- words ----------------------------------------------------------------------------------------------


def test_confusions_of_many_classes_are_a_list():
    y = np.arange(60) % 30
    predicted = np.where(y == 7, 8, y)
    text = report.scores(np.arange(30), [report.Part("test", None, y)], [(predicted, None)])
    assert "2 x 7 taken for 8" in text and "rows: true class" not in text


def test_labels_that_the_model_has_not_seen():
    y, proba = np.array([0, 1, 5]), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    text = report.scores(np.array([0, 1]), [report.Part("test", None, y)], [(np.array([0, 1, 0]), proba)])
    assert "66.67%       inf" in text and "labels that the model has not seen: 5" in text


def test_numbers_and_text_are_compared_as_text():
    """Text sorts otherwise than numbers: 10 is before 2."""
    classes, y = np.array([1, 2, 10]), np.array(["1", "2", "10"])
    proba = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])
    text = report.scores(classes, [report.Part("test", None, y)], [(classes, proba)])
    assert f"100.00%{-np.log([0.7, 0.8, 0.6]).mean():10.4f}" in text
    assert report.accuracy(y, np.array([1, 2, 2]), classes) == "accuracy 66.67%: 1 of 3 rows are wrong"


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"], ["inspect"], ["demo"]])
def test_help_is_a_page(capsys, command):
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "--help"])
    printed, told = capsys.readouterr()
    assert caught.value.code == 0 and told == "" and "exit code: 0 done" in printed
    assert max(map(len, printed.splitlines())) <= 100
    if command and command[0] in ("fit", "predict"):
        assert "examples:" in printed and ".libsvm" in printed


def test_the_examples_of_the_help_are_right():
    """Each parses, though the files are not there."""
    lines = (parser._MAIN + parser._FIT_EXAMPLES + parser._PREDICT_EXAMPLES).splitlines()
    examples = [line.split("python -m fastlr ")[1] for line in lines if "python -m fastlr " in line]
    assert len(examples) >= 10
    for example in examples:
        words = example.split("  ")[0].split("|")[0].split(">")[0].split()
        assert parser.build_parser().parse_args(words).run in vars(commands).values()


def test_demo(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands, "run_demo", lambda mnist, out: print(mnist, out))
    assert run(capsys, "demo", "--out", tmp_path)[1] == f"None {tmp_path}\n"
    code, printed, told = run(capsys, "demo", "--mnist", "absent")
    assert (code, printed) == (1, "")
    assert told == "fastlr: --mnist: absent is no folder; needed: one with MNIST's IDX files\n"


def test_an_interrupt_ends_the_demo(tmp_path, capsys, monkeypatch):
    fit = fastlr.SGDClassifier.fit

    def interrupted(self, *data):
        fit(self, *data).status_ = "interrupted"
        return self

    monkeypatch.setattr(fastlr.SGDClassifier, "fit", interrupted)
    code, _, told = run(capsys, "demo", "--out", tmp_path)
    assert (code, told) == (130, "fastlr: interrupted\n") and not list(tmp_path.iterdir())


# ---- as a process ---------------------------------------------------------------------------------------


def test_exit_codes_of_the_process(tmp_path):
    failed = process("fit", tmp_path / "absent.csv", "--out", tmp_path / "m.npz")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"fastlr: {tmp_path / 'absent.csv'}: No such file or directory\n"
    wrong = process("fit")
    assert wrong.returncode == 2 and wrong.stderr.splitlines()[-1].startswith("fastlr: ")


def test_pipes(flowers, model, iris):
    with open(flowers, "rb") as stream:
        piped = process("predict", model, "-", stdin=stream)
    assert piped.returncode == 0 and len(piped.stdout.splitlines()) == 150
    assert "accuracy" in piped.stderr
    read, write = os.pipe()
    os.close(read)  # a reader that has seen enough
    with os.fdopen(write, "wb") as closed:
        root = str(Path(fastlr.__file__).parents[1])
        ended = subprocess.run(
            [sys.executable, "-m", "fastlr", "predict", model, flowers],
            stdout=closed, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
    assert ended.returncode == 141 and ended.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_closed_streams(model, flowers):
    root = str(Path(fastlr.__file__).parents[1])
    script = '"$1" -m fastlr predict "$2" "$3" >&-; echo $?'
    ended = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, model, flowers],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert ended.stdout == "0\n" and ended.stderr.startswith("fastlr: accuracy")
