"""What a bank takes back, divided and booked, and what may become of a dispute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from models.disputes import DisputeState as S
from services.disputes import rules
from services.ledger.rules import Entry
from services.payments.rules import Applied

DUE = datetime(2026, 3, 20, 12, tzinfo=UTC)


def booked(entries: tuple[Entry, ...]) -> dict[str, int]:
    assert sum(entry.minor for entry in entries) == 0
    return {entry.purpose.value: entry.minor for entry in entries if entry.minor}


@pytest.mark.parametrize(
    ("minor", "paid_by_it", "owed", "given_up", "expected"),
    [
        (119, 119, 0, False, {"receivable": 119, "clearing": -119}),
        (50, 119, 0, False, {"receivable": 50, "clearing": -50}),
        (150, 119, 31, False, {"receivable": 119, "customer_credit": 31, "clearing": -150}),
        # What the customer has used up meanwhile is found nowhere.
        (150, 119, 11, False, {"receivable": 119, "customer_credit": 11, "suspense": 20, "clearing": -150}),
        (30, 0, 30, False, {"customer_credit": 30, "clearing": -30}),
        (119, 119, 0, True, {"write_offs": 119, "clearing": -119}),
    ],
)
def test_what_is_taken_back_is_owed_again(
    minor: int, paid_by_it: int, owed: int, given_up: bool, expected: dict[str, int]
) -> None:
    taken = rules.take(minor, paid_by_it=paid_by_it, owed=owed)
    assert taken.minor == minor
    assert booked(rules.taken_entries(taken, "EUR", given_up=given_up)) == expected


@pytest.mark.parametrize(
    ("applied", "unknown", "expected"),
    [
        (Applied(119, 0, 0), 0, {"clearing": 119, "receivable": -119}),
        (Applied(0, 119, 0), 0, {"clearing": 119, "write_offs": -119}),
        # Somebody paid it meanwhile in another way.
        (Applied(0, 0, 119), 0, {"clearing": 119, "customer_credit": -119}),
        (
            Applied(100, 0, 19), 31,
            {"clearing": 150, "receivable": -100, "customer_credit": -19, "suspense": -31},
        ),
    ],
)  # fmt: skip
def test_what_comes_back_pays_as_any_money(applied: Applied, unknown: int, expected: dict[str, int]) -> None:
    assert booked(rules.returned_entries(applied, unknown=unknown, currency="EUR")) == expected


MAY = {
    S.WARNING_NEEDS_ANSWER: {S.WARNING_UNDER_REVIEW, S.WARNING_CLOSED, S.NEEDS_ANSWER, S.UNDER_REVIEW, S.WON, S.LOST},
    S.WARNING_UNDER_REVIEW: {S.WARNING_NEEDS_ANSWER, S.WARNING_CLOSED, S.NEEDS_ANSWER, S.UNDER_REVIEW, S.WON, S.LOST},
    S.WARNING_CLOSED: {S.NEEDS_ANSWER, S.UNDER_REVIEW, S.WON, S.LOST},
    S.NEEDS_ANSWER: {S.UNDER_REVIEW, S.WON, S.LOST},
    S.UNDER_REVIEW: {S.NEEDS_ANSWER, S.WON, S.LOST},
    S.WON: set[S](),
    S.LOST: set[S](),
}  # fmt: skip


def test_a_decision_is_final_and_taken_money_is_no_warning_again() -> None:
    for before, after in product(S, S):
        assert rules.may_become(before, after) is (after in MAY[before]), (before, after)


@pytest.mark.parametrize(
    ("left", "reminded", "days"),
    [
        (timedelta(days=8), None, None),
        (timedelta(days=7), None, 7),
        (timedelta(days=4), 7, None),
        (timedelta(days=3), 7, 3),
        (timedelta(hours=20), None, 1),  # the nearest only, however late it is noticed
        (timedelta(hours=20), 3, 1),
        (timedelta(hours=2), 1, None),
        (timedelta(), 3, None),
        (timedelta(days=-1), None, None),
    ],
)
def test_staff_is_reminded_once_for_each_notice(
    left: timedelta, reminded: int | None, days: int | None
) -> None:
    assert rules.reminder(DUE, DUE - left, reminded=reminded) == days
