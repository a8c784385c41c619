"""Why a line asks for what it does: worked out again from what it keeps, never read from the amounts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from models.billing import Invoice, InvoiceLine
from models.money import EXACT, Money
from models.types import ProrationPolicy
from services.billing import discounts, lines, usage_rules
from services.billing.finalizing import lines_of
from services.billing.lines import LineKind
from services.catalog import charge_json
from services.catalog.rating import RatedCharge, StepKind
from services.core.errors import Invalid
from services.core.work import UnitOfWork
from services.tax.evidence import taxable_from
from services.tax.rules import RoundingLevel, TaxedLine, tax_lines

UNITS = {
    ProrationPolicy.SECOND: "seconds",
    ProrationPolicy.MINUTE: "minutes",
    ProrationPolicy.DAY: "days",
    ProrationPolicy.FIXED_30: "days_of_30",  # of months that have 30
}


@dataclass(frozen=True, slots=True)
class Step:
    """`formula` is made of exact numbers in major units; their value is `amount`, before rounding. `unit` is what a
    part of a period was measured in, empty for what is no part."""

    name: str
    formula: str
    amount: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Discount:
    coupon: str
    minor: int


class TaxedHow(StrEnum):
    ROUNDED = "rounded"  # by itself; the rates of one price with tax share it by largest remainder
    SHARE = "share"  # its part of the tax of all such lines, which is rounded once for the document
    GIVEN = "given"  # as on the line that it credits


@dataclass(frozen=True, slots=True)
class TaxStep:
    """Tax at one rate: of `base_minor` net. `formula`, whose exact value is `exact` in major units, became `tax_minor`
    as `how` says; a tax that was given, not worked out, has no formula."""

    name: str
    jurisdiction: str
    rate: str
    source: str
    edition: str
    base_minor: int
    tax_minor: int
    formula: str
    exact: str
    how: TaxedHow


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line worked out again. Amounts are minor units; `agrees` says whether they are those of the document."""

    line_id: str
    description: str
    currency: str
    made_by: str  # a charge of the catalogue, the price list, or an item of a subscription
    inputs: dict[str, Any]
    steps: tuple[Step, ...]
    policy: str  # by which parts of a period were measured; empty where none was
    rounding: str
    tax_rounding: str
    period_start: datetime | None
    period_end: datetime | None
    amount_minor: int
    billed_before_minor: int
    discounts: tuple[Discount, ...]
    net_minor: int
    tax_minor: int
    gross_minor: int
    category: str
    reason: str
    taxes: tuple[TaxStep, ...]
    agrees: bool


async def explain(uow: UnitOfWork, invoice: Invoice, line: InvoiceLine) -> Explanation:
    """The line of an invoice that the caller was let to. Of a draft, whose tax is not decided yet, without tax."""
    amount, steps = replay_amount(line.facts)
    off = _discounts(invoice.coupons or [], line.id)
    taxed = await _taxed(uow, invoice, line)
    left = amount.minor - line.billed_before_minor - sum(one.minor for one in off)
    agrees = amount.minor == line.amount_minor
    if taxed is not None:
        worked_out = (taxed.net.minor, taxed.tax.minor, taxed.gross.minor)
        agrees &= worked_out == (line.net_minor, line.tax_minor, line.gross_minor)
        agrees &= left == (taxed.gross if taxed.inclusive else taxed.net).minor
    return Explanation(
        line_id=line.id,
        description=line.description,
        currency=invoice.currency,
        made_by=line.facts["made_by"],
        inputs=line.facts,
        steps=steps,
        policy=line.facts.get("policy", ""),
        rounding=lines.ROUNDING,
        tax_rounding=(invoice.policy or {}).get("tax_rounding", ""),
        period_start=line.period_start,
        period_end=line.period_end,
        amount_minor=amount.minor,
        billed_before_minor=line.billed_before_minor,
        discounts=off,
        net_minor=taxed.net.minor if taxed else left,
        tax_minor=taxed.tax.minor if taxed else 0,
        gross_minor=taxed.gross.minor if taxed else left,
        category=taxed.treatment.category.value if taxed else "",
        reason=taxed.treatment.reason if taxed else "",
        taxes=_tax_steps(taxed, RoundingLevel(invoice.policy["tax_rounding"]))
        if taxed and invoice.policy
        else (),
        agrees=agrees,
    )


def replay_amount(facts: Mapping[str, Any]) -> tuple[Money, tuple[Step, ...]]:
    """What the line charges, and by which steps. Raises Invalid for facts that this version cannot read."""
    match facts.get("made_by"):
        case "charge":
            rated = charge_json.replay({name: facts[name] for name in ("charge", "quantity", "events")})
            return Money.of(rated.amount, facts["currency"]), _charged(rated)
        case "price_list":
            parts = usage_rules.parts_from(facts)
            listed = tuple(
                Step(
                    part.meter,
                    f"{_product(part.quantity, part.unit_amount, Decimal(0))} / {part.per_units}",
                    _fraction(part.exact),
                )
                for part in parts
            )
            return usage_rules.amount_of(parts, facts["currency"]), listed
        case "item":
            return _item(lines.read_line(facts), facts.get("rated"))
        case other:
            raise Invalid(f"This line was made by {other!r}, which is not known here.")


def _item(line: lines.Line, rated: Mapping[str, Any] | None) -> tuple[Money, tuple[Step, ...]]:
    """A part of a period: of its price, which is rated again where the line keeps what from, or of what was debited."""
    if rated is None:
        return line.net.amount(), (_portion(line, line.net),)
    made = charge_json.replay(rated)
    figure = replace(line.net, basis=Fraction(made.amount))
    is_plain = len(made.steps) == 1 and made.steps[0].kind is StepKind.FLAT
    return figure.amount(), (*(() if is_plain else _charged(made)), _portion(line, figure))


def _charged(rated: RatedCharge) -> tuple[Step, ...]:
    return tuple(
        Step(
            step.kind.value, _product(step.quantity, step.unit_amount, step.flat_amount), _plain(step.amount)
        )
        for step in rated.steps
    )


def _portion(line: lines.Line, figure: lines.Figure) -> Step:
    portion, sign = figure.portion, "-" if figure.negative else ""
    exact = figure.basis * portion.fraction * (-1 if figure.negative else 1)
    formula = f"{sign}{_fraction(figure.basis)} × {portion.numerator} / {portion.denominator}"
    if figure.cap is not None:
        formula += f" ≤ {Money(figure.cap, figure.currency).amount:f}"
    unit = "" if line.kind is LineKind.RESTORE else UNITS[line.ruler.policy]
    return Step(line.kind.value, formula, _fraction(exact), unit)


def _product(quantity: Decimal, unit_amount: Decimal, flat: Decimal) -> str:
    product = f"{_plain(quantity)} × {_plain(unit_amount)}"
    return f"{product} + {_plain(flat)}" if flat else product


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fraction(value: Fraction) -> str:
    """In decimals where they end, else as a fraction."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    return _plain(EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)))


def _discounts(coupons: Sequence[Mapping[str, Any]], line_id: str) -> tuple[Discount, ...]:
    """What each coupon takes off the line, worked out again from what it saw of all lines."""
    found: list[Discount] = []
    for facts in coupons:
        made = discounts.replay(facts)
        found += [Discount(made.code, share.discount.minor) for share in made.shares if share.key == line_id]
    return tuple(found)


async def _taxed(uow: UnitOfWork, invoice: Invoice, line: InvoiceLine) -> TaxedLine | None:
    if line.tax is None or invoice.policy is None:
        return None
    level = RoundingLevel(invoice.policy["tax_rounding"])
    together = [line] if level is RoundingLevel.LINE else await lines_of(uow, invoice)
    evidence = [taxable_from(one.tax) for one in together if one.tax is not None]
    return next(one for one in tax_lines(evidence, rounding=level) if one.key == line.id)


def _tax_steps(taxed: TaxedLine, level: RoundingLevel) -> tuple[TaxStep, ...]:
    how = TaxedHow.SHARE if level is RoundingLevel.DOCUMENT else TaxedHow.ROUNDED
    together = sum((part.rate.rate for part in taxed.parts), Decimal(1))
    made: list[TaxStep] = []
    for part in taxed.parts:
        rate = _plain(part.rate.rate)
        base = (taxed.gross if taxed.inclusive else taxed.net).amount
        formula, exact = f"{base:f} × {rate}", Fraction(base) * Fraction(part.rate.rate)
        if taxed.inclusive:
            formula, exact = f"{formula} / {_plain(together)}", exact / Fraction(together)
        made.append(
            TaxStep(
                name=part.rate.name,
                jurisdiction=part.rate.jurisdiction,
                rate=f"{part.rate.rate:f}",
                source=part.rate.source,
                edition=part.rate.version,
                base_minor=taxed.net.minor,
                tax_minor=part.tax.minor,
                formula="" if taxed.tax_given else formula,
                exact="" if taxed.tax_given else _fraction(exact),
                how=TaxedHow.GIVEN if taxed.tax_given else how,
            )
        )
    return tuple(made)
