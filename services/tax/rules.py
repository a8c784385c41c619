"""Tax of lines: rates with dates, inclusive and exclusive, exemptions, reverse charge, and the evidence of each.

Pure, no I/O. Tax is computed exactly on minor units and rounded half away from zero, on each line or on the
document; net + tax = gross always. Rates come from whoever keeps them and are never invented here.
Source: MONEY.md's rows "rounding" and "Tax"; category codes and what they need: EN 16931, BT-151 and its rules
BR-S, BR-Z, BR-E, BR-AE, BR-O; docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from models.money import Money, round_half_away
from models.values import value
from services.catalog.charges import check_number
from services.core.errors import Invalid

RATE_MAX = Decimal(1)
RATES_MAX = 10  # on one line


class Category(StrEnum):
    """Why a line bears the tax it does: codes of EN 16931 (UNTDID 5305)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    OUT_OF_SCOPE = "O"


class NumberState(StrEnum):
    """What is known of a tax number. What the register could not say is asked again."""

    UNCHECKED = "unchecked"
    VALID = "valid"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


class RoundingLevel(StrEnum):
    """Stored on the legal entity, and on each document that it shaped."""

    LINE = "line"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate` (0.19 is 19 %) of the tax `name` in `jurisdiction` ("DE", "CA-QC"), on [valid_from, valid_until).

    `source` and `version` say where it was taken from. Raises Invalid.
    """

    jurisdiction: str
    name: str
    rate: Decimal
    source: str
    version: str
    valid_from: date
    valid_until: date | None = None

    def __post_init__(self) -> None:
        check_number(self.rate, "rate", noun="A tax rate", most=RATE_MAX)
        for field in ("jurisdiction", "name", "source", "version"):
            if not getattr(self, field):
                raise Invalid(f"A tax rate needs its {field}.", field=field)
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise Invalid("A tax rate ends after it begins.", field="valid_until")

    def __hash__(self) -> int:
        """By what two rates rarely share. The hash of a Decimal costs as much as taxing a line."""
        return hash((self.jurisdiction, self.name, self.valid_from))

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@dataclass(frozen=True, slots=True)
class CheckedNumber:
    """A tax number and who found it valid or not, when (aware) and under which reference.

    Nobody was asked about one that is unchecked. `reason`: why a person said so, where one did.
    """

    country: str
    number: str
    state: NumberState
    checked_at: datetime | None = None
    source: str = ""
    reference: str = ""
    reason: str = ""


_OWE_THEMSELVES = (NumberState.VALID, NumberState.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a line is taxed on the day `on`, and why. Raises Invalid for one that its category does not allow.

    Rates are only for S (one of them above zero) and Z (all zero); each is of the net amount, none on top of
    another. E, AE and O carry no tax and need a reason; AE needs the buyer's number, found valid or, where the seller
    has it so, given while its register did not answer. Beside a rate, a number says why it changed nothing.
    """

    category: Category
    on: date
    rates: tuple[Rate, ...] = ()
    reason_code: str = ""
    reason: str = ""
    number: CheckedNumber | None = None
    evidence: str = ""

    def __post_init__(self) -> None:
        taxed = self.category in (Category.STANDARD, Category.ZERO)
        if taxed != bool(self.rates) or len(self.rates) > RATES_MAX:
            raise Invalid(
                f"Category {self.category} has {'1 to 10' if taxed else 'no'} rates.", field="rates"
            )
        if taxed and any(one.rate for one in self.rates) != (self.category is Category.STANDARD):
            raise Invalid("A rate above zero makes category S, rates of zero make Z.", field="category")
        if len({(one.jurisdiction, one.name) for one in self.rates}) < len(self.rates):
            raise Invalid("A tax is there twice.", field="rates")
        for one in self.rates:
            if not one.valid_on(self.on):
                raise Invalid(
                    f"{one.name} of {one.jurisdiction} at {one.rate} is not valid on {self.on}.",
                    field="rates",
                )
        if not taxed and not (self.reason_code or self.reason):
            raise Invalid(f"Category {self.category} needs a reason.", field="reason")
        if self.category is Category.REVERSE_CHARGE and (
            self.number is None or self.number.state not in _OWE_THEMSELVES
        ):
            raise Invalid("Reverse charge needs a tax number that was found valid.", field="number")


@value
class TaxableLine:
    """`amount` after discounts: gross if `inclusive`, net otherwise. Negative for a credit.

    A `tax` that is given is taken as it is: that of a credit comes from what was debited, under the rates of then.
    Raises Invalid for one of another currency or sign than the amount's, or without a rate above zero.
    """

    key: str
    amount: Money
    treatment: Treatment
    inclusive: bool = False
    tax: Money | None = None

    def __post_init__(self) -> None:
        if self.tax is None or self.tax == Money(0, self.amount.currency):
            return
        if self.tax.currency != self.amount.currency or self.tax.minor * self.amount.minor <= 0:
            raise Invalid(f"A tax of {self.tax.said()} does not fit {self.amount.said()}.", field="tax")
        rates = 1 if self.inclusive else len(self.treatment.rates)  # each at most the whole amount
        if rates and abs(self.tax.minor) > abs(self.amount.minor) * rates:
            raise Invalid(f"A tax of {self.tax.said()} is more than {self.amount.said()}.", field="tax")
        if self.treatment.category is not Category.STANDARD:
            raise Invalid(f"Category {self.treatment.category} carries no tax.", field="tax")


@value
class TaxPart:
    rate: Rate
    tax: Money


@value
class TaxedLine:
    """net + tax = gross, and the parts add up to the tax. Under document rounding each is this line's share.

    `tax_given`: it was not worked out here. `services/tax/evidence.py` keeps all this on the line.
    """

    key: str
    net: Money
    tax: Money
    gross: Money
    inclusive: bool
    treatment: Treatment
    parts: tuple[TaxPart, ...]
    tax_given: bool = False


@value
class TaxTotal:
    """What a document sums by category and rate: `base` is the net of its lines. No rate: E, AE and O."""

    category: Category
    rate: Rate | None
    base: Money
    tax: Money


def tax_lines(lines: Sequence[TaxableLine], *, rounding: RoundingLevel) -> tuple[TaxedLine, ...]:
    """Each line with its tax, in their order.

    Level `document` rounds the sum over lines of the same rates once and divides it back, each line within one
    minor unit of its exact tax. An exclusive line's rates are rounded one by one; an inclusive one's together, the
    net is the rest, and the rates share it by largest remainder. Raises Invalid for mixed currencies.
    """
    if len({line.amount.currency for line in lines}) > 1:
        raise Invalid("The lines of a document are in one currency.", field="currency")
    groups: dict[Hashable, list[int]] = {}
    taxed: dict[int, TaxedLine] = {}
    for index, line in enumerate(lines):
        if line.tax is not None:
            taxed[index] = _taxed(line, _by_rate(line.tax, line.treatment.rates))
            continue
        together = (line.treatment.rates, line.inclusive)
        groups.setdefault(together if rounding is RoundingLevel.DOCUMENT else index, []).append(index)
    for group in groups.values():
        members = [lines[index] for index in group]
        taxes = _inclusive(members) if members[0].inclusive else _exclusive(members)
        for index, line, parts in zip(group, members, taxes, strict=True):
            taxed[index] = _taxed(line, parts)
    return tuple(taxed[index] for index in range(len(lines)))


def summarise(lines: Sequence[TaxedLine]) -> tuple[TaxTotal, ...]:
    """The totals by category and rate, in the order in which they first appear."""
    sums: dict[tuple[Category, Rate | None, str], list[int]] = {}
    for line in lines:
        for rate, tax in [(part.rate, part.tax.minor) for part in line.parts] or [(None, 0)]:
            so_far = sums.setdefault((line.treatment.category, rate, line.net.currency), [0, 0])
            so_far[0] += line.net.minor
            so_far[1] += tax
    return tuple(
        TaxTotal(category, rate, Money(base, code), Money(tax, code))
        for (category, rate, code), (base, tax) in sums.items()
    )


def round_together(exact: Sequence[Fraction]) -> list[int]:
    """Whole numbers that add up to the rounded sum of `exact`, each less than one away from its own.

    By largest remainder, of equal ones the earlier. None has the other sign than its own, and the mirror of the
    input gives the mirror of the answer.
    """
    if len(exact) == 1:
        return [round_half_away(exact[0])]
    parts = [int(one) for one in exact]  # towards zero
    left = round_half_away(sum(exact, Fraction(0))) - sum(parts)
    sign = -1 if left < 0 else 1
    by_remainder = sorted(range(len(parts)), key=lambda i: (-sign * (exact[i] - parts[i]), i))
    for index in by_remainder[: abs(left)]:
        parts[index] += sign
    return parts


def _exclusive(lines: Sequence[TaxableLine]) -> list[list[int]]:
    """Minor units of tax of each line by rate, the rates of all of them being the same."""
    if len(lines) == 1:
        (line,) = lines
        return [[line.amount.times(one.rate).minor for one in line.treatment.rates]]
    rates = [Fraction(one.rate) for one in lines[0].treatment.rates]
    columns = [round_together([line.amount.minor * rate for line in lines]) for rate in rates]
    return [[column[index] for column in columns] for index in range(len(lines))]


def _inclusive(lines: Sequence[TaxableLine]) -> list[list[int]]:
    rates = lines[0].treatment.rates
    combined = sum((Fraction(one.rate) for one in rates), Fraction(0))
    taxes = round_together([line.amount.minor * combined / (1 + combined) for line in lines])
    return [_by_rate(Money(tax, line.amount.currency), rates) for tax, line in zip(taxes, lines, strict=True)]


def _by_rate(tax: Money, rates: Sequence[Rate]) -> list[int]:
    if not tax.minor:
        return [0] * len(rates)
    return [part.minor for part in tax.split([one.rate for one in rates])]


def _taxed(line: TaxableLine, parts: Sequence[int]) -> TaxedLine:
    tax = Money(sum(parts), line.amount.currency)
    return TaxedLine(
        key=line.key,
        net=line.amount - tax if line.inclusive else line.amount,
        tax=tax,
        gross=line.amount if line.inclusive else line.amount + tax,
        inclusive=line.inclusive,
        treatment=line.treatment,
        parts=tuple(
            TaxPart(rate, Money(part, tax.currency))
            for rate, part in zip(line.treatment.rates, parts, strict=True)
        ),
        tax_given=line.tax is not None,
    )
