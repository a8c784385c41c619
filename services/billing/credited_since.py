"""What other documents took back of an invoice's lines by lines of their own: unused time that a change credited, and
usage of a period that came to less when it was counted again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.billing import Invoice
from services.core.errors import Conflict
from services.core.work import UnitOfWork

# Credits of each line on other documents that stand: not taken back, and without what notes took of them.
_TIME = """
select s.id as line_id,
  cast(coalesce(n.net, 0) as bigint) - c.amount_minor as net,
  cast(coalesce(n.tax, 0) as bigint) - coalesce(c.given_tax_minor, 0) as tax
from invoice_line s
join invoice i on i.subscription_id = :subscription_id and i.state <> 'void' and i.id <> s.invoice_id
join invoice_line c on c.invoice_id = i.id and c.facts ->> 'kind' = 'credit' and c.facts ->> 'source' = s.key
left join lateral (
  select sum(net_minor) as net, sum(tax_minor) as tax from credit_note_line where invoice_line_id = c.id
) n on true
where s.invoice_id = :id and not exists (
  select from invoice o join invoice_line r on r.invoice_id = o.id
  where o.subscription_id = :subscription_id and o.state <> 'void'
    and r.facts ->> 'kind' = 'restore' and r.facts ->> 'source' = c.key
)
order by s.id, c.id
"""
# A line that asks for less than was billed before, of a usage that a line of the invoice billed.
_USAGE = """
select exists (
  select from invoice_line s
  join invoice i on i.organization_id = :organization_id and i.state <> 'void' and i.id <> s.invoice_id
  join invoice_line c on c.invoice_id = i.id and c.origin = 'usage' and c.amount_minor < c.billed_before_minor
  where s.invoice_id = :id and s.origin = 'usage' and i.created_at >= :since and (
    split_part(c.key, '.late', 1) = split_part(s.key, '.late', 1)
    or (c.facts #>> '{pieces,price}', c.facts #>> '{pieces,period_start}')
      = (s.facts #>> '{pieces,price}', s.facts #>> '{pieces,period_start}')))
"""


class CreditedElsewhere(Conflict):
    """Another document gave back a part of what the invoice asked for: undone as well, that would be given twice."""

    code = "invoice_credited_elsewhere"
    title = "Another document credited a part of this invoice"


async def of_time(uow: UnitOfWork, invoice: Invoice) -> Sequence[Any]:
    """Net and tax that each credit of a line stands for, above zero."""
    if invoice.subscription_id is None:
        return []
    found = await uow.execute(_TIME, id=invoice.id, subscription_id=invoice.subscription_id)
    return found.all()


async def require_nothing(uow: UnitOfWork, invoice: Invoice) -> None:
    """Raises CreditedElsewhere."""
    usage = await uow.execute(
        _USAGE, id=invoice.id, organization_id=invoice.organization_id, since=invoice.created_at
    )
    if usage.scalar_one() or any(row.net or row.tax for row in await of_time(uow, invoice)):
        raise CreditedElsewhere(
            f"A later document credits a part of {invoice.number or 'this draft'}.",
            next_step="Issue a credit note: it takes back what is left of each line.",
        )
