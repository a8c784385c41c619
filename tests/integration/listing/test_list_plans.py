"""A page of a list that grows is read through an index in the order that was asked for, not sorted out of all rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from services.core import listing_sql
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.listing_grammar import read
from tests.listings import BOUNDED, every_listing

GROWING = {name: listing for name, listing in every_listing().items() if name not in BOUNDED}
# Whatever an empty table would suggest: a plan that has these all the same has no index to go by.
ONLY_INDEXES = ("enable_seqscan", "enable_sort", "enable_bitmapscan")
WHOLE = {"Sort", "Seq Scan", "Bitmap Heap Scan"}


def test_only_lists_that_are_there_are_left_out() -> None:
    assert set(BOUNDED) <= set(every_listing())


async def test_every_sort_of_a_list_that_grows_has_an_index(database: Database) -> None:
    without: dict[str, list[str]] = {}
    for name, listing in GROWING.items():
        async with crossing(Reason.STAFF, actor=system("org_1")) as uow:
            for setting in ONLY_INDEXES:
                await uow.execute(f"set local {setting} = off")
            for sort in listing.sorts:
                plan = await listing_sql.plan(uow, read(listing, [("sort", sort)]), limit=50)
                if found := whole(plan):
                    without[f"{name} by {sort}"] = found
    assert without == {}


# What few rows have: by what it is found, without reading the list for it.
FOUND_BY = {
    ("requests", "cost[lte]"): ("0.5", r"cost_order <= '?500000000000'?"),
    ("requests", "cost[gt]"): ("0.5", r"cost_order >= '?500000000000'?"),
    ("staff.papers", "number"): (
        "ACME-7",
        "uq_invoice_legal_entity_id_number.*uq_credit_note_legal_entity_id_number",
    ),
    ("staff.bank_lines", "subject_id"): ("pay_1", "ix_provider_movement_subject_id"),
    ("staff.bank_lines", "account"): ("DE02", "provider_account_id = ANY"),
}


@pytest.mark.parametrize(("name", "asked"), FOUND_BY)
async def test_what_few_rows_have_is_found_by_an_index(database: Database, name: str, asked: str) -> None:
    value, way = FOUND_BY[name, asked]
    sort = "cost" if name == "requests" else GROWING[name].sort
    async with crossing(Reason.STAFF, actor=system("org_1")) as uow:
        await uow.execute("set local enable_seqscan = off")
        plan = await listing_sql.plan(uow, read(GROWING[name], [(asked, value), ("sort", sort)]), limit=50)
    assert re.search(way, json.dumps(plan)), json.dumps(plan, indent=1)


def whole(plan: dict[str, Any]) -> list[str]:
    return [
        f"{node['Node Type']} {node.get('Relation Name', node.get('Sort Key', ''))}" for node in nodes(plan)
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What reads the rows; what is looked up for each row of the page is left out."""
    if plan["Node Type"] in WHOLE:
        yield plan
    for below in plan.get("Plans", ()):
        if below.get("Parent Relationship") != "SubPlan":
            yield from nodes(below)
