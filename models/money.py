"""Money: integer minor units of a named currency, and exact decimals for prices per unit.

A float never becomes money. Rounding is always half away from zero and happens where the name says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from models.currencies import CURRENCIES, Currency

EXACT_PLACES = 12  # of unit prices, of costs so far and of quantities
_EXACT_STEP = Decimal(1).scaleb(-EXACT_PLACES)
# Wide enough for a product of any two stored numbers (38 digits each), so that nothing is rounded on the
# way. ROUND_HALF_UP is Python's name for half away from zero.
EXACT = Context(prec=120, rounding=ROUND_HALF_UP)

Factor = int | Decimal | Fraction


class UnknownCurrency(ValueError):
    """The code is in no edition of the table."""


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met."""


class NotRepresentable(ValueError):
    """The amount has more digits than the provider's wire format can carry."""


class Provider(StrEnum):
    STRIPE = "stripe"
    PAYPAL = "paypal"
    CRYPTO = "crypto"
    BANK = "bank"


@dataclass(frozen=True, slots=True)
class _Wire:
    """How a provider writes a currency: minor digits, and the step that amounts must be a multiple of."""

    exponent: int
    step: int = 1


# Only where a provider differs from ISO 4217.
_WIRES: dict[Provider, dict[str, _Wire]] = {
    Provider.STRIPE: {
        "MGA": _Wire(0),
        "ISK": _Wire(2, step=100),  # sent with two zeros
        "UGX": _Wire(2, step=100),
        **{code: _Wire(3, step=10) for code in ("BHD", "JOD", "KWD", "OMR", "TND")},
    },
    Provider.PAYPAL: {code: _Wire(0) for code in ("HUF", "JPY", "TWD")},
    Provider.CRYPTO: {},  # amounts on a chain are made by a rate: services/crypto/amounts.py
    Provider.BANK: {},
}


def currency(code: str) -> Currency:
    """The currency of that code, ended ones too. Raises UnknownCurrency."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise UnknownCurrency(f"{code!r} is not a currency code of ISO 4217.") from None


def figure_text(amount: Decimal, code: str = "") -> str:
    """A figure inside an English sentence: grouped digits, as many places as the currency has, and of a sum below one
    unit the first four digits that count. Raises UnknownCurrency."""
    fewest = places = currency(code).exponent if code else 0
    if code and 0 < abs(amount) < 1:
        places = min(EXACT_PLACES, max(fewest, 3 - amount.adjusted()))
    rounded = amount.quantize(Decimal(1).scaleb(-places), context=EXACT)
    while places > fewest and rounded == round(rounded, places - 1):
        places -= 1
    shown = f"{rounded:,.{places}f}".replace("-", "\u2212")
    return f"{shown}\u00a0{code}" if code else shown


def exact(value: Decimal | int | str) -> Decimal:
    """`value` at 12 places, rounded half away from zero. Raises TypeError for floats, ValueError for NaN,
    infinities and text that is no number."""
    if isinstance(value, (bool, float)):
        raise TypeError(f"{value!r} is not exact: pass a Decimal, an int or text.")
    number = Decimal(value) if not isinstance(value, str) else _parse(value)
    if not number.is_finite():
        raise ValueError(f"{value} is not a finite number.")
    return number.quantize(_EXACT_STEP, context=EXACT)


def _parse(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text!r} is not a number.") from None


def round_half_away(value: Factor) -> int:
    """The nearest integer; a tie goes away from zero."""
    return _rounded(*_ratio(value))


def _rounded(numerator: int, denominator: int) -> int:
    """Of a ratio that need not be reduced: to reduce one takes longer than all else that is done with it."""
    whole, rest = divmod(abs(numerator), denominator)
    rounded = whole + (1 if 2 * rest >= denominator else 0)
    return rounded if numerator >= 0 else -rounded


def _ratio(value: Any) -> tuple[int, int]:
    if type(value) is not Fraction:
        if isinstance(value, (bool, float)) or not isinstance(value, (int, Decimal, Fraction)):
            raise TypeError(f"{value!r} is not exact: pass an int, a Decimal or a Fraction.")
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(f"{value} is not a finite number.")
    return value.as_integer_ratio()


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units of `currency`: Money(1250, "USD") is 12.50 US dollars, Money(1250, "JPY") 1,250 yen."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"Minor units are an int, not {self.minor!r}.")
        if self.currency not in CURRENCIES:
            currency(self.currency)  # says so

    @classmethod
    def of(cls, amount: Decimal | int | Fraction, code: str) -> Money:
        """An amount in major units, rounded once, half away from zero, to the currency's minor unit."""
        numerator, denominator = _ratio(amount)
        return cls(_rounded(numerator * 10 ** currency(code).exponent, denominator), code)

    @property
    def amount(self) -> Decimal:
        """In major units, with the currency's own number of decimals."""
        return Decimal(self.minor).scaleb(-currency(self.currency).exponent, context=EXACT)

    def text(self) -> str:
        """For machines, logs and files, e.g. "USD 12.50". For people it is `said`, or follows their locale."""
        return f"{self.currency} {self.amount:f}"

    def said(self) -> str:
        """In an English sentence, e.g. "1,250.00 USD"."""
        return figure_text(self.amount, self.currency)

    def times(self, factor: Factor) -> Money:
        """Rounded once, half away from zero. Parts of a whole come from `split`, which adds up."""
        numerator, denominator = _ratio(factor)
        return Money(_rounded(self.minor * numerator, denominator), self.currency)

    def split(self, weights: Sequence[Factor]) -> tuple[Money, ...]:
        """Parts in proportion to `weights` that add up to this amount, by largest remainder.

        Of equal remainders the earlier part takes the unit. Weights are not negative and not all zero.
        """
        shares = [Fraction(*_ratio(weight)) for weight in weights]
        total = sum(shares, Fraction(0))
        if total <= 0 or min(shares) < 0:
            raise ValueError("Weights must not be negative, and at least one must be above zero.")
        sign = -1 if self.minor < 0 else 1
        ideal = [abs(self.minor) * share / total for share in shares]
        parts = [part.numerator // part.denominator for part in ideal]
        left = abs(self.minor) - sum(parts)
        by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - ideal[i], i))
        for index in by_remainder[:left]:
            parts[index] += 1
        return tuple(Money(sign * part, self.currency) for part in parts)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.text()} and {other.text()} do not mix.")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor


def to_provider(money: Money, provider: Provider) -> int:
    """The integer that `provider` expects for `money`. Raises NotRepresentable instead of rounding."""
    iso = currency(money.currency).exponent
    wire = _WIRES[provider].get(money.currency, _Wire(iso))
    scaled = Fraction(money.minor) * Fraction(10) ** (wire.exponent - iso)
    if scaled.denominator != 1 or scaled.numerator % wire.step:
        raise NotRepresentable(f"{provider} cannot carry {money.text()}.")
    return scaled.numerator


def from_provider(amount: int, code: str, provider: Provider) -> Money:
    """What `provider` means by the integer `amount`. Raises NotRepresentable when ISO has fewer digits."""
    iso = currency(code).exponent
    wire = _WIRES[provider].get(code, _Wire(iso))
    scaled = Fraction(amount) * Fraction(10) ** (iso - wire.exponent)
    if scaled.denominator != 1:
        raise NotRepresentable(f"{provider} sent {amount}, which is no whole minor unit of {code}.")
    return Money(scaled.numerator, code)
