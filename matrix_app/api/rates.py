"""How often one caller may ask the REST API: a bucket for each in this process, and the headers that tell of it.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11. A process counts for itself: the limit keeps one
caller from taking a process from all others, and is no quota that is sold (services/gateway/limits.py has those).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

from services.core.errors import RateLimited
from services.gateway import rules

CALLERS_MAX = (
    50_000  # those who asked longest ago are forgotten first: their buckets are full again before long
)
SCOPE_KEY = "matrix.rate"

Headers = tuple[tuple[bytes, bytes], ...]

HEADERS: dict[str, Any] = {
    "RateLimit-Policy": {
        "description": 'How many requests this caller may send in how many seconds: `"requests";q=6000;w=60`',
        "schema": {"type": "string"},
        "example": '"requests";q=6000;w=60',
    },
    "RateLimit": {
        "description": 'What is left, and in how many seconds all of it is back: `"requests";r=5999;t=1`',
        "schema": {"type": "string"},
        "example": '"requests";r=5999;t=1',
    },
    "Retry-After": {
        "description": "Seconds to wait",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "X-Request-Id": {
        "description": "Finds this request in the logs; `reference` in problems",
        "schema": {"type": "string"},
        "example": "4bf92f3577b34da6a3ce929d0e0e4736",
    },
}


class Rates:
    """The buckets of one process. A bucket is one number: when all that was taken has flowed off (GCRA)."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, callers_max: int = CALLERS_MAX
    ) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._known: OrderedDict[int, None] = OrderedDict()  # hashes that mean nothing outside this process
        self._clock = clock
        self._callers_max = callers_max

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, caller: str, per_minute: int, scope: MutableMapping[str, Any], *, cost: int = 1) -> None:
        """Count one request of `caller`, and have its answer tell what is left. Raises RateLimited.

        A cost of 0 counts nothing and only asks whether there is room for one.
        """
        now = self._clock()
        full_at = self._full_at.get(caller, 0.0)
        verdict = rules.judge(full_at, now, cost=1, share=per_minute, limit=per_minute)
        if not verdict.allowed:
            scope[SCOPE_KEY] = _headers(per_minute, 0, verdict.reset_s)
            wait_s = max(1, math.ceil(verdict.retry_after_s))
            raise RateLimited(
                f"More than {per_minute:,} requests in a minute.",
                retry_after_s=wait_s,
                next_step=f"Wait {wait_s} s, and ask less often: the header RateLimit says what is left.",
            )
        if cost:
            self._put(self._full_at, caller, rules.take(full_at, now, cost=cost, share=per_minute))
        reset_s = min(verdict.reset_s + cost * rules.WINDOW_S / per_minute, rules.WINDOW_S)
        scope[SCOPE_KEY] = _headers(per_minute, verdict.remaining - cost, reset_s)

    def knows(self, credential: str) -> bool:
        """Whether somebody was let in with this key or cookie lately."""
        return hash(credential) in self._known

    def remember(self, credential: str) -> None:
        self._put(self._known, hash(credential), None)

    def forget(self, credential: str) -> None:
        self._known.pop(hash(credential), None)

    def _put(self, room: OrderedDict[Any, Any], name: Any, value: Any) -> None:
        room[name] = value
        room.move_to_end(name)
        if len(room) > self._callers_max:
            room.popitem(last=False)


def _headers(per_minute: int, left: int, reset_s: float) -> Headers:
    return (
        (b"ratelimit-policy", b'"requests";q=%d;w=60' % per_minute),
        (b"ratelimit", b'"requests";r=%d;t=%d' % (left, math.ceil(reset_s))),
    )
