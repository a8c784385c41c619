"""The audit log: what people, keys and staff did, as pages of JSON or as one CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import AnyCaller, Member, staff_work
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Instant,
    Limit,
    Page,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from services.audit import queries
from services.audit.queries import FILTER_CHARACTERS_MAX, AuditEntry, AuditFilter, AuditPage
from services.core.permissions import Capability
from services.core.work import unit_of_work

router = resource("audit")

CSV = "text/csv"
CSV_ROWS_MAX = 10_000  # of one file; `X-Next-Cursor` leads to the next
_CSV_TURN_ROWS = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would work out instead of show

Text = Annotated[str, StringConstraints(max_length=FILTER_CHARACTERS_MAX)]
Read = Callable[[int, str | None], Awaitable[AuditPage]]


class AuditEntryShown(Shown):
    id: int
    recorded_at: AwareDatetime
    happened_at: AwareDatetime = Field(
        description="By the organisation's clock; differs on a test clock only"
    )
    type: str
    object_id: str = Field(description="What it happened to")
    organization_id: str | None
    organization_name: str
    actor_id: str
    actor_kind: Literal["account", "key", "service_account", "system", "other"] = Field(
        description="`other`: staff, or somebody who is no longer a member"
    )
    actor_name: str
    address: str = Field(description="From where; empty when nobody at a door caused it")
    details: dict[str, Any]
    trace_id: str


def _filter(
    actor: Annotated[Text, Query(description="Id, or the address an account signs in with")] = "",
    event_type: Annotated[
        Text, Query(alias="type", description="Whole, or a beginning that ends in a dot")
    ] = "",
    object_id: Annotated[Text, Query(alias="object", description="Id of what it happened to")] = "",
    start: Annotated[Instant | None, Query(alias="from", description="Inclusive")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Exclusive")] = None,
) -> AuditFilter:
    return AuditFilter(actor=actor, type=event_type, object_id=object_id, start=start, end=end)


Where = Annotated[AuditFilter, Depends(_filter)]
Format = Annotated[
    Literal["json", "csv"] | None,
    Query(
        alias="format",
        description=f"`csv` as `Accept: {CSV}` does: at most {CSV_ROWS_MAX:,} rows, whatever the limit",
    ),
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {CSV: {"schema": {"type": "string"}}},
        "headers": {"X-Next-Cursor": {"schema": {"type": "string"}, "description": "CSV: what follows"}},
    }
}


@router.get("/audit", response_model=Page[AuditEntryShown], responses=_ANSWERS)
async def list_audit(
    request: Request,
    who: Member,
    where: Where,
    wanted: Format = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> Page[AuditEntryShown] | Response:
    """What happened in the organisation, the latest first. For owners and admins."""
    bound = {"organization": who.actor.organization_id, **asdict(where)}
    after = _place(position_in("audit", bound, cursor))
    async with unit_of_work(who.actor) as uow:

        async def read(rows: int, after: str | None) -> AuditPage:
            return await queries.entries(uow, limit=rows, after=after, where=where)

        if _wants_csv(request, wanted):
            return await _as_csv(read, after, "audit", bound)
        return _as_page(await read(limit, after), "audit", bound)


@router.get("/staff/audit", tags=["staff"], response_model=Page[AuditEntryShown], responses=_ANSWERS)
async def list_staff_audit(
    request: Request,
    who: AnyCaller,
    where: Where,
    organization: Text = "",
    wanted: Format = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> Page[AuditEntryShown] | Response:
    """What happened in the whole installation, the latest first. For staff."""
    chosen = AuditFilter(**{**asdict(where), "organization_id": organization})
    bound = asdict(chosen)
    after = _place(position_in("staff.audit", bound, cursor))
    async with staff_work(who, Capability.STAFF_AUDIT_READ) as uow:

        async def read(rows: int, after: str | None) -> AuditPage:
            return await queries.staff_entries(uow, limit=rows, after=after, where=chosen)

        if _wants_csv(request, wanted):
            return await _as_csv(read, after, "staff.audit", bound)
        return _as_page(await read(limit, after), "staff.audit", bound)


def _place(position: list[str] | None) -> str | None:
    return position[0] if position else None


def _wants_csv(request: Request, wanted: str | None) -> bool:
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return wanted == "csv" or (wanted is None and accepted == CSV)


def _as_page(found: AuditPage, query: str, bound: dict[str, Any]) -> Page[AuditEntryShown]:
    return Page(
        data=[AuditEntryShown.model_validate(row) for row in found.rows],
        next_cursor=cursor_for(query, bound, [found.next]) if found.next else None,
    )


async def _as_csv(read: Read, after: str | None, query: str, bound: dict[str, Any]) -> Response:
    """One file of at most CSV_ROWS_MAX rows, with a header line."""
    written = io.StringIO()
    lines = csv.DictWriter(written, list(AuditEntryShown.model_fields))
    lines.writeheader()
    async for row in _rows(read, after):
        lines.writerow({name: _cell(value) for name, value in asdict(row).items()})
        after = str(row.id)
    headers = {"Content-Disposition": f'attachment; filename="{query}.csv"'}
    if after and (await read(1, after)).rows:
        headers["X-Next-Cursor"] = cursor_for(query, bound, [after])
    return Response(written.getvalue(), headers=headers, media_type=CSV)


async def _rows(read: Read, after: str | None) -> AsyncIterator[AuditEntry]:
    for _ in range(CSV_ROWS_MAX // _CSV_TURN_ROWS):
        found = await read(_CSV_TURN_ROWS, after)
        for row in found.rows:
            yield row
        if found.next is None:
            return
        after = found.next


def _cell(value: object) -> object:
    """Text that a spreadsheet shows and does not work out; objects as JSON, instants as ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
