"""Bank statements: read, kept line by line, and matched with what we know of.

A line that names an invoice is recorded as its transfer, by the bank's name for it, so the same money never comes in
twice, be it imported again or recorded by hand before. One of a payout's amount about the day it was to arrive is that
payout. The rest are cases.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson

from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from services.core.errors import MatrixError, Unavailable
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, Work
from services.files.rules import Kind
from services.ledger.rules import credit, debit
from services.payments import cases, transfers
from services.reconciliation import bank_csv, camt, closing, differences, policies
from services.reconciliation.bank_csv import Mapped
from services.reconciliation.bank_lines import ParsedLine, StatementRefused, named
from services.reconciliation.events import BankStatementImported

WRITE = Capability.STAFF_PAYMENTS_WRITE
NAME_CHARACTERS_MAX = 150
BATCH = 200
_WORD = re.compile(r"[\w./-]*\w")
_STORE = """
insert into bank_statement (id, name, format, sha256, lines, new_lines, imported_by, imported_at)
values (:id, :name, :format, :sha256, :lines, 0, :by, :now) on conflict (sha256) do nothing
"""
_STORE_LINES = """
insert into bank_line (id, statement_id, account, bank_ref, booked_on, currency, minor, counterparty, remittance, match)
select id, :statement_id, account, bank_ref, booked_on, currency, minor, counterparty, remittance, 'waiting'
from jsonb_populate_recordset(cast(null as bank_line), cast(:rows as jsonb))
on conflict (account, bank_ref) do nothing
"""
_WAITING = """
select * from bank_line where statement_id = :statement_id and match = 'waiting' and id > :after
order by id limit :most
"""
# By each entity's index of numbers.
_NAMED = """
select i.id, i.organization_id, i.currency, i.state from legal_entity e join invoice i
  on i.legal_entity_id = e.id and i.number = any(:words)
where i.state <> 'draft' order by i.id limit 2
"""
_PAYOUTS = """
with near as (
  select l.id, p.id as payout_id, row_number() over (partition by l.id order by
      (strpos(lower(l.remittance), lower(p.provider_ref)) > 0) desc,
      abs(l.booked_on - cast(p.arrives_at as date)), p.id) as choice,
    row_number() over (partition by p.id order by
      (strpos(lower(l.remittance), lower(p.provider_ref)) > 0) desc,
      abs(l.booked_on - cast(p.arrives_at as date)), l.id) as turn
  from bank_line l join provider_payout p on p.currency = l.currency and p.minor = l.minor
    and p.bank_line_id is null and p.state in ('paid','underway')
    and l.booked_on between cast(p.arrives_at as date) - 3 and cast(p.arrives_at as date) + 7
  where l.match in ('waiting','differs') and l.minor > 0
), arrived as (
  update provider_payout p set bank_line_id = near.id from near
  where near.choice = 1 and near.turn = 1 and p.id = near.payout_id
  returning p.id as payout_id, near.id
)
update bank_line l set match = 'matched', subject_id = arrived.payout_id from arrived where l.id = arrived.id
returning l.id
"""
_NEAREST = """
select id, organization_id, number from invoice where state = 'finalized' and due_minor > 0 and currency = :currency
order by abs(due_minor - :minor), due_date, id limit 1
"""

Within = Callable[[str], AbstractAsyncContextManager[UnitOfWork]]


@dataclass(frozen=True, slots=True)
class Doors:
    """How a member of staff works across tenants, and within one organisation, by its clock."""

    work: Work
    within: Within


def lines_of(content: bytes, kind: Kind, mapped: Mapped) -> list[ParsedLine]:
    """What a file holds, each line with its name. Pure, and slow for a large one.

    Raises StatementRefused and, for a mapping that does not fit, Invalid.
    """
    lines = named(camt.read(content) if kind is Kind.XML else bank_csv.all_of(content, mapped))
    if not lines:
        raise StatementRefused("The file holds no booked line.")
    return lines


async def match(doors: Doors, statement_id: str) -> None:
    """Match the lines of a statement that wait, each in work of its own; what is left is cases. Cut off, it is done
    again by sending the file again."""
    await _record_transfers(doors, statement_id)
    async with doors.work() as uow:
        await match_payouts(uow)
    async with doors.work() as uow:
        await _open_cases(uow, statement_id)


async def match_payouts(uow: UnitOfWork) -> int:
    """Lines that are payouts which have arrived. Returns how many; for verbs and workers that may see all lines."""
    found = list((await uow.execute(_PAYOUTS)).scalars())
    await closing.close_what_was_found(uow, found)
    return len(found)


async def keep(uow: UnitOfWork, lines: list[ParsedLine], *, name: str, kind: Kind, sha256: bytes) -> str:
    """Keep the lines that no earlier file had; returns the statement's id. The same file again is the statement that is
    there. `match` comes next. Raises Forbidden."""
    uow.actor.require(WRITE)
    statement_id = new_id("bst")
    stored = await uow.execute(
        _STORE,
        id=statement_id,
        name=name[:NAME_CHARACTERS_MAX],
        format="camt.053" if kind is Kind.XML else "csv",
        sha256=sha256,
        lines=len(lines),
        by=uow.actor.id,
        now=uow.wall_now,
    )
    if not stored.rowcount:
        there = await uow.execute("select id from bank_statement where sha256 = :sha256", sha256=sha256)
        return str(there.scalar_one())
    rows = sorted((_row(one) for one in lines), key=lambda row: (row["account"], row["bank_ref"]))
    new = await uow.execute(_STORE_LINES, statement_id=statement_id, rows=orjson.dumps(rows).decode())
    await uow.execute(
        "update bank_statement set new_lines = :new where id = :id", new=new.rowcount, id=statement_id
    )
    uow.record(
        BankStatementImported(
            aggregate_id=statement_id, organization_id=None, lines=len(lines), new_lines=new.rowcount
        )
    )
    return statement_id


def _row(one: ParsedLine) -> dict[str, Any]:
    return {
        "id": new_id("bln"),
        "account": one.account,
        "bank_ref": one.bank_ref,
        "booked_on": one.booked_on,
        "currency": one.money.currency,
        "minor": one.money.minor,
        "counterparty": one.counterparty,
        "remittance": one.remittance,
    }


async def _waiting(uow: UnitOfWork, statement_id: str, after: str) -> list[Any]:
    found = await uow.execute(_WAITING, statement_id=statement_id, after=after, most=BATCH)
    return list(found.all())


async def _record_transfers(doors: Doors, statement_id: str) -> None:
    after = ""
    while True:
        async with doors.work() as uow:
            batch = await _waiting(uow, statement_id, after)
            invoices = [await _invoice_named(uow, row) for row in batch]
        for row, invoice in zip(batch, invoices, strict=True):
            if invoice is not None:
                await _record(doors, row, invoice)
        if len(batch) < BATCH:
            return
        after = batch[-1].id


async def _invoice_named(uow: UnitOfWork, row: Any) -> Any:
    """The one invoice that the line names, of its currency."""
    words = {word for word in _WORD.findall(row.remittance) if any(map(str.isdigit, word))}
    if row.minor <= 0 or not words:
        return None
    found = (await uow.execute(_NAMED, words=sorted(words | {word.upper() for word in words}))).all()
    return found[0] if len(found) == 1 and found[0].currency == row.currency else None


async def _record(doors: Doors, row: Any, invoice: Any) -> None:
    """What cannot be recorded, as by a name that another transfer has, becomes a case with the rest."""
    try:
        async with doors.within(invoice.organization_id) as uow:
            line = await policies.line_of(uow, row.id)
            if line.match != "waiting":
                return
            payment = await transfers.record(
                uow,
                money=Money(line.minor, line.currency),
                key=line.bank_ref,
                reference=line.remittance[: transfers.REFERENCE_CHARACTERS_MAX],
                invoice_id=invoice.id,
            )
            await uow.session.flush()
            line.match, line.subject_id, line.journal_id = "matched", payment.id, payment.journal_id
            uow.add(line)
    except Unavailable:
        raise
    except MatrixError:
        return


async def _open_cases(uow: UnitOfWork, statement_id: str) -> None:
    after = ""
    while batch := await _waiting(uow, statement_id, after):
        for row in batch:
            await _open_case(uow, row)
        await uow.execute(
            "update bank_line set match = 'differs' where id = any(:ids)", ids=[row.id for row in batch]
        )
        after = batch[-1].id


async def _open_case(uow: UnitOfWork, row: Any) -> None:
    money, proposal, organization_id = Money(row.minor, row.currency), None, None
    cause = "nothing_named" if money.minor > 0 else "went_out"
    if money.minor > 0:
        near = await uow.execute(_NEAREST, currency=row.currency, minor=row.minor)
        if (invoice := near.one_or_none()) is not None:
            organization_id = invoice.organization_id
            proposal = cases.propose(
                CaseAct.TRANSFER, invoice_id=invoice.id, number=invoice.number, minor=row.minor
            )
    if proposal is None:
        proposal = differences.book("", debit(Purpose.CASH, money), credit(Purpose.SUSPENSE, money))
    await cases.open_case(
        uow,
        CaseKind.UNMATCHED,
        row.id,
        cause=cause,
        organization_id=organization_id,
        amount=money,
        detail=f"{row.booked_on:%Y-%m-%d} {row.bank_ref}",
        proposal=proposal,
    )
