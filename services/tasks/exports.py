"""A declared list written out as CSV: any number of rows, a step of some thousands at a time, on the disk and never
in memory.

What the file holds is what the asker might read page by page: rows, columns and filters are those of the list.
"""

from __future__ import annotations

from typing import Any

from services.audit import queries as audit
from services.core import listing_csv, listing_sql
from services.core.actor import Actor
from services.core.errors import Invalid
from services.core.listing import Listing
from services.core.listing_grammar import CONDITIONS_MAX, Query, read
from services.core.listing_position import position_of
from services.core.permissions import Capability
from services.files.rules import Kind
from services.identity import key_queries
from services.ledger import queries as ledger
from services.metering import requests
from services.tasks.work import Made, Work

PARAMETERS_MAX = CONDITIONS_MAX + 1  # filters, and how it is sorted

# Those of an organisation; what lists of staff show crosses tenants, and no task does.
LISTS: dict[str, Listing[Any]] = {
    listing.name: listing
    for listing in (key_queries.KEYS, requests.REQUESTS, audit.AUDIT, ledger.ACCOUNTS, ledger.JOURNALS)
}


def admit(actor: Actor, parameters: dict[str, Any]) -> dict[str, Any]:
    """`{"list": name, "filters": [[name, value], ...]}` as it is kept; filters are in the grammar of lists.

    Raises Invalid, InvalidFilter and Forbidden.
    """
    name = str(parameters.get("list", ""))
    listing = LISTS.get(name)
    if listing is None:
        raise Invalid(
            "This list cannot be exported.",
            field="list",
            next_step=f"Choose one of: {', '.join(sorted(LISTS))}.",
        )
    if listing.needs is not None:
        actor.require(listing.needs)
    filters = [[str(key), str(value)] for key, value in parameters.get("filters", ())]
    if len(filters) > PARAMETERS_MAX:
        raise Invalid(f"An export has {CONDITIONS_MAX} filters at most.", field="filters")
    _query(listing, filters)
    return {"list": name, "filters": filters}


def title(parameters: dict[str, Any]) -> str:
    """The list's name."""
    return str(parameters.get("list", ""))


def _query(listing: Listing[Any], filters: list[list[str]]) -> Query[Any]:
    return read(listing, [(key, value) for key, value in filters]).lasting


async def run(work: Work) -> Made:
    """Write the list down from where the last step left off. Raises what reading the list raises."""
    listing = LISTS[work.parameters["list"]]
    query = _query(listing, work.parameters["filters"])
    draft = work.draft()
    if draft.is_lost:
        draft.start_over()
        work.checkpoint, work.done = draft.kept, 0
        work.total = await _about(work, query)
        async with work.step() as uow:
            await work.write(uow, draft, listing_csv.header(listing, mark=True))
            work.checkpoint = {**draft.kept, "at": None}
    while "at" in work.checkpoint:
        found = await _page(work, query)
        async with work.step() as uow:
            await work.write(uow, draft, listing_csv.lines(listing, found.rows))
            work.done += len(found.rows)
            if work.total is not None:
                work.total = max(work.total, work.done)  # of many rows only about so many were counted
            work.checkpoint = draft.kept
            if found.next is not None:
                work.checkpoint["at"] = found.next.text
    file = await draft.arrived(name=f"{listing.name} {work.clock.now():%Y-%m-%d %H.%M}.csv", kind=Kind.CSV)
    return Made({"list": listing.name, "rows": work.done}, file, needs=_needs(listing, work.actor))


async def _about(work: Work, query: Query[Any]) -> int | None:
    """How many rows there will be, or about; None when that takes too long to find out."""
    try:
        async with work.unit_of_work() as uow:
            return (await listing_sql.count(uow, query)).rows
    except listing_sql.ListTooSlow:
        return None


async def _page(work: Work, query: Query[Any]) -> listing_sql.RowsOfPage[Any]:
    """What comes next. Nobody waits for it at a page, so it may take longer than there."""
    at = work.checkpoint["at"]
    async with work.unit_of_work() as uow:
        return await listing_sql.page(
            uow,
            query,
            limit=listing_sql.BATCH_ROWS,
            at=position_of(query, at) if at is not None else None,
            seconds=listing_sql.WRITE_OUT_S_MAX,
        )


def _needs(listing: Listing[Any], actor: Actor) -> tuple[Capability, ...]:
    """What it takes to see everything that the actor saw in the list."""
    wanted = {listing.needs, *(column.needs for column in listing.exported)}
    return tuple(sorted(one for one in wanted if one is not None and actor.may(one)))
