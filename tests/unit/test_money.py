"""Money: nothing is lost in splitting, rounding happens once and half away from zero, floats never get in."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.currencies import CURRENCIES
from models.money import (
    CurrencyMismatch,
    Money,
    NotRepresentable,
    Provider,
    UnknownCurrency,
    currency,
    exact,
    from_provider,
    round_half_away,
    to_provider,
)

codes = st.sampled_from(sorted(CURRENCIES))
minors = st.integers(-(10**15), 10**15)
moneys = st.builds(Money, minors, codes)
fractions = st.fractions(-(10**6), 10**6, max_denominator=10**6)
weights = st.lists(
    st.one_of(st.integers(0, 10**6), st.fractions(0, 100, max_denominator=1_000)), min_size=1, max_size=8
).filter(any)


# -- splitting


@given(money=moneys, shares=weights)
@example(money=Money(100, "USD"), shares=[1, 1, 1])
@example(money=Money(-100, "USD"), shares=[1, 1, 1])
@example(money=Money(1, "JPY"), shares=[0, 1, 0])
def test_parts_add_up_to_the_whole(money: Money, shares: list[Any]) -> None:
    parts = money.split(shares)

    assert len(parts) == len(shares)
    assert sum(part.minor for part in parts) == money.minor
    assert {part.currency for part in parts} == {money.currency}


@given(money=moneys, shares=weights)
def test_each_part_is_within_one_unit_of_its_share(money: Money, shares: list[Any]) -> None:
    total = sum(map(Fraction, shares))
    for part, share in zip(money.split(shares), shares, strict=True):
        assert abs(part.minor - money.minor * Fraction(share) / total) < 1
        if share == 0:
            assert part.minor == 0


@given(money=moneys, shares=weights)
def test_splitting_a_debt_is_the_mirror_of_splitting_a_credit(money: Money, shares: list[Any]) -> None:
    assert (-money).split(shares) == tuple(-part for part in money.split(shares))


@given(money=moneys, shares=weights, factor=st.integers(1, 50))
def test_only_proportions_of_weights_matter(money: Money, shares: list[Any], factor: int) -> None:
    assert money.split(shares) == money.split([share * factor for share in shares])


def test_the_largest_remainder_takes_the_unit_and_of_equal_ones_the_earliest() -> None:
    assert [part.minor for part in Money(100, "EUR").split([1, 1, 1])] == [34, 33, 33]
    assert [part.minor for part in Money(10, "EUR").split([1, 2, 4])] == [1, 3, 6]
    assert [part.minor for part in Money(-100, "EUR").split([1, 1, 1])] == [-34, -33, -33]


@pytest.mark.parametrize("shares", [[], [0], [0, 0], [1, -1], [-1]])
def test_weights_that_make_no_parts_are_refused(shares: list[int]) -> None:
    with pytest.raises(ValueError, match="Weights"):
        Money(100, "EUR").split(shares)


# -- rounding


@given(fractions)
def test_rounding_goes_to_the_nearest_and_ties_away_from_zero(value: Fraction) -> None:
    rounded = round_half_away(value)

    assert abs(rounded - value) <= Fraction(1, 2)
    assert round_half_away(-value) == -rounded
    if abs(rounded - value) == Fraction(1, 2):
        assert abs(rounded) > abs(value)


@pytest.mark.parametrize(
    ("amount", "minor"),
    [("0.005", 1), ("-0.005", -1), ("0.004999999999", 0), ("1.015", 102), ("2.675", 268), ("-2.665", -267)],
)
def test_amounts_are_rounded_half_away_from_zero(amount: str, minor: int) -> None:
    assert Money.of(Decimal(amount), "USD").minor == minor


@given(money=moneys)
def test_an_amount_makes_the_same_money_again(money: Money) -> None:
    assert Money.of(money.amount, money.currency) == money
    assert money.times(1) == money
    assert money.times(Fraction(1, 3)).minor == round_half_away(Fraction(money.minor, 3))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=20))
def test_exact_amounts_have_twelve_places(value: Decimal) -> None:
    rounded = exact(value)

    assert rounded.as_tuple().exponent == -12
    assert Fraction(rounded) == Fraction(round_half_away(Fraction(value) * 10**12), 10**12)
    assert exact(f"{value:f}") == rounded
    assert exact(rounded) == rounded


# -- sums


@given(st.lists(minors, min_size=1, max_size=20), codes, st.randoms())
def test_the_order_of_a_sum_never_matters(amounts: list[int], code: str, random: Any) -> None:
    moneys = [Money(amount, code) for amount in amounts]
    shuffled = list(moneys)
    random.shuffle(shuffled)

    assert sum(moneys[1:], moneys[0]) == sum(shuffled[1:], shuffled[0])
    assert sum(moneys[1:], moneys[0]) - moneys[0] == sum(moneys[1:], Money(0, code))


@pytest.mark.parametrize("act", [Money.__add__, Money.__sub__, Money.__lt__, Money.__le__])
def test_currencies_do_not_mix(act: Any) -> None:
    with pytest.raises(CurrencyMismatch):
        act(Money(1, "USD"), Money(1, "EUR"))
    assert Money(1, "USD") != Money(1, "EUR")
    assert Money(1, "USD") < Money(2, "USD")


# -- what is no money


@pytest.mark.parametrize("minor", [1.0, 1.5, True, "1", None, Decimal(1), Fraction(1)])
def test_minor_units_are_whole_numbers(minor: Any) -> None:
    with pytest.raises(TypeError):
        Money(minor, "USD")


@pytest.mark.parametrize("value", [0.1, float("nan"), True])
def test_floats_never_become_money(value: Any) -> None:
    for act in (
        lambda: Money.of(value, "USD"),
        lambda: Money(100, "USD").times(value),
        lambda: Money(100, "USD").split([value, 1]),
        lambda: exact(value),
        lambda: round_half_away(value),
    ):
        with pytest.raises(TypeError):
            act()


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN")]
)
def test_what_is_not_finite_is_refused(value: Decimal) -> None:
    with pytest.raises(ValueError, match="finite"):
        Money.of(value, "USD")
    with pytest.raises(ValueError, match="finite"):
        exact(value)
    with pytest.raises(ValueError, match="number"):
        exact("12 apples")


@pytest.mark.parametrize("code", ["", "usd", "XYZ", "XAU", "XDR", "XXX", "US"])
def test_unknown_codes_are_refused(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, code)


def test_money_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Money(1, "USD").minor = 2  # type: ignore[misc]


# -- the table


EXPONENTS = {
    0: "BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}


def test_all_other_currencies_have_two_decimals() -> None:
    odd = {code: exponent for exponent, codes in EXPONENTS.items() for code in codes.split()}
    assert {code: one.exponent for code, one in CURRENCIES.items() if one.exponent != 2} == odd


@pytest.mark.parametrize(
    ("code", "last", "first"),
    [
        ("HRK", date(2022, 12, 31), None),
        ("BGN", date(2025, 12, 31), None),
        ("ANG", date(2025, 3, 30), None),
        ("ZWL", date(2024, 8, 31), None),
        ("XCG", None, date(2025, 3, 31)),
        ("ZWG", None, date(2024, 4, 8)),
    ],
)
def test_currencies_begin_and_end(code: str, last: date | None, first: date | None) -> None:
    known = currency(code)
    if last is not None:
        assert known.valid_on(last)
        assert not known.valid_on(date.fromordinal(last.toordinal() + 1))
    if first is not None:
        assert known.valid_on(first)
        assert not known.valid_on(date.fromordinal(first.toordinal() - 1))
    assert Money(100, code).text() == f"{code} 1.00"  # an old document still prints


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1250, "USD"), "USD 12.50"),
        (Money(-5, "USD"), "USD -0.05"),
        (Money(1250, "JPY"), "JPY 1250"),
        (Money(1250, "BHD"), "BHD 1.250"),
        (Money(10**20, "EUR"), "EUR 1000000000000000000.00"),
    ],
)
def test_text_has_the_currency_s_decimals(money: Money, text: str) -> None:
    assert money.text() == text


# -- providers


@pytest.mark.parametrize(
    ("money", "provider", "wire"),
    [
        (Money(1250, "USD"), Provider.STRIPE, 1250),
        (Money(1250, "JPY"), Provider.STRIPE, 1250),
        (Money(500, "MGA"), Provider.STRIPE, 5),  # ISO says two decimals, Stripe none
        (Money(7, "ISK"), Provider.STRIPE, 700),  # sent with two zeros
        (Money(7, "UGX"), Provider.STRIPE, 700),
        (Money(1230, "KWD"), Provider.STRIPE, 1230),
        (Money(1200, "HUF"), Provider.PAYPAL, 12),  # PayPal takes no decimals
        (Money(1200, "TWD"), Provider.PAYPAL, 12),
        (Money(12, "JPY"), Provider.PAYPAL, 12),
        (Money(1200, "HUF"), Provider.STRIPE, 1200),
    ],
)
def test_providers_count_their_own_units(money: Money, provider: Provider, wire: int) -> None:
    assert to_provider(money, provider) == wire
    assert from_provider(wire, money.currency, provider) == money


@pytest.mark.parametrize(
    ("money", "provider"),
    [
        (Money(501, "MGA"), Provider.STRIPE),
        (Money(1234, "KWD"), Provider.STRIPE),  # the last of three digits is zero
        (Money(1250, "HUF"), Provider.PAYPAL),
    ],
)
def test_what_a_provider_cannot_carry_is_refused_not_rounded(money: Money, provider: Provider) -> None:
    with pytest.raises(NotRepresentable):
        to_provider(money, provider)


def test_a_provider_s_fraction_of_a_unit_is_refused() -> None:
    with pytest.raises(NotRepresentable):
        from_provider(750, "ISK", Provider.STRIPE)


@given(money=moneys, provider=st.sampled_from(Provider))
def test_what_a_provider_carries_comes_back(money: Money, provider: Provider) -> None:
    try:
        wire = to_provider(money, provider)
    except NotRepresentable:
        return
    assert from_provider(wire, money.currency, provider) == money
