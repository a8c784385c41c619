"""Switches that spoil the next requests: before anything is done, or after it, when only the answer is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.fakes.stripe.refusals import Refusal

KINDS = {
    "close_before": "the connection breaks, nothing is done",
    "close_after": "it is done, and the connection breaks before the answer",
    "hang_before": "nothing is done and no answer comes",
    "hang_after": "it is done and no answer comes",
    "error_before": "500, nothing is done",
    "error_after": "500, although it is done",
    "error_kept": "500, nothing is done, and the same key is answered so for a day",
    "in_use": "409: a request with that idempotency key is under way",
    "locked": "429 lock_timeout: the object is in use",
    "limited": "429: too many requests",
    "hold": "it waits, as one under way, until it is let go on",
}
HANG_S = 120.0

REFUSALS = {
    "error_before": ("An unknown error occurred", 500, "api_error", None),
    "error_after": ("An unknown error occurred", 500, "api_error", None),
    "error_kept": ("An unknown error occurred", 500, "api_error", None),
    "in_use": (
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        "twice, and the other request is still going through). Please try again later.",
        409, "idempotency_error", "idempotency_key_in_use",
    ),
    "locked": (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request. If you see this error frequently and "
        "are making multiple concurrent requests to a single object, make your requests serially or at a lower rate.",
        429, "invalid_request_error", "lock_timeout",
    ),
    "limited": ("Request rate limit exceeded.", 429, "invalid_request_error", "rate_limit"),
}  # fmt: skip


@dataclass
class Fault:
    """Meets the next `times` requests of `method` to a path that fits `path` (`*` fits anything)."""

    kind: str
    path: str = "*"
    method: str = "*"
    times: int = 1
    free: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self.held: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """The switch that this request meets, used up by it."""
        for fault in self.waiting:
            if fnmatchcase(path, fault.path) and fault.method in ("*", method):
                fault.times -= 1
                if not fault.times:
                    self.waiting.remove(fault)
                return Fault(fault.kind, fault.path, fault.method)
        return None

    async def hold(self, fault: Fault) -> None:
        self.held.append(fault)
        await fault.free.wait()
        self.held.remove(fault)

    def release(self) -> int:
        for fault in self.held:
            fault.free.set()
        return len(self.held)

    def clear(self) -> None:
        self.waiting.clear()


def refusal(kind: str) -> Refusal:
    message, status, error, code = REFUSALS[kind]
    return Refusal(message, status=status, kind=error, code=code)
