"""Who is taxed how: the interface of a tax engine, and the simplest one, of registrations and dated rates.

Pure, no I/O. A full rules engine fills `TaxEngine` later; what it decides is a Treatment like any other.
Source: docs/decisions/0022-charges-discounts-tax.md; reasons by the code list VATEX of EN 16931.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from services.core.errors import Invalid
from services.tax.rules import Category, CheckedNumber, NumberState, Rate, Treatment

TABLE_RATES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Seller:
    """Where a legal entity sits and is registered, and where buyers with a checked number owe the tax themselves.

    `trusts_unanswered`: also those whose number the register could not be asked about.
    """

    jurisdiction: str
    registrations: frozenset[str] = frozenset()
    reverse_charge_in: frozenset[str] = frozenset()
    trusts_unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Exemption:
    """Why somebody is exempt on [valid_from, valid_until): a VATEX code or a sentence, and the paper that proves it."""

    reason_code: str
    reason: str
    evidence: str
    valid_from: date
    valid_until: date | None = None

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@dataclass(frozen=True, slots=True)
class Buyer:
    jurisdiction: str
    number: CheckedNumber | None = None
    exemption: Exemption | None = None


class TaxEngine(Protocol):
    """What decides how something is taxed. Pure: what it needs to know is given to it before."""

    def treat(self, *, tax_code: str, seller: Seller, buyer: Buyer, on: date) -> Treatment:
        """The treatment of a supply of kind `tax_code` (empty: of no kind in particular) on the day `on`.

        Raises Invalid when nothing that is known decides it: a wrong tax is worse than a parked invoice.
        """
        ...


class RateTable:
    """Rates of many places and days. Of one tax in one jurisdiction, one at a time. Raises Invalid for overlaps."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        if len(rates) > TABLE_RATES_MAX:
            raise Invalid(f"A table has at most {TABLE_RATES_MAX:,} rates.", field="rates")
        self._rates: dict[str, list[Rate]] = {}
        last: dict[tuple[str, str], Rate] = {}
        for one in sorted(rates, key=lambda r: (r.jurisdiction, r.name, r.valid_from)):
            before = last.get((one.jurisdiction, one.name))
            if before is not None and (before.valid_until is None or one.valid_from < before.valid_until):
                raise Invalid(
                    f"{one.name} of {one.jurisdiction} has two rates on {one.valid_from}.", field="rates"
                )
            last[one.jurisdiction, one.name] = one
            self._rates.setdefault(one.jurisdiction, []).append(one)

    def on(self, jurisdiction: str, day: date) -> tuple[Rate, ...]:
        """The rates valid there that day, by name of the tax. Raises Invalid when there is none."""
        valid = tuple(one for one in self._rates.get(jurisdiction, ()) if one.valid_on(day))
        if not valid:
            raise Invalid(
                f"No tax rate of {jurisdiction} is known for {day}.",
                field="rates",
                next_step="Enter the rate with its dates.",
            )
        return valid


class RegisteredRates:
    """The simplest engine: an exemption, else reverse charge, else the rates of a place of registration, else none."""

    def __init__(self, table: RateTable) -> None:
        self._table = table

    def treat(self, *, tax_code: str, seller: Seller, buyer: Buyer, on: date) -> Treatment:
        """Looks at `on` and at no `tax_code`. Raises Invalid when the rate of a registration is not known."""
        if (exemption := buyer.exemption) is not None and exemption.valid_on(on):
            return Treatment(
                Category.EXEMPT,
                on,
                reason_code=exemption.reason_code,
                reason=exemption.reason,
                evidence=exemption.evidence,
            )
        number = _number_that_counts(seller, buyer)
        if number is not None and _owes_itself(seller, number):
            return Treatment(
                Category.REVERSE_CHARGE,
                on,
                reason_code="VATEX-EU-AE",
                reason="Reverse charge",
                number=number,
            )
        if buyer.jurisdiction not in seller.registrations:
            reason = f"The seller has no tax registration in {buyer.jurisdiction}"
            return Treatment(Category.OUT_OF_SCOPE, on, reason_code="VATEX-EU-O", reason=reason)
        rates = self._table.on(buyer.jurisdiction, on)
        category = Category.STANDARD if any(one.rate for one in rates) else Category.ZERO
        return Treatment(category, on, rates, number=number)


def _number_that_counts(seller: Seller, buyer: Buyer) -> CheckedNumber | None:
    """The buyer's, if it can move the tax: of the buyer's own country, which is not the seller's."""
    number = buyer.number
    abroad = buyer.jurisdiction != seller.jurisdiction and buyer.jurisdiction in seller.reverse_charge_in
    own = number is not None and number.country == buyer.jurisdiction.partition("-")[0]
    return number if abroad and own else None


def _owes_itself(seller: Seller, number: CheckedNumber) -> bool:
    """A number that is invalid, or that nobody was asked about yet, changes nothing: the tax is charged."""
    if number.state is NumberState.UNAVAILABLE:
        return seller.trusts_unanswered
    return number.state is NumberState.VALID
