"""Usage by time, model and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import reflex as rx

from models.money import figure_text
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.gateway import queries as gateway
from services.identity import key_queries
from services.metering import queries as metering
from services.metering.queries import Series, Total
from services.metering.sums import GroupBy, Measure
from state.addresses import with_query
from state.base import SIGNED_IN, PageState, page_event
from state.format import decimal_text, instant_text
from state.portal.keys import offered_projects
from state.portal.usage_view import (
    METERS_OF,
    SERIES_MAX,
    Question,
    drawing,
    fitting,
    measures,
    question,
    table_rows,
)

KEYS_OFFERED_MAX = 200
FILTER_CHARACTERS_MAX = 200
MOMENT = timedelta(minutes=1)  # at midnight sharp, today has not begun to have a length
TABLE_METERS = ("requests", "prompt_tokens", "completion_tokens", "failed_requests")


class UsageState(PageState, rx.State):
    """A range of usage as a chart, a table and its sums. `newer` says that there is more by now.

    It is chosen by `_filter_keys` in the address: a question, not a list of rows. Changing a filter only
    changes the address; the page then reads as after any navigation.
    """

    _filter_keys: ClassVar[tuple[str, ...]] = (
        "range",
        "granularity",
        "measure",
        "group",
        "model",
        "key",
        "project",
    )

    filters: dict[str, str] = {}
    filtered: bool = False
    chart_rows: list[dict[str, Any]] = []
    chart_lines: list[dict[str, str]] = []
    chart_total: str = "0"
    peak: str = "0"
    measure: str = "requests"
    measures: list[str] = []
    granularities: list[str] = []
    rows: list[dict[str, Any]] = []
    sums: dict[str, Any] = {}
    models: list[dict[str, str]] = []
    keys: list[dict[str, str]] = []
    projects: list[dict[str, str]] = []
    read_at: str = ""
    newer: bool = False

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        chosen = self._chosen_filters(self._query)
        self.filters = {key: chosen.get(key, "") for key in self._filter_keys}
        self.filtered = bool(chosen)
        with_cost = self._actor.may(Capability.COST_READ)
        asked = question(chosen, with_cost=with_cost)
        async with self._unit_of_work() as uow:
            await self._offer(uow)
            series = await _series(uow, asked, self._zone)
            # The table covers the chart's whole buckets, so that one is the sum of the other.
            start, end = series[0].edges[0], series[0].edges[-1]
            totals = await _totals(uow, asked, start, end)
            self.read_at = instant_text(uow.wall_now)
        names = {one["id"]: one["label"] for one in self.models + self.keys}
        self._draw(asked, series, names)
        rows = table_rows(totals, names, currency=self._currency, with_cost=with_cost)
        self.rows = [row | {"href": _drill_down(row, chosen, instant_text(start))} for row in rows]
        self.sums = _sums(self.rows, with_cost=with_cost)
        self.measures = measures(with_cost=with_cost)
        self.granularities = [one.value for one in fitting(asked.within.span)]
        self.newer = False

    @page_event(SIGNED_IN)
    async def narrow(self, key: str, value: str) -> Any:
        """Set one filter, or take it away by an empty value."""
        if key not in self._filter_keys:
            return None
        chosen = self._chosen_filters(self._query_ahead)
        goes_on = key in chosen and bool(value)  # which makes no second entry in the history
        return self._send_to(chosen | {key: str(value)[:FILTER_CHARACTERS_MAX]}, replace=goes_on)

    @page_event(SIGNED_IN)
    async def widen(self) -> Any:
        """Take all filters away."""
        return self._send_to({})

    @page_event(Capability.USAGE_READ)
    async def note_newer(self) -> None:
        """Something was used since; the figures stay as they are until they are asked for."""
        asked = question(self._chosen_filters(self._query), with_cost=False)
        async with self._unit_of_work() as uow:
            edges = (await _series(uow, asked, self._zone))[0].edges
            totals = await metering.totals(
                uow, meter="requests", start=edges[0], end=edges[-1], where=asked.where
            )
        counted = sum((total.figure.quantity or Decimal(0) for total in totals), Decimal(0))
        self.newer = decimal_text(counted) != self.sums.get("requests")

    def _chosen_filters(self, query: dict[str, str]) -> dict[str, str]:
        """What an address says, typed by anyone: parse before use."""
        return {key: query[key][:FILTER_CHARACTERS_MAX] for key in self._filter_keys if query.get(key)}

    def _draw(self, asked: Question, series: Sequence[Series], names: Mapping[str, str]) -> None:
        drawn = drawing(asked.measure, series, names)
        unit = self._currency if asked.measure == "cost" else ""
        self.measure = asked.measure
        self.chart_rows, self.chart_lines = drawn.rows, drawn.lines
        self.chart_total, self.peak = figure_text(drawn.total, unit), figure_text(drawn.peak, unit)

    async def _offer(self, uow: UnitOfWork) -> None:
        self.models = [{"id": model.slug, "label": model.name} for model in await gateway.models(uow)]
        self.projects = await offered_projects(uow)
        self.keys = []
        if self._actor.may(Capability.KEYS_READ):
            rows = await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
            self.keys = [{"id": row.id, "label": f"{row.name} ({row.prefix}\u2026)"} for row in rows]


async def _series(uow: UnitOfWork, asked: Question, zone: ZoneInfo) -> list[Series]:
    """One series for each meter that the measure adds up; all have the same buckets."""
    start = asked.within.start(uow.now, zone)
    return await metering.series_of(
        uow,
        meters=METERS_OF[asked.measure],
        start=start,
        end=max(uow.now, start + MOMENT),
        granularity=asked.granularity,
        group_by=asked.group_by,
        where=asked.where,
        measure=_ranked(asked),
        groups_max=SERIES_MAX,
    )


async def _totals(uow: UnitOfWork, asked: Question, start: datetime, end: datetime) -> dict[str, list[Total]]:
    """Totals by meter and by group, which is the model when nothing else is asked for; the groups are those with
    most of what the chart draws."""
    return await metering.totals_of(
        uow,
        meters=TABLE_METERS,
        start=start,
        end=end,
        group_by=asked.group_by or GroupBy.MODEL,
        where=asked.where,
        ranked_by=METERS_OF[asked.measure],
        measure=_ranked(asked),
    )


def _ranked(asked: Question) -> Measure:
    return Measure.COST if asked.measure == "cost" else Measure.QUANTITY


def _drill_down(row: dict[str, Any], chosen: dict[str, str], since: str) -> str:
    """The requests whose sum a row is."""
    group = chosen.get("group", "model")
    kept = {name: value for name, value in chosen.items() if name in {"model", "key", "project"}}
    called = {"key": "key_id", "project": "project_id"}  # there, as the list of requests has it
    asked = {called.get(name, name): value for name, value in (kept | {group: str(row["group"])}).items()}
    return with_query("/portal/requests", asked | {"started_at[gte]": since})


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
