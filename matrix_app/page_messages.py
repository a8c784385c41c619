"""What comes over the socket of page events and is none: said once a minute and socket, and cut short."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reflex_base.utils.exceptions import EventDeserializationError

from services.core.clock import Clock, SystemClock
from services.core.logs import get_logger

log = get_logger(__name__)

QUIET_S = 60.0
SHOWN_CHARACTERS_MAX = 200
SOCKETS_MAX = 10_000  # remembered at a time; then all are forgotten, which costs a line each

Take = Callable[[str, Any], Awaitable[None]]


class ReadableOnly:
    """Hands on to `take` what can be read; Reflex would write out whole whatever cannot, each time."""

    def __init__(self, take: Take, is_known: Callable[[str], bool], clock: Clock | None = None) -> None:
        self._take, self._is_known = take, is_known
        self._clock = clock or SystemClock()
        self._told: dict[str, float] = {}

    async def on_event(self, sid: str, *said: Any) -> None:
        if len(said) != 1 or not isinstance(said[0], dict) or not self._is_known(sid):
            self._tell(sid, said)
            return
        try:
            await self._take(sid, said[0])
        except EventDeserializationError:
            self._tell(sid, said)

    def _tell(self, sid: str, said: tuple[Any, ...]) -> None:
        now = self._clock.now().timestamp()
        if now - self._told.get(sid, -QUIET_S) < QUIET_S:
            return
        if len(self._told) >= SOCKETS_MAX:
            self._told.clear()
        self._told[sid] = now
        log.warning("page_message_unreadable", socket=sid, begins=str(said)[:SHOWN_CHARACTERS_MAX])
