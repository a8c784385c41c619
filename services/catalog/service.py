"""Changing the price book. Prices are replaced, never edited, so that every cost stays explainable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.catalog import Price
from models.money import EXACT_PLACES, UnknownCurrency, exact
from models.money import currency as currency_of
from services.catalog.events import PriceSet
from services.catalog.rules import PER_UNITS_MAX, PRICEABLE, UNIT_AMOUNT_MAX
from services.core.database import database
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class _Latest:
    id: str
    valid_from: datetime
    valid_to: datetime | None


async def set_price(
    uow: UnitOfWork,
    *,
    model: str,
    meter: str,
    currency: str,
    unit_amount: Decimal,
    per_units: int = 1_000_000,
    valid_from: datetime | None = None,
) -> Price:
    """Let `per_units` of `meter` on `model` cost `unit_amount` from `valid_from` (default: now) on.

    The price before it ends at that instant. Needs work that crosses tenants, for staff. The past is told by
    wall time: the book belongs to no organisation, so no organisation's clock rules it.
    Raises Invalid, NotFound for the model, and Conflict when a later price is already planned.
    """
    uow.actor.require(Capability.STAFF_PRICES_WRITE)
    amount = _amount(unit_amount)
    starts = _start(valid_from, uow.wall_now)
    _check_terms(meter, currency, per_units, starts)
    # One change of a model's prices at a time: the two that meet would both close the same predecessor.
    known = await uow.execute("select slug from model where slug = :slug for no key update", slug=model)
    if known.one_or_none() is None:
        raise not_found("model", model)

    latest = await _latest(uow, model, meter, currency)
    if latest is not None:
        await _close(uow, latest, starts)
    price = Price(
        id=new_id("prc"),
        model=model,
        meter=meter,
        currency=currency,
        unit_amount=amount,
        per_units=per_units,
        valid_from=starts,
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    uow.add(price)
    uow.record(
        PriceSet(
            aggregate_id=price.id,
            organization_id=None,
            model=model,
            meter=meter,
            currency=currency,
            unit_amount=f"{amount:f}",
            per_units=per_units,
            valid_from=starts,
        )
    )
    await uow.session.flush()
    # Gateways reserve by the prices they know what a call may cost.
    uow.after_commit(lambda: database().wakeups.poke(KEYS_CHANGED, price.id))
    return price


def _amount(unit_amount: Any) -> Decimal:
    if not isinstance(unit_amount, Decimal):
        raise Invalid("A price is an exact decimal, not a float.", field="unit_amount")
    if not unit_amount.is_finite():
        raise Invalid(f"{unit_amount} is not a price.", field="unit_amount")
    if unit_amount < 0:
        raise Invalid(f"A price is not negative, and {unit_amount} is.", field="unit_amount")
    if unit_amount > UNIT_AMOUNT_MAX:
        raise Invalid(f"{unit_amount} is more than {UNIT_AMOUNT_MAX}.", field="unit_amount")
    amount = exact(unit_amount)
    if amount != unit_amount:
        raise Invalid(f"A price has at most {EXACT_PLACES} decimal places.", field="unit_amount")
    return amount


def _start(valid_from: datetime | None, wall_now: datetime) -> datetime:
    if valid_from is None:
        return wall_now
    if valid_from.tzinfo is None:
        raise Invalid("Say in which timezone the price starts.", field="valid_from")
    if valid_from < wall_now:
        raise Invalid(
            f"A price cannot start in the past ({valid_from.isoformat()}): usage since then is already rated.",
            field="valid_from",
            next_step="Leave the start out to change the price now, or choose a later time.",
        )
    return valid_from


def _check_terms(meter: str, currency: str, per_units: Any, starts: datetime) -> None:
    if meter not in PRICEABLE:
        known = ", ".join(PRICEABLE)
        raise Invalid(f"{meter!r} cannot be priced.", field="meter", next_step=f"Choose one of: {known}.")
    if type(per_units) is not int or not 1 <= per_units <= PER_UNITS_MAX:
        raise Invalid(f"A price is for 1 to {PER_UNITS_MAX:,} units.", field="per_units")
    try:
        known_currency = currency_of(currency)
    except UnknownCurrency as error:
        raise Invalid(str(error), field="currency") from error
    if not known_currency.valid_on(starts.date()):
        raise Invalid(f"{currency} is not legal tender on {starts.date()}.", field="currency")


async def _latest(uow: UnitOfWork, model: str, meter: str, currency: str) -> _Latest | None:
    found = await uow.execute(
        "select id, valid_from, valid_to from price where model = :model and meter = :meter"
        " and currency = :currency order by valid_from desc limit 1",
        model=model,
        meter=meter,
        currency=currency,
    )
    row = found.one_or_none()
    return _Latest(*row) if row is not None else None


async def _close(uow: UnitOfWork, latest: _Latest, at: datetime) -> None:
    if latest.valid_from >= at:
        raise Conflict(
            f"A price starting {latest.valid_from.isoformat()} is already there.",
            code="price_overlap",
            next_step="Let the new price start after it.",
        )
    if latest.valid_to is None or latest.valid_to > at:
        await uow.execute("update price set valid_to = :at where id = :id", at=at, id=latest.id)
