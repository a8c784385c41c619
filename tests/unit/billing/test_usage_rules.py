"""Months of usage by the price list: where they end, what of them a plan left, and what a model comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.money import Money
from services.billing.periods import Span
from services.billing.usage_rules import (
    Part,
    amount_of,
    facts_of,
    month_end,
    next_month_end,
    parts_from,
    quantity_of,
    uncovered,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# A moment, a timezone, and when the month ends that the moment falls in there.
MONTHS = [
    ("2024-02-10T00:00", "UTC", "2024-03-01T00:00"),
    ("2024-02-29T23:59", "UTC", "2024-03-01T00:00"),
    ("2023-02-28T23:59", "UTC", "2023-03-01T00:00"),
    ("2100-02-28T12:00", "UTC", "2100-03-01T00:00"),  # no leap year
    ("2026-12-31T23:00", "Europe/Berlin", "2027-01-31T23:00"),  # January has begun there
    ("2026-03-15T00:00", "Europe/Berlin", "2026-03-31T22:00"),  # an hour less
    ("2026-10-15T00:00", "Europe/Berlin", "2026-10-31T23:00"),  # an hour more
    ("2026-05-31T18:29", "Asia/Kolkata", "2026-05-31T18:30"),
    ("2026-05-31T18:30", "Asia/Kolkata", "2026-06-30T18:30"),
    ("2026-05-31T18:15", "Asia/Kathmandu", "2026-06-30T18:15"),
    ("2026-04-15T00:00", "Australia/Lord_Howe", "2026-04-30T13:30"),  # by half an hour
    ("2026-10-15T00:00", "Australia/Lord_Howe", "2026-10-31T13:00"),
    ("2011-12-30T09:59", "Pacific/Apia", "2011-12-31T10:00"),  # which had no 30 December
]


@pytest.mark.parametrize(("at", "zone", "ends"), MONTHS)
def test_a_month_ends_where_the_calendar_of_the_organisation_says(at: str, zone: str, ends: str) -> None:
    assert month_end(utc(at), zone) == utc(ends)


@pytest.mark.parametrize(
    ("ended", "zone", "ends"),
    [
        ("2024-01-31T23:00", "Europe/Berlin", "2024-02-29T23:00"),
        ("2026-03-31T22:00", "America/Los_Angeles", "2026-05-01T07:00"),  # moved west: no month of nine hours
        ("2026-04-01T07:00", "Europe/Berlin", "2026-04-30T22:00"),  # and back east
        ("2026-03-31T22:00", "Pacific/Kiritimati", "2026-04-30T10:00"),
    ],
)
def test_the_next_month_is_a_whole_one_also_after_a_change_of_timezone(
    ended: str, zone: str, ends: str
) -> None:
    assert next_month_end(utc(ended), zone) == utc(ends)


def span(first: int, last: int) -> Span:
    return Span(datetime(2026, 4, first, tzinfo=UTC), datetime(2026, 4, last, tzinfo=UTC))


@pytest.mark.parametrize(
    ("covered", "left"),
    [
        ([], [(1, 30)]),
        ([(1, 30)], []),
        ([(5, 10)], [(1, 5), (10, 30)]),
        ([(10, 12), (5, 10)], [(1, 5), (12, 30)]),  # in any order, and one after the other
        ([(5, 15), (8, 9), (12, 20)], [(1, 5), (20, 30)]),  # over each other
        ([(1, 3), (28, 30)], [(3, 28)]),
        ([(7, 7)], [(1, 7), (7, 30)]),
    ],
)
def test_the_list_is_left_what_no_plan_metered(
    covered: list[tuple[int, int]], left: list[tuple[int, int]]
) -> None:
    assert uncovered(span(1, 30), [span(*one) for one in covered]) == tuple(span(*one) for one in left)


def part(meter: str, quantity: str, amount: str, per: int = 1) -> Part:
    return Part(meter, f"prc_{meter}", Decimal(quantity), Decimal(amount), per)


@pytest.mark.parametrize(
    ("parts", "currency", "quantity", "amount"),
    [
        ([], "EUR", "0", 0),
        ([part("prompt_tokens", "1", "0.005")], "EUR", "1", 1),  # half a cent goes up
        ([part("prompt_tokens", "1", "0.004999999999")], "EUR", "1", 0),
        # Three halves of a cent are added up before they are rounded, and thirds are exact.
        ([part("prompt_tokens", "1", "0.005"), part("completion_tokens", "2", "0.005")], "EUR", "3", 2),
        ([part("prompt_tokens", "1", "1", 3)] * 3, "EUR", "3", 100),
        ([part("requests", "7", "0.5")], "JPY", "7", 4),  # 3.5
        ([part("requests", "7", "0.5"), part("prompt_tokens", "9", "0")], "BHD", "9", 3_500),
    ],
)
def test_what_a_model_comes_to_is_rounded_once_and_read_back_equal(
    parts: list[Part], currency: str, quantity: str, amount: int
) -> None:
    assert (quantity_of(parts), amount_of(parts, currency)) == (Decimal(quantity), Money(amount, currency))
    spans = {one.meter: [span(1, 30)] for one in parts}
    assert parts_from(facts_of("m", parts, currency, spans)) == tuple(parts)
