"""Child processes that end when the process that started them ends, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1

# Loaded before any fork: between fork and exec only calls that need no lock are safe.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def tie_to_parent(with_signal: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process `with_signal` when its parent ends, even by kill -9.

    Works on Linux; elsewhere it does nothing, and a leftover child is found and ended at the next start.
    The kernel watches the parent's thread, so tied children must be started from a thread that lives as long.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)


def tied(with_signal: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn` that ties the child to the calling process."""
    parent = os.getpid()

    def tie() -> None:
        tie_to_parent(with_signal)
        # The parent may have ended between fork and prctl; then no signal would ever come.
        if os.getppid() != parent:
            os._exit(1)

    return tie
