"""Finding what moved at providers in our books, a batch of movements at a time and in sets.

By names first: our key, the provider's name of the payment, of the charge. Then by amount and time, where only one
thing fits. What is found has its fee booked; payouts are booked from what moved. What is not found in time, or differs,
opens a case. What a bank tells is matched in banking.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.ledger import service as ledger
from services.payments.providers import registry
from services.reconciliation import banking, booking, closing, differences

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
BATCH = 5_000  # movements in one transaction
WINDOW = timedelta(days=3)  # between what moved and what we booked, where they have only the amount in common

_BATCH = "m.id > :after and m.id <= :last and m.match in ('waiting','differs')"
_LAST = """
select max(id) from (select m.id from provider_movement m where m.id > :after and m.match in ('waiting','differs')
  order by m.id limit :most) batch
"""
# What an accepted case has said is not there cannot be found any more: its movement undoes that, by a case of its own.
_NOT_GIVEN_UP = """
not exists (select 1 from payment_case c where c.kind = 'difference' and c.subject = p.id and c.state = 'accepted')
"""
# Two payments of one key or name there cannot be; two movements of one payment can, and the first is its own.
_PAYMENT_BY_KEY = f"""
update provider_movement m set subject_id = p.id from payment p
where {_BATCH} and m.subject_id is null and m.kind = 'charge' and m.key <> '' and p.id = m.key
  and p.provider_account_id = m.provider_account_id and {_NOT_GIVEN_UP}
"""
_PAYMENT_BY_NAME = f"""
update provider_movement m set subject_id = p.id from payment p
where {_BATCH} and m.subject_id is null and m.kind = 'charge' and m.payment_ref <> ''
  and p.provider_account_id = m.provider_account_id and p.provider_ref = m.payment_ref and {_NOT_GIVEN_UP}
"""
_PAYMENT_BY_AMOUNT = f"""
with found as (
  select m.id, min(p.id) as payment_id from provider_movement m join payment p
    on p.provider_account_id = m.provider_account_id and p.state = 'succeeded' and p.currency = m.currency
    and p.minor = m.gross_minor and p.ended_at between m.happened_at - cast(:window as interval)
    and m.happened_at + cast(:window as interval) and {_NOT_GIVEN_UP}
  where {_BATCH} and m.subject_id is null and m.kind = 'charge' and m.key = '' and p.provider <> all(:banks)
    and not exists (select 1 from provider_movement x where x.subject_id = p.id and x.kind = 'charge')
  group by m.id having count(*) = 1
), alone as (select payment_id, min(id) as id from found group by payment_id having count(*) = 1)
update provider_movement m set subject_id = alone.payment_id from alone where m.id = alone.id
"""
_CHARGES = f"""
with fitting as (
  select distinct on (p.journal_id) m.id, p.journal_id from provider_movement m join payment p on p.id = m.subject_id
  where {_BATCH} and m.kind = 'charge' and p.state = 'succeeded' and p.currency = m.currency
    and p.minor = m.gross_minor
    and not exists (select 1 from provider_movement x where x.journal_id = p.journal_id and x.kind <> 'fee')
  order by p.journal_id, m.id
)
update provider_movement m set match = 'matched', journal_id = fitting.journal_id from fitting where m.id = fitting.id
returning m.id
"""
# What is given back or taken back belongs to a payment: by its name, or by that of the charge, whose movement we have.
_ABOUT = f"""
with about as (
  select m.id, coalesce(p.id, c.subject_id) as payment_id from provider_movement m
  left join payment p on p.provider_account_id = m.provider_account_id and p.provider_ref = nullif(m.payment_ref, '')
  left join provider_movement c on c.provider_account_id = m.provider_account_id
    and c.provider_ref = nullif(m.source, '') and c.kind = 'charge'
  where {_BATCH} and m.subject_id is null
    and m.kind in ('refund','refund_failure','dispute','dispute_reversal','reversal')
)
update provider_movement m set subject_id = about.payment_id from about
where m.id = about.id and about.payment_id is not null
"""
# Each with one journal of the organisation's book that moved as much on clearing (with the fee, where that was booked
# along, and not before by itself): first those that have our key for it, then in the order of time.
_BACK = """
with wanted as (
  select m.id, p.organization_id, coalesce(d.id, m.key) as key, m.currency, m.gross_minor, m.happened_at,
    case when m.fee_journal_id is null then m.net_minor else m.gross_minor end as net_minor
  from provider_movement m join payment p on p.id = m.subject_id
  left join dispute d on d.provider_account_id = m.provider_account_id and d.provider_ref = m.source
  where {batch} and m.kind in ('refund','refund_failure','dispute','dispute_reversal','reversal')
), offered as (
  select j.id, j.organization_id, j.cause_id, e.currency, sum(e.minor) as minor, min(j.recorded_at) as at
  from ledger_journal j join ledger_entry e on e.journal_id = j.id
  join ledger_account a on a.id = e.account_id and a.purpose = 'clearing'
  where j.organization_id in (select organization_id from wanted)
    and j.kind in ('refund','dispute','reversal','adjustment')
    and not exists (select 1 from provider_movement x where x.journal_id = j.id and x.kind <> 'fee')
    and not exists (select 1 from payment_case c where c.kind = 'difference' and c.subject = j.cause_id
      and c.state = 'accepted')
  group by j.id, e.currency
), ranked as (
  select w.id, o.id as journal_id, o.minor,
    row_number() over (partition by w.id order by o.at, o.id) as choice,
    row_number() over (partition by o.id order by w.happened_at, w.id) as turn
  from wanted w join offered o on o.organization_id = w.organization_id and o.currency = w.currency
    and o.minor in (w.gross_minor, w.net_minor) and {besides}
), fitting as (
  select distinct on (journal_id) * from (
    select distinct on (id) * from ranked where choice = turn order by id, choice) one order by journal_id, choice, id
)
update provider_movement m set match = 'matched', journal_id = f.journal_id,
  fee_journal_id = case when f.minor <> m.gross_minor then f.journal_id else m.fee_journal_id end
from fitting f where m.id = f.id returning m.id
"""
_BACK_BY_KEY = _BACK.format(batch=_BATCH, besides="o.cause_id = w.key")
_BACK_BY_AMOUNT = _BACK.format(batch=_BATCH, besides="true")

# What was booked for a movement by an accepted case, and the journal of what it was, which came later.
_FOUND_AFTER_ALL = """
select m.id, c.id as case_id, c.journal_id, min(j.id) as found_id from payment_case c
join provider_movement m on m.id = c.subject and m.journal_id = c.journal_id and m.match = 'settled'
left join dispute d on d.provider_account_id = m.provider_account_id and d.provider_ref = m.source
join ledger_journal j on j.cause_id = coalesce(d.id, m.key) and j.recorded_at >= c.resolved_at
  and j.kind in ('payment','refund','dispute','reversal')
where c.kind = 'difference' and c.state = 'accepted' and c.resolved_at >= :since
  and not exists (select 1 from provider_movement x where x.journal_id = j.id and x.kind <> 'fee')
  and m.gross_minor = (select sum(e.minor) from ledger_entry e join ledger_account a on a.id = e.account_id
    where e.journal_id = j.id and a.purpose = 'clearing' and e.currency = m.currency)
group by m.id, c.id, c.journal_id order by m.id limit :most
"""
FOUND_LATER_FOR = timedelta(days=60)  # after a case was accepted


@dataclass(frozen=True, slots=True)
class Counts:
    """What one matching came to. `looked_at` counts movements, also those that still wait."""

    looked_at: int
    matched: int
    cases: int


class Matcher:
    """Matches in transactions of its own, so that memory is that of one batch."""

    def __init__(self, on: Database | None = None, clock: clocks.Clock | None = None) -> None:
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def match_all(self) -> Counts:
        """Safe to run twice and from two workers: rows are locked, and what is booked has a key."""
        looked_at, matched, opened, after = 0, 0, 0, ""
        while True:
            async with self._work() as uow:
                last = (await uow.execute(_LAST, after=after, most=BATCH)).scalar_one()
                if last is None:
                    break
                batch = {"after": after, "last": last}
                looked_at += await _locked(uow, batch)
                matched += await _match(uow, batch)
                opened += await differences.open_for(uow, batch)
            after = last
        async with self._work() as uow:
            matched += await _found_after_all(uow)
            opened += await differences.open_for_missing(uow)
        return Counts(looked_at, matched, opened)

    def _work(self) -> Any:
        return crossing(Reason.PAYMENTS, on=self._on, clock=self._clock)


async def _locked(uow: UnitOfWork, batch: dict[str, Any]) -> int:
    """One worker at a time has a batch; the second finds it done."""
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('reconciliation', 61))")
    found = await uow.execute(f"select count(*) from provider_movement m where {_BATCH}", batch)
    return int(found.scalar_one())


async def _match(uow: UnitOfWork, batch: dict[str, Any]) -> int:
    await banking.adopt(uow, batch)
    for by_name in (_PAYMENT_BY_KEY, _PAYMENT_BY_NAME):
        await uow.execute(by_name, batch)
    await uow.execute(_PAYMENT_BY_AMOUNT, batch | {"window": WINDOW, "banks": registry.OUR_BANKS})
    found = list((await uow.execute(_CHARGES, batch)).scalars())
    await uow.execute(_ABOUT, batch)
    for way in (_BACK_BY_KEY, _BACK_BY_AMOUNT):
        found += (await uow.execute(way, batch)).scalars()
    found += await banking.match(uow, batch)
    moved = await booking.book_payouts(uow, batch)
    fees = await booking.book_fees(uow, batch)
    await closing.close_what_was_found(uow, found)
    return len(found) + moved + fees


async def _found_after_all(uow: UnitOfWork) -> int:
    """Undo what accepted cases booked in place of what was booked as itself since. Returns how many."""
    found = await uow.execute(_FOUND_AFTER_ALL, since=uow.wall_now - FOUND_LATER_FOR, most=BATCH)
    rows = found.all()
    for row in rows:
        await ledger.reverse(uow, row.journal_id, at=uow.wall_now, note=closing.FOUND_LATER)
        await uow.execute(
            "update provider_movement set match = 'matched', journal_id = :found_id where id = :id",
            id=row.id,
            found_id=row.found_id,
        )
        await uow.execute(
            "update payment_case set note = :note, version = version + 1 where id = :id",
            id=row.case_id,
            note=closing.FOUND_LATER,
        )
    return len(rows)
