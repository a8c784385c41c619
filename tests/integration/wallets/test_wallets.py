"""Wallets on their database: what comes in, pays, comes back and ends, always adding up, in the books as well."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from models.clock import TestClock
from models.money import Money
from models.types import Role
from models.wallets import LotSource
from services.billing import customer_credits, invoices
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Forbidden, Invalid, NotFound, StaleVersion
from services.core.work import UnitOfWork, unit_of_work
from services.wallets import debits, expiry, refills, wallets
from services.wallets.lots import LotKeyTaken
from services.wallets.rules import TopUpRule
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import MARCH, Shop, line, open_shop
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


async def grant(shop: Shop, minor: int, key: str = "welcome", **named: Any) -> str:
    async with shop.work() as uow:
        return (await wallets.grant(uow, money=eur(minor), key=key, **named)).id


async def top_up(shop: Shop, minor: int, key: str = "pay-1", **named: Any) -> str:
    async with shop.work() as uow:
        return (await wallets.top_up(uow, money=eur(minor), payment_key=key, **named)).id


async def wallet(shop: Shop) -> dict[str, Any]:
    async with shop.work() as uow:
        found = await uow.execute("select * from wallet where currency = 'EUR'")
        return dict(found.mappings().one())


async def lots(shop: Shop) -> dict[str, tuple[int, int, int]]:
    """By key: used, expired and left."""
    async with shop.work() as uow:
        found = await uow.execute("select key, used_minor, expired_minor, left_minor from wallet_lot")
        return {row.key: (row.used_minor, row.expired_minor, row.left_minor) for row in found}


async def test_an_invoice_is_paid_by_credit_notes_then_lots_in_their_order_and_each_cent_is_traced(
    shop: Shop,
) -> None:
    await shop.credit(await shop.invoice(line("1.00")))  # paid by nothing, so the note only closes it
    await top_up(shop, 50_00)
    await grant(shop, 30_00, "spring", expires_at=MARCH + timedelta(days=30))
    await grant(shop, 20_00, "older", expires_at=MARCH + timedelta(days=9))

    made = await shop.invoice(line("50.00"))  # 59.50 with tax

    assert (made.state, made.paid_minor, made.due_minor) == ("paid", 59_50, 0)
    assert await lots(shop) == {
        "grant:older": (20_00, 0, 0), "grant:spring": (30_00, 0, 0), "payment:pay-1": (9_50, 0, 40_50),
    }  # fmt: skip
    async with shop.work() as uow:
        traced = await uow.execute(
            "select l.key, p.minor from wallet_debit d join wallet_debit_part p on p.debit_id = d.id"
            " join wallet_lot l on l.id = p.lot_id where d.cause_id = :id order by p.minor",
            id=made.id,
        )
        assert traced.all() == [("payment:pay-1", 9_50), ("grant:older", 20_00), ("grant:spring", 30_00)]
    assert await shop.balances() == {
        "cash": 50_00, "promotions": 50_00, "prepaid_wallet": 40_50, "revenue": 50_00, "tax_owed": 9_50,
    }  # fmt: skip
    await assert_invariants(but=MADE_BY_HAND)


async def test_what_is_short_stays_due_and_a_later_top_up_pays_it_when_asked(shop: Shop) -> None:
    await top_up(shop, 10_00)
    made = await shop.invoice(line("50.00"))
    assert (made.state, made.due_minor) == ("finalized", 49_50)
    await top_up(shop, 60_00, "pay-2")

    async with shop.work() as uow:
        paid = await customer_credits.pay_by_wallet(uow, made.id)

    assert (paid.state, paid.due_minor) == ("paid", 0)
    assert (await wallet(shop))["left_minor"] == 10_50
    await assert_invariants(but=MADE_BY_HAND)


async def test_a_voided_invoice_gives_its_lots_back_and_what_has_ended_meanwhile_without_an_end(
    shop: Shop,
) -> None:
    ends = MARCH + timedelta(days=5)
    await grant(shop, 10_00, "short", expires_at=ends, priority=7)
    made = await shop.invoice(line("50.00"))
    shop.now += timedelta(days=6)

    async with shop.work() as uow:
        await invoices.void(uow, made.id, reason="Wrong")

    async with shop.work() as uow:
        found = await uow.execute(
            "select source, priority, left_minor, expires_at from wallet_lot where left_minor > 0"
        )
        assert found.all() == [("refund", 7, 10_00, None)]
    assert (await wallet(shop))["outbound_minor"] == 10_00  # what was taken stays taken: it came in again
    assert await shop.balances() == {"promotions": 10_00, "prepaid_wallet": 10_00}
    await assert_invariants(but=MADE_BY_HAND)


async def test_who_asks_what_there_is_to_pay_with_holds_the_wallet_until_it_is_paid(shop: Shop) -> None:
    await top_up(shop, 50_00)
    free = "select id from wallet for update skip locked"
    async with shop.work() as paying, shop.work() as meanwhile:
        assert await debits.available(paying, "EUR") == eur(50_00)
        assert (await meanwhile.execute(free)).all() == []
    async with shop.work() as later:
        assert len((await later.execute(free)).all()) == 1


async def test_the_same_payment_comes_in_once(shop: Shop) -> None:
    first = await top_up(shop, 10_00)
    assert await top_up(shop, 10_00) == first
    with pytest.raises(LotKeyTaken):
        await top_up(shop, 11_00)
    assert (await wallet(shop))["inbound_minor"] == 10_00


async def test_what_nobody_used_in_time_is_breakage_at_the_instant_it_ended(shop: Shop) -> None:
    """However the time passes: in one step or in many, also for an organisation on a clock that stands."""
    ends = MARCH + timedelta(days=3, hours=5)
    async with crossing(Reason.DEMO, on=shop.world.database) as uow:
        uow.add(TestClock(id="clk_1", name="Try", now_at=MARCH, created_at=MARCH))
        await uow.session.flush()
        await uow.execute(
            "update organization set test_clock_id = 'clk_1' where id = :id", id=shop.customer.id
        )
    await grant(shop, 8_00, expires_at=ends)
    await top_up(shop, 5_00)
    assert await expiry.expire_all(shop.world.database, clock=FixedClock(ends + timedelta(days=300))) == 0

    async with crossing(Reason.DEMO, on=shop.world.database) as uow:
        await uow.execute("update test_clock set now_at = :at", at=ends + timedelta(days=9))
    assert await expiry.expire_all(shop.world.database, clock=FixedClock(MARCH)) == 1
    assert await expiry.expire_all(shop.world.database, clock=FixedClock(MARCH)) == 0

    assert await lots(shop) == {"grant:welcome": (0, 8_00, 0), "payment:pay-1": (0, 0, 5_00)}
    async with shop.work() as uow:
        booked = await uow.execute("select happened_at from ledger_journal where kind = 'breakage'")
        assert booked.scalars().all() == [ends]
    assert (await shop.balances())["breakage"] == 8_00
    await assert_invariants(but=MADE_BY_HAND)


async def test_a_rule_asks_for_a_top_up_below_its_threshold_once_and_within_the_month(shop: Shop) -> None:
    async def due() -> list[tuple[str, int]]:
        async with shop.work() as uow:
            return [
                tuple(row) for row in await uow.execute("select state, minor from wallet_top_up order by id")
            ]  # type: ignore[misc]

    await top_up(shop, 100_00)
    async with shop.work() as uow:
        version = await refills.set_rule(uow, "EUR", TopUpRule(50_00, 40_00, 80_00))
    with pytest.raises(StaleVersion):
        async with shop.work() as uow:
            await refills.set_rule(uow, "EUR", None, version=version - 1)
    assert await due() == []

    await shop.invoice(line("50.00"))
    await shop.invoice(line("1.00"))
    assert await due() == [("due", 40_00)]
    async with shop.work() as uow:
        asked = (await uow.execute("select id from wallet_top_up")).scalar_one()
        await wallets.top_up(uow, money=eur(40_00), payment_key="pay-2", top_up_id=asked)
    await shop.invoice(line("50.00"))
    assert await due() == [("paid", 40_00), ("due", 40_00)]
    with pytest.raises(NotFound):
        await top_up(shop, 40_00, "pay-3", top_up_id=asked)  # it has been answered

    async with shop.work() as uow:
        asked = (await uow.execute("select id from wallet_top_up where state = 'due'")).scalar_one()
        await wallets.top_up(uow, money=eur(1_00), payment_key="pay-4", top_up_id=asked)
    await shop.invoice(line("1.00"))
    assert len(await due()) == 2  # the ceiling of the month is reached
    shop.now += timedelta(days=31)
    await shop.invoice(line("1.00"))
    assert len(await due()) == 3


REFUSED: list[tuple[str, Callable[[UnitOfWork], Awaitable[object]], str]] = [
    ("negative", lambda uow: wallets.grant(uow, money=eur(-1), key="k"), "amount"),
    ("nothing", lambda uow: wallets.top_up(uow, money=eur(0), payment_key="k"), "amount"),
    ("too much", lambda uow: wallets.grant(uow, money=eur(10**12), key="k"), "amount"),
    ("past", lambda uow: wallets.grant(uow, money=eur(1), key="k", expires_at=MARCH), "expires_at"),
    ("naive", lambda uow: wallets.grant(uow, money=eur(1), key="k", expires_at=datetime(2027, 1, 1)), "expires_at"),  # noqa: DTZ001
    ("priority", lambda uow: wallets.grant(uow, money=eur(1), key="k", priority=101), "priority"),
    ("source", lambda uow: wallets.grant(uow, money=eur(1), key="k", source=LotSource.PURCHASE), "source"),
    ("no key", lambda uow: wallets.grant(uow, money=eur(1), key=" "), "key"),
    ("ended currency", lambda uow: wallets.grant(uow, money=Money(1, "HRK"), key="k"), "currency"),
    ("rule", lambda uow: refills.set_rule(uow, "EUR", TopUpRule(1, 5, 4)), "ceiling"),
    ("rule", lambda uow: refills.set_rule(uow, "XXZ", TopUpRule(1, 5, 9)), "currency"),
]  # fmt: skip


async def test_bad_input_is_refused_and_nothing_is_half_done(shop: Shop) -> None:
    for what, act, field in REFUSED:
        with pytest.raises(Invalid) as refused:
            async with shop.work() as uow:
                await act(uow)
        assert refused.value.field == field, what
    async with shop.work() as uow:
        assert (await uow.execute("select count(*) from wallet")).scalar_one() == 0

    member = replace(shop.world.actor(shop.customer, Role.OWNER))
    with pytest.raises(Forbidden):
        async with unit_of_work(member) as uow:
            await wallets.grant(uow, money=eur(1), key="k")


async def test_what_is_in_a_wallet_cannot_be_made_up_even_in_the_database(
    shop: Shop, database: Database, owner_url: str
) -> None:
    await top_up(shop, 10_00)
    attempts = [
        "update wallet set left_minor = left_minor + 1",
        "update wallet set accrued = 10.01",
        "update wallet_lot set left_minor = left_minor + 1",
        "update wallet_lot set used_minor = used_minor - 1, left_minor = left_minor + 1",
        "insert into wallet_debit (id, organization_id, wallet_id, kind, cause_id, minor, journal_id, created_at)"
        " select 'd', organization_id, id, 'invoice', 'c', 5, 'j', now() from wallet",
        "insert into wallet_hold select id, 'p', organization_id, 10.01, 1, now() from wallet",
    ]
    async with shop.work() as uow:  # the application itself
        with pytest.raises(Exception, match="permission denied"):
            await uow.execute(attempts[0])
    async with await psycopg.AsyncConnection.connect(owner_url.replace("+psycopg", "")) as connection:
        for statement in attempts:
            with pytest.raises((errors.CheckViolation, errors.RestrictViolation)):
                await connection.execute(f"{statement}; set constraints all immediate".encode())
            await connection.rollback()


@dataclass
class History:
    """Acts drawn by a seed; a failure says which."""

    shop: Shop
    draw: random.Random

    async def act(self, number: int) -> None:
        kind = self.draw.choice(["grant", "grant", "top up", "invoice", "invoice", "void", "wait"])
        if kind == "grant":
            days = self.draw.choice([None, 2, 5, 11])
            await grant(
                self.shop, self.draw.randint(1, 90_00), f"g{number}", priority=self.draw.randint(0, 3),
                expires_at=None if days is None else self.shop.now + timedelta(days=days),
            )  # fmt: skip
        elif kind == "top up":
            await top_up(self.shop, self.draw.randint(1, 90_00), f"p{number}")
        elif kind == "invoice":
            await self.shop.invoice(line(f"{Decimal(self.draw.randint(1, 120_00)) / 100:f}"))
        elif kind == "void":
            async with self.shop.work() as uow:
                found = await uow.execute("select id from invoice where state = 'finalized' limit 1")
                if (open_one := found.scalar_one_or_none()) is not None:
                    await invoices.void(uow, open_one, reason="No")
        else:
            self.shop.now += timedelta(days=self.draw.randint(0, 4))
            async with self.shop.work() as uow:
                await expiry.expire(uow)


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_history_adds_up_at_every_moment(shop: Shop, seed: int) -> None:
    history = History(shop, random.Random(seed))
    for number in range(25):
        await history.act(number)
        async with shop.work() as uow:
            found = await uow.execute(
                "select inbound_minor - outbound_minor - left_minor - breakage_minor from wallet"
            )
            assert set(found.scalars()) <= {0}
    await assert_invariants(but=MADE_BY_HAND)
