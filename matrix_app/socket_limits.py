"""How many websockets one session, and one address, may hold open in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from starlette.requests import HTTPConnection

from matrix_app.api.deps import address_of
from services.core.errors import RateLimited
from services.core.settings import settings
from services.identity.cookies import session_token

# A page holds two: for its events and for live figures. Generous: people have many tabs, whole offices one address.
OF_SESSION_MAX = 100
OF_ADDRESS_MAX = 1_000
RETRY_AFTER_S = 60.0


class SocketLimits:
    """Counts those of one process, by what the handshake says."""

    def __init__(self, *, of_session: int = OF_SESSION_MAX, of_address: int = OF_ADDRESS_MAX) -> None:
        self._most = {"session": of_session, "address": of_address}
        self._open = Counter[tuple[str, str]]()

    def __len__(self) -> int:
        """Of how many sessions and addresses there are sockets."""
        return len(self._open)

    @contextmanager
    def holding(self, scope: MutableMapping[str, Any]) -> Iterator[None]:
        """Count one socket for as long as the context lasts. Raises RateLimited, and then counts none."""
        subjects = list(_subjects(scope))
        for kind, name in subjects:
            if self._open.get((kind, name), 0) >= self._most[kind]:
                raise RateLimited(
                    f"As many sockets of this {kind} are open as may be: {self._most[kind]}.",
                    next_step="Close some of the tabs that show this product.",
                    retry_after_s=RETRY_AFTER_S,
                )
        self._open.update(subjects)
        try:
            yield
        finally:
            for subject in subjects:  # who has none open is not kept in mind
                self._open[subject] -= 1
                if not self._open[subject]:
                    del self._open[subject]


def _subjects(scope: MutableMapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who is not signed in is counted by address alone."""
    asked = HTTPConnection(scope)
    yield "address", address_of(asked)
    if token := session_token(asked.headers.get("cookie", ""), settings().public_url):
        yield "session", token
