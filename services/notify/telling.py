"""Telling people what happened: a row for each and a mail for each, once per event, however often it is delivered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from models.types import Role
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.relay import Delivered
from services.core.wakeups import NOTICES_CHANGED
from services.core.work import UnitOfWork
from services.notify.letters import Letter, letter, letter_in
from services.notify.sending import Sender, deliver
from services.notify.topics import TELLINGS, TOPICS, Channel, Telling
from services.notify.words import Facts, Words

TOLD_MAX = 200  # people of one event
NEWS = timedelta(
    days=7
)  # what is older when it is read is no news: a subscriber that begins reads the whole log
PREFERENCES_PAGE = "/account/notifications"

_FACTS = """
select e.recorded_at, coalesce(o.name, '') as organization,
  coalesce(nullif(a.name, ''), a.email, nullif(s.name, ''), k.name, 'Matrix') as actor,
  coalesce(nullif(p.name, ''), p.email, 'Somebody') as person
from event e
left join organization o on o.id = e.organization_id
left join account a on a.id = e.actor_id
left join api_key k on k.id = e.actor_id
left join service_account s on s.id = coalesce(k.service_account_id, e.actor_id)
left join account p on p.id = e.payload->>'account_id'
where e.id = :id
"""
_HOLDERS = """
select m.account_id from membership m join account a on a.id = m.account_id
where m.organization_id = :organization and m.role = any(:roles) and m.suspended_at is null
  and a.suspended_at is null and m.account_id <> all(:but)
  and (cast(:only as text) is null or m.account_id = :only) order by m.account_id limit :most
"""
_STAFF = """
select m.account_id from membership m join organization o on o.id = m.organization_id
join account a on a.id = m.account_id
where o.kind = 'operator' and o.suspended_at is null and m.role = any(:roles) and m.suspended_at is null
  and a.suspended_at is null and (cast(:only as text) is null or m.account_id = :only)
group by m.account_id order by m.account_id limit :most
"""
_EARLIER = "select from event where aggregate_id = :aggregate and id < :id and type = :type limit 1"
_LANGUAGE = "select language from billing_profile where organization_id = :organization"
_PERSON = "select id from account where id = :id and suspended_at is null"
_MEMBER = """
select a.id from account a join membership m on m.account_id = a.id
where a.id = :id and a.suspended_at is null and m.organization_id = :organization and m.suspended_at is null
"""
_NOTE = """
insert into notification (id, account_id, organization_id, event_id, topic, title, body, href, created_at)
values (:id, :account, :organization, :event, :topic, :title, :body, :href, :at)
on conflict (account_id, event_id, topic) do nothing
"""


@dataclass(frozen=True, slots=True)
class MailWanted:
    """Somebody wants to read of it by mail."""

    event_id: int
    account_id: str
    topic: str


async def tell(uow: UnitOfWork, event: Delivered, on: Database) -> list[MailWanted]:
    """Write the rows that `event` calls for. Returns the mails it calls for, each of which may be written once.

    `uow` crosses tenants.
    """
    facts = await _facts(uow, event)
    if facts is None:
        return []
    mails: list[MailWanted] = []
    for telling in TELLINGS.get(event.type, ()):
        told = await _audience(uow, event, telling)
        if not told:
            continue
        words = telling.say(event, facts)
        in_app = await _wanting(uow, told, telling.topic, Channel.IN_APP)
        if in_app:
            await uow.execute(_NOTE, [_row(event, telling, facts, words, account) for account in in_app])
            _announce(uow, on, in_app)
        if telling.mailed:
            by_mail = await _wanting(uow, told, telling.topic, Channel.MAIL)
            mails += [MailWanted(event.id, account, telling.topic) for account in by_mail]
    return mails


def _row(event: Delivered, telling: Telling, facts: Facts, words: Words, account: str) -> dict[str, object]:
    return {
        "id": new_id("note"),
        "account": account,
        "organization": event.organization_id,
        "event": event.id,
        "topic": telling.topic,
        "title": words.title,
        "body": words.body,
        "href": words.href,
        "at": facts.at,
    }


def _announce(uow: UnitOfWork, on: Database, accounts: Iterable[str]) -> None:
    told = list(accounts)

    def poke() -> None:
        for account in told:
            on.wakeups.poke(NOTICES_CHANGED, account)

    uow.after_commit(poke)


async def _facts(uow: UnitOfWork, event: Delivered) -> Facts | None:
    """None for what is no news any more."""
    row = (await uow.execute(_FACTS, id=event.id)).one_or_none()
    if row is None or uow.wall_now - row.recorded_at > NEWS:
        return None
    return Facts(row.recorded_at, row.organization, row.actor, row.person)


async def _audience(
    uow: UnitOfWork, event: Delivered, telling: Telling, *, only: str | None = None
) -> list[str]:
    """Whom `telling` concerns as things are now; `only` this one account, if it is among them."""
    if telling.once and await _came_before(uow, event):
        return []
    if telling.while_found and not (await uow.execute(telling.while_found, id=event.aggregate_id)).all():
        return []
    if telling.staff is not None:
        roles = sorted(_roles_with(telling.staff))
        return list((await uow.execute(_STAFF, only=only, roles=roles, most=TOLD_MAX)).scalars())
    if telling.person is not None:
        account = telling.person(event) or ""
        if only not in (None, account):
            return []
        named: dict[str, Any] = {"organization": event.organization_id or ""} if telling.of_member else {}
        found = await uow.execute(_MEMBER if telling.of_member else _PERSON, id=account, **named)
        return list(found.scalars())
    found = await uow.execute(
        _HOLDERS,
        only=only,
        organization=event.organization_id or "",
        roles=sorted(_roles_with(telling.holders)),
        but=[event.actor_id, str(event.payload.get("account_id", ""))],
        most=TOLD_MAX,
    )
    return list(found.scalars())


async def _came_before(uow: UnitOfWork, event: Delivered) -> bool:
    """Whether the same happened to the same thing before."""
    found = await uow.execute(_EARLIER, aggregate=event.aggregate_id, id=event.id, type=event.type)
    return found.first() is not None


def _roles_with(capability: Capability | None) -> set[Role]:
    return {role for role, held in ROLE_CAPABILITIES.items() if capability in held}


async def _wanting(uow: UnitOfWork, accounts: list[str], topic: str, channel: Channel) -> list[str]:
    """Those of `accounts` that want `topic` by `channel`."""
    declared = TOPICS[topic]
    if declared.locked or not accounts:
        return accounts if declared.by_default(channel) else []
    found = await uow.execute(
        "select account_id, wanted from notification_preference"
        " where account_id = any(:accounts) and topic = :topic and channel = :channel",
        accounts=accounts,
        topic=topic,
        channel=channel.value,
    )
    said = {row.account_id: row.wanted for row in found}
    return [account for account in accounts if said.get(account, declared.by_default(channel))]


async def mail_notice(wanted: MailWanted, *, sender: Sender, clock: Clock | None = None) -> None:
    """Write the mail of one notice to one person, unless it was written, and send it if there is a server.

    Who has switched it off meanwhile, or is no longer concerned, gets none. Raises what smtplib raises.
    """
    async with crossing(Reason.MAIL, clock=clock) as uow:
        mail_id = await _written(uow, wanted, sender)
    if mail_id is not None:
        await deliver(mail_id, sender=sender, clock=clock)


async def _written(uow: UnitOfWork, wanted: MailWanted, sender: Sender) -> str | None:
    key = f"notice:{wanted.event_id}:{wanted.account_id}:{wanted.topic}"
    await uow.execute("select pg_advisory_xact_lock(hashtextextended(:key, 47))", key=f"mail {key}")
    event = await _event(uow, wanted.event_id)
    if event is None:
        return None
    telling = next((one for one in TELLINGS.get(event.type, ()) if one.topic == wanted.topic), None)
    if telling is None or not await _audience(uow, event, telling, only=wanted.account_id):
        return None
    found = (await uow.execute("select id from mail where dedupe_key = :key", key=key)).scalar_one_or_none()
    if found is not None:
        return found
    facts = await _facts(uow, event)
    if facts is None or not await _wanting(uow, [wanted.account_id], wanted.topic, Channel.MAIL):
        return None
    account = (
        await uow.execute(
            "select email, name from account where id = :id and suspended_at is null", id=wanted.account_id
        )
    ).one_or_none()
    if account is None:
        return None
    settings_link = "" if TOPICS[telling.topic].locked else f"{sender.public_url}{PREFERENCES_PAGE}"
    written = await _letter(uow, event, telling, facts, account.name, sender, settings_link)
    mail_id = new_id("mail")
    await uow.execute(
        "insert into mail (id, dedupe_key, recipient, subject, body, html, unsubscribe, created_at, error)"
        " values (:id, :key, :recipient, :subject, :body, :html, :unsubscribe, :now, '')",
        id=mail_id,
        key=key,
        recipient=account.email,
        subject=written.subject,
        body=written.body,
        html=written.html,
        unsubscribe=settings_link,
        now=uow.wall_now,
    )
    return mail_id


async def _letter(
    uow: UnitOfWork,
    event: Delivered,
    telling: Telling,
    facts: Facts,
    name: str,
    sender: Sender,
    settings_link: str,
) -> Letter:
    words = telling.say(event, facts)
    link = f"{sender.public_url}{words.href}"
    if telling.translated is None:
        return letter(
            name=name,
            title=words.title,
            sentences=(words.body,),
            link=link,
            link_text="Open Matrix",
            settings_link=settings_link,
        )
    found = await uow.execute(_LANGUAGE, organization=event.organization_id)
    said = telling.translated(found.scalar_one_or_none() or "en", event)
    return letter_in(
        said.language,
        title=said.title,
        hello=said.hello,
        sentences=said.sentences,
        link=link,
        link_text=said.link_text,
        why=f"{said.why} {settings_link}",
    )


async def _event(uow: UnitOfWork, event_id: int) -> Delivered | None:
    found = await uow.execute(
        "select id, coalesce(position, 0), type, aggregate_id, organization_id, actor_id, payload, happened_at,"
        " trace_id from event where id = :id",
        id=event_id,
    )
    row = found.one_or_none()
    return None if row is None else Delivered(*row)
