"""python -m fastlr"""

import os
import sys

from fastlr.cli import main

for name in ("stdout", "stderr"):
    if getattr(sys, name) is None:  # closed by the shell
        setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
sys.exit(main())
