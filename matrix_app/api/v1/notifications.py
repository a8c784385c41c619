"""What the signed-in person was told, in every organisation of theirs, and wants to be told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import Person
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Body,
    Cursor,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.notify import notices

router = resource("notifications", prefix="/notifications")

Name = Annotated[str, StringConstraints(max_length=40)]


class NotificationShown(Shown):
    id: str
    topic: str
    title: str
    body: str = Field(description="Plain text; may hold what other people typed")
    href: str = Field(description="A path on this site")
    organization_id: str | None
    organization_name: str
    created_at: AwareDatetime
    read_at: AwareDatetime | None


class Unread(Shown):
    unread: int = Field(description=f"At most {notices.UNREAD_COUNTED_MAX} are counted")


class PreferenceShown(Shown):
    topic: str
    in_app: bool
    mail: bool
    locked: bool = Field(description="Told in any case, here and by mail")


class Preferences(Shown):
    data: list[PreferenceShown]


class Wish(Body):
    topic: Name
    channel: Name = Field(description="`in_app` or `mail`")
    wanted: bool


@router.get("")
async def list_notifications(
    who: Person, unread: bool = False, cursor: Cursor = None, limit: Limit = PAGE_ROWS
) -> Page[NotificationShown]:
    """One's own, newest first."""
    filters = {"account": who.account.id, "unread": unread}
    position = position_in("notifications", filters, cursor)
    rows = await notices.notices_of(
        who.actor,
        unread_only=unread,
        after=(datetime.fromisoformat(position[0]), position[1]) if position else None,
        limit=limit + 1,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        data=[NotificationShown.model_validate(row) for row in rows[:limit]],
        next_cursor=cursor_for("notifications", filters, [last.created_at.isoformat(), last.id])
        if last
        else None,
    )


@router.get("/unread")
async def count_unread(who: Person) -> Unread:
    """How many wait to be read."""
    return Unread(unread=await notices.unread_of(who.actor))


@router.post("/read")
async def read_all_notifications(who: Person) -> Unread:
    """Mark all of one's own as read."""
    await notices.mark_all_read(who.actor)
    return Unread(unread=0)


@router.post("/{notification_id}/read")
async def read_notification(who: Person, notification_id: str) -> Unread:
    """Mark one as read; answers how many are left."""
    await notices.mark_read(who.actor, notification_id)
    return Unread(unread=await notices.unread_of(who.actor))


@router.get("/preferences")
async def get_preferences(who: Person) -> Preferences:
    """What holds for the person now, for each topic and channel."""
    return Preferences(
        data=[PreferenceShown.model_validate(one) for one in await notices.preferences_of(who.actor)]
    )


@router.put("/preferences")
async def set_preference(who: Person, body: Wish) -> Preferences:
    """Want a topic by a channel, or not."""
    await notices.prefer(who.actor, body.topic, body.channel, wanted=body.wanted)
    return await get_preferences(who)
