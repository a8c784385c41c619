"""Changing how the invoices of a subscription are paid, for staff."""

from __future__ import annotations

from models.subscriptions import Collection, Subscription, SubscriptionState
from services.billing.events import SubscriptionCollectionChanged
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import payment_terms, states, subscriptions


async def collect(
    uow: UnitOfWork, subscription_id: str, collection: Collection, *, payment_days: int | None = None
) -> Subscription:
    """Have what is finalised from now on be charged by itself, or sent to be paid within `payment_days`; what is open
    is charged or not as the subscription says now. A choice of staff. Raises Forbidden, NotFound, Invalid, and
    SubscriptionStateConflict for one that has ended."""
    uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    row, _, now = await subscriptions.standing(uow, subscription_id)
    if now.state is SubscriptionState.ENDED:
        raise states.refused(now.state, "bills nothing any more")
    if not payment_terms.set_terms(row, collection, payment_days):
        return row
    row.version += 1
    uow.add(row)
    uow.record(
        SubscriptionCollectionChanged(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            collection=row.collection,
            payment_days=row.payment_days,
        )
    )
    return row
