"""Reads of payouts, of what moved at providers and of what they hold, for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.reconciliation import Match
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.payments.providers import registry
from services.payments.providers.values import MovementKind, PayoutState
from services.reconciliation import policies

READ = Capability.STAFF_PAYMENTS_READ
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """What a payout consists of, each signed as it changed the balance at the provider. Amounts are minor units.

    net = charges + refunds + disputes + other - fees. `booked_minor` is what our books have of it, and
    difference = amount - booked: nothing when all of it is matched. Of one that is not traced it is only known
    whether it is booked as a whole.
    """

    id: str
    provider_account_id: str
    account: str
    provider_ref: str
    state: str
    traced: bool
    currency: str
    minor: int
    movements: int
    charges_minor: int
    fees_minor: int
    refunds_minor: int
    disputes_minor: int
    other_minor: int
    net_minor: int
    booked_minor: int
    difference_minor: int
    failure: str
    happened_at: datetime
    arrives_at: datetime
    bank_line_id: str | None


_PARTS = """
left join lateral (
  select count(*) as movements,
    coalesce(sum(m.gross_minor) filter (where m.kind = 'charge'), 0) as charges,
    coalesce(sum(case m.kind when 'fee' then -m.net_minor else m.fee_minor end), 0) as fees,
    coalesce(sum(m.gross_minor) filter (where m.kind in ('refund','refund_failure')), 0) as refunds,
    coalesce(sum(m.gross_minor) filter (where m.kind in ('dispute','dispute_reversal')), 0) as disputes,
    coalesce(sum(m.gross_minor) filter (where m.kind in ('payout','payout_failure','other')), 0) as other,
    coalesce(sum(m.net_minor), 0) as net,
    coalesce(sum(case m.kind when 'fee' then case when m.fee_journal_id is null then 0 else m.net_minor end
      else case when m.journal_id is null then 0 else m.gross_minor end
        - case when m.fee_journal_id is null then 0 else m.fee_minor end end), 0) as booked
  from provider_movement m where m.payout_id = p.id
) s on true
left join lateral (
  select coalesce(sum(-m.gross_minor), 0) as sent from provider_movement m
  where m.subject_id = p.id and m.kind = 'payout' and m.journal_id is not null
) w on true
"""
_BOOKED = "case when s.movements > 0 then s.booked else w.sent end"


def _sum(name: str, sql: str) -> Column:
    return Column(name, f"cast({sql} as bigint)", Kind.INTEGER, currency="currency", joined=True)


PAYOUTS: Listing[PayoutRow] = Listing(
    "staff.payouts",
    row=PayoutRow,
    needs=READ,
    source="provider_payout p",
    alias="p",
    joins=f"join provider_account a on a.id = p.provider_account_id {_PARTS}",
    where="true",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("provider_account_id", "p.provider_account_id", Kind.ID, operators=_EXACTLY),
        Column("account", "a.name", joined=True),
        Column("provider_ref", "p.provider_ref", operators=_EXACTLY),
        Column("state", "p.state", Kind.ENUM, values=tuple(PayoutState), filterable=True),
        Column("traced", "s.movements > 0", Kind.FLAG, joined=True),
        Column("currency", "p.currency", operators=_EXACTLY),
        Column("minor", "p.minor", Kind.INTEGER, currency="currency"),
        Column("movements", "s.movements", Kind.INTEGER, joined=True),
        _sum("charges_minor", "s.charges"),
        _sum("fees_minor", "s.fees"),
        _sum("refunds_minor", "s.refunds"),
        _sum("disputes_minor", "s.disputes"),
        _sum("other_minor", "s.other"),
        _sum("net_minor", "case when s.movements > 0 then s.net else p.minor end"),
        _sum("booked_minor", _BOOKED),
        _sum("difference_minor", f"p.minor - {_BOOKED}"),
        Column("failure", "p.failure"),
        Column("happened_at", "p.happened_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("arrives_at", "p.arrives_at", Kind.INSTANT),
        Column("bank_line_id", "p.bank_line_id", Kind.ID, nullable=True),
    ),
    sort="-happened_at",
)


async def payout(uow: UnitOfWork, payout_id: str) -> PayoutRow:
    """Raises Forbidden and NotFound."""
    row = await policies.payout_for(uow, payout_id, READ)
    found = await listing_sql.find(uow, PAYOUTS, row.id)
    if found is None:
        raise not_found("payout", payout_id)
    return found


@dataclass(frozen=True, slots=True)
class MovementRow:
    """One change of our balance at a provider, and what it is here."""

    id: str
    provider_account_id: str
    payout_id: str | None
    provider_ref: str
    kind: str
    category: str
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    match: str
    subject_id: str | None
    journal_id: str | None
    fee_journal_id: str | None
    happened_at: datetime


MOVEMENTS: Listing[MovementRow] = Listing(
    "staff.provider_movements",
    row=MovementRow,
    needs=READ,
    source="provider_movement m",
    alias="m",
    where="true",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("provider_account_id", "m.provider_account_id", Kind.ID, operators=_EXACTLY),
        Column("payout_id", "m.payout_id", Kind.ID, nullable=True, operators=_EXACTLY),
        Column("provider_ref", "m.provider_ref", operators=_EXACTLY),
        Column("kind", "m.kind", Kind.ENUM, values=tuple(MovementKind), filterable=True),
        Column("category", "m.category"),
        Column("currency", "m.currency", operators=_EXACTLY),
        Column("gross_minor", "m.gross_minor", Kind.INTEGER, currency="currency"),
        Column("fee_minor", "m.fee_minor", Kind.INTEGER, currency="currency"),
        Column("net_minor", "m.net_minor", Kind.INTEGER, currency="currency"),
        Column("match", "m.match", Kind.ENUM, values=tuple(Match), filterable=True),
        Column("subject_id", "m.subject_id", Kind.ID, nullable=True, operators=_EXACTLY),
        Column("journal_id", "m.journal_id", Kind.ID, nullable=True),
        Column("fee_journal_id", "m.fee_journal_id", Kind.ID, nullable=True),
        Column("happened_at", "m.happened_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
    ),
    sort="-happened_at",
)


# -- clearing


@dataclass(frozen=True, slots=True)
class ClearingRow:
    """What a provider holds of ours in one currency, by what it told and by our books, in minor units.

    `provider_minor` is all that moved there since the account is known here. `explained_minor` is what the open cases
    of its movements are about.
    """

    provider_account_id: str
    account: str
    currency: str
    provider_minor: int
    books_minor: int
    explained_minor: int
    open_cases: int
    read_until: datetime | None
    reason: str | None

    @property
    def difference_minor(self) -> int:
        return self.provider_minor - self.books_minor


CLEARING_ROWS_MAX = 500
CLEARING = """
with booked as (
  select provider_account_id, journal_id from payment where provider_account_id is not null and state = 'succeeded'
  union
  select provider_account_id, journal_id from provider_movement where journal_id is not null
  union
  select a.id, j.id from provider_account a join ledger_journal j on j.cause_id = a.id
  union
  select p.provider_account_id, j.id from refund r join payment p on p.id = r.payment_id
  join ledger_journal j on j.cause_id = r.id where p.provider_account_id is not null
  union
  select d.provider_account_id, j.id from dispute d join ledger_journal j on j.cause_id = d.id
  union
  select p.provider_account_id, j.id from payment p join ledger_journal j on j.reverses = p.journal_id
  where p.provider_account_id is not null and p.refunded_minor = p.minor
), ours as (
  select b.provider_account_id, e.currency, sum(e.minor) as minor from booked b
  join provider_account a on a.id = b.provider_account_id
  join ledger_entry e on e.journal_id = b.journal_id join ledger_account l on l.id = e.account_id
  where l.purpose = case when a.provider = any(:banks) then 'cash' else 'clearing' end
  group by b.provider_account_id, e.currency
), theirs as (
  select provider_account_id, currency, sum(net_minor) as minor from provider_movement
  group by provider_account_id, currency
), explained as (
  select coalesce(m.provider_account_id, p.provider_account_id) as provider_account_id, c.currency,
    sum(c.minor) as minor, count(*) as cases
  from payment_case c left join provider_movement m on m.id = split_part(c.subject, '.', 1)
  left join refund r on r.id = c.subject left join payment p on p.id = coalesce(r.payment_id, c.subject)
  where c.state = 'open' and c.kind in ('difference','unmatched') and c.currency is not null group by 1, 2
)
select a.id as provider_account_id, a.name as account, k.currency,
  cast(coalesce(t.minor, 0) as bigint) as provider_minor, cast(coalesce(o.minor, 0) as bigint) as books_minor,
  cast(coalesce(x.minor, 0) as bigint) as explained_minor, coalesce(x.cases, 0) as open_cases, u.read_until, u.reason
from (select provider_account_id, currency from ours union select provider_account_id, currency from theirs) k
join provider_account a on a.id = k.provider_account_id
left join ours o using (provider_account_id, currency) left join theirs t using (provider_account_id, currency)
left join explained x using (provider_account_id, currency)
left join provider_pull u using (provider_account_id)
order by a.name, k.currency limit :most
"""


async def clearing(uow: UnitOfWork) -> list[ClearingRow]:
    """By account and currency. Raises Forbidden."""
    uow.actor.require(READ)
    found = await uow.execute(CLEARING, most=CLEARING_ROWS_MAX, banks=registry.OUR_BANKS)
    return [ClearingRow(**row) for row in found.mappings()]
