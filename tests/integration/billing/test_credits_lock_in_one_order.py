"""What gives a credit locks the invoice that it credits, and those that the credit pays, in the order of their ids: two
at once, each crediting what the other's credit pays, come one after the other."""

from __future__ import annotations

import asyncio

import pytest

from models.billing import Invoice
from models.money import Money
from models.refunds import RefundTo
from services.billing import notes, policies
from services.billing.notes import Asked
from services.core.permissions import Capability
from services.disputes import contests
from services.payments import transfers
from services.refunds import refunds
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.core.job_runs import until
from tests.world import World

ALONE = {"*": 10**9}


async def _paid(shop: Shop, invoice: Invoice) -> str:
    async with shop.work() as uow:
        money = Money(invoice.due_minor, "EUR")
        return (await transfers.record(uow, money=money, key="paid", invoice_id=invoice.id)).id


async def _credit(shop: Shop, how: str, invoice: Invoice, payment_id: str, contest_id: str) -> None:
    """All of it, of which nothing is due: it pays what else is open."""
    async with shop.work() as uow:
        match how:
            case "note":
                await notes.issue(uow, invoice.id, key="note", reason="Agreed", asked=Asked())
            case "refund":
                wanted = refunds.Wanted(payment_id, "back", "Agreed", to=RefundTo.CREDIT)
                await refunds.start(uow, wanted, above=ALONE)
            case _:
                await contests.credit(uow, contest_id, answer="Agreed")


@pytest.mark.parametrize("how", ["note", "refund", "contest"])
async def test_a_credit_waits_for_a_lower_invoice_before_it_holds_its_own(world: World, how: str) -> None:
    shop = await open_shop(world)
    first, last = sorted([await shop.invoice(line("50")) for _ in range(2)], key=lambda one: one.id)
    payment_id = await _paid(shop, last)
    async with shop.work() as uow:
        contest = await contests.open_contest(uow, contests.Wanted(last.id, "Not ours"))

    async def waits() -> bool:
        async with shop.work() as uow:
            found = await uow.execute(
                "select exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid"
                " where not l.granted and a.datname = current_database())"
            )
            return bool(found.scalar_one())

    async with shop.work() as holder:
        await policies.invoice_for(holder, first.id, Capability.STAFF_INVOICES_WRITE)
        crediting = asyncio.create_task(_credit(shop, how, last, payment_id, contest.id))
        await until(waits)
        await holder.execute("select from invoice where id = :id for update nowait", id=last.id)
    await crediting
    assert (await shop.read(first)).state == "paid"
    assert (await shop.read(last)).credited_minor == last.total_minor
    await assert_invariants(but=MADE_BY_HAND)
