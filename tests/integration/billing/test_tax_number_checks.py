"""Customers' tax numbers are asked of a register, and what it says decides about the tax and is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alembic import command
from models.types import Role
from services.billing import entities, profiles, queries, tax_numbers
from services.core import migrations
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Forbidden, Invalid
from services.core.settings import settings
from services.core.work import unit_of_work
from tests.fakes.vies import Vies, vies
from tests.integration.billing.shop import GERMAN, MARCH, Shop, line, open_shop
from tests.world import World

FRENCH = {"name": "Acme", "address": "1 Rue de Rivoli\n75001 Paris", "country": "FR"}
REAL, UNKNOWN = "FR40303265045", "FR23334175221"


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vies]:
    with vies() as fake:
        monkeypatch.setenv("MATRIX_VIES_URL", fake.address)
        monkeypatch.setenv("MATRIX_ALLOW_PRIVATE_UPSTREAMS", fake.host)
        settings.cache_clear()
        yield fake
    settings.cache_clear()


@pytest.fixture
async def shop(world: World, register: Vies) -> Shop:
    return await open_shop(world, reverse_charge_in=("FR",))


async def says(shop: Shop, number: str | None, **other: Any) -> dict[str, Any]:
    named: dict[str, Any] = FRENCH | other
    async with shop.work() as uow:
        row = await profiles.set_own(uow, **named, tax_number=number)
        return row.tax_number or {}


async def ask(shop: Shop) -> int:
    return await tax_numbers.check_due(clock=FixedClock(shop.now))


async def kept(shop: Shop) -> dict[str, Any]:
    async with shop.work() as uow:
        return (await queries.profile(uow)).tax_number or {}


async def taxed(shop: Shop) -> tuple[str, dict[str, Any]]:
    """Of an invoice of now: the category of its line, and the number in its evidence."""
    (row,) = await shop.lines(await shop.invoice(line("100")))
    assert row.tax is not None
    return row.tax["category"], row.tax["number"] or {}


async def test_a_number_that_exists_moves_the_tax_and_its_proof_is_on_the_line(
    shop: Shop, register: Vies
) -> None:
    assert (await says(shop, "40 303 265 045"))["state"] == "unchecked"

    assert (await ask(shop), await ask(shop)) == (1, 0)

    assert register.asked == [
        {
            "countryCode": "FR", "vatNumber": "40303265045",
            "requesterMemberStateCode": "DE", "requesterNumber": "123456788",
        }
    ]  # fmt: skip
    category, proof = await taxed(shop)
    assert (category, proof["state"], proof["source"], proof["reference"], proof["checked_at"]) == (
        "AE", "valid", "VIES", "WAPIAAAAZ0000001", shop.now.isoformat(),
    )  # fmt: skip
    assert (await says(shop, REAL)) == proof  # said again, it is not asked again
    assert await ask(shop) == 0
    assert (await says(shop, None))["state"] == "valid"
    assert await says(shop, None, country="AT") == {}


async def test_a_number_that_does_not_exist_changes_nothing_and_why_is_kept(
    shop: Shop, register: Vies
) -> None:
    await says(shop, UNKNOWN)
    assert (await taxed(shop))[0] == "S"  # nobody was asked yet
    await ask(shop)

    category, proof = await taxed(shop)

    assert (category, proof["state"], proof["reference"]) == ("S", "invalid", "")
    assert await ask(shop) == 0
    assert (await says(shop, REAL))["state"] == "unchecked"
    assert (await ask(shop), (await kept(shop))["state"]) == (1, "valid")
    assert await says(shop, "") == {}


@pytest.mark.parametrize(
    "fault", ["MS_UNAVAILABLE", "MS_MAX_CONCURRENT_REQ", "TIMEOUT", "hang up", "nonsense"]
)
async def test_a_register_that_does_not_answer_is_asked_again_ever_later(
    shop: Shop, register: Vies, fault: str
) -> None:
    await says(shop, REAL)
    register.fault = fault
    waits: list[int] = []
    for _ in range(9):
        assert await ask(shop) == 1
        async with shop.work() as uow:
            row = await queries.profile(uow)
        assert row.tax_number is not None
        assert row.number_check_at is not None
        assert (row.tax_number["state"], row.tax_number["checked_at"]) == ("unavailable", MARCH.isoformat())
        waits.append((row.number_check_at - shop.now) // timedelta(minutes=1))
        shop.now = row.number_check_at - timedelta(seconds=1)
        assert await ask(shop) == 0
        shop.now = row.number_check_at
    assert waits == [5, 10, 20, 40, 80, 160, 320, 360, 360]

    register.fault = ""
    assert (await ask(shop), (await kept(shop))["state"], await ask(shop)) == (1, "valid", 0)


async def test_while_the_register_is_away_the_entity_says_who_is_believed(shop: Shop, register: Vies) -> None:
    await says(shop, REAL)
    register.fault = "SERVICE_UNAVAILABLE"
    await ask(shop)
    assert (await taxed(shop))[0] == "S"

    async with crossing(Reason.STAFF, actor=system()) as uow:
        fields = replace(GERMAN, reverse_charge_in=("FR",), trusts_unanswered=True)
        await entities.change_entity(uow, shop.entity.id, fields, version=1)

    category, proof = await taxed(shop)
    assert (category, proof["state"]) == ("AE", "unavailable")


async def test_a_valid_number_is_asked_about_again_before_its_proof_is_old(
    shop: Shop, register: Vies
) -> None:
    await says(shop, REAL)
    await ask(shop)
    first = await kept(shop)
    shop.now = MARCH + tax_numbers.PROVEN_FOR - timedelta(seconds=1)
    assert await ask(shop) == 0

    shop.now = MARCH + tax_numbers.PROVEN_FOR
    register.fault = "MS_UNAVAILABLE"
    assert (await ask(shop), await kept(shop)) == (1, first)  # it stays valid while nobody answers
    register.fault = ""
    shop.now += tax_numbers.RETRY
    assert await ask(shop) == 1
    again = await kept(shop)
    assert (again["state"], again["checked_at"]) == ("valid", shop.now.isoformat())
    assert again["reference"] > first["reference"]

    register.numbers.remove(REAL)
    shop.now += tax_numbers.PROVEN_FOR
    assert (await ask(shop), (await kept(shop))["state"]) == (1, "invalid")
    assert (await taxed(shop))[0] == "S"
    shop.now += 2 * tax_numbers.PROVEN_FOR
    assert await ask(shop) == 0


async def test_a_number_of_northern_ireland_is_asked_by_its_own_letters(shop: Shop, register: Vies) -> None:
    register.numbers.add("XI980780684")
    assert (await says(shop, "XI 980 7806 84", country="GB"))["number"] == "XI980780684"
    assert (await ask(shop), (await kept(shop))["state"]) == (1, "valid")
    assert (register.asked[0]["countryCode"], register.asked[0]["vatNumber"]) == ("XI", "980780684")
    assert (await says(shop, "GB 980 7806 84", country="GB"))["state"] == "unchecked"
    assert await ask(shop) == 0  # nobody answers for Great Britain


async def test_a_seller_whose_own_number_is_wrong_still_gets_an_answer(world: World, register: Vies) -> None:
    register.numbers.remove("DE123456788")
    shop = await open_shop(world, reverse_charge_in=("FR",))
    await says(shop, REAL)
    await ask(shop)

    found = await kept(shop)

    assert (len(register.asked), found["state"], found["reference"]) == (2, "valid", "")


async def test_an_answer_about_a_number_that_was_replaced_meanwhile_is_nobodys(
    shop: Shop, register: Vies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await says(shop, REAL)
    answer = register.answer

    def late(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asyncio.run_coroutine_threadsafe(says(shop, UNKNOWN), loop).result()
        return answer(body)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(register, "answer", late)
    await ask(shop)
    monkeypatch.undo()

    assert (await kept(shop))["number"] == UNKNOWN
    assert (await kept(shop))["state"] == "unchecked"


async def test_staff_overrides_what_the_register_says_with_a_reason_that_is_written_down(
    shop: Shop, register: Vies
) -> None:
    await says(shop, UNKNOWN)
    await ask(shop)
    said: dict[str, Any] = {"valid": True, "source": "Tax office", "reference": "A-1"}
    async with shop.work() as uow:
        with pytest.raises(Invalid):
            await tax_numbers.set_tax_number(uow, UNKNOWN, **said, reason=" ")
    async with shop.work() as uow:
        await tax_numbers.set_tax_number(uow, UNKNOWN, **said, reason="Registered last week")

    category, proof = await taxed(shop)

    assert (category, proof["source"], proof["reason"]) == ("AE", "Tax office", "Registered last week")
    assert await ask(shop) == 0
    async with shop.work() as uow:
        told = await uow.execute(
            "select payload->>'state' as state, payload->>'reason' as reason from event"
            " where type = 'billing_profile.tax_number_checked' order by id"
        )
        assert [tuple(one) for one in told] == [("invalid", ""), ("valid", "Registered last week")]
        await tax_numbers.check_again(uow)
    assert (await ask(shop), (await kept(shop))["state"]) == (1, "invalid")
    owner = shop.world.actor(shop.customer, Role.OWNER)
    async with unit_of_work(owner) as uow:
        with pytest.raises(Forbidden):
            await tax_numbers.set_tax_number(uow, UNKNOWN, **said, reason="Believe me")
        with pytest.raises(Forbidden):
            await tax_numbers.check_again(uow)


async def test_nobody_is_asked_where_there_is_nobody_to_ask(
    shop: Shop, register: Vies, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await says(shop, "91-1144442", country="US"))["state"] == "unchecked"
    assert await ask(shop) == 0
    await says(shop, REAL)
    monkeypatch.setenv("MATRIX_VIES_URL", "")
    settings.cache_clear()
    assert (await ask(shop), register.asked) == (0, [])


async def test_the_migration_goes_down_and_up_with_what_is_known_of_numbers(
    shop: Shop, database: Database, owner_url: str
) -> None:
    await says(shop, REAL)
    await ask(shop)
    proof = await kept(shop)
    checked = shop.customer.id
    await shop.new_customer()
    await says(shop, UNKNOWN)
    await database.close()

    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    read = sa.text("select tax_number from billing_profile order by organization_id = :checked desc")
    with engine.begin() as connection:
        command.downgrade(migrations.config(connection), "0008")
        before = list(connection.execute(read, {"checked": checked}).scalars())
    migrations.migrate(owner_url)
    with engine.connect() as connection:
        after = list(connection.execute(read, {"checked": checked}).scalars())

    assert (before[0]["valid"], before[1]) == (True, None)  # nothing was known of the other by anybody
    assert after == [proof, None]
