"""The price book: who may change it, what it refuses, and that history stays as it was."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.catalog import Price
from models.gateway import AiModel, Upstream
from models.identity import Organization
from models.types import OrganizationKind, Role
from services.catalog import queries, service
from services.catalog.queries import PriceState
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid, MatrixError, NotFound
from services.core.ids import new_id
from services.core.listing_grammar import read
from services.core.work import unit_of_work
from tests.world import LONG_AGO, World

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def operator(world: World) -> Organization:
    """The operator's organisation, on an installation that knows the model `small`."""
    upstream = Upstream(id=new_id("ups"), name="built in", kind="builtin", created_at=LONG_AGO)
    async with crossing(Reason.DEMO) as uow:
        uow.add(upstream)
        await uow.session.flush()
        uow.add(
            AiModel(
                id=new_id("model"),
                slug="small",
                name="Small",
                upstream_id=upstream.id,
                upstream_model="small",
                context_tokens=2048,
                created_at=LONG_AGO,
            )
        )
    return await world.organization(OrganizationKind.OPERATOR)


async def set_price(
    world: World, operator: Organization, *, now: datetime = NOW, role: Role = Role.OPERATOR, **given: Any
) -> Price:
    terms: dict[str, Any] = {
        "model": "small",
        "meter": "prompt_tokens",
        "currency": "USD",
        "unit_amount": Decimal("0.15"),
    }
    async with crossing(Reason.STAFF, actor=world.actor(operator, role), clock=FixedClock(now)) as uow:
        return await service.set_price(uow, **{**terms, **given})


async def book(world: World, operator: Organization, now: datetime = NOW) -> list[tuple[Any, ...]]:
    async with unit_of_work(world.actor(operator, Role.OPERATOR), clock=FixedClock(now)) as uow:
        return [
            (row.unit_amount, row.valid_from, row.valid_to, row.state)
            for row in await listing_sql.select(uow, queries.PRICES, limit=100)
        ]


async def test_a_new_price_ends_the_one_before_it(world: World, operator: Organization) -> None:
    await set_price(world, operator, unit_amount=Decimal("0.15"))
    await set_price(world, operator, unit_amount=Decimal("0.20"), valid_from=NOW + DAY)

    assert await book(world, operator) == [
        (Decimal("0.20"), NOW + DAY, None, PriceState.PLANNED),
        (Decimal("0.15"), NOW, NOW + DAY, PriceState.CURRENT),
    ]
    assert [row[3] for row in await book(world, operator, NOW + DAY)] == [
        PriceState.CURRENT,
        PriceState.ENDED,
    ]


async def test_prices_at_a_moment_are_those_valid_then(world: World, operator: Organization) -> None:
    await set_price(world, operator, unit_amount=Decimal("0.15"))
    await set_price(world, operator, unit_amount=Decimal("0.20"), valid_from=NOW + DAY)
    await set_price(world, operator, unit_amount=Decimal(9), currency="EUR")
    client = await world.organization()

    async def amounts(at: datetime) -> list[Decimal]:
        async with unit_of_work(world.actor(client, Role.VIEWER)) as uow:
            return [row.unit_amount for row in await queries.current(uow, at=at, currency="USD")]

    assert await amounts(NOW - timedelta(microseconds=1)) == []
    assert await amounts(NOW) == [Decimal("0.15")]
    assert await amounts(NOW + DAY - timedelta(microseconds=1)) == [Decimal("0.15")]
    assert await amounts(NOW + DAY) == [Decimal("0.20")]


async def test_pages_of_the_book_hold_each_price_once_in_the_order_of_a_price_list(
    world: World, operator: Organization
) -> None:
    """Prices change between the pages: none is shown twice, and none that was there is left out."""
    for meter in ("requests", "completion_tokens", "prompt_tokens"):
        for currency in ("USD", "EUR"):
            for day in range(3):
                await set_price(world, operator, meter=meter, currency=currency, now=NOW + day * DAY)
    now = NOW + 2 * DAY
    there = await listed(world, operator, now=now)
    seen: list[queries.PriceRow] = []
    at: listing_sql.Position | None = None
    while not seen or at is not None:
        async with unit_of_work(world.actor(operator, Role.OPERATOR), clock=FixedClock(now)) as uow:
            page = await listing_sql.page(uow, read(queries.PRICES, []), limit=4, at=at)
        seen, at = [*seen, *page.rows], page.next
        await set_price(world, operator, currency="USD", now=now + len(seen) * DAY)

    assert [row.id for row in seen if row.id in {row.id for row in there}] == [row.id for row in there]
    assert len({row.id for row in seen}) == len(seen)
    places = [(row.currency, row.meter, row.valid_from) for row in there]
    assert places == [
        (currency, meter, NOW + day * DAY)
        for currency in ("EUR", "USD")
        for meter in ("prompt_tokens", "completion_tokens", "requests")
        for day in (2, 1, 0)
    ]


async def test_the_book_is_narrowed_by_state_before_it_is_cut(world: World, operator: Organization) -> None:
    for day in range(5):
        await set_price(world, operator, now=NOW + day * DAY)
    now = NOW + 5 * DAY
    await set_price(world, operator, now=now, valid_from=now + DAY)

    async def days(*states: PriceState, limit: int = 2) -> list[int]:
        asked = [("state", state.value) for state in states]
        rows = await listed(world, operator, *asked, now=now, limit=limit)
        return [(row.valid_from - NOW).days for row in rows]

    assert await days(PriceState.CURRENT, PriceState.PLANNED) == [6, 4]
    assert await days(PriceState.ENDED) == [3, 2]
    assert await days(limit=9) == [6, 4, 3, 2, 1, 0]


async def listed(
    world: World, operator: Organization, *asked: tuple[str, str], now: datetime, limit: int = 100
) -> list[queries.PriceRow]:
    async with unit_of_work(world.actor(operator, Role.OPERATOR), clock=FixedClock(now)) as uow:
        return await listing_sql.select(uow, queries.PRICES, *asked, limit=limit)


REFUSED: list[tuple[str, dict[str, Any], type[MatrixError], str]] = [
    ("negative", {"unit_amount": Decimal("-0.01")}, Invalid, "unit_amount"),
    ("not a number", {"unit_amount": Decimal("NaN")}, Invalid, "unit_amount"),
    ("infinite", {"unit_amount": Decimal("Infinity")}, Invalid, "unit_amount"),
    ("a float", {"unit_amount": 0.15}, Invalid, "unit_amount"),
    ("thirteen places", {"unit_amount": Decimal("0.0000000000001")}, Invalid, "unit_amount"),
    ("absurdly high", {"unit_amount": Decimal("1000000.01")}, Invalid, "unit_amount"),
    ("an unknown currency", {"currency": "XYZ"}, Invalid, "currency"),
    ("a currency that ended", {"currency": "HRK"}, Invalid, "currency"),
    ("an unknown meter", {"meter": "failed_requests"}, Invalid, "meter"),
    ("an unknown model", {"model": "large"}, NotFound, ""),
    ("no units", {"per_units": 0}, Invalid, "per_units"),
    ("too many units", {"per_units": 1_000_000_001}, Invalid, "per_units"),
    ("half a unit", {"per_units": 0.5}, Invalid, "per_units"),
    ("the past", {"valid_from": NOW - timedelta(microseconds=1)}, Invalid, "valid_from"),
    ("no timezone", {"valid_from": datetime(2027, 1, 1)}, Invalid, "valid_from"),  # noqa: DTZ001
]


async def test_what_is_no_price_is_refused(world: World, operator: Organization) -> None:
    for _, given, error, field in REFUSED:
        with pytest.raises(error) as refusal:
            await set_price(world, operator, **given)
        assert getattr(refusal.value, "field", "") == field

    assert await book(world, operator) == []
    await set_price(world, operator)  # and the same without a fault is taken


async def test_prices_never_overlap(world: World, operator: Organization) -> None:
    await set_price(world, operator, valid_from=NOW + 2 * DAY)

    for start in (NOW, NOW + DAY, NOW + 2 * DAY):
        with pytest.raises(Conflict) as refusal:
            await set_price(world, operator, valid_from=start)
        assert refusal.value.error_code == "price_overlap"

    assert [row[1:3] for row in await book(world, operator)] == [(NOW + 2 * DAY, None)]


async def test_two_who_change_a_price_at_once_leave_one_line_of_prices(
    world: World, operator: Organization
) -> None:
    starts = [NOW + n * timedelta(minutes=1) for n in range(6)]
    results = await asyncio.gather(
        *(set_price(world, operator, valid_from=start) for start in starts), return_exceptions=True
    )

    assert all(isinstance(result, (Price, Conflict)) for result in results)
    rows = await book(world, operator)
    assert len(rows) == sum(isinstance(result, Price) for result in results)
    for later, earlier in itertools.pairwise(rows):
        assert earlier[2] == later[1]
    assert rows[0][2] is None


async def test_who_may_see_and_change_the_book(world: World, operator: Organization) -> None:
    for number, (role, may_read, may_write) in enumerate(
        [
            (Role.OPERATOR, True, True),
            (Role.SUPPORT, True, False),
            (Role.GOVERNANCE, True, False),
            (Role.OWNER, False, False),
        ]
    ):
        start = NOW + number * DAY
        with nullcontext() if may_read else pytest.raises(Forbidden):
            async with unit_of_work(world.actor(operator, role)) as uow:
                await listing_sql.select(uow, queries.PRICES, limit=100)
        with nullcontext() if may_write else pytest.raises(Forbidden):
            await set_price(world, operator, role=role, valid_from=start)


async def test_the_past_is_told_by_wall_time_and_history_is_made_with_a_clock(
    world: World, operator: Organization
) -> None:
    """Demo data starts a book long ago by setting its unit of work's clock back."""
    await set_price(world, operator, now=NOW - 90 * DAY, unit_amount=Decimal("0.10"))

    assert await book(world, operator) == [(Decimal("0.10"), NOW - 90 * DAY, None, PriceState.CURRENT)]
