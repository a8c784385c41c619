"""What whoever has a link may do: see its invoice or its top-up, pay it, and give up what was begun by a link. Nothing
else.

Each verb takes work that `links.work` opened and the link it was opened for; neither takes anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.billing import Invoice, InvoiceLine
from models.money import Money
from models.payments import Payment, PaymentState
from models.wallets import TopUpState, WalletTopUp
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
from services.wallets import policies as of_wallets

LINES_SHOWN_MAX = 100  # the rest is in the document's file

# The one under way, if one is: each is paid by one at a time.
_LATEST = """
select id from payment where {pays} = :id
order by state in ('sending', 'requires_action', 'processing') desc, created_at desc, id desc limit 1
"""


@dataclass(frozen=True, slots=True)
class Latest:
    """The payment that counts for whoever has a link. Of one that was begun in the portal they learn
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
    """An invoice, or a top-up with what it asks for. There are more lines than are here where it `has_more`. `ways` is
    empty for what is not to be paid, or not now. `on_chain` is where to send what, and what came, of a payment on a
    chain that was begun by a link."""

    latest: Latest | None
    ways: list[Way]
    on_chain: Asked | None
    invoice: Invoice | None = None
    lines: Sequence[InvoiceLine] = ()
    has_more: bool = False
    top_up: WalletTopUp | None = None
    asked: Money | None = None


async def see(uow: UnitOfWork, link: Opened) -> Seen:
    """Raises NotFound."""
    latest = await _latest(uow, link)
    on_chain = await crypto_requests.asked_for(uow, latest.id) if latest and latest.begun_here else None
    is_free = not (latest and latest.is_under_way)
    if link.top_up_id is not None:
        top_up = await of_wallets.top_up_for(uow, link.top_up_id, Capability.PAYMENTS_READ)
        ways = await queries.ways(uow) if is_free and top_up.state == TopUpState.DUE else []
        return Seen(latest, ways, on_chain, top_up=top_up, asked=await of_wallets.money_of(uow, top_up))
    invoice = await billing.invoice(uow, link.invoice_id or "")
    lines = await billing.lines(uow, invoice, limit=LINES_SHOWN_MAX + 1)
    ways = await queries.ways(uow) if is_free and charging.is_owed(invoice) else []
    has_more = len(lines) > LINES_SHOWN_MAX
    return Seen(latest, ways, on_chain, invoice, lines[:LINES_SHOWN_MAX], has_more)


async def start(uow: UnitOfWork, link: Opened, account_id: str, *, key: str) -> Payment:
    """Write down that all that is owed is to be paid, on the provider's page or on a chain.

    Raises as `charging.start`.
    """
    wanted = Wanted(
        link.invoice_id, account_id, f"{link.id}:{key}", link_id=link.id, top_up_id=link.top_up_id
    )
    return await charging.start(uow, wanted)


async def begun(uow: UnitOfWork, link: Opened) -> Payment:
    """The latest payment of what the link is for, where it was begun by a link. Raises NotFound."""
    latest = await _latest(uow, link)
    if latest is None or not latest.begun_here:
        raise not_found("payment by this link", link.invoice_id or link.top_up_id or "")
    return await policies.payment_for(uow, latest.id, Capability.PAYMENTS_READ)


async def _latest(uow: UnitOfWork, link: Opened) -> Latest | None:
    pays = "invoice_id" if link.top_up_id is None else "top_up_id"
    found = await uow.execute(_LATEST.format(pays=pays), id=link.invoice_id or link.top_up_id)
    payment_id = found.scalar_one_or_none()
    if payment_id is None:
        return None
    row = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
    state = PaymentState(row.state)
    if row.link_id is None:
        return Latest(row.id, state, False)
    return Latest(row.id, state, True, (row.action or {}).get("url") or "", row.message)
