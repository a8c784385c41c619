"""Plans on sale beside each other, in one currency and for one billing interval; what is had is marked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import reflex as rx

from models.plans import ChargeKind
from services.catalog import plan_queries, plan_rules
from services.catalog.plan_queries import PlanOnSale
from services.catalog.plan_rules import Offer
from services.core.permissions import Capability
from services.subscriptions import queries as subscription_queries
from services.subscriptions.queries import Running
from state import addresses, plan_view
from state.base import PageState, page_event
from state.format import decimal_text

PLANS_COMPARED_MAX = 50
USUAL_INTERVAL = "1-month"


class PlansOnSaleState(PageState, rx.State):
    """A card a plan. The address says the currency and the interval; both lists are what there is to choose."""

    plans: list[dict[str, Any]] = []
    addons: list[dict[str, Any]] = []
    currencies: list[dict[str, Any]] = []
    intervals: list[dict[str, Any]] = []

    @page_event(Capability.PLANS_READ, reads=True)
    async def load(self) -> None:
        may_look = Capability.SUBSCRIPTIONS_READ in self._actor.capabilities
        async with self._unit_of_work() as uow:
            found = await plan_queries.plans_on_sale(uow, limit=PLANS_COMPARED_MAX)
            running = await subscription_queries.running(uow) if may_look else []
        offers = {
            one.id: plan_rules.offers_of([plan_queries.planned(row) for row in one.charges]) for one in found
        }
        every = [offer for of_plan in offers.values() for offer in of_plan]
        first = next(iter(running), None)
        currency, usual = self._currency, USUAL_INTERVAL
        if first is not None:
            currency, usual = first.currency, f"{first.interval_count}-{first.interval}"
        currency = _chosen(self._query.get("currency", ""), [one.currency for one in every], currency)
        intervals = {plan_view.offer_key(one): one for one in every}
        interval = _chosen(self._query.get("interval", ""), list(intervals), usual)
        self.currencies = [
            {"id": code, "chosen": code == currency, "href": _address(code, interval)}
            for code in sorted({one.currency for one in every})
        ]
        self.intervals = [
            {
                "id": key,
                "interval": one.length.interval.value,
                "count": one.length.count,
                "chosen": key == interval,
                "href": _address(currency, key),
            }
            for key, one in intervals.items()
        ]
        made = [
            _card(plan, offers[plan.id], currency, interval) | _marked(plan, running, currency, interval)
            for plan in found
        ]
        cards = sorted(made, key=_place)
        self.plans = [card for card in cards if not card["is_addon"]]
        self.addons = [card for card in cards if card["is_addon"]]


def _chosen(asked: str, there: list[str], usual: str) -> str:
    """What was asked for if there is such a thing, else the usual one, else the first."""
    return next((one for one in (asked, usual, *there) if one in there), "")


def _address(currency: str, interval: str) -> str:
    return addresses.with_query("/portal/plans", {"currency": currency, "interval": interval})


def _place(card: dict[str, Any]) -> tuple[bool, Decimal]:
    """Plans are lined up by what is paid with nothing used and nobody seated; behind them those not sold like this."""
    return not card["sold"], Decimal(card["base"])


def _flat(charges: list[dict[str, Any]]) -> Decimal:
    """What is flat, together; credits that come with it are no price."""
    prices = [line for charge in _flat_ones(charges) for line in charge["lines"] if line["what"] == "flat"]
    return sum((Decimal(line["amount"]) for line in prices), Decimal(0))


def _flat_ones(charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [charge for charge in charges if charge["kind"] == ChargeKind.FLAT]


def _marked(plan: PlanOnSale, running: list[Running], currency: str, interval: str) -> dict[str, Any]:
    """Whether it is had, and where it is chosen: for the subscription that is there, or for a new one."""
    mine = next(
        (one for one in running if one.product_id == plan.product_id and one.currency == currency), None
    )
    had = mine is not None and plan.id in (mine.plan_id, *mine.addon_ids)
    asked = {"currency": currency, "interval": interval}
    if mine is None:
        address = addresses.with_query("/portal/subscribe", {"plan": plan.id, **asked})
    else:
        what = {"addon": plan.id} if plan.addon_to else {"plan": plan.id}
        address = addresses.with_query(f"/portal/subscriptions/{mine.id}/change", {**what, **asked})
    needs_plan = bool(plan.addon_to) and mine is None
    return {"had": had, "changes": mine is not None, "needs_plan": needs_plan, "choose": address}


def _card(plan: PlanOnSale, offers: tuple[Offer, ...], currency: str, interval: str) -> dict[str, Any]:
    offer = next(
        (one for one in offers if one.currency == currency and plan_view.offer_key(one) == interval), None
    )
    charges = [plan_view.charge_shown(plan.charges[place]) for place in (offer.charges if offer else ())]
    return {
        "id": plan.id,
        "name": plan.name,
        "description": plan.description,
        "product": plan.product,
        "is_addon": bool(plan.addon_to),
        "trial_days": plan.trial_days,
        "sold": offer is not None,
        "base": decimal_text(_flat(charges)),
        "with_tax": any(charge["with_tax"] for charge in _flat_ones(charges)),
        "currency": currency,
        "interval": offer.length.interval.value if offer else "",
        "interval_count": offer.length.count if offer else 1,
        "charges": [charge for charge in charges if charge["kind"] != ChargeKind.FLAT],
        "entitlements": plan_view.entitlements_shown(plan.entitlements),
    }
