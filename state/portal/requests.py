"""Calls of the gateway: each one, with what it used and cost and why."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.catalog.rules import CostLine
from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.gateway import queries as gateway
from services.identity import key_queries
from services.metering import requests
from services.metering.requests import RequestDetail, RequestRow
from state.base import PageState, page_event
from state.format import decimal_text, instant_text
from state.listed import ListedState
from state.portal.keys import offered_projects

KEYS_OFFERED_MAX = 200
NEW_ROWS_COUNTED_MAX = 100


class RequestsState(ListedState, rx.State):
    """One page of the request log. `newer` counts calls that came after it was read and wait to be shown."""

    _listing: ClassVar[Listing[Any]] = requests.REQUESTS
    _file_url: ClassVar[str] = "/api/v1/requests"
    _filter_keys: ClassVar[tuple[str, ...]] = (
        "model",
        "key_id",
        "project_id",
        "outcome",
        "started_at[gte]",
        "started_at[lt]",
    )

    models: list[dict[str, str]] = []
    keys: list[dict[str, str]] = []
    projects: list[dict[str, str]] = []
    newer: int = 0
    read_at: str = ""

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, requests.REQUESTS)
            offered = await gateway.models(uow)
            self.projects = await offered_projects(uow)
            keys = (
                await key_queries.list_keys(uow, limit=KEYS_OFFERED_MAX)
                if self._actor.may(Capability.KEYS_READ)
                else []
            )
            self.read_at = instant_text(uow.wall_now)
        names = {key.id: key.name for key in keys}
        self.rows = [request_shown(row, names) for row in found]
        self.newer = 0
        self.models = [{"id": model.slug, "label": model.name} for model in offered]
        self.keys = [{"id": key.id, "label": f"{key.name} ({key.prefix}\u2026)"} for key in keys]

    @page_event(Capability.USAGE_READ)
    async def count_newer(self) -> None:
        """Something happened: say how much is new, and leave the rows under the pointer where they are."""
        query = self._asked()
        if self.previous_place or query.sorted_by != requests.REQUESTS.sort:
            return
        async with self._unit_of_work() as uow:
            found = await listing_sql.page(uow, query, limit=NEW_ROWS_COUNTED_MAX)
        newest = str(self.rows[0]["id"]) if self.rows else ""
        ids = [row.id for row in found.rows]
        self.newer = ids.index(newest) if newest in ids else len(ids)


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
        request_id = self._address_id
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
