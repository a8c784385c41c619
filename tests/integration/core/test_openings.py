"""Whatever sealed thing is opened is on record with who, why and where, and the record cannot be changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import ProgrammingError

from models.installation import SecretOpening
from models.payments import PaymentMethod
from services.core import openings
from services.core.crossing import Reason, crossing
from services.core.crypto import CannotOpen, Place
from services.core.database import Database
from services.core.ids import new_id
from services.core.openings import Purpose
from services.core.work import unit_of_work
from services.gateway.directory import Directory
from services.identity import authenticators, idempotency
from services.identity.idempotency import Answer
from services.payments import methods
from tests.integration.walk.victim import Victim, furnish
from tests.world import LONG_AGO, World

ROOT = Path(__file__).parents[3]
Line = tuple[str, str, str, str, str]


async def record() -> list[Line]:
    """Who, why and where, as it came."""
    async with crossing(Reason.KEYS) as uow:
        found = await uow.execute(
            "select actor_id, purpose, tenant, table_name || '.' || column_name as place, row_id"
            " from secret_opening where opened_at > :long_ago order by opened_at, id",
            long_ago=LONG_AGO,
        )
        return [(row.actor_id, row.purpose, row.tenant, row.place, row.row_id) for row in found]


@pytest.fixture
async def victim(world: World, tmp_path: Path) -> Victim:
    return await furnish(world, "Ours", folder=tmp_path)


async def test_each_opening_says_who_and_why_and_where(
    database: Database, world: World, victim: Victim
) -> None:
    owner, org = world.actor(victim.organization, account=victim.owner), victim.organization.id
    routes = Directory(database, model_url="", allowed_private=frozenset())

    for _ in range(3):  # what a process holds opened is opened once
        await routes.load()
    async with unit_of_work(owner) as uow:
        method = await uow.get(PaymentMethod, victim.id("paym"))
        assert method is not None
        await methods.token_of(uow, method, Purpose.METHOD_CHARGED)
        await methods.customer_of(uow, victim.id("pacc"))
    for _ in range(2):
        async with unit_of_work(owner) as uow:
            await idempotency.once(uow, owner=org, key="again", fingerprint=b"", effect=_answered)
    async with crossing(Reason.ACCOUNT) as uow:
        await uow.execute("update authenticator set confirmed_at = created_at")
        await authenticators.take_code(uow, victim.owner.id, "000000")

    assert await record() == [
        ("system", "calls_routed", "platform", "upstream.api_key_sealed", victim.upstream_id),
        (owner.id, "method_charged", org, "payment_method.token", victim.id("paym")),
        (owner.id, "customer_named", org, "provider_customer.reference", victim.id("pacc")),
        (owner.id, "answered_again", org, "idempotency_record.body", "again"),
        ("system", "code_checked", victim.owner.id, "authenticator.seed_sealed", victim.owner.id),
    ]


async def _answered() -> Answer:
    return Answer(201, b"{}")


def test_there_is_no_other_way_to_open() -> None:
    opening = re.compile(r"vault\(\)\s*\.open\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "state", "matrix_app", "components")
        for path in (ROOT / folder).rglob("*.py")
        if opening.search(path.read_text())
    }

    assert found == {"services/core/openings.py"}


async def test_what_came_to_nothing_opened_nothing(database: Database, victim: Victim) -> None:
    place = Place("platform", "upstream", "api_key_sealed", victim.upstream_id)

    with pytest.raises(CannotOpen):
        async with crossing(Reason.CATALOG) as uow:
            await openings.opened(uow, b"noise", place, Purpose.CALLS_ROUTED)

    assert await record() == []


async def test_the_record_is_added_to_and_nothing_else_until_it_is_old(
    database: Database, world: World, victim: Victim
) -> None:
    owner, now = world.actor(victim.organization), datetime.now(UTC)
    async with unit_of_work(owner) as uow:
        await openings.note(uow, Place(owner.organization_id or "", "t", "c", "r"), Purpose.METHOD_CHARGED)
    async with crossing(Reason.RETENTION) as uow:
        for days in (364, 399, 401):
            uow.add(
                SecretOpening(
                    id=new_id("sopn"), opened_at=now - timedelta(days=days), actor_id="a", purpose=str(days),
                    tenant="platform", table_name="t", column_name="c", row_id="r",
                )
            )  # fmt: skip

    elsewhere = Place("org_of_somebody_else", "t", "c", "r")
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with unit_of_work(owner) as uow:
            await openings.note(uow, elsewhere, Purpose.METHOD_CHARGED)
    async with crossing(Reason.RETENTION) as uow:
        await openings.note(uow, elsewhere, Purpose.METHOD_CHARGED)
    async with unit_of_work(owner) as uow:  # reads what is its own, and nothing of the platform's
        found = await uow.execute("select tenant from secret_opening")
        assert set(found.scalars()) == {owner.organization_id}
    for statement in ("delete from secret_opening", _CHANGED):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with unit_of_work(owner) as uow:
                await uow.execute(statement)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with crossing(Reason.RETENTION) as uow:
            await uow.execute(_CHANGED)

    await openings.forget_old()
    assert await _purposes() == ["399", "364", "method_charged", "method_charged"]
    async with crossing(Reason.RETENTION) as uow:
        await uow.execute("delete from secret_opening")
    assert await _purposes() == ["364", "method_charged", "method_charged"]


async def _purposes() -> list[str]:
    """Of what the test wrote."""
    async with crossing(Reason.RETENTION) as uow:
        found = await uow.execute(
            "select purpose from secret_opening where table_name = 't' order by opened_at"
        )
        return list(found.scalars())


_CHANGED = "update secret_opening set actor_id = 'somebody else'"
