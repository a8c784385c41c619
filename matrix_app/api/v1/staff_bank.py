"""Bank statements, for staff: previewed, imported, and their lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime, Field, StringConstraints

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.multipart import file_part
from matrix_app.api.v1.payments import Till
from matrix_app.api.v1.repeat import RepeatKey, repeat_of
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Shown, resource
from matrix_app.api.v1.staff_invoices import within
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.files import service as files
from services.files.service import Arrived
from services.files.stores import places
from services.reconciliation import bank_csv, statement_queries, statements
from services.reconciliation.bank_csv import Mapped
from services.reconciliation.bank_lines import ERRORS_SHOWN_MAX, FILE
from services.reconciliation.pulling import Puller
from services.reconciliation.statements import Doors

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE


class StatementShown(Shown):
    id: str
    name: str
    format: str
    lines: int
    new_lines: int = Field(description="Those that no earlier file had")
    matched: int
    open: int
    imported_by: str
    imported_at: AwareDatetime


class LineShown(Shown):
    id: str
    statement_id: str
    account: str
    bank_ref: str
    booked_on: str
    currency: str
    minor: int
    counterparty: str
    remittance: str
    match: str
    subject_id: str | None
    journal_id: str | None


class MappingShown(Shown):
    """What a file of columns comes to, as far as it can be read."""

    head: list[str]
    columns: dict[str, str] = Field(description="Which column is taken for what")
    lines: list[dict[str, str]] = Field(description="The first of them")
    count: int
    errors: list[str]


_Said = Annotated[str, StringConstraints(max_length=100)]


def _mapped(
    booked_on: _Said = "",
    amount: _Said = "",
    currency_column: _Said = "",
    bank_ref: _Said = "",
    counterparty: _Said = "",
    remittance: _Said = "",
    account_column: _Said = "",
    account: Annotated[_Said, Query(description="Of all lines, where no column says it")] = "",
    currency: Annotated[_Said, Query(description="Of all lines, where no column says it")] = "",
    dates: Annotated[_Said, Query(description=", ".join(bank_csv.DATES))] = "iso",
    decimal: Annotated[_Said, Query(description="A point or a comma")] = ".",
) -> Mapped:
    columns = {
        "booked_on": booked_on,
        "amount": amount,
        "currency": currency_column,
        "bank_ref": bank_ref,
        "counterparty": counterparty,
        "remittance": remittance,
        "account": account_column,
    }
    return Mapped(
        {name: said for name, said in columns.items() if said}, account, currency.upper(), dates, decimal
    )


MappingSaid = Annotated[Mapped, Depends(_mapped)]
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@asynccontextmanager
async def _arrived(request: Request) -> AsyncIterator[Arrived]:
    """The file that is sent, checked by its content, while it is read."""
    part = await file_part(request)
    arrived = await files.arrive(
        part.pieces, name=part.name, purpose=FILE, incoming=places(settings()).incoming
    )
    try:
        yield arrived
    finally:
        arrived.path.unlink(missing_ok=True)


@router.get("/bank-statements", **listed(statement_queries.STATEMENTS, StatementShown))
async def list_bank_statements(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Files of banks that were imported, the newest first."""
    listing = statement_queries.STATEMENTS
    return await answer(request, listing, StatementShown, asked, partial(staff_work, who, READ))


@router.post(
    "/bank-statements",
    status_code=201,
    response_model=StatementShown,
    responses=failures(409),
    openapi_extra=_FORM,
)
async def import_bank_statement(
    request: Request, who: AnyCaller, mapped: MappingSaid, till: Till, key: RepeatKey = None
) -> Response:
    """Import a CAMT.053 or CSV file, as the part `file` of a form, and match its lines.

    For CSV, parameters name the columns that their names do not tell. Lines that an earlier file had come in once.
    """
    who.actor.require(WRITE)
    async with _arrived(request) as arrived:
        lines = await asyncio.to_thread(
            lambda: statements.lines_of(arrived.path.read_bytes(), arrived.kind, mapped)
        )
    repeat = repeat_of(request, key, f"{arrived.name}\n{request.url.query}\n".encode() + arrived.sha256)

    async def keep(uow: UnitOfWork) -> StatementShown:
        statement_id = await statements.keep(
            uow, lines, name=arrived.name, kind=arrived.kind, sha256=arrived.sha256
        )
        return await _statement(uow, statement_id)

    kept = await repeat.once(staff_work(who, WRITE), keep, owner=who.actor.id)
    # Also when the answer is a repeated one: whoever gave it first may have died before this.
    statement_id = StatementShown.model_validate_json(bytes(kept.body)).id
    doors = Doors(partial(staff_work, who, WRITE), partial(within, who, needs=WRITE))
    await statements.match(doors, Puller(till), statement_id)
    async with staff_work(who, READ) as uow:
        kept.body = (await _statement(uow, statement_id)).model_dump_json().encode()
    kept.headers["content-length"] = str(len(kept.body))
    return kept


@router.post("/bank-statements/preview", openapi_extra=_FORM, responses=failures(409))
async def preview_bank_statement(request: Request, who: AnyCaller, mapped: MappingSaid) -> MappingShown:
    """What a CSV file comes to by a mapping, line by line, and what is wrong with it. Nothing is kept."""
    who.actor.require(WRITE)
    async with _arrived(request) as arrived:
        found = await asyncio.to_thread(
            lambda: bank_csv.preview(arrived.path.read_bytes(), arrived.kind, mapped)
        )
    return MappingShown(
        head=found.head,
        columns=found.columns,
        lines=[
            {
                "account": one.account,
                "bank_ref": one.bank_ref,
                "booked_on": one.booked_on.isoformat(),
                "amount": f"{one.money.amount:f}",
                "currency": one.money.currency,
                "counterparty": one.counterparty,
                "remittance": one.remittance,
            }
            for one in found.lines[: bank_csv.PREVIEW_LINES]
        ],
        count=len(found.lines),
        errors=found.errors[:ERRORS_SHOWN_MAX],
    )


@router.get("/bank-statements/{statement_id}")
async def get_bank_statement(who: AnyCaller, statement_id: str) -> StatementShown:
    """One file that was imported, and how many of its lines are matched."""
    async with staff_work(who, READ) as uow:
        return await _statement(uow, statement_id)


@router.get("/bank-lines", **listed(statement_queries.LINES, LineShown))
async def list_bank_lines(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Lines of bank statements; `statement_id` narrows it to one file."""
    return await answer(request, statement_queries.LINES, LineShown, asked, partial(staff_work, who, READ))


async def _statement(uow: UnitOfWork, statement_id: str) -> StatementShown:
    return StatementShown.model_validate(await statement_queries.statement(uow, statement_id))
