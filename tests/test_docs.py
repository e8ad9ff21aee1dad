"""Every block of code in README.md and docs/ runs, in the order of its page, from top to bottom.

Blocks of a page share their names. A `python` block has to run, a `pycon` block also has to print what it
shows; of `bash` the lines that begin with "python -m fastlr" have to run; `text`, or nothing, is what a
program has printed. Comments that pages do not show say what else there is:

    <!-- setup              lines of Python that the page takes for granted, and -->
    <!-- needs: a.b c -->   the next block is left out where one of these names cannot be imported
"""

import doctest
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import fastlr

from .test_docstrings import PUBLIC

ROOT = Path(__file__).resolve().parent.parent
MADE = ("docs/_build", "docs/stories", "docs/generated")  # by Sphinx
NAMES = sorted(page.relative_to(ROOT).as_posix() for page in ROOT.glob("docs/**/*.md"))
NAMES = ["README.md", *(name for name in NAMES if not name.startswith(MADE))]
RUNS, SHOWN = {"python", "pycon", "bash"}, {"", "text"}
BLOCK = re.compile(
    r"^(?:<!-- setup\n(?P<setup>.*?)-->|<!-- needs: (?P<needs>.*?) -->|```(?P<kind>.*?)\n(?P<code>.*?)^```)$",
    re.MULTILINE | re.DOTALL,
)


def blocks(text):
    """Kind, code, number of its first line, and the names it needs, of each block of a page in Markdown."""
    needs = ()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["needs"]:
            needs = found["needs"].split()
        elif found["setup"]:
            yield "python", found["setup"], line, ()
        else:
            yield found["kind"], found["code"], line, needs
            needs = ()


def is_there(name):
    """Whether a module, or a name in one, can be had."""
    return pydoc.locate(name) is not None


def run_commands(code):
    """Runs the lines of a shell that are about this fastlr."""
    paths = str(Path(fastlr.__file__).parents[1]), os.environ.get("PYTHONPATH")
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "MPLBACKEND": "Agg"}
    for line in code.splitlines():
        if line.startswith("python -m fastlr "):
            command = line.replace("python", f'"{sys.executable}"', 1)
            ran = subprocess.run(command, shell=True, env=known, capture_output=True, text=True)
            assert ran.returncode == 0, f"{line}\n{ran.stderr}"


def run(page, text, names):
    """Runs the blocks of a page in a namespace; those that need what is not there must be Python, too."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for kind, code, line, needs in blocks(text):
        is_ready = all(map(is_there, needs))
        if kind == "bash":
            run_commands(code)
        elif kind == "python":
            compiled = compile("\n" * line + code, page, "exec")
            if is_ready:
                exec(compiled, names)
        elif kind == "pycon":
            session = doctest.DocTestParser().get_doctest(code, names, page, page, line)
            assert session.examples, f"{page}, line {line}: nothing to run in a pycon block"
            if is_ready:
                printed = []
                failed, _ = runner.run(session, out=printed.append, clear_globs=False)
                assert not failed, "".join(printed)
                names.update(session.globs)  # which are a copy


@pytest.mark.parametrize("name", NAMES)
def test_code_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    run(name, (ROOT / name).read_text(encoding="utf-8"), {"__name__": "__main__"})


@pytest.mark.parametrize("name", NAMES)
def test_every_block_has_a_known_kind(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert f"\n{text}".count("\n```") % 2 == 0
    for kind, code, line, _ in blocks(text):
        directive = re.match(r"\{[\w-]+\}", kind)  # of Sphinx
        assert kind in RUNS | SHOWN or directive, f"{name}, line {line}: {kind}"
        if kind in ("", "text"):
            assert ">>> " not in code, f"{name}, line {line}: code that nobody runs"


def test_what_fails_is_told():
    page = "<!-- setup\nx = 1\n-->\n```pycon\n>>> x\n1\n>>> x = 2\n```\n```python\nassert x == {}\n```\n"
    run("page", page.format(2), {})
    with pytest.raises(AssertionError):
        run("page", page.format(3), {})
    with pytest.raises(AssertionError, match=r"page.*line 3(.|\n)*Expected(.|\n)*4(.|\n)*Got(.|\n)*3"):
        run("page", "text\n```pycon\n>>> 1 + 2\n4\n```\n", {})
    with pytest.raises(ZeroDivisionError):
        run("page", "```python\n1 / 0\n```\n", {})
    run("page", "<!-- needs: fastlr.nonsense -->\n```python\n1 / 0\n```\n", {})
    run("page", "```bash\nsome program\npython -m fastlr --version\n```\n", {})
    with pytest.raises(AssertionError, match="nonsense"):
        run("page", "```bash\npython -m fastlr nonsense\n```\n", {})
    with pytest.raises(ZeroDivisionError):  # the mark is for one block
        run("page", "<!-- needs: nonsense -->\n```python\n1 / 0\n```\n```python\n1 / 0\n```\n", {})
    with pytest.raises(ZeroDivisionError):
        run("page", "<!-- needs: fastlr.load json -->\n```python\n1 / 0\n```\n", {})


def test_the_reference_lists_all_that_is_public():
    page = ROOT / "docs" / "api.rst"
    if not page.exists():
        pytest.skip("docs/ is not beside tests/")
    module, listed = None, []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.append(f"{module}.{line.strip()}")
    assert sorted(listed) == sorted(PUBLIC)


def links(text):
    """Targets of the links of a page, outside of code, that lead to files."""
    prose = BLOCK.sub("", text)
    inline = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r"^\[[^\]]+\]: (\S+)$", prose, re.MULTILINE)
    return [target for target in inline if not re.match(r"[a-z]+:", target)]


def anchors(text):
    """What a code host calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    if not (ROOT / "CONTRIBUTING.md").exists():
        pytest.skip("not all that pages link to is beside tests/")
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{name} links to {target}"
