"""Finding in our books what a bank tells: transfers that staff recorded before, payouts that have arrived, and
transfers back that were sent. A line says neither whose it is nor why, so each is taken where only one thing fits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.core.work import UnitOfWork
from services.payments.providers import registry

WINDOW = timedelta(days=3)  # between what a bank booked and what staff recorded
_OF_A_BANK = """
m.id > :after and m.id <= :last and m.match in ('waiting','differs') and m.subject_id is null
and exists (select from provider_account a where a.id = m.provider_account_id and a.provider = any(:banks))
"""
# By the bank's name for it, which staff gives as the key of a transfer; else by amount and time.
_ADOPT = f"""
with offered as (
  select m.id, m.provider_account_id, m.payment_ref, p.id as payment_id, p.key = m.payment_ref as named
  from provider_movement m join payment p on p.provider = any(:banks) and p.provider_account_id is null
    and p.state = 'succeeded' and p.currency = m.currency and p.minor = m.gross_minor
    and (p.key = m.payment_ref or p.ended_at between m.happened_at - cast(:window as interval)
      and m.happened_at + cast(:window as interval))
  where {_OF_A_BANK} and m.kind = 'charge' and not exists (select from payment x
    where x.provider_account_id = m.provider_account_id and x.provider_ref = m.payment_ref)
    and not exists (select from provider_movement x where x.subject_id = p.id)
), ranked as (
  select *, bool_or(named) over (partition by id) as line_is_named,
    bool_or(named) over (partition by payment_id) as payment_is_named from offered
), fitting as (
  select *, count(*) over (partition by id) as of_line, count(*) over (partition by payment_id) as of_payment
  from ranked where named or not (line_is_named or payment_is_named)
)
update payment p set provider_account_id = f.provider_account_id, provider_ref = f.payment_ref, version = p.version + 1
from fitting f where p.id = f.payment_id and f.of_line = 1 and f.of_payment = 1
"""
# One of a payout's amount about the day it was to arrive; one whose text has the payout's name comes first.
_ARRIVED = f"""
with near as (
  select m.id, l.id as line_id, p.id as payout_id, row_number() over (partition by m.id order by
      (strpos(lower(l.remittance), lower(p.provider_ref)) > 0) desc,
      abs(l.booked_on - cast(p.arrives_at as date)), p.id) as choice,
    row_number() over (partition by p.id order by
      (strpos(lower(l.remittance), lower(p.provider_ref)) > 0) desc,
      abs(l.booked_on - cast(p.arrives_at as date)), m.id) as turn
  from provider_movement m join bank_line l on l.id = m.provider_ref
  join provider_payout p on p.currency = m.currency and p.minor = m.gross_minor
    and p.bank_line_id is null and p.state in ('paid','underway')
    and l.booked_on between cast(p.arrives_at as date) - 3 and cast(p.arrives_at as date) + 7
  where {_OF_A_BANK} and m.kind = 'charge'
), arrived as (
  update provider_payout p set bank_line_id = near.line_id from near
  where near.choice = 1 and near.turn = 1 and p.id = near.payout_id
  returning p.id as payout_id, near.id
)
update provider_movement m set match = 'matched', subject_id = arrived.payout_id,
  journal_id = (select w.journal_id from provider_movement w where w.subject_id = arrived.payout_id
    and w.kind = 'payout' and w.journal_id is not null order by w.id limit 1)
from arrived where m.id = arrived.id
returning m.id
"""
# What one customer was sent is the same to our books whichever of it a line is; of two customers nobody knows whose.
_SENT_BACK = f"""
with offered as (
  select m.id, m.happened_at, r.id as refund_id, r.journal_id, r.organization_id, r.ended_at from provider_movement m
  join refund r on r.state = 'succeeded' and r.destination = 'source' and r.currency = m.currency
    and r.minor = -m.gross_minor and r.ended_at between m.happened_at - cast(:window as interval)
    and m.happened_at + cast(:window as interval)
  join payment p on p.id = r.payment_id and p.provider = any(:banks)
  where {_OF_A_BANK} and m.gross_minor < 0
    and not exists (select from provider_movement x where x.journal_id = r.journal_id)
    and not exists (select from payment_case c where c.kind = 'difference' and c.subject = r.id
      and c.state = 'accepted')
), ranked as (
  select *, row_number() over (partition by id order by ended_at, refund_id) as choice,
    row_number() over (partition by refund_id order by happened_at, id) as turn,
    min(organization_id) over (partition by id) = max(organization_id) over (partition by id) as of_one
  from offered
), fitting as (
  select distinct on (refund_id) * from (
    select distinct on (id) * from ranked where choice = turn and of_one order by id, choice) one
  order by refund_id, choice, id
)
update provider_movement m set match = 'matched', subject_id = f.refund_id, journal_id = f.journal_id
from fitting f where m.id = f.id
returning m.id
"""


async def adopt(uow: UnitOfWork, batch: dict[str, Any]) -> None:
    """Transfers that staff recorded by hand, and that a statement of a batch shows, are that account's."""
    await uow.execute(_ADOPT, _of(batch))


async def match(uow: UnitOfWork, batch: dict[str, Any]) -> list[str]:
    """Movements of a batch that no payment is: payouts of providers, and what was given back by hand."""
    arrived = list((await uow.execute(_ARRIVED, _of(batch))).scalars())
    return arrived + list((await uow.execute(_SENT_BACK, _of(batch))).scalars())


def _of(batch: dict[str, Any]) -> dict[str, Any]:
    return batch | {"banks": registry.OUR_BANKS, "window": WINDOW}
