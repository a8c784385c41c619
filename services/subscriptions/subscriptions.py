"""What people do with subscriptions: start, change, pause, cancel, take coupons. Each act first does what was due.

All verbs are of the organisation that the work is bound to, by its own clock. They lock the subscription, so that two
at once come one after the other. What an act would come to is shown by services/subscriptions/previewing.py, which
does it and undoes it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from models.subscriptions import CancelReason, Collection, Subscription, SubscriptionState
from models.terms import Occasion
from models.types import ProrationBehaviour
from services.billing import invoices, policies, redemptions
from services.billing.changes import Billed
from services.billing.events import (
    SubscriptionCanceled,
    SubscriptionChangeCanceled,
    SubscriptionChanged,
    SubscriptionChangeScheduled,
    SubscriptionPaused,
    SubscriptionReactivated,
    SubscriptionResumed,
    SubscriptionStarted,
)
from services.catalog.plan_rules import require_trial_days
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks
from services.identity.rules import clean_text, require_currency
from services.subscriptions import billing as subscription_billing
from services.subscriptions import changes as subscription_changes
from services.subscriptions import (
    first_payments,
    moments,
    net_prices,
    payment_terms,
    rules,
    selecting,
    states,
    trial_terms,
    trials,
)
from services.subscriptions import policies as subscription_policies
from services.subscriptions import rows as subscription_rows
from services.subscriptions.arranging import AS_SOLD, Arrangement
from services.subscriptions.rows import Held
from services.subscriptions.selecting import Wanted
from services.subscriptions.subscribed import Change, Subscribed, Turn
from services.terms import service as terms

WRITE = Capability.SUBSCRIPTIONS_WRITE
S = SubscriptionState
SUBSCRIPTIONS_MAX = 1_000  # of one organisation that have not ended
COMMENT_CHARACTERS_MAX = 1_000


class SubscriptionsFull(Conflict):
    """The organisation has as many subscriptions as it may."""

    code = "too_many_subscriptions"
    title = "No more subscriptions"


class MoveWaits(Conflict):
    """What waits is no choice of the organisation's, so it cannot take it back."""

    code = "move_waits"
    title = "The move to new prices cannot be taken back"


async def start(
    uow: UnitOfWork,
    wanted: Wanted,
    *,
    key: str,
    coupon: str = "",
    arranged: Arrangement = AS_SOLD,
) -> Subscription:
    """Subscribe to a plan, as it is sold or as staff has `arranged`. The same key is the subscription that is there.

    Raises Forbidden, NotFound, Invalid, and what the first invoice raises.
    """
    uow.actor.require(WRITE)
    clocks.require_still(uow)
    invoices.require_key(key)
    if (there := await _known(uow, key)) is not None:
        return await policies.subscription_for(uow, there, WRITE)
    if arranged != AS_SOLD:
        uow.actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    if arranged.trial_days is not None:
        require_trial_days(arranged.trial_days)
    await _require_room(uow)
    await terms.accept(uow, Occasion.SUBSCRIBING)
    wanted = replace(wanted, currency=require_currency(wanted.currency, on=uow.now.date()))
    selection = await selecting.select(uow, wanted, plan_version=arranged.plan_version)
    organization = await policies.organization_of(uow)
    at = moments.start(uow, arranged.started_at)
    days = arranged.trial_days
    if days is None:
        days = await trial_terms.days(uow, selection.version_id)
    now = rules.start(
        new_id("sub"),
        selection,
        at=at,
        timezone=organization.timezone,
        trial_end=at + timedelta(days=days) if days else None,
        anchor=moments.near(arranged.anchor, at, "anchor") if arranged.anchor is not None else None,
    )
    is_later = at > uow.now
    if is_later:
        now = rules.begins_later(now)
    row = _row(uow, now, key)
    payment_terms.set_terms(row, arranged.collection or Collection.CHARGE, arranged.payment_days)
    if row.collection == Collection.CHARGE and (arranged.started_at is None or is_later):
        row.pay_until = await first_payments.pay_until(uow, row.plan_version_id, at)
    row.tried = trials.tried([], now, at)
    held = Held(row, {}, {}, {})
    await subscription_rows.keep(uow, held, now, next_at=rules.next_moment(now))
    uow.record(
        SubscriptionStarted(
            aggregate_id=row.id, organization_id=row.organization_id, plan_id=row.plan_id, state=row.state
        )
    )
    if coupon:
        await redemptions.take(uow, row, coupon)
    await subscription_billing.catch_up(uow, row, WRITE, is_agreed=True)
    if not is_later:
        await first_payments.wait(uow, row)
    return row


async def change(
    uow: UnitOfWork,
    subscription_id: str,
    wanted: Wanted,
    *,
    behaviour: ProrationBehaviour | None = None,
    at: datetime | None = None,
) -> Subscription:
    """Have it consist of other prices, quantities or add-ons: more at once and less from the next period on, unless
    asked otherwise. `at` is the moment that a preview was for, as long as that holds. What is had before it is billed
    is for staff to give. Raises Forbidden, NotFound, Invalid, SubscriptionStateConflict, and what an invoice raises.
    """
    subscription_policies.require_behaviour(uow.actor, behaviour)
    row, held, now = await standing(uow, subscription_id)
    selection = await selecting.select(uow, wanted, standing=now)
    moment = moments.agreed(uow, at)
    tried_until = await trial_terms.until(uow, now, selection)
    made = subscription_changes.change(
        now,
        selection,
        at=moment,
        behaviour=behaviour,
        trial_until=tried_until,
        net_shares=await net_prices.shares(uow, now, selection),
    )
    made = await _moved_all_the_same(uow, wanted, now, made, moment)
    named = {"aggregate_id": row.id, "organization_id": row.organization_id}
    if made.behaviour is ProrationBehaviour.NEXT_PERIOD:
        uow.record(
            SubscriptionChangeScheduled(
                **named, plan_id=selection.plan_id, effective_at=made.effective_at.isoformat()
            )
        )
    else:
        uow.record(
            SubscriptionChanged(
                **named,
                plan_id=selection.plan_id,
                direction=made.direction.value,
                behaviour=made.behaviour.value,
            )
        )
    await subscription_billing.book(uow, held, now, made.turn, WRITE, at=moment)
    if row.next_at is not None and row.next_at <= uow.now:  # a trial ended with it
        await subscription_billing.catch_up(uow, row, WRITE, is_agreed=True)
    return row


async def _moved_all_the_same(
    uow: UnitOfWork, wanted: Wanted, now: Subscribed, made: Change, moment: datetime
) -> Change:
    """Where staff moves it to a newer version of its plan with the next period, other seats or add-ons move, too."""
    waits = now.scheduled
    if waits is None or not waits.moved_by or wanted.plan_id != waits.plan_id:
        return made
    moved = await selecting.select(uow, wanted, standing=replace(now, version_id=waits.version_id))
    after = made.turn.subscribed
    after = replace(
        after,
        scheduled=replace(moved, moved_by=waits.moved_by),
        scheduled_at=_not_before(now.scheduled_at, after, moment),
    )
    return replace(made, turn=replace(made.turn, subscribed=after))


def _not_before(waits_until: datetime | None, after: Subscribed, moment: datetime) -> datetime:
    """The end of the first period that does not end before the notice that was given has passed."""
    at = after.period_end(moment)
    while waits_until is not None and at < waits_until:
        at = after.period_end(at)
    return at


async def unschedule(uow: UnitOfWork, subscription_id: str) -> Subscription:
    """Let the change that waits not come. Raises Forbidden, NotFound and SubscriptionStateConflict."""
    row, held, now = await standing(uow, subscription_id)
    if now.scheduled is None:
        raise states.refused(now.state, "has no change that waits")
    if now.scheduled.moved_by and not uow.actor.may(Capability.STAFF_SUBSCRIPTIONS_WRITE):
        raise MoveWaits(
            "The new prices of this plan come with the next period.",
            next_step="Choose another plan, or cancel it.",
        )
    after = replace(now, scheduled=None, scheduled_at=None)
    uow.record(SubscriptionChangeCanceled(aggregate_id=row.id, organization_id=row.organization_id))
    await _keep(uow, held, now, after)
    return row


async def cancel(
    uow: UnitOfWork,
    subscription_id: str,
    *,
    now_at_once: bool = False,
    cancel_at: datetime | None = None,
    reason: CancelReason = CancelReason.OTHER,
    comment: str = "",
    credits_unused: bool = True,
    at: datetime | None = None,
) -> Subscription:
    """End it when the period that was paid for is over, at `cancel_at`, or at once; then what was paid for longer is
    credited unless asked otherwise. Raises Forbidden, NotFound, Invalid and SubscriptionStateConflict.
    """
    row, held, now = await standing(uow, subscription_id)
    row.cancel_reason, row.cancel_comment = reason.value, _comment(comment)
    row.canceled_at = uow.now
    moment = moments.agreed(uow, at)
    if now_at_once or now.state is S.PAUSED or now.state in states.UNBEGUN:
        unbegun = now.state in states.UNBEGUN
        made = (
            rules.give_up(now, moment) if unbegun else rules.end(now, moment, credits_unused=credits_unused)
        )
        await subscription_billing.book(uow, held, now, made, WRITE, at=moment)
        return row
    ends = moments.near(cancel_at, uow.now, "cancel_at") if cancel_at is not None else now.period_end(uow.now)
    if ends <= uow.now:
        raise Invalid("Choose a time to come, or end it at once.", field="cancel_at")
    after = rules.cancel(now, ends)
    uow.record(
        SubscriptionCanceled(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            cancel_at=ends.isoformat(),
            reason=reason.value,
        )
    )
    await _keep(uow, held, now, after)
    return row


async def reactivate(uow: UnitOfWork, subscription_id: str) -> Subscription:
    """Let one go on that was cancelled and has not ended, and a change that waits come after all. Raises Forbidden,
    NotFound, SubscriptionStateConflict."""
    row, held, now = await standing(uow, subscription_id)
    after = rules.reactivate(now, uow.now)
    row.cancel_reason = row.cancel_comment = row.canceled_at = None
    uow.record(SubscriptionReactivated(aggregate_id=row.id, organization_id=row.organization_id))
    await _keep(uow, held, now, after)
    return row


async def pause(
    uow: UnitOfWork, subscription_id: str, *, resume_at: datetime | None = None, at: datetime | None = None
) -> Subscription:
    """Give and bill nothing until it is resumed, or until `resume_at`. What was paid for longer is credited with the
    next invoice, and a change that waits will not come. Raises Forbidden, NotFound, Invalid and
    SubscriptionStateConflict."""
    row, held, now = await standing(uow, subscription_id)
    moment = moments.agreed(uow, at)
    until = moments.near(resume_at, uow.now, "resume_at") if resume_at is not None else None
    if until is not None and until <= uow.now:
        raise Invalid("Choose a time to come.", field="resume_at")
    made = rules.pause(now, moment, resume_at=until)
    if rules.lapses(now, made.subscribed):
        uow.record(SubscriptionChangeCanceled(aggregate_id=row.id, organization_id=row.organization_id))
    uow.record(
        SubscriptionPaused(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            resume_at=until.isoformat() if until else "",
        )
    )
    await subscription_billing.book(uow, held, now, made, WRITE, at=moment)
    return row


async def resume(uow: UnitOfWork, subscription_id: str, *, at: datetime | None = None) -> Subscription:
    """Go on now: the rest of the period that is passing is billed. Raises Forbidden, NotFound and
    SubscriptionStateConflict."""
    row, held, now = await standing(uow, subscription_id)
    moment = moments.agreed(uow, at)
    made = rules.resume(now, moment)
    uow.record(SubscriptionResumed(aggregate_id=row.id, organization_id=row.organization_id))
    await subscription_billing.book(uow, held, now, made, WRITE, at=moment)
    return row


async def take_coupon(uow: UnitOfWork, subscription_id: str, code: str) -> Subscription:
    """Have a coupon work from the next invoice on. Raises Forbidden, NotFound, Invalid, CouponTakenAlready, and
    SubscriptionStateConflict."""
    row, _, now = await standing(uow, subscription_id)
    states.require_changes(now.state)
    await redemptions.take(uow, row, code)
    return row


async def take_coupon_off(uow: UnitOfWork, subscription_id: str, redemption_id: str) -> None:
    """Raises Forbidden and NotFound."""
    row, _, _ = await standing(uow, subscription_id)
    await redemptions.take_off(uow, row, redemption_id)


async def standing(uow: UnitOfWork, subscription_id: str) -> tuple[Subscription, Held, Subscribed]:
    """The subscription, locked, after all that was due by now. Raises Conflict while its clock is turned."""
    clocks.require_still_for_people(uow)
    row = await policies.subscription_for(uow, subscription_id, WRITE)
    if row.next_at is not None and row.next_at <= uow.now:
        await subscription_billing.catch_up(uow, row, WRITE)
    held, now = await subscription_rows.load(uow, row)
    return row, held, now


async def _keep(uow: UnitOfWork, held: Held, before: Subscribed, after: Subscribed) -> None:
    made = Turn(after, (), Billed.RENEWAL)
    await subscription_billing.book(uow, held, before, made, WRITE, at=uow.now)


async def _known(uow: UnitOfWork, key: str) -> str | None:
    """The subscription that was started by this key."""
    found = await uow.execute(
        "select id from subscription where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    return found.scalar_one_or_none()


def _row(uow: UnitOfWork, now: Subscribed, key: str) -> Subscription:
    return Subscription(
        id=now.id,
        organization_id=uow.organization_id,
        key=key,
        state=now.state.value,
        plan_id=now.plan_id,
        plan_version_id=now.version_id,
        currency=now.currency,
        interval=now.length.interval.value,
        interval_count=now.length.count,
        timezone=now.timezone,
        anchor=now.anchor,
        started_at=now.started_at,
        trial_end=now.trial_end,
        created_by=uow.actor.id,
        created_at=uow.now,
        version=0,
    )


def _comment(text: str) -> str | None:
    if not text.strip():
        return None
    return clean_text(text, field="comment", what="The comment", characters_max=COMMENT_CHARACTERS_MAX)


async def _require_room(uow: UnitOfWork) -> None:
    found = await uow.execute(
        "select count(*) from subscription where organization_id = :organization_id and state <> 'ended'",
        organization_id=uow.organization_id,
    )
    if found.scalar_one() >= SUBSCRIPTIONS_MAX:
        raise SubscriptionsFull(
            f"At most {SUBSCRIPTIONS_MAX:,} subscriptions run at once.", next_step="End one of them."
        )
