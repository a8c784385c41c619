"""What an amount of money is in base units of an asset, and back. Pure; exact, never a float.

A price is what one whole coin costs, in major units of a currency. What is asked for is rounded up, so that it is
never worth less than what is owed; what came is rounded down, so that nobody is credited what did not come.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from models.money import EXACT, Money, currency

SHOWN_DIGITS_MAX = 8  # of a coin: people type amounts, and wallets cut what is longer
UNITS_DIGITS_MAX = 78  # of 2^256 - 1


@dataclass(frozen=True, slots=True)
class Asset:
    """`contract` is None for the chain's own coin; one coin is 10^decimals base units."""

    symbol: str
    decimals: int
    contract: str | None = None


def asked(money: Money, price: Decimal, decimals: int) -> int:
    """Base units worth `money` or a little more, with at most SHOWN_DIGITS_MAX digits of a coin. `price` is above
    zero."""
    exact = Fraction(money.amount) / Fraction(price) * 10**decimals
    step = 10 ** max(0, decimals - SHOWN_DIGITS_MAX)
    return -(-exact // step) * step


def worth(units: int, price: Decimal, decimals: int, code: str) -> Money:
    """What so many base units are worth, rounded down to the minor unit."""
    exact = Fraction(units, 10**decimals) * Fraction(price) * 10 ** currency(code).exponent
    return Money(exact.numerator // exact.denominator, code)


def came(units: int, expected: int, owed: Money, price: Decimal, decimals: int) -> Money:
    """What came for what was asked: all that is owed and the worth of what is over, or the worth of a part."""
    if units >= expected:
        return owed + worth(units - expected, price, decimals, owed.currency)
    return worth(units, price, decimals, owed.currency)


def coins(units: int, decimals: int) -> str:
    """For people, in whole coins, without zeros at the end: "0.05"."""
    text = f"{Decimal(units).scaleb(-decimals, context=EXACT):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
