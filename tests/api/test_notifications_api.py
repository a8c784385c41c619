"""Notifications over HTTP: one's own, in pages, and chosen by topic and channel."""

from __future__ import annotations

from typing import Any

from models.identity import Organization
from models.notifications import Notification
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from tests.api.conftest import Api, problem
from tests.world import LONG_AGO


async def tell(account_id: str, count: int) -> list[str]:
    rows: list[Any] = [
        Notification(
            id=new_id("note"),
            account_id=account_id,
            event_id=number,
            topic="keys",
            title=f"Notice {number}",
            href="/portal/keys",
            created_at=LONG_AGO,
        )
        for number in range(count)
    ]
    ids = [row.id for row in rows]
    async with crossing(Reason.DEMO) as uow:
        for row in rows:
            uow.add(row)
    return ids


async def test_notifications_are_read_by_whom_they_were_told_to(api: Api, acme: Organization) -> None:
    client, other = await api.browser(acme), await api.browser(acme)
    account = (await client.get("me")).json()["account"]["id"]
    ids = await tell(account, 3)
    first = (await client.get("notifications", params={"limit": 2})).json()
    rest = (await client.get("notifications", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert {row["id"] for row in first["data"] + rest["data"]} == set(ids)
    assert (await other.get("notifications")).json()["data"] == []
    problem(await other.post(f"notifications/{ids[0]}/read"), 404, "not_found")

    assert (await client.post(f"notifications/{ids[0]}/read")).json() == {"unread": 2}
    assert len((await client.get("notifications", params={"unread": True})).json()["data"]) == 2
    assert (await other.post("notifications/read")).json() == {"unread": 0}
    assert (await client.get("notifications/unread")).json() == {"unread": 2}
    key = await api.key_client(acme, "keys:read")
    problem(await key.get("notifications"), 403, "not_allowed")


async def test_preferences_are_set_one_by_one(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    wish = {"topic": "keys", "channel": "mail", "wanted": True}
    shown = {
        one["topic"]: one for one in (await client.put("notifications/preferences", json=wish)).json()["data"]
    }
    assert shown["keys"] == {"topic": "keys", "in_app": True, "mail": True, "locked": False}
    locked = {"topic": "security", "channel": "mail", "wanted": False}
    problem(await client.put("notifications/preferences", json=locked), 422, "topic_locked")
