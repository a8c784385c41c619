"""Reads of the ledger: accounts, journals, the trial balance and statements, of one's own book and of all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from models.ledger import AccountKind, JournalKind, Purpose
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.ledger import rules

_EXACTLY = (Operator.EQ, Operator.IN)
_OWN = "{alias}.organization_id = :organization_id"
_GROWN = "case when a.kind in ('asset', 'expense') then 1 else -1 end"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """`balance_minor` is above zero on the side on which the account grows. No organisation: the platform's own."""

    id: str
    organization_id: str | None
    organization_name: str
    purpose: str
    kind: str
    currency: str
    balance_minor: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JournalRow:
    """`moved` is what was debited, which is what was credited, in minor units by currency."""

    id: str
    organization_id: str | None
    organization_name: str
    kind: str
    key: str
    cause_id: str
    moved: dict[str, int]
    entries: int
    note: str
    reverses: str | None
    reversed_by: str | None
    happened_at: datetime
    recorded_at: datetime


def _accounts(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[AccountRow]:
    return Listing(
        name,
        row=AccountRow,
        needs=needs,
        source="ledger_account a",
        alias="a",
        joins="left join organization o on o.id = a.organization_id left join lateral"
        " (select sum(e.minor) as minor from ledger_entry e where e.account_id = a.id) s on true",
        where=where,
        columns=(
            Column("id", "a.id", Kind.ID, sortable=True, unchanging=True, filterable=True),
            Column("organization_id", "a.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "coalesce(o.name, '')", joined=True),
            Column("purpose", "a.purpose", Kind.ENUM, values=tuple(Purpose), filterable=True),
            Column("kind", "a.kind", Kind.ENUM, values=tuple(AccountKind), filterable=True),
            Column("currency", "a.currency", operators=_EXACTLY),
            Column(
                "balance_minor",
                f"cast({_GROWN} * coalesce(s.minor, 0) as bigint)",
                Kind.INTEGER,
                currency="currency",
                joined=True,
            ),
            Column("created_at", "a.created_at", Kind.INSTANT),
        ),
        sort="id",
    )


def _journals(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[JournalRow]:
    return Listing(
        name,
        row=JournalRow,
        needs=needs,
        source="ledger_journal j",
        alias="j",
        joins="left join organization o on o.id = j.organization_id"
        " left join ledger_journal r on r.reverses = j.id left join lateral (select"
        " jsonb_object_agg(m.currency, m.minor) as moved from (select e.currency, sum(e.minor) as minor"
        " from ledger_entry e where e.journal_id = j.id and e.minor > 0 group by e.currency) m) s on true",
        where=where,
        columns=(
            Column("id", "j.id", Kind.ID, filterable=True),
            Column("organization_id", "j.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "coalesce(o.name, '')", joined=True),
            Column("kind", "j.kind", Kind.ENUM, values=tuple(JournalKind), filterable=True),
            Column("key", "j.key", operators=_EXACTLY),
            Column(
                "cause_id",
                "j.cause_id",
                Kind.ID,
                operators=_EXACTLY,
                text="What it is booked for: an invoice, a payment",
            ),
            Column("moved", "coalesce(s.moved, '{}')", Kind.OBJECT, joined=True),
            Column("entries", "j.entries", Kind.INTEGER),
            Column("note", "j.note"),
            Column("reverses", "j.reverses", Kind.ID, nullable=True, operators=_EXACTLY),
            Column("reversed_by", "r.id", Kind.ID, nullable=True, joined=True),
            Column(
                "happened_at", "j.happened_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
            Column("recorded_at", "j.recorded_at", Kind.INSTANT),
        ),
        sort="-happened_at",
    )


ACCOUNTS = _accounts("ledger.accounts", Capability.LEDGER_READ, _OWN.format(alias="a"))
JOURNALS = _journals("ledger.journals", Capability.LEDGER_READ, _OWN.format(alias="j"))
STAFF_ACCOUNTS = _accounts("staff.ledger.accounts", Capability.STAFF_LEDGER_READ, "true", *_EXACTLY)
STAFF_JOURNALS = _journals("staff.ledger.journals", Capability.STAFF_LEDGER_READ, "true", *_EXACTLY)


# -- the trial balance


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """All accounts of a purpose and a currency; `account_id` is there when it is one."""

    purpose: str
    kind: str
    currency: str
    debits_minor: int
    credits_minor: int
    account_id: str | None

    @property
    def minor(self) -> int:
        """Debits less credits: of all rows of a currency these add up to nothing."""
        return self.debits_minor - self.credits_minor

    @property
    def balance_minor(self) -> int:
        return rules.in_own_sense(AccountKind(self.kind), self.minor)

    @property
    def debit_minor(self) -> int:
        """The balance, where it stands on this side; else nothing."""
        return max(self.minor, 0)

    @property
    def credit_minor(self) -> int:
        return max(-self.minor, 0)


# Account by account, each from its own stretch of one index: no table is read, and none of another time.
_TRIAL_BALANCE = """
select a.purpose, a.kind, a.currency, cast(sum(s.debits) as bigint) as debits_minor,
  cast(sum(s.credits) as bigint) as credits_minor, case when count(*) = 1 then min(a.id) end as account_id
from ledger_account a cross join lateral (
  select coalesce(sum(e.minor) filter (where e.minor > 0), 0) as debits,
    coalesce(-sum(e.minor) filter (where e.minor < 0), 0) as credits
  from ledger_entry e
  where e.account_id = a.id and e.happened_at < coalesce(cast(:before as timestamptz), 'infinity')
) s
where {book} and (cast(:currency as text) is null or a.currency = :currency)
group by a.purpose, a.kind, a.currency order by a.currency, a.purpose
"""
# Books on a clock that stands are trials, and in no report on what is real.
_LIVE = """
(a.organization_id is null or a.organization_id not in (
  select o.id from organization o join test_clock c on c.id = o.test_clock_id where not c.follows_wall))
"""


async def trial_balance(
    uow: UnitOfWork, *, before: datetime | None = None, currency: str | None = None
) -> list[TrialBalanceRow]:
    """The organisation's book, of all that happened before that instant. Raises Forbidden."""
    uow.actor.require(Capability.LEDGER_READ)
    return await _trial_balance(uow, "a.organization_id = :book", uow.organization_id, before, currency)


async def staff_trial_balance(
    uow: UnitOfWork,
    *,
    before: datetime | None = None,
    currency: str | None = None,
    organization_id: str | None = None,
) -> list[TrialBalanceRow]:
    """One organisation's book; or all books together, but for those on a test clock that stands. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_LEDGER_READ)
    book = _LIVE if organization_id is None else "a.organization_id = :book"
    return await _trial_balance(uow, book, organization_id, before, currency)


async def _trial_balance(
    uow: UnitOfWork, book: str, organization_id: str | None, before: datetime | None, currency: str | None
) -> list[TrialBalanceRow]:
    named: dict[str, Any] = {"before": before, "currency": currency}
    if organization_id is not None:
        named["book"] = organization_id
    found = await uow.execute(_TRIAL_BALANCE.format(book=book), named)
    return [TrialBalanceRow(**row) for row in found.mappings()]


# -- one journal


@dataclass(frozen=True, slots=True)
class EntryRow:
    """Of `debit_minor` and `credit_minor` one is nothing."""

    line: int
    account_id: str
    purpose: str
    kind: str
    currency: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True)
class JournalDetail(JournalRow):
    lines: tuple[EntryRow, ...]


_LINES = """
select e.line, e.account_id, a.purpose, a.kind, e.currency, greatest(e.minor, 0) as debit_minor,
  greatest(-e.minor, 0) as credit_minor
from ledger_entry e join ledger_account a on a.id = e.account_id where e.journal_id = :id order by e.line
"""


async def journal(uow: UnitOfWork, journal_id: str) -> JournalDetail:
    """A journal of the organisation's book with its entries. Raises Forbidden, and NotFound also for others'."""
    return await _journal(uow, JOURNALS, journal_id)


async def staff_journal(uow: UnitOfWork, journal_id: str) -> JournalDetail:
    return await _journal(uow, STAFF_JOURNALS, journal_id)


async def _journal(uow: UnitOfWork, listing: Listing[JournalRow], journal_id: str) -> JournalDetail:
    row = await listing_sql.find(uow, listing, journal_id)
    if row is None:
        raise not_found("journal", journal_id)
    lines = await uow.execute(_LINES, id=journal_id)
    facts = {field.name: getattr(row, field.name) for field in fields(JournalRow)}
    return JournalDetail(**facts, lines=tuple(EntryRow(**line) for line in lines.mappings()))


# -- the statement of an account


@dataclass(frozen=True, slots=True)
class StatementLine:
    """`balance_minor` is the account's balance after it."""

    id: int
    journal_id: str
    kind: str
    cause_id: str
    note: str
    happened_at: datetime
    debit_minor: int
    credit_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What moved on an account in a time, the latest first; `next` is where the page after goes on.

    Balances are in the account's own sense: before the first and after the last entry of the whole time.
    """

    account: AccountRow
    opening_minor: int
    closing_minor: int
    lines: tuple[StatementLine, ...]
    next: tuple[datetime, int] | None


_BALANCES = """
select coalesce(sum(e.minor) filter (where e.happened_at < cast(:start as timestamptz)), 0) as opening,
  coalesce(sum(e.minor), 0) as closing,
  coalesce(sum(e.minor) filter (where (e.happened_at, e.id) < (cast(:at as timestamptz), cast(:after as bigint))), 0)
    as page
from ledger_entry e where e.account_id = :account_id and e.happened_at < cast(:before as timestamptz)
"""
# The page first, from the index in its order, then the journals of those rows.
_STATEMENT = """
select e.id, e.journal_id, j.kind, j.cause_id, j.note, e.happened_at, e.minor from (
  select id, journal_id, happened_at, minor from ledger_entry
  where account_id = :account_id and happened_at >= cast(:start as timestamptz)
    and (happened_at, id) < (cast(:at as timestamptz), cast(:after as bigint))
  order by happened_at desc, id desc limit :most
) e join ledger_journal j on j.id = e.journal_id
order by e.happened_at desc, e.id desc
"""
_BEGINNING, _END, _FIRST, _LAST = "-infinity", "infinity", -1, 2**63 - 1


async def statement(
    uow: UnitOfWork,
    account_id: str,
    *,
    start: datetime | None = None,
    before: datetime | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> Statement:
    """Entries of one of the organisation's accounts in [start, before). Raises Forbidden, and NotFound also for
    others'."""
    return await _statement(uow, ACCOUNTS, account_id, start, before, after, limit)


async def staff_statement(
    uow: UnitOfWork,
    account_id: str,
    *,
    start: datetime | None = None,
    before: datetime | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> Statement:
    return await _statement(uow, STAFF_ACCOUNTS, account_id, start, before, after, limit)


async def _statement(
    uow: UnitOfWork,
    listing: Listing[AccountRow],
    account_id: str,
    start: datetime | None,
    before: datetime | None,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Statement:
    account = await listing_sql.find(uow, listing, account_id)
    if account is None:
        raise not_found("ledger account", account_id)
    # A page goes on from the values of the last row; the first from the end of the time.
    at, last = after if after is not None else (before or _END, _FIRST if before is not None else _LAST)
    named: dict[str, Any] = {"account_id": account_id, "start": start or _BEGINNING, "at": at, "after": last}
    sums = (await uow.execute(_BALANCES, named | {"before": before or _END})).one()
    rows = (await uow.execute(_STATEMENT, named | {"most": limit + 1})).all()
    kind, balance, lines = AccountKind(account.kind), int(sums.page), list[StatementLine]()
    for row in rows[:limit]:
        lines.append(
            StatementLine(
                row.id,
                row.journal_id,
                row.kind,
                row.cause_id,
                row.note,
                row.happened_at,
                max(row.minor, 0),
                max(-row.minor, 0),
                rules.in_own_sense(kind, balance),
            )
        )
        balance -= row.minor
    return Statement(
        account,
        opening_minor=rules.in_own_sense(kind, int(sums.opening)),
        closing_minor=rules.in_own_sense(kind, int(sums.closing)),
        lines=tuple(lines),
        next=(lines[-1].happened_at, lines[-1].id) if len(rows) > limit else None,
    )
