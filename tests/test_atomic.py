"""Whatever happens while a file is written, the one that was there stays whole, with nothing beside it."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import fastlr
from fastlr.atomic import replacing

posix = pytest.mark.skipif(
    os.name != "posix", reason="has no such signals, limits, modes and devices elsewhere"
)


def write(path, content=b"new"):
    with replacing(path) as file:
        file.write(content)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def only(path, content=b"old"):
    """Whether the folder holds this file and nothing else."""
    return os.listdir(path.parent) == [path.name] and path.read_bytes() == content


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_files_are_made_and_replaced(tmp_path, kind):
    for content in (b"new", b"newer"):
        write(kind(tmp_path / "file"), content)
        assert only(tmp_path / "file", content)


def test_an_exception_in_the_block_leaves_the_old_file(old):
    for error in (ValueError, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(error), replacing(old) as file:
            file.write(b"half")
            file.flush()
            raise error
        assert only(old)


@pytest.mark.parametrize("step", ["fsync", "replace", "access"])
def test_errors_name_the_path_that_was_asked_for(old, monkeypatch, step):
    def fail(*_):
        raise OSError(28, "No space left on device", "something else")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(old)
    assert caught.value.filename == str(old) and caught.value.errno == 28 and only(old)


def test_a_folder_that_cannot_be_synchronised_does_not_matter(old, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", fail)
    write(old)
    assert only(old, b"new")


def test_paths_that_cannot_be_written(old):
    for path, error in (
        (old.parent, IsADirectoryError),
        (old.parent / "absent" / "file", FileNotFoundError),
        (old / "file", NotADirectoryError if os.name == "posix" else OSError),
        (old.parent / ("x" * 300), OSError),
    ):
        with pytest.raises(error) as caught:
            write(path)
        assert caught.value.filename == str(path) and only(old)
    for path in (None, 3):
        with pytest.raises(TypeError):
            write(path)


@posix
def test_links_are_followed_and_modes_kept(old):
    old.chmod(0o640)
    link, dangling = old.with_name("link"), old.with_name("dangling")
    link.symlink_to("file")
    dangling.symlink_to("made")
    write(link)
    write(dangling)
    assert link.is_symlink() and old.read_bytes() == b"new" and stat.S_IMODE(old.stat().st_mode) == 0o640
    assert dangling.is_symlink() and old.with_name("made").read_bytes() == b"new"
    before = os.umask(0o077)
    try:
        write(old.with_name("private"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.with_name("private").stat().st_mode) == 0o600


@posix
def test_a_private_file_is_private_at_every_moment(old):
    old.chmod(0o600)
    with replacing(old) as file:
        (beside,) = set(old.parent.iterdir()) - {old}
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600
        file.write(b"new")


@posix
def test_a_protected_file_is_not_replaced(old, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    with pytest.raises(PermissionError) as caught:
        write(old)
    assert caught.value.filename == str(old) and only(old)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="is a device of Linux")
def test_devices_are_written_to():
    write("/dev/null")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write("/dev/full")
    assert caught.value.filename == "/dev/full" and not os.path.isfile("/dev/full")


# Runs in a process of its own, whose children die, or run out of space, at each step of writing a model.
CHILDREN = """
import os, resource, signal, sys
import numpy as np
import fastlr

path, how = sys.argv[1:]
X, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
model = fastlr.LogisticRegression(C=2).fit(X, y)
fastlr.save(fastlr.LogisticRegression(C=1).fit(X, y), path)
steps = ["access", "fsync", "replace", "close"] if how == "killed" else ["limit"]
for step in steps:
    pid = os.fork()
    if pid == 0:
        if step == "limit":
            size = os.path.getsize(path)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
            try:
                fastlr.save(model, path)
            except OSError as error:
                os._exit(7 if error.filename == path else 8)
            os._exit(9)
        setattr(os, step, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        fastlr.save(model, path)
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), fastlr.load(path).C, len(os.listdir()))
"""


KILLED = -getattr(signal, "SIGKILL", 9)


@posix
@pytest.mark.parametrize(
    ("how", "expected"),
    [  # exit code, C of the model that is found, files in the folder: death can leave one beside it
        ("killed", f"{KILLED} 1 1\n{KILLED} 1 2\n{KILLED} 1 3\n{KILLED} 2 3\n"),
        ("full", "7 1 1\n"),
    ],
)
def test_a_model_survives_death_and_a_full_disk(tmp_path, how, expected):
    root = str(Path(fastlr.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, str(tmp_path / "model.npz"), how], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (expected, "")
