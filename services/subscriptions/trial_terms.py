"""For how long a plan is tried: by whoever subscribes to it, and by whoever changes to it while trying another."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions.subscribed import Selection, Subscribed


async def days(uow: UnitOfWork, version_id: str) -> int:
    """The plan's trial, for whoever never had a plan of this product: a trial is for getting to know it."""
    found = await uow.execute(
        "select v.trial_days from plan_version v join plan p on p.id = v.plan_id where v.id = :version_id"
        " and not exists (select from subscription s join plan o on o.id = s.plan_id"
        " where s.organization_id = :organization_id and o.product_id = p.product_id)",
        version_id=version_id,
        organization_id=uow.organization_id,
    )
    return found.scalar_one_or_none() or 0


async def until(uow: UnitOfWork, now: Subscribed, to: Selection) -> datetime | None:
    """Until when a trial goes on at most after a change: with another plan that a customer chooses, for as long as that
    plan's own trial had lasted. None: as long as it was given, as with the same plan, or where staff makes the change.
    """
    if now.trial_end is None or to.plan_id == now.plan_id:
        return None
    if uow.actor.may(Capability.STAFF_SUBSCRIPTIONS_WRITE):
        return None
    found = await uow.execute("select trial_days from plan_version where id = :id", id=to.version_id)
    return now.started_at + timedelta(days=found.scalar_one())
