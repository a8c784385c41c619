"""From what somebody asks for to what is sold: plans, quantities and add-ons, as prices of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from models.plans import ChargeKind
from models.types import BillingInterval
from services.catalog import sold_prices
from services.catalog.charges import check_quantity
from services.catalog.estimates import require_allowed
from services.catalog.plan_rules import Length, offers_of, within
from services.catalog.sold_prices import SOLD_KNOWN_MAX, SoldPrice
from services.core.errors import Invalid, not_found
from services.core.work import UnitOfWork
from services.subscriptions.subscribed import Choice, Price, Selection, Subscribed

ADDONS_MAX = 20
_ONE, _NONE = Decimal(1), Decimal(0)
Quantities = Mapping[str, Decimal]
_PLANS = """
select p.id, p.addon_to, v.id as sold from plan p
left join plan_version v on v.plan_id = p.id and v.state = 'published' where p.id = any(:ids)
"""
_VERSION = "select id from plan_version where plan_id = :plan_id and number = :number and state <> 'draft'"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `quantities` are by the keys of what is sold by seats or pieces; what is left out is taken as
    little as can be. `addons` are quantities by the ids of their plans."""

    plan_id: str
    currency: str
    interval: str
    interval_count: int = 1
    quantities: Quantities = field(default_factory=dict[str, Decimal])
    addons: Mapping[str, Quantities] = field(default_factory=dict[str, Quantities])


async def select(
    uow: UnitOfWork, wanted: Wanted, *, standing: Subscribed | None = None, plan_version: int | None = None
) -> Selection:
    """The prices of what is asked for. Who has a version of a plan keeps it, even if it is sold no more; staff may sell
    any `plan_version` that was ever published.

    Raises NotFound for a plan that is not for sale, and Invalid naming the field at fault.
    """
    length = _length(wanted)
    if len(wanted.addons) > ADDONS_MAX:
        raise Invalid(f"At most {ADDONS_MAX} add-ons go with a plan.", field="addons")
    had = (
        _had(standing) if plan_version is None else {wanted.plan_id: await _chosen(uow, wanted, plan_version)}
    )
    versions = await _versions(uow, wanted, had)
    sold = await sold_prices.prices(uow, version_ids=list(versions.values()))
    choices = choices_of(sold, versions[wanted.plan_id], wanted, length, wanted.quantities)
    for plan_id, quantities in wanted.addons.items():
        with within(f"addons.{plan_id}"):
            choices += choices_of(sold, versions[plan_id], wanted, length, quantities, addon=True)
    return Selection(
        wanted.plan_id, versions[wanted.plan_id], wanted.currency.upper(), length, tuple(choices)
    )


def _length(wanted: Wanted) -> Length:
    try:
        return Length(BillingInterval(wanted.interval), wanted.interval_count)
    except ValueError:
        raise Invalid(
            f"{wanted.interval[:40]!r} is no billing interval.",
            field="interval",
            next_step=f"Use one of {', '.join(BillingInterval)}.",
        ) from None


def _had(standing: Subscribed | None) -> dict[str, str]:
    """The versions that a subscription has, by plan."""
    if standing is None:
        return {}
    had = {item.price.plan_id: item.price.version_id for item in standing.running if item.price.addon}
    return had | {standing.plan_id: standing.version_id}


async def _chosen(uow: UnitOfWork, wanted: Wanted, number: int) -> str:
    found = await uow.execute(_VERSION, plan_id=wanted.plan_id, number=number)
    if (version_id := found.scalar_one_or_none()) is None:
        raise Invalid(
            f"This plan has no version {number} that was published.",
            field="plan_version",
            next_step="Leave it out for the one that is sold.",
        )
    return version_id


async def _versions(uow: UnitOfWork, wanted: Wanted, had: Mapping[str, str]) -> dict[str, str]:
    """The version of each plan: the one that is had, else the one that is sold. Add-ons fit the plan."""
    found = await uow.execute(_PLANS, ids=[wanted.plan_id, *wanted.addons])
    plans = {row.id: row for row in found}
    versions = {plan_id: had.get(plan_id) or row.sold for plan_id, row in plans.items()}
    for plan_id in (wanted.plan_id, *wanted.addons):
        if versions.get(plan_id) is None:
            raise not_found("plan for sale", plan_id)
    if plans[wanted.plan_id].addon_to:
        raise Invalid("This is an add-on: choose the plan that it is added to.", field="plan_id")
    for plan_id in wanted.addons:
        if wanted.plan_id not in plans[plan_id].addon_to:
            raise Invalid(
                "This cannot be added to the plan.",
                field=f"addons.{plan_id}",
                code="addon_does_not_fit",
                next_step="Leave it out, or choose a plan that it goes with.",
            )
    return versions


def choices_of(
    sold: Sequence[SoldPrice],
    version_id: str,
    wanted: Wanted,
    length: Length,
    quantities: Quantities,
    *,
    addon: bool = False,
) -> list[Choice]:
    """One price for each key of the version, in the currency and for the interval asked for."""
    prices = [one for one in sold if one.version_id == version_id]
    currency = wanted.currency.upper()
    offers = offers_of([one.charge for one in prices])
    offer = next((one for one in offers if one.currency == currency and one.length.size == length.size), None)
    if offer is None:
        known = ", ".join(dict.fromkeys(f"{one.currency} by {one.length}" for one in offers))
        raise Invalid(
            f"This is not sold in {currency[:3]} by {length}.",
            field="currency" if currency not in {one.currency for one in offers} else "interval",
            next_step=f"It is sold in {known}.",
        )
    bought = [prices[place] for place in offer.charges]
    _require_known(quantities, bought)
    return [
        Choice(price_of(one, addon=addon), _quantity(one, quantities.get(one.charge.key))) for one in bought
    ]


def _require_known(quantities: Quantities, bought: Sequence[SoldPrice]) -> None:
    counted = {one.charge.key for one in bought if one.charge.kind in (ChargeKind.SEAT, ChargeKind.ONE_OFF)}
    for key in quantities:
        if key not in counted:
            raise Invalid(
                f"Nothing called {key[:64]!r} is chosen here by number.",
                field=f"quantities.{key[:64]}",
                next_step=f"What is: {', '.join(sorted(counted)) or 'nothing'}.",
            )


def _quantity(price: SoldPrice, asked: Decimal | None) -> Decimal:
    match price.charge.kind:
        case ChargeKind.FLAT:
            return _ONE
        case ChargeKind.METERED:
            return _NONE
        case _:
            with within("quantities"):
                quantity = asked if asked is not None else price.charge.quantity_min
                check_quantity(quantity, price.charge.key)
                require_allowed(price.charge, quantity, price.charge.key)
                return quantity


@lru_cache(maxsize=SOLD_KNOWN_MAX)
def price_of(sold: SoldPrice, *, addon: bool) -> Price:
    """The same one for the same price, which many subscriptions have."""
    return Price(sold.id, sold.plan_id, sold.version_id, sold.charge, addon, sold.tax_code)


# -- kept with a change that waits


def selection_to_json(selection: Selection) -> dict[str, Any]:
    return {
        "plan_id": selection.plan_id,
        "version_id": selection.version_id,
        "currency": selection.currency,
        "interval": selection.length.interval.value,
        "interval_count": selection.length.count,
        "choices": [{"price_id": one.price.id, "quantity": f"{one.quantity:f}"} for one in selection.choices],
        "moved_by": selection.moved_by,
    }


def selection_from_json(kept: Mapping[str, Any], sold: Mapping[str, SoldPrice]) -> Selection:
    """`sold` has every price that is named, by its id."""
    return Selection(
        kept["plan_id"],
        kept["version_id"],
        kept["currency"],
        Length(BillingInterval(kept["interval"]), kept["interval_count"]),
        tuple(
            Choice(
                price_of(sold[one["price_id"]], addon=sold[one["price_id"]].plan_id != kept["plan_id"]),
                Decimal(one["quantity"]),
            )
            for one in kept["choices"]
        ),
        kept.get("moved_by", ""),
    )
