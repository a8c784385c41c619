"""Keys as the REST API finds them: reads by what the gateway remembers, changes by what the database says.

A key that was ended is forgotten at once in this process and by notification in the others. Were the notification
lost, it could read for half a minute more; it can change nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from services.core.crossing import Reason, crossing
from services.identity import keys
from services.identity.key_queries import KeyFacts, find_by_secret

USE_NOTED_EVERY = timedelta(minutes=1)
NOTED_MAX = 50_000


class KnownKeys:
    """`remembered` finds a key by its secret, from memory where it can."""

    def __init__(self, remembered: Callable[[str], Awaitable[KeyFacts | None]]) -> None:
        self._remembered = remembered
        self._noted: OrderedDict[str, datetime] = OrderedDict()

    async def find(self, secret: str, *, reads: bool) -> KeyFacts | None:
        """The key with this secret, also one that has ended, or None. Raises Unavailable."""
        return await (self._remembered(secret) if reads else find_by_secret(secret))

    async def note_use(self, facts: KeyFacts, now: datetime) -> None:
        """Write down when the key was last used, at most once in USE_NOTED_EVERY."""
        noted = [at for at in (facts.last_used_at, self._noted.get(facts.id)) if at is not None]
        if noted and now - max(noted) < USE_NOTED_EVERY:
            return
        self._noted[facts.id] = now
        self._noted.move_to_end(facts.id)
        if len(self._noted) > NOTED_MAX:
            self._noted.popitem(last=False)
        async with crossing(Reason.KEY_LOOKUP) as uow:
            await keys.touch_last_used(uow, {facts.id: now})
