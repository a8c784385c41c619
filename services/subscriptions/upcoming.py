"""What a subscription is billed next if nothing changes. It is worked out as billing does it, by the same rules, and
nothing is written or locked: it is read whenever the subscription is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from models.billing import Invoice, InvoiceLine, LineOrigin
from models.subscriptions import Subscription, SubscriptionState
from services.billing import finalizing, invoices, policies, redemptions
from services.core.work import UnitOfWork
from services.subscriptions import billing as subscription_billing
from services.subscriptions import rows as subscription_rows
from services.subscriptions.rows import Held
from services.subscriptions.rules import next_moment, turn
from services.subscriptions.subscribed import Made, Source, Subscribed

MOMENTS_MAX = 40  # that are looked through for one that bills something


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next invoice: what its lines come to after coupons, as their prices are written. Without what will be used,
    and without tax that is added to prices."""

    at: datetime
    amount_minor: int


async def upcoming(uow: UnitOfWork, row: Subscription) -> Upcoming | None:
    """Of a subscription that the caller was let to; of one that waits for its first payment, what comes after that.
    None where nothing is billed unless somebody acts, as of a trial that is paused as it ends (`unaddressed`)."""
    draft = await policies.draft_of(uow, row, lock=False)
    plain = draft is None and row.scheduled_at is None and row.cancel_at is None
    held, now = await subscription_rows.load(uow, row, lines=not plain)
    if now.state is SubscriptionState.INCOMPLETE:
        now = replace(now, state=SubscriptionState.ACTIVE, pay_until=None)
    addressed = await policies.profile_of(uow) is not None
    for _ in range(MOMENTS_MAX):
        moment = next_moment(now)
        if draft is not None and (moment is None or draft.collect_until < moment):
            return await _sum(uow, held, now, draft, (), draft.collect_until)
        if moment is None:
            return None
        made = turn(now, moment, addressed=addressed)
        now = made.subscribed
        if made.lines or (draft is not None and now.state is SubscriptionState.ENDED):
            return await _sum(uow, held, now, draft, made.lines, moment)
    return None


async def _sum(
    uow: UnitOfWork, held: Held, now: Subscribed, draft: Invoice | None, made: Sequence[Made], at: datetime
) -> Upcoming:
    """What the draft that gathers its lines and what a moment makes come to together."""
    row = held.row
    waiting = await finalizing.lines_of(uow, draft) if draft is not None else []
    lines = [one for one in waiting if one.origin != LineOrigin.USAGE]
    for place, one in enumerate(made):
        if one.source is not Source.USAGE:  # nobody knows what will be used by then
            new = await subscription_billing.new_line(uow, held, one)
            values = invoices.line_values(
                new,
                place,
                invoice_id="",
                organization_id=row.organization_id,
                currency=row.currency,
                now=uow.now,
            )
            lines.append(InvoiceLine(**values))
    period = subscription_billing.period_of(now.calendar(), lines, at)
    taken = await redemptions.taken_off(uow, row, lines, period)
    return Upcoming(at, sum(line.amount_minor - line.billed_before_minor for line in lines) - taken.minor)
