"""The command line: python -m fastlr fit | predict | inspect | demo."""

from fastlr.cli.parser import main

__all__ = ["main"]
