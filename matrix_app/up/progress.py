"""What a start shows: one line for each step, with its time."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TextIO

_WIDTH = 34


class Progress:
    """Writes steps to `out`. On a terminal a step shows while it runs; elsewhere it is written when done."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._live = self._out.isatty()

    @contextmanager
    def step(self, name: str, *, takes: str = "") -> Generator[None]:
        """Time what happens inside. `takes` says what to expect of a long step, and is shown at once."""
        began = time.monotonic()
        if self._live:
            self._write(f"  {name}{f' ({takes})' if takes else ''} ...")
        elif takes:
            self.say(f"  {name} ({takes}) ...")
        failed = True
        try:
            yield
            failed = False
        finally:
            erase = "\r\x1b[K" if self._live else ""
            end = "failed" if failed else f"{time.monotonic() - began:6.1f} s"
            self._write(f"{erase}  {name:<{_WIDTH}}{end}\n")

    def say(self, text: str) -> None:
        """Write whole lines."""
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        # The terminal may be closed while we run, and stopping cleanly must not fail on that.
        with suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()
