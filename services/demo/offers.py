"""The plans on sale in the demo: three to compare, an add-on, and a coupon, in the demo's currencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from models.types import BillingInterval
from services.catalog import coupons, plan_queries, plans
from services.catalog.coupons import CouponFields
from services.catalog.plan_rules import ChargeFields, EntitlementFields
from services.catalog.plans import VersionFields
from services.core.errors import not_found
from services.core.work import UnitOfWork
from services.demo.progress import Made

YEAR_MONTHS = 10  # what a year costs: two months are a gift
MONTH, YEAR = BillingInterval.MONTH, BillingInterval.YEAR
Amounts = dict[str, str]  # of a month, by currency, in major units


@dataclass(frozen=True, slots=True)
class Offered:
    """A plan of the demo: what the house and a seat cost a month, and tokens above those included."""

    slug: str
    name: str
    description: str
    base: Amounts
    seat: Amounts | None = None
    included_tokens: int = 0
    token: Amounts | None = None
    trial_days: int = 0
    gives: tuple[tuple[str, str, str, str], ...] = ()
    addon: bool = False


TOKENS: Amounts = {"USD": "0.0000024", "EUR": "0.00000224", "JPY": "0.00036"}
OFFERED = (
    Offered(
        "starter", "Starter", "To try things out: a million tokens a month, then by use.",
        {"USD": "0", "EUR": "0", "JPY": "0"},
        included_tokens=1_000_000,
        token=TOKENS,
        gives=(("projects", "Projects", "number", "3"), ("sso", "Single sign-on", "flag", "false"),
               ("support", "Support", "text", "Community")),
    ),
    Offered(
        "team", "Team", "For people who build together.",
        {"USD": "49", "EUR": "45", "JPY": "7000"},
        {"USD": "12.50", "EUR": "11.50", "JPY": "1800"},
        included_tokens=20_000_000,
        token=TOKENS,
        trial_days=14,
        gives=(("projects", "Projects", "number", "25"), ("sso", "Single sign-on", "flag", "true"),
               ("support", "Support", "text", "By mail, within a working day")),
    ),
    Offered(
        "scale", "Scale", "For products that many people use.",
        {"USD": "490", "EUR": "450", "JPY": "70000"},
        {"USD": "9", "EUR": "8", "JPY": "1300"},
        included_tokens=250_000_000,
        token=TOKENS,
        gives=(("projects", "Projects", "number", "1000"), ("sso", "Single sign-on", "flag", "true"),
               ("support", "Support", "text", "By telephone, within an hour")),
    ),
    Offered(
        "priority-support", "Priority support", "Answers within the hour, day and night.",
        {"USD": "199", "EUR": "179", "JPY": "29000"},
        addon=True,
    ),
)  # fmt: skip


async def publish_plans(uow: UnitOfWork, _: Made) -> Made:
    """Everything above, as a member of staff would build it."""
    product = await plans.create_product(
        uow, slug="platform", name="AI platform", description="Models, keys and usage in one place."
    )
    hosts: list[str] = []
    for one in OFFERED:
        plan = await plans.create_plan(
            uow,
            product_id=product.id,
            slug=one.slug,
            name=one.name,
            description=one.description,
            addon_to=hosts if one.addon else (),
        )
        draft = await plan_queries.newest_version(uow, plan.id)
        if draft is None:
            raise not_found("draft", plan.id)
        given = VersionFields(
            charges=list(_charges(one)),
            entitlements=[EntitlementFields(*gift) for gift in one.gives],
            trial_days=one.trial_days,
        )
        await plans.change_draft(uow, draft.id, given)
        await plans.publish_version(uow, draft.id)
        hosts += [] if one.addon else [plan.id]
    await coupons.create_coupon(
        uow,
        CouponFields(
            "WELCOME-20", "A fifth off for three months", rate=Decimal("0.2"), duration="periods", periods=3
        ),
    )
    return {}


def _charges(one: Offered) -> Iterator[ChargeFields]:
    for currency, amount in one.base.items():
        for interval in (MONTH, YEAR):
            flat = {"model": "flat", "amount": _of(amount, interval)}
            yield _charge("base", one.name, "flat", currency, flat, interval)
    for currency, amount in (one.seat or {}).items():
        for interval in (MONTH, YEAR):
            each = {"model": "per_unit", "unit_amount": _of(amount, interval)}
            yield _charge("seats", "Seats", "seat", currency, each, interval, quantity_min=Decimal(1))
    for currency, amount in (one.token or {}).items():
        tiers = [
            {"up_to": str(one.included_tokens), "unit_amount": "0"},
            {"up_to": None, "unit_amount": amount},
        ]
        # By the month, also beside a year: a year of usage is not lent.
        used = {"model": "graduated", "tiers": tiers}
        yield _charge("tokens", "Input tokens", "metered", currency, used, MONTH, meter="prompt_tokens")


def _of(month: str, interval: BillingInterval) -> str:
    return month if interval is MONTH else f"{Decimal(month) * YEAR_MONTHS:f}"


def _charge(
    key: str, name: str, kind: str, currency: str, definition: Any, interval: BillingInterval, **more: Any
) -> ChargeFields:
    return ChargeFields(key, name, kind, currency, definition, interval=interval, **more)
