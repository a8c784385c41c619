"""Reads of single gateway requests: the list, and one with its cost explained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.gateway import cost_order
from services.catalog import queries as catalog
from services.catalog.rules import CostLine, rate
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering import queries, rules


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
class RequestDetail:
    """`explanation` adds up to the cost; `unpriced` names the meters whose missing price left it without."""

    row: RequestRow
    explanation: tuple[CostLine, ...]
    unpriced: tuple[str, ...]


_EXACTLY = (Operator.EQ, Operator.NE, Operator.IN)
_WITHIN = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
_SIGNS = {Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<="}


def _costing(sign: str) -> str:
    """By the index of `cost_order` first, which says nearly the same and holds nothing less."""
    order = cost_order("greatest({value}, -9223372)")
    return f"r.cost {sign} {{value}} and r.cost_order {sign[0]}= {order}"


REQUESTS = Listing(
    "requests",
    row=RequestRow,
    needs=Capability.USAGE_READ,
    source="request r",
    where="r.organization_id = :organization_id",
    columns=(
        Column("id", "r.id", Kind.ID, filterable=True),
        Column("key_id", "r.key_id", Kind.ID, filterable=True),
        Column("account_id", "r.account_id", Kind.ID, filterable=True),
        Column("model", "r.model", Kind.ID, filterable=True),
        Column("endpoint", "r.endpoint", operators=_EXACTLY),
        Column("streamed", "r.streamed", Kind.FLAG, filterable=True),
        Column("status", "r.status", Kind.INTEGER, filterable=True),
        Column(
            "outcome",
            "case when r.status < 400 then 'ok' else 'failed' end",
            Kind.ENUM,
            values=("ok", "failed"),
            operators=(Operator.EQ,),
            shown=False,
            text="`failed` from status 400 on",
        ),
        Column(
            "project_id",
            kind=Kind.ID,
            operators=(Operator.EQ,),
            conditions={
                Operator.EQ: "r.key_id = any(array(select id from api_key"
                " where organization_id = :organization_id and project_id = {value}))"
            },
            shown=False,
            text="calls with the keys of this project",
        ),
        Column("error_code", "r.error_code", operators=_EXACTLY),
        Column("prompt_tokens", "r.prompt_tokens", Kind.INTEGER, operators=_WITHIN),
        Column("completion_tokens", "r.completion_tokens", Kind.INTEGER, operators=_WITHIN),
        Column("tokens_source", "r.tokens_source"),
        Column("started_at", "r.started_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("latency_ms", "r.latency_ms", Kind.INTEGER, sortable=True, unchanging=True, operators=_WITHIN),
        Column("first_token_ms", "r.first_token_ms", Kind.INTEGER, nullable=True),
        Column("attempts", "r.attempts", Kind.INTEGER),
        Column(
            "cost",
            "r.cost",
            Kind.DECIMAL,
            nullable=True,
            sortable=True,
            unchanging=True,
            ordered_by="r.cost_order",
            operators=_WITHIN,
            conditions={operator: _costing(sign) for operator, sign in _SIGNS.items()},
            currency="currency",
            needs=Capability.COST_READ,
        ),
        Column("currency", "r.currency"),
        Column("trace_id", "r.trace_id"),
    ),
    sort="-started_at",
)


async def detail(uow: UnitOfWork, request_id: str) -> RequestDetail:
    """One request, and for those who may see costs, the prices that made its cost. Raises NotFound."""
    shown = await listing_sql.find(uow, REQUESTS, request_id)
    if shown is None:
        raise not_found("request", request_id)
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
