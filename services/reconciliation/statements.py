"""Bank statements: read, and kept line by line below the account with a bank that they are of.

A line that names an invoice is recorded as its transfer, by the bank's name for it, so the same money never comes in
twice, be it imported again or recorded by hand before. Then the account is read as any other with a provider is
(pulling.py), and what moved there is matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson

from models.money import Money
from models.payments import Payment
from services.core.errors import MatrixError, Unavailable
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, Work
from services.files.rules import Kind
from services.payments import accounts, transfers
from services.payments.accounts import AccountFields
from services.payments.providers import bank
from services.reconciliation import bank_csv, camt
from services.reconciliation.bank_csv import Mapped
from services.reconciliation.bank_lines import ParsedLine, StatementRefused, named
from services.reconciliation.events import BankStatementImported
from services.reconciliation.pulling import Puller

WRITE = Capability.STAFF_PAYMENTS_WRITE
NAME_CHARACTERS_MAX = 150
BATCH = 200
_WORD = re.compile(r"[\w./-]*\w")
_STORE = """
insert into bank_statement (id, name, format, sha256, lines, new_lines, imported_by, imported_at)
values (:id, :name, :format, :sha256, :lines, 0, :by, :now) on conflict (sha256) do nothing
"""
_STORE_LINES = """
insert into bank_line (id, statement_id, provider_account_id, bank_ref, booked_on, currency, minor, counterparty,
  remittance)
select id, :statement_id, provider_account_id, bank_ref, booked_on, currency, minor, counterparty, remittance
from jsonb_populate_recordset(cast(null as bank_line), cast(:rows as jsonb))
on conflict (provider_account_id, bank_ref) do nothing
"""
_WAITING = """
select l.* from bank_line l left join provider_movement m
  on m.provider_account_id = l.provider_account_id and m.provider_ref = l.id
where l.statement_id = :statement_id and coalesce(m.match, 'waiting') in ('waiting','differs') and l.id > :after
order by l.id limit :most
"""
_ACCOUNT = """
select id, enabled from provider_account where provider = 'bank' and settings ->> 'number' = :number
order by id limit 1
"""
# By each entity's index of numbers. What is made on a test clock is owed by nobody.
_NAMED = """
select i.id, i.organization_id, i.currency, i.state from legal_entity e join invoice i
  on i.legal_entity_id = e.id and i.number = any(:words)
where not e.is_test and i.state <> 'draft' order by i.id limit 2
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


async def match(doors: Doors, puller: Puller, statement_id: str) -> None:
    """Record the transfers that a statement names, each in work of its own, and read its accounts. Cut off, it is done
    again by sending the file again."""
    await _record_transfers(doors, statement_id)
    async with doors.work() as uow:
        found = await uow.execute(
            "select distinct provider_account_id from bank_line where statement_id = :id order by 1",
            id=statement_id,
        )
        account_ids = found.scalars().all()
    for account_id in account_ids:
        await puller.pull(account_id)


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
    known = {name: await _account(uow, name) for name in sorted({one.account for one in lines})}
    rows = [_row(one, known[one.account]) for one in lines]
    rows.sort(key=lambda row: (row["provider_account_id"], row["bank_ref"]))
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


async def _account(uow: UnitOfWork, named: str) -> str:
    """The account with a bank that has this number; one that nobody has added yet is added with that, and one that was
    switched off is read again."""
    number = bank.number_of(named)
    await accounts.lock_names(uow)
    found = (await uow.execute(_ACCOUNT, number=number)).one_or_none()
    if found is not None:
        if not found.enabled:
            await accounts.switch_on(uow, found.id)
        return found.id
    said = AccountFields(transfers.PROVIDER, f"Bank {number}", settings={"number": number})
    return (await accounts.add_account(uow, said)).id


def _row(one: ParsedLine, account_id: str) -> dict[str, Any]:
    return {
        "id": new_id("bln"),
        "provider_account_id": account_id,
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
            await record_line(uow, row, invoice.id)
    except Unavailable:
        raise
    except MatrixError:
        return


async def record_line(uow: UnitOfWork, line: Any, invoice_id: str) -> Payment:
    """A line as the transfer for an invoice. Raises what `transfers.record` does."""
    return await transfers.record(
        uow,
        money=Money(line.minor, line.currency),
        key=line.bank_ref,
        reference=line.remittance[: transfers.REFERENCE_CHARACTERS_MAX],
        invoice_id=invoice_id,
        account_id=line.provider_account_id,
    )
