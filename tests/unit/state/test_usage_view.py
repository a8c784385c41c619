"""What the usage page draws adds up to what was used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.types import Aggregation
from services.metering.calendar import Granularity
from services.metering.queries import Line, MeterRow, Series, Total
from services.metering.sums import Figure, GroupBy
from state.portal.usage_view import (
    OTHER,
    RANGES,
    SERIES_MAX,
    USUAL_MEASURE,
    drawing,
    fitting,
    question,
    table_rows,
)

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def figure(quantity: int | str, cost: str = "0", unpriced: int = 0) -> Figure:
    return Figure(1, Decimal(quantity), Decimal(cost), unpriced)


def series(slug: str, lines: Mapping[Any, list[Figure]]) -> Series:
    buckets = len(next(iter(lines.values())))
    meter = MeterRow(slug, slug, slug, "ai.request", Aggregation.SUM, slug, "", True)
    edges = tuple(MIDNIGHT + timedelta(days=day) for day in range(buckets + 1))
    drawn = tuple(Line(group, tuple(points)) for group, points in lines.items())
    return Series(meter, Granularity.DAY, "UTC", "USD", edges, drawn)


def test_tokens_are_those_of_both_kinds() -> None:
    drawn = drawing(
        "tokens",
        [
            series("prompt_tokens", {"": [figure(10), figure(5)]}),
            series("completion_tokens", {"": [figure(1), figure(2)]}),
        ],
        {},
    )

    assert [row["s0"] for row in drawn.rows] == ["11", "7"]
    assert (drawn.total, drawn.peak) == (Decimal(18), Decimal(11))
    assert drawn.lines == [{"key": "s0", "label": ""}]
    assert drawn.rows[0]["x"] == "2026-03-01T00:00:00+00:00"


def test_cost_is_exact_and_of_every_priced_meter() -> None:
    tiny = "0.000000000001"
    drawn = drawing(
        "cost", [series(meter, {"m": [figure(1, tiny)]}) for meter in ("a", "b", "c")], {"m": "Model"}
    )

    assert drawn.rows[0]["s0"] == "0.000000000003"
    assert drawn.lines == [{"key": "s0", "label": "Model"}]


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=20))
def test_the_smallest_together_lose_nothing(amounts: list[int]) -> None:
    lines = {f"group-{number}": [figure(amount)] for number, amount in enumerate(amounts)}

    drawn = drawing("requests", [series("requests", lines)], {})

    assert sum(Decimal(drawn.rows[0][line["key"]]) for line in drawn.lines) == sum(amounts) == drawn.total
    assert len(drawn.lines) <= SERIES_MAX
    assert (drawn.lines[-1]["label"] == OTHER) == (len(amounts) > SERIES_MAX)


@given(st.lists(st.integers(0, 1_000_000), max_size=10), st.integers(0, 1_000_000))
def test_what_was_not_told_apart_is_among_the_others(amounts: list[int], rest: int) -> None:
    lines: dict[str | None, list[Figure]] = {
        f"group-{n}": [figure(amount)] for n, amount in enumerate(amounts)
    }

    drawn = drawing("tokens", [series(slug, {**lines, None: [figure(rest)]}) for slug in ("in", "out")], {})

    assert drawn.total == 2 * (sum(amounts) + rest)
    assert sum(Decimal(drawn.rows[0][line["key"]]) for line in drawn.lines) == drawn.total
    assert (drawn.lines[-1]["label"], len(drawn.lines)) == (OTHER, min(len(amounts) + 1, SERIES_MAX))


def test_the_rest_together_is_the_last_row_of_the_table() -> None:
    totals = {
        "requests": [Total("*other", figure(1)), Total("", figure(2)), Total(None, figure(900))],
        "prompt_tokens": [Total(None, figure(7, "99"))],
    }

    rows = table_rows(totals, {}, currency="EUR", with_cost=True)

    assert [(row["group"], row["rest"]) for row in rows] == [("", False), ("*other", False), ("", True)]
    assert (rows[-1]["requests"], rows[-1]["prompt_tokens"], rows[-1]["cost"]) == ("900", "7", "99")
    assert len({row["id"] for row in rows}) == 3


def test_a_row_of_the_table_tells_one_group_from_all_meters() -> None:
    totals = {
        "requests": [Total("cheap", figure(9)), Total("dear", figure(3))],
        "prompt_tokens": [Total("cheap", figure(90, "0.10")), Total("dear", figure(30, "2.5", unpriced=2))],
        "completion_tokens": [Total("dear", figure(7, "0.5"))],
        "failed_requests": [Total("dear", figure(1))],
    }

    rows = table_rows(totals, {"dear": "Dear model"}, currency="EUR", with_cost=True)

    assert [row["name"] for row in rows] == ["Dear model", "cheap"]
    assert rows[0] | {"cost": "3", "prompt_tokens": "30", "completion_tokens": "7", "failed": "1"} == rows[0]
    assert (rows[0]["currency"], rows[0]["unpriced"], rows[1]["failed"]) == ("EUR", 2, "0")


def test_who_may_not_see_cost_gets_none_of_it() -> None:
    totals = {"requests": [Total("m", Figure(1, Decimal(1), None, 0))]}

    assert table_rows(totals, {}, currency="EUR", with_cost=False)[0]["cost"] == ""
    assert question({"measure": "cost"}, with_cost=False).measure == USUAL_MEASURE
    assert question({"measure": "cost"}, with_cost=True).measure == "cost"


@pytest.mark.parametrize("name", RANGES)
def test_every_range_is_drawn_in_a_bucket_that_fits(name: str) -> None:
    within = RANGES[name]

    assert within.granularity in fitting(within.span)


def test_a_quarter_is_not_drawn_in_minutes() -> None:
    assert Granularity.MINUTE not in fitting(timedelta(days=90))
    assert Granularity.HOUR not in fitting(timedelta(days=90))


def test_nonsense_in_the_address_is_as_if_it_were_not_there() -> None:
    asked = question(
        {"range": "999y", "granularity": "second", "measure": "'--", "group": "owner"}, with_cost=True
    )

    assert asked == question({}, with_cost=True)


def test_filters_and_group_reach_the_query() -> None:
    asked = question(
        {"model": "m", "key": "apikey_1", "group": "key", "granularity": "hour", "range": "7d"},
        with_cost=True,
    )

    assert (asked.where.models, asked.where.keys) == (("m",), ("apikey_1",))
    assert (asked.group_by, asked.granularity) == (GroupBy.KEY, Granularity.HOUR)


def test_today_begins_at_the_organisations_midnight() -> None:
    now = datetime(2026, 3, 10, 23, 30, tzinfo=UTC)

    assert RANGES["today"].start(now, ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 10, 23, tzinfo=UTC)
    assert RANGES["month"].start(now, ZoneInfo("America/New_York")) == datetime(2026, 3, 1, 5, tzinfo=UTC)
