"""What a person was told, and wants to be told. Theirs alone: read by account, whatever organisation it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database, database
from services.core.errors import Forbidden, Invalid, not_found
from services.core.ids import is_id
from services.core.retention import delete
from services.core.wakeups import NOTICES_CHANGED
from services.core.work import UnitOfWork
from services.notify.topics import Channel, Topic, topics_for

UNREAD_COUNTED_MAX = 99  # more than that are said to be so many
NOTICES_KEPT = timedelta(days=180)
PAGE_ROWS_MAX = 101


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """`body` may hold what other people typed. `href` is a path on this site."""

    id: str
    topic: str
    title: str
    body: str
    href: str
    organization_id: str | None
    organization_name: str
    created_at: datetime
    read_at: datetime | None


async def notices_of(
    actor: Actor,
    *,
    unread_only: bool = False,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
    on: Database | None = None,
) -> list[NoticeRow]:
    """The actor's own, newest first, from behind `after` = (created_at, id). Raises Forbidden for a key."""
    account_id = _account(actor)
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        rows = await uow.execute(
            "select n.id, n.topic, n.title, n.body, n.href, n.organization_id,"
            " coalesce(o.name, '') as organization_name, n.created_at, n.read_at"
            " from notification n left join organization o on o.id = n.organization_id"
            " where n.account_id = :account and (not :unread or n.read_at is null)"
            " and (cast(:at as timestamptz) is null or n.created_at < :at or (n.created_at = :at and n.id > :last))"
            " order by n.created_at desc, n.id limit :limit",
            account=account_id,
            unread=unread_only,
            at=after[0] if after else None,
            last=after[1] if after else "",
            limit=min(limit, PAGE_ROWS_MAX),
        )
        return [NoticeRow(**row) for row in rows.mappings()]


async def unread_of(actor: Actor, *, on: Database | None = None) -> int:
    """How many of the actor's own are unread; at most UNREAD_COUNTED_MAX are counted."""
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        return await _unread(uow, _account(actor))


async def live_unread(uow: UnitOfWork) -> dict[str, Any]:
    """For the bell, which follows; `uow` crosses tenants for one account."""
    return {"unread": await _unread(uow, _account(uow.actor))}


async def _unread(uow: UnitOfWork, account_id: str) -> int:
    found = await uow.execute(
        "select count(*) from (select 1 from notification where account_id = :account and read_at is null"
        " limit :most) unread",
        account=account_id,
        most=UNREAD_COUNTED_MAX,
    )
    return found.scalar_one()


async def mark_read(actor: Actor, notice_id: str, *, on: Database | None = None) -> None:
    """Raises NotFound for what is not the actor's own. Reading again changes nothing."""
    account_id = _account(actor)
    if not is_id(str(notice_id), "note"):
        raise not_found("notification", str(notice_id))
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        changed = await uow.execute(
            "update notification set read_at = coalesce(read_at, :now) where id = :id and account_id = :account",
            now=uow.wall_now,
            id=notice_id,
            account=account_id,
        )
        if changed.rowcount == 0:
            raise not_found("notification", notice_id)
        _announce(uow, account_id, on)


async def mark_all_read(actor: Actor, *, on: Database | None = None) -> int:
    """Returns how many were unread."""
    account_id = _account(actor)
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        changed = await uow.execute(
            "update notification set read_at = :now where account_id = :account and read_at is null",
            now=uow.wall_now,
            account=account_id,
        )
        _announce(uow, account_id, on)
        return changed.rowcount


def _announce(uow: UnitOfWork, account_id: str, on: Database | None) -> None:
    """Bells on other pages and in other browsers follow."""
    wakeups = (on or database()).wakeups
    uow.after_commit(lambda: wakeups.poke(NOTICES_CHANGED, account_id))


@dataclass(frozen=True, slots=True)
class Preference:
    """What holds now for a person; a `locked` topic is told by both channels in any case."""

    topic: str
    in_app: bool
    mail: bool
    locked: bool


async def preferences_of(actor: Actor, *, on: Database | None = None) -> list[Preference]:
    """Of each topic that the actor may be told of, in any organisation of theirs."""
    account_id = _account(actor)
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        topics = await _topics(uow, account_id)
        found = await uow.execute(
            "select topic, channel, wanted from notification_preference where account_id = :account",
            account=account_id,
        )
        said = {(row.topic, row.channel): bool(row.wanted) for row in found}

    def holds(topic: Topic, channel: Channel) -> bool:
        usual = topic.by_default(channel)
        return usual if topic.locked else said.get((topic.name, channel.value), usual)

    return [
        Preference(topic.name, holds(topic, Channel.IN_APP), holds(topic, Channel.MAIL), topic.locked)
        for topic in topics
    ]


async def _topics(uow: UnitOfWork, account_id: str) -> list[Topic]:
    found = (
        await uow.execute(
            "select m.role, o.kind from membership m join organization o on o.id = m.organization_id"
            " where m.account_id = :account and m.suspended_at is null",
            account=account_id,
        )
    ).all()
    staff = {Role(row.role) for row in found if row.kind == OrganizationKind.OPERATOR}
    return topics_for({Role(row.role) for row in found}, staff)


async def prefer(actor: Actor, topic: str, channel: str, *, wanted: bool, on: Database | None = None) -> None:
    """Say whether the actor wants a topic by a channel. Raises Invalid for one that there is not, that the actor cannot
    be told of, or that is locked."""
    account_id = _account(actor)
    async with crossing(Reason.NOTICES, actor=actor, on=on) as uow:
        topics = {one.name: one for one in await _topics(uow, account_id)}
        if topic not in topics or channel not in set(Channel):
            raise Invalid(
                "There is no such topic or channel for you.",
                field="topic",
                next_step=f"Topics are {', '.join(topics)}; channels are {', '.join(Channel)}.",
            )
        if topics[topic].locked:
            raise Invalid(
                "This topic is told in any case, here and by mail.",
                field="topic",
                code="topic_locked",
            )
        await uow.execute(
            "insert into notification_preference (account_id, topic, channel, wanted)"
            " values (:account, :topic, :channel, :wanted)"
            " on conflict (account_id, topic, channel) do update set wanted = excluded.wanted",
            account=account_id,
            topic=topic,
            channel=channel,
            wanted=wanted,
        )


def _account(actor: Actor) -> str:
    if actor.account_id is None:
        raise Forbidden("Notifications are for people; a key has none.", next_step="Sign in in the browser.")
    return actor.account_id


async def forget_old_notices(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete what was told long ago, read or not. Returns how many went."""
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        return await delete(uow, "notification", "created_at <= :now - :kept", kept=NOTICES_KEPT)
