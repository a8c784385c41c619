"""Reads of single gateway requests: the list, and one with its cost explained."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.catalog import queries as catalog
from services.catalog.rules import CostLine, rate
from services.core.errors import Invalid, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering import queries, rules
from services.metering.sums import KEYS_OF_PROJECTS

PAGE_ROWS_MAX = 200

_COLUMNS = (
    "id, key_id, account_id, model, endpoint, streamed, status, error_code, prompt_tokens, completion_tokens,"
    " tokens_source, started_at, latency_ms, first_token_ms, attempts, cost, currency, trace_id"
)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One call. `cost` is exact; None when unpriced and for those who may not see costs."""

    id: str
    key_id: str
    account_id: str
    model: str
    endpoint: str
    streamed: bool
    status: int
    error_code: str
    prompt_tokens: int
    completion_tokens: int
    tokens_source: str
    started_at: datetime
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    cost: Decimal | None
    currency: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Empty means all. `failed` is None for both, True for statuses from 400 on, False for the others."""

    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    failed: bool | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestPage:
    """`next` is the cursor of the page after this one, None on the last page."""

    rows: tuple[RequestRow, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class RequestDetail:
    """`explanation` adds up to the cost; `unpriced` names the meters whose missing price left it without."""

    row: RequestRow
    explanation: tuple[CostLine, ...]
    unpriced: tuple[str, ...]


ALL = RequestFilter()


async def page(
    uow: UnitOfWork, *, limit: int = 50, after: str | None = None, where: RequestFilter = ALL
) -> RequestPage:
    """Requests, the latest first. `after` is the `next` of the page before. Raises Invalid."""
    uow.actor.require(Capability.USAGE_READ)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Invalid(f"A page has 1 to {PAGE_ROWS_MAX} rows.", field="limit")
    conditions, parameters = _conditions(where)
    if after is not None:
        # The first condition lets the index start at the right place; the second leaves out what was seen.
        conditions += ["started_at <= :at", "(started_at < :at or id > :last)"]
        parameters["at"], parameters["last"] = _read_cursor(after)
    found = await uow.execute(
        f"select {_COLUMNS} from request where organization_id = :organization_id"
        + "".join(f" and {condition}" for condition in conditions)
        + " order by started_at desc, id limit :most",
        {"organization_id": uow.organization_id, "most": limit + 1, **parameters},
    )
    rows = [_row(uow, row) for row in found]
    more = len(rows) > limit
    rows = rows[:limit]
    return RequestPage(tuple(rows), _cursor(rows[-1]) if more else None)


def _conditions(where: RequestFilter) -> tuple[list[str], dict[str, Any]]:
    given: list[tuple[bool, str, str, Any]] = [
        (bool(where.models), "model = any(:models)", "models", list(where.models)),
        (bool(where.keys), "key_id = any(:keys)", "keys", list(where.keys)),
        (bool(where.projects), f"key_id = any({KEYS_OF_PROJECTS})", "projects", list(where.projects)),
        (where.failed is not None, "(status >= 400) = :failed", "failed", where.failed),
        (where.start is not None, "started_at >= :start", "start", where.start),
        (where.end is not None, "started_at < :end", "end", where.end),
    ]
    chosen = [(condition, name, value) for present, condition, name, value in given if present]
    return [condition for condition, _, _ in chosen], {name: value for _, name, value in chosen}


def _row(uow: UnitOfWork, row: Any) -> RequestRow:
    values = dict(row._mapping)
    if not uow.actor.may(Capability.COST_READ):
        values["cost"] = None
    return RequestRow(**values)


def _cursor(row: RequestRow) -> str:
    return base64.urlsafe_b64encode(f"{row.started_at.isoformat()} {row.id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[datetime, str]:
    try:
        said = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at, _, identifier = said.partition(" ")
        moment = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise Invalid("This cursor was not made here.", field="after") from error
    if moment.tzinfo is None or not identifier.isprintable():
        raise Invalid("This cursor was not made here.", field="after")
    return moment, identifier


async def detail(uow: UnitOfWork, request_id: str) -> RequestDetail:
    """One request, and for those who may see costs, the prices that made its cost. Raises NotFound."""
    uow.actor.require(Capability.USAGE_READ)
    found = await uow.execute(
        f"select {_COLUMNS} from request where organization_id = :organization_id and id = :id",
        organization_id=uow.organization_id,
        id=request_id,
    )
    row = found.one_or_none()
    if row is None:
        raise not_found("request", request_id)
    shown = _row(uow, row)
    if not uow.actor.may(Capability.COST_READ):
        return RequestDetail(shown, (), ())
    return await _explained(uow, shown)


async def _explained(uow: UnitOfWork, row: RequestRow) -> RequestDetail:
    found = await uow.execute(
        "select properties, price_ids from usage_event"
        " where organization_id = :organization_id and source = :source and event_id = :id",
        organization_id=uow.organization_id,
        source=rules.GATEWAY_SOURCE,
        id=row.id,
    )
    event = found.one_or_none()
    if event is None:
        return RequestDetail(row, (), ())
    counted = {
        meter.slug: rules.added_by(meter.rule, event.properties, "event")
        for meter in await queries.meters(uow)
        if meter.platform and meter.event_type == rules.GATEWAY_TYPE
    }
    values = {slug: quantity for slug, quantity in counted.items() if quantity is not None}
    terms = await catalog.terms_by_id(uow, event.price_ids or ())
    rated = rate(rules.charged(values, event.properties), terms)
    return RequestDetail(row, rated.lines, rated.unpriced)
