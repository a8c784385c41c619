"""Whatever is sent, in whatever order, batch and repetition, and whenever the compactor runs: figures equal
what a naive reader finds in the raw events."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from models.types import Aggregation, OrganizationKind, Role
from services.catalog.service import set_price
from services.core import database as databases
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.metering import queries, rollup, rules, service
from services.metering.calendar import Granularity
from services.metering.rules import UsageEventIn
from services.metering.sums import Filter, GroupBy, empty
from tests.checks import MADE_BY_HAND, assert_invariants, assert_rollups_equal_raw
from tests.integration.metering.history import History, MeterSpec
from tests.world import World

T = TypeVar("T")

NOW = datetime(2026, 10, 30, 12, 0, 30, tzinfo=UTC)  # days after clocks went back in Berlin
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
)
MODELS = ("small", "large", "free")
KEYS = ("", "apikey_a", "apikey_b")
PLATFORM = [
    MeterSpec("requests", "ai.request", Aggregation.COUNT, None, platform=True),
    MeterSpec("prompt_tokens", "ai.request", Aggregation.SUM, "prompt_tokens", platform=True),
    MeterSpec("completion_tokens", "ai.request", Aggregation.SUM, "completion_tokens", platform=True),
    MeterSpec("failed_requests", "ai.request", Aggregation.SUM, "failed", platform=True),
]
SPECS = [
    *(MeterSpec(f"size_{a}", "job", a, "size") for a in Aggregation if a is not Aggregation.COUNT),
    MeterSpec("jobs", "job", Aggregation.COUNT, None),
    MeterSpec("endpoints", "ai.request", Aggregation.UNIQUE, "endpoint"),
    MeterSpec("longest", "ai.request", Aggregation.MAX, "completion_tokens"),
]

times = st.one_of(
    st.integers(0, 40 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    st.integers(0, 3 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds, microseconds=seconds)),
    st.just(NOW + timedelta(minutes=9)),
)
sizes = st.one_of(
    st.integers(0, 50),
    st.sampled_from([0.1, 2.5, 1e-13, 12345.678901234567]),
    st.sampled_from(["0.000000000001", "7", "99.99"]),
    st.none(),
)
events = st.builds(
    lambda source, event_id, time, size, region, model, key_id: UsageEventIn(
        source, event_id, "job", time, {"size": size, "region": region}, model, key_id
    ),
    source=st.sampled_from(["a", "b"]),
    event_id=st.integers(0, 40).map(str),  # few names, so that keys meet
    time=times,
    size=sizes,
    region=st.sampled_from(["eu", "us"]),
    model=st.sampled_from(["", *MODELS]),
    key_id=st.sampled_from(KEYS),
)
calls = st.builds(
    lambda number, time, model, key_id, prompt, completion, status: rules.gateway_event(
        organization_id="",
        request_id=f"req_{number}",
        time=time,
        model=model,
        key_id=key_id,
        prompt_tokens=prompt,
        completion_tokens=completion,
        endpoint="chat",
        status=status,
    ),
    number=st.integers(0, 40),
    time=times,
    model=st.sampled_from(MODELS),
    key_id=st.sampled_from(KEYS),
    prompt=st.one_of(st.just(0), st.integers(0, 3_000)),
    completion=st.one_of(st.just(0), st.integers(0, 3_000)),
    status=st.sampled_from([200, 200, 429, 499, 502]),
)
filters = st.builds(
    Filter,
    models=st.sampled_from([(), (), ("small",), ("small", "free")]),
    keys=st.sampled_from([(), (), ("apikey_a",)]),
    properties=st.sampled_from([{}, {}, {"region": "eu"}, {"endpoint": "chat"}]),
)


class UsageHistory(RuleBasedStateMachine):
    """One organisation's life. Every rule changes the product and the naive history alike, or compares them."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.on = self.runner.run(self._connect())
        self.history = History()
        self.meters = list(PLATFORM)
        self.sent: list[UsageEventIn] = []

    async def _connect(self) -> databases.Database:
        on = databases.connect(self.url, pool_size=3)
        databases.install(on)
        return on

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            for meter in self.meters:
                self.compare(meter, Granularity.DAY, None, Filter(), NOW - timedelta(days=41), NOW)
            self.run(assert_rollups_equal_raw(self.on))
            self.run(assert_invariants(self.on, but=MADE_BY_HAND))
        finally:
            databases.install(None)
            self.run(self.on.close())
            self.runner.close()

    @initialize(zone=st.sampled_from(ZONES), named=st.sets(st.sampled_from(SPECS), max_size=4))
    def begin(self, zone: str, named: set[MeterSpec]) -> None:
        world = World(self.on)
        self.client = self.run(world.organization(timezone=zone))
        operator = self.run(world.organization(OrganizationKind.OPERATOR))
        self.staff = world.actor(operator, Role.OPERATOR)
        self.owner = world.actor(self.client)
        self.clock = FixedClock(NOW)
        self.run(self._ensure_meters())
        self.run(self._forget_prices())
        for spec in sorted(named, key=lambda spec: spec.slug):
            self.make_meter(spec)

    async def _ensure_meters(self) -> None:
        async with crossing(Reason.CATALOG) as uow:
            await service.ensure_platform_meters(uow)

    async def _forget_prices(self) -> None:
        """Each run prices models of its own: prices outlive a run, and they are never taken back."""
        async with crossing(Reason.DEMO) as uow:
            await uow.execute(
                "insert into upstream (id, name, kind, base_url, connect_timeout_s, read_timeout_s, on_hangup,"
                " enabled, created_at, version) values ('ups_test', 'test', 'builtin', '', 1, 1, 'drain', true,"
                " now(), 1) on conflict do nothing"
            )
            for slug in MODELS:
                await uow.execute(
                    "insert into model (id, slug, name, description, upstream_id, upstream_model, endpoints,"
                    " context_tokens, enabled, created_at, version)"
                    " values (:id, :slug, '', '', 'ups_test', '', '{}', 1, true, now(), 1)",
                    id=f"model_{self.client.id}_{slug}",
                    slug=self.model(slug),
                )

    def model(self, slug: str) -> str:
        return f"{self.client.id}/{slug}" if slug else ""

    def own(self, event: UsageEventIn) -> UsageEventIn:
        return UsageEventIn(
            event.source,
            event.event_id,
            event.type,
            event.time,
            event.properties,
            self.model(event.model),
            event.key_id,
            self.client.id,
        )

    # -- what happens

    @rule(batch=st.lists(events, min_size=1, max_size=12))
    def send(self, batch: list[UsageEventIn]) -> None:
        self._ingest([self.own(event) for event in batch])

    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """Old events in a new order and in other batches."""
        if self.sent:
            self._ingest(data.draw(st.lists(st.sampled_from(self.sent), min_size=1, max_size=12)))

    def _ingest(self, batch: list[UsageEventIn]) -> None:
        async def work() -> list[str]:
            async with unit_of_work(self.owner, clock=self.clock) as uow:
                recorded = await service.ingest(uow, batch)
            return [str(outcome.status) for outcome in recorded.outcomes]

        assert self.run(work()) == [self.history.send(event) for event in batch]
        self.sent += batch

    @rule(batch=st.lists(calls, min_size=1, max_size=12))
    def settle(self, batch: list[UsageEventIn]) -> None:
        mine = [self.own(event) for event in batch]

        async def work() -> list[tuple[str, Decimal | None]]:
            async with crossing(Reason.GATEWAY_SETTLEMENT, clock=self.clock) as uow:
                recorded = await service.record(uow, mine)
            return [(str(outcome.status), outcome.cost) for outcome in recorded.outcomes]

        for event, (status, cost) in zip(mine, self.run(work()), strict=True):
            assert status == self.history.send(event)
            if status == "accepted":
                kept = self.history.events[event.source, event.event_id]
                assert cost == (None if kept.unpriced else sum(kept.costs.values()))

    @rule(
        model=st.sampled_from(MODELS),
        meter=st.sampled_from(["prompt_tokens", "completion_tokens", "requests"]),
        amount=st.sampled_from([Decimal(0), Decimal("0.15"), Decimal("0.000000000007"), Decimal(3)]),
        per_units=st.sampled_from([1, 3, 1_000_000]),
        day=st.integers(1, 40),
    )
    def price(self, model: str, meter: str, amount: Decimal, per_units: int, day: int) -> None:
        """Made as demo data makes it, from a day back then; only later than the price before it."""
        start = NOW - timedelta(days=41 - day)
        slug = self.model(model)
        if any(price[:2] == (slug, meter) and price[2] >= start for price in self.history.prices):
            return

        async def work() -> None:
            async with crossing(Reason.STAFF, actor=self.staff, clock=FixedClock(start)) as uow:
                await set_price(
                    uow, model=slug, meter=meter, currency="USD", unit_amount=amount, per_units=per_units
                )

        self.run(work())
        self.history.prices.append((slug, meter, start, amount, per_units))

    @rule(spec=st.sampled_from(SPECS))
    def make_meter(self, spec: MeterSpec) -> None:
        if spec in self.meters:
            return

        async def work() -> None:
            async with unit_of_work(self.owner, clock=self.clock) as uow:
                await service.create_meter(
                    uow,
                    slug=spec.slug,
                    name=spec.slug,
                    event_type=spec.event_type,
                    aggregation=spec.aggregation,
                    value_property=spec.value_property,
                )

        self.run(work())
        self.meters.append(spec)

    @rule(most=st.sampled_from([1, 7, 10_000]), once=st.booleans())
    def compact(self, most: int, once: bool) -> None:
        async def one_batch() -> None:
            async with crossing(Reason.ROLLUP) as uow:
                await rollup.fold(uow, most=most)

        self.run(one_batch() if once else rollup.compact(self.on, most=max(most, 50)))

    # -- what must be equal

    @rule(
        data=st.data(),
        granularity=st.sampled_from(Granularity),
        group_by=st.sampled_from([None, None, *GroupBy]),
        where=filters,
        ago=st.integers(0, 40),
        days=st.integers(1, 41),
        most=st.sampled_from([1, 2, queries.GROUPS_MAX]),
    )
    def compare_series(
        self,
        data: st.DataObject,
        granularity: Granularity,
        group_by: GroupBy | None,
        where: Filter,
        ago: int,
        days: int,
        most: int,
    ) -> None:
        meter = data.draw(st.sampled_from(self.meters))
        start = NOW - timedelta(days=ago)
        end = start + (timedelta(hours=20) if granularity is Granularity.MINUTE else timedelta(days=days))
        models = tuple(self.model(model) for model in where.models)
        where = Filter(models=models, keys=where.keys, properties=where.properties)
        with patch.object(queries, "GROUPS_MAX", most):
            self.compare(meter, granularity, group_by, where, start, end)

    def compare(
        self,
        meter: MeterSpec,
        granularity: Granularity,
        group_by: GroupBy | None,
        where: Filter,
        start: datetime,
        end: datetime,
    ) -> None:
        async def work() -> tuple[queries.Series, list[queries.Total]]:
            async with unit_of_work(self.owner, clock=self.clock) as uow:
                options: dict[str, Any] = {"meter": meter.slug, "group_by": group_by, "where": where}
                series = await queries.series(uow, start=start, end=end, granularity=granularity, **options)
                edges = series.edges
                return series, await queries.totals(uow, start=edges[0], end=edges[-1], **options)

        series, totals = self.run(work())
        edges = list(series.edges)
        assert edges[0] <= start
        assert edges[-1] >= end
        names = self.told_apart(meter, edges, group_by, where, {total.group for total in totals})
        true = self.history.figures(meter, edges, group_by, where, NOW, names)
        blank = empty(meter.aggregation)
        seen = {
            (bucket, line.group): figure
            for line in series.lines
            for bucket, figure in enumerate(line.points)
            if figure != blank
        }
        assert seen == {place: figure for place, figure in true.items() if figure != blank}
        whole = self.history.figures(meter, [edges[0], edges[-1]], group_by, where, NOW, names)
        assert {total.group: total.figure for total in totals if total.figure != blank} == {
            group: figure for (_, group), figure in whole.items()
        }

    def told_apart(
        self,
        meter: MeterSpec,
        edges: list[datetime],
        group_by: GroupBy | None,
        where: Filter,
        given: set[str | None],
    ) -> set[str] | None:
        """The groups given by name, which must be few and those with most; None when that is all."""
        if None not in given:
            assert group_by is None or len(given) <= queries.GROUPS_MAX
            return None
        names = {name for name in given if name is not None}
        assert len(names) == queries.GROUPS_MAX
        whole = self.history.figures(meter, [edges[0], edges[-1]], group_by, where, NOW)
        sizes = {group: figure.quantity or 0 for (_, group), figure in whole.items()}
        others = max(size for group, size in sizes.items() if group not in names)
        assert all(sizes.get(name, 0) >= others for name in names)
        return names


QUICK = settings(
    max_examples=25,
    stateful_step_count=16,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    print_blob=True,
)


def _live(postgres: EmbeddedPostgres, database_name: str, how: settings) -> None:
    UsageHistory.url = postgres.app_url(database_name)
    run_state_machine_as_test(UsageHistory, settings=how)


def test_figures_equal_the_raw_events(postgres: EmbeddedPostgres, database_name: str) -> None:
    _live(postgres, database_name, QUICK)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    "_part", range(8)
)  # each in a database of its own: every check reads all that was ever sent
def test_figures_equal_the_raw_events_over_long_histories(
    postgres: EmbeddedPostgres, database_name: str, _part: int
) -> None:
    _live(postgres, database_name, settings(QUICK, max_examples=50, stateful_step_count=60))
