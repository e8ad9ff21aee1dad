"""The stories of examples/ run on bundled digits, and on MNIST print what their authors had."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastlr
from fastlr.datasets import load_digits

image = pytest.importorskip("matplotlib.image")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
STORIES = sorted(path.stem for path in EXAMPLES.glob("[!_]*.py"))
# Of some stories: a pattern for each line that matters, in order.
LINES = {
    "l1_saga_mnist": [
        r"digits: 1,797 images shuffled; training on 1,000, testing on 797 others",
        r"sparsity with L1 penalty +\| +\| [6-9]\d\.\d\d%",
        r"test score with L1 penalty +\| +\| 0\.9\d\d\d",
        r"run time of the fit, seconds +\| +\| \d",
        r"objective +\| +unknown \| 52\.80968",
        r"sparsity +\| +unknown \| 8[45]\.\d\d%",
        r"newton-cd: L1 penalty .*10 classes",
        r"12 certified models, from C = 0\.02 to 2:",
        r"From uint8 without a scaler: 52\.80968\d, .* 100\.00% of the predictions agree",
    ],
    "l1_svm_5v8": [
        r"digits: 284 training images of a 5 or an 8, 72 test images",
        *(rf"C = {C}: .*\| 0\.9\d+ / 0\.9\d+$" for C in ("0.025", "0.05", "0.1", "0.2", "0.4")),
        r"best C +\| +\| 0\.[124]",
        r"accuracy on the training images +\| +\| 0\.9[89]",
        r"accuracy on the 72 test images +\| +\| (0\.9[5-9]|1\.0)",
        r"coefficients that are zero +\| +\| \d\d of 64",
    ],
}

pytestmark = pytest.mark.skipif(not STORIES, reason="examples/ is not beside tests/")
on_mnist = pytest.mark.skipif(
    "FASTLR_DATA" not in os.environ, reason="set FASTLR_DATA to the folder that holds mnist/"
)


def run(story, folder, *arguments):
    """The finished process of a story that runs in `folder`, where it sees this fastlr but no FASTLR_DATA."""
    environment = {name: value for name, value in os.environ.items() if name != "FASTLR_DATA"}
    paths = str(Path(fastlr.__file__).parents[1]), environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, str(EXAMPLES / f"{story}.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def printed(story, folder, *arguments):
    """What a story prints, if all goes well."""
    process = run(story, folder, *arguments)
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr, process.stderr
    return process.stdout


def fastlr_column(text, what, n=0):
    """Numbers in the last column of the table's line of number n that begins with `what`."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith(what) and line.count("|") == 2]
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", rows[n][2])]


@pytest.mark.parametrize("story", STORIES)
def test_runs_on_digits(story, tmp_path):
    text = printed(story, tmp_path, "--out", "pictures")
    at = 0
    for pattern in LINES.get(story, ()):
        found = re.compile(pattern, re.MULTILINE).search(text, at)
        assert found, f"no line {pattern!r} from here on:\n{text[at:]}"
        at = found.end()
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert pictures and all(path.suffix == ".png" for path in pictures)
    told = re.findall(r"^wrote (\S+)$", text, re.MULTILINE)
    assert sorted(told) == [str(path.relative_to(tmp_path)) for path in pictures]
    for path in pictures:
        pixels = image.imread(path)
        assert 400 <= pixels.shape[1] <= 1600 and pixels.std() > 0.01, path


def test_the_svm_reads_keras_npz(tmp_path):
    (X_train, y_train), (X_test, y_test) = load_digits()
    np.savez(
        tmp_path / "mnist.npz",
        x_train=X_train.reshape(-1, 8, 8), y_train=y_train.astype(np.uint8),
        x_test=X_test.reshape(-1, 8, 8), y_test=y_test.astype(np.uint8),
    )  # fmt: skip
    text = printed("l1_svm_5v8", tmp_path, "--data", "mnist.npz")
    assert text.startswith("MNIST: 284 training images of a 5 or an 8, 72 test images")
    assert {path.name for path in (tmp_path / "gallery").iterdir()} == {"svm-scores.png", "svm-weights.png"}


@pytest.mark.parametrize("story", STORIES)
def test_absent_data_is_one_clear_line(story, tmp_path):
    process = run(story, tmp_path, "--data", "nowhere")
    assert process.returncode == 1
    assert process.stderr.startswith("--data: ") and "nowhere" in process.stderr
    assert "Traceback" not in process.stderr


@on_mnist
def test_l1_saga_on_mnist(tmp_path):
    text = printed("l1_saga_mnist", tmp_path, "--data", os.environ["FASTLR_DATA"])
    if "63,000 images" not in text:
        pytest.skip("the numbers are about 60,000 training and 3,000 test images")
    assert fastlr_column(text, "test score with L1 penalty")[0] > 0.8
    assert fastlr_column(text, "sparsity with L1 penalty")[0] > 75
    assert 67.506 < fastlr_column(text, "objective")[0] < 72.5  # scikit-learn's SAGA ends there
    assert fastlr_column(text, "objective", 1) == pytest.approx([67.506062], abs=1e-4)
    assert fastlr_column(text, "distance from the optimum")[0] < 1.2e-4  # 1e-6 of the null objective
    assert fastlr_column(text, "sparsity", 1) == pytest.approx([95.68], abs=0.1)
    assert fastlr_column(text, "test score", 1)[0] > 0.8
    assert re.search(r"without a scaler: 67\.5060\d+,", text)


@on_mnist
def test_l1_svm_on_mnist(tmp_path):
    text = printed("l1_svm_5v8", tmp_path, "--data", os.environ["FASTLR_DATA"])
    assert text.startswith("MNIST: 11,272 training images of a 5 or an 8")
    train = [0.96291693, 0.96775192, 0.97059085, 0.97340754, 0.97626859]
    held_out = [0.95626331, 0.95990064, 0.96158623, 0.9625621, 0.96105394]
    for C, *scores in zip((0.025, 0.05, 0.1, 0.2, 0.4), train, held_out, strict=True):
        assert fastlr_column(text, f"C = {C:g}:") == pytest.approx(scores, abs=5e-4)
    assert fastlr_column(text, "best C") == [0.2]
    assert fastlr_column(text, "accuracy on the training images") == pytest.approx([0.97232], abs=2e-4)
    assert fastlr_column(text, "coefficients that are zero") == [500, 784]  # as scikit-learn's LinearSVC
