"""What a line of a subscription's item is made of, and how it is worked out again. Pure, no I/O.

A line is never edited: a change adds lines that refer to the ones before. Each keeps its inputs, so that
`replay` gives the same cent after prices, policies and the rules of timezones have changed.
Source: docs/decisions/0021-billing-periods.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from models.money import Money
from models.types import BillingInterval, ProrationPolicy
from models.values import value
from services.billing.periods import PERIODS_KEPT, Calendar, Period, Span, in_utc
from services.billing.proration import WHOLE, Ending, Portion, Ruler
from services.core.errors import Invalid

FORMULA = 1  # of stored lines; a line keeps the number of the formula that made it
ROUNDING = "half_away_from_zero"  # once for the line, to the currency's minor unit


class LineKind(StrEnum):
    DEBIT = "debit"  # of time to come, at a price
    CREDIT = "credit"  # of what was debited and is not used
    RESTORE = "restore"  # takes back a credit: the change that made it was undone


@value
class Terms:
    """What an item is sold at: `quantity` of a price cost `period_amount` for one whole period.

    `period_amount` is exact, in major units of `currency`, before discount, and before tax unless it is `inclusive`;
    services/catalog makes it of price and quantity. Two terms are the same offer when all of this is equal. Raises
    Invalid for a negative quantity or amount.
    """

    price_id: str
    quantity: Decimal
    period_amount: Fraction
    currency: str
    interval: BillingInterval
    count: int = 1
    inclusive: bool = False

    def __post_init__(self) -> None:
        if not self.quantity.is_finite() or self.quantity < 0:
            raise Invalid(f"A quantity is not negative, and {self.quantity} is.", field="quantity")
        if self.period_amount < 0:
            raise Invalid("A price is not negative; use a credit.", field="period_amount")


@value
class Figure:
    """How an amount came about: `portion` of `basis`, at most `cap`, with the line's sign.

    `basis` is in major units and exact. `cap` is in minor units; None caps nothing.
    """

    basis: Fraction
    portion: Portion
    cap: int | None
    negative: bool
    currency: str

    def amount(self) -> Money:
        """Rounded once, half away from zero, to the minor unit."""
        whole = self.portion.numerator == self.portion.denominator != 0
        exact = self.basis if whole else self.basis * self.portion.fraction
        rounded = Money.of(exact, self.currency)
        if self.cap is not None and rounded.minor > self.cap:
            rounded = Money(self.cap, self.currency)
        return -rounded if self.negative else rounded


@dataclass(frozen=True, slots=True)
class Replayed:
    """The money of a line: a credit's is negative. `tax` is that of a credit or what takes one back; the tax of
    a debit is worked out with its document and is zero here."""

    amount: Money
    tax: Money


@value
class Line:
    """One line for the time `span` of the period that `ruler` measures, with all that explains it.

    `amount` of a debit is its price, before discount and with tax if the price includes it; of a credit and of
    what takes it back, net without tax, or a part of the price where the tax of its debit is not decided yet. `source`
    names the line that is credited, or whose credit is taken back; empty for a debit.
    """

    kind: LineKind
    terms: Terms
    ruler: Ruler
    span: Span
    net: Figure
    tax_of: Figure | None
    source: str
    amount: Money
    tax: Money


@value
class Debited:
    """A line that was billed, as its document had it, and what became of it. All in the line's currency.

    `net` is without tax and after `discount`: net = amount - discount, or net + tax where the price includes
    tax. `credited` and `credited_tax` are what earlier credits and notes have taken off, as amounts above zero.
    Raises Invalid when the figures do not fit together, or more was taken off than there was.
    """

    line_id: str
    line: Line
    discount: Money
    net: Money
    tax: Money
    credited: Money
    credited_tax: Money

    def __post_init__(self) -> None:
        charged = self.line.amount - self.discount
        if charged not in (self.net, self.net + self.tax):
            raise Invalid(f"Net and tax of the line {self.line_id!r} are not what it charged.", field="net")
        if not (
            0 <= self.credited.minor <= self.net.minor and 0 <= self.credited_tax.minor <= self.tax.minor
        ):
            raise Invalid(f"More was credited than the line {self.line_id!r} had.", field="credited")


def debit(terms: Terms, ruler: Ruler, span: Span) -> Line:
    """The line for `span` of a period: period_amount * units of the span / units of the whole period.

    Raises Invalid for a span outside the period, or terms of another interval than the calendar's.
    """
    calendar = ruler.calendar
    if (terms.interval, terms.count) != (calendar.interval, calendar.count):
        raise Invalid(
            f"A price for {terms.count} {terms.interval} cannot be billed by {calendar.count} "
            f"{calendar.interval}.",
            field="interval",
        )
    figure = Figure(terms.period_amount, ruler.portion(span), None, False, terms.currency)
    time = Span(span.start, span.end)  # not as a Period, so that it equals what is read back
    return _line(LineKind.DEBIT, terms, ruler, time, net=figure, tax=None, source="")


def credit(debited: Debited, at: datetime, ending: Ending) -> Line:
    """The credit for what is unused of a billed line when it ends early, at `at`.

    From what was really debited: (net, and tax by itself) * units left / units the line paid for, by the policy
    it was billed under, never more than earlier credits left. It may be zero and is made all the same, since a
    change is undone by taking its credit back. Raises Invalid for `at` outside the time the line paid for.
    """
    at, line = in_utc(at, "at"), debited.line
    ruler, paid = line.ruler, line.ruler.units(line.span)
    portion = Portion(ruler.unused(line.span, at, ending), max(paid, 1))
    net, tax = debited.net, debited.tax
    return _line(
        LineKind.CREDIT,
        line.terms,
        ruler,
        Span(at, line.span.end),
        net=_figure(net, portion, net - debited.credited, negative=True),
        tax=_figure(tax, portion, tax - debited.credited_tax, negative=True),
        source=debited.line_id,
    )


def restore(credit_id: str, credited: Line) -> Line:
    """The line that takes `credited` back to the cent, with its tax. Discounts and tax are not applied again.

    Raises Invalid for a line that is no credit.
    """
    if credited.kind is not LineKind.CREDIT:
        raise Invalid(f"The line {credit_id!r} is a {credited.kind}, not a credit.", field="credit_id")
    return _line(
        LineKind.RESTORE,
        credited.terms,
        credited.ruler,
        credited.span,
        net=_figure(-credited.amount, WHOLE, None, negative=False),
        tax=_figure(-credited.tax, WHOLE, None, negative=False),
        source=credit_id,
    )


def facts_of(line: Line) -> dict[str, Any]:
    """A line as plain JSON, to be kept with it: exact numbers as text, times in ISO 8601."""
    terms, calendar, period = line.terms, line.ruler.calendar, line.ruler.period
    return {
        "formula": FORMULA,
        "rounding": ROUNDING,
        "kind": line.kind.value,
        "price_id": terms.price_id,
        "quantity": str(terms.quantity),
        "period_amount": str(terms.period_amount),
        "currency": terms.currency,
        "interval": terms.interval.value,
        "count": terms.count,
        "policy": line.ruler.policy.value,
        "calendar": _stored_calendar(calendar),
        "period": _stored_period(period),
        "span": _stored_span(line.span),
        "source": line.source,
        "net": _stored_figure(line.net),
        "tax_of": _stored_figure(line.tax_of) if line.tax_of else None,
        "amount_minor": line.amount.minor,
        "tax_minor": line.tax.minor,
        **({"inclusive": True} if terms.inclusive else {}),
    }


def replay(facts: Mapping[str, Any]) -> Replayed:
    """The money of a line, worked out again from the inputs it keeps and not from the amounts beside them.

    Units are those that were counted then: a timezone whose rules changed since would give others. Raises
    Invalid as `read_line`.
    """
    line = read_line(facts)
    return Replayed(line.net.amount(), line.tax_of.amount() if line.tax_of else Money(0, line.terms.currency))


def read_line(facts: Mapping[str, Any]) -> Line:
    """A line from what `facts_of` wrote. Raises Invalid for a formula that this version does not know."""
    if facts["formula"] != FORMULA or facts["rounding"] != ROUNDING:
        raise Invalid(f"This line was made by formula {facts['formula']!r}, which is not known here.")
    currency, days = facts["currency"], facts["calendar"]
    terms = Terms(
        facts["price_id"],
        Decimal(facts["quantity"]),
        Fraction(facts["period_amount"]),
        currency,
        BillingInterval(facts["interval"]),
        facts["count"],
        facts.get("inclusive", False),
    )
    calendar = Calendar(
        _instant(days["anchor"]), days["timezone"], BillingInterval(days["interval"]), days["count"]
    )
    span = _read_span(facts["period"])
    period = Period(span.start, span.end, facts["period"]["number"])
    return Line(
        kind=LineKind(facts["kind"]),
        terms=terms,
        ruler=Ruler(ProrationPolicy(facts["policy"]), calendar, period),
        span=_read_span(facts["span"]),
        net=_read_figure(facts["net"], currency),
        tax_of=_read_figure(facts["tax_of"], currency) if facts["tax_of"] else None,
        source=facts["source"],
        amount=Money(facts["amount_minor"], currency),
        tax=Money(facts["tax_minor"], currency),
    )


def _line(
    kind: LineKind, terms: Terms, ruler: Ruler, span: Span, *, net: Figure, tax: Figure | None, source: str
) -> Line:
    no_tax = Money(0, terms.currency)
    return Line(kind, terms, ruler, span, net, tax, source, net.amount(), tax.amount() if tax else no_tax)


def _figure(basis: Money, portion: Portion, cap: Money | None, *, negative: bool) -> Figure:
    return Figure(
        Fraction(basis.amount), portion, None if cap is None else cap.minor, negative, basis.currency
    )


@lru_cache(maxsize=PERIODS_KEPT)
def _stored_calendar(calendar: Calendar) -> Mapping[str, Any]:
    """Every item of a subscription keeps the same one, as with its period."""
    return {
        "anchor": calendar.anchor.isoformat(),
        "timezone": calendar.timezone,
        "interval": calendar.interval.value,
        "count": calendar.count,
    }


@lru_cache(maxsize=PERIODS_KEPT)
def _stored_period(period: Period) -> Mapping[str, Any]:
    return {"number": period.number} | _stored_span(period)


def _stored_span(span: Span) -> dict[str, Any]:
    return {"start": span.start.isoformat(), "end": span.end.isoformat()}


def _read_span(stored: Mapping[str, Any]) -> Span:
    return Span(_instant(stored["start"]), _instant(stored["end"]))


def _stored_figure(figure: Figure) -> dict[str, Any]:
    return {
        "basis": str(figure.basis),
        "numerator": figure.portion.numerator,
        "denominator": figure.portion.denominator,
        "cap_minor": figure.cap,
        "negative": figure.negative,
    }


def _read_figure(stored: Mapping[str, Any], currency: str) -> Figure:
    portion = Portion(stored["numerator"], stored["denominator"])
    return Figure(Fraction(stored["basis"]), portion, stored["cap_minor"], stored["negative"], currency)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
