"""Who looks up what an event of a provider is about: a line for each subject. What nobody follows is read otherwise,
as when disputes and payouts are listed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.disputes.disputing import Disputing
from services.payments import methods, policies
from services.payments.cashier import Cashier
from services.payments.providers.values import EventSubject
from services.refunds.refunding import Refunding

_REFUND = """
select r.id, r.organization_id from refund r join payment p on p.id = r.payment_id
where p.provider_account_id = :account_id and (r.id = :subject or r.provider_ref = :reference) limit 1
"""

_METHOD = """
select id, organization_id from payment_method
where provider_account_id = :account_id and token_hash = :hashed and removed_at is null
"""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it was stored. `subject` is what the payment is found by, and our key where the event says it;
    `reference` the provider's name of what it is about. `payment_id` is None where it is about no payment of ours."""

    id: str
    account_id: str
    about: EventSubject
    subject: str
    reference: str
    due_at: datetime
    attempts: int
    payment_id: str | None
    organization_id: str | None


@dataclass(frozen=True, slots=True)
class Desk:
    """With what things are looked up."""

    cashier: Cashier
    on: Database | None
    clock: Clock


async def follow(desk: Desk, told: Told) -> None:
    """Raises what asking a provider raises: that this event was followed is then not known."""
    if (look := FOLLOWED.get(told.about)) is not None:
        await look(desk, told)


async def _payment(desk: Desk, told: Told) -> None:
    if told.payment_id is not None and told.organization_id is not None:
        await desk.cashier.look(told.payment_id, told.organization_id)


async def _refund(desk: Desk, told: Told) -> None:
    async with crossing(Reason.PAYMENTS, on=desk.on, clock=desk.clock) as uow:
        found = await uow.execute(
            _REFUND, account_id=told.account_id, subject=told.subject, reference=told.reference
        )
        ours = found.one_or_none()
    if ours is not None:
        await Refunding(desk.cashier, desk.on, desk.clock).look(ours.id, ours.organization_id)


async def _method(desk: Desk, told: Told) -> None:
    """A network gave the card another number or date, or somebody ended at the provider that it is kept."""
    async with crossing(Reason.PAYMENTS, on=desk.on, clock=desk.clock) as uow:
        hashed = vault().lookup_hash(told.reference)
        found = await uow.execute(_METHOD, account_id=told.account_id, hashed=hashed)
        ours = found.one_or_none()
        if ours is None:
            return
        account = await policies.any_account(uow, told.account_id)
    provider = await desk.cashier.provider_of(account)
    said = await provider.read_method(told.reference)
    async with desk.cashier.within(ours.organization_id) as uow:
        await methods.learn(uow, ours.id, said)


async def _dispute(desk: Desk, told: Told) -> None:
    await Disputing(desk.cashier, desk.on, desk.clock).follow(told.account_id, told.reference)


async def _warning(desk: Desk, told: Told) -> None:
    if told.payment_id is not None and told.organization_id is not None:
        await Disputing(desk.cashier, desk.on, desk.clock).warned(told.payment_id, told.organization_id)


FOLLOWED: Mapping[EventSubject, Callable[[Desk, Told], Awaitable[None]]] = {
    EventSubject.PAYMENT: _payment,
    EventSubject.REFUND: _refund,
    EventSubject.DISPUTE: _dispute,
    EventSubject.WARNING: _warning,
    EventSubject.METHOD: _method,
}
