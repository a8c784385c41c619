"""What a customer contests is not collected while nobody has answered: what is left of what is due."""

from __future__ import annotations

from models.billing import Invoice
from services.core.work import UnitOfWork

# Of an invoice `i`, in minor units.
CONTESTED = (
    "coalesce((select sum(c.minor) from contest c where c.invoice_id = i.id and c.state = 'open'), 0)::bigint"
)


def collectable_minor(due_minor: int, contested_minor: int) -> int:
    """What of an amount that is due may be asked for."""
    return max(0, due_minor - contested_minor)


async def contested_of(uow: UnitOfWork, invoice_id: str) -> int:
    """What is contested of an invoice that the caller was let to, in minor units."""
    found = await uow.execute(f"select {CONTESTED} from invoice i where i.id = :id", id=invoice_id)
    return found.scalar_one()


async def collectable(uow: UnitOfWork, invoice: Invoice) -> int:
    """What of an invoice that the caller was let to may be asked for now, in minor units."""
    return collectable_minor(invoice.due_minor, await contested_of(uow, invoice.id))
