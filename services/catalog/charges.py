"""What a price can be: charge models, each checked when it is made, so that none that exists is unsound.

Pure definitions without I/O. Amounts are in major units of the currency that is kept beside the charge, exact and
with at most 12 places; quantities are in units of the meter or the item. `services/catalog/rating.py` computes,
`services/catalog/charge_json.py` writes and reads. Source: docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from models.money import EXACT_PLACES, Money, exact
from services.core.errors import Invalid

AMOUNT_MAX = Decimal(10) ** 12  # of a price, in major units
LINE_AMOUNT_MAX = (
    Decimal(10) ** 12
)  # major units: 5,000 such lines still fit 64 bits in minor units of 3 digits
QUANTITY_MAX = Decimal(10) ** 15  # of one line, in units
RATE_MAX = Decimal(10)  # of a percentage: ten times the base
EVENTS_MAX = 10**12  # of one line
TIERS_MAX = 100
INCLUDED_CREDITS_MAX = 1_000_000  # of one unit and period, in major units
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tier:
    """Units above `above` up to and including `up_to` (None: no end). `flat_amount` is due once, by whoever enters."""

    above: Decimal
    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Flat:
    """`amount` a period, whatever the quantity."""

    amount: Decimal

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")


@dataclass(frozen=True, slots=True)
class OneOff:
    """`unit_amount` for each of a quantity, charged once and in no later period: a set-up fee, a day of work."""

    unit_amount: Decimal

    def __post_init__(self) -> None:
        check_amount(self.unit_amount, "unit_amount")


@dataclass(frozen=True, slots=True)
class PerUnit:
    """`unit_amount` for each seat or unit."""

    unit_amount: Decimal

    def __post_init__(self) -> None:
        check_amount(self.unit_amount, "unit_amount")


@dataclass(frozen=True, slots=True)
class Package:
    """`amount` for each package of `size` units; one that was begun counts whole."""

    amount: Decimal
    size: Decimal

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        check_quantity(self.size, "size", above_zero=True)


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each unit at the price of the tier it falls in. Never falls with more units.

    `first_flat_at_zero`: the first tier's flat amount is due with nothing used, too.
    """

    tiers: tuple[Tier, ...]
    first_flat_at_zero: bool = False

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)


@dataclass(frozen=True, slots=True)
class Volume:
    """All units at the price of the tier that their total falls in.

    Not monotone: 16 units may cost less than 15, so a running bill must be able to fall.
    `first_flat_at_zero`: the first tier's flat amount is due with nothing used, too.
    """

    tiers: tuple[Tier, ...]
    first_flat_at_zero: bool = False

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)


@dataclass(frozen=True, slots=True)
class Percentage:
    """`rate` (0.029 is 2.9 %) of a base in major units, and `fixed_fee` for each event that is not free.

    The first `free_events` of a period, in order of their time, cost nothing. What each other one costs (rate and
    fixed fee together) is at least `event_minimum` and at most `event_maximum`.
    """

    rate: Decimal
    fixed_fee: Decimal = _ZERO
    free_events: int = 0
    event_minimum: Decimal | None = None
    event_maximum: Decimal | None = None

    def __post_init__(self) -> None:
        check_number(self.rate, "rate", noun="A rate", most=RATE_MAX)
        check_amount(self.fixed_fee, "fixed_fee")
        if type(self.free_events) is not int or not 0 <= self.free_events <= EVENTS_MAX:
            raise Invalid(f"Free events are a whole number from 0 to {EVENTS_MAX:,}.", field="free_events")
        _check_bounds(self.event_minimum, self.event_maximum, "event_minimum", "event_maximum")

    @property
    def needs_events(self) -> bool:
        """Whether the sum of the bases is not enough to rate it, and each event has to be looked at."""
        return bool(
            self.fixed_fee
            or self.free_events
            or self.event_minimum is not None
            or self.event_maximum is not None
        )


Model = Flat | OneOff | PerUnit | Package | Graduated | Volume | Percentage


@dataclass(frozen=True, slots=True)
class Charge:
    """A model, and what holds for any of them. Making one raises Invalid, naming the field at fault.

    `free_units` of a period come off the quantity before the model sees it; of a percentage they are base in major
    units. `minimum` and `maximum` bound the amount of a period, the minimum also with nothing used.
    """

    model: Model
    free_units: Decimal = _ZERO
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        check_quantity(self.free_units, "free_units")
        if self.free_units and isinstance(self.model, Flat | OneOff):
            raise Invalid("A flat or one-off charge counts no units that could be free.", field="free_units")
        _check_bounds(self.minimum, self.maximum, "minimum", "maximum")

    @property
    def recurs(self) -> bool:
        """Whether it is charged again each period."""
        return not isinstance(self.model, OneOff)

    @property
    def needs_events(self) -> bool:
        """Whether `rate` wants a tally of the single events beside their sum."""
        return isinstance(self.model, Percentage) and self.model.needs_events


def check_number(value: Any, field: str, *, noun: str, most: Decimal, above_zero: bool = False) -> None:
    """A finite Decimal from 0 to `most` with at most 12 places. Raises Invalid with what is wrong, by `noun`."""
    if not isinstance(value, Decimal):
        raise Invalid(f"{noun} is an exact decimal, not {type(value).__name__}.", field=field)
    if not value.is_finite():
        raise Invalid(f"{noun} is a number, and {value} is none.", field=field)
    if value < 0:
        raise Invalid(f"{noun} is not negative, and {value} is.", field=field)
    if above_zero and value == 0:
        raise Invalid(f"{noun} is above zero.", field=field)
    if value > most:
        raise Invalid(f"{noun} is at most {most:,f}, and {value} is more.", field=field)
    if exact(value) != value:
        raise Invalid(
            f"{noun} has at most {EXACT_PLACES} decimal places, and {value:f} has more.",
            field=field,
            next_step="Round it yourself: a price is never rounded silently.",
        )


def check_amount(value: Any, field: str) -> None:
    """A price in major units, from 0 to AMOUNT_MAX, 12 places. Raises Invalid."""
    check_number(value, field, noun="A price", most=AMOUNT_MAX)


def check_included(amount: Decimal, code: str, *, is_ahead: bool) -> None:
    """Credits that come with a price, in major units of a currency. Raises Invalid."""
    if not amount.is_finite() or not 0 <= amount <= INCLUDED_CREDITS_MAX:
        raise Invalid(
            f"Credits that are included are 0 to {INCLUDED_CREDITS_MAX:,}.", field="included_credits"
        )
    if amount != Money.of(amount, code).amount:
        raise Invalid(f"{amount:f} is no amount of {code}.", field="included_credits")
    if amount and not is_ahead:
        raise Invalid(
            "Credits come with what is paid ahead: with a flat price or seats, in advance.",
            field="included_credits",
        )


def check_quantity(value: Any, field: str, *, above_zero: bool = False) -> None:
    """Units, from 0 to QUANTITY_MAX, 12 places. Raises Invalid."""
    check_number(value, field, noun="A quantity", most=QUANTITY_MAX, above_zero=above_zero)


def _check_bounds(least: Any, most: Any, least_field: str, most_field: str) -> None:
    if least is not None:
        check_amount(least, least_field)
    if most is not None:
        check_amount(most, most_field)
    if least is not None and most is not None and least > most:
        raise Invalid(f"The minimum {least} is above the maximum {most}.", field=least_field)


def _check_tiers(tiers: Any) -> None:
    if not isinstance(tiers, tuple) or not 1 <= len(tiers) <= TIERS_MAX:  # pyright: ignore[reportUnknownArgumentType]
        raise Invalid(f"Tiers are a list of 1 to {TIERS_MAX}.", field="tiers")
    reached: Decimal | None = _ZERO
    for index, tier in enumerate(tiers):  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        reached = _check_tier(tier, f"tiers.{index}", reached)
    if reached is not None:
        raise Invalid(
            f"The last tier ends at {reached}: what is used above it would have no price.",
            field=f"tiers.{len(tiers) - 1}.up_to",  # pyright: ignore[reportUnknownArgumentType]
            next_step="Leave the end of the last tier open.",
        )


def _check_tier(tier: Any, at: str, reached: Decimal | None) -> Decimal | None:
    """The bound that the tier reaches, beginning where the one before it ended (None: it had no end)."""
    if not isinstance(tier, Tier):
        raise Invalid("A tier has bounds and prices.", field=at)
    check_quantity(tier.above, f"{at}.above")
    check_amount(tier.unit_amount, f"{at}.unit_amount")
    check_amount(tier.flat_amount, f"{at}.flat_amount")
    if reached is None or tier.above < reached:
        ended = "has no end" if reached is None else f"ends at {reached}"
        raise Invalid(
            f"Tiers overlap: one begins above {tier.above}, and the one before it {ended}.",
            field=f"{at}.above",
        )
    if tier.above > reached:
        raise Invalid(
            f"There is a gap between tiers: nothing prices what is above {reached} up to {tier.above}.",
            field=f"{at}.above",
        )
    if tier.up_to is not None:
        check_quantity(tier.up_to, f"{at}.up_to")
        if tier.up_to <= tier.above:
            raise Invalid(f"A tier above {tier.above} cannot end at {tier.up_to}.", field=f"{at}.up_to")
    return tier.up_to
