"""One line on the terminal that says how far a fit is."""

import io
import math
import multiprocessing
import os
import shutil
import sys
import threading

# Seconds until a fit counts as long, and between two states of its line.
_PATIENCE, _PAUSE = 2.0, 0.2


def duration(seconds):
    """Seconds as one reads them: "8 s", "12 min", "3.5 h"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def watched_stream():
    """Standard error, where a person sees it; else None."""
    try:
        if not sys.stderr.isatty():
            return None
    except (AttributeError, ValueError):  # there is none, or it is closed
        return None
    # Doctests and others keep the output in memory; Emacs and the like have terminals that cannot rewrite.
    if isinstance(sys.stdout, io.StringIO) or os.environ.get("TERM") == "dumb":
        return None
    # Fits that run at a time would write over each other.
    if threading.current_thread() is not threading.main_thread():
        return None
    return sys.stderr if multiprocessing.current_process().name == "MainProcess" else None


class TerminalLine:
    """A line that is rewritten in place, from `_PATIENCE` seconds on.

    Parameters
    ----------
    stream : text stream
    clock : callable
        Returns seconds.
    """

    def __init__(self, stream, clock):
        self.stream, self.clock = stream, clock
        self.due, self.length = clock() + _PATIENCE, 0

    def show(self, parts):
        """Shows what `parts()` returns, if it is time to: a name, and texts of which the first and the last
        matter most, as the others are left out where the terminal is too narrow."""
        now = self.clock()
        if now < self.due:
            return
        self.due = now + _PAUSE
        name, *texts = parts()
        room = self._width() - 1  # in the last column the cursor may go to the next line
        text = f"{name}: {', '.join(texts)}"
        if len(text) > room:
            text = ", ".join(texts)
        while len(text) > room and len(texts) > 2:
            del texts[-2]
            text = ", ".join(texts)
        text = text[:room]
        self._write("\r" + text.ljust(min(self.length, room)), len(text))

    def clear(self):
        """Leaves the terminal as it was."""
        if self.length:
            self._write("\r" + " " * min(self.length, self._width() - 1) + "\r", 0)

    def _width(self):
        try:
            width = os.get_terminal_size(self.stream.fileno()).columns
        except (AttributeError, OSError, ValueError):
            width = 0
        return width or shutil.get_terminal_size().columns

    def _write(self, text, length):
        self.length = max(length, self.length)  # an interrupt may come after the write
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # the terminal is gone; the fit may go on
            self.due = math.inf
        self.length = length
