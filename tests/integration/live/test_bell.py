"""The bell follows what its owner is told, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from models.notifications import Notification
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.wakeups import NOTICES_CHANGED
from services.live.hub import Hub, Watcher
from services.notify import notices
from state.notices import NoticesState, PreferencesState
from state.session import SessionState
from tests.integration.state.visitor import said, sent_to, sign_in
from tests.world import LONG_AGO, World


async def _next(watcher: Watcher) -> Any:
    async with asyncio.timeout(60):
        while not (texts := watcher.take()):
            watcher.wake.clear()
            await watcher.wake.wait()
    return orjson.loads(texts[-1])["data"]


async def _tell(account_id: str) -> str:
    row = Notification(
        id=new_id("note"),
        account_id=account_id,
        event_id=1,
        topic="keys",
        title="A key",
        href="/portal/keys",
        created_at=LONG_AGO,
    )
    note_id = row.id
    async with crossing(Reason.DEMO) as uow:
        uow.add(row)
    return note_id


async def test_a_bell_rings_for_its_owner_alone_and_rests_when_they_have_read(
    world: World, database: Database
) -> None:
    organization = await world.organization()
    (page, ana), (_, bo) = await sign_in(world, organization), await sign_in(world, organization)
    hub = Hub(database)
    running = asyncio.create_task(hub.run())
    try:
        await hub.listening.wait()
        watchers = [hub.join(world.actor(organization, account=account)) for account in (ana, bo)]
        for watcher in watchers:
            hub.subscribe(watcher, "notices")
        assert [await _next(watcher) for watcher in watchers] == [{"unread": 0}, {"unread": 0}]
        note_id = await _tell(ana.id)
        database.wakeups.poke(NOTICES_CHANGED, ana.id)
        assert await _next(watchers[0]) == {"unread": 1}

        page.at = "/notifications"
        session, _ = await page.call(SessionState, "load")
        assert session.unread == 1  # live equals reload
        listed, _ = await page.call(NoticesState, "load")
        assert [(row["title"], row["state"]) for row in listed.rows] == [("A key", "unread")]
        _, answer = await page.call(NoticesState, "open", note_id)
        assert sent_to(answer) == "/portal/keys"
        assert await _next(watchers[0]) == {"unread": 0}
        assert watchers[1].take() == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_person_chooses_what_to_be_told_on_a_page(world: World) -> None:
    page, account = await sign_in(world, await world.organization())
    page.at = "/account/notifications"
    await page.call(PreferencesState, "prefer", "keys", "in_app", False)
    state, _ = await page.call(PreferencesState, "load")
    shown = {row["topic"]: (row["in_app"], row["locked"]) for row in state.topics}
    assert (shown["keys"], shown["security"]) == ((False, False), (True, True))
    _, answer = await page.call(PreferencesState, "prefer", "security", "mail", False)
    assert "in any case" in said(answer)
    assert await notices.unread_of(world.actor(await world.organization(), account=account)) == 0
