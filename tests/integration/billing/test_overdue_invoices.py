"""An invoice is overdue from the day after its due date on, by the clock of its organisation, wherever one looks."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from models.billing import Invoice
from models.types import OrganizationKind, Role
from services.billing import due_dates, invoices, queries
from services.billing.queries import InvoiceRow
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.listing import Listing
from services.core.listing_grammar import read
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import contests
from services.disputes.contests import Wanted
from services.identity import clocks
from state.portal.invoices import InvoicesState, InvoiceState
from state.portal.overview import OverviewState
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.billing.test_usage_by_price_list import utc
from tests.integration.state.visitor import sign_in
from tests.world import World


async def days(shop: Shop, invoice: Invoice, at: datetime) -> tuple[int | None, list[int | None], list[str]]:
    """What one invoice, the customer's list and staff's list of what is overdue say at a time."""
    async with unit_of_work(shop.world.actor(shop.customer), clock=FixedClock(at)) as uow:
        one = await due_dates.days_overdue(uow, await queries.invoice(uow, invoice.id))
        own = await listing_sql.select(uow, queries.INVOICES, ("overdue", "true"))
        later = await listing_sql.select(uow, queries.INVOICES, ("overdue", "false"))
    staff = shop.world.actor(await shop.world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    async with crossing(Reason.STAFF, actor=staff, clock=FixedClock(at)) as uow:
        all_of_them = await listing_sql.select(uow, queries.STAFF_INVOICES, ("days_overdue[gte]", "1"))
        await filters_say_what_rows_show(uow, queries.STAFF_INVOICES)
    async with unit_of_work(shop.world.actor(shop.customer), clock=FixedClock(at)) as uow:
        await filters_say_what_rows_show(uow, queries.INVOICES)
    assert not {row.id for row in own} & {row.id for row in later}
    assert all(not row.overdue and row.days_overdue is None for row in later)
    return one, [row.days_overdue for row in own], [row.id for row in all_of_them]


async def filters_say_what_rows_show(uow: UnitOfWork, listing: Listing[InvoiceRow]) -> None:
    """What an index finds is what each row says of itself."""
    shown = {row.id: row.days_overdue for row in await listing_sql.select(uow, listing)}

    async def found(name: str, value: object) -> set[str]:
        return {row.id for row in await listing_sql.select(uow, listing, (name, str(value).lower()))}

    late = {one: days for one, days in shown.items() if days is not None}
    for bound in {
        -(10**17),
        -1,
        0,
        1,
        2,
        10**17,
        *(days + step for days in late.values() for step in (-1, 0, 1)),
    }:
        assert await found("days_overdue[gte]", bound) == {one for one, days in late.items() if days >= bound}
        assert await found("days_overdue[lte]", bound) == {one for one, days in late.items() if days <= bound}
    for name, is_late in (("overdue", True), ("days_overdue[is_null]", False)):
        assert await found(name, is_late) == set(late)
        assert await found(name, not is_late) == set(shown) - set(late)


@pytest.mark.parametrize("listing", [queries.INVOICES, queries.STAFF_INVOICES], ids=lambda one: one.name)
@pytest.mark.parametrize(
    "asked",
    [
        ("overdue", "true"),
        ("days_overdue[gte]", "30"),
        ("days_overdue[lte]", "5"),
        ("days_overdue[is_null]", "false"),
    ],
)
async def test_what_is_overdue_is_found_by_the_index_of_due_dates(
    world: World, listing: Listing[InvoiceRow], asked: tuple[str, str]
) -> None:
    actor = world.actor(await world.organization())
    async with crossing(Reason.STAFF, actor=actor) as uow:
        for ways in ("seqscan", "indexscan"):  # what an empty table would suggest
            await uow.execute(f"set local enable_{ways} = off")
        plan = json.dumps(await listing_sql.plan(uow, read(listing, [asked]), limit=50))
    assert re.search(r"due_date <= '[0-9-]{10}'::date", plan)  # a day that is known before any row is read
    if listing is queries.STAFF_INVOICES:  # one's own may as well be found by whose they are
        assert '"Index Name": "ix_invoice_unpaid"' in plan


@pytest.mark.parametrize(
    ("zone", "last", "first", "tenth"),
    [
        # Due 14 days after the day on which it was issued there; the clocks of Berlin go forward on 29 March.
        ("Europe/Berlin", utc(2026, 3, 24, 22, 59, 59), utc(2026, 3, 24, 23), utc(2026, 4, 2, 22)),
        ("Asia/Kathmandu", utc(2026, 3, 24, 18, 14, 59), utc(2026, 3, 24, 18, 15), utc(2026, 4, 2, 18, 15)),
        ("Pacific/Honolulu", utc(2026, 3, 24, 9, 59, 59), utc(2026, 3, 24, 10), utc(2026, 4, 2, 10)),
    ],
)
async def test_it_is_overdue_once_the_next_day_begins_where_it_was_issued(
    world: World, zone: str, last: datetime, first: datetime, tenth: datetime
) -> None:
    shop = await open_shop(world, timezone=zone)
    invoice = await shop.invoice(line("10"))
    paid = await shop.invoice(line("0"))
    assert invoice.due_date is not None
    assert due_dates.passes_at(invoice.due_date, zone) == first
    assert await days(shop, invoice, last) == (None, [], [])
    assert await days(shop, invoice, first) == (1, [1], [invoice.id])
    assert await days(shop, invoice, tenth) == (10, [10], [invoice.id])
    assert (await days(shop, paid, tenth))[0] is None


async def test_what_is_contested_given_up_or_void_is_not_overdue(world: World) -> None:
    shop = await open_shop(world)
    contested, given_up, void, left = [await shop.invoice(line("10")) for _ in range(4)]
    shop.now = late = utc(2026, 5, 1)
    async with shop.work() as uow:
        await contests.open_contest(uow, Wanted(contested.id, "Not ordered"))
        await invoices.mark_uncollectible(uow, given_up.id)
        await invoices.void(uow, void.id, reason="Wrong")
    for one in (contested, given_up, void):
        assert await days(shop, one, late) == (None, [38], [left.id])


async def test_lists_pages_and_the_overview_go_by_the_clock_of_the_organisation(world: World) -> None:
    shop = await open_shop(world, is_test=True)
    staff = world.actor(await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=staff, clock=FixedClock(utc(2026, 1, 1))) as uow:
        clock = await clocks.create_test_clock(uow, shop.customer.id, name="Trial", shows=utc(2026, 3, 10, 9))
    first, second = [await shop.invoice(line("10")) for _ in range(2)]
    owner, _ = await sign_in(world, shop.customer)
    owner.at = "/portal/invoices"
    seen, _ = await owner.call(InvoicesState, "load")
    assert [row["days_overdue"] for row in seen.rows] == [0, 0]  # the wall is far beyond its due date
    assert (await days(shop, first, utc(2026, 11, 1)))[2] == []

    async with crossing(Reason.STAFF, actor=staff, clock=FixedClock(utc(2026, 1, 1))) as uow:
        await clocks.advance_test_clock(uow, clock.id, to=utc(2026, 3, 27))
    owner.at = "/portal/invoices?overdue=true"
    seen, _ = await owner.call(InvoicesState, "load")
    assert [(row["state"], row["days_overdue"]) for row in seen.rows] == [("finalized", 3)] * 2
    assert sorted((await days(shop, first, utc(2026, 11, 1)))[2]) == sorted((first.id, second.id))
    owner.at = f"/portal/invoices/{first.id}"
    seen, _ = await owner.call(InvoiceState, "load")
    assert seen.invoice["days_overdue"] == 3
    owner.at = "/portal"
    seen, _ = await owner.call(OverviewState, "load")
    assert (seen.overdue["days"], seen.overdue["more"], seen.overdue["restricts"]) == (3, 1, False)
