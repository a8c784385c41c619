"""How much is asked of the database: statements of what people wait for, and the index behind a first page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from services.billing import queries
from services.billing_runs import set_billing
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.database import libpq_url
from services.core.listing_grammar import read
from services.subscriptions import subscriptions
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

APRIL, MAY = datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, 12, tzinfo=UTC)
PREVIEW_STATEMENTS_MAX = 38  # of a change that makes a document; it takes 36
SET_STATEMENTS_MAX = 28  # of a set, however many are in it; it takes 22


@pytest.fixture
async def sold(world: World) -> Subscribers:
    shop = await open_shop(world)
    shop.now = APRIL
    return Subscribers(shop)


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What is said to the database meanwhile, by whoever says it."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(" ".join(statement.split()))

    engine = world.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_preview_of_a_change_takes_few_statements_and_draws_no_number(
    world: World, sold: Subscribers
) -> None:
    seats = price("seats", "seat", "9", quantity_min=Decimal(1))
    small, large = (
        await sold.plan(price("base", "flat", "10"), seats),
        await sold.plan(
            price("base", "flat", "20"), seats, price("tokens", "metered", "0.01", meter="prompt_tokens")
        ),
    )
    one = await sold.start(small)
    sold.at(2026, 4, 10, 12)

    async def look(seats: int) -> int:
        wanted = Wanted(large.id, "EUR", "month", quantities={"seats": Decimal(seats)})
        async with sold.shop.work() as uow:
            shown = await preview(uow, lambda work: subscriptions.change(work, one.id, wanted))
            return shown.total_minor

    await look(2)  # what is known for good is read once
    with statements(world) as said:
        assert await look(3) > 0
    assert len(said) <= PREVIEW_STATEMENTS_MAX, "\n".join(said)
    assert not any("number_series" in one or "into ledger_" in one for one in said)


async def test_a_set_takes_as_many_statements_for_twelve_as_for_three(
    world: World, sold: Subscribers
) -> None:
    plan = await sold.plan(price("base", "flat", "10"), price("support", "flat", "5"))
    ids = [(await sold.start(plan)).id for _ in range(15)]
    taken: list[int] = []
    for few in (ids[:3], ids[3:]):
        with statements(world) as said:
            made = await set_billing.bill(
                few, None, FixedClock(MAY), lines_per_day_max=5_000, lines_per_item=4
            )
        assert (made.billed, made.left) == (len(few), [])
        taken.append(len(said))
    assert taken[1] <= taken[0] <= SET_STATEMENTS_MAX


# So many final documents of each organisation that none is read but by an index.
MANY = """
insert into invoice (id, organization_id, legal_entity_id, brand_id, key, state, currency, memo, lines, next_position,
  number, series_brand, series_period, sequence, charged_minor, discount_minor, net_minor, tax_minor, total_minor,
  credited_minor, offset_minor, paid_minor, written_off_minor, due_minor, created_at, collect_until, finalized_at)
select 'inv_' || o.id || n, o.id, b.legal_entity_id, b.id, 'many' || n, 'paid', 'EUR', '', 0, 1, o.id || n, o.id, '', n,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, now() + n * interval '1 minute', now(), now()
from brand b, organization o, generate_series(1, 2000) n
"""


async def test_the_first_page_of_an_organisations_invoices_comes_from_an_index(
    world: World, owner_url: str
) -> None:
    shop = await open_shop(world)
    await shop.new_customer(name="Other")
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute(MANY)
        await owner.execute("vacuum analyze invoice, organization, legal_entity")
    plans: list[str] = []
    async with shop.work() as uow:
        execute = uow.execute

        async def explained(statement: Any, *given: Any, **named: Any) -> Any:
            if "from invoice i" in str(statement):
                rows = await execute(f"explain (costs off) {statement}", *given, **named)
                plans.append("\n".join(row[0] for row in rows))
            return await execute(statement, *given, **named)

        uow.execute = explained  # type: ignore[method-assign]
        page = await listing_sql.page(uow, read(queries.INVOICES, []), limit=50)
    assert len(page.rows) == 50
    (plan,) = plans
    assert "using ix_invoice_organization_id on invoice i" in plan, plan
    assert "Sort" not in plan, plan
