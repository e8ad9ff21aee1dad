"""What is public has types, and these serve a user who asks mypy."""

import inspect
import re
from importlib.resources import files
from pathlib import Path

import pytest

import fastlr

from .test_docstrings import METHODS, PUBLIC

HERE = Path(__file__).parent
# Constructors in place of classes.
SIGNATURES = {
    name: thing.__init__ if inspect.isclass(thing) else thing for name, thing in PUBLIC.items()
} | METHODS


@pytest.mark.parametrize("name", SIGNATURES)
def test_what_is_public_has_types(name):
    signature = inspect.signature(SIGNATURES[name])
    parts = [part for part in signature.parameters.values() if part.name != "self"]
    assert [part.name for part in parts if part.annotation is part.empty] == []
    assert signature.return_annotation is not signature.empty


def test_types_are_announced():
    assert files("fastlr").joinpath("py.typed").is_file()


def mypy(*arguments):
    """(report, exit code)"""
    report, errors, code = pytest.importorskip("mypy.api").run([*arguments, "--no-error-summary"])
    assert not errors
    return report, code


def test_the_package_is_right(tmp_path, monkeypatch):
    root = HERE.parent
    if Path(fastlr.__file__).parent.parent != root:
        pytest.skip("the package stands elsewhere than its sources")
    monkeypatch.chdir(root)
    assert mypy("--cache-dir", str(tmp_path)) == ("", 0)


def test_a_user_is_helped(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(Path(fastlr.__file__).parent.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    program = HERE / "typing_user.py"
    report, _ = mypy("--follow-imports", "silent", "--cache-dir", "cache", str(program))
    found = re.findall(r"typing_user\.py:(\d+): error: .*\[([a-z-]+)\]", report)
    lines = program.read_text().splitlines()
    mistakes = [
        (str(i), line.split("# mistake: ")[1]) for i, line in enumerate(lines, 1) if "# mistake: " in line
    ]
    assert found == mistakes, report
