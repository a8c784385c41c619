"""What a quantity costs by each charge model: exact, explained by steps that add up, and the same when replayed."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.money import Money
from services.catalog.charge_json import charge_from_json, charge_to_json, facts_of, replay, steps_to_json
from services.catalog.charges import (
    Charge,
    Flat,
    Graduated,
    Model,
    OneOff,
    Package,
    Percentage,
    PerUnit,
    Tier,
    Volume,
)
from services.catalog.rating import NO_EVENTS, EventTally, StepKind, rate, tally
from services.core.errors import Invalid

# A busy machine is not the code's fault.
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

D = Decimal
CODES = ("JPY", "USD", "BHD")  # of 0, 2 and 3 digits


def tiers(*rows: tuple[str | None, str, str]) -> tuple[Tier, ...]:
    """Of (up to, unit amount, flat amount), each beginning where the one before it ends."""
    made: list[Tier] = []
    above = D(0)
    for up_to, unit, flat in rows:
        made.append(Tier(above, None if up_to is None else D(up_to), D(unit), D(flat)))
        above = made[-1].up_to or above
    return tuple(made)


THREE = tiers(("10", "5", "0"), ("20", "4", "7"), (None, "3", "1"))
FLAT_FIRST = tiers(("5", "0", "30"), (None, "2", "0"))
FALLING = tiers(("15", "4", "0"), (None, "3", "0"))
TENTHS = tiers(("0.1", "1", "0"), ("0.2", "10", "0"), (None, "100", "0"))

WORKED: list[tuple[str, Charge, str, str]] = [
    ("flat, whatever is used", Charge(Flat(D("49.99"))), "0", "49.99"),
    ("flat, whatever is used", Charge(Flat(D("49.99"))), "1000", "49.99"),
    ("a set-up fee, twice", Charge(OneOff(D(250))), "2", "500"),
    ("seats", Charge(PerUnit(D("12.5"))), "7", "87.5"),
    ("seats, the first three free", Charge(PerUnit(D(10)), free_units=D(3)), "3", "0"),
    ("seats, the first three free", Charge(PerUnit(D(10)), free_units=D(3)), "4", "10"),
    ("a price of twelve places", Charge(PerUnit(D("0.000000000001"))), "1000000000000", "1"),
    ("a quantity of twelve places", Charge(PerUnit(D("0.000000000003"))), "0.000000000007", "2.1E-23"),
    ("no package", Charge(Package(D(8), D(100))), "0", "0"),
    ("a package begun", Charge(Package(D(8), D(100))), "0.000000000001", "8"),
    ("a package full", Charge(Package(D(8), D(100))), "100", "8"),
    ("a second one begun", Charge(Package(D(8), D(100))), "100.000000000001", "16"),
    ("free units before packages", Charge(Package(D(8), D(100)), free_units=D(50)), "50", "0"),
    ("free units before packages", Charge(Package(D(8), D(100)), free_units=D(50)), "150", "8"),
    ("free units before packages", Charge(Package(D(8), D(100)), free_units=D(50)), "151", "16"),
    ("packages of a fraction", Charge(Package(D(1), D("0.3"))), "0.9", "3"),
    ("graduated, nothing", Charge(Graduated(THREE)), "0", "0"),
    ("graduated, at the bound", Charge(Graduated(THREE)), "10", "50"),
    ("graduated, just above it", Charge(Graduated(THREE)), "10.5", "59"),  # 50 + 0.5 * 4 + 7
    ("graduated, next bound", Charge(Graduated(THREE)), "20", "97"),
    ("graduated, last tier", Charge(Graduated(THREE)), "21", "101"),  # 97 + 3 + 1
    ("graduated, free units shift", Charge(Graduated(THREE), free_units=D(10)), "20", "50"),
    ("graduated flat at zero, off", Charge(Graduated(FLAT_FIRST)), "0", "0"),
    ("graduated flat at zero, on", Charge(Graduated(FLAT_FIRST, first_flat_at_zero=True)), "0", "30"),
    ("graduated flat once used", Charge(Graduated(FLAT_FIRST)), "0.5", "30"),
    ("bounds are exact", Charge(Graduated(TENTHS)), "0.3", "11.1"),
    ("volume, nothing", Charge(Volume(THREE)), "0", "0"),
    ("volume, at the bound", Charge(Volume(THREE)), "10", "50"),
    ("volume, just above it", Charge(Volume(THREE)), "11", "51"),  # 11 * 4 + 7
    ("volume, next bound", Charge(Volume(THREE)), "20", "87"),
    ("volume, last tier", Charge(Volume(THREE)), "20.1", "61.3"),
    ("volume, 15 units", Charge(Volume(FALLING)), "15", "60"),
    ("volume, 16 units cost less", Charge(Volume(FALLING)), "16", "48"),
    ("volume flat at zero, on", Charge(Volume(FLAT_FIRST, first_flat_at_zero=True)), "0", "30"),
    ("minimum with nothing used", Charge(PerUnit(D(1)), minimum=D(20)), "0", "20"),
    ("minimum reached", Charge(PerUnit(D(1)), minimum=D(20)), "20", "20"),
    ("maximum", Charge(PerUnit(D(1)), maximum=D(20)), "20.000000000001", "20"),
    ("minimum is maximum", Charge(PerUnit(D(1)), minimum=D(5), maximum=D(5)), "9", "5"),
    ("a share of turnover", Charge(Percentage(D("0.029"))), "1000.01", "29.00029"),
    ("turnover, some free", Charge(Percentage(D("0.1")), free_units=D(500)), "700", "20"),
    (
        "a trillion units",
        Charge(Graduated(tiers(("1", "1", "0"), (None, "0.5", "0")))),
        "1E+12",
        "500000000000.5",
    ),
]


@pytest.mark.parametrize(("what", "charge", "quantity", "amount"), WORKED)
def test_worked_cases(what: str, charge: Charge, quantity: str, amount: str) -> None:
    rated = rate(charge, D(quantity))

    assert rated.amount == D(amount), what
    assert replay(json.loads(json.dumps(facts_of(charge, D(quantity))))) == rated


def test_an_explanation_has_each_tier_and_what_the_minimum_added() -> None:
    rated = rate(Charge(Graduated(THREE), free_units=D(2), minimum=D(60)), D("12.5"))

    assert steps_to_json(rated) == [
        {"kind": "free_units", "quantity": "2", "unit_amount": "0", "flat_amount": "0", "amount": "0"},
        {
            "kind": "tier",
            "above": "0",
            "up_to": "10",
            "quantity": "10",
            "unit_amount": "5",
            "flat_amount": "0",
            "amount": "50",
        },
        {
            "kind": "tier",
            "above": "10",
            "up_to": "20",
            "quantity": "0.5",
            "unit_amount": "4",
            "flat_amount": "7",
            "amount": "9",
        },
        {"kind": "minimum", "quantity": "1", "unit_amount": "1", "flat_amount": "0", "amount": "1"},
    ]


@pytest.mark.parametrize(
    ("model", "free_units", "bases", "amount"),
    [
        (Percentage(D("0.1"), fixed_fee=D("0.3")), "0", [], "0"),
        (Percentage(D("0.1"), fixed_fee=D("0.3")), "0", ["10", "20", "0"], "3.9"),  # 3 + 3 * 0.3
        (Percentage(D("0.1"), free_events=2), "0", ["10", "20", "30", "40"], "7"),
        (Percentage(D("0.1"), fixed_fee=D(1)), "15", ["10", "20"], "2.5"),  # 5 covered of the second; one fee
        (Percentage(D("0.1"), fixed_fee=D(1), free_events=1), "15", ["100", "10", "20"], "2.5"),
        (Percentage(D("0.1"), event_minimum=D(2)), "0", ["10", "20", "30"], "7"),  # 2 + 2 + 3
        (Percentage(D("0.1"), event_maximum=D(2)), "0", ["10", "20", "30"], "5"),  # 1 + 2 + 2
        (Percentage(D("0.1"), D(1), 0, D(2), D(3)), "0", ["5", "10", "15", "20", "99"], "12.5"),
        (Percentage(D(0), event_minimum=D(1), free_events=1), "0", ["7", "7"], "1"),
    ],
)
def test_percentages_of_single_events(
    model: Percentage, free_units: str, bases: list[str], amount: str
) -> None:
    charge = Charge(model, free_units=D(free_units))
    made = tally(charge, map(D, bases))

    rated = rate(charge, sum(map(D, bases), D(0)), events=made)

    assert rated.amount == D(amount)
    assert (made.events, made.base) == (len(bases), sum(map(D, bases)))
    assert replay(json.loads(json.dumps(facts_of(charge, made.base, made)))) == rated


def test_the_first_events_are_free_so_their_order_counts() -> None:
    charge = Charge(Percentage(D("0.1"), free_events=1))
    small, large = D(10), D(1000)

    assert rate(charge, D(1010), events=tally(charge, [small, large])).amount == 100
    assert rate(charge, D(1010), events=tally(charge, [large, small])).amount == 1


# -- what is refused

LAST_CLOSED = tiers(("10", "1", "0"), ("20", "1", "0"))
OVERLAP = (Tier(D(0), D(10), D(1)), Tier(D(9), None, D(1)))
GAP = (Tier(D(0), D(10), D(1)), Tier(D(11), None, D(1)))
AFTER_THE_END = (Tier(D(0), None, D(1)), Tier(D(10), None, D(1)))


@pytest.mark.parametrize(
    ("make", "field", "words"),
    [
        (lambda: PerUnit(D("0.123456789012345")), "unit_amount", "at most 12 decimal places"),
        (lambda: PerUnit(D(-1)), "unit_amount", "not negative"),
        (lambda: PerUnit(D("NaN")), "unit_amount", "number"),
        (lambda: PerUnit(D("Infinity")), "unit_amount", "number"),
        (lambda: PerUnit(0.5), "unit_amount", "exact decimal, not float"),  # type: ignore[arg-type]
        (lambda: Flat(D("1E+13")), "amount", "at most"),
        (lambda: Flat(D("1E+999999")), "amount", "at most"),
        (lambda: Package(D(1), D(0)), "size", "above zero"),
        (lambda: Graduated(()), "tiers", "1 to 100"),
        (lambda: Graduated(OVERLAP), "tiers.1.above", "overlap"),
        (lambda: Volume(AFTER_THE_END), "tiers.1.above", "overlap"),
        (lambda: Volume(GAP), "tiers.1.above", "gap"),
        (lambda: Volume((Tier(D(1), None, D(1)),)), "tiers.0.above", "gap"),
        (lambda: Volume((Tier(D(0), D(0), D(1)),)), "tiers.0.up_to", "cannot end"),
        (lambda: Graduated(LAST_CLOSED), "tiers.1.up_to", "no price"),
        (lambda: Graduated((Tier(D(0), None, D(1), D(-1)),)), "tiers.0.flat_amount", "negative"),
        (lambda: Percentage(D(11)), "rate", "at most"),
        (lambda: Percentage(D("0.1"), free_events=-1), "free_events", "whole number"),
        (lambda: Percentage(D(0), D(0), 0, D(3), D(2)), "event_minimum", "above the maximum"),
        (lambda: Charge(PerUnit(D(1)), minimum=D(3), maximum=D(2)), "minimum", "above the maximum"),
        (lambda: Charge(Flat(D(1)), free_units=D(1)), "free_units", "no units"),
        (lambda: rate(Charge(PerUnit(D(1))), D(-1)), "quantity", "not negative"),
        (lambda: rate(Charge(PerUnit(D(0))), D("1E+16")), "quantity", "at most"),
        (lambda: rate(Charge(PerUnit(D(2))), D("1E+12")), "quantity", "would cost"),
        (lambda: rate(Charge(Percentage(D(1), free_events=1)), D(1)), "events", "single events"),
        (lambda: rate(Charge(Percentage(D(1))), D(1), events=NO_EVENTS), "events", "add up"),
        (lambda: tally(Charge(Percentage(D(1))), [D(-1)]), "events", "not negative"),
        (lambda: tally(Charge(PerUnit(D(1))), []), "model", "percentage"),
    ],
)
def test_what_is_unsound_is_refused_in_words(make: Any, field: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        make()
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([], "charge"),
        ({"model": "cheap"}, "model"),
        ({"model": ["flat"]}, "model"),
        ({"schema": 2, "model": "flat", "amount": "1"}, "schema"),
        ({"schema": True, "model": "flat", "amount": "1"}, "schema"),
        ({"model": "flat"}, "amount"),
        ({"model": "flat", "amount": "1", "colour": "red"}, "colour"),
        ({"model": "flat", "amount": 1.5}, "amount"),
        ({"model": "flat", "amount": True}, "amount"),
        ({"model": "flat", "amount": "1e3"}, "amount"),
        ({"model": "flat", "amount": "12 apples"}, "amount"),
        ({"model": "flat", "amount": "-1"}, "amount"),
        ({"model": "flat", "amount": "1", "minimum": "0.0000000000001"}, "minimum"),
        ({"model": "flat", "amount": None}, "amount"),
        ({"model": "volume", "tiers": {}}, "tiers"),
        ({"model": "volume", "tiers": ["1"]}, "tiers.0"),
        (
            {
                "model": "volume",
                "tiers": [{"up_to": None, "unit_amount": "1"}, {"up_to": "5", "unit_amount": "2"}],
            },
            "tiers.0.up_to",  # which is not the last one
        ),
        ({"model": "volume", "tiers": [{"up_to": None}]}, "tiers.0.unit_amount"),
        ({"model": "volume", "tiers": [{"up_to": "5", "unit_amount": "1"}] * 101}, "tiers"),
        ({"model": "volume", "tiers": [], "first_flat_at_zero": 1}, "first_flat_at_zero"),
        ({"model": "percentage", "rate": "1", "free_events": "1"}, "free_events"),
    ],
)
def test_json_that_is_no_charge_is_refused_by_its_field(data: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        charge_from_json(data)
    assert refused.value.field == field


def test_a_tier_begins_where_the_one_before_it_ends() -> None:
    rows = [{"up_to": "10", "unit_amount": 5}, {"up_to": None, "unit_amount": "4"}]

    read = charge_from_json({"model": "graduated", "tiers": rows})

    assert read.model == Graduated(tiers(("10", "5", "0"), (None, "4", "0")))


# -- properties


def in_order(pair: list[Decimal | None]) -> list[Decimal | None]:
    least, most = pair
    return [most, least] if least is not None and most is not None and least > most else pair


prices = st.decimals(0, 1_000, places=12)
quantities = st.one_of(st.integers(0, 60).map(D), st.decimals(0, 100_000, places=12))
bounds = st.lists(st.decimals("0.000000000001", 1_000, places=12), unique=True, max_size=4).map(sorted)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Tier, ...]:
    steps = draw(bounds)
    starts, ends = [D(0), *steps], [*steps, None]
    spans = zip(starts, ends, strict=True)
    return tuple(Tier(start, end, draw(prices), draw(prices)) for start, end in spans)


models: st.SearchStrategy[Model] = st.one_of(
    st.builds(PerUnit, prices),
    st.builds(Package, prices, st.decimals("0.001", 100, places=12)),  # smaller ones can cost too much
    st.builds(Graduated, tables(), st.booleans()),
    st.builds(Volume, tables(), st.booleans()),
    st.builds(Percentage, st.decimals(0, 10, places=12)),
)
limits = st.lists(st.none() | prices, min_size=2, max_size=2).map(in_order)
charges = st.builds(
    lambda model, free, least_and_most: Charge(model, free, *least_and_most), models, quantities, limits
)


@EXAMPLES
@given(charge=charges, quantity=quantities, code=st.sampled_from(CODES))
def test_steps_add_up_and_a_replay_from_json_gives_the_same_money(
    charge: Charge, quantity: Decimal, code: str
) -> None:
    rated = rate(charge, quantity)

    for step in rated.steps:
        assert Fraction(step.amount) == Fraction(step.quantity) * Fraction(step.unit_amount) + Fraction(
            step.flat_amount
        )
    assert sum(Fraction(step.amount) for step in rated.steps) == rated.amount >= 0
    assert (charge.minimum or 0) <= rated.amount
    assert charge.maximum is None or rated.amount <= charge.maximum
    again = replay(json.loads(json.dumps(facts_of(charge, quantity))))
    assert again == rated
    assert Money.of(again.amount, code) == Money.of(rated.amount, code)
    assert charge_from_json(charge_to_json(charge)) == charge


@EXAMPLES
@given(table=tables(), fewer=quantities, more=quantities)
def test_graduated_never_falls_and_is_the_sum_over_single_tiers(
    table: tuple[Tier, ...], fewer: Decimal, more: Decimal
) -> None:
    fewer, more = sorted((fewer, more))
    charge = Charge(Graduated(table))

    assert rate(charge, fewer).amount <= rate(charge, more).amount
    expected = sum(
        (min(Fraction(more), Fraction(tier.up_to or more)) - Fraction(tier.above))
        * Fraction(tier.unit_amount)
        + Fraction(tier.flat_amount)
        for tier in table
        if more > tier.above
    )
    assert rate(charge, more).amount == expected


optional_prices = st.none() | st.decimals(0, 5, places=2)
percentages = st.builds(
    lambda rate, fee, free, pair: Percentage(rate, fee, free, *pair),
    st.decimals(0, 1, places=4),
    st.decimals(0, 2, places=2),
    st.integers(0, 4),
    st.lists(optional_prices, min_size=2, max_size=2).map(in_order),
)
event_bases = st.lists(st.decimals(0, 100, places=2), max_size=12)


@EXAMPLES
@given(
    model=percentages,
    free=st.decimals(0, 200, places=2),
    bases=event_bases,
    cut=st.integers(0, 12),
    random=st.randoms(),
)
def test_batches_never_change_a_percentage_and_order_only_what_is_free(
    model: Percentage, free: Decimal, bases: list[Decimal], cut: int, random: Any
) -> None:
    charge = Charge(model, free_units=free)
    whole = tally(charge, bases)

    assert tally(charge, bases[cut:], onto=tally(charge, bases[:cut])) == whole
    assert (whole.events, whole.base) == (len(bases), sum(bases))
    shuffled = list(bases)
    random.shuffle(shuffled)
    never_free = Charge(Percentage(model.rate, model.fixed_fee, 0, model.event_minimum, model.event_maximum))
    assert tally(never_free, shuffled) == tally(never_free, bases)
    by_hand = sum(_fee(never_free.model, base) for base in bases)
    assert rate(never_free, whole.base, events=tally(never_free, bases)).amount == by_hand
    rated = rate(charge, whole.base, events=whole)
    assert replay(json.loads(json.dumps(facts_of(charge, whole.base, whole)))) == rated
    by_sum = Charge(Percentage(model.rate), free_units=free)
    assert rate(by_sum, whole.base).amount == rate(by_sum, whole.base, events=tally(by_sum, bases)).amount


def _fee(model: Any, base: Decimal) -> Fraction:
    fee = Fraction(base) * Fraction(model.rate) + Fraction(model.fixed_fee)
    if model.event_minimum is not None:
        fee = max(fee, Fraction(model.event_minimum))
    return fee if model.event_maximum is None else min(fee, Fraction(model.event_maximum))


def test_a_tally_that_lost_events_is_not_rated() -> None:
    charge = Charge(Percentage(D("0.1"), fixed_fee=D(1)))

    with pytest.raises(Invalid, match="add up to 10 and not to 30"):
        rate(charge, D(30), events=EventTally(charged_events=1, charged_base=D(10)))
    assert rate(charge, D(0), events=NO_EVENTS).steps == ()
    assert [step.kind for step in rate(charge, D(10), events=tally(charge, [D(10)])).steps] == [
        StepKind.RATE,
        StepKind.FIXED_FEE,
    ]
