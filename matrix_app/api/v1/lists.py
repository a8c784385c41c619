"""Declared lists as resources: `GET /things` in pages of JSON or, whole, as CSV.

    @router.get("", **listed(KEYS, KeyShown))
    async def list_keys(request: Request, who: Member, asked: Asked) -> Answer:
        \"""Keys, newest first.\"""
        return await answer(request, KEYS, KeyShown, asked, lambda: unit_of_work(who.actor))

The declaration gives the parameters, their checks, the sorting and the columns of the file; services/core/listing.py
says how to write one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from matrix_app.api.v1.shape import PAGE_ROWS, Cursor, Limit, Page, Shown, cursor_for, position_in
from services.core import listing_csv, listing_grammar, listing_sql
from services.core.listing import Column, Kind, Listing, Operator
from services.core.listing_position import position_of
from services.core.work import UnitOfWork

Row = TypeVar("Row", bound=Shown)
Work = Callable[[], AbstractAsyncContextManager[UnitOfWork]]
Answer = Any  # a page or a file; `listed` tells FastAPI what it looks like

_SCHEMAS: dict[Kind, dict[str, Any]] = {
    Kind.INSTANT: {"type": "string", "format": "date-time"},
    Kind.INTEGER: {"type": "integer"},
    Kind.DECIMAL: {"type": "string", "format": "decimal"},
    Kind.FLAG: {"type": "boolean"},
}
_MEANINGS = {
    Operator.EQ: "is this; given several times, any of them",
    Operator.NE: "is not this",
    Operator.IN: "is any of these",
    Operator.GT: "is more than this",
    Operator.GTE: "is this or more",
    Operator.LT: "is less than this",
    Operator.LTE: "is this or less",
    Operator.CONTAINS: "contains this, in upper or lower case",
    Operator.STARTS_WITH: "begins with this",
    Operator.IS_NULL: "is empty",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """What every list may be asked beside its filters."""

    cursor: str | None
    limit: int
    format: Literal["json", "csv"] | None
    bom: bool


async def _asking(
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
    wanted: Annotated[
        Literal["json", "csv"] | None,
        Query(
            alias="format",
            description=f"`csv`, as `Accept: {listing_csv.CONTENT_TYPE}` does: all rows, as a file",
        ),
    ] = None,
    bom: Annotated[bool, Query(description="Whether the file begins with a byte order mark")] = False,
) -> Asking:
    return Asking(cursor, limit, wanted, bom)


Asked = Annotated[Asking, Depends(_asking)]


def listed(listing: Listing[Any], shown: type[Shown]) -> dict[str, Any]:
    """What the decorator of a route is told of a list."""
    csv = {listing_csv.CONTENT_TYPE: {"schema": {"type": "string"}}}
    filters = [_described(name, column, operator) for name, (column, operator) in listing.filters.items()]
    sort = {
        "name": listing_grammar.SORT,
        "in": "query",
        "required": False,
        "description": "Column to sort by, descending with a minus sign; empty values come last",
        "schema": {"type": "string", "enum": list(listing.sorts), "default": listing.sort},
    }
    return {
        "response_model": Page[shown],
        "responses": {200: {"content": csv}},
        "openapi_extra": {"parameters": [sort, *filters]},
    }


def _described(name: str, column: Column, operator: Operator) -> dict[str, Any]:
    schema = _SCHEMAS.get(column.kind, {"type": "string", "maxLength": listing_grammar.VALUE_CHARACTERS_MAX})
    if column.values:
        schema = {"type": "string", "enum": list(column.values)}
    # The mark tells programs that read the document what is a filter of the list and what is not.
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": False, "x-filter": operator.value}
    if operator is Operator.IS_NULL:
        schema = {"type": "boolean"}
    elif operator is Operator.IN:
        schema = {"type": "array", "items": schema, "maxItems": listing_grammar.VALUES_MAX}
        parameter |= {"style": "form", "explode": False}
    said = (
        column.text if operator is Operator.EQ and column.text else f"`{column.name}` {_MEANINGS[operator]}"
    )
    return parameter | {"description": said, "schema": schema}


async def answer(
    request: Request, listing: Listing[Any], shown: type[Row], asked: Asking, work: Work
) -> Page[Row] | Response:
    """The page or the file that is asked for. Raises Forbidden, InvalidFilter, and Invalid for a cursor."""
    own = _beside(request.scope["route"], listing)
    parameters = [pair for pair in request.query_params.multi_items() if pair[0] not in own]
    async with work() as uow:
        if listing.needs is not None:
            uow.actor.require(listing.needs)
        query = listing_grammar.read(listing, parameters)
        # What needs no capability is the caller's own, in whichever organisation.
        organization_id = uow.actor.organization_id if listing.needs is not None else None
        bound = {
            "owner": organization_id or uow.actor.id,
            "asked": query.parameters,
        }
        place = position_in(listing.name, bound, asked.cursor)
        at = position_of(query, place[0], field="cursor") if place else None
        if _wants_csv(request, asked):
            listing_sql.require(uow, query)
        else:
            found = await listing_sql.page(uow, query, limit=asked.limit, at=at)
            return Page(
                data=[shown.model_validate(row) for row in found.rows],
                next_cursor=cursor_for(listing.name, bound, [found.next.text]) if found.next else None,
            )
    batches = listing_sql.batches(work, query)
    # What cannot be read at all is answered as a problem, not as a file that breaks off.
    return _file(listing, await anext(batches), batches, mark=asked.bom)


def _beside(route: APIRoute, listing: Listing[Any]) -> set[str]:
    """Query parameters that the route takes beside those of the list."""
    named = {one["name"] for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query"}
    return _taken(route.dependant) | named - {listing_grammar.SORT, *listing.filters}


def _taken(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_taken(needed) for needed in dependant.dependencies))


def _wants_csv(request: Request, asked: Asking) -> bool:
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return asked.format == "csv" or (asked.format is None and accepted == listing_csv.CONTENT_TYPE)


def _file(
    listing: Listing[Any], first: tuple[Any, ...], rest: AsyncIterator[tuple[Any, ...]], *, mark: bool
) -> Response:
    """All rows. One that cannot be read breaks the transfer off: half a file never looks like a whole one."""

    async def written() -> AsyncIterator[str]:
        yield listing_csv.header(listing, mark=mark) + listing_csv.lines(listing, first)
        async for rows in rest:
            yield listing_csv.lines(listing, rows)

    headers = {"Content-Disposition": f'attachment; filename="{listing.name}.csv"'}
    return StreamingResponse(written(), headers=headers, media_type=listing_csv.CONTENT_TYPE)
