"""What usage costs: exact, additive, and explained by lines that add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.rules import PriceBook, Terms, rate

NOW = datetime(2026, 7, 1, tzinfo=UTC)
amounts = st.decimals(0, 1_000_000, places=12)
quantities = st.integers(0, 2**40).map(Decimal)


def terms(amount: str | Decimal, per_units: int = 1_000_000, price_id: str = "prc") -> Terms:
    return Terms(price_id, Decimal(amount), per_units, NOW, None)


def test_a_cost_is_the_sum_of_its_lines() -> None:
    rated = rate(
        {"requests": Decimal(1), "prompt_tokens": Decimal(1_234), "completion_tokens": Decimal(56)},
        {"prompt_tokens": terms("0.15", price_id="in"), "completion_tokens": terms("0.60", price_id="out")},
    )

    assert rated.cost == Decimal("0.0002187")
    assert [(line.meter, line.quantity, line.amount, line.price_id) for line in rated.lines] == [
        ("prompt_tokens", 1_234, Decimal("0.0001851"), "in"),
        ("completion_tokens", 56, Decimal("0.0000336"), "out"),
    ]


def test_usage_without_a_price_has_no_cost_and_says_why() -> None:
    used = {"prompt_tokens": Decimal(1), "completion_tokens": Decimal(1)}
    rated = rate(used, {"prompt_tokens": terms("1", price_id="in")})

    assert (rated.cost, rated.lines, rated.unpriced) == (None, (), ("completion_tokens",))
    assert rated.price_ids == ("in",)


def test_nothing_used_needs_no_price_and_calls_may_be_free_of_one() -> None:
    rated = rate({"requests": Decimal(1), "prompt_tokens": Decimal(0), "completion_tokens": Decimal(0)}, {})

    assert (rated.cost, rated.unpriced) == (0, ())
    assert rate({"requests": Decimal(3)}, {"requests": terms("0.5", 1)}).cost == Decimal("1.5")


def test_free_is_a_price() -> None:
    assert rate({"prompt_tokens": Decimal(9)}, {"prompt_tokens": terms("0")}).cost == 0


@given(quantity=quantities, amount=amounts, per_units=st.integers(1, 10**9))
def test_a_line_is_the_nearest_twelve_places_to_the_true_amount(
    quantity: Decimal, amount: Decimal, per_units: int
) -> None:
    rated = rate({"prompt_tokens": quantity}, {"prompt_tokens": terms(amount, per_units)})
    true = Fraction(quantity) * Fraction(amount) / per_units

    assert rated.cost is not None
    assert abs(Fraction(rated.cost) - true) <= Fraction(1, 2 * 10**12)
    if Fraction(rated.cost) - true == Fraction(-1, 2 * 10**12):
        raise AssertionError("a tie went down")


@given(parts=st.lists(quantities, min_size=1, max_size=10), cents=st.integers(0, 10**8))
def test_with_prices_of_six_places_batching_never_changes_a_cost(parts: list[Decimal], cents: int) -> None:
    """Per million units, prices of up to six decimals are exact for every whole quantity."""
    price = {"prompt_tokens": terms(Decimal(cents).scaleb(-6))}
    single = [rate({"prompt_tokens": part}, price).cost for part in parts]

    whole = rate({"prompt_tokens": sum(parts, Decimal(0))}, price)
    assert sum(cost for cost in single if cost is not None) == whole.cost


def test_a_price_holds_from_its_start_until_just_before_its_end() -> None:
    book = PriceBook()
    change = NOW + timedelta(days=1)
    book.add("small", "USD", "prompt_tokens", Terms("old", Decimal(1), 1, NOW, change))
    book.add("small", "USD", "prompt_tokens", Terms("new", Decimal(2), 1, change, None))
    tick = timedelta(microseconds=1)

    def at(moment: datetime, model: str = "small", currency: str = "USD") -> list[str]:
        return [found.price_id for found in book.at(model, currency, moment).values()]

    assert at(NOW - tick) == []
    assert at(NOW) == at(change - tick) == ["old"]
    assert at(change) == ["new"]
    assert at(NOW, model="large") == at(NOW, currency="EUR") == []
