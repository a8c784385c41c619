"""Only what has served its purpose is forgotten, in turns that are bounded and wait for nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.identity import Account
from services.core import retention as core
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork, unit_of_work
from services.identity import retention as identity
from services.identity import throttle
from services.identity.rules import CONFIRMATION_VALID, SESSION_AGE_MAX, SESSION_IDLE_MAX
from services.identity.throttle import SIGN_IN_ACCOUNT, Subject
from services.notify import retention as notify
from tests.world import World

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MONTH = timedelta(days=30)
LONG_AGO = NOW - timedelta(days=400)
_ANSWER = (
    "insert into idempotency_record (organization_id, key, fingerprint, status, body, created_at, expires_at)"
    " values ('org', :id, '', 200, '', :at, :at)"
)
_TOKEN = (
    "insert into mail_token (id, account_id, purpose, email, name, password_hash, created_at, expires_at)"
    " values (:id, :account_id, 'confirm_address', '', '', '', :created_at, :expires_at)"
)
_ACCOUNT = (
    "insert into account (id, email, email_key, name, verified_at, created_at, version)"
    " select id, id, id, '', :verified_at, :created_at, 1 from (select cast(:id as text) as id) as given"
)
_SESSION = (
    "insert into session (id, token_hash, account_id, user_agent, address, created_at, last_seen_at, expires_at,"
    " ended_at) values (:id, convert_to(:id, 'UTF8'), :account_id, '', '', :created_at, :seen_at, :expires_at,"
    " :ended_at)"
)
_MAIL = (
    "insert into mail (id, dedupe_key, recipient, subject, body, created_at, sent_at, error)"
    " values (:id, :id, 'ana@example.com', 'Confirm', 'See http://localhost/confirm?token=abc', :at, :sent_at, '')"
)
_LOG = (
    "insert into pgqueuer_log (created, job_id, status, priority, entrypoint)"
    " values (:at, :id, 'successful', 0, 'test')"
)


@pytest.fixture
async def ana(world: World) -> Account:
    return await world.account()


async def left(table: str, column: str = "id") -> list[Any]:
    of_jobs = table.startswith("pgqueuer")  # which the application itself reads, not the role that crosses
    async with unit_of_work(system()) if of_jobs else crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(f"select {column} from {table} order by 1")
        return list(found.scalars())


async def test_answers_of_repeatable_requests_go_when_they_expire(database: Database) -> None:
    async with crossing(Reason.DEMO) as uow:
        for name, at in {"just": NOW, "later": NOW + SECOND}.items():
            await uow.execute(_ANSWER, id=name, at=at)

    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 1
    assert await left("idempotency_record", "key") == ["later"]


async def test_links_go_a_month_after_they_ended(database: Database, ana: Account) -> None:
    """Followed again, a link of late still says that the address is confirmed."""
    async with crossing(Reason.DEMO) as uow:
        for name, at in {"gone": NOW - MONTH, "kept": NOW - MONTH + SECOND}.items():
            await uow.execute(_TOKEN, id=name, account_id=ana.id, created_at=at, expires_at=at)

    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 1
    assert await left("mail_token") == ["kept"]


async def test_attempts_go_a_day_after_the_last(database: Database) -> None:
    for name, at in {"gone": NOW - timedelta(days=1), "kept": NOW - timedelta(days=1) + SECOND}.items():
        async with crossing(Reason.SIGN_IN, clock=FixedClock(at)) as uow:
            await throttle.count(uow, [Subject(SIGN_IN_ACCOUNT, name)])

    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 1
    assert await left("throttle", "subject") == [Subject(SIGN_IN_ACCOUNT, "kept").key()]


@pytest.mark.parametrize("how", ["signed out", "idle", "too old"])
async def test_sessions_go_ninety_days_after_they_ended(database: Database, ana: Account, how: str) -> None:
    async with crossing(Reason.DEMO) as uow:
        for name, ended in {
            "gone": NOW - timedelta(days=90),
            "kept": NOW - timedelta(days=90) + SECOND,
        }.items():
            begun = ended - SESSION_AGE_MAX if how == "too old" else ended - SESSION_IDLE_MAX
            await uow.execute(
                _SESSION,
                id=name,
                account_id=ana.id,
                created_at=begun,
                seen_at=begun if how == "idle" else ended,
                expires_at=begun + SESSION_AGE_MAX,
                ended_at=ended if how == "signed out" else None,
            )

    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 1
    assert await left("session") == ["kept"]


async def test_accounts_that_nobody_confirmed_go_a_month_after_the_last_sign_up(database: Database) -> None:
    """With their sign-ups; one that was confirmed stays, however old."""
    signed_up = {"gone": NOW - MONTH, "kept": NOW - MONTH + SECOND, "confirmed": LONG_AGO}
    async with crossing(Reason.DEMO) as uow:
        for name, at in signed_up.items():
            verified_at = at if name == "confirmed" else None
            await uow.execute(_ACCOUNT, id=name, created_at=LONG_AGO, verified_at=verified_at)
            until = NOW - MONTH + SECOND  # so that links do not go by themselves
            await uow.execute(_TOKEN, id=f"of {name}", account_id=name, created_at=at, expires_at=until)
        await uow.execute(_ACCOUNT, id="bare", created_at=NOW - MONTH, verified_at=None)
        await uow.execute(_ACCOUNT, id="fresh", created_at=NOW - MONTH + SECOND, verified_at=None)

    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 2
    assert await left("account") == ["confirmed", "fresh", "kept"]
    assert await left("mail_token") == ["of confirmed", "of kept"]


async def test_a_mail_that_was_not_sent_goes_with_its_link_and_a_sent_one_after_ninety_days(
    database: Database,
) -> None:
    mails = {
        "unsent": (NOW - CONFIRMATION_VALID, None),
        "waiting": (NOW - CONFIRMATION_VALID + SECOND, None),
        "sent": (NOW - timedelta(days=89), NOW - timedelta(days=89)),
        "sent long ago": (NOW - timedelta(days=90), NOW - timedelta(days=90)),
    }
    async with crossing(Reason.DEMO) as uow:
        for name, (at, sent_at) in mails.items():
            await uow.execute(_MAIL, id=name, at=at, sent_at=sent_at)

    assert await notify.forget_old_mail(database, clock=FixedClock(NOW)) == 2
    assert await left("mail") == ["sent", "waiting"]
    assert await notify.forget_old_mail(database, clock=FixedClock(NOW)) == 0


async def test_the_log_of_jobs_is_kept_for_a_month(database: Database) -> None:
    async with unit_of_work(system()) as uow:
        for number, at in enumerate((NOW - MONTH, NOW - MONTH + SECOND)):
            await uow.execute(_LOG, id=number, at=at)

    assert await core.forget_job_log(database, clock=FixedClock(NOW)) == 1
    assert await left("pgqueuer_log", "job_id") == [1]


async def _old_accounts(uow: UnitOfWork, number: int) -> None:
    await uow.execute(_ACCOUNT, id=f"{number}", created_at=LONG_AGO, verified_at=None)


async def _old_mails(uow: UnitOfWork, number: int) -> None:
    await uow.execute(_MAIL, id=f"{number}", at=LONG_AGO, sent_at=None)


async def _old_answers(uow: UnitOfWork, number: int) -> None:
    await uow.execute(_ANSWER, id=f"{number}", at=LONG_AGO)


@pytest.mark.parametrize(
    ("table", "make", "forget"),
    [
        ("account", _old_accounts, identity.forget_expired),
        ("idempotency_record", _old_answers, identity.forget_expired),
        ("mail", _old_mails, notify.forget_old_mail),
    ],
)
async def test_a_turn_is_bounded_and_leaves_rows_that_somebody_holds(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    make: Callable[[UnitOfWork, int], Awaitable[None]],
    forget: Callable[..., Awaitable[int]],
) -> None:
    monkeypatch.setattr(core, "ROWS_PER_TURN_MAX", 2)
    clock = FixedClock(NOW)
    async with crossing(Reason.DEMO) as uow:
        for number in range(5):
            await make(uow, number)
    column = "key" if table == "idempotency_record" else "id"

    async with crossing(Reason.DEMO) as holding:
        await holding.execute(f"select from {table} where {column} = '3' for update")
        assert [await forget(database, clock=clock) for _ in range(3)] == [2, 2, 0]
    assert await left(table, column) == ["3"]
    assert await forget(database, clock=clock) == 1


async def test_attempts_to_sign_in_and_what_waited_for_a_code_are_forgotten(
    database: Database, ana: Account
) -> None:
    async with crossing(Reason.DEMO) as uow:
        for name, at in (("old", NOW - identity.SIGN_INS_KEPT), ("new", NOW - MONTH)):
            await uow.execute(
                "insert into sign_in (id, account_id, at, outcome, address, user_agent)"
                " values (:id, :account_id, :at, 'wrong_password', '', '')",
                id=name,
                account_id=ana.id,
                at=at,
            )
        for name, ends in (("over", NOW), ("open", NOW + SECOND)):
            await uow.execute(
                "insert into sign_in_challenge (token_hash, account_id, sign_in_id, created_at, expires_at)"
                " values (convert_to(:name, 'UTF8'), :account_id, 'new', :ends, :ends)",
                name=name,
                account_id=ana.id,
                ends=ends,
            )
        await uow.execute(
            "insert into authenticator (account_id, seed_sealed, created_at, last_step) values (:id, '', :at, -1)",
            id=ana.id,
            at=NOW - identity.ENROLMENT_KEPT,
        )
    assert await identity.forget_expired(database, clock=FixedClock(NOW)) == 3
    async with crossing(Reason.DEMO) as uow:
        left = await uow.execute(
            "select id from sign_in union select convert_from(token_hash, 'UTF8') from sign_in_challenge order by 1"
        )
        assert list(left.scalars()) == ["new", "open"]
