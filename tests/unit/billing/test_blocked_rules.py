"""Properties of what of a line was paid for blocked time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.money import Money
from models.types import BillingInterval, ProrationPolicy
from services.billing import blocked_rules
from services.billing.lines import Line, Terms, debit
from services.billing.periods import Span, calendar_of
from services.billing.proration import Ruler

BEGAN = datetime(2026, 3, 10, 9, tzinfo=UTC)
MINUTES = 31 * 24 * 60
moments = st.integers(-5_000, MINUTES + 5_000).map(lambda minutes: BEGAN + timedelta(minutes=minutes))
spans = st.tuples(moments, moments).map(lambda two: Span(min(two), max(two)))
grosses = st.integers(0, 10**9).map(lambda minor: Money(minor, "EUR"))
policies = st.sampled_from(ProrationPolicy)


def line_of(policy: ProrationPolicy, begins: datetime = BEGAN) -> Line:
    """For the rest of a month."""
    calendar = calendar_of(BEGAN, "Europe/Berlin", BillingInterval.MONTH, 1)
    period = calendar.period_at(BEGAN)
    terms = Terms("price", Decimal(1), Fraction(30), "EUR", BillingInterval.MONTH, 1, False)
    return debit(terms, Ruler(policy, calendar, period), Span(begins, period.end))


@given(st.lists(spans, max_size=6))
def test_merged_time_is_the_same_time_once(blocked: list[Span]) -> None:
    made = blocked_rules.merged(blocked)

    assert all(one.end < other.start for one, other in pairwise(made))
    for moment in {edge for one in blocked for edge in (one.start, one.end)}:
        assert any(one.contains(moment) for one in blocked) == any(one.contains(moment) for one in made)


@given(policies, grosses, st.lists(spans, max_size=6), moments)
def test_no_more_than_all_of_it_and_more_time_is_never_worth_less(
    policy: ProrationPolicy, gross: Money, blocked: list[Span], more: datetime
) -> None:
    line, merged = line_of(policy), blocked_rules.merged(blocked)
    worth = blocked_rules.worth(gross, line, merged, until=None)
    longer = blocked_rules.merged([*merged, Span(min(more, BEGAN), max(more, BEGAN))])

    assert Money(0, "EUR") <= worth <= gross
    assert worth <= blocked_rules.worth(gross, line, longer, until=None)
    assert blocked_rules.worth(gross, line, merged, until=BEGAN) == Money(0, "EUR")


@given(policies, grosses, moments)
def test_all_of_its_time_is_all_of_it_and_what_a_credit_took_begins_where_it_stops(
    policy: ProrationPolicy, gross: Money, at: datetime
) -> None:
    line = line_of(policy)
    whole = (Span(BEGAN - timedelta(days=1), line.span.end + timedelta(days=1)),)
    at = min(max(at, line.span.start), line.span.end)
    rest = Money(gross.minor, "EUR").times(
        Fraction(line.ruler.units(Span(at, line.span.end)), line.ruler.units(line.span))
    )

    assert blocked_rules.worth(gross, line, whole, until=None) == gross
    before = blocked_rules.worth(gross, line, whole, until=at)
    assert abs((before + rest - gross).minor) <= 1  # each is rounded once
