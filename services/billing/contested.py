"""What a customer contests is not collected while nobody has answered, nor what a bank took back while it decides: what
is left of what is due."""

from __future__ import annotations

from models.billing import Invoice
from services.core.work import UnitOfWork

_OPEN = "select c.minor from contest c where c.invoice_id = i.id and c.state = 'open'"
# What of it was paid, and is with a bank that has not decided: it is owed again, and may come back by itself.
_DISPUTED = (
    "select z.taken_invoice_minor from dispute z join payment y on y.id = z.payment_id"
    " where y.invoice_id = i.id and z.taken_at is not null and z.returned_at is null"
    " and z.state not in ('won', 'lost')"
)


def _sum(parts: str) -> str:
    return f"coalesce((select sum(waits.minor) from ({parts}) waits(minor)), 0)::bigint"


# Of an invoice `i`, in minor units. One sum of both takes less than two: counts ask it of ten thousand invoices.
CONTESTED = _sum(_OPEN)
WAITS = _sum(f"{_OPEN} union all {_DISPUTED}")


def collectable_minor(due_minor: int, contested_minor: int) -> int:
    """What of an amount that is due may be asked for."""
    return max(0, due_minor - contested_minor)


async def collectable(uow: UnitOfWork, invoice: Invoice) -> int:
    """What of an invoice that the caller was let to may be asked for now, in minor units."""
    found = await uow.execute(f"select {WAITS} from invoice i where i.id = :id", id=invoice.id)
    return collectable_minor(invoice.due_minor, found.scalar_one())
