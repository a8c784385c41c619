"""The ledger to look at: of one's own organisation, and of all for staff. Nothing is posted from outside."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import Query, Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Caller, Member, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import (
    PAGE_ROWS,
    Cursor,
    Instant,
    Limit,
    Shown,
    cursor_for,
    position_in,
    resource,
)
from models.ledger import AccountKind, JournalKind, Purpose
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.ledger import queries
from services.ledger.queries import Statement, TrialBalanceRow

router = resource("ledger")

_STATEMENT = "ledger.statement"  # what cursors are bound to

Minor = Annotated[int, Field(description="In minor units of the currency")]
Balance = Annotated[
    int,
    Field(description="In minor units; above zero on the side on which accounts of this kind grow"),
]
From = Annotated[Instant | None, Query(alias="from", description="Included; the beginning if left out")]
To = Annotated[Instant | None, Query(alias="to", description="Left out; all there is if not given")]
Currency = Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="Of this currency only")]


class LedgerAccountShown(Shown):
    id: str
    organization_id: str | None = Field(description="Null for the platform's own")
    organization_name: str
    purpose: Purpose
    kind: AccountKind
    currency: str
    balance_minor: Balance
    created_at: AwareDatetime


class JournalShown(Shown):
    id: str
    organization_id: str | None = Field(description="Null for the platform's own")
    organization_name: str
    kind: JournalKind
    key: str = Field(description="Of the act that was booked; the same act is booked once")
    cause_id: str = Field(description="What it was booked for: an invoice, a payment")
    moved: dict[str, int] = Field(description="What was debited, as it was credited: minor units by currency")
    entries: int
    note: str
    reverses: str | None = Field(description="The journal that this one undoes")
    reversed_by: str | None = Field(description="The journal that undoes this one")
    happened_at: AwareDatetime = Field(description="By the organisation's clock: the period it counts in")
    recorded_at: AwareDatetime


class EntryShown(Shown):
    """One of the two amounts is 0."""

    line: int
    account_id: str
    purpose: Purpose
    kind: AccountKind
    currency: str
    debit_minor: Minor
    credit_minor: Minor


class JournalWithEntries(JournalShown):
    lines: list[EntryShown] = Field(description="Of each currency debits and credits are equal")


class TrialBalanceRowShown(Shown):
    """`debit_minor` or `credit_minor` is the balance, whichever side it stands on."""

    purpose: Purpose
    kind: AccountKind
    currency: str
    debits_minor: int = Field(description="All that was debited")
    credits_minor: int = Field(description="All that was credited")
    debit_minor: Minor
    credit_minor: Minor
    balance_minor: Balance
    account_id: str | None = Field(description="Null where several accounts are added up")


class TrialBalance(Shown):
    """Of each currency `debit_minor` and `credit_minor` add up to the same."""

    to: AwareDatetime | None
    data: list[TrialBalanceRowShown]


class StatementLineShown(Shown):
    """One of the two amounts is 0."""

    id: int
    journal_id: str
    kind: JournalKind
    cause_id: str
    note: str
    happened_at: AwareDatetime
    debit_minor: Minor
    credit_minor: Minor
    balance_minor: int = Field(description="Of the account after this entry")


class StatementShown(Shown):
    """One page of what moved on an account; both balances are of the whole time asked for."""

    account: LedgerAccountShown
    opening_minor: Balance
    closing_minor: Balance
    data: list[StatementLineShown]
    next_cursor: str | None = None


@router.get("/ledger/accounts", **listed(queries.ACCOUNTS, LedgerAccountShown))
async def list_ledger_accounts(request: Request, who: Member, asked: Asked) -> Answer:
    """Accounts of the organisation's book with their balances."""
    return await answer(request, queries.ACCOUNTS, LedgerAccountShown, asked, lambda: unit_of_work(who.actor))


@router.get("/ledger/accounts/{ledger_account_id}/statement")
async def account_statement(
    who: Member,
    ledger_account_id: str,
    start: From = None,
    end: To = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> StatementShown:
    """What moved on an account, the latest first, with the balance after each entry."""
    place = _Place(who, ledger_account_id, start, end)
    async with unit_of_work(who.actor) as uow:
        found = await queries.statement(
            uow, ledger_account_id, start=start, before=end, after=place.read(cursor), limit=limit
        )
    return place.shown(found)


@router.get("/ledger/journals", **listed(queries.JOURNALS, JournalShown))
async def list_journals(request: Request, who: Member, asked: Asked) -> Answer:
    """Journals of the organisation's book, the latest first."""
    return await answer(request, queries.JOURNALS, JournalShown, asked, lambda: unit_of_work(who.actor))


@router.get("/ledger/journals/{journal_id}")
async def get_journal(who: Member, journal_id: str) -> JournalWithEntries:
    """One journal with its entries."""
    async with unit_of_work(who.actor) as uow:
        return JournalWithEntries.model_validate(await queries.journal(uow, journal_id))


@router.get("/ledger/trial-balance")
async def trial_balance(who: Member, end: To = None, currency: Currency = None) -> TrialBalance:
    """Balances of the organisation's book, of all that happened before an instant."""
    async with unit_of_work(who.actor) as uow:
        return _balance(end, await queries.trial_balance(uow, before=end, currency=currency))


@router.get("/staff/ledger/accounts", tags=["staff"], **listed(queries.STAFF_ACCOUNTS, LedgerAccountShown))
async def list_all_ledger_accounts(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Accounts of all books."""
    work = partial(staff_work, who, Capability.STAFF_LEDGER_READ)
    return await answer(request, queries.STAFF_ACCOUNTS, LedgerAccountShown, asked, work)


@router.get("/staff/ledger/accounts/{ledger_account_id}/statement", tags=["staff"])
async def any_account_statement(
    who: AnyCaller,
    ledger_account_id: str,
    start: From = None,
    end: To = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_ROWS,
) -> StatementShown:
    """What moved on any account, the latest first."""
    place = _Place(who, ledger_account_id, start, end)
    async with staff_work(who, Capability.STAFF_LEDGER_READ) as uow:
        found = await queries.staff_statement(
            uow, ledger_account_id, start=start, before=end, after=place.read(cursor), limit=limit
        )
    return place.shown(found)


@router.get("/staff/ledger/journals", tags=["staff"], **listed(queries.STAFF_JOURNALS, JournalShown))
async def list_all_journals(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Journals of all books, the latest first."""
    work = partial(staff_work, who, Capability.STAFF_LEDGER_READ)
    return await answer(request, queries.STAFF_JOURNALS, JournalShown, asked, work)


@router.get("/staff/ledger/journals/{journal_id}", tags=["staff"])
async def get_any_journal(who: AnyCaller, journal_id: str) -> JournalWithEntries:
    """One journal of any book with its entries."""
    async with staff_work(who, Capability.STAFF_LEDGER_READ) as uow:
        return JournalWithEntries.model_validate(await queries.staff_journal(uow, journal_id))


@router.get("/staff/ledger/trial-balance", tags=["staff"])
async def staff_trial_balance(
    who: AnyCaller,
    end: To = None,
    currency: Currency = None,
    organization: Annotated[str | None, Query(description="Of this organisation's book only")] = None,
) -> TrialBalance:
    """Balances of all books together, without organisations on a test clock that stands; or of one book."""
    async with staff_work(who, Capability.STAFF_LEDGER_READ) as uow:
        found = await queries.staff_trial_balance(
            uow, before=end, currency=currency, organization_id=organization
        )
    return _balance(end, found)


def _balance(end: datetime | None, rows: list[TrialBalanceRow]) -> TrialBalance:
    return TrialBalance(to=end, data=[TrialBalanceRowShown.model_validate(row) for row in rows])


class _Place:
    """Where a statement goes on: bound to who asks, to the account and to the time."""

    def __init__(self, who: Caller, account_id: str, start: datetime | None, end: datetime | None) -> None:
        self._bound = {
            "owner": who.actor.organization_id,
            "account": account_id,
            "from": start and start.isoformat(),
            "to": end and end.isoformat(),
        }

    def read(self, cursor: str | None) -> tuple[datetime, int] | None:
        position = position_in(_STATEMENT, self._bound, cursor)
        return (datetime.fromisoformat(position[0]), int(position[1])) if position else None

    def shown(self, found: Statement) -> StatementShown:
        on = found.next
        return StatementShown(
            account=LedgerAccountShown.model_validate(found.account),
            opening_minor=found.opening_minor,
            closing_minor=found.closing_minor,
            data=[StatementLineShown.model_validate(line) for line in found.lines],
            next_cursor=cursor_for(_STATEMENT, self._bound, [on[0].isoformat(), str(on[1])]) if on else None,
        )
