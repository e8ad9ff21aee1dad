"""Feeds the readers with damaged files, for as long as one likes: any exception but theirs is a finding.

    pip install atheris
    python fuzz/fuzz_readers.py idx -max_total_time=300 -rss_limit_mb=2048

Readers: see SEEDS, whose small valid files are the corpus to begin with; other options are libFuzzer's. Only
Python code is instrumented. tests/test_damaged.py holds the same promises without atheris.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["fastlr.npz", "fastlr.datasets", "fastlr.readers", "fastlr.persistence"]
):
    import fastlr.persistence
    import fastlr.readers  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.damaged import SEEDS, read


def main():
    warnings.simplefilter("ignore")
    kind = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        corpus = folder / "corpus"
        corpus.mkdir()
        for name, content in SEEDS[kind].items():
            (corpus / name).write_bytes(content)

        def one(content):
            read(kind, content, folder)

        atheris.Setup([*sys.argv, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
