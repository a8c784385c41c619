"""What reconciliation books of its own: fees that providers kept, and payouts that they made.

It goes into the platform's own book: a fee is the house's cost, and a payout holds money of many customers. All of it
has the account with the provider as its cause, by which clearing is added up for each account.
"""

from __future__ import annotations

from typing import Any

from models.ledger import JournalKind, Purpose
from models.money import Money
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit

FEE_SHARE_MAX = "0.1"  # of a charge
FEE_MINOR_USUAL = 100  # of a small charge a fee may be more
# A fee is what a charge or a dispute costs within reason, or one for itself; what is given back is always welcome.
EXPECTED_FEE = f"""
(m.fee_minor < 0 or m.kind in ('dispute','fee')
  or (m.kind = 'charge' and m.fee_minor <= greatest(m.gross_minor * {FEE_SHARE_MAX}, {FEE_MINOR_USUAL})))
"""
# Those of one account, currency, day and sign are one journal: a hundred thousand fees are a few thousand entries.
_FEES = f"""
with due as (
  select m.id, m.provider_account_id, m.currency, m.happened_at, date_trunc('day', m.happened_at, 'UTC') as day,
    case m.kind when 'fee' then -m.net_minor else m.fee_minor end as fee
  from provider_movement m where m.id > :after and m.id <= :last and m.fee_journal_id is null
    and (m.fee_minor <> 0 or m.kind = 'fee') and {EXPECTED_FEE}
)
select provider_account_id, currency, day, sign(fee) as way, cast(sum(fee) as bigint) as fee, min(id) as first,
  max(happened_at) as at, count(*) as movements
from due where fee <> 0 group by provider_account_id, currency, day, sign(fee) order by min(id)
"""
_FEES_BOOKED = f"""
update provider_movement m set fee_journal_id = b.journal_id,
  journal_id = case m.kind when 'fee' then b.journal_id else m.journal_id end,
  match = case m.kind when 'fee' then 'matched' else m.match end
from unnest(cast(:accounts as text[]), cast(:currencies as text[]), cast(:days as timestamptz[]),
  cast(:ways as int[]), cast(:journals as text[])) as b(account_id, currency, day, way, journal_id)
where m.id > :after and m.id <= :last and m.fee_journal_id is null and (m.fee_minor <> 0 or m.kind = 'fee')
  and m.provider_account_id = b.account_id
  and m.currency = b.currency and date_trunc('day', m.happened_at, 'UTC') = b.day
  and sign(case m.kind when 'fee' then -m.net_minor else m.fee_minor end) = b.way
  and {EXPECTED_FEE}
"""
_PAYOUTS = """
select m.id, m.provider_account_id, m.provider_ref, m.currency, m.gross_minor, m.happened_at from provider_movement m
where m.id > :after and m.id <= :last and m.match = 'waiting' and m.kind in ('payout','payout_failure')
  and m.journal_id is null and m.gross_minor <> 0 order by m.id
"""
_PAYOUTS_BOOKED = """
update provider_movement m set match = 'matched', journal_id = b.journal_id,
  subject_id = (select p.id from provider_payout p where p.provider_account_id = m.provider_account_id
    and p.provider_ref in (m.source, m.provider_ref) order by p.id limit 1)
from unnest(cast(:ids as text[]), cast(:journals as text[])) as b(id, journal_id) where m.id = b.id
"""
# What has arrived at our bank before that is this booking, too: there it is cash.
_ARRIVED_BOOKED = """
update provider_movement m set journal_id = b.journal_id
from unnest(cast(:ids as text[]), cast(:journals as text[])) as b(id, journal_id)
join provider_movement w on w.id = b.id where m.subject_id = w.subject_id and m.kind = 'charge' and m.journal_id is null
"""


async def book_fees(uow: UnitOfWork, batch: dict[str, Any]) -> int:
    """Fees of a batch of movements that nobody else may book meanwhile. Returns how many movements are done by it."""
    sums = (await uow.execute(_FEES, batch)).all()
    if not sums:
        return 0
    drafts = [
        Draft(
            None,
            key=f"fees:{row.first}:{int(row.way)}",
            kind=JournalKind.FEE,
            cause_id=row.provider_account_id,
            entries=(
                debit(Purpose.FEES, Money(row.fee, row.currency)),
                credit(Purpose.CLEARING, Money(row.fee, row.currency)),
            ),
            at=row.at,
            note=f"Fees of {row.movements:,} movements",
        )
        for row in sums
    ]
    posted = await _post(uow, drafts)
    await uow.execute(
        _FEES_BOOKED,
        batch
        | {
            "accounts": [row.provider_account_id for row in sums],
            "currencies": [row.currency for row in sums],
            "days": [row.day for row in sums],
            "ways": [int(row.way) for row in sums],
            "journals": posted,
        },
    )
    kept = await uow.execute(
        "select count(*) from provider_movement m where m.id > :after and m.id <= :last and m.kind = 'fee'"
        " and m.journal_id = any(:journals)",
        batch | {"journals": posted},
    )
    return int(kept.scalar_one())


async def book_payouts(uow: UnitOfWork, batch: dict[str, Any]) -> int:
    """Each payout, and each that came back. Returns how many."""
    rows = (await uow.execute(_PAYOUTS, batch)).all()
    if not rows:
        return 0
    drafts = [
        Draft(
            None,
            key=f"payout:{row.id}",
            kind=JournalKind.PAYOUT,
            cause_id=row.provider_account_id,
            entries=(
                debit(Purpose.CASH, Money(-row.gross_minor, row.currency)),
                credit(Purpose.CLEARING, Money(-row.gross_minor, row.currency)),
            ),
            at=row.happened_at,
            note=f"Payout {row.provider_ref}",
        )
        for row in rows
    ]
    posted = await _post(uow, drafts)
    for booked in (_PAYOUTS_BOOKED, _ARRIVED_BOOKED):
        await uow.execute(booked, ids=[row.id for row in rows], journals=posted)
    return len(rows)


async def _post(uow: UnitOfWork, drafts: list[Draft]) -> list[str]:
    ids: list[str] = []
    for start in range(0, len(drafts), ledger.DRAFTS_MAX):
        posted = await ledger.post_all(uow, drafts[start : start + ledger.DRAFTS_MAX])
        ids += [one.id for one in posted]
    return ids
