"""The table of contents, and matplotlib that is imported late."""

import subprocess
import sys


def test_matplotlib_is_imported_on_first_use_only():
    code = "import sys, fastlr.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
