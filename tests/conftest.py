"""What holds for all tests."""

import signal
import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def interrupts():
    """SIGINT interrupts, even where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def no_figures_left():
    """pyplot keeps figures until they are closed, and warns of many; examples and commands draw, too."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
