"""An invoice's totals in their order, and credit notes down to the last minor unit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.money import Money
from services.billing.credit_notes import Piece, credit_all, credit_amount, credit_lines, left_of, pieces_of
from services.billing.discounts import Coupon, Redemption
from services.billing.totals import Credit, InvoiceLine, Totals, total
from services.core.errors import Invalid
from services.tax.rules import Category, Rate, RoundingLevel, Treatment

# A busy machine is not the code's fault.
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

DAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINE, DOCUMENT = RoundingLevel.LINE, RoundingLevel.DOCUMENT
NONE = Treatment(Category.OUT_OF_SCOPE, DAY, reason="elsewhere")


def rates(*values: str) -> Treatment:
    found = tuple(
        Rate("DE", f"tax {i}", Decimal(value), "typed in", "1", DAY) for i, value in enumerate(values)
    )
    return Treatment(Category.STANDARD, DAY, found)


VAT = rates("0.19")


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def line(key: str, minor: int, how: Treatment = VAT, **more: Any) -> InvoiceLine:
    return InvoiceLine(key, eur(minor), how, **more)


def totals(lines: list[InvoiceLine], **more: Any) -> Totals:
    return total(lines, currency="EUR", **{"rounding": LINE, **more})


def half_off() -> list[Redemption]:
    return [Redemption("r", Coupon("HALF", rate=Decimal("0.5")), NOW)]


def test_each_step_sees_what_the_one_before_it_left() -> None:
    made = totals(
        [line("usage", 100_00, billed_before=eur(40_00)), line("seats", 40_00)],
        redemptions=half_off(),
        notes=[Credit("old", eur(9_00)), Credit("new", eur(20_00))],
        prepaid=eur(25_00),
    )

    assert (made.charged, made.billed_before, made.discounted) == (eur(140_00), eur(40_00), eur(50_00))
    assert (made.net, made.tax, made.gross) == (eur(50_00), eur(9_50), eur(59_50))
    assert (made.from_notes, made.from_prepaid, made.due) == (eur(29_00), eur(25_00), eur(5_50))
    assert made.carried == eur(0)
    assert [one.discount for one in made.lines] == [eur(30_00), eur(20_00)]


@pytest.mark.parametrize(
    ("lines", "more", "gross", "due", "carried"),
    [
        ([], {}, 0, 0, 0),
        ([line("a", 0)], {"prepaid": eur(5)}, 0, 0, 0),
        ([line("a", 100)], {"notes": [Credit("n", eur(500))], "prepaid": eur(500)}, 119, 0, 0),
        ([line("a", 100)], {"prepaid": eur(500)}, 119, 0, 0),
        # running bill that fell below what was billed, and an old plan's rest above the new plan's price
        ([line("a", 80, billed_before=eur(100))], {"prepaid": eur(500)}, -24, 0, 24),
        ([line("new", 30, NONE), line("rest", -50, NONE, discountable=False)], {}, -20, 0, 20),
        # what was credited from a discounted debit is not discounted again
        (
            [line("new", 30, NONE), line("rest", -10, NONE, discountable=False)],
            {"redemptions": half_off()},
            5,
            5,
            0,
        ),
        # the new plan under the rate of now, the rest of the old one at the tax that was debited
        (
            [line("new", 30_00), line("rest", -10_00, tax=eur(-1_60))],
            {"redemptions": half_off()},
            6_25,
            6_25,
            0,
        ),
        ([line("a", 119, inclusive=True), line("b", 100)], {"redemptions": half_off()}, 119, 119, 0),
        ([line("a", 2), line("b", 2), line("c", 2)], {"rounding": LINE}, 6, 6, 0),
        ([line("a", 2), line("b", 2), line("c", 2)], {"rounding": DOCUMENT}, 7, 7, 0),
    ],
)
def test_worked_totals(
    lines: list[InvoiceLine], more: dict[str, Any], gross: int, due: int, carried: int
) -> None:
    made = totals(lines, **more)

    assert (made.gross, made.due, made.carried) == (eur(gross), eur(due), eur(carried))
    assert made.net + made.tax == made.gross
    assert made.gross == made.from_notes + made.from_prepaid + made.due - made.carried


@pytest.mark.parametrize(
    ("lines", "more", "field"),
    [
        ([line(str(i), 1) for i in range(5_001)], {}, "lines"),
        ([line("a", 1), line("a", 2)], {}, "lines"),
        ([replace(line("a", 1), charged=Money(1, "USD"))], {}, "currency"),
        ([line("a", 1, billed_before=Money(1, "USD"))], {}, "currency"),
        ([line("a", 1)], {"notes": [Credit("n", Money(1, "USD"))]}, "currency"),
        ([line("a", 1)], {"notes": [Credit("n", eur(1))] * 2}, "notes"),
        ([line("a", 1)], {"notes": [Credit("n", eur(-1))]}, "notes"),
        ([line("a", 1)], {"prepaid": eur(-1)}, "notes"),
        ([line("a", 10**19)], {}, "lines"),
        ([line("a", -100, tax=eur(19))], {}, "tax"),
        ([line("a", -100, tax=eur(-101))], {}, "tax"),
        ([line("a", -100, NONE, tax=eur(-19))], {}, "tax"),
        ([line("a", -100, tax=Money(-19, "USD"))], {}, "tax"),
    ],
)
def test_what_makes_no_invoice_is_refused_by_its_field(
    lines: list[InvoiceLine], more: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        totals(lines, **more)
    assert refused.value.field == field


def test_an_invoice_of_as_many_lines_as_there_may_be_adds_up() -> None:
    made = totals([line(str(i), 1 + i % 7) for i in range(5_000)], rounding=DOCUMENT, redemptions=half_off())

    assert made.charged == eur(19_995)
    assert (made.discounted, made.net, made.tax) == (eur(9_998), eur(9_997), eur(1_899))


# -- credit notes


def invoice(*lines: InvoiceLine, rounding: RoundingLevel = LINE) -> tuple[Piece, ...]:
    return pieces_of([one.taxed for one in totals(list(lines), rounding=rounding).lines])


def test_thirds_of_an_invoice_add_up_to_it() -> None:
    whole = invoice(line("a", 100), line("b", 50, rates("0.05", "0.09975")), line("c", 34, NONE))
    gross = sum(piece.gross.minor for piece in whole)
    third = eur(gross // 3)

    notes = [credit_amount(whole, third)]
    notes.append(credit_amount(left_of(whole, notes), third))
    notes.append(credit_all(left_of(whole, notes)))

    assert [sum(piece.gross.minor for piece in note) for note in notes] == [70, 70, 71]
    rest = left_of(whole, notes)
    assert all(piece.net.minor == piece.tax.minor == 0 for piece in rest)
    with pytest.raises(Invalid, match="Nothing of this invoice is left"):
        credit_all(rest)


def test_tax_is_credited_by_the_invoice_s_own_lines() -> None:
    whole = invoice(line("high", 100_00), line("free", 100_00, NONE))

    assert [(p.key, p.net.minor, p.tax.minor) for p in credit_lines(whole, {"high": eur(59_50)})] == [
        ("high", 50_00, 9_50)
    ]
    assert [(p.key, p.net.minor, p.tax.minor) for p in credit_lines(whole, {"free": None})] == [
        ("free", 100_00, 0)
    ]
    assert [(p.key, p.net.minor, p.tax.minor) for p in credit_amount(whole, eur(21_90))] == [
        ("high", 10_00, 1_90),
        ("free", 10_00, 0),
    ]


def test_a_share_of_a_document_s_tax_is_credited_as_it_was_charged() -> None:
    whole = invoice(line("a", 2), line("b", 2), line("c", 2), rounding=DOCUMENT)

    assert [piece.tax.minor for piece in whole] == [1, 0, 0]
    assert [credit_lines(whole, {key: None})[0].gross.minor for key in "abc"] == [3, 2, 2]


WHOLE = invoice(line("a", 100, NONE), line("b", -20, NONE))


@pytest.mark.parametrize(
    ("act", "field", "code"),
    [
        (lambda: credit_amount(WHOLE, eur(81)), "amount", "credit_exceeds_invoice"),
        (lambda: credit_amount(WHOLE, eur(0)), "amount", "invalid_input"),
        (lambda: credit_amount(WHOLE, eur(-1)), "amount", "invalid_input"),
        (lambda: credit_amount(WHOLE, Money(1, "USD")), "amount", "invalid_input"),
        (lambda: credit_lines(WHOLE, {"a": eur(101)}), "lines.a", "credit_exceeds_invoice"),
        (lambda: credit_lines(WHOLE, {"a": None}), "amount", "credit_exceeds_invoice"),
        (lambda: credit_lines(WHOLE, {"b": None}), "amount", "invalid_input"),
        (lambda: credit_lines(WHOLE, {"b": eur(-5)}), "lines.b", "invalid_input"),
        (lambda: credit_lines(WHOLE, {"c": None}), "lines.c", "invalid_input"),
        (lambda: credit_lines(WHOLE, {}), "amount", "invalid_input"),
        (lambda: credit_all(left_of(WHOLE, [credit_all(WHOLE)])), "amount", "invalid_input"),
        (lambda: left_of(WHOLE, [[Piece("z", eur(1), ())]]), "lines.z", "invalid_input"),
        (lambda: credit_all([]), "lines", "invalid_input"),
    ],
)
def test_more_than_is_left_is_never_credited(act: Any, field: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        act()
    assert (refused.value.field, refused.value.error_code) == (field, code)


# -- properties

treatments = st.sampled_from([NONE, VAT, rates("0.05", "0.09975"), rates("0.07"), rates("1", "1", "1")])


@st.composite
def invoices(draw: st.DrawFn) -> Totals:
    currency = draw(st.sampled_from(["JPY", "USD", "BHD"]))
    minors = st.integers(-5, 20) | st.integers(0, 10**7)
    lines = [
        InvoiceLine(
            str(i),
            Money(draw(minors), currency),
            draw(treatments),
            billed_before=draw(st.none() | minors.map(lambda minor: Money(minor, currency))),
            inclusive=draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, 5)))
    ]
    rests = st.integers(0, 300).map(lambda minor: Money(minor, currency))
    coupons = [
        Coupon("R", rate=draw(st.decimals("0.01", 1, places=2))),
        Coupon("A", amount=Money(draw(st.integers(1, 200)), currency)),
    ]
    return total(
        lines,
        currency=currency,
        rounding=draw(st.sampled_from(RoundingLevel)),
        redemptions=[Redemption(one.code, one, NOW) for one in coupons[: draw(st.integers(0, 2))]],
        notes=[Credit(str(i), draw(rests)) for i in range(draw(st.integers(0, 3)))],
        prepaid=draw(rests),
    )


@EXAMPLES
@given(made=invoices())
def test_an_invoice_adds_up_at_every_step(made: Totals) -> None:
    assert made.net + made.tax == made.gross
    assert made.gross == made.from_notes + made.from_prepaid + made.due - made.carried
    assert min(made.due.minor, made.carried.minor, made.from_notes.minor, made.from_prepaid.minor) >= 0
    assert made.due.minor == 0 or made.carried.minor == 0
    assert sum(credit.left.minor for credit in made.credits) == made.from_notes.minor
    for one in made.lines:
        entered = one.taxed.gross if one.taxed.inclusive else one.taxed.net
        assert one.charged - one.billed_before - one.discount == entered
    assert made.discounted.minor == sum(coupon.discount.minor for coupon in made.coupons)


@EXAMPLES
@given(made=invoices(), data=st.data())
def test_credit_notes_never_exceed_their_invoice_and_end_at_it_to_the_last_unit(
    made: Totals, data: st.DataObject
) -> None:
    whole = pieces_of([one.taxed for one in made.lines])
    notes: list[tuple[Piece, ...]] = []
    while (left := sum(piece.gross.minor for piece in left_of(whole, notes))) > 0:
        pieces = left_of(whole, notes)
        kind = data.draw(st.sampled_from(["all", "amount", "line"])) if len(notes) < 4 else "all"
        if kind == "all":
            notes.append(credit_all(pieces))
        elif kind == "amount":
            notes.append(credit_amount(pieces, replace(made.gross, minor=data.draw(st.integers(1, left)))))
        else:
            chosen = data.draw(st.sampled_from([piece for piece in pieces if piece.gross.minor > 0]))
            most = min(left, chosen.gross.minor)
            part = replace(made.gross, minor=data.draw(st.integers(1, most)))
            notes.append(credit_lines(pieces, {chosen.key: part}))
        for before, after in zip(pieces, left_of(whole, notes), strict=True):
            assert all(
                min(0, was.minor) <= now.minor <= max(0, was.minor)
                for was, now in zip((before.net, *before.taxes), (after.net, *after.taxes), strict=True)
            )

    credited = sum(piece.gross.minor for note in notes for piece in note)
    assert credited == max(made.gross.minor, 0)
