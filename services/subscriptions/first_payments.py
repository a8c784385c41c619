"""Subscriptions that begin once their first invoice is paid: by whatever pays it, in the same transaction.

Until then nothing is given and nothing changes. One that is not paid in time ends, and its invoice is void; see
services/subscriptions/billing.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from models.billing import Invoice
from models.plans import PaymentTime
from models.subscriptions import Subscription, SubscriptionState
from services.billing import plan_credits, policies
from services.billing.events import SubscriptionStateChanged
from services.core.work import UnitOfWork
from services.subscriptions import rows as subscription_rows
from services.subscriptions import states as subscription_states
from services.subscriptions.rules import next_moment

PAY_WITHIN = timedelta(hours=23)  # less than the shortest billing period
S = SubscriptionState
_UNPAID = """
select count(*) filter (where state = 'finalized' and due_minor > 0) as unpaid,
  count(*) filter (where state = 'paid') as paid
from invoice where subscription_id = :id
"""


async def pay_until(uow: UnitOfWork, version_id: str, at: datetime) -> datetime | None:
    """Until when the first invoice of what begins at `at` may be paid; None where it need not be paid first."""
    found = await uow.execute("select payment from plan_version where id = :id", id=version_id)
    return at + PAY_WITHIN if found.scalar_one() == PaymentTime.BEFORE else None


async def wait(uow: UnitOfWork, row: Subscription) -> None:
    """Have what was just started wait for its first payment, if there is anything to pay. A trial waits for nothing."""
    if row.pay_until is None:
        return
    # What was to begin later may have begun late.
    row.pay_until = max(row.pay_until, uow.now.replace(microsecond=0) + PAY_WITHIN)
    found = (await uow.execute(_UNPAID, id=row.id)).one()
    if row.state == S.ACTIVE and found.unpaid:
        row.state, row.next_at = S.INCOMPLETE.value, row.pay_until
        row.version += 1
        _tell(uow, row, S.ACTIVE)
    else:
        row.pay_until = None
        await plan_credits.begin(uow, row)
    uow.add(row)
    await uow.session.flush()


async def settle(uow: UnitOfWork, invoice: Invoice) -> bool:
    """Begin what an invoice is for that was paid, if that waits for its first payment. Returns whether it begins.
    Called by what pays invoices."""
    waits = await uow.execute(
        "select from subscription where id = :id and state = 'incomplete'", id=invoice.subscription_id
    )
    row = await policies.subscription_paid_for(uow, invoice) if waits.first() is not None else None
    if row is None or row.state != S.INCOMPLETE:
        return False
    found = (await uow.execute(_UNPAID, id=row.id)).one()
    if found.unpaid or not found.paid:
        return False
    subscription_states.require_transition(S.INCOMPLETE, S.ACTIVE)
    held, now = await subscription_rows.load(uow, row)
    after = replace(now, state=S.ACTIVE, pay_until=None)
    row.pay_until = None
    await subscription_rows.keep(uow, held, after, next_at=next_moment(after))
    _tell(uow, row, S.INCOMPLETE)
    await plan_credits.begin(uow, row)
    return True


def _tell(uow: UnitOfWork, row: Subscription, before: SubscriptionState) -> None:
    uow.record(
        SubscriptionStateChanged(
            aggregate_id=row.id, organization_id=row.organization_id, before=before.value, after=row.state
        )
    )
