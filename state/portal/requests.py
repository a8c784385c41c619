"""Calls of the gateway: each one, with what it used and cost and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import reflex as rx

from services.catalog.rules import CostLine
from services.core.permissions import Capability
from services.gateway import queries as gateway
from services.identity import key_queries
from services.metering import requests
from services.metering.requests import RequestDetail, RequestFilter, RequestRow
from state.base import PageState, page_event
from state.days import midnight, midnight_after
from state.filters import FilteredState
from state.format import decimal_text, instant_text
from state.portal.keys import offered_projects

ROWS_PER_PAGE = 50
KEYS_OFFERED_MAX = 200
NEW_ROWS_COUNTED_MAX = 100


class RequestsState(FilteredState, rx.State):
    """One page of the request log. `newer` counts calls that came after it was read and wait to be shown."""

    _filter_keys: ClassVar[tuple[str, ...]] = ("model", "key", "project", "outcome", "from", "to", "since")

    rows: list[dict[str, Any]] = []
    models: list[dict[str, str]] = []
    keys: list[dict[str, str]] = []
    projects: list[dict[str, str]] = []
    next_cursor: str = ""
    is_first: bool = True
    newer: int = 0
    read_at: str = ""

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        chosen = self._show_filters()
        cursor = self._query.get("after", "")
        async with self._unit_of_work() as uow:
            found = await requests.page(
                uow, limit=ROWS_PER_PAGE, after=cursor or None, where=request_filter(chosen, self._zone)
            )
            offered = await gateway.models(uow)
            self.projects = await offered_projects(uow)
            keys = (
                await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
                if self._actor.may(Capability.KEYS_READ)
                else []
            )
            self.read_at = instant_text(uow.wall_now)
        names = {key.id: key.name for key in keys}
        self.rows = [request_shown(row, names) for row in found.rows]
        self.next_cursor = found.next or ""
        self.is_first = not cursor
        self.newer = 0
        self.models = [{"id": model.slug, "label": model.name} for model in offered]
        self.keys = [{"id": key.id, "label": f"{key.name} ({key.prefix}\u2026)"} for key in keys]

    @page_event(Capability.USAGE_READ)
    async def count_newer(self) -> None:
        """Something happened: say how much is new, and leave the rows under the pointer where they are."""
        if not self.is_first:
            return
        where = request_filter(self._chosen_filters(), self._zone)
        async with self._unit_of_work() as uow:
            found = await requests.page(uow, limit=NEW_ROWS_COUNTED_MAX, where=where)
        newest = str(self.rows[0]["id"]) if self.rows else ""
        ids = [row.id for row in found.rows]
        self.newer = ids.index(newest) if newest in ids else len(ids)

    @page_event(Capability.USAGE_READ)
    async def next_page(self) -> Any:
        return self._go(self._chosen_filters() | {"after": self.next_cursor})

    @page_event(Capability.USAGE_READ)
    async def first_page(self) -> Any:
        return self._go(self._chosen_filters())


def request_filter(chosen: dict[str, str], zone: ZoneInfo) -> RequestFilter:
    """The filters of an address; days are the organisation's, the last one included, and nonsense is no filter."""
    first = _instant(chosen.get("since", "")) or midnight(chosen.get("from", ""), zone)
    outcomes = {"ok": False, "failed": True}
    return RequestFilter(
        models=(chosen["model"],) if "model" in chosen else (),
        keys=(chosen["key"],) if "key" in chosen else (),
        projects=(chosen["project"],) if "project" in chosen else (),
        failed=outcomes.get(chosen.get("outcome", "")),
        start=first,
        end=midnight_after(chosen.get("to", ""), zone),
    )


def _instant(text: str) -> datetime | None:
    """An exact moment, as links from sums to their rows carry it."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def request_shown(row: RequestRow, key_names: dict[str, str]) -> dict[str, Any]:
    """A call as lists show it. A call without a key came from the playground."""
    return {
        "id": row.id,
        "href": f"/portal/requests/{row.id}",
        "started_at": instant_text(row.started_at),
        "model": row.model,
        "endpoint": row.endpoint,
        "key": key_names.get(row.key_id, row.key_id),
        "outcome": "ok" if row.status < 400 else "failed",
        "status": row.status,
        "error_code": row.error_code,
        "streamed": row.streamed,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "latency_ms": row.latency_ms,
        "cost": decimal_text(row.cost),
        "currency": row.currency,
    }


class RequestState(PageState, rx.State):
    """One call and the arithmetic of its cost."""

    request: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    unpriced: list[str] = []

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        self.request, self.lines, self.unpriced = {}, [], []
        request_id = self.router.url.path.rstrip("/").rsplit("/", 1)[-1]
        async with self._unit_of_work() as uow:
            found = await requests.detail(uow, request_id)
            keys = (
                await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
                if self._actor.may(Capability.KEYS_READ)
                else []
            )
        names = {key.id: key.name for key in keys}
        self.request = request_shown(found.row, names) | _more(found)
        self.unpriced = list(found.unpriced)
        self.lines = [
            {
                "id": line.meter,
                "meter": line.meter,
                "quantity": decimal_text(line.quantity),
                "unit_amount": decimal_text(line.unit_amount),
                "per_units": line.per_units,
                "amount": decimal_text(line.amount),
                "currency": found.row.currency,
                "price_id": line.price_id,
            }
            for line in sorted(found.explanation, key=_order)
        ]


def _order(line: CostLine) -> int:
    """What goes in before what comes out."""
    return -1 if line.meter == "prompt_tokens" else 0


def _more(found: RequestDetail) -> dict[str, Any]:
    return {
        "first_token_ms": found.row.first_token_ms,
        "attempts": found.row.attempts,
        "tokens_source": found.row.tokens_source,
        "trace_id": found.row.trace_id,
    }
