"""Putting what a subscription's moments make on invoices. Called by verbs that were allowed what they do.

One draft at a time gathers lines of a subscription. A change that is billed at once finalises it; one that holds usage
waits for late events as long as the legal entity gives them; one that was told to wait is joined by the next renewal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from models.billing import Invoice, InvoiceLine, InvoiceState, LineOrigin
from models.subscriptions import Subscription, SubscriptionState
from services.billing import finalizing, invoices, issuers, plan_credits, policies, redemptions, usage_lines
from services.billing.changes import Billed
from services.billing.descriptions import ITEM
from services.billing.events import (
    SubscriptionBilled,
    SubscriptionEnded,
    SubscriptionStateChanged,
    SubscriptionTrialOver,
)
from services.billing.lines import LineKind
from services.billing.new_lines import NewLine, charged_line, item_line
from services.billing.periods import Calendar
from services.core.events import DomainEvent
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import first_payments
from services.subscriptions import rows as subscription_rows
from services.subscriptions import states as subscription_states
from services.subscriptions.rows import Held
from services.subscriptions.rules import next_moment, turn
from services.subscriptions.subscribed import Made, Source, Subscribed, Turn
from services.subscriptions.trials import tried

NOT_PAID = "Its first invoice was not paid in time."
MOMENTS_MAX = 400  # of one subscription in one unit of work: a year of days


async def catch_up(
    uow: UnitOfWork,
    row: Subscription,
    needs: Capability,
    *,
    most: int = MOMENTS_MAX,
    is_agreed: bool = False,
) -> int:
    """Do all that was to be done by now, moment by moment; `row` is locked. Returns how many moments there were. A
    trial that ends without a billing profile is paused, unless somebody has just agreed to be billed for it.

    Raises what billing raises: the caller parks the subscription, or tells whoever asked.
    """
    for done in range(most):
        held, now = await subscription_rows.load(uow, row)
        draft, moment = await policies.draft_of(uow, row), next_moment(now)
        over = draft.collect_until if draft is not None else None
        # A draft that waits for the renewal is joined by it, and finalised with it.
        if draft is not None and over is not None and over <= uow.now and (moment is None or over < moment):
            await finish(uow, row, now, draft, needs)
            await subscription_rows.keep(uow, held, now, next_at=moment or last_look(now))
        elif moment is not None and moment <= uow.now:
            addressed = is_agreed or await _is_addressed(uow, now)
            made = turn(now, moment, addressed=addressed)
            await book(uow, held, now, made, needs, at=moment, waits=True)
        elif draft is None and row.next_at is not None and (look := last_look(now)) and look <= uow.now:
            await _look_last(uow, held, now, needs)
        else:
            return done
        if row.next_at is None or row.next_at > uow.now:
            return done + 1  # what is written down says so: it need not be read again
    return most


async def _is_addressed(uow: UnitOfWork, now: Subscribed) -> bool:
    """Whether it is known to whom a trial's first invoice goes. Nobody asks of others: they are parked without that."""
    return now.state is not SubscriptionState.TRIALING or await policies.profile_of(uow) is not None


async def book(
    uow: UnitOfWork,
    held: Held,
    before: Subscribed,
    made: Turn,
    needs: Capability,
    *,
    at: datetime,
    waits: bool = False,
) -> Invoice | None:
    """Write what a turn came to: its lines on an invoice, and the subscription as it stands then.

    `waits` lets a document with usage wait for late events. Returns the draft, or what became of it.
    """
    row, after = held.row, made.subscribed
    there = draft = await policies.draft_of(uow, row)
    rows: list[InvoiceLine] = []
    ours, left = await _credit_elsewhere(uow, held, made, there, needs)
    ahead = await plan_credits.follow(uow, row, made.lines) if made.lines else None
    if left or ahead is not None:
        draft = there or await _new_draft(uow, row, needs, legal_entity_id=ours)
        lines = [await new_line(uow, held, one) for one in left]
        if ahead is not None:
            lines.append(ahead)
        rows = await invoices.add_to(uow, draft, lines)
        held.line_ids |= {one.key: one.id for one in rows}
        uow.record(SubscriptionBilled(**_named(row), invoice_id=draft.id, lines=len(rows)))
    ended = after.state is SubscriptionState.ENDED
    if draft is not None and (made.lines or ended) and made.billed is not Billed.RENEWAL:
        lines = rows if there is None else None
        draft = await _collect(uow, row, made, draft, needs, at=at, waits=waits, lines=lines)
    if ended and before.state in subscription_states.UNBEGUN:
        await _void_unpaid(uow, row, needs)
    for event in told(row, before.state, after.state):
        uow.record(event)
    waiting = draft is not None and draft.state == InvoiceState.DRAFT
    coming = next_moment(after) or last_look(after)
    moments = [coming, draft.collect_until if draft is not None and waiting else None]
    next_at = min((one for one in moments if one is not None), default=None)
    row.invoices += there is None and draft is not None
    row.tried = tried(row.tried, after, at)
    await subscription_rows.keep(uow, held, after, next_at=next_at)
    if (
        before.state is SubscriptionState.SCHEDULED
        and after.state not in subscription_states.UNBEGUN
        and not ended
    ):
        await first_payments.wait(uow, row)
    return draft


async def _credit_elsewhere(
    uow: UnitOfWork, held: Held, made: Turn, there: Invoice | None, needs: Capability
) -> tuple[str | None, Sequence[Made]]:
    """Have what another legal entity billed be credited by that one, at once and on a document of its own: the tax of
    it is that entity's. Returns who bills now, where that had to be asked, and the other lines."""
    sources = {
        one.key: held.billed[one.line.source].legal_entity_id
        for one in made.lines
        if one.line is not None and one.line.source in held.billed
    }
    if not sources:
        return None, made.lines
    row = held.row
    ours = there.legal_entity_id if there else (await issuers.billing_entity(uow, needs=needs)).id
    others = sorted(set(sources.values()) - {ours})
    await _set_aside(uow, there if others else None)  # a subscription has one draft at a time
    for entity_id in others:
        lines = [one for one in made.lines if sources.get(one.key) == entity_id]
        draft = await _new_draft(uow, row, needs, legal_entity_id=entity_id)
        rows = await invoices.add_to(uow, draft, [await new_line(uow, held, one) for one in lines])
        held.line_ids |= {one.key: one.id for one in rows}
        row.invoices += 1
        uow.record(SubscriptionBilled(**_named(row), invoice_id=draft.id, lines=len(rows)))
        await finish(uow, row, made.subscribed, draft, needs, lines=rows, takes_late=False)
    await _set_aside(uow, there if others else None, until=row.id)
    return ours, [one for one in made.lines if sources.get(one.key, ours) == ours]


async def _set_aside(uow: UnitOfWork, draft: Invoice | None, *, until: str | None = None) -> None:
    """Have a draft be nobody's, `until` it is that subscription's again."""
    if draft is not None:
        draft.subscription_id = until
        uow.add(draft)
        await uow.session.flush()


async def _void_unpaid(uow: UnitOfWork, row: Subscription, needs: Capability) -> None:
    """What asked for the first payment is void, and the coupons that it took may be taken by somebody else."""
    unpaid = await uow.execute(
        "select id from invoice where subscription_id = :id and state = 'finalized' order by id", id=row.id
    )
    for invoice_id in list(unpaid.scalars()):
        await invoices.void(uow, invoice_id, reason=NOT_PAID, needs=needs)
    await redemptions.let_go(uow, row)


def last_look(now: Subscribed) -> datetime | None:
    """When what came in late of one that has ended is billed: nothing comes after that would take it along."""
    if now.ended_at is None or now.ended_at <= now.started_at:
        return None
    metered = any(item.price.charge.meter is not None for item in now.items)
    return now.ended_at + usage_lines.LATE_MAX if metered else None


async def _look_last(uow: UnitOfWork, held: Held, now: Subscribed, needs: Capability) -> None:
    """Bill what came in late, if anything did, and be done with it."""
    ended_at = now.ended_at or uow.now
    late = await usage_lines.late_lines(uow, held.row, since=ended_at - usage_lines.LATE_MAX)
    if late:
        draft = await _new_draft(uow, held.row, needs)
        await invoices.add_to(uow, draft, late)
        await finish(uow, held.row, now, draft, needs)
        held.row.invoices += 1
        uow.record(SubscriptionBilled(**_named(held.row), invoice_id=draft.id, lines=len(late)))
    await subscription_rows.keep(uow, held, now, next_at=None)


async def _collect(
    uow: UnitOfWork,
    row: Subscription,
    made: Turn,
    draft: Invoice,
    needs: Capability,
    *,
    at: datetime,
    waits: bool,
    lines: list[InvoiceLine] | None,
) -> Invoice:
    """Finalise a draft at once, or say until when it waits. `lines` are all that it has, where that is known."""
    if made.billed is Billed.NEXT_INVOICE:
        draft.collect_until = made.subscribed.period_end(at)
    elif waits and any(one.source is Source.USAGE for one in made.lines):
        entity = await policies.entity_for(uow, draft.legal_entity_id, needs)
        draft.collect_until = uow.now + timedelta(hours=entity.grace_hours)
    else:
        draft.collect_until = uow.now
    uow.add(draft)
    if draft.collect_until <= uow.now:
        return await finish(uow, row, made.subscribed, draft, needs, lines=lines)
    return draft


async def finish(
    uow: UnitOfWork,
    row: Subscription,
    now: Subscribed,
    draft: Invoice,
    needs: Capability,
    *,
    lines: list[InvoiceLine] | None = None,
    takes_late: bool = True,
) -> Invoice:
    """Finalise the draft of a subscription, with usage as it is known by now and its coupons. `lines` are all that it
    has; they are read where nobody knows them. One that `takes_late` has what came in late of earlier periods, too."""
    lines = lines or await finalizing.lines_of(uow, draft)
    await usage_lines.count_again(uow, row.id, lines)
    if takes_late and any(item.price.charge.meter is not None for item in now.items):
        late = await usage_lines.late_lines(uow, row)
        if await invoices.add_to(uow, draft, late):
            lines = await finalizing.lines_of(uow, draft)
    period = period_of(now.calendar(), lines, uow.now)
    working, given = await redemptions.working(uow, row, lines, period)
    made = await finalizing.finalize_draft(uow, draft, lines, working, needs)
    if made.number is not None:
        await redemptions.keep_uses(uow, made, period, given)
    return made


def period_of(calendar: Calendar, lines: Sequence[InvoiceLine], now: datetime) -> datetime:
    """When the billing period began that a document is for: the latest that it charges anything in."""
    began = [
        line.period_start
        for line in lines
        if line.period_start and line.amount_minor >= 0 and line.origin == LineOrigin.SUBSCRIPTION
    ]
    return calendar.period_at(max(began, default=now)).start


async def _new_draft(
    uow: UnitOfWork, row: Subscription, needs: Capability, *, legal_entity_id: str | None = None
) -> Invoice:
    """The caller counts it, where it writes what else has become of the subscription."""
    return await invoices.create_draft(
        uow,
        key=f"{row.id}.{row.invoices + 1}",
        currency=row.currency,
        subscription_id=row.id,
        legal_entity_id=legal_entity_id,
        needs=needs,
    )


def told(row: Subscription, before: SubscriptionState, after: SubscriptionState) -> list[DomainEvent]:
    """Of states that time alone changes; verbs tell of what they do themselves."""
    if before is not SubscriptionState.ENDED and after is SubscriptionState.ENDED:
        return [SubscriptionEnded(**_named(row), reason=row.cancel_reason or "")]
    if (before, after) == (SubscriptionState.TRIALING, SubscriptionState.PAUSED):
        return [SubscriptionTrialOver(**_named(row))]
    begins = before is SubscriptionState.SCHEDULED and after is not before
    if begins or (before, after) == (SubscriptionState.TRIALING, SubscriptionState.ACTIVE):
        return [SubscriptionStateChanged(**_named(row), before=before.value, after=after.value)]
    return []


def _named(row: Subscription) -> dict[str, str]:
    return {"aggregate_id": row.id, "organization_id": row.organization_id}


# -- lines


async def new_line(uow: UnitOfWork, held: Held, made: Made) -> NewLine:
    """What a moment made, as it is put on a draft."""
    if made.line is None and made.span is not None:
        more = _more(made) | {"inclusive": made.item.price.charge.tax_inclusive}
        return await usage_lines.usage_line(uow, held.row.id, made, made.item.price.charge.name, more)
    # What credits a line that was billed is taxed as that was; on one draft together they are taxed together.
    source = held.billed.get(made.line.source) if made.line is not None else None
    return known_line(made, treatment=source.treatment if source is not None else None)


def known_line(made: Made, *, treatment: dict[str, Any] | None = None) -> NewLine:
    """What a moment made of time or once, where nothing has to be counted. Pure."""
    item = made.item
    name = item.price.charge.name
    if made.line is not None:
        # The item has the new price by then, and a credit is of the old one: of what was debited, not of a price.
        rated = item.price.rated(made.line.terms.quantity) if made.line.kind is LineKind.DEBIT else None
        return item_line(
            ITEM[made.line.kind] + name, made.line, rated=rated, treatment=treatment, **_more(made)
        )
    return charged_line(
        LineOrigin.ONE_OFF,
        name,
        item.price.charge.charge,
        item.quantity,
        item.price.charge.currency,
        inclusive=item.price.charge.tax_inclusive,
        **_more(made),
    )


def _more(made: Made) -> dict[str, Any]:
    return {"key": made.key, "plan": made.item.price.plan_id, "tax_code": made.item.price.tax_code}
