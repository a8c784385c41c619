"""Who is told of what, by which way, and that it is once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from models.identity import Account, Organization
from models.types import OrganizationKind, Role
from services.billing.events import SubscriptionMoved
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE
from services.core.errors import Forbidden, Invalid, NotFound
from services.core.events import DomainEvent
from services.core.relay import Delivered, deliver, stamp
from services.identity import events
from services.invariants import check
from services.invariants.book import EveryOrganizationHasAnOwner
from services.notify import notices
from services.notify.jobs import NOTICE_MAIL
from services.notify.sending import Sender
from services.notify.smtp import Outgoing, SmtpServer, message_for
from services.notify.subscribers import NOTICES
from services.notify.telling import MailWanted, mail_notice, tell
from services.notify.topics import TELLINGS, TOPICS, Channel
from services.papers.events import PaperParked
from services.tasks.events import TaskFailed, TaskFinished
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.world import World

KEPT = Sender(public_url="http://localhost:3000", mail_from="Matrix <no-reply@example.com>", server=None)


@dataclass
class Team:
    """An owner, an admin, a developer and a viewer of one organisation, and a stranger."""

    world: World
    organization: Organization
    people: dict[str, Account]

    def actor(self, who: str) -> Actor:
        role = Role(who) if who in set(Role) else Role.OWNER
        return self.world.actor(self.organization, role, self.people[who])

    async def happen(self, event: DomainEvent, by: str = "owner", at: datetime | None = None) -> int:
        clock = FixedClock(at or datetime.now(UTC))
        async with crossing(Reason.DEMO, actor=self.actor(by), clock=clock) as uow:
            uow.record(event)
        async with await self.world.database.unpooled() as connection:
            await connection.execute(f"set role {CROSSING_ROLE}")
            await stamp(connection)
        async with crossing(Reason.INVARIANTS) as uow:
            return (await uow.execute("select max(id) from event")).scalar_one()

    async def told(self) -> dict[str, list[str]]:
        """Topics by person."""
        return {
            who: sorted(notice.topic for notice in await notices.notices_of(self.actor(who)))
            for who in self.people
        }

    async def mails_asked(self) -> list[MailWanted]:
        """The jobs that wait, as the worker would do them."""
        async with await self.world.database.unpooled() as connection:
            found = await connection.execute(
                "select payload from pgqueuer where entrypoint = %s order by id", (NOTICE_MAIL,)
            )
            return [MailWanted(**orjson.loads(payload)) for (payload,) in await found.fetchall()]

    def key_created(self, name: str = "laptop") -> DomainEvent:
        own = self.organization.id
        return events.ApiKeyCreated(
            aggregate_id="apikey_x", organization_id=own, name=name, prefix="mx-", scopes=["inference"]
        )


@pytest.fixture
async def team(world: World) -> Team:
    organization = await world.organization(name="Acme")
    roles = (Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.VIEWER)
    people = {
        role.value: await world.account(f"{role.value}@example.com", member_of=organization, role=role)
        for role in roles
    }
    people["stranger"] = await world.account("stranger@example.com", member_of=await world.organization())
    return Team(world, organization, people)


def membership(kind: type[DomainEvent], team: Team, who: str, **more: Any) -> DomainEvent:
    facts = {
        "aggregate_id": "mem_x",
        "organization_id": team.organization.id,
        "account_id": team.people[who].id,
    }
    return kind(**facts, **more)


def task(kind: type[DomainEvent], team: Team, who: str, **more: Any) -> DomainEvent:
    facts = {"kind": "export", "title": "keys", "asked_by": team.people[who].id}
    return kind(aggregate_id="task_x", organization_id=team.organization.id, **facts, **more)


E, T = events, {"in_app", "mail"}
MATRIX = {
    "key created": (lambda t: t.key_created(), {"admin": {"in_app"}}),
    "key revoked": (
        lambda t: E.ApiKeyRevoked(aggregate_id="k", organization_id=t.organization.id, name="laptop"),
        {"admin": {"in_app"}},
    ),
    "joined": (
        lambda t: membership(E.MembershipCreated, t, "viewer", role="viewer"),
        {"viewer": T, "admin": {"in_app"}},
    ),
    "role changed": (lambda t: membership(E.MembershipChanged, t, "viewer", role="admin"), {"viewer": T}),
    "own role changed": (lambda t: membership(E.MembershipChanged, t, "owner", role="admin"), {}),
    "removed": (lambda t: membership(E.MembershipEnded, t, "developer"), {"developer": T}),
    "task done": (lambda t: task(TaskFinished, t, "developer"), {"developer": {"in_app"}}),
    "task failed": (lambda t: task(TaskFailed, t, "developer", error="Away."), {"developer": T}),
    "moved to new prices": (
        lambda t: SubscriptionMoved(
            aggregate_id="sub_x",
            organization_id=t.organization.id,
            plan_id="p",
            migration_id="m",
            direction="upgrade",
            effective_at="2026-05-01T00:00:00+00:00",
        ),
        {"admin": T},
    ),
    "nothing anybody is told of": (
        lambda t: E.OrganizationUpdated(
            aggregate_id="o", organization_id=t.organization.id, changed=["name"]
        ),
        {},
    ),
}


@pytest.mark.parametrize("what", MATRIX)
async def test_each_event_reaches_those_it_concerns_and_nobody_else(what: str, team: Team) -> None:
    make, expected = MATRIX[what]
    await team.happen(make(team))
    await deliver(NOTICES, team.world.database)
    told = await team.told()
    mailed = {asked.account_id for asked in await team.mails_asked()}
    ways = {
        who: {*(["in_app"] if told[who] else []), *(["mail"] if account.id in mailed else [])}
        for who, account in team.people.items()
    }
    assert {who: found for who, found in ways.items() if found} == expected


async def test_what_is_delivered_again_is_told_once(team: Team) -> None:
    """A subscriber that dies before its cursor moves is given the event again, and its mails are asked for again."""
    event_id = await team.happen(membership(E.MembershipChanged, team, "viewer", role="admin"))
    async with crossing(Reason.INVARIANTS) as uow:
        row = await uow.execute(
            "select id, position, type, aggregate_id, organization_id, actor_id, payload, happened_at, trace_id"
            " from event where id = :id",
            id=event_id,
        )
        event = Delivered(*row.one())
    with pytest.raises(Killed):
        await _die_before_the_commit(event)
    assert (await team.told())["viewer"] == []
    for _ in range(2):
        async with crossing(Reason.SUBSCRIBER) as uow:
            await tell(uow, event, team.world.database)
    await deliver(NOTICES, team.world.database)
    assert (await team.told())["viewer"] == ["access"]

    (wanted,) = await team.mails_asked()
    fake = FakeSmtp()
    async with smtp_server(fake):
        sender = Sender(KEPT.public_url, KEPT.mail_from, SmtpServer("127.0.0.1", fake.port, tls=False))
        await asyncio.gather(*(mail_notice(wanted, sender=KEPT) for _ in range(4)))
        await mail_notice(wanted, sender=sender)
        await mail_notice(wanted, sender=sender)
    assert [got.recipients for got in fake.received] == [["viewer@example.com"]]
    message = fake.received[0].message
    assert message["List-Unsubscribe"] == "<http://localhost:3000/account/notifications>"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    async with crossing(Reason.INVARIANTS) as uow:
        kept = (await uow.execute("select body, html, sent_at is not null as sent from mail")).one()
    assert tuple(kept) == ("", "", True)


class Killed(BaseException):
    """Nothing after it is done."""


async def _die_before_the_commit(event: Delivered) -> None:
    async with crossing(Reason.SUBSCRIBER) as uow:
        await NOTICES.handlers[event.type](uow, event)
        raise Killed


async def test_what_a_person_typed_stays_text_in_a_mail(team: Team) -> None:
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update account set name = :name where id = :id",
            name="<img src=x onerror=alert(1)>\r\nBcc: all@example.com",
            id=team.people["owner"].id,
        )
    await notices.prefer(team.actor("admin"), "keys", "mail", wanted=True)
    await team.happen(team.key_created("<script>alert(1)</script>"))
    await deliver(NOTICES, team.world.database)
    await mail_notice((await team.mails_asked())[0], sender=KEPT)
    async with crossing(Reason.INVARIANTS) as uow:
        mail = (await uow.execute("select subject, body, html, recipient from mail")).one()
    assert mail.subject == "An API key was created"
    assert "<script>alert(1)</script>" in mail.body
    assert "<script" not in mail.html
    assert "<img" not in mail.html
    assert "&lt;script&gt;" in mail.html
    sent = message_for(Outgoing("mail_1", KEPT.mail_from, mail.recipient, mail.subject, mail.body, mail.html))
    assert set(sent.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
        message_for(
            Outgoing("m", KEPT.mail_from, "a@b.example", "s", "b", "h", unsubscribe="http://x\r\nBcc: y")
        )


async def test_people_choose_what_reaches_them_but_not_what_concerns_their_safety(team: Team) -> None:
    admin = team.actor("admin")
    await notices.prefer(admin, "keys", "in_app", wanted=False)
    await notices.prefer(admin, "keys", "mail", wanted=True)
    await team.happen(team.key_created())
    await deliver(NOTICES, team.world.database)
    assert (await team.told())["admin"] == []
    assert [asked.account_id for asked in await team.mails_asked()] == [team.people["admin"].id]
    await notices.prefer(admin, "keys", "mail", wanted=False)  # before the job comes to it
    await mail_notice((await team.mails_asked())[0], sender=KEPT)
    async with crossing(Reason.INVARIANTS) as uow:
        assert (await uow.execute("select count(*) from mail")).scalar_one() == 0

    shown = {one.topic: (one.in_app, one.mail, one.locked) for one in await notices.preferences_of(admin)}
    assert (shown["keys"], shown["security"]) == ((False, False, False), (True, True, True))
    # Of what is told to staff, or to those who pay, nobody else can be told.
    assert {"cases", "installation", "documents"}.isdisjoint(shown)
    viewer = {one.topic for one in await notices.preferences_of(team.actor("viewer"))}
    assert "payments" in shown.keys() - viewer
    assert {"security", "access", "task_done"} <= viewer
    for topic, channel, code in (
        ("security", "mail", "topic_locked"),
        ("installation", "mail", "invalid_input"),
        ("nonsense", "mail", "invalid_input"),
        ("keys", "pigeon", "invalid_input"),
    ):
        with pytest.raises(Invalid) as refused:
            await notices.prefer(admin, topic, channel, wanted=False)
        assert refused.value.error_code == code
    with pytest.raises(Forbidden):
        await notices.notices_of(Actor("apikey_x", team.organization.id, frozenset()))


@pytest.mark.parametrize(
    ("what", "meanwhile", "is_told"),
    [
        ("task failed", "nothing", True),
        ("task failed", "suspended_at = now()", False),
        ("task failed", "ended", False),
        ("key created", "nothing", True),
        ("key created", "role = 'viewer'", False),
        ("key created", "suspended_at = now()", False),
        ("key created", "ended", False),
        ("removed", "ended", True),  # which is what it tells
    ],
)
async def test_who_is_no_longer_concerned_gets_no_mail(
    what: str, meanwhile: str, is_told: bool, team: Team
) -> None:
    who = "admin" if what == "key created" else "developer"
    await notices.prefer(team.actor("admin"), "keys", "mail", wanted=True)
    await team.happen(MATRIX[what][0](team))
    await deliver(NOTICES, team.world.database)
    (wanted,) = await team.mails_asked()
    change = {"nothing": "", "ended": "delete from membership"}.get(
        meanwhile, f"update membership set {meanwhile}"
    )
    if change:
        async with crossing(Reason.DEMO) as uow:
            await uow.execute(f"{change} where account_id = :id", id=team.people[who].id)
    await mail_notice(wanted, sender=KEPT)
    async with crossing(Reason.INVARIANTS) as uow:
        assert (await uow.execute("select count(*) from mail")).scalar_one() == int(is_told)


async def test_old_events_are_no_news(team: Team) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=8)
    await team.happen(membership(E.MembershipChanged, team, "viewer", role="admin"), at=long_ago)
    await deliver(NOTICES, team.world.database)
    assert ((await team.told())["viewer"], await team.mails_asked()) == ([], [])


async def test_reading_is_ones_own(team: Team) -> None:
    for name in ("a", "b", "c"):
        await team.happen(team.key_created(name))
    await deliver(NOTICES, team.world.database)
    admin = team.actor("admin")
    first = await notices.notices_of(admin, limit=2)
    rest = await notices.notices_of(admin, after=(first[-1].created_at, first[-1].id), limit=2)
    assert len({notice.id for notice in first + rest}) == 3
    assert first[0].body == "owner@example.com created the API key \u201cc\u201d of Acme."

    with pytest.raises(NotFound):
        await notices.mark_read(team.actor("viewer"), first[0].id)
    await notices.mark_read(admin, first[0].id)
    await notices.mark_read(admin, first[0].id)
    assert await notices.unread_of(admin) == 2
    assert len(await notices.notices_of(admin, unread_only=True)) == 2
    assert await notices.mark_all_read(admin) == 2
    assert await notices.unread_of(admin) == 0
    later = FixedClock(datetime.now(UTC) + notices.NOTICES_KEPT)
    assert await notices.forget_old_notices(clock=later) == 3


async def test_a_paper_that_is_parked_is_told_to_staff_once_with_the_way_to_it(team: Team) -> None:
    """Whoever repairs it does so from there; support may only look, and customers cannot do anything about it."""
    operators = await team.world.organization(OrganizationKind.OPERATOR)
    for role in (Role.OPERATOR, Role.SUPPORT):
        team.people[role.value] = await team.world.account(
            f"{role.value}@example.com", member_of=operators, role=role
        )
    for _ in range(2):  # it was tried again, and parked again
        await team.happen(
            PaperParked(
                aggregate_id="inv_x",
                organization_id=team.organization.id,
                number="DE1/2026 1",
                error="No room.",
            )
        )
    for _ in range(2):
        await deliver(NOTICES, team.world.database)
    assert {who: topics for who, topics in (await team.told()).items() if topics} == {
        "operator": ["documents"]
    }
    (notice,) = await notices.notices_of(team.actor("operator"))
    assert (notice.body, notice.href) == (
        "DE1/2026 1 of Acme: No room.", "/governance/papers?number=DE1%2F2026+1",
    )  # fmt: skip
    (wanted,) = await team.mails_asked()
    await mail_notice(wanted, sender=KEPT)
    async with crossing(Reason.MAIL) as uow:
        mails = list((await uow.execute("select recipient from mail")).scalars())
    assert mails == ["operator@example.com"]


async def test_a_broken_invariant_is_told_to_staff_once_until_it_holds_again(team: Team) -> None:
    """Two workers check again and again; whoever may see the health page hears of it when it begins."""
    on, operators = team.world.database, await team.world.organization(OrganizationKind.OPERATOR)
    for role in (Role.OPERATOR, Role.SUPPORT):
        team.people[role.value] = await team.world.account(
            f"{role.value}@example.com", member_of=operators, role=role
        )
    rules, clock = (EveryOrganizationHasAnOwner,), FixedClock(datetime.now(UTC))

    async def checked() -> list[str]:
        """By two workers at once, and then once more. Returns what the operator was told so far."""
        await asyncio.gather(*(check.check_all(rules=rules, clock=clock) for _ in range(2)))
        await check.check_all(rules=rules)
        async with await on.unpooled() as connection:
            await connection.execute(f"set role {CROSSING_ROLE}")
            await stamp(connection)
        await deliver(NOTICES, on)
        return [notice.body for notice in await notices.notices_of(team.actor("operator"))]

    assert await checked() == []
    orphan = await team.world.organization(name="Nobody's")
    (said,) = await checked()
    await team.world.account("late@example.com", member_of=orphan)
    assert await checked() == [said]
    await team.world.organization(name="Nobody's either")
    assert await checked() == [said, said]

    assert said.startswith("organization_has_owner: Nobody can invite")
    assert {who for who, topics in (await team.told()).items() if "installation" in topics} == {
        "operator", "support",
    }  # fmt: skip
    for wanted in await team.mails_asked():
        await mail_notice(wanted, sender=KEPT)
    async with crossing(Reason.MAIL) as uow:
        mails = list((await uow.execute("select recipient from mail order by 1")).scalars())
    assert mails == ["operator@example.com"] * 2 + ["support@example.com"] * 2


def test_every_telling_names_a_topic_and_whom_it_tells() -> None:
    assert {telling.topic for tellings in TELLINGS.values() for telling in tellings} == set(TOPICS)
    assert all(
        sum(whom is not None for whom in (telling.person, telling.holders, telling.staff)) == 1
        for all_ in TELLINGS.values()
        for telling in all_
    )
    assert all(topic.by_default(Channel.IN_APP) for topic in TOPICS.values())
