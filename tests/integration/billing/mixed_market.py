"""Who sells in mixed histories: a legal entity, plans in each of six currencies, coupons and a price list."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from models.catalog import Price
from models.gateway import AiModel, Upstream
from models.money import Money
from models.plans import Plan
from models.types import Role
from services.catalog.plan_rules import ChargeFields
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.metering.service import ensure_platform_meters
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


def metered(code: str) -> ChargeFields:
    """What comes out, by volume: sixteen may cost less than fifteen."""
    tiers = [
        {"up_to": "100", "unit_amount": "0.5", "flat_amount": "0"},
        {"up_to": None, "unit_amount": "0.0333", "flat_amount": "3"},
    ]
    return ChargeFields(
        "out", "Out", "metered", code, {"model": "volume", "tiers": tiers}, interval="month", proration="day",
        meter="completion_tokens",
    )  # fmt: skip


class Market:
    """What all histories have in common: who sells, plans in each currency, and a price list."""

    def __init__(self, shop: Shop, staff: Actor) -> None:
        self.shop, self.staff, self.sold = shop, staff, Subscribers(shop)
        self.plans: list[Plan] = []

    @classmethod
    async def open(cls, world: World) -> Market:
        shop = await open_shop(world, is_test=True, payment_days=10, grace_hours=24)
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
        for base, seat, policy, trial_days, more in (
            ("19.99", "7.77", "second", 0, [metered(code) for code in CURRENCIES]),
            ("150", "3.33", "day", 0, []),
            ("60", "11.11", "fixed_30", 9, []),
        ):
            fixed = [
                one
                for code in CURRENCIES
                for one in (
                    price("base", "flat", base, code, proration=policy),
                    price("seats", "seat", seat, code, proration=policy, quantity_min=Decimal(1)),
                )
            ]
            market.plans.append(await market.sold.plan(*fixed, *more, trial_days=trial_days))
        await market.sold.coupon("FIFTH", rate=Decimal("0.2"), duration="forever")
        for code in CURRENCIES:
            await market.sold.coupon(
                f"LESS-{code}", amount=Money(1_234, code).amount, currency=code, duration="periods", periods=2
            )
        return market
