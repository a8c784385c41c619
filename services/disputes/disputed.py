"""What a bank contests is not collected by itself: which invoices and which methods that are. As decision 0048 says."""

from __future__ import annotations

from services.core.work import UnitOfWork

# Of an invoice `s`: a bank decides still about a payment of it, or has taken that for good.
INVOICE = """
exists (select from payment dp join dispute d on d.payment_id = dp.id
  where dp.invoice_id = s.id and d.state not in ('won', 'warning_closed'))
"""
# Of a method `m`: its bank took back what it was charged, whatever was decided afterwards.
METHOD = """
exists (select from dispute d join payment dp on dp.id = d.payment_id
  where d.organization_id = m.organization_id and dp.method_id = m.id and d.taken_at is not null)
"""


async def is_disputed(uow: UnitOfWork, invoice_id: str) -> bool:
    """Of an invoice that the caller was let to."""
    found = await uow.execute(f"select {INVOICE} from invoice s where s.id = :id", id=invoice_id)
    return bool(found.scalar_one())
