"""Where a provider's book and ours do not agree: one case for each, with what probably happened and what to book.

A proposal is data that services/reconciliation/acts.py knows how to do. `book` moves money between accounts of
the platform's book: what nobody knows the reason of goes to suspense, from where it is cleared by hand.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.crypto import ChainMovement
from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from services.core.work import UnitOfWork
from services.ledger.rules import Entry, credit, debit
from services.payments import cases
from services.payments.providers import registry
from services.reconciliation import booking

GRACE = timedelta(days=1)  # for what is still being booked here
MISSING_AFTER = timedelta(days=3)  # without a movement of what was booked here
MISSING_BACK = timedelta(days=60)  # how far one looks back for that
MISSING_MAX = 500  # cases of one run; the next finds the others
_ASKED_FOR = """
select l.bank_ref, i.id as invoice_id, i.organization_id, i.number from bank_line l left join lateral (
  select id, organization_id, number from invoice
  where state = 'finalized' and due_minor > 0 and currency = :currency and cast(:minor as bigint) > 0
    and legal_entity_id not in (select id from legal_entity where is_test)
  order by abs(due_minor - cast(:minor as bigint)), due_date, id limit 1) i on true
where l.id = :line
"""

# What is not found once its time is over. `other` and `sweep` wait for nothing: they are never booked before.
_UNFOUND = """
select m.*, a.provider, p.organization_id, p.state as payment_state, p.currency as payment_currency,
  p.minor as payment_minor, p.journal_id as payment_journal_id,
  exists (select 1 from provider_movement x where x.journal_id = p.journal_id and x.kind <> 'fee') as taken
from provider_movement m join provider_account a on a.id = m.provider_account_id
left join payment p on p.id = m.subject_id
where m.id > :after and m.id <= :last and m.match = 'waiting' and m.gross_minor <> 0
  and not exists (select 1 from payment_case c where c.kind = 'amount_differs' and c.subject = m.subject_id
    and c.state = 'open')
  and (m.kind in ('other','sweep') or m.happened_at < :before or (m.kind = 'charge' and p.state = 'succeeded'))
order by m.id
"""
_STRANGE_FEES = f"""
select m.id, m.provider_account_id, m.provider_ref, m.kind, m.currency, m.gross_minor, m.fee_minor
from provider_movement m where m.id > :after and m.id <= :last and m.fee_journal_id is null
  and (m.fee_minor <> 0 or m.kind = 'fee') and m.kind <> 'fee' and not {booking.EXPECTED_FEE} order by m.id
"""
# A bank tells of a day once a statement has a later one.
_MISSING = """
select b.* from (
  select p.id, p.provider_account_id, p.provider, p.organization_id, p.currency, p.minor, p.ended_at, p.journal_id
  from payment p where p.state = 'succeeded' and p.provider_account_id is not null
  union all
  select r.id, p.provider_account_id, p.provider, r.organization_id, r.currency, -r.minor, r.ended_at, r.journal_id
  from refund r join payment p on p.id = r.payment_id
  where r.state = 'succeeded' and r.destination = 'source' and p.provider_account_id is not null
) b join provider_pull u on u.provider_account_id = b.provider_account_id
where b.ended_at > u.since and b.ended_at > u.read_until - cast(:back as interval)
  and b.ended_at < least(u.read_until, :now) - cast(:missing as interval)
  and (b.provider <> all(:banks) or exists (select from provider_movement m
    where m.provider_account_id = b.provider_account_id
      and m.happened_at > b.ended_at + cast(:missing as interval)))
  and not exists (select 1 from provider_movement m where m.journal_id = b.journal_id and m.kind <> 'fee')
  and not exists (select 1 from provider_movement m where m.subject_id = b.id and m.kind = 'charge')
  and not exists (select 1 from payment_case c where c.kind = 'difference' and c.subject = b.id)
order by b.ended_at, b.id limit :most
"""


async def open_for(uow: UnitOfWork, batch: dict[str, Any]) -> int:
    """Cases for what a batch of movements leaves unexplained. Returns how many are new."""
    opened, differing = 0, list[str]()
    found = await uow.execute(_UNFOUND, batch | {"before": uow.wall_now - GRACE})
    for row in found:
        opened += await _open(uow, row)
        differing.append(row.id)
    if differing:
        await uow.execute(
            "update provider_movement set match = 'differs' where id = any(:ids) and match = 'waiting'",
            ids=differing,
        )
    strange = await uow.execute(_STRANGE_FEES, batch)
    for row in strange:
        fee = Money(row.fee_minor, row.currency)
        opened += await _case(
            uow,
            f"{row.id}.fee",
            "fee_unexpected",
            -fee,
            book(row.provider_account_id, debit(Purpose.FEES, fee), credit(Purpose.CLEARING, fee)),
            f"{row.kind} {row.provider_ref}",
        )
    return opened


async def open_for_missing(uow: UnitOfWork) -> int:
    """Cases for payments and refunds that were booked here and did not move the provider's balance."""
    opened = 0
    found = await uow.execute(
        _MISSING,
        now=uow.wall_now,
        back=MISSING_BACK,
        missing=MISSING_AFTER,
        most=MISSING_MAX,
        banks=registry.OUR_BANKS,
    )
    for row in found:
        money = Money(row.minor, row.currency)
        entries = debit(Purpose.SUSPENSE, money), credit(registry.held_on(row.provider), money)
        proposal = book(row.provider_account_id, *entries)
        opened += await _case(uow, row.id, "not_at_provider", -money, proposal, row.id, row.organization_id)
    return opened


async def _open(uow: UnitOfWork, row: Any) -> bool:
    gross = Money(row.gross_minor, row.currency)
    if row.provider in registry.OUR_BANKS and row.subject_id is None:
        return await _line(uow, row, gross)
    cause, proposal = _explained(row)
    return await _case(
        uow, row.id, cause, gross, proposal, f"{row.kind} {row.provider_ref}", row.organization_id
    )


async def _line(uow: UnitOfWork, row: Any, gross: Money) -> bool:
    """What a bank tells and nobody knows: what came is probably for the invoice that asks for nearly as much."""
    found = await uow.execute(_ASKED_FOR, line=row.provider_ref, currency=row.currency, minor=row.gross_minor)
    said = found.one()
    proposal = book(row.provider_account_id, *_suspended(gross, registry.held_on(row.provider)))
    if said.invoice_id is not None:
        proposal = cases.propose(
            CaseAct.TRANSFER, invoice_id=said.invoice_id, number=said.number, minor=row.gross_minor
        )
    return await cases.open_case(
        uow,
        CaseKind.UNMATCHED,
        row.id,
        cause="nothing_named" if row.gross_minor > 0 else row.category,
        organization_id=said.organization_id,
        amount=gross,
        detail=f"{row.happened_at:%Y-%m-%d} {said.bank_ref}",
        proposal=proposal,
    )


def _explained(row: Any) -> tuple[str, dict[str, Any]]:
    """What probably happened, and what would put it right."""
    gross, held = Money(row.gross_minor, row.currency), registry.held_on(row.provider)
    to_suspense = book(row.provider_account_id, *_suspended(gross, held))
    if row.kind == "sweep":
        out = debit(Purpose.CASH, -gross), credit(Purpose.CLEARING, -gross)
        return "swept", book(row.provider_account_id, *out)
    if row.category == ChainMovement.UNSEEN:
        return "came_unseen", to_suspense
    if row.kind != "charge" or row.payment_state is None:
        return f"unknown_{row.kind}", to_suspense
    if row.payment_state != "succeeded":
        return "payment_not_booked", cases.propose(
            CaseAct.PAYMENT, payment_id=row.subject_id, minor=gross.minor
        )
    if row.taken:
        return "charged_twice", to_suspense
    booked = Money(row.payment_minor, row.payment_currency)
    if booked.currency != gross.currency:
        entries = (*_suspended(gross, held), *_suspended(-booked, held))
        return "currency_differs", book(row.provider_account_id, *entries, matches=row.payment_journal_id)
    return "amount_differs", book(
        row.provider_account_id, *_suspended(gross - booked, held), matches=row.payment_journal_id
    )


def _suspended(money: Money, held: Purpose) -> tuple[Entry, Entry]:
    return debit(held, money), credit(Purpose.SUSPENSE, money)


def book(account_id: str, *entries: Entry, matches: str | None = None) -> dict[str, Any]:
    """A booking in the platform's own book. `matches` is the journal that the movement then belongs to."""
    told = [{"purpose": one.purpose.value, "minor": one.minor, "currency": one.currency} for one in entries]
    return cases.propose(CaseAct.BOOK, account=account_id, matches=matches, entries=told)


async def _case(
    uow: UnitOfWork,
    subject: str,
    cause: str,
    amount: Money,
    proposal: dict[str, Any],
    detail: str,
    organization_id: str | None = None,
) -> bool:
    return await cases.open_case(
        uow,
        CaseKind.DIFFERENCE,
        subject,
        cause=cause,
        organization_id=organization_id,
        amount=amount,
        detail=detail,
        proposal=proposal,
    )
