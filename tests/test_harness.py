"""The C kernels on buffers that end with their last number, under sanitizers; see harness/."""

import shutil
import subprocess
import sys

import pytest

from .harness import run


def sanitizes(compiler, folder):
    """Whether the compiler is there, with its sanitizers."""
    if not shutil.which(compiler):
        return False
    source = folder / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    command = [compiler, "-fsanitize=address,undefined", source, "-o", folder / "empty"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not run.KERNELS.joinpath("simd").is_dir(), reason="needs the sources of the kernels")
def test_kernels_under_sanitizers(tmp_path):
    if not sanitizes("cc", tmp_path):
        pytest.skip("needs a C compiler with AddressSanitizer")
    harness = subprocess.run(
        [sys.executable, "-P", run.__file__, "sanitize", "--cc", "cc"], capture_output=True, text=True
    )
    assert harness.returncode == 0, (harness.stdout + harness.stderr)[-3000:]
    for level in ("baseline", "team"):
        assert f"{level}: not here" not in harness.stdout and f"{level}: " in harness.stdout
