"""Wake-ups are heard, and the slow poll that makes up for lost ones comes whatever is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from services.core.database import Database, libpq_url
from services.core.wakeups import listen

CHANNEL = "test_changes"
TIMEOUT_S = 60.0
NEVER_S = 3_600.0


@asynccontextmanager
async def chatter(database: Database) -> AsyncIterator[None]:
    """Notices on the channel, one after the other without a pause, until the block ends."""
    async with await database.unpooled() as connection:

        async def chat() -> None:
            while True:
                await connection.execute("select pg_notify(%s, 'chat')", (CHANNEL,))

        chatting = asyncio.create_task(chat())
        try:
            yield
        finally:
            chatting.cancel()
            await asyncio.gather(chatting, return_exceptions=True)


async def test_the_slow_poll_comes_while_there_is_traffic_and_swallows_none_of_it(database: Database) -> None:
    async with (
        asyncio.timeout(TIMEOUT_S),
        aclosing(listen(libpq_url(database.url), CHANNEL, poll_s=0.1)) as heard,
    ):
        assert await anext(heard) == ("", "")
        async with chatter(database):
            kinds = [await anext(heard)]
            while kinds.count(("", "")) < 3:
                kinds.append(await anext(heard))

    assert set(kinds) == {("", ""), (CHANNEL, "chat")}


async def test_in_silence_there_is_the_slow_poll_alone(database: Database) -> None:
    async with (
        asyncio.timeout(TIMEOUT_S),
        aclosing(listen(libpq_url(database.url), CHANNEL, poll_s=0.05)) as heard,
    ):
        assert [await anext(heard) for _ in range(4)] == [("", "")] * 4


async def test_what_was_notified_is_heard_without_waiting_for_the_poll(database: Database) -> None:
    async with (
        asyncio.timeout(TIMEOUT_S),
        aclosing(listen(libpq_url(database.url), CHANNEL, poll_s=NEVER_S)) as heard,
    ):
        assert await anext(heard) == ("", "")
        database.wakeups.poke(CHANNEL, "org_1")

        assert await anext(heard) == (CHANNEL, "org_1")


async def test_after_a_lost_connection_everything_is_looked_at_again(database: Database) -> None:
    async with (
        asyncio.timeout(TIMEOUT_S),
        aclosing(listen(libpq_url(database.url), CHANNEL, poll_s=NEVER_S)) as heard,
    ):
        assert await anext(heard) == ("", "")
        async with await database.unpooled() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and query like 'listen%%' and pid <> pg_backend_pid()"
            )

        assert await anext(heard) == ("", "")
        database.wakeups.poke(CHANNEL, "org_1")
        assert await anext(heard) == (CHANNEL, "org_1")
