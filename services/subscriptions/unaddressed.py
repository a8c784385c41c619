"""What waits for a billing profile, and that it goes on by itself as soon as there is one."""

from __future__ import annotations

from services.core.work import UnitOfWork

# Paused as its trial ended: nobody pauses one while it is tried, so its pause begins there only.
WAITS = "state = 'paused' and paused_at = trial_end and resume_at is null"
_GO_ON = f"""
update subscription set resume_at = :now, next_at = :now, version = version + 1
where organization_id = :id and {WAITS}
"""
# Whoever ends a trial meanwhile has read that there is no profile: it is waited for, so that none is left paused.
_HOLD = """
select id from subscription where organization_id = :id and state in ('trialing', 'paused') order by id for update
"""
_TRY_AGAIN = """
update {table} set retry_at = parked_at, attempts = 0 where organization_id = :id and parked_at is not null
"""
# One that is yet to be tried ends like one that is.
_NEEDS = f"""
select (state in ('scheduled', 'trialing') and trial_end > started_at and cancel_at is null or {WAITS})
  and not exists (select from billing_profile where organization_id = s.organization_id)
from subscription s where id = :id
"""


async def needs_profile(uow: UnitOfWork, subscription_id: str) -> bool:
    """Whether it is paused as its trial ends, or was, since nobody said to whom invoices are addressed."""
    return (await uow.execute(_NEEDS, id=subscription_id)).scalar_one()


async def go_on(uow: UnitOfWork) -> None:
    """Have the next billing run take up what was paused, and try what is parked, of the organisation whose profile is
    being written."""
    await uow.execute(_HOLD, id=uow.organization_id)
    await uow.execute(_GO_ON, id=uow.organization_id, now=uow.now.replace(microsecond=0))
    for table in ("subscription", "usage_period"):
        await uow.execute(_TRY_AGAIN.format(table=table), id=uow.organization_id)
