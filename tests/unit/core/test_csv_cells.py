"""Cells of files that a spreadsheet opens: what it would work out is text, whatever it takes for a separator."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import pytest

from services.core import listing_csv
from services.core.listing import Column, Kind, Listing

AS_THEY_ARE = ["-5.00", "+49", "1;-5.00", "a;b", "a-b", "mail@example.com", "x = y", "-1,5", "a;-3;4"]


@dataclass(frozen=True)
class Row:
    id: str
    said: Any


ROWS: Listing[Row] = Listing(
    "rows", Row, None, "rows", (Column("id", kind=Kind.ID, sortable=True), Column("said")), sort="id"
)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *((text, text) for text in AS_THEY_ARE),
        ("=1+1", "'=1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\tx", "'\tx"),
        ("a;=1", "a;'=1"),
        ("a;b;+1+1;-2", "a;b;'+1+1;-2"),
        ("a\t=1", "a\t'=1"),
        ("a\r=1", "a\r'=1"),
        ("a\n@x", "a\n'@x"),
        ("a\r\n=1", "a\r\n'=1"),
        ('a;"=1', "a;'\"=1"),
        ("a; =1", "a;' =1"),
        ("a;-1 1", "a;'-1 1"),
    ],
)
def test_text_that_would_be_worked_out_is_text_behind_every_separator(text: str, cell: str) -> None:
    assert listing_csv.cell(text) == cell
    line = listing_csv.lines(ROWS, [Row("a", text), Row("b", "")])
    assert list(csv.reader(io.StringIO(line, newline=""))) == [["a", cell], ["b", ""]]
    for separator in ";\t":
        for read in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
            assert not [one for one in read if one.startswith(("=", "@", "-2+", "+1+"))]


@pytest.mark.parametrize("value", [["a;=1", "b"], {"a": "x;@y", "b;-c": None}])
def test_json_keeps_what_it_says(value: Any) -> None:
    cell = listing_csv.cell(value)
    assert ";" not in cell
    assert orjson.loads(cell) == value


def test_a_cell_with_the_other_separator_is_quoted_and_numbers_are_not() -> None:
    line = listing_csv.lines(ROWS, [Row("a", "b;c"), Row('"', Decimal("-5.10"))])
    assert line == 'a,"b;c"\r\n"""",-5.1\r\n'
