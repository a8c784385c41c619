"""Reads of the price book."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.catalog.rules import PriceBook, Terms
from services.core.permissions import Capability
from services.core.work import UnitOfWork

HISTORY_ROWS_MAX = 1_000

_COLUMNS = "id, model, meter, currency, unit_amount, per_units, valid_from, valid_to, created_by"


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
    uow: UnitOfWork, *, at: datetime | None = None, currency: str | None = None
) -> list[PriceRow]:
    """Prices valid at `at` (default: business now), by model and meter. Whoever may see models may see them."""
    if not uow.actor.may(Capability.STAFF_PRICES_READ):
        uow.actor.require(Capability.MODELS_READ)
    moment = at or uow.now
    found = await uow.execute(
        f"select {_COLUMNS} from price where valid_from <= :at and (valid_to is null or valid_to > :at)"
        " and (cast(:currency as text) is null or currency = :currency) order by model, currency, meter",
        at=moment,
        currency=currency,
    )
    return [_row(row, moment) for row in found]


async def history(uow: UnitOfWork, *, model: str | None = None) -> list[PriceRow]:
    """Every price there is, was or will be, the newest of each model and meter first."""
    uow.actor.require(Capability.STAFF_PRICES_READ)
    found = await uow.execute(
        f"select {_COLUMNS} from price where cast(:model as text) is null or model = :model"
        " order by model, currency, meter, valid_from desc limit :most",
        model=model,
        most=HISTORY_ROWS_MAX,
    )
    # Prices belong to nobody, so their state is told by wall time and not by any organisation's clock.
    return [_row(row, uow.wall_now) for row in found]


def _row(row: Any, at: datetime) -> PriceRow:
    if row.valid_from > at:
        state = PriceState.PLANNED
    elif row.valid_to is not None and row.valid_to <= at:
        state = PriceState.ENDED
    else:
        state = PriceState.CURRENT
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
        state,
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
