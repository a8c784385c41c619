"""Whether what keeps the keys elsewhere (KMS, a hardware module) opens them now.

Processes hold the lookup key open and serve on without it, so it makes none of them unready: all would be at once, and
none that was started again would come up. But somebody has to be told before the next start is refused.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from services.core import key_file
from services.core.key_file import Wrapped
from services.core.key_providers import KeysUnavailable, lookup_of
from services.core.key_service import kept_by
from services.core.refusal import Refused
from services.core.settings import Settings

KEPT_S = 15.0  # balancers ask every second, and KMS counts each call
ANSWER_S = 3.0


@dataclass(slots=True)
class _Kept:
    """What was last found for the keys in `of`; good `until` then, by the process's own clock."""

    of: Path | None = None
    opens: bool | None = None
    until: float = 0.0
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


_kept = _Kept()


async def opens(chosen: Settings) -> bool | None:
    """What was so KEPT_S ago at most; None while all keys are in the file. Never raises."""
    global _kept
    path = key_file.path_in(chosen.data_dir)
    if _kept.of != path:
        _kept = _Kept(path)
    kept = _kept
    async with kept.looking:
        if time.monotonic() >= kept.until:
            kept.opens = await _looked(path, chosen)
            kept.until = time.monotonic() + KEPT_S
        return kept.opens


async def _looked(path: Path, chosen: Settings) -> bool | None:
    try:
        keys = key_file.read(path)
        if keys is None or not isinstance(keys.lookup, Wrapped):
            return None
        async with asyncio.timeout(ANSWER_S):
            await lookup_of(keys, kept_by(chosen).reach)
    except (Refused, KeysUnavailable, TimeoutError):
        return False
    return True
