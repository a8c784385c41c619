"""Credits time that was paid for and could not be used, by a credit note on the invoice that it was paid with.

The note is one like any other: from what was really debited, tax by the invoice's own lines, never more than earlier
notes and changes of the subscription left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from models.billing import CreditNote, Invoice, InvoiceState
from models.money import Money
from services.billing import blocked_rules, notes, offsetting, policies
from services.billing.finalizing import lines_of
from services.billing.lines import LineKind, read_line
from services.billing.notes import Asked
from services.billing.periods import Span
from services.core.permissions import Capability
from services.core.work import UnitOfWork

INVOICES_MAX = 500  # of one customer, looked at once
_KEY = "blocked:"
_OF_TIME = "l.origin = 'subscription' and l.facts ->> 'kind' = 'debit' and l.gross_minor > 0"
_PAID = f"""
select distinct i.id from jsonb_to_recordset(cast(:blocked as jsonb)) as b ("start" timestamptz, "end" timestamptz)
join invoice i on i.organization_id = :organization_id and i.state = 'paid'
join invoice_line l on l.invoice_id = i.id and {_OF_TIME} and l.period_start < b."end" and l.period_end > b."start"
order by i.id limit :most
"""
# From when on a line is credited by a line, on whatever document, that nothing took back.
_CREDITED_FROM = """
select s.id, min(cast(c.facts #>> '{span,start}' as timestamptz)) as since
from invoice_line s
join invoice i on i.subscription_id = :subscription_id and i.state <> 'void'
join invoice_line c on c.invoice_id = i.id and c.facts ->> 'kind' = 'credit' and c.facts ->> 'source' = s.key
where s.invoice_id = :id and not exists (
  select from invoice o join invoice_line r on r.invoice_id = o.id
  where o.subscription_id = :subscription_id and o.state <> 'void'
    and r.facts ->> 'kind' = 'restore' and r.facts ->> 'source' = c.key
) group by s.id
"""
_BEFORE = """
select l.invoice_line_id as id, sum(l.net_minor + l.tax_minor)::bigint as minor
from credit_note n join credit_note_line l on l.credit_note_id = n.id
where n.invoice_id = :id and starts_with(n.key, :key) group by l.invoice_line_id
"""
_LAST = """
select count(*) as notes, max(created_at) as at from credit_note
where invoice_id = :id and starts_with(key, :key)
"""


@dataclass(frozen=True, slots=True)
class Noted:
    """What notes for blocked time took of an invoice before, by line, and when the last one was issued."""

    minor: Mapping[str, int]
    notes: int
    at: datetime | None


async def paid_for(uow: UnitOfWork, blocked: Sequence[Span]) -> list[str]:
    """The paid invoices of the organisation that have lines for any of that time."""
    spans = orjson.dumps(
        [{"start": one.start.isoformat(), "end": one.end.isoformat()} for one in blocked]
    ).decode()
    found = await uow.execute(_PAID, organization_id=uow.organization_id, blocked=spans, most=INVOICES_MAX)
    return list(found.scalars())


async def credit(
    uow: UnitOfWork, invoice_id: str, blocked: Sequence[Span], *, reason: Callable[[Sequence[Span]], str]
) -> CreditNote | None:
    """Credit what a paid invoice asked for `blocked` time, less what was credited for it before; None where that is
    nothing. `reason` says it of the spans that are new. Raises Forbidden and NotFound."""
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    await offsetting.lock_with_owed(uow, invoice_id)
    invoice = await policies.invoice_for(uow, invoice_id, Capability.STAFF_INVOICES_WRITE)
    if invoice.state != InvoiceState.PAID:
        return None
    blocked, before = blocked_rules.merged(blocked), await _noted(uow, invoice)
    asked = await _asked(uow, invoice, blocked, before)
    if not asked:
        return None
    fresh = [one for one in blocked if before.at is None or one.end > before.at]
    return await notes.issue(
        uow,
        invoice.id,
        key=f"{_KEY}{invoice.id}:{before.notes + 1}",
        reason=reason(fresh or blocked),
        asked=Asked(lines=asked),
    )


async def _asked(
    uow: UnitOfWork, invoice: Invoice, blocked: Sequence[Span], before: Noted
) -> dict[str, int | None]:
    left = await notes.left(uow, invoice)
    available = sum(one.minor for one in left.values())
    found = await uow.execute(_CREDITED_FROM, id=invoice.id, subscription_id=invoice.subscription_id)
    since: dict[str, datetime] = {row.id: row.since for row in found}
    asked: dict[str, int | None] = {}
    for one in await lines_of(uow, invoice):
        if one.facts.get("kind") != LineKind.DEBIT or one.gross_minor <= 0:
            continue
        gross = Money(one.gross_minor, invoice.currency)
        worth = blocked_rules.worth(gross, read_line(one.facts), blocked, until=since.get(one.id))
        minor = min(worth.minor - before.minor.get(one.id, 0), left[one.id].minor, available)
        if minor > 0:
            asked[one.id] = minor
            available -= minor
    return asked


async def _noted(uow: UnitOfWork, invoice: Invoice) -> Noted:
    found = await uow.execute(_BEFORE, id=invoice.id, key=_KEY)
    by_line = {row.id: row.minor for row in found}
    last = (await uow.execute(_LAST, id=invoice.id, key=_KEY)).one()
    return Noted(by_line, last.notes, last.at)
