"""What whoever has a link may do: see its invoice, pay it, and give up what was begun by a link. Nothing else.

Each verb takes work that `links.work` opened and the link it was opened for; neither takes another invoice.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.billing import Invoice, InvoiceLine
from models.payments import Payment, PaymentState
from services.billing import queries as billing
from services.core.errors import not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import requests as crypto_requests
from services.crypto.requests import Asked
from services.payments import charging, policies, queries, rules
from services.payments.charging import Wanted
from services.payments.links import Opened
from services.payments.queries import Way

LINES_SHOWN_MAX = 100  # the rest is in the document's file

# The one under way, if one is: an invoice is paid by one at a time.
_LATEST = """
select id from payment where invoice_id = :id
order by state in ('sending', 'requires_action', 'processing') desc, created_at desc, id desc limit 1
"""


@dataclass(frozen=True, slots=True)
class Latest:
    """The payment of the invoice that counts for whoever has a link. Of one that was begun in the portal they learn
    that it is under way, and no more: its page may show what the customer has kept."""

    id: str
    state: PaymentState
    begun_here: bool
    action_url: str = ""
    message: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.state in rules.UNDER_WAY


@dataclass(frozen=True, slots=True)
class Seen:
    """`has_more` lines than are here. `ways` is empty for what is not to be paid, or not now. `on_chain` is where to
    send what, and what came, of a payment on a chain that was begun by a link."""

    invoice: Invoice
    lines: list[InvoiceLine]
    has_more: bool
    ways: list[Way]
    latest: Latest | None
    on_chain: Asked | None


async def see(uow: UnitOfWork, link: Opened) -> Seen:
    """Raises NotFound."""
    invoice = await billing.invoice(uow, link.invoice_id)
    lines = await billing.lines(uow, invoice, limit=LINES_SHOWN_MAX + 1)
    latest = await _latest(uow, link)
    is_open = charging.is_owed(invoice) and not (latest and latest.is_under_way)
    ways = await queries.ways(uow) if is_open else []
    on_chain = await crypto_requests.asked_for(uow, latest.id) if latest and latest.begun_here else None
    return Seen(invoice, lines[:LINES_SHOWN_MAX], len(lines) > LINES_SHOWN_MAX, ways, latest, on_chain)


async def start(uow: UnitOfWork, link: Opened, account_id: str, *, key: str) -> Payment:
    """Write down that all the invoice is owed is to be paid, on the provider's page or on a chain.

    Raises as `charging.start`.
    """
    wanted = Wanted(link.invoice_id, account_id, f"{link.id}:{key}", link_id=link.id)
    return await charging.start(uow, wanted)


async def begun(uow: UnitOfWork, link: Opened) -> Payment:
    """The latest payment of the invoice, where it was begun by a link. Raises NotFound."""
    latest = await _latest(uow, link)
    if latest is None or not latest.begun_here:
        raise not_found("payment by this link", link.invoice_id)
    return await policies.payment_for(uow, latest.id, Capability.PAYMENTS_READ)


async def _latest(uow: UnitOfWork, link: Opened) -> Latest | None:
    found = await uow.execute(_LATEST, id=link.invoice_id)
    payment_id = found.scalar_one_or_none()
    if payment_id is None:
        return None
    row = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
    state = PaymentState(row.state)
    if row.link_id is None:
        return Latest(row.id, state, False)
    return Latest(row.id, state, True, (row.action or {}).get("url") or "", row.message)
