"""Reads of the price book."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.catalog.rules import PRICEABLE, PriceBook, Terms
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork

_STATE = "case when valid_from > :at then 'planned' when valid_to <= :at then 'ended' else 'current' end"
# No two prices share a place, and it never changes: prices are neither edited nor taken back.
_PLACE = "model, currency, array_position(cast(:meters as text[]), meter), -extract(epoch from valid_from)"


class PriceState(StrEnum):
    CURRENT = "current"
    PLANNED = "planned"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """`per_units` of `meter` on `model` cost `unit_amount` of `currency` in [valid_from, valid_to)."""

    id: str
    model: str
    meter: str
    currency: str
    unit_amount: Decimal
    per_units: int
    valid_from: datetime
    valid_to: datetime | None
    created_by: str | None
    state: str  # of PriceState


async def current(
    uow: UnitOfWork,
    *,
    at: datetime | None = None,
    currency: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[PriceRow]:
    """Prices valid at `at` (default: business now), in the order of the book. Whoever may see models may see
    them. They go on from behind the price `after`; without a limit they are all, at most one of each model,
    currency and meter."""
    if not uow.actor.may(Capability.STAFF_PRICES_READ):
        uow.actor.require(Capability.MODELS_READ)
    found = await uow.execute(
        "select id, model, meter, currency, unit_amount, per_units, valid_from, valid_to, created_by,"
        f" {_STATE} as state from price"
        f" where {_STATE} = 'current' and (cast(:currency as text) is null or currency = :currency)"
        f" and (cast(:after as text) is null or ({_PLACE}) > (select {_PLACE} from price where id = :after))"
        f" order by {_PLACE} limit cast(:most as bigint)",
        at=at or uow.now,
        currency=currency,
        after=after,
        meters=list(PRICEABLE),
        most=limit,
    )
    return [PriceRow(**row) for row in found.mappings()]


# What goes in before what comes out, and of each the newest first: as one text, since a list is sorted by one column.
_LINE = (
    "(model || ' ' || currency || ' ' || array_position(array["
    + ", ".join(f"'{meter}'" for meter in PRICEABLE)
    + "], meter) || ' '"
    " || lpad((7258118400000000 - (extract(epoch from valid_from) * 1000000)::bigint)::text, 16, '0'))"
    ' collate "C"'
)

PRICES = Listing(
    "staff.prices",
    row=PriceRow,
    needs=Capability.STAFF_PRICES_READ,
    source="price",
    columns=(
        Column("id", "id", Kind.ID, filterable=True),
        Column("line", _LINE, sortable=True, unchanging=True, shown=False),
        Column("model", "model", Kind.ID, sortable=True, unchanging=True, filterable=True),
        Column("meter", "meter", Kind.ENUM, values=PRICEABLE, filterable=True),
        Column("unit_amount", "unit_amount", Kind.DECIMAL, currency="currency"),
        Column("currency", "currency", filterable=True),
        Column("per_units", "per_units", Kind.INTEGER),
        Column("valid_from", "valid_from", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("valid_to", "valid_to", Kind.INSTANT, nullable=True, filterable=True),
        Column("created_by", "created_by", Kind.ID, nullable=True),
        # Prices belong to nobody, so their state is told by wall time and not by any organisation's clock.
        Column("state", _STATE.replace(":at", ":now"), Kind.ENUM, values=tuple(PriceState), filterable=True),
    ),
    sort="line",
)
VALID = ("state[in]", "current,planned")


async def book(
    uow: UnitOfWork,
    *,
    models: Collection[str],
    currencies: Collection[str],
    earliest: datetime,
    latest: datetime,
) -> PriceBook:
    """What rating usage of `models` between `earliest` and `latest` (both included) needs: one indexed query."""
    found = await uow.execute(
        "select model, currency, meter, id, unit_amount, per_units, valid_from, valid_to from price"
        " where model = any(:models) and currency = any(:currencies)"
        " and valid_from <= :latest and (valid_to is null or valid_to > :earliest)",
        models=list(models),
        currencies=list(currencies),
        earliest=earliest,
        latest=latest,
    )
    made = PriceBook()
    for row in found:
        made.add(row.model, row.currency, row.meter, _terms(row))
    return made


async def standing_book(uow: UnitOfWork, *, at: datetime) -> PriceBook:
    """All prices that are valid at `at` or later: what it takes to tell what usage from then on costs."""
    found = await uow.execute(
        "select model, currency, meter, id, unit_amount, per_units, valid_from, valid_to from price"
        " where valid_to is null or valid_to > :at",
        at=at,
    )
    made = PriceBook()
    for row in found:
        made.add(row.model, row.currency, row.meter, _terms(row))
    return made


async def terms_by_id(uow: UnitOfWork, price_ids: Collection[str]) -> dict[str, Terms]:
    """Terms by meter of the prices that one event was rated with."""
    found = await uow.execute(
        "select meter, id, unit_amount, per_units, valid_from, valid_to from price where id = any(:ids)",
        ids=list(price_ids),
    )
    return {row.meter: _terms(row) for row in found}


def _terms(row: Any) -> Terms:
    return Terms(row.id, row.unit_amount, row.per_units, row.valid_from, row.valid_to)
