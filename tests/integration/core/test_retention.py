"""Only what has served its purpose is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.identity import retention, throttle
from services.identity.throttle import SIGN_IN_ACCOUNT, Subject
from tests.world import World

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
_ANSWER = (
    "insert into idempotency_record (organization_id, key, fingerprint, status, body, created_at, expires_at)"
    " values (:organization_id, :key, '', 200, '', :at, :at)"
)
_TOKEN = (
    "insert into mail_token (id, account_id, purpose, email, name, password_hash, created_at, expires_at)"
    " values (:id, :account_id, 'confirm_address', '', '', '', :at, :at)"
)


async def test_expired_answers_links_and_attempts_go_and_others_stay(
    database: Database, world: World
) -> None:
    organization = await world.organization()
    account = await world.account()
    moments = {"old": NOW - timedelta(days=40), "just": NOW, "later": NOW + timedelta(seconds=1)}
    async with crossing(Reason.DEMO) as uow:
        for name, at in moments.items():
            await uow.execute(_ANSWER, organization_id=organization.id, key=name, at=at)
            await uow.execute(_TOKEN, id=name, account_id=account.id, at=at)
    for name, at in moments.items():
        async with crossing(Reason.SIGN_IN, clock=FixedClock(at)) as uow:
            await throttle.count(uow, [Subject(SIGN_IN_ACCOUNT, name)])

    forgotten = await retention.forget_expired(database, clock=FixedClock(NOW))

    assert forgotten == 4
    async with crossing(Reason.INVARIANTS) as uow:
        answers = await uow.execute("select key from idempotency_record order by key")
        assert answers.scalars().all() == ["later"]
        tokens = await uow.execute("select id from mail_token order by id")
        assert tokens.scalars().all() == ["just", "later"]  # followed again, a link still says "confirmed"
        assert (await uow.execute("select count(*) from throttle")).scalar_one() == 2
    assert await retention.forget_expired(database, clock=FixedClock(NOW)) == 0
