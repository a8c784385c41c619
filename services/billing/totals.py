"""The totals of an invoice, in the one order: charges, credits of earlier billing, coupons, tax, credit notes,
prepaid credits, amount due.

Pure, no I/O. Money in the invoice's currency; each line comes in rounded once, and nothing is rounded here but
coupons and tax. Source: MONEY.md's row "order on an invoice", docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.money import Money
from models.values import value
from services.billing.discounts import Application, DiscountLine, Redemption, apply_coupons
from services.core.errors import Invalid
from services.tax.rules import RoundingLevel, TaxableLine, TaxedLine, Treatment, tax_lines

LINES_MAX = 5_000
CREDITS_MAX = 1_000  # credit notes with something left, on one invoice
MINOR_MAX = 2**63 - 1  # what a column holds


@value
class InvoiceLine:
    """`charged` is the line's whole charge, negative for an adjustment; `billed_before` is what earlier documents of
    the same period billed for the same thing, before coupons and tax.

    Not `discountable`: what was computed from debits that had their discounts already. So is a credit for unused
    time, which also brings its `tax`, as it was debited; none that is given is computed anew, or discounted.
    """

    key: str
    charged: Money
    treatment: Treatment
    billed_before: Money | None = None
    inclusive: bool = False
    metric: str | None = None
    plan: str | None = None
    discountable: bool = True
    tax: Money | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """Something an organisation may pay with: the rest of a credit note. Not negative."""

    id: str
    left: Money


@value
class TotalledLine:
    """charged - billed_before - discount is the net of the taxed line, or its gross if it is inclusive."""

    key: str
    charged: Money
    billed_before: Money
    discount: Money
    taxed: TaxedLine


@value
class Totals:
    """charged - billed_before - discounted is the sum that was taxed, net + tax = gross, and
    gross = from_notes + from_prepaid + due - carried.

    `due` is never negative. A document whose gross is below zero pays nothing and is paid by nothing: all of it is
    `carried`, to become a credit of the organisation.
    """

    lines: tuple[TotalledLine, ...]
    coupons: tuple[Application, ...]
    credits: tuple[Credit, ...]  # what was taken of each note, in order; those not needed are left out
    charged: Money
    billed_before: Money
    discounted: Money
    net: Money
    tax: Money
    gross: Money
    from_notes: Money
    from_prepaid: Money
    due: Money
    carried: Money


def total(
    lines: Sequence[InvoiceLine],
    *,
    currency: str,
    rounding: RoundingLevel,
    redemptions: Sequence[Redemption] = (),
    notes: Sequence[Credit] = (),
    prepaid: Money | None = None,
) -> Totals:
    """What the document comes to. `notes` are taken in the order given, then `prepaid`, each up to what is open.

    Raises Invalid for mixed currencies, two lines of one key, more than LINES_MAX lines, credits below zero and
    sums that no column holds.
    """
    nothing = Money(0, currency)
    wallet = prepaid if prepaid is not None else nothing
    _check(lines, notes, wallet)
    open_lines = [
        line.charged if line.billed_before is None else line.charged - line.billed_before for line in lines
    ]
    coupons = _coupons(lines, open_lines, redemptions) if redemptions else ()
    discounts: dict[str, Money] = {}
    for share in (share for coupon in coupons for share in coupon.shares):
        discounts[share.key] = discounts.get(share.key, nothing) + share.discount
    taxed = tax_lines(
        [
            TaxableLine(
                line.key,
                base - discounts[line.key] if line.key in discounts else base,
                line.treatment,
                line.inclusive,
                line.tax,
            )
            for line, base in zip(lines, open_lines, strict=True)
        ],
        rounding=rounding,
    )
    return _settle(
        tuple(
            TotalledLine(
                line.key, line.charged, line.billed_before or nothing, discounts.get(line.key, nothing), tax
            )
            for line, tax in zip(lines, taxed, strict=True)
        ),
        coupons,
        notes=notes,
        prepaid=wallet,
    )


def _coupons(
    lines: Sequence[InvoiceLine], open_lines: Sequence[Money], redemptions: Sequence[Redemption]
) -> tuple[Application, ...]:
    return apply_coupons(
        [
            DiscountLine(line.key, base, line.metric, line.plan, line.discountable and line.tax is None)
            for line, base in zip(lines, open_lines, strict=True)
        ],
        redemptions,
    )


def _settle(
    lines: tuple[TotalledLine, ...],
    coupons: tuple[Application, ...],
    *,
    notes: Sequence[Credit],
    prepaid: Money,
) -> Totals:
    code = prepaid.currency  # of all amounts, as `_check` has seen
    charged = billed_before = discounted = net = tax = owed = 0
    for line in lines:
        charged += line.charged.minor
        billed_before += line.billed_before.minor
        discounted += line.discount.minor
        net += line.taxed.net.minor
        tax += line.taxed.tax.minor
        owed += line.taxed.gross.minor
    gross, still_open = Money(owed, code), Money(max(owed, 0), code)
    used: list[Credit] = []
    for note in notes:
        if (taken := min(note.left, still_open)).minor:
            used.append(Credit(note.id, taken))
            still_open -= taken
    from_prepaid = min(prepaid, still_open)
    made = Totals(
        lines=lines,
        coupons=coupons,
        credits=tuple(used),
        charged=Money(charged, code),
        billed_before=Money(billed_before, code),
        discounted=Money(discounted, code),
        net=Money(net, code),
        tax=Money(tax, code),
        gross=gross,
        from_notes=Money(sum(note.left.minor for note in used), code),
        from_prepaid=from_prepaid,
        due=still_open - from_prepaid,
        carried=Money(max(-owed, 0), code),
    )
    if max(abs(charged), abs(net), abs(owed)) > MINOR_MAX:
        raise Invalid(f"An invoice over {gross.said()} cannot be kept.", field="lines")
    return made


def _check(lines: Sequence[InvoiceLine], notes: Sequence[Credit], prepaid: Money) -> None:
    if len(lines) > LINES_MAX:
        raise Invalid(
            f"An invoice has at most {LINES_MAX:,} lines, and this has {len(lines):,}.", field="lines"
        )
    if len({line.key for line in lines}) < len(lines):
        raise Invalid("Two lines have the same key.", field="lines")
    if len(notes) > CREDITS_MAX:
        raise Invalid(f"At most {CREDITS_MAX:,} credit notes pay one invoice.", field="notes")
    if len({note.id for note in notes}) < len(notes):
        raise Invalid("A credit note is there twice.", field="notes")
    amounts = [line.charged for line in lines] + [note.left for note in notes]
    amounts += [line.billed_before for line in lines if line.billed_before is not None]
    for amount in amounts:
        if amount.currency != prepaid.currency:
            raise Invalid(
                f"{amount.said()} is not in {prepaid.currency}, as the invoice is.", field="currency"
            )
    for credit in (prepaid, *(note.left for note in notes)):
        if credit.minor < 0:
            raise Invalid(f"A credit of {credit.said()} is none.", field="notes")
