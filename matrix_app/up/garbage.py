"""How rarely a process of ours looks for what only the garbage collector finds: little that we make goes in circles."""

import atexit
import gc

# New objects before the young are looked at, then the older, the oldest. Python's own 700 cost a fifth of a start,
# which makes little but what stays, and half of compiling the pages.
THRESHOLDS = (20_000, 20, 50)


def look_rarely() -> None:
    """From here on, and not at all at the end, when all goes: that took a third of a short command's time."""
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)
