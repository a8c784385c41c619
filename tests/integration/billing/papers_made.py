"""What billing made, as values that compare: without ids, which differ from run to run."""

from __future__ import annotations

from typing import Any

from services.core.crossing import Reason, crossing

# Numbers by their order among these: a series goes on from one trial to the next.
_PAPERS = """
select o.name as customer, i.state, i.currency, i.total_minor, i.due_minor, i.label_date, i.due_date, i.created_at,
  i.finalized_at, i.series_period,
  case when i.number is not null then row_number() over (order by i.number is null, i.series_period, i.sequence) end
    as place,
  (select array_agg((l.description, l.quantity, l.amount_minor, l.discount_minor, l.net_minor, l.tax_minor,
    l.period_start, l.period_end)::text order by l.position) from invoice_line l where l.invoice_id = i.id) as lines
from invoice i join organization o on o.id = i.organization_id where {which}
order by o.name, i.created_at, place, i.total_minor, lines
"""
_JOURNALS = """
select o.name as customer, j.kind, j.happened_at,
  array_agg((a.purpose, e.minor)::text order by a.purpose, e.minor) as entries
from ledger_journal j join organization o on o.id = j.organization_id join ledger_entry e on e.journal_id = j.id
join ledger_account a on a.id = e.account_id where {which}
group by j.id, o.name order by o.name, j.happened_at, j.kind, entries
"""
_STANDING = """
select o.name as customer, s.key, s.state, s.next_at, s.parked_reason, s.attempts, s.retry_at, s.invoices, s.ended_at
from subscription s join organization o on o.id = s.organization_id where {which} order by o.name, s.key
"""
_TOLD = """
select o.name as customer, e.type, e.happened_at from event e join organization o on o.id = e.organization_id
where {which} and e.type like 'subscription.%' order by o.name, e.happened_at, e.type
"""
EVERYTHING = (_PAPERS, _JOURNALS, _STANDING, _TOLD)


async def papers_made(
    clock_id: str | None = None, *, of: tuple[str, ...] = (_PAPERS,)
) -> list[dict[str, Any]]:
    """Documents with their lines, of all or of those on a test clock."""
    which = "o.test_clock_id = :clock_id" if clock_id is not None else "true"
    named = {"clock_id": clock_id} if clock_id is not None else {}
    made: list[dict[str, Any]] = []
    async with crossing(Reason.INVARIANTS) as uow:
        for statement in of:
            found = await uow.execute(statement.format(which=which), named)
            made += [dict(row) for row in found.mappings()]
    return made
