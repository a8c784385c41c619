"""However many names senders make up and however much there is to read: answers stay bounded, and whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from models.identity import Organization
from models.types import Aggregation
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import Invalid
from services.core.work import unit_of_work
from services.metering import queries, rules, service
from services.metering.calendar import Granularity
from services.metering.queries import GROUPS_MAX, Total
from services.metering.rules import UsageEventIn
from services.metering.sums import Filter, GroupBy, Measure
from tests.world import World

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
WINDOW: dict[str, Any] = {"start": NOW - timedelta(hours=3), "end": NOW + timedelta(minutes=1)}
NAMES = GROUPS_MAX + 150
BY_PROPERTY = Filter(properties={"region": "eu"})  # which only the raw events can tell


@pytest.fixture
async def client(world: World) -> Organization:
    """An organisation with a meter of each aggregation, and an event of 250 models: model n states n + 1 and a
    little, so that the sums have all their places."""
    organization = await world.organization()
    async with unit_of_work(world.actor(organization), clock=CLOCK) as uow:
        for aggregation in Aggregation:
            await service.create_meter(
                uow,
                slug=aggregation,
                name=aggregation,
                event_type="job",
                aggregation=aggregation,
                value_property=None if aggregation is Aggregation.COUNT else "size",
            )
        await service.ingest(uow, [job(n) for n in range(NAMES)])
    return organization


def job(n: int) -> UsageEventIn:
    properties = {"size": f"{n + 1}.000000000001", "region": "eu"}
    return UsageEventIn("app", str(n), "job", NOW - timedelta(minutes=n % 120), properties, f"model-{n:03}")


async def totals(world: World, organization: Organization, meter: str, **options: Any) -> list[Total]:
    async with unit_of_work(world.actor(organization), clock=CLOCK) as uow:
        return await queries.totals(uow, meter=meter, **WINDOW, **options)


def added(found: Iterable[Total]) -> Decimal:
    return sum((total.figure.quantity or Decimal(0) for total in found), Decimal(0))


@pytest.mark.parametrize("where", [Filter(), BY_PROPERTY], ids=["from roll-ups", "from events"])
@pytest.mark.parametrize("meter", [Aggregation.COUNT, Aggregation.SUM, Aggregation.WEIGHTED_SUM])
async def test_the_groups_with_most_and_the_rest_are_the_whole(
    world: World, client: Organization, meter: Aggregation, where: Filter
) -> None:
    (whole,) = await totals(world, client, meter, where=where)
    found = await totals(world, client, meter, where=where, group_by=GroupBy.MODEL)

    assert len(found) == GROUPS_MAX + 1
    assert [total.group for total in found].index(None) == GROUPS_MAX  # it stands last
    assert added(found) == whole.figure.quantity  # to the last digit
    assert sum(total.figure.events for total in found) == whole.figure.events == NAMES
    told_apart = found[:-1]
    if meter is Aggregation.SUM:
        assert {total.group for total in told_apart} == {
            f"model-{n:03}" for n in range(NAMES - GROUPS_MAX, NAMES)
        }


async def test_the_rest_of_what_is_no_sum_is_what_the_meter_says_of_it(
    world: World, client: Organization
) -> None:
    rest = NAMES - GROUPS_MAX  # models 0 to 149 state the least

    figures: dict[str, Any] = {}
    for meter in (Aggregation.MAX, Aggregation.AVERAGE, Aggregation.LATEST):
        *_, last = await totals(world, client, meter, group_by=GroupBy.MODEL)
        assert (last.group, last.figure.events) == (None, rest)
        figures[meter] = last.figure.quantity
    *_, last = await totals(world, client, Aggregation.UNIQUE, group_by=GroupBy.MODEL)

    tiny = Decimal("0.000000000001")
    assert figures[Aggregation.MAX] == rest + tiny
    assert figures[Aggregation.AVERAGE] == Decimal(rest + 1) / 2 + tiny
    assert figures[Aggregation.LATEST] == 121 + tiny  # models 0 and 120 spoke last, and 120 comes after 0
    assert last.figure.quantity == rest


async def test_a_series_has_only_as_many_lines_as_it_has_room_for(
    world: World, client: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SERIES_FIGURES_MAX", 2_000)
    async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
        options: dict[str, Any] = {"meter": "sum", "granularity": Granularity.MINUTE, **WINDOW}
        grouped = await queries.series(uow, group_by=GroupBy.MODEL, **options)
        (line,) = (await queries.series(uow, **options)).lines

    buckets = len(line.points)
    assert len(grouped.lines) == 2_000 // buckets
    assert grouped.lines[-1].group is None
    for n, point in enumerate(line.points):
        parts = [one.points[n] for one in grouped.lines]
        assert sum((part.quantity or Decimal(0) for part in parts), Decimal(0)) == point.quantity
        assert sum(part.events for part in parts) == point.events


async def test_several_meters_tell_the_same_groups_apart(world: World) -> None:
    """A model that answers little and is called much is not told apart by one meter and lost in another."""
    organization = await world.organization()
    async with crossing(Reason.CATALOG) as uow:
        await service.ensure_platform_meters(uow)
    calls = [
        rules.gateway_event(
            organization_id=organization.id,
            request_id=f"req_{n}",
            time=NOW,
            model=f"model-{n:03}",
            key_id="",
            prompt_tokens=n,
            completion_tokens=NAMES - n,
            endpoint="chat",
            status=200,
        )
        for n in range(NAMES)
    ]
    async with crossing(Reason.GATEWAY_SETTLEMENT, clock=CLOCK) as uow:
        await service.record(uow, calls)

    meters = ("prompt_tokens", "completion_tokens")
    async with unit_of_work(world.actor(organization), clock=CLOCK) as uow:
        found = await queries.totals_of(uow, meters=meters, group_by=GroupBy.MODEL, **WINDOW)
        by_one = await queries.totals_of(
            uow, meters=meters, ranked_by=meters[:1], group_by=GroupBy.MODEL, **WINDOW
        )
        by_cost = await queries.series_of(
            uow,
            meters=meters,
            group_by=GroupBy.MODEL,
            granularity=Granularity.DAY,
            measure=Measure.COST,
            groups_max=5,
            **WINDOW,
        )

    for groups in (found, by_one):
        one, other = ([total.group for total in groups[meter]] for meter in meters)
        assert one == other
        assert len(one) == GROUPS_MAX + 1
    assert by_one["prompt_tokens"][0].group == f"model-{NAMES - GROUPS_MAX:03}"
    assert added(found["prompt_tokens"]) == sum(range(NAMES))
    assert [len(series.lines) for series in by_cost] == [6, 6]


async def test_what_takes_too_long_to_read_is_refused_and_not_waited_for(
    world: World, database: Database, client: Organization, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "READ_S_MAX", 0.2)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        # As good as a billion events: nobody gets to the end of this table while the lock is held.
        await owner.execute("lock table usage_event in access exclusive mode")
        for options in ({}, {"group_by": GroupBy.MODEL}):
            with pytest.raises(Invalid) as refusal:
                await totals(world, client, Aggregation.SUM, where=BY_PROPERTY, **options)
            assert refusal.value.error_code == "window_too_large"
            assert refusal.value.next_step

    assert added(await totals(world, client, Aggregation.COUNT, where=BY_PROPERTY)) == NAMES


async def test_only_the_reading_of_usage_is_held_to_its_time(world: World, client: Organization) -> None:
    async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
        shown = "select current_setting('statement_timeout')"
        before = (await uow.execute(shown)).scalar_one()
        await queries.totals(uow, meter="sum", **WINDOW)
        assert (await uow.execute(shown)).scalar_one() == before
