"""Tax of lines: net + tax = gross, to the minor unit, on lines and on documents, with the evidence of each."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.money import Money, round_half_away
from services.core.errors import Invalid
from services.tax.engine import Buyer, Exemption, RateTable, RegisteredRates, Seller, TaxEngine
from services.tax.evidence import evidence_of, number_from_json, taxable_from
from services.tax.rules import (
    Category,
    CheckedNumber,
    NumberState,
    Rate,
    RoundingLevel,
    TaxableLine,
    TaxedLine,
    Treatment,
    round_together,
    summarise,
    tax_lines,
)

# A busy machine is not the code's fault.
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

DAY = date(2026, 3, 1)
LINE, DOCUMENT = RoundingLevel.LINE, RoundingLevel.DOCUMENT


def rate(value: str, jurisdiction: str = "DE", name: str = "VAT", since: date = date(2020, 1, 1)) -> Rate:
    return Rate(jurisdiction, name, Decimal(value), "typed in", "2026-01", since)


def taxed_by(*rates: Rate) -> Treatment:
    category = Category.STANDARD if any(one.rate for one in rates) else Category.ZERO
    return Treatment(category, DAY, rates)


def lines(how: Treatment, *amounts: int, currency: str = "EUR", inclusive: bool = False) -> list[TaxableLine]:
    return [TaxableLine(str(i), Money(a, currency), how, inclusive) for i, a in enumerate(amounts)]


def taxes(made: tuple[TaxedLine, ...]) -> list[int]:
    return [line.tax.minor for line in made]


DE19, DE7, FREE = rate("0.19"), rate("0.07", name="reduced"), rate("0")
GST, QST = rate("0.05", "CA", "GST"), rate("0.09975", "CA-QC", "QST")
NUMBER = CheckedNumber(
    "FR", "FR40303265045", NumberState.VALID, datetime(2026, 2, 28, tzinfo=UTC), "VIES", "WAPI-1"
)
INVALID = replace(NUMBER, state=NumberState.INVALID)


@pytest.mark.parametrize(
    ("how", "inclusive", "amounts", "by_line", "by_document"),
    [
        (taxed_by(DE19), False, [100_00], [19_00], [19_00]),
        (taxed_by(DE19), False, [3, 3, 3], [1, 1, 1], [1, 1, 0]),  # 0.57 each, 1.71 together
        (taxed_by(DE19), False, [2, 2, 2], [0, 0, 0], [1, 0, 0]),  # 0.38 each, 1.14 together
        (taxed_by(DE19), False, [50, -50], [10, -10], [9, -9]),  # 9.5 each; nothing together
        (taxed_by(DE19), False, [-3, -3, -3], [-1, -1, -1], [-1, -1, 0]),
        (taxed_by(DE19), True, [119_00], [19_00], [19_00]),
        (taxed_by(DE19), True, [100_00], [15_97], [15_97]),  # 15.966; the net is the rest, 84.03
        (taxed_by(DE19), True, [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]),
        (taxed_by(GST, QST), False, [1_99], [30], [30]),  # 9.95 and 19.85
        (taxed_by(GST, QST), False, [10, 10], [2, 2], [2, 1]),  # 0.5 and 0.9975 each; 1 and 1.995 together
        (taxed_by(GST, QST), True, [114_98], [1_498], [1_498]),
        (taxed_by(FREE), False, [100], [0], [0]),
        (taxed_by(FREE), True, [100], [0], [0]),
    ],
)
def test_worked_cases_of_both_rounding_levels(
    how: Treatment, inclusive: bool, amounts: list[int], by_line: list[int], by_document: list[int]
) -> None:
    given_lines = lines(how, *amounts, inclusive=inclusive)

    assert taxes(tax_lines(given_lines, rounding=LINE)) == by_line
    assert taxes(tax_lines(given_lines, rounding=DOCUMENT)) == by_document


def test_document_rounding_is_by_rate_and_the_summary_has_each() -> None:
    together = [*lines(taxed_by(DE19), 2, 2, 2), *lines(taxed_by(DE7), 9)]
    together[3] = replace(together[3], key="reduced")

    made = tax_lines(together, rounding=DOCUMENT)

    assert [(s.category, s.rate, s.base.minor, s.tax.minor) for s in summarise(made)] == [
        (Category.STANDARD, DE19, 6, 1),
        (Category.STANDARD, DE7, 9, 1),
    ]
    assert [line.key for line in made] == ["0", "1", "2", "reduced"]


def test_a_credit_keeps_the_tax_of_what_it_takes_back() -> None:
    debit = lines(taxed_by(DE19), 100)[0]
    credit = TaxableLine("credit", Money(-50, "EUR"), taxed_by(GST, QST), tax=Money(-8, "EUR"))

    for rounding in RoundingLevel:
        made = tax_lines([credit, debit], rounding=rounding)
        assert [(line.key, line.net.minor, line.gross.minor) for line in made] == [
            ("credit", -50, -58),
            ("0", 100, 119),
        ]
        assert [part.tax.minor for part in made[0].parts] == [-3, -5]
        assert taxable_from(evidence_of(made[0])) == credit


def test_a_line_keeps_why_it_bears_its_tax() -> None:
    how = Treatment(Category.REVERSE_CHARGE, DAY, reason_code="VATEX-EU-AE", number=NUMBER)
    reverse, mixed = (
        tax_lines(lines(how, 100), rounding=LINE)[0],
        tax_lines(lines(taxed_by(GST, QST), 1_99), rounding=LINE)[0],
    )

    assert (reverse.net.minor, reverse.tax.minor, reverse.gross.minor) == (100, 0, 100)
    kept = evidence_of(reverse)
    assert (kept["category"], kept["reason_code"], kept["on"]) == ("AE", "VATEX-EU-AE", "2026-03-01")
    assert kept["number"] == {
        "country": "FR",
        "number": "FR40303265045",
        "state": "valid",
        "checked_at": "2026-02-28T00:00:00+00:00",
        "source": "VIES",
        "reference": "WAPI-1",
        "reason": "",
    }
    assert [(part["name"], part["rate"], part["tax"]) for part in evidence_of(mixed)["parts"]] == [
        ("GST", "0.05", 10),
        ("QST", "0.09975", 20),
    ]
    assert all(part["source"] == "typed in" and part["version"] for part in evidence_of(mixed)["parts"])


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: rate("1.01"), "rate"),
        (lambda: rate("-0.01"), "rate"),
        (lambda: rate("0.19", name=""), "name"),
        (lambda: Rate("DE", "VAT", Decimal(0), "typed", "1", DAY, DAY), "valid_until"),
        (lambda: Treatment(Category.STANDARD, DAY), "rates"),
        (lambda: Treatment(Category.STANDARD, DAY, (FREE,)), "category"),
        (lambda: Treatment(Category.ZERO, DAY, (DE19,)), "category"),
        (lambda: Treatment(Category.STANDARD, DAY, (DE19, rate("0.07"))), "rates"),
        (lambda: Treatment(Category.STANDARD, date(2019, 1, 1), (DE19,)), "rates"),
        (lambda: Treatment(Category.EXEMPT, DAY), "reason"),
        (lambda: Treatment(Category.EXEMPT, DAY, (DE19,), reason="charity"), "rates"),
        (lambda: Treatment(Category.REVERSE_CHARGE, DAY, reason="r"), "number"),
        (
            lambda: Treatment(Category.REVERSE_CHARGE, DAY, reason="r", number=INVALID),
            "number",
        ),
        (lambda: RateTable([rate("0.19"), rate("0.16", since=DAY)]), "rates"),
        (
            lambda: tax_lines(
                [*lines(taxed_by(DE19), 1), *lines(taxed_by(DE19), 1, currency="USD")], rounding=LINE
            ),
            "currency",
        ),
    ],
)
def test_what_is_unsound_is_refused_by_its_field(make: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        make()
    assert refused.value.field == field


def test_who_is_taxed_how() -> None:
    """An exemption, else reverse charge, else the rates of a registration, else no tax."""
    lowered = Rate("DE", "VAT", Decimal("0.16"), "typed in", "1", date(2020, 7, 1), date(2021, 1, 1))
    before = replace(lowered, rate=Decimal("0.19"), valid_from=date(2007, 1, 1), valid_until=date(2020, 7, 1))
    after = replace(before, valid_from=date(2021, 1, 1), valid_until=None)
    engine: TaxEngine = RegisteredRates(RateTable([after, before, lowered, GST]))
    seller = Seller("DE", frozenset({"DE", "FR"}), frozenset({"FR", "DE"}))

    def treated(buyer: Buyer, on: date = DAY) -> Treatment:
        return engine.treat(tax_code="", seller=seller, buyer=buyer, on=on)

    at_home = Buyer("DE", replace(NUMBER, country="DE"))
    days = (date(2020, 6, 30), date(2020, 7, 1), date(2020, 12, 31))
    assert [f"{treated(at_home, day).rates[0].rate}" for day in days] == ["0.19", "0.16", "0.16"]
    assert treated(at_home, date(2021, 1, 1)).category is Category.STANDARD  # no reverse charge at home
    abroad = treated(Buyer("FR", NUMBER))
    assert (abroad.category, abroad.number) == (Category.REVERSE_CHARGE, NUMBER)
    assert treated(Buyer("US")).category is Category.OUT_OF_SCOPE
    paper = Exemption("VATEX-EU-132", "", "file_1", date(2026, 1, 1), date(2026, 4, 1))
    assert treated(Buyer("FR", NUMBER, paper)).category is Category.EXEMPT
    assert treated(Buyer("FR", NUMBER, paper), date(2026, 4, 1)).category is Category.REVERSE_CHARGE
    unanswered = replace(NUMBER, state=NumberState.UNAVAILABLE)
    unchecked = CheckedNumber("FR", NUMBER.number, NumberState.UNCHECKED)
    for unproven in (INVALID, replace(NUMBER, country="IT"), unanswered, unchecked, None):
        with pytest.raises(Invalid, match="No tax rate of FR is known"):  # taxed, and the rate is not made up
            treated(Buyer("FR", unproven))
    seller = replace(seller, trusts_unanswered=True)
    assert treated(Buyer("FR", unanswered)).category is Category.REVERSE_CHARGE
    for unproven in (INVALID, unchecked):
        with pytest.raises(Invalid, match="No tax rate of FR is known"):
            treated(Buyer("FR", unproven))


# -- properties

values = st.sampled_from(["0", "0.05", "0.07", "0.09975", "0.19", "0.2", "1"])
rate_sets = st.lists(values, min_size=1, max_size=3).map(
    lambda found: taxed_by(*(rate(value, name=f"tax {i}") for i, value in enumerate(found)))
)
untaxed = st.just(Treatment(Category.OUT_OF_SCOPE, DAY, reason="elsewhere"))


@st.composite
def documents(draw: st.DrawFn) -> list[TaxableLine]:
    currency = draw(st.sampled_from(["JPY", "USD", "BHD"]))
    treatments = draw(st.lists(rate_sets | untaxed, min_size=1, max_size=3))
    amounts = st.integers(-30, 30) | st.integers(-(10**12), 10**12)
    return [
        TaxableLine(
            str(i), Money(draw(amounts), currency), draw(st.sampled_from(treatments)), draw(st.booleans())
        )
        for i in range(draw(st.integers(1, 8)))
    ]


@EXAMPLES
@given(document=documents(), rounding=st.sampled_from(RoundingLevel))
def test_net_and_tax_are_gross_and_nothing_changes_its_sign(
    document: list[TaxableLine], rounding: RoundingLevel
) -> None:
    made = tax_lines(document, rounding=rounding)

    kept = json.loads(json.dumps([evidence_of(line) for line in made]))
    assert (
        tax_lines([taxable_from(one) for one in kept], rounding=rounding) == made
    )  # explained to the same cent
    for before, after in zip(document, made, strict=True):
        sign = -1 if before.amount.minor < 0 else 1
        assert after.net + after.tax == after.gross
        assert sum(part.tax.minor for part in after.parts) == after.tax.minor
        assert before.amount == (after.gross if before.inclusive else after.net)
        assert all(sign * part.tax.minor >= 0 for part in after.parts)
        assert sign * after.net.minor >= 0
        for part in after.parts:
            combined = sum(Fraction(one.rate) for one in before.treatment.rates) if before.inclusive else 0
            exact = before.amount.minor * Fraction(part.rate.rate) / (1 + combined)
            assert abs(part.tax.minor - exact) < 2
    mirrored = [replace(line, amount=-line.amount) for line in document]
    assert [line.tax for line in tax_lines(mirrored, rounding=rounding)] == [-line.tax for line in made]


@EXAMPLES
@given(document=documents(), random=st.randoms())
def test_a_document_s_tax_is_rounded_once_for_each_rate_whatever_the_order(
    document: list[TaxableLine], random: Any
) -> None:
    exclusive = [replace(line, inclusive=False) for line in document]
    shuffled = list(exclusive)
    random.shuffle(shuffled)
    made, again = (tax_lines(given_lines, rounding=DOCUMENT) for given_lines in (exclusive, shuffled))

    by_set: dict[Any, int] = {}
    for line in exclusive:
        by_set[line.treatment.rates] = by_set.get(line.treatment.rates, 0) + line.amount.minor
    assert (
        sum(taxes(made))
        == sum(taxes(again))
        == sum(round_half_away(base * Fraction(one.rate)) for rates, base in by_set.items() for one in rates)
    )


@EXAMPLES
@given(st.lists(st.fractions(-50, 50, max_denominator=200), max_size=10))
@example([Fraction(1, 2), Fraction(-1, 2)])
def test_numbers_rounded_together_add_up_and_stay_near(exact: list[Fraction]) -> None:
    parts = round_together(exact)

    assert sum(parts) == round_half_away(sum(exact, Fraction(0)))
    assert all(abs(part - one) < 1 and part * one >= 0 for part, one in zip(parts, exact, strict=True))
    assert round_together([-one for one in exact]) == [-part for part in parts]


def test_a_number_that_changed_nothing_is_kept_beside_the_rate() -> None:
    engine, seller = (
        RegisteredRates(RateTable([replace(DE19, jurisdiction="FR")])),
        Seller("DE", frozenset({"FR"}), frozenset({"FR"})),
    )

    how = engine.treat(tax_code="", seller=seller, buyer=Buyer("FR", INVALID), on=DAY)

    assert (how.category, how.number) == (Category.STANDARD, INVALID)
    made = tax_lines(lines(how, 100), rounding=LINE)[0]
    assert taxable_from(evidence_of(made)) == lines(how, 100)[0]


def test_a_number_that_was_kept_before_numbers_had_a_state_is_read() -> None:
    said = {
        "country": "FR",
        "number": "FR1",
        "checked_at": "2026-02-28T00:00:00+00:00",
        "source": "s",
        "reference": "",
    }
    states = [number_from_json(said | {"valid": valid}).state for valid in (True, False)]
    assert states == [NumberState.VALID, NumberState.INVALID]
