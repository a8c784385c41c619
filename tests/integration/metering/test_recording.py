"""Storing usage: what is refused, what counts once, and what many writers at once leave behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from models.identity import Organization
from models.types import Aggregation, Role
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import Conflict, Forbidden, Invalid, MatrixError, TooLarge
from services.core.wakeups import USAGE_CHANGED, listen
from services.core.work import unit_of_work
from services.metering import queries, rollup, rules, service
from services.metering.calendar import Granularity
from services.metering.recording import Recorded
from services.metering.rules import UsageEventIn
from tests.checks import assert_rollups_equal_raw
from tests.world import World

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)


@pytest.fixture
async def client(world: World) -> Organization:
    """An organisation whose meter `seconds` sums what its jobs took."""
    organization = await world.organization(name="Client")
    await make_meter(world, organization)
    return organization


async def make_meter(world: World, organization: Organization, **given: Any) -> None:
    terms: dict[str, Any] = {
        "slug": "seconds",
        "name": "Seconds",
        "event_type": "job",
        "aggregation": Aggregation.SUM,
        "value_property": "seconds",
    }
    async with unit_of_work(world.actor(organization), clock=CLOCK) as uow:
        await service.create_meter(uow, **{**terms, **given})


def job(event_id: str, seconds: Any = 1, /, *, time: datetime = NOW, **given: Any) -> UsageEventIn:
    properties = given.pop("properties", {"seconds": seconds})
    terms: dict[str, Any] = {"source": "app", "event_id": event_id, "type": "job", "time": time}
    return UsageEventIn(**{**terms, "properties": properties, **given})


async def ingest(
    world: World, organization: Organization, events: Sequence[UsageEventIn], role: Role = Role.OWNER
) -> Recorded:
    async with unit_of_work(world.actor(organization, role), clock=CLOCK) as uow:
        return await service.ingest(uow, events)


async def seconds(world: World, organization: Organization, meter: str = "seconds") -> queries.Figure:
    async with unit_of_work(world.actor(organization), clock=CLOCK) as uow:
        start = NOW - timedelta(days=401)
        (total,) = await queries.totals(uow, meter=meter, start=start, end=NOW + timedelta(days=1))
        return total.figure


async def stored(world: World) -> int:
    async with crossing(Reason.INVARIANTS) as uow:
        return (await uow.execute("select count(*) from usage_event")).scalar_one()


FAULTS: list[dict[str, Any]] = [
    {"type": "a\0b"},  # refused by its form
    {"time": datetime(2100, 1, 1, tzinfo=UTC)},  # by the clock
    {"properties": {"seconds": -1}},  # by a meter
]


async def test_a_faulty_event_is_named_and_nothing_of_its_batch_is_kept(
    world: World, client: Organization
) -> None:
    for n, fault in enumerate(FAULTS):
        batch = [job(f"{n} 1"), job(f"{n} 2"), job(f"{n} 3", **fault), job(f"{n} 4")]
        kept = await stored(world)

        with pytest.raises(Invalid) as refusal:
            await ingest(world, client, batch)

        assert refusal.value.field.startswith(f"events[2].{min(fault)}")
        assert await stored(world) == kept
        batch[2] = job(f"{n} 3")  # and without the fault all of it is taken
        assert (await ingest(world, client, batch)).accepted == 4
    assert (await seconds(world, client)).quantity == 12


async def test_what_is_just_within_bounds_is_counted_exactly(world: World, client: Organization) -> None:
    events = [
        job("1", time=NOW - timedelta(days=400)),
        job("2", time=NOW + timedelta(minutes=10)),
        job("3", "0.000000000001"),
        job("4", 0.0000000000005),  # rounded once, half away from zero
        job("5", properties={}),  # adds nothing
        job("6", None),
        job("7", 10**18),
        job("8", model="🚀", properties={"seconds": 4, "🚀": "🚀", "a": {"b": {"c": "\\u0000"}}}),
    ]
    assert (await ingest(world, client, events)).accepted == 8

    figure = await seconds(world, client)
    assert (figure.events, figure.quantity) == (6, Decimal("1000000000000000006.000000000002"))
    await assert_rollups_equal_raw()


async def test_a_batch_has_one_to_a_thousand_events(world: World, client: Organization) -> None:
    for events, error in ((0, Invalid), (1_001, TooLarge), (100_000, TooLarge)):
        with pytest.raises(error):
            await ingest(world, client, [job(str(n)) for n in range(events)])
    assert await stored(world) == 0
    assert (await ingest(world, client, [job(str(n)) for n in range(1_000)])).accepted == 1_000


async def test_who_may_send_usage(world: World, client: Organization) -> None:
    for role in (Role.OWNER, Role.ADMIN, Role.DEVELOPER):
        assert (await ingest(world, client, [job(role)], role)).accepted == 1
    for role in (Role.BILLING, Role.VIEWER):
        with pytest.raises(Forbidden):
            await ingest(world, client, [job(role)], role)


async def test_an_event_is_one_for_ever_and_the_first_to_come_wins(
    world: World, client: Organization
) -> None:
    first = await ingest(world, client, [job("1", 5), job("2", 7), job("1", 5), job("1", 6)])
    later = await ingest(world, client, [job("2", 8), job("1", 5), job("3", 1)])

    assert [o.status for o in first.outcomes] == ["accepted", "accepted", "duplicate", "conflict"]
    assert [o.status for o in later.outcomes] == ["conflict", "duplicate", "accepted"]
    assert (first.accepted, first.duplicates, first.conflicts) == (2, 1, 1)
    assert (await seconds(world, client)).quantity == 13


async def test_the_same_instant_in_another_timezone_is_no_conflict(
    world: World, client: Organization
) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-3)))
    recorded = await ingest(world, client, [job("1"), job("1", time=elsewhere)])

    assert [o.status for o in recorded.outcomes] == ["accepted", "duplicate"]


async def test_two_organisations_may_use_the_same_names(world: World, client: Organization) -> None:
    other = await world.organization()
    await make_meter(world, other)
    await ingest(world, client, [job("1", 5)])

    assert (await ingest(world, other, [job("1", 70)])).accepted == 1
    assert (await seconds(world, client)).quantity == 5
    assert (await seconds(world, other)).quantity == 70


async def test_many_writers_of_the_same_events_count_each_once(
    world: World, database: Database, client: Organization
) -> None:
    """Every event is sent by several writers at once, in different orders and batches, with repetitions
    inside batches, while others fold and read."""
    random_ = random.Random(7)
    events = [job(str(n), n % 10, time=NOW - timedelta(seconds=n)) for n in range(400)]

    async def write() -> int:
        mine = events * 2
        random_.shuffle(mine)
        accepted = 0
        while mine:
            batch, mine = mine[:90], mine[90:]
            accepted += (await ingest(world, client, batch)).accepted
        return accepted

    writers = [asyncio.create_task(write()) for _ in range(5)]
    while not all(writer.done() for writer in writers):
        await rollup.compact(database, most=25)
        figure = await seconds(world, client)
        assert figure.events <= len(events)
    assert sum([await writer for writer in writers]) == len(events)
    assert await seconds(world, client) == queries.Figure(400, Decimal(1_800), Decimal(0), 0)
    await assert_rollups_equal_raw()


async def test_a_batch_that_fails_later_leaves_nothing(world: World, client: Organization) -> None:
    async def fails() -> None:
        async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
            assert (await service.ingest(uow, [job("1"), job("2")])).accepted == 2
            await service.ingest(uow, [job("3", "x")])

    with pytest.raises(Invalid):
        await fails()

    assert await stored(world) == 0
    assert (await seconds(world, client)).events == 0


async def test_a_new_meter_counts_what_is_there_and_what_comes_meanwhile(
    world: World, database: Database, client: Organization
) -> None:
    """Meters are made while others write; each counts every event exactly once."""
    await ingest(world, client, [job(f"old {n}", 2) for n in range(20)])

    async def write(name: str) -> None:
        for n in range(15):
            await ingest(world, client, [job(f"{name} {n}", 3)])

    async def make(slug: str) -> None:
        await make_meter(world, client, slug=slug)

    await asyncio.gather(write("a"), write("b"), *(make(f"late_{n}") for n in range(6)), write("c"))

    expected = await seconds(world, client)
    assert expected.quantity == 20 * 2 + 45 * 3
    for n in range(6):
        assert await seconds(world, client, f"late_{n}") == expected
    await assert_rollups_equal_raw()


async def test_our_own_senders_count_what_fits_and_are_never_refused_by_a_tenant_s_meter(
    world: World,
) -> None:
    """Meters made before and after the events agree on each of them."""
    organization = await world.organization()
    values: list[Any] = [1, "2.5", -4, "x", True, [1], {"a": 1}, None, 10**19, 0.1, "", "1,5"]
    summed = [Aggregation.SUM, Aggregation.MAX, Aggregation.AVERAGE]

    async def make(when: str) -> None:
        for aggregation in Aggregation:
            named = None if aggregation is Aggregation.COUNT else "seconds"
            slug = f"{when}_{aggregation}"
            await make_meter(world, organization, slug=slug, aggregation=aggregation, value_property=named)

    await make("before")
    async with crossing(Reason.GATEWAY_SETTLEMENT, clock=CLOCK) as uow:
        events = [job(str(n), value, organization_id=organization.id) for n, value in enumerate(values)]
        assert (await service.record(uow, events)).accepted == len(values)
    await make("after")

    for aggregation in Aggregation:
        before, after = [
            await seconds(world, organization, f"{w}_{aggregation}") for w in ("before", "after")
        ]
        assert before == after
        assert before.events == 3 or aggregation not in summed
    await assert_rollups_equal_raw()


async def test_a_new_meter_skips_stored_values_it_would_refuse(world: World) -> None:
    organization = await world.organization()
    values: list[Any] = [1, "2.5", -4, "x", True, [1], None, 10**19, "0.1234567890123"]
    await ingest(world, organization, [job(str(n), value) for n, value in enumerate(values)])

    await make_meter(world, organization)

    figure = await seconds(world, organization)
    assert (figure.events, figure.quantity) == (2, Decimal("3.5"))
    await assert_rollups_equal_raw()


METERS_REFUSED: list[tuple[str, dict[str, Any], type[MatrixError]]] = [
    ("a slug of the platform", {"slug": "requests"}, Conflict),
    ("a slug that is taken", {"slug": "seconds"}, Conflict),
    ("no slug", {"slug": "Über"}, Invalid),
    ("a count with a property", {"slug": "a", "aggregation": Aggregation.COUNT}, Invalid),
    ("a sum without one", {"slug": "a", "value_property": None}, Invalid),
    ("a name of nothing", {"slug": "a", "name": ""}, Invalid),
]


async def test_what_is_no_meter_is_refused(world: World, client: Organization) -> None:
    async with crossing(Reason.CATALOG) as uow:
        await service.ensure_platform_meters(uow)

    for _, given, error in METERS_REFUSED:
        with pytest.raises(error):
            await make_meter(world, client, **given)


async def test_of_two_meters_made_at_once_under_one_slug_one_is_refused(
    world: World, client: Organization
) -> None:
    made = await asyncio.gather(
        *(make_meter(world, client, slug="new", event_type=f"type {n}") for n in range(4)),
        return_exceptions=True,
    )

    assert [type(result) for result in made].count(Conflict) == 3
    async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
        assert [meter.slug for meter in await queries.meters(uow)] == ["new", "seconds"]


async def test_platform_meters_are_made_once_and_count_what_came_before(
    world: World, client: Organization
) -> None:
    call = rules.gateway_event(
        organization_id=client.id,
        request_id="req_1",
        time=NOW,
        model="small",
        key_id="",
        prompt_tokens=10,
        completion_tokens=20,
        endpoint="chat",
        status=500,
    )
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        assert (await service.record(uow, [call])).accepted == 1

    async def ensure() -> None:
        async with crossing(Reason.CATALOG) as uow:
            await service.ensure_platform_meters(uow)

    await asyncio.gather(*(ensure() for _ in range(4)))

    async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
        platform = [meter.slug for meter in await queries.meters(uow) if meter.platform]
    assert platform == ["completion_tokens", "failed_requests", "prompt_tokens", "requests"]
    for slug, expected in (
        ("requests", 1),
        ("prompt_tokens", 10),
        ("completion_tokens", 20),
        ("failed_requests", 1),
    ):
        assert (await seconds(world, client, slug)).quantity == expected
    await assert_rollups_equal_raw()


async def test_usage_of_an_unknown_organisation_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as refusal:
        async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
            await service.record(uow, [job("1", organization_id="org_nobody")])

    assert refusal.value.field == "organization_id"


async def test_watchers_are_woken_when_figures_changed(
    world: World, database: Database, client: Organization
) -> None:
    wakeups: Any = listen(libpq_url(database.url), USAGE_CHANGED, poll_s=3_600)
    try:
        assert await anext(wakeups) == ("", "")  # it listens
        heard = asyncio.ensure_future(anext(wakeups))
        await ingest(world, client, [job("1")])
        assert await asyncio.wait_for(heard, 30) == (USAGE_CHANGED, client.id)

        other = await world.organization()
        heard = asyncio.ensure_future(anext(wakeups))
        await ingest(world, client, [job("1")])  # nothing new: nobody is told
        await ingest(world, other, [job("1")])
        assert await asyncio.wait_for(heard, 30) == (USAGE_CHANGED, other.id)
    finally:
        await wakeups.aclose()


async def test_readers_never_see_a_delta_twice_or_not_at_all(
    world: World, database: Database, client: Organization
) -> None:
    """While the compactor folds, a whole and its parts stay what they are."""
    await ingest(world, client, [job(str(n), 1, time=NOW - timedelta(minutes=n % 90)) for n in range(1_000)])
    folding = asyncio.create_task(rollup.compact(database, most=10))
    seen = 0
    while not folding.done() or seen == 0:
        assert (await seconds(world, client)).quantity == 1_000
        async with unit_of_work(world.actor(client), clock=CLOCK) as uow:
            series = await queries.series(
                uow,
                meter="seconds",
                start=NOW - timedelta(hours=2),
                end=NOW + timedelta(minutes=1),
                granularity=Granularity.HOUR,
            )
        assert sum(point.quantity or 0 for point in series.lines[0].points) == 1_000
        seen += 1
    assert await folding == 90


async def test_compactors_at_once_fold_each_delta_once(
    world: World, database: Database, client: Organization
) -> None:
    for n in range(8):
        await ingest(world, client, [job(f"{n} {m}", 1, time=NOW - timedelta(minutes=m)) for m in range(50)])

    folded = await asyncio.gather(*(rollup.compact(database, most=30) for _ in range(4)))

    assert sum(folded) == 400
    async with crossing(Reason.ROLLUP) as uow:
        assert (await uow.execute("select count(*) from usage_delta")).scalar_one() == 0
        assert (await uow.execute("select count(*) from usage_minute")).scalar_one() == 50
    assert (await seconds(world, client)).quantity == 400
    await assert_rollups_equal_raw()
