"""Steps of campaigns: which there may be, when they come, and what they would have done."""

from __future__ import annotations

from datetime import UTC, date, datetime

from models.dunning import StepAction
from services.collection.learned_hours import Habits
from services.dunning.rules import Step, base_date, step_at
from services.dunning.simulating import Failure, Sum, simulate

A = StepAction
STEPS = (Step(3, A.MAIL), Step(7, A.RESTRICT), Step(14, A.CANCEL))
AT = datetime(2026, 3, 10, 9, tzinfo=UTC)


def test_days_are_counted_from_the_due_date_and_a_latecomer_begins_with_the_first_step() -> None:
    due = date(2026, 3, 10)
    for today, base in ((11, due), (13, due), (20, date(2026, 3, 17))):
        assert base_date(due, date(2026, 3, today), STEPS) == base, today
    # On the clocks of the document: summer time began on the 29th.
    for zone, hour in (("Europe/Berlin", 6), ("America/New_York", 12), ("UTC", 8)):
        assert step_at(date(2026, 3, 28), STEPS[0], zone) == datetime(2026, 3, 31, hour, tzinfo=UTC), zone


def test_a_campaign_is_tried_on_failures_that_there_were_and_says_what_it_expects() -> None:
    failures = [
        Failure("EUR", 10_000, AT, "insufficient_funds", hard=False, open_days=None),  # never paid
        Failure("EUR", 5_000, AT, "insufficient_funds", hard=False, open_days=4),  # paid after four days
        Failure("EUR", 2_000, AT, "lost_card", hard=True, open_days=None),  # no retry helps
        Failure("JPY", 100, AT, "insufficient_funds", hard=False, open_days=0),
    ]

    made = simulate(failures, STEPS, (1, 3, 5), Habits())

    assert (made.invoices, made.retries, made.mails) == (4, 3 + 2, 3)
    assert (made.restricted, made.suspended, made.cancelled, made.written_off) == (2, 0, 2, 0)
    # Without history a retry works one time in ten, a mail one in twenty: 1 - 0.9^3 x 0.95 comes of the first.
    assert made.sums == {"EUR": Sum(17_000, 5_000, 5_000 + 3_075 + 100), "JPY": Sum(100, 100, 100)}
