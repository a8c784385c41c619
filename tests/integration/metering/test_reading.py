"""Overview, requests and their explanations, and who sees what of them."""

from __future__ import annotations

import operator as operators
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from models.gateway import AiModel, GatewayRequest, Upstream
from models.identity import Organization
from models.types import Aggregation, OrganizationKind, Role
from services.catalog.service import set_price
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, Invalid, NotFound
from services.core.ids import new_id
from services.core.work import unit_of_work
from services.metering import queries, recording, requests, rules, service
from services.metering.calendar import Granularity
from services.metering.rules import UsageEventIn
from services.metering.sums import Filter, GroupBy
from tests.checks import assert_rollups_equal_raw
from tests.world import LONG_AGO, World

# 00:30 on 1 July in Kolkata: a new day and a new month there, while it is June in London.
NOW = datetime(2026, 6, 30, 19, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def client(world: World) -> Organization:
    """An organisation in Kolkata; the model `small` costs 1 and 2 dollars a million since long ago, `wild` nothing
    that is known."""
    async with crossing(Reason.DEMO) as uow:
        await service.ensure_platform_meters(uow)
        upstream = Upstream(id=new_id("ups"), name="built in", kind="builtin", created_at=LONG_AGO)
        uow.add(upstream)
        await uow.session.flush()
        for slug in ("small", "wild"):
            uow.add(
                AiModel(
                    id=new_id("model"),
                    slug=slug,
                    name=slug,
                    upstream_id=upstream.id,
                    upstream_model=slug,
                    context_tokens=2048,
                    created_at=LONG_AGO,
                )
            )
    await price(world, LONG_AGO, prompt_tokens="1", completion_tokens="2")
    return await world.organization(timezone="Asia/Kolkata")


async def price(
    world: World, now: datetime, *, model: str = "small", per_units: int = 1_000_000, **amounts: str
) -> None:
    operator = await world.organization(OrganizationKind.OPERATOR)
    staff = world.actor(operator, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=staff, clock=FixedClock(now)) as uow:
        for meter, amount in amounts.items():
            await set_price(
                uow,
                model=model,
                meter=meter,
                currency="USD",
                unit_amount=Decimal(amount),
                per_units=per_units,
            )


async def call(client: Organization, number: int, at: datetime, **given: Any) -> str:
    """One settled call of 1,000 tokens in and 100 out, unless said otherwise. Returns its id."""
    facts: dict[str, Any] = {"model": "small", "key_id": "", "status": 200, "endpoint": "chat"}
    facts |= {"prompt_tokens": 1_000, "completion_tokens": 100, **given}
    identifier = f"req_{number:03d}"
    event = rules.gateway_event(organization_id=client.id, request_id=identifier, time=at, **facts)
    async with crossing(Reason.GATEWAY_SETTLEMENT, clock=FixedClock(NOW)) as uow:
        (outcome,) = (await service.record(uow, [event])).outcomes
        uow.add(
            GatewayRequest(
                organization_id=client.id,
                id=identifier,
                started_at=at,
                latency_ms=12,
                cost=outcome.cost,
                currency=outcome.currency,
                **facts,
            )
        )
    return identifier


async def overview(world: World, client: Organization, role: Role = Role.OWNER) -> queries.Overview:
    async with unit_of_work(world.actor(client, role), clock=FixedClock(NOW)) as uow:
        return await queries.overview(uow)


async def test_the_overview_follows_the_organisation_s_calendar(world: World, client: Organization) -> None:
    await call(client, 1, NOW - timedelta(minutes=31))  # the evening of 30 June there
    await call(client, 2, NOW - timedelta(minutes=30))  # midnight
    await call(client, 3, NOW, status=500, completion_tokens=0)
    await call(client, 4, NOW, model="wild")

    found = await overview(world, client)

    today = found.today
    assert (today.requests, today.failed, today.unpriced) == (3, 1, 1)
    assert (today.prompt_tokens, today.completion_tokens) == (3_000, 200)
    assert Decimal(today.cost or "") == Decimal("0.0012") + Decimal("0.001")
    assert found.month == today  # the month began at the same midnight
    assert datetime.fromisoformat(today.start) == NOW - timedelta(minutes=30)
    assert len(found.hours) == 24
    assert [hour.requests for hour in found.hours] == [3] + [0] * 23
    assert [request.id for request in found.latest] == ["req_003", "req_004", "req_002", "req_001"]
    assert found.timezone == "Asia/Kolkata"
    orjson.dumps(found)  # the live hub writes it as it is


async def test_the_month_holds_its_earlier_days(world: World, client: Organization) -> None:
    later = NOW + 9 * DAY
    for number in range(10):
        await call(client, number, NOW + number * DAY)

    async with unit_of_work(world.actor(client), clock=FixedClock(later)) as uow:
        found = await queries.overview(uow)

    assert (found.today.requests, found.month.requests) == (1, 10)
    assert Decimal(found.month.cost or "") == 10 * Decimal("0.0012")


async def test_those_who_may_not_see_costs_see_none_anywhere(world: World, client: Organization) -> None:
    identifier = await call(client, 1, NOW)

    found = await overview(world, client, Role.VIEWER)
    async with unit_of_work(world.actor(client, Role.VIEWER), clock=FixedClock(NOW)) as uow:
        (total,) = await queries.totals(uow, meter="prompt_tokens", start=NOW - DAY, end=NOW + DAY)
        (row,) = await listing_sql.select(uow, requests.REQUESTS)
        detail = await requests.detail(uow, identifier)

    assert {found.today.cost, found.month.cost, *(hour.cost for hour in found.hours)} == {None}
    assert found.latest[0].cost is None
    assert (total.figure.quantity, total.figure.cost) == (1_000, None)
    assert row.cost is None
    assert (detail.row.cost, detail.explanation) == (None, ())


async def test_nobody_sees_another_organisation_s_usage(world: World, client: Organization) -> None:
    identifier = await call(client, 1, NOW)
    stranger = await world.organization(timezone="Asia/Kolkata")

    assert (await overview(world, stranger)).month.requests == 0
    async with unit_of_work(world.actor(stranger), clock=FixedClock(NOW)) as uow:
        assert await listing_sql.select(uow, requests.REQUESTS) == []
        with pytest.raises(NotFound):
            await requests.detail(uow, identifier)


async def test_keys_without_the_right_read_nothing(world: World, client: Organization) -> None:
    actor = replace(world.actor(client), capabilities=frozenset())
    async with unit_of_work(actor) as uow:
        for read in (
            queries.overview(uow),
            queries.meters(uow),
            queries.totals(uow, meter="requests", start=NOW - DAY, end=NOW),
            listing_sql.select(uow, requests.REQUESTS),
            requests.detail(uow, "req_001"),
        ):
            with pytest.raises(Forbidden):
                await read


# -- one request, explained


async def test_a_cost_is_explained_by_the_prices_of_its_time(world: World, client: Organization) -> None:
    before = await call(client, 1, NOW)
    await price(world, NOW + timedelta(seconds=1), prompt_tokens="5", completion_tokens="7")
    late = await call(client, 2, NOW)  # settled after the change, used before it
    after = await call(client, 3, NOW + timedelta(minutes=1))

    for identifier, amounts in (
        (before, ["0.001", "0.0002"]),
        (late, ["0.001", "0.0002"]),
        (after, ["0.005", "0.0007"]),
    ):
        async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
            detail = await requests.detail(uow, identifier)
        lines = {line.meter: line for line in detail.explanation}
        assert [lines[meter].amount for meter in ("prompt_tokens", "completion_tokens")] == [
            Decimal(amount) for amount in amounts
        ]
        assert sum(line.amount for line in detail.explanation) == detail.row.cost
        for line in detail.explanation:
            assert line.amount == line.quantity * line.unit_amount / line.per_units


async def test_a_price_set_in_the_past_of_a_faster_clock_changes_no_explanation(
    world: World, client: Organization
) -> None:
    """An organisation on a test clock is ahead: a price that starts later than its calls were settled may
    still lie before their business time."""
    ahead = await call(client, 1, NOW + 30 * DAY)
    await price(world, NOW + DAY, prompt_tokens="5", completion_tokens="7")

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW + 31 * DAY)) as uow:
        detail = await requests.detail(uow, ahead)

    assert sum(line.amount for line in detail.explanation) == detail.row.cost == Decimal("0.0012")


async def test_a_call_without_a_price_says_what_is_missing(world: World, client: Organization) -> None:
    identifier = await call(client, 1, NOW, model="wild", completion_tokens=0)

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        detail = await requests.detail(uow, identifier)

    assert (detail.row.cost, detail.explanation, detail.unpriced) == (None, (), ("prompt_tokens",))


async def test_a_call_with_one_price_missing_names_that_one(world: World, client: Organization) -> None:
    await price(world, LONG_AGO, model="wild", prompt_tokens="1", requests="1")
    identifier = await call(client, 1, NOW, model="wild")
    await price(world, NOW + timedelta(seconds=1), model="wild", completion_tokens="2")  # too late for it

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        detail = await requests.detail(uow, identifier)
        totals = [
            (await queries.totals(uow, meter=meter, start=NOW - DAY, end=NOW + DAY, where=where))[0].figure
            for meter in ("requests", "prompt_tokens", "completion_tokens")
            for where in (Filter(), Filter(properties={"endpoint": "chat"}))
        ]

    assert (detail.row.cost, detail.explanation, detail.unpriced) == (None, (), ("completion_tokens",))
    # It is priced wholly or not at all, in sums as well.
    assert {(figure.cost, figure.unpriced) for figure in totals} == {(Decimal(0), 1)}
    await assert_rollups_equal_raw()


NOT_CHARGED, CHARGED = Decimal(0), Decimal("0.25")
TOKENS = {"prompt_tokens": 1_000, "completion_tokens": 100}  # 0.0012 dollars
NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0}
CALLS_BY_STATUS: list[tuple[int, dict[str, int], Decimal]] = [
    (200, TOKENS, CHARGED),
    (200, NO_TOKENS, CHARGED),
    (429, NO_TOKENS, NOT_CHARGED),
    (502, NO_TOKENS, NOT_CHARGED),
    (502, TOKENS, NOT_CHARGED),  # it broke off: the tokens that were sent are charged
    (503, NO_TOKENS, NOT_CHARGED),
    (503, TOKENS, NOT_CHARGED),
    (499, NO_TOKENS, NOT_CHARGED),
    (499, TOKENS, CHARGED),
    (499, {"prompt_tokens": 10, "completion_tokens": 0}, CHARGED),  # embeddings
]


async def test_a_price_of_a_request_is_charged_for_calls_that_were_served(
    world: World, client: Organization
) -> None:
    await price(world, LONG_AGO, per_units=1, requests="0.25")
    ids = [
        await call(client, n, NOW, status=status, **tokens)
        for n, (status, tokens, _) in enumerate(CALLS_BY_STATUS)
    ]

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        for identifier, (_, tokens, charge) in zip(ids, CALLS_BY_STATUS, strict=True):
            detail = await requests.detail(uow, identifier)
            lines = {line.meter: line.amount for line in detail.explanation}
            of_tokens = Decimal(tokens["prompt_tokens"] + 2 * tokens["completion_tokens"]) / 1_000_000
            assert detail.row.cost == charge + of_tokens == sum(lines.values())
            assert lines.get("requests", NOT_CHARGED) == charge
            assert detail.unpriced == ()
        window: dict[str, Any] = {"start": NOW - DAY, "end": NOW + DAY}
        (counted,) = await queries.totals(uow, meter="requests", **window)
        raw = Filter(properties={"endpoint": "chat"})
        (from_events,) = await queries.totals(uow, meter="requests", where=raw, **window)

    # Every call is counted as a request, charged or not.
    assert counted.figure == from_events.figure
    assert counted.figure.quantity == len(CALLS_BY_STATUS)
    assert counted.figure.cost == sum(charge for _, _, charge in CALLS_BY_STATUS)
    await assert_rollups_equal_raw()


# -- the list


async def test_requests_are_filtered(world: World, client: Organization) -> None:
    await call(client, 1, NOW - DAY, key_id="apikey_a")
    await call(client, 2, NOW, key_id="apikey_a", status=429)
    await call(client, 3, NOW, model="wild")

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:

        async def ids(*asked: tuple[str, str]) -> list[str]:
            return [row.id for row in await listing_sql.select(uow, requests.REQUESTS, *asked)]

        assert await ids(("key_id", "apikey_a")) == ["req_002", "req_001"]
        assert await ids(("model", "wild")) == ["req_003"]
        assert await ids(("outcome", "failed")) == ["req_002"]
        assert await ids(("outcome", "ok")) == ["req_003", "req_001"]
        within = ("started_at[gte]", (NOW - DAY).isoformat()), ("started_at[lt]", NOW.isoformat())
        assert await ids(*within) == ["req_001"]
        assert await ids(("model", "small"), ("key_id", "apikey_b")) == []

        priced = {
            row.id: row.cost
            for row in await listing_sql.select(uow, requests.REQUESTS)
            if row.cost is not None
        }
        for bound in (*priced.values(), Decimal(-1), Decimal(0), Decimal(10**17), Decimal(-(10**17))):
            for operator in (operators.gt, operators.ge, operators.lt, operators.le):
                name = f"cost[{operator.__name__.replace('e', 'te')}]"
                assert set(await ids((name, str(bound)))) == {
                    one for one, cost in priced.items() if operator(cost, bound)
                }


# -- series


async def test_a_series_is_asked_for_sensibly(world: World, client: Organization) -> None:
    async with unit_of_work(world.actor(client)) as uow:
        with pytest.raises(NotFound):
            await queries.series(uow, meter="none", start=NOW - DAY, end=NOW, granularity=Granularity.HOUR)
        with pytest.raises(Invalid):
            await queries.series(
                uow, meter="requests", start=NOW - 3 * DAY, end=NOW, granularity=Granularity.MINUTE
            )


async def test_groups_add_up_and_filters_narrow(world: World, client: Organization) -> None:
    for number, (model, key) in enumerate(
        [("small", "apikey_a"), ("small", "apikey_b"), ("wild", "apikey_a"), ("small", "apikey_a")]
    ):
        await call(client, number, NOW - timedelta(hours=number), model=model, key_id=key)

    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:

        async def totals(**options: Any) -> dict[str | None, Decimal | None]:
            found = await queries.totals(
                uow, meter="prompt_tokens", start=NOW - DAY, end=NOW + DAY, **options
            )
            return {total.group: total.figure.quantity for total in found}

        assert await totals() == {"": 4_000}
        assert await totals(group_by=GroupBy.MODEL) == {"small": 3_000, "wild": 1_000}
        assert await totals(group_by=GroupBy.KEY) == {"apikey_a": 3_000, "apikey_b": 1_000}
        assert await totals(where=Filter(models=("small",), keys=("apikey_a",))) == {"": 2_000}
        assert await totals(where=Filter(properties={"status": "200"})) == {"": 4_000}
        assert await totals(where=Filter(properties={"status": "500"})) == {"": 0}


# -- plans


async def test_reading_touches_one_partition_of_each_table(world: World, client: Organization) -> None:
    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        await service.create_meter(
            uow,
            slug="users",
            name="Users",
            event_type="seen",
            aggregation=Aggregation.UNIQUE,
            value_property="user",
        )
    identifier = await call(client, 1, NOW)
    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        plans: list[str] = []
        execute = uow.execute

        async def explained(statement: Any, *given: Any, **named: Any) -> Any:
            rows = await execute(f"explain (costs off) {statement}", *given, **named)
            plans.append("\n".join(row[0] for row in rows))
            return await execute(statement, *given, **named)

        uow.execute = explained  # type: ignore[method-assign]
        for meter in ("requests", "users"):
            await queries.totals(uow, meter=meter, start=NOW - 40 * DAY, end=NOW)
        await queries.overview(uow)
        await listing_sql.select(uow, requests.REQUESTS)
        await requests.detail(uow, identifier)

    scanned = {scan for plan in plans for scan in re.findall(r" on (?:(\w+)_p(\d)) ", plan)}
    tables = [table for table, _ in scanned]
    assert {"usage_event", "usage_delta", "usage_minute", "usage_hour", "usage_day", "request"} == set(tables)
    assert len(tables) == len(set(tables)), scanned


async def test_duplicates_are_found_by_primary_key_without_statistics(
    world: World, client: Organization
) -> None:
    """A fresh installation knows nothing of its tables. The planner once took another index then, and read
    every event of the organisation for each duplicate."""
    events = [UsageEventIn("app", str(n), "job", NOW) for n in range(1_000)]
    async with unit_of_work(world.actor(client), clock=FixedClock(NOW)) as uow:
        await service.ingest(uow, events)
    keys = [{"n": 0, "organization_id": client.id, "source": "app", "event_id": "7"}]

    async with unit_of_work(world.actor(client)) as uow:
        plan = await uow.execute(f"explain {recording.HASHES}", keys=orjson.dumps(keys).decode())
        scans = [row[0].strip() for row in plan if " on usage_event_p" in row[0]]

    assert scans
    for scan in scans:
        assert re.match(r"->  Index (Only )?Scan using usage_event_p\d_pkey", scan), scan
