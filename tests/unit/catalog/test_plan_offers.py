"""What a version of a plan may charge, and in which currencies and intervals it can then be bought."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.money import Money
from services.catalog.estimates import estimate
from services.catalog.plan_rules import (
    ChargeFields,
    EntitlementFields,
    checked_charge,
    checked_charges,
    checked_entitlements,
    offers_of,
)
from services.core.errors import Invalid

SEAT = {"model": "per_unit", "unit_amount": "12.50"}
FLAT = {"model": "flat", "amount": "99"}
TIERS = {
    "model": "graduated",
    "tiers": [
        {"up_to": "10", "unit_amount": "0"},
        {"up_to": None, "unit_amount": "0.002", "flat_amount": "5"},
    ],
}


def price(key: str, kind: str, definition: Any, currency: str = "USD", **more: Any) -> ChargeFields:
    given: dict[str, Any] = {"interval": None if kind == "one_off" else "month", **more}
    if kind == "metered":
        given.setdefault("meter", "requests")
    return ChargeFields(key, key.title(), kind, currency, definition, **given)


def base(currency: str = "USD", **more: Any) -> ChargeFields:
    return price("base", "flat", FLAT, currency, **more)


def seats(currency: str = "USD", **more: Any) -> ChargeFields:
    return price("seats", "seat", SEAT, currency, **more)


def usage(currency: str = "USD", **more: Any) -> ChargeFields:
    return price("usage", "metered", TIERS, currency, **more)


def setup(currency: str = "USD") -> ChargeFields:
    return price("setup", "one_off", {"model": "one_off", "unit_amount": "250"}, currency)


def sold(*given: ChargeFields) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(offer.currency, str(offer.length), offer.charges) for offer in offers_of(checked_charges(given))]


def test_each_currency_and_interval_with_all_its_prices_is_an_offer() -> None:
    year: dict[str, Any] = {"interval": "year"}

    assert sold(base(), setup()) == [("USD", "1 month", (0, 1))]
    assert sold(base(), seats(), base("EUR"), seats("EUR")) == [
        ("USD", "1 month", (0, 1)),
        ("EUR", "1 month", (2, 3)),
    ]
    assert sold(base(), base(**year), setup(), seats(), seats(**year)) == [
        ("USD", "1 month", (0, 2, 3)),
        ("USD", "1 year", (1, 2, 4)),
    ]
    assert sold(usage(), usage(interval="week")) == [("USD", "1 month", (0,)), ("USD", "1 week", (1,))]


def test_usage_is_billed_as_often_as_the_rest_or_the_longest_time_that_fits_into_it() -> None:
    assert sold(base(), base(interval="year"), usage()) == [
        ("USD", "1 month", (0, 2)),
        ("USD", "1 year", (1, 2)),
    ]
    assert sold(base(interval="year"), usage(interval="quarter"), base(), usage()) == [
        ("USD", "1 year", (0, 1)),
        ("USD", "1 month", (2, 3)),
    ]
    assert sold(base(interval="month", interval_count=3), seats(interval="quarter")) == [
        ("USD", "3 months", (0, 1))
    ]


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ((setup(),), "charges", "Nothing here is billed every period"),
        ((), "charges", "Nothing here"),
        ((base(), usage("EUR")), "charges.0.currency", "'usage' has no price in USD"),
        ((base(), seats(), base("EUR")), "charges.2.currency", "'seats' has no price in EUR"),
        ((base(), seats(interval="year")), "charges.0.interval", "every 1 year, which cannot be billed together"),
        ((base(), usage(interval="week")), "charges.0.interval", "every 1 week, which cannot be billed together"),
        ((base(interval="week", interval_count=3), usage(interval="week", interval_count=2)), "charges.0.interval",
         "every 2 weeks"),
        ((base(), usage(), usage(interval="day")), "charges.2", "goes with nothing for sale"),
        ((base(), setup(), setup("EUR")), "charges.2", "goes with nothing for sale"),
    ],
)  # fmt: skip
def test_what_no_invoice_could_hold_together_is_not_sold(
    given: tuple[ChargeFields, ...], field: str, words: str
) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        sold(*given)

    assert refused.value.field == field


def tiered(*tiers: dict[str, Any]) -> dict[str, Any]:
    return {"model": "volume", "tiers": list(tiers)}


ONE = {"up_to": "10", "unit_amount": "1"}
REST = {"above": "10", "up_to": None, "unit_amount": "1"}


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        (price("usage", "metered", tiered(ONE, REST | {"above": "9"})), "definition.tiers.1.above", "overlap"),
        (price("usage", "metered", tiered(ONE, REST | {"above": "11"})), "definition.tiers.1.above", "gap"),
        (price("usage", "metered", tiered(ONE)), "definition.tiers.0.up_to", "no price"),
        (price("usage", "metered", SEAT | {"unit_amount": "0.123456789012345"}), "definition.unit_amount",
         "at most 12 decimal places"),
        (price("usage", "metered", SEAT | {"unit_amount": "-1"}), "definition.unit_amount", "not negative"),
        (price("usage", "metered", SEAT | {"unit_amount": 0.1}), "definition.unit_amount", "no exact number"),
        (price("usage", "metered", FLAT), "definition.model", "cannot have this model"),
        (price("usage", "metered", SEAT, meter=None), "meter", "names its meter"),
        (seats(meter="requests"), "meter", "no other has one"),
        (seats("XXQ"), "currency", "not a currency code"),
        (seats(interval="fortnight"), "interval", "none of day"),
        (seats(interval="year", interval_count=6), "interval_count", "1 to 5"),
        (seats(interval_count=0), "interval_count", "1 to 60"),
        (seats(proration="hour"), "proration", "none of second"),
        (usage(timing="advance"), "timing", "in arrears"),
        (price("setup", "one_off", {"model": "one_off", "unit_amount": "1"}, interval="month"), "interval",
         "not billed again"),
        (seats(quantity_min=Decimal(-1)), "quantity_min", "not negative"),
        (seats(quantity_min=Decimal("1.5")), "quantity_min", "in whole numbers"),
        (seats(quantity_max=Decimal("0.5")), "quantity_max", "in whole numbers"),
        (seats(quantity_min=Decimal(5), quantity_max=Decimal(4)), "quantity_max", "leaves no quantity"),
        (seats(quantity_max=Decimal(10) ** 16), "quantity_max", "at most"),
        (base(quantity_max=Decimal(4)), "quantity_min", "Only a quantity that is chosen"),
        (price("Seats!", "seat", SEAT), "key", "is no key"),
    ],
)  # fmt: skip
def test_a_price_that_is_unsound_is_refused_at_its_field(given: ChargeFields, field: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        checked_charge(given)

    assert refused.value.field == field


def test_a_key_means_one_thing_and_has_one_price_for_a_currency_and_time() -> None:
    for second, words in (
        (base(), "already"),
        (price("base", "seat", SEAT, "EUR"), "another kind"),
        (base(interval="month", interval_count=1), "for 1 month already"),
    ):
        with pytest.raises(Invalid, match=words) as refused:
            checked_charges([base(), second])
        assert refused.value.field.startswith("charges.1.")
    with pytest.raises(Invalid, match="already"):
        checked_charges([base(interval_count=3), base(interval="quarter")])


def test_an_entitlement_is_a_flag_a_number_or_text_and_keeps_its_digits() -> None:
    given = [
        EntitlementFields("sso", "Single sign-on", "flag", "true"),
        EntitlementFields("projects", " Projects ", "number", "25.50"),
        EntitlementFields("support", "Support", "text", " by email "),
    ]
    assert [(one.name, one.value) for one in checked_entitlements(given)] == [
        ("Single sign-on", "true"),
        ("Projects", "25.50"),
        ("Support", "by email"),
    ]

    for kind, value, field in (
        ("flag", "yes", "value"),
        ("number", "1e3", "value"),
        ("number", "0.1234567890123", "value"),
        ("text", " ", "value"),
        ("list", "a", "kind"),
    ):
        with pytest.raises(Invalid) as refused:
            checked_entitlements([EntitlementFields("x", "X", kind, value)])
        assert refused.value.field == f"entitlements.0.{field}"
    with pytest.raises(Invalid, match="twice"):
        checked_entitlements([given[0], given[0]])


def test_an_estimate_is_the_exact_amount_its_steps_and_the_rounded_total() -> None:
    made = estimate(checked_charge(usage()), Decimal("1010.5"))
    assert made.rated.amount == Decimal("7.001")
    assert [step.amount for step in made.rated.steps] == [0, Decimal("7.001")]
    assert made.total == Money(700, "USD")

    fee = {"model": "percentage", "rate": "0.029", "fixed_fee": "0.30"}
    percentage = checked_charge(price("fees", "metered", fee))
    assert estimate(percentage, Decimal(100), events=3).rated.amount == Decimal("3.8")
    assert estimate(percentage, Decimal(0)).rated.amount == 0


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("2", "At least 3"),
        ("11", "At most 10"),
        ("3.5", "whole numbers"),
        ("-1", "not negative"),
        ("1E+16", "at most"),
    ],
)
def test_no_estimate_for_a_quantity_that_cannot_be_bought(quantity: str, words: str) -> None:
    limited = checked_charge(seats(quantity_min=Decimal(3), quantity_max=Decimal(10)))

    with pytest.raises(Invalid, match=words) as refused:
        estimate(limited, Decimal(quantity))

    assert refused.value.field == "quantity"
