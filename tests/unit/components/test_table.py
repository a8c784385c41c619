"""What every declared table must have for people who hear it."""

from __future__ import annotations

from typing import Any

import pytest
import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.tables.listed import filter_chips
from components.tables.table import Column, Sorting, Table, TableWithoutRowHeader, data_table

ROWS: rx.Var[list[dict[str, Any]]] = rx.Var("state.rows").to(list[dict[str, Any]])
NAME = Column("name", "gallery.col.name", kind="link", href="href", row_header=True, sortable=True)
COST = Column("cost", "gallery.col.cost", kind="money", currency="currency", sortable=True)
STATUS = Column(
    "status", "gallery.col.status", kind="badge", statuses={"active": Status("gallery.status.active", "ok")}
)
KEYS = Table("keys", "gallery.keys", (NAME, COST, STATUS))


def drawn(**options: Any) -> str:
    return str(data_table(KEYS, ROWS, **options))


def test_a_table_needs_one_row_header() -> None:
    with pytest.raises(TableWithoutRowHeader):
        Table("keys", "gallery.keys", (COST, STATUS))


def test_rows_have_a_header_cell_with_a_link() -> None:
    html = drawn()

    assert 'scope:"row"' in html
    assert "ReactRouterLink" in html


def test_the_table_is_named_and_scrolls_within_itself() -> None:
    html = drawn()

    assert '"aria-labelledby":"keys-caption"' in html
    assert 'id:"keys-caption"' in html
    assert "tabIndex:0" in html


def test_numbers_are_marked_as_such() -> None:
    assert 'className:"num"' in drawn()


def test_a_number_that_names_its_row_stands_where_rows_begin_and_so_does_its_header() -> None:
    versions = Table(
        "keys", "gallery.keys", (Column("cost", "gallery.col.cost", kind="number", row_header=True),)
    )

    assert 'className:"num"' not in str(data_table(versions, ROWS))


def test_sorted_column_says_so() -> None:
    by: rx.Var[str] = rx.Var("state.sort").to(str)
    asked: list[str] = []

    html = drawn(sorting=Sorting(by, lambda key: asked.append(key) or rx.noop()))

    assert '"aria-sort":' in html
    assert '"descending"' in html
    assert set(asked) == {"name", "cost"}


def test_each_state_is_drawn() -> None:
    status: rx.Var[str] = rx.Var("state.status").to(str)

    html = drawn(
        status=status,
        empty=empty_state("No keys yet", "Make one."),
        filtered=rx.Var("state.filtered").to(bool),
    )

    for words in (
        "Loading API keys",
        "These rows could not be loaded",
        "No keys yet",
        "Nothing matches these filters",
    ):
        assert words in html


def test_a_chip_says_the_name_of_what_is_filtered_by_and_times_as_times() -> None:
    brands = rx.Var("state.brands").to(list[dict[str, str]])
    chips = rx.Var("state.chips").to(list[dict[str, Any]])

    html = str(
        filter_chips(
            chips,
            columns={"brand_id": "Brand"},
            named={"brand_id": brands},
            on_remove=lambda _key, _value: [],
        )
    )

    assert "(state.brands).find((row) => row.id ===" in html
    assert [word in html for word in ('"before"', '"less than"')] == [True, True]
