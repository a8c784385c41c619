"""One set after the other, the next one worked out while one is written.

The database writes while this process works, so that neither waits for the other. What comes of it is the same as
without that: nobody writes before the set before has committed, and where that leaves something to be billed one by
one, or fails, nothing is worked out before that is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from services.billing_runs.set_billing import Together
from services.core.errors import Unavailable
from services.core.logs import get_logger

log = get_logger(__name__)

BeforeWriting = Callable[[Sequence[str]], Awaitable[None]]
Bill = Callable[[Sequence[str], BeforeWriting], Awaitable[Together]]


@dataclass(slots=True, eq=False)
class _Set:
    """A set at work. `leaves` says, once it is worked out, whether it leaves anything."""

    ids: Sequence[str]
    worked_out: asyncio.Event = field(default_factory=asyncio.Event)
    may_write: asyncio.Event = field(default_factory=asyncio.Event)
    leaves: bool = True
    task: asyncio.Task[Together] = field(init=False)

    async def before_writing(self, left: Sequence[str]) -> None:
        self.leaves = bool(left)
        self.worked_out.set()
        await self.may_write.wait()

    async def result(self) -> Together:
        """Raises Unavailable. Of one that failed nothing was kept: all of it is left, and one by one the one at fault
        is found and parked, and the others are billed."""
        try:
            return await self.task
        except Unavailable:
            raise
        except Exception as error:
            log.warning("billed_one_by_one", subscriptions=len(self.ids), exc_info=error)
            return Together(0, list(self.ids))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def one_after_the_other(
    sets: AsyncIterator[Sequence[str]], bill: Bill
) -> AsyncGenerator[tuple[Sequence[str], Together]]:
    """Each set, in order, with what became of it; whoever asks for the next one has done what was left. `bill` tells
    what it leaves before it writes. Raises Unavailable."""
    at_work: list[_Set] = []  # two at most
    try:
        async for ids in sets:
            current = await _begin(ids, bill, at_work)
            if len(at_work) == 2:
                before = at_work[0]
                made = await before.result()
                if made.left:  # it failed
                    await current.stop()
                    at_work.clear()
                    yield before.ids, made
                    current = await _begin(ids, bill, at_work)
                else:
                    at_work.remove(before)
                    yield before.ids, made
            current.may_write.set()
            if current.leaves:
                made = await current.result()
                at_work.clear()
                yield ids, made
        for last in tuple(at_work):
            yield last.ids, await last.result()
    finally:
        for one in at_work:
            await one.stop()


async def _begin(ids: Sequence[str], bill: Bill, at_work: list[_Set]) -> _Set:
    """Have a set worked out. It has ended already, if it failed at that."""
    one = _Set(ids)
    one.task = asyncio.create_task(_work(one, bill))
    at_work.append(one)
    await one.worked_out.wait()
    return one


async def _work(one: _Set, bill: Bill) -> Together:
    try:
        return await bill(one.ids, one.before_writing)
    finally:
        one.worked_out.set()
