"""How many requests an account with a provider has under way at once. Further ones wait for their turn, and not for
long: a payment that is not asked for soon is looked for at the provider, which would know nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.payments.providers.base import ProviderUnavailable

WAIT_MAX_S = 30


class Turns:
    """Of one account in one process, in the order they are asked for."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None, None]:
        """Raises ProviderUnavailable where none comes in time: nothing was sent."""
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise ProviderUnavailable("Too much is asked of the payment provider at once.") from error
        try:
            yield
        finally:
            self._free.release()
