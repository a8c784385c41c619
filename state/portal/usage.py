"""Usage by time, model and key."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import reflex as rx

from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.gateway import queries as gateway
from services.identity import key_queries
from services.metering import queries as metering
from services.metering.sums import Filter, GroupBy
from state.addresses import with_query
from state.base import page_event
from state.filters import FilteredState
from state.format import decimal_text, figure_text, instant_text
from state.portal.usage_view import (
    METERS_OF,
    RANGES,
    USUAL_RANGE,
    drawing,
    fitting,
    granularity_for,
    table_rows,
)

KEYS_OFFERED_MAX = 200
TABLE_METERS = ("requests", "prompt_tokens", "completion_tokens", "failed_requests")
GROUPS = {"model": GroupBy.MODEL, "key": GroupBy.KEY}


class UsageState(FilteredState, rx.State):
    """A range of usage as a chart, a table and its sums. `newer` says that there is more by now."""

    _filter_keys: ClassVar[tuple[str, ...]] = ("range", "granularity", "measure", "group", "model", "key")

    chart_rows: list[dict[str, Any]] = []
    chart_lines: list[dict[str, str]] = []
    chart_total: str = "0"
    peak: str = "0"
    measure: str = "requests"
    granularity: str = "day"
    granularities: list[str] = []
    rows: list[dict[str, Any]] = []
    sums: dict[str, Any] = {}
    models: list[dict[str, str]] = []
    keys: list[dict[str, str]] = []
    read_at: str = ""
    newer: bool = False

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        chosen = self._show_filters()
        within = RANGES.get(chosen.get("range", ""), RANGES[USUAL_RANGE])
        bucket = granularity_for(chosen.get("granularity", ""), within)
        with_cost = self._actor.may(Capability.COST_READ)
        self.measure = chosen.get("measure", "")
        if self.measure not in METERS_OF or (self.measure == "cost" and not with_cost):
            self.measure = "cost" if with_cost else "requests"
        group = GROUPS.get(chosen.get("group", ""))
        where = Filter(
            models=(chosen["model"],) if "model" in chosen else (),
            keys=(chosen["key"],) if "key" in chosen else (),
        )
        async with self._unit_of_work() as uow:
            await self._offer(uow)
            names = {one["id"]: one["label"] for one in self.models + self.keys}
            start, end = uow.now - within.span, uow.now
            series = [
                await metering.series(
                    uow, meter=meter, start=start, end=end, granularity=bucket, group_by=group, where=where
                )
                for meter in METERS_OF[self.measure]
            ]
            # The table covers the chart's whole buckets, so that one is the sum of the other.
            start, end = series[0].edges[0], series[0].edges[-1]
            totals = {
                meter: await metering.totals(
                    uow, meter=meter, start=start, end=end, group_by=group or GroupBy.MODEL, where=where
                )
                for meter in TABLE_METERS
            }
            self.read_at, since = instant_text(uow.wall_now), instant_text(start)
        drawn = drawing(self.measure, series, names)
        self.chart_rows, self.chart_lines = drawn.rows, drawn.lines
        unit = self._currency if self.measure == "cost" else ""
        self.chart_total, self.peak = figure_text(drawn.total, unit), figure_text(drawn.peak, unit)
        self.granularity = bucket.value
        self.granularities = [one.value for one in fitting(within.span)]
        self.rows = [
            row | {"href": _drill_down(row, chosen, since)}
            for row in table_rows(totals, names, with_cost=with_cost)
        ]
        self.sums = _sums(self.rows, with_cost=with_cost)
        self.newer = False

    @page_event(Capability.USAGE_READ)
    async def note_newer(self) -> None:
        """Something was used since; the figures stay as they are until they are asked for."""
        self.newer = True

    async def _offer(self, uow: UnitOfWork) -> None:
        self.models = [{"id": model.slug, "label": model.name} for model in await gateway.models(uow)]
        self.keys = []
        if self._actor.may(Capability.KEYS_READ):
            rows = await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
            self.keys = [{"id": row.id, "label": f"{row.name} ({row.prefix}\u2026)"} for row in rows]


def _drill_down(row: dict[str, Any], chosen: dict[str, str], since: str) -> str:
    """The requests whose sum a row is."""
    group = chosen.get("group", "model")
    kept = {name: value for name, value in chosen.items() if name in {"model", "key"}}
    return with_query("/portal/requests", kept | {group: str(row["group"]), "since": since})


def _sums(rows: list[dict[str, Any]], *, with_cost: bool) -> dict[str, Any]:
    def added(name: str) -> str:
        return decimal_text(sum((Decimal(row[name] or 0) for row in rows), Decimal(0)))

    return {
        "requests": added("requests"),
        "failed": added("failed"),
        "prompt_tokens": added("prompt_tokens"),
        "completion_tokens": added("completion_tokens"),
        "cost": added("cost") if with_cost else "",
        "unpriced": sum(int(row["unpriced"]) for row in rows),
    }
