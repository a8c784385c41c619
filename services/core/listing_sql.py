"""Rows of a declared list: a page from any position, how many there are, and all of them batch by batch.

A page goes on from values, not from a number of rows passed over: rows that come or go in between neither repeat nor
hide one, and the last page costs what the first does. services/core/listing.py says how lists are declared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.core.errors import Invalid, InvalidFilter
from services.core.listing import Column, Kind, Listing, Operator
from services.core.listing_grammar import Condition, Query, read
from services.core.listing_position import Position
from services.core.work import UnitOfWork, statements_within

R = TypeVar("R")

PAGE_ROWS_MAX = 2_000
BATCH_ROWS = 2_000
READ_S_MAX = 10.0  # of one statement for somebody who waits for it
WRITE_OUT_S_MAX = 120.0  # of one statement of a file that is written while nobody waits
COUNTED_MAX = 10_000  # rows; of more it is said about how many
_SIGNIFICANT_FIGURES = 2  # of an estimate

# A statement that was prepared is planned for any values. What filters leave depends on theirs: of a plan for any, one
# of overdue invoices took 200 ms instead of 3.
_PLANNED_FOR_VALUES = "select set_config('plan_cache_mode', 'force_custom_plan', true)"

_TYPES = {
    Kind.TEXT: "text",
    Kind.ID: "text",
    Kind.ENUM: "text",
    Kind.INSTANT: "timestamptz",
    Kind.INTEGER: "bigint",
    Kind.DECIMAL: "numeric",
    Kind.FLAG: "boolean",
}
_COMPARED = {
    Operator.EQ: "=",
    Operator.NE: "is distinct from",
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
}


class ListTooSlow(InvalidFilter):
    """Filters leave so few rows that looking for them takes too long."""

    code = "list_too_slow"
    title = "The list takes too long to read like this"


@dataclass(frozen=True, slots=True)
class RowsOfPage(Generic[R]):
    """`previous` and `next` are where the pages beside begin; None where there is none."""

    rows: tuple[R, ...]
    previous: Position | None = None
    next: Position | None = None
    first: Position | None = None  # before the first row, to count what lies there


@dataclass(frozen=True, slots=True)
class Count:
    """`rows` is an estimate, or at least so many, when not `exact`."""

    rows: int
    exact: bool


async def page(
    uow: UnitOfWork,
    query: Query[R],
    *,
    limit: int,
    at: Position | None = None,
    seconds: float | None = None,
) -> RowsOfPage[R]:
    """At most `limit` rows from `at`, or from the beginning. Raises Forbidden, and Invalid for a limit of no page.

    Where filters take longer than `seconds`, READ_S_MAX if it is not said, raises ListTooSlow.
    """
    require(uow, query)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Invalid(f"A page has 1 to {PAGE_ROWS_MAX:,} rows.", field="limit")
    async with _in_time(uow, query, seconds):
        found = await _rows(uow, query, at, limit + 1)
    more = len(found) > limit
    found = found[:limit]
    backward = at is not None and at.before
    if backward:
        found.reverse()
    if not found:
        return RowsOfPage(())
    first = Position(found[0]["listing_sort"], found[0]["listing_key"], before=True)
    last = Position(found[-1]["listing_sort"], found[-1]["listing_key"])
    return RowsOfPage(
        tuple(_row(query.listing, values) for values in found),
        previous=first if (more if backward else at is not None) else None,
        next=last if (backward or more) else None,
        first=first,
    )


async def select(
    uow: UnitOfWork, listing: Listing[R], *parameters: tuple[str, str], limit: int = 50
) -> list[R]:
    """The first `limit` rows of what `parameters` ask for, where there is no need to go on."""
    return list((await page(uow, read(listing, parameters), limit=limit)).rows)


async def find(uow: UnitOfWork, listing: Listing[R], key: Any) -> R | None:
    """The row of the list whose key this is, or None. Raises Forbidden."""
    if listing.needs is not None:
        uow.actor.require(listing.needs)
    statement = (
        f"select {_columns(uow, listing)} from {listing.source} {listing.joins}"
        f" where {listing.where} and {listing.column(listing.key).sql} = :listing_key"
    )
    found = (await uow.execute(statement, _named(uow) | {"listing_key": key})).mappings().one_or_none()
    return None if found is None else listing.row(**found)


async def count(uow: UnitOfWork, query: Query[R]) -> Count:
    """How many rows there are: exactly up to COUNTED_MAX, beyond it about so many. Raises as `page` does."""
    require(uow, query)
    async with _in_time(uow, query):
        counted = await _counted(uow, query, ["true"], {})
    if counted <= COUNTED_MAX:
        return Count(counted, exact=True)
    statement, values = _filtered(query)
    plan = await uow.execute(f"explain (format json) select 1 {statement}", _named(uow) | values)
    estimated = int(plan.scalar_one()[0]["Plan"]["Plan Rows"])
    about = max(estimated, COUNTED_MAX)
    return Count(round(about, _SIGNIFICANT_FIGURES - len(str(about))), exact=False)


async def count_before(uow: UnitOfWork, query: Query[R], at: Position) -> Count:
    """How many rows lie before the row at `at`; not exact when they are more than COUNTED_MAX."""
    require(uow, query)
    before = Position(at.value, at.key, before=True)
    counted = 0
    async with _in_time(uow, query):
        for segment in _segments(query, before):
            counted += await _counted(uow, query, [segment.condition], segment.values)
    return Count(min(counted, COUNTED_MAX), exact=counted <= COUNTED_MAX)


async def batches(
    work: Callable[[], AbstractAsyncContextManager[UnitOfWork]], query: Query[R]
) -> AsyncIterator[tuple[R, ...]]:
    """All rows, at most BATCH_ROWS at a time, each batch in a unit of work of its own; sorted as `Query.lasting` says.

    So a reader who is slow, or is a file of a million rows, holds neither a connection nor memory in between.
    """
    at: Position | None = None
    while True:
        async with work() as uow:
            found = await page(uow, query.lasting, limit=BATCH_ROWS, at=at)
        yield found.rows
        if found.next is None:
            return
        at = found.next


async def plan(uow: UnitOfWork, query: Query[R], *, limit: int, at: Position | None = None) -> dict[str, Any]:
    """How PostgreSQL would read the page, as its EXPLAIN has it: for those who declare a list, and the benchmark."""
    segment = _segments(query, at)[0]
    statement, values = _statement(uow, query, segment, backward=at is not None and at.before)
    found = await uow.execute(
        f"explain (format json) {statement}", _named(uow) | values | {"listing_most": limit + 1}
    )
    return found.scalar_one()[0]["Plan"]


def require(uow: UnitOfWork, query: Query[R]) -> None:
    """Raises Forbidden for a list, or for filters and sorting by a column, that the actor may not see."""
    needs = [query.listing.needs, query.sort.needs, *(one.column.needs for one in query.conditions)]
    for capability in needs:
        if capability is not None:
            uow.actor.require(capability)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A run of rows that one index scan gives in order: those with a value, or those without."""

    condition: str
    values: dict[str, Any]


def _segments(query: Query[R], at: Position | None) -> list[_Segment]:
    """What lies behind `at` (or before it), in the order in which it is read. Empty values come last."""
    sort, key = query.sort.sorted_by, query.listing.column(query.listing.key)
    if not query.sort.nullable:
        return [_Segment("true", {}) if at is None else _behind(query, at)]
    full, empty = _Segment(f"{sort} is not null", {}), _Segment(f"{sort} is null", {})
    if at is None:
        return [full, empty]
    if at.value is not None:
        # Which no empty value fulfils; saying so besides makes PostgreSQL walk the index from its beginning.
        behind = _behind(query, at)
        return [behind] if at.before else [behind, empty]
    place = f"cast(:listing_at_key as {_TYPES[key.kind]})"
    rest = _Segment(
        f"{empty.condition} and {key.sql} {_onward(query, at)} {place}", {"listing_at_key": at.key}
    )
    return [rest, full] if at.before else [rest]


def _behind(query: Query[R], at: Position) -> _Segment:
    """A comparison of rows, which an index on both columns walks to."""
    sort, key = query.sort, query.listing.column(query.listing.key)
    if sort is key:
        return _Segment(f"{key.sql} {_onward(query, at)} :listing_at_key", {"listing_at_key": at.key})
    values = {"listing_at": at.value, "listing_at_key": at.key}
    places = f"(cast(:listing_at as {_TYPES[sort.sorted_kind]}), cast(:listing_at_key as {_TYPES[key.kind]}))"
    return _Segment(f"({sort.sorted_by}, {key.sql}) {_onward(query, at)} {places}", values)


def _onward(query: Query[R], at: Position) -> str:
    return "<" if query.descending != at.before else ">"


@asynccontextmanager
async def _in_time(
    uow: UnitOfWork, query: Query[R], seconds: float | None = None
) -> AsyncGenerator[None, None]:
    """Filters may leave so little that all rows are read for it: that has an end. Without filters an index leads, by
    a plan that serves any page."""
    if not query.conditions:
        yield
        return
    await uow.execute(_PLANNED_FOR_VALUES)
    most = READ_S_MAX if seconds is None else seconds
    too_slow = ListTooSlow(
        f"Looking for what these filters leave took longer than {most:g} seconds.",
        field=query.conditions[0].parameter,
        next_step="Add a filter that leaves fewer rows to look through, such as one by time.",
    )
    async with statements_within(uow, most, otherwise=too_slow):
        yield


async def _rows(uow: UnitOfWork, query: Query[R], at: Position | None, most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for segment in _segments(query, at):
        statement, values = _statement(uow, query, segment, backward=at is not None and at.before)
        rows = await uow.execute(statement, _named(uow) | values | {"listing_most": most - len(found)})
        found += [dict(row) for row in rows.mappings()]
        if len(found) >= most:
            break
    return found


def _statement(
    uow: UnitOfWork, query: Query[R], segment: _Segment, *, backward: bool
) -> tuple[str, dict[str, Any]]:
    listing, sort = query.listing, query.sort.sorted_by
    key = listing.column(listing.key).sql
    way = "desc" if query.descending != backward else "asc"
    filtered, values = _filtered(query, segment.condition)
    places = f"{sort} as listing_sort, {key} as listing_key"
    order = f"order by {sort} {way}, {key} {way} limit :listing_most"
    if not listing.joins:
        statement = f"select {_columns(uow, listing)}, {places} {filtered} {order}"
    else:
        alias = listing.alias
        statement = (
            f"select {_columns(uow, listing)}, {alias}.listing_sort, {alias}.listing_key"
            f" from (select {alias}.*, {places} {filtered} {order}) {alias} {listing.joins}"
            f" order by {alias}.listing_sort {way}, {alias}.listing_key {way}"
        )
    return statement, values | segment.values


def _columns(uow: UnitOfWork, listing: Listing[R]) -> str:
    return ", ".join(
        f'{column.sql if column.needs is None or uow.actor.may(column.needs) else "null"} as "{column.name}"'
        for column in listing.shown
    )


def _filtered(query: Query[R], *conditions: str) -> tuple[str, dict[str, Any]]:
    """`from ... where ...` and the values it needs."""
    values: dict[str, Any] = {}
    said = [_condition(one, f"listing_{place}", values) for place, one in enumerate(query.conditions)]
    wanted = " and ".join(f"({condition})" for condition in (query.listing.where, *said, *conditions))
    return f"from {query.listing.source} where {wanted}", values


def _condition(one: Condition, name: str, values: dict[str, Any]) -> str:
    column, operator = one.column, one.operator
    own = column.conditions.get(operator)
    if operator is Operator.IS_NULL and own is None:
        return f"{column.sql} is {'' if one.value else 'not '}null"
    kind = "boolean" if operator is Operator.IS_NULL else _TYPES[column.kind]
    own = own or _usual(column, operator)
    folded = "" if operator is Operator.IN else column.fold(str(one.value))
    like = folded.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    many = "[]" if operator is Operator.IN else ""
    given: dict[str, tuple[Any, str]] = {
        "value": (one.value, f"{kind}{many}"),
        "folded": (folded, "text"),
        "like": (like, "text"),
    }
    for placeholder, (value, type_name) in given.items():
        if f"{{{placeholder}}}" in own:
            values[f"{name}_{placeholder}"] = value
            own = own.replace(f"{{{placeholder}}}", f"cast(:{name}_{placeholder} as {type_name})")
    return own


def _usual(column: Column, operator: Operator) -> str:
    match operator:
        case Operator.IN:
            return f"{column.sql} = any({{value}})"
        case Operator.CONTAINS:
            where = column.folded or f"lower({column.sql})"
            return f"{where} like '%' || {'{like}' if column.folded else 'lower({like})'} || '%'"
        case Operator.STARTS_WITH:
            # The last character there is ends the range, which an index by code point knows how to walk.
            return f"{column.sql} >= {{value}} and {column.sql} < {{value}} || chr(1114111)"
        case Operator.NE if not column.nullable:
            return f"{column.sql} <> {{value}}"
        case _:
            return f"{column.sql} {_COMPARED[operator]} {{value}}"


async def _counted(uow: UnitOfWork, query: Query[R], conditions: list[str], more: dict[str, Any]) -> int:
    statement, values = _filtered(query, *conditions)
    found = await uow.execute(
        f"select count(*) from (select 1 {statement} limit :listing_most) counted",
        _named(uow) | values | more | {"listing_most": COUNTED_MAX + 1},
    )
    return found.scalar_one()


def _named(uow: UnitOfWork) -> dict[str, Any]:
    """What the SQL of a declaration may name."""
    return {
        "organization_id": uow.actor.organization_id,
        "actor_id": uow.actor.id,
        "session_id": uow.actor.session_id or "",
        "now": uow.wall_now,
        "business_now": uow.now,
    }


def _row(listing: Listing[R], values: dict[str, Any]) -> R:
    return listing.row(**{name: value for name, value in values.items() if not name.startswith("listing_")})
