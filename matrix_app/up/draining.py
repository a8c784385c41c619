"""Whether this process has been asked to end and only finishes what it has begun."""

from __future__ import annotations

_begun = False


def begin() -> None:
    """From now on `/readyz` answers 503, so that a balancer sends nobody new."""
    global _begun
    _begun = True


def begun() -> bool:
    return _begun
