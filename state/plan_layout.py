"""What there is to choose of a plan, as rows of a page: numbers, and add-ons with theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from models.plans import ChargeKind
from services.catalog.plan_queries import ChargeRow, PlanOnSale, VersionDetail
from services.catalog.plan_rules import Offer
from services.subscriptions.queries import ItemRow, SubscriptionDetail
from state import plan_view
from state.format import decimal_text

QUANTITY_DIGITS_MAX = 12


def recounted(rows: list[dict[str, Any]], slot: str, quantity: str) -> list[dict[str, Any]]:
    return [
        row | {"quantity": str(quantity)[:QUANTITY_DIGITS_MAX]} if row["id"] == slot else row for row in rows
    ]


def quantities(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    return {row["id"]: Decimal(row["quantity"]) for row in rows if _is_whole(row["quantity"])}


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= QUANTITY_DIGITS_MAX


def offer_of(sold: list[Offer], asked: str, usual: str) -> Offer:
    """The interval asked for, else the one that is had, else the first."""
    by_key = {plan_view.offer_key(one): one for one in sold}
    return by_key.get(asked) or by_key.get(usual) or sold[0]


def own_version(found: list[PlanOnSale], mine: VersionDetail) -> list[PlanOnSale]:
    """Plans on sale, with the version that is had in place of the one that is sold, also if none is any more."""
    own = PlanOnSale(
        id=mine.plan_id,
        slug=mine.plan_slug,
        name=mine.plan_name,
        description="",
        product="",
        product_id="",
        addon_to=[],
        number=mine.number,
        version_id=mine.id,
        trial_days=mine.trial_days,
        charges=mine.charges,
        entitlements=mine.entitlements,
    )
    sold = [
        replace(
            one,
            number=own.number,
            version_id=own.version_id,
            trial_days=own.trial_days,
            charges=own.charges,
        )
        if one.id == own.id
        else one
        for one in found
    ]
    return sold if any(one.id == own.id for one in found) else [own, *sold]


def counted_of(
    plan: PlanOnSale,
    offer: Offer,
    had: dict[tuple[str, str], ItemRow],
    standing: SubscriptionDetail | None,
) -> list[dict[str, Any]]:
    """What of a plan is chosen by number; as many as are had, of whatever plan."""
    by_key = {one.key: one for one in (standing.items if standing else ()) if not one.addon}
    return _rows(
        plan, offer, by_key | {key: item for (plan_id, key), item in had.items() if plan_id == plan.id}
    )


def _rows(plan: PlanOnSale, offer: Offer, had: Mapping[str, ItemRow]) -> list[dict[str, Any]]:
    """What is sold by number; as many as are had, else as few as make sense."""
    rows: list[dict[str, Any]] = []
    for place in offer.charges:
        charge = plan.charges[place]
        if charge.kind not in (ChargeKind.SEAT, ChargeKind.ONE_OFF):
            continue
        mine = had.get(charge.key)
        rows.append(_row(charge, mine.quantity if mine else max(charge.quantity_min, Decimal(1))))
    return rows


def _row(charge: ChargeRow, quantity: Decimal) -> dict[str, Any]:
    return {
        "id": charge.key,
        "name": charge.name,
        "quantity": decimal_text(quantity),
        "min": decimal_text(charge.quantity_min),
        "max": decimal_text(charge.quantity_max),
        "charge": plan_view.charge_shown(charge),
    }


def addons_of(
    found: list[PlanOnSale],
    plan: PlanOnSale,
    offers: dict[str, tuple[Offer, ...]],
    offer: Offer,
    standing: SubscriptionDetail | None,
    asked: str,
) -> list[dict[str, Any]]:
    """What goes with the plan, sold for the same time in the same currency; what is had is ticked."""
    items = [one for one in (standing.items if standing else ()) if one.addon]
    rows: list[dict[str, Any]] = []
    for one in found:
        fits = [
            o for o in offers[one.id] if (o.currency, o.length.size) == (offer.currency, offer.length.size)
        ]
        if plan.id not in one.addon_to or not fits:
            continue
        own = [item for item in items if item.plan_id == one.id]
        rows.append(
            {
                "id": one.id,
                "name": one.name,
                "description": one.description,
                "chosen": bool(own) or one.id == asked,
                "counted": _rows(one, fits[0], {item.key: item for item in own}),
                "charges": [plan_view.charge_shown(one.charges[place]) for place in fits[0].charges],
            }
        )
    return rows
