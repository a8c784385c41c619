"""Reads of the price book."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.catalog.rules import PRICEABLE, PriceBook, Terms
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
    state: PriceState


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
    return await _listed(
        uow, at=at or uow.now, states=[PriceState.CURRENT], currency=currency, after=after, limit=limit
    )


async def history(
    uow: UnitOfWork,
    *,
    model: str | None = None,
    states: Collection[PriceState] = (),
    after: str | None = None,
    limit: int,
) -> list[PriceRow]:
    """Prices there are, were or will be, from behind the price `after` (an id): by model and currency, what goes
    in before what comes out, the newest first. No states means all."""
    uow.actor.require(Capability.STAFF_PRICES_READ)
    # Prices belong to nobody, so their state is told by wall time and not by any organisation's clock.
    return await _listed(
        uow, at=uow.wall_now, states=states or list(PriceState), model=model, after=after, limit=limit
    )


async def _listed(
    uow: UnitOfWork,
    *,
    at: datetime,
    states: Collection[PriceState],
    model: str | None = None,
    currency: str | None = None,
    after: str | None,
    limit: int | None,
) -> list[PriceRow]:
    found = await uow.execute(
        f"select id, model, meter, currency, unit_amount, per_units, valid_from, valid_to, created_by,"
        f" {_STATE} as state from price"
        f" where {_STATE} = any(:states) and (cast(:model as text) is null or model = :model)"
        " and (cast(:currency as text) is null or currency = :currency)"
        f" and (cast(:after as text) is null or ({_PLACE}) > (select {_PLACE} from price where id = :after))"
        f" order by {_PLACE} limit cast(:most as bigint)",
        at=at,
        states=[state.value for state in states],
        model=model,
        currency=currency,
        after=after,
        meters=list(PRICEABLE),
        most=limit,
    )
    return [_row(row) for row in found]


def _row(row: Any) -> PriceRow:
    return PriceRow(
        row.id,
        row.model,
        row.meter,
        row.currency,
        row.unit_amount,
        row.per_units,
        row.valid_from,
        row.valid_to,
        row.created_by,
        PriceState(row.state),
    )


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


async def terms_by_id(uow: UnitOfWork, price_ids: Collection[str]) -> dict[str, Terms]:
    """Terms by meter of the prices that one event was rated with."""
    found = await uow.execute(
        "select meter, id, unit_amount, per_units, valid_from, valid_to from price where id = any(:ids)",
        ids=list(price_ids),
    )
    return {row.meter: _terms(row) for row in found}


def _terms(row: Any) -> Terms:
    return Terms(row.id, row.unit_amount, row.per_units, row.valid_from, row.valid_to)
