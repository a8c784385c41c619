"""Every list there is keeps its promises: a new one is found by itself."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import pytest

from services.core import listing_csv, listing_sql
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.listing import Column, Kind, Listing, Operator
from services.core.listing_grammar import read
from services.core.listing_position import position_of
from tests.listings import every_listing
from tests.world import World

EXAMPLES = {
    Kind.TEXT: "a",
    Kind.ID: "acc_1",
    Kind.INSTANT: "2026-01-31T09:30:00Z",
    Kind.INTEGER: "7",
    Kind.DECIMAL: "0.15",
    Kind.FLAG: "true",
}


LISTINGS = every_listing()


def example_of(listing: Listing[Any], column: Column, operator: Operator) -> str:
    if operator is Operator.IS_NULL:
        return "true"
    if column.name == listing.key and column.kind is Kind.INTEGER:
        return "1"
    return column.values[0] if column.values else EXAMPLES[column.kind]


@pytest.mark.parametrize("name", LISTINGS)
async def test_every_sort_and_filter_of_a_list_is_sound(world: World, name: str) -> None:
    """Each is run on the real tables; types that do not fit would be refused by the database."""
    listing = LISTINGS[name]
    organization = await world.organization()
    await world.account(member_of=organization)
    fields = [field.name for field in dataclasses.fields(listing.row)]  # type: ignore[arg-type]
    assert set(fields) == {column.name for column in listing.shown}

    async with crossing(Reason.STAFF, actor=system(organization.id)) as uow:
        for sort in listing.sorts:
            query = read(listing, [("sort", sort)])
            found = await listing_sql.page(uow, query, limit=1)
            counted = (await listing_sql.count(uow, query)).rows
            seen = len(found.rows)
            while found.next is not None:
                place = position_of(query, found.next.text)
                found = await listing_sql.page(uow, query, limit=1, at=place)
                seen += len(found.rows)
            assert seen == counted, sort
        for filtered, (column, operator) in listing.filters.items():
            query = read(listing, [(filtered, example_of(listing, column, operator))])
            assert read(listing, query.parameters) == query
            found = await listing_sql.page(uow, query, limit=100)
            counted = (await listing_sql.count(uow, query)).rows
            written = listing_csv.header(listing) + listing_csv.lines(listing, found.rows)
            rows = list(csv.DictReader(io.StringIO(written)))
            assert len(rows) == counted == len(found.rows), filtered
            assert all(list(row) == [column.name for column in listing.exported] for row in rows)
