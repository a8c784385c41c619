"""Who sells in mixed histories: a legal entity, plans in each of six currencies, coupons and a price list."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from models.billing import ZeroDocuments
from models.catalog import Price
from models.gateway import AiModel, Upstream
from models.money import Money
from models.plans import Plan
from models.types import Role
from services.billing import brands, entities, policies
from services.billing.entities import EntityFields
from services.billing.numbering import Reset
from services.catalog.plan_rules import ChargeFields
from services.core.actor import Actor, system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
from services.metering.service import ensure_platform_meters
from services.tax.rules import RoundingLevel
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import LONG_AGO, World

CURRENCIES = ("JPY", "KRW", "EUR", "USD", "KWD", "TND")
# Days that are longer and shorter by an hour and by half of one, and hours that begin at :30 and :45.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe",
)  # fmt: skip
WALL = FixedClock(datetime(2026, 3, 10, 9, tzinfo=UTC))
TOKENS = ("prompt_tokens", "completion_tokens")
PAYMENT_DAYS = 10  # of who has no terms of their own
# Who is not registered where the customers are, and takes no tax; rounds by document, and gives less time for usage.
ABROAD = EntityFields(
    code="US1", name="Matrix Inc.", address="1 Main St\nDover DE", country="US", currency="USD",
    timezone="America/New_York", registrations=("US",), tax_rounding=RoundingLevel.DOCUMENT, is_test=True,
    payment_days=PAYMENT_DAYS, grace_hours=6,
)  # fmt: skip
# Who takes the same tax as the usual one, rounded otherwise, and has numbers of its own.
SECOND = EntityFields(
    code="DE2", name="Matrix Zwei GmbH", address="Neue Str. 2\n20095 Hamburg", country="DE", currency="EUR",
    timezone="Europe/Berlin", registrations=("DE", "AT"), tax_rounding=RoundingLevel.DOCUMENT, is_test=True,
    payment_days=PAYMENT_DAYS, grace_hours=48,
)  # fmt: skip
BY_BRAND: dict[str, Any] = {
    "invoice_pattern": "{entity}-{brand}-{year}-{seq:6}",
    "note_pattern": "{entity}-{brand}-C{year}-{seq:6}",
}

OUT_TIERS = [
    {"up_to": "100", "unit_amount": "0.5", "flat_amount": "0"},
    {"up_to": None, "unit_amount": "0.0333", "flat_amount": "3"},
]
# What comes out, by volume: sixteen may cost less than fifteen.
OUT = {"model": "volume", "tiers": OUT_TIERS}
# What goes in, with all that a price gives and asks for once a period.
IN = {
    "model": "graduated", "tiers": [{"up_to": "900", "unit_amount": "0.02"}, {"up_to": None, "unit_amount": "0.003"}],
    "free_units": "200", "minimum": "3", "maximum": "17",
}  # fmt: skip
# With tax in it: a part of each event with bounds, and packages of one. What comes late changes the sum of either: else
# no line would tell of it.
FEE = {"model": "percentage", "rate": "0.029", "fixed_fee": "3", "event_minimum": "4"}
PACKS = {"model": "package", "amount": "1.19", "size": "1"}
SEATS = {
    "model": "graduated",
    "tiers": [
        {"up_to": "2", "unit_amount": "1.5", "flat_amount": "0.7"},
        {"up_to": None, "unit_amount": "0.9"},
    ],
}


@dataclass(frozen=True, slots=True)
class Offered:
    """A plan, and how it is sold: which version of it. `extra` are ids of what can be added to it. A version of what
    `is_tried` has a trial."""

    plan: Plan
    interval: str = "month"
    interval_count: int = 1
    extra: tuple[str, ...] = ()
    version: int = 1
    is_tried: bool = False


def each(key: str, kind: str, amount: str, **more: Any) -> list[ChargeFields]:
    """So much in every currency."""
    return [price(key, kind, amount, code, **more) for code in CURRENCIES]


def rated(key: str, kind: str, definition: Any, **more: Any) -> list[ChargeFields]:
    """By a definition, in every currency."""
    return [ChargeFields(key, key.title(), kind, code, definition, **more) for code in CURRENCIES]


class Market:
    """What all histories have in common: who sells, plans in each currency, and a price list."""

    def __init__(self, shop: Shop, staff: Actor) -> None:
        self.shop, self.staff, self.sold = shop, staff, Subscribers(shop)
        self.plans: list[Offered] = []
        self.brands: list[str] = []  # of the usual entity, its default one first, then of each other one
        self.entities: list[str] = []
        self.entity_of: dict[str, str] = {}  # by brand

    @classmethod
    async def open(cls, world: World) -> Market:
        shop = await open_shop(world, is_test=True, payment_days=PAYMENT_DAYS, grace_hours=24, **BY_BRAND)
        operator = await world.organization(name="House")
        market = cls(shop, world.actor(operator, Role.OPERATOR))
        async with crossing(Reason.CATALOG) as uow:
            await ensure_platform_meters(uow)
            uow.add(Upstream(id="ups_1", name="Up", created_at=LONG_AGO))
            await uow.session.flush()
            uow.add(
                AiModel(
                    id="model_m", slug="m", name="m", upstream_id="ups_1", upstream_model="m", context_tokens=1,
                    created_at=LONG_AGO,
                )
            )  # fmt: skip
            await uow.session.flush()
            for code in CURRENCIES:
                for meter, amount in zip(TOKENS, ("1.25", "7.77"), strict=True):
                    uow.add(
                        Price(
                            id=f"prc_{code}_{meter}", model="m", meter=meter, currency=code,
                            unit_amount=Decimal(amount), per_units=100, valid_from=LONG_AGO, created_at=LONG_AGO,
                        )
                    )  # fmt: skip
        await market._offer()
        await market._coupons()
        await market._brands()
        return market

    def default_of(self, entity_id: str) -> str:
        """The default brand of a legal entity."""
        return next(one for one, entity in self.entity_of.items() if entity == entity_id)

    async def make_usual(self, entity_id: str) -> None:
        """Have that one bill whoever has no other."""
        async with crossing(Reason.STAFF, actor=system()) as uow:
            row = await policies.entity_for(uow, entity_id, Capability.STAFF_INVOICES_WRITE)
            said: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(EntityFields)}
            said |= {
                "invoice_reset": Reset(row.invoice_reset), "note_reset": Reset(row.note_reset), "is_usual": True,
                "tax_rounding": RoundingLevel(row.tax_rounding), "zero_documents": ZeroDocuments(row.zero_documents),
            }  # fmt: skip
            await entities.change_entity(uow, entity_id, EntityFields(**said), version=row.version)

    async def _offer(self) -> None:
        """Plans of every kind and length: paid before and after, with what is metered, included, set up and added."""
        one = Decimal(1)
        out = rated("out", "metered", OUT, interval="month", proration="day", meter="completion_tokens")
        fed = rated(
            "in", "metered", IN, interval="day", interval_count=5, proration="second", meter="prompt_tokens"
        )
        for base, seat, policy, trial_days, more in (
            ("12.34", "4.44", "day", 0, rated("in", "metered", IN, interval="month", meter="prompt_tokens")),
            ("150", "3.33", "day", 0, []),
            ("60", "11.11", "fixed_30", 9, []),
        ):
            fixed = each("base", "flat", base, proration=policy)
            seats = each("seats", "seat", seat, proration=policy, quantity_min=one)
            plan = await self.sold.plan(*fixed, *seats, *more, trial_days=trial_days)
            self.plans.append(Offered(plan, is_tried=trial_days > 0))
        fixed = each("base", "flat", "19.99", proration="second")
        seats = each("seats", "seat", "7.77", proration="second", quantity_min=one)
        await self.sold.publish(self.plans[0].plan, *fixed, *seats, *out)
        by_week = await self.sold.plan(
            *each("base", "flat", "4.99", interval="week", proration="minute"),
            *each(
                "seats",
                "seat",
                "1.11",
                interval="week",
                proration="minute",
                timing="arrears",
                quantity_min=one,
            ),
            *each("setup", "one_off", "12.5"),
        )
        half_year = await self.sold.plan(
            *each("base", "flat", "199", interval="half_year", included_credits=Decimal(20)),
            *rated("seats", "seat", SEATS, interval="half_year", proration="fixed_30", quantity_min=one),
        )
        five_days = await self.sold.plan(
            *each("base", "flat", "2.1", interval="day", interval_count=5, proration="minute"),
            *each("seats", "seat", "0.6", interval="day", interval_count=5, quantity_min=one),
            *fed,
            *rated("out", "metered", IN, interval="day", interval_count=5, meter="completion_tokens"),
            trial_days=6,
        )
        await self.sold.publish(
            five_days,
            *each("base", "flat", "1.05", interval="day", interval_count=5, proration="second"),
            *rated("seats", "seat", SEATS, interval="day", interval_count=5, quantity_min=one),
            *fed,
        )
        month = self.plans[0].plan
        extra = await self.sold.plan(
            *each("more", "flat", "2.5", included_credits=Decimal(3)),
            *each("more", "flat", "0.75", interval="week"),
            *each("training", "one_off", "9"),
            addon_to=(month.id, by_week.id),
        )
        with_tax = await self.sold.plan(
            *each("base", "flat", "23.8", tax_inclusive=True),
            *each("seats", "seat", "3.57", proration="second", quantity_min=one, tax_inclusive=True),
            *rated("fee", "metered", FEE, interval="month", meter="prompt_tokens", tax_inclusive=True),
            *rated("out", "metered", PACKS, interval="month", meter="completion_tokens", tax_inclusive=True),
        )
        self.plans[0] = Offered(month, extra=(extra.id,), version=2)
        self.plans += [
            Offered(by_week, "week", extra=(extra.id,)), Offered(half_year, "half_year"),
            Offered(five_days, "day", 5, version=2, is_tried=True), Offered(with_tax),
        ]  # fmt: skip

    async def _brands(self) -> None:
        """Of each legal entity its default one and some more, each with numbers of its own."""
        async with crossing(Reason.STAFF, actor=system()) as uow:
            abroad = await entities.add_entity(uow, replace(ABROAD, **BY_BRAND))
            second = await entities.add_entity(uow, replace(SECOND, **BY_BRAND))
            for entity, codes in (
                (self.shop.entity, ("BLUE", "GREEN")),
                (abroad, ("RED",)),
                (second, ("GOLD",)),
            ):
                usual = await uow.execute("select id from brand where legal_entity_id = :id", id=entity.id)
                made = [usual.scalar_one()]
                made += [(await brands.add_brand(uow, entity.id, code=code, name=code)).id for code in codes]
                self.brands += made
                self.entities.append(entity.id)
                self.entity_of |= dict.fromkeys(made, entity.id)

    async def _coupons(self) -> None:
        """Of a part and of an amount, once, for a while and for good, of all and of something."""
        offer = self.sold.coupon
        await offer("FIFTH", rate=Decimal("0.2"), duration="forever")
        await offer("FREE", rate=Decimal(1), duration="once")
        await offer("TOKENS", rate=Decimal("0.3"), duration="forever", meters=TOKENS)
        await offer(
            "PLAN", rate=Decimal("0.25"), duration="periods", periods=3,
            plans=[self.plans[place].plan.id for place in (1, 4)],
        )  # fmt: skip
        for code in CURRENCIES:
            await offer(
                f"LESS-{code}", amount=Money(1_234, code).amount, currency=code, duration="periods", periods=2
            )
