"""Reads of bank statements and their lines, for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.reconciliation import Match
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.reconciliation import policies

READ = Capability.STAFF_PAYMENTS_READ
_EXACTLY = (Operator.EQ, Operator.IN)
# How far a line is found in our books, its movement says.
_ITS_MOVEMENT = "m.provider_account_id = l.provider_account_id and m.provider_ref = l.id"
_NUMBER = "(select a.settings ->> 'number' from provider_account a where a.id = l.provider_account_id)"
_OF_NUMBERS = (
    "l.provider_account_id = any(array(select a.id from provider_account a where a.settings ->> 'number' {}))"
)
# One that was not pulled yet waits. Said apart for each value, an index of movements leads to the others.
_IS = "m.match = {value} or ({value} = 'waiting' and m.id is null)"
_IS_ANY = "m.match = any({value}) or ('waiting' = any({value}) and m.id is null)"
_IS_NOT = "m.match <> {value} or ({value} <> 'waiting' and m.id is null)"


@dataclass(frozen=True, slots=True)
class StatementRow:
    id: str
    name: str
    format: str
    lines: int
    new_lines: int
    matched: int
    open: int
    imported_by: str
    imported_at: datetime


STATEMENTS: Listing[StatementRow] = Listing(
    "staff.bank_statements",
    row=StatementRow,
    needs=READ,
    source="bank_statement s",
    alias="s",
    joins="left join lateral (select count(*) filter (where m.match in ('matched','settled')) as matched,"
    f" count(*) filter (where coalesce(m.match, 'waiting') in ('waiting','differs')) as open from bank_line l"
    f" left join provider_movement m on {_ITS_MOVEMENT}"
    " where l.statement_id = s.id) n on true",
    where="true",
    columns=(
        Column("id", "s.id", Kind.ID, filterable=True),
        Column("name", "s.name"),
        Column("format", "s.format"),
        Column("lines", "s.lines", Kind.INTEGER),
        Column("new_lines", "s.new_lines", Kind.INTEGER),
        Column("matched", "n.matched", Kind.INTEGER, joined=True),
        Column("open", "n.open", Kind.INTEGER, joined=True),
        Column("imported_by", "s.imported_by", Kind.ID),
        Column("imported_at", "s.imported_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
    ),
    sort="-imported_at",
)


async def statement(uow: UnitOfWork, statement_id: str) -> StatementRow:
    """Raises Forbidden and NotFound."""
    row = await policies.statement_for(uow, statement_id, READ)
    found = await listing_sql.find(uow, STATEMENTS, row.id)
    if found is None:
        raise not_found("bank statement", statement_id)
    return found


@dataclass(frozen=True, slots=True)
class LineRow:
    """One booking of a bank. `subject_id` is the payment or the payout that it is."""

    id: str
    statement_id: str
    account: str
    bank_ref: str
    booked_on: str  # as ISO 8601 writes it
    currency: str
    minor: int
    counterparty: str
    remittance: str
    match: str
    subject_id: str | None
    journal_id: str | None


LINES: Listing[LineRow] = Listing(
    "staff.bank_lines",
    row=LineRow,
    needs=READ,
    source=f"bank_line l left join provider_movement m on {_ITS_MOVEMENT}",
    where="true",
    columns=(
        Column("id", "l.id", Kind.ID, sortable=True, unchanging=True, filterable=True),
        Column("statement_id", "l.statement_id", Kind.ID, operators=_EXACTLY),
        Column(
            "account",
            _NUMBER,
            operators=_EXACTLY,
            conditions={
                Operator.EQ: _OF_NUMBERS.format("= {value}"),
                Operator.IN: _OF_NUMBERS.format("= any({value})"),
            },
        ),
        Column("bank_ref", "l.bank_ref", operators=_EXACTLY),
        Column("booked_on", "to_char(l.booked_on, 'YYYY-MM-DD')"),
        Column("currency", "l.currency", operators=_EXACTLY),
        Column("minor", "l.minor", Kind.INTEGER, currency="currency"),
        Column("counterparty", "l.counterparty"),
        Column("remittance", "l.remittance"),
        Column(
            "match",
            "coalesce(m.match, 'waiting')",
            Kind.ENUM,
            values=tuple(Match),
            filterable=True,
            conditions={Operator.EQ: _IS, Operator.IN: _IS_ANY, Operator.NE: _IS_NOT},
        ),
        Column("subject_id", "m.subject_id", Kind.ID, nullable=True, operators=_EXACTLY),
        Column("journal_id", "m.journal_id", Kind.ID, nullable=True),
    ),
    sort="-id",
)
