"""Links by which whoever has one sees one invoice, or one top-up of a wallet, and pays it, without signing in; see
decision 0041.

    path = await links.link_for(uow, invoice)      # "/pay/..." on this site, for a mail or to be copied
    link = await links.opened(token)               # by whoever comes with it
    async with links.work(link) as uow: ...        # as somebody who may do nothing but this

A token names a row and proves it by a keyed hash over the row, what it pays, its organisation and its end.
"""

from __future__ import annotations

import base64
import hmac
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models.billing import Invoice, InvoiceState
from models.payment_links import PaymentLink
from models.payments import Payment
from models.wallets import WalletTopUp
from services.billing import queries as billing
from services.billing import states
from services.core import clock as clocks
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import MatrixError, NotFound
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments import charging, policies
from services.payments.events import PaymentLinkMade, PaymentLinkRevoked
from services.wallets import policies as of_wallets

PAGE = "/pay"
VALID_FOR = timedelta(days=60)
FRESH_FOR = timedelta(days=30)  # a link that ends sooner is not handed out any more
_PREFIX = "plnk_"
_NAME_CHARACTERS, _SIGNATURE_BYTES = 26, 24
TOKEN_CHARACTERS = _NAME_CHARACTERS + _SIGNATURE_BYTES * 4 // 3
# What any of the verbs that a link leads to asks for; where it may be done, they say by being bound to what it pays.
_MAY = frozenset({Capability.INVOICES_READ, Capability.PAYMENTS_READ, Capability.PAYMENTS_WRITE})
_FRESH = """
select * from payment_link where {pays} = :id and revoked_at is null and expires_at > :after
order by expires_at desc, id desc limit 1
"""
_REVOKE = """
update payment_link set revoked_at = :now where {pays} = :id and revoked_at is null and expires_at > :now
returning id
"""


class LinkEnded(MatrixError):
    """A link that was one: it expired, or was taken back."""

    status = 410
    code = "payment_link_ended"
    title = "This link has ended"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link leads to: an invoice or a top-up."""

    id: str
    organization_id: str
    invoice_id: str | None
    top_up_id: str | None
    token: str
    expires_at: datetime


async def link_for(uow: UnitOfWork, debt: Invoice | WalletTopUp) -> str:
    """The path of a link to what the caller was let to: one that is good for FRESH_FOR still, or a new one. It is a
    secret; put the installation's address before it.

    Raises InvoiceStateConflict for a draft, and TopUpNotDue.
    """
    return path_of(token_of(await kept_for(uow, debt)))


async def kept_for(uow: UnitOfWork, debt: Invoice | WalletTopUp) -> PaymentLink:
    """The row behind `link_for`. Raises InvoiceStateConflict for a draft, and TopUpNotDue."""
    if isinstance(debt, WalletTopUp):
        charging.require_due(debt)
    elif (state := InvoiceState(debt.state)) is InvoiceState.DRAFT:
        raise states.refused(state, "is not to be paid yet")
    pays = _pays(debt)
    found = await uow.execute(_FRESH.format(pays=pays), id=debt.id, after=uow.wall_now + FRESH_FOR)
    if (there := found.mappings().one_or_none()) is not None:
        return PaymentLink(**there)
    row = PaymentLink(
        id=new_id("plnk"),
        organization_id=debt.organization_id,
        invoice_id=debt.id if isinstance(debt, Invoice) else None,
        top_up_id=debt.id if isinstance(debt, WalletTopUp) else None,
        created_by=uow.actor.id,
        created_at=uow.wall_now,
        # Whole seconds: what is signed is what the database keeps.
        expires_at=uow.wall_now.replace(microsecond=0) + VALID_FOR,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(PaymentLinkMade(**_named(row), expires_at=row.expires_at.isoformat()))
    return row


async def revoke(uow: UnitOfWork, debt: Invoice | WalletTopUp) -> int:
    """Have no link of this lead anywhere any more; returns how many did."""
    ended = await uow.execute(_REVOKE.format(pays=_pays(debt)), id=debt.id, now=uow.wall_now)
    gone = sorted(ended.scalars())
    for link_id in gone:
        uow.record(
            PaymentLinkRevoked(
                aggregate_id=link_id,
                organization_id=debt.organization_id,
                **dict.fromkeys(("invoice_id", "top_up_id")) | {_pays(debt): debt.id},
            )
        )
    return len(gone)


async def invoice(uow: UnitOfWork, invoice_id: str, *, staff: bool = False) -> Invoice:
    """One's own invoice, to make a link to or take links back; anybody's for staff in work across tenants.

    Raises Forbidden and NotFound.
    """
    uow.actor.require(_needs(staff))
    return await billing.invoice(uow, invoice_id, staff=staff)


async def top_up(uow: UnitOfWork, top_up_id: str, *, staff: bool = False) -> WalletTopUp:
    """The same for a top-up."""
    return await of_wallets.top_up_for(uow, top_up_id, _needs(staff))


def _needs(staff: bool) -> Capability:
    return Capability.STAFF_PAYMENTS_WRITE if staff else Capability.PAYMENTS_WRITE


def _pays(debt: Invoice | WalletTopUp) -> str:
    """The column that says what a link pays."""
    return "top_up_id" if isinstance(debt, WalletTopUp) else "invoice_id"


async def opened(token: str, *, on: Database | None = None, clock: clocks.Clock | None = None) -> Opened:
    """What a token leads to. Raises NotFound for one that was never made, and LinkEnded."""
    async with crossing(Reason.PAYMENTS, on=on, clock=clock) as uow:
        row = await policies.any_link(uow, _PREFIX + token[:_NAME_CHARACTERS])
        now = uow.wall_now
    # Made also where there is no row, so that both take as long.
    nobody = PaymentLink(id=_PREFIX, organization_id="", created_by="", created_at=now, expires_at=now)
    expected = token_of(row or nobody)
    if not hmac.compare_digest(expected.encode(), token.encode("utf-8", "replace")) or row is None:
        raise NotFound("This link leads nowhere.", next_step="Open it as it was sent, or ask for a new one.")
    if row.revoked_at is not None or row.expires_at <= now:
        raise LinkEnded("This link has ended.", next_step="Ask whoever sent it for a new one.")
    return Opened(row.id, row.organization_id, row.invoice_id, row.top_up_id, token, row.expires_at)


def work(
    link: Opened, *, address: str = "", on: Database | None = None, clock: clocks.Clock | None = None
) -> AbstractAsyncContextManager[UnitOfWork]:
    """Work in the name of whoever has the link, within the organisation of what it pays, whatever became of that
    organisation: paying is how it comes back. For what is in this module and `link_paying` alone."""
    actor = Actor(link.id, link.organization_id, _MAY).at(address)
    return unit_of_work(actor, on=on, clock=clock)


def path_of(token: str) -> str:
    return f"{PAGE}/{token}"


def token_of(row: PaymentLink) -> str:
    """TOKEN_CHARACTERS, URL-safe."""
    pays, until = row.invoice_id or row.top_up_id or "", int(row.expires_at.timestamp())
    said = f"payment link:{row.id}:{row.organization_id}:{pays}:{until}"
    signature = base64.urlsafe_b64encode(vault().lookup_hash(said)[:_SIGNATURE_BYTES]).decode()
    return row.id.removeprefix(_PREFIX) + signature


def _named(row: PaymentLink) -> dict[str, Any]:
    return row.model_dump(include={"organization_id", "invoice_id", "top_up_id"}) | {"aggregate_id": row.id}


async def way_back(uow: UnitOfWork, payment: Payment) -> str:
    """Where a customer comes back to from a provider's page: who paid by a link knows no other page of ours."""
    link = None if payment.link_id is None else await policies.any_link(uow, payment.link_id)
    return f"/portal/payments/{payment.id}" if link is None else path_of(token_of(link))
