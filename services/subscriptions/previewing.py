"""What an act would come to: it is done, looked at, and undone. So what was shown is what will be billed.

Nothing stays: no number is taken, no event is told, and what it locked is let go. Who then agrees to a sum has the act
done for that sum, or not at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.billing import Invoice, InvoiceLine, InvoiceState
from models.money import Money
from models.subscriptions import Subscription
from services.billing import explaining, finalizing, policies, redemptions
from services.billing import queries as billing_queries
from services.billing.discounts import Redemption
from services.billing.events import InvoiceFinalized, SubscriptionBilled
from services.billing.explaining import Step
from services.billing.lines import LineKind
from services.billing.numbering import label_date
from services.billing.totals import Totals
from services.core.errors import Conflict, Invalid
from services.core.events import DomainEvent
from services.core.permissions import Capability
from services.core.work import UnitOfWork, undone
from services.subscriptions import billing as subscription_billing
from services.subscriptions import queries, subscriptions, unaddressed
from services.subscriptions import rows as subscription_rows
from services.subscriptions.queries import ScheduledChange
from services.subscriptions.rules import lapses, next_moment, turn
from services.subscriptions.subscribed import Source, Subscribed, Turn
from services.subscriptions.upcoming import MOMENTS_MAX, Upcoming, upcoming
from services.wallets.events import WalletGranted, WalletTakenBack

Act = Callable[[UnitOfWork], Awaitable[Subscription]]


class PreviewOutdated(Conflict):
    """What was agreed to is not what the act comes to now: a price, a tax rate or what was due has changed."""

    code = "preview_outdated"
    title = "It would cost something else by now"


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """Amounts in minor units. `steps` are the formulas that give `amount_minor`; their inputs are in `facts`."""

    description: str
    amount_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    period_start: datetime | None
    period_end: datetime | None
    facts: dict[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class PreviewInvoice:
    """A document that the act makes, in minor units; `billed_at` is when it is finalised, `waits` whether that is to
    come. `settled_minor` of `carried_minor` pays other open invoices, and the rest becomes a credit of the customer."""

    currency: str
    billed_at: datetime
    waits: bool
    lines: tuple[PreviewLine, ...]
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    credits_minor: int
    due_minor: int
    carried_minor: int
    settled_minor: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """`at` is the moment it is for: give it with the act, and it is billed as shown. `effective_at` is when the change
    counts. `invoices` are in order, the one that waits last. `included_minor` is what comes to the wallet at once of
    credits that plans include, below zero for what is taken back. `first_invoice` is the first on which it counts (see
    `next_invoice`), where the act makes none and that can be made by now. It `needs_profile` where it is a trial that
    is paused as it ends, unless somebody says to whom its invoices are addressed. `lapses` is the change that waited,
    and does not come if this is done."""

    at: datetime
    currency: str
    state: str
    effective_at: datetime
    invoices: tuple[PreviewInvoice, ...]
    upcoming: Upcoming | None
    included_minor: int = 0
    first_invoice: PreviewInvoice | None = None
    needs_profile: bool = False
    lapses: ScheduledChange | None = None

    @property
    def total_minor(self) -> int:
        """Of all documents, with tax: what is agreed to."""
        return sum(one.total_minor for one in self.invoices)


async def preview(uow: UnitOfWork, act: Act, *, of: str | None = None) -> Preview:
    """`of` names the subscription on which it acts, if there is one already. Raises what the act raises."""
    async with undone(uow) as events:
        before = await _with_what_waits(uow, of) if of is not None else None
        row = await act(uow)
        found = await _made(uow, events())
        at = uow.now.replace(microsecond=0)
        shown = Preview(
            at=at,
            currency=row.currency,
            state=row.state,
            effective_at=row.cancel_at or row.scheduled_at or max(row.started_at, at),
            invoices=tuple(found),
            upcoming=await upcoming(uow, row),
            included_minor=_included(events()),
            needs_profile=await unaddressed.needs_profile(uow, row.id),
            lapses=await _lapses(uow, row, before) if before is not None else None,
        )
        if found:
            return shown
        try:
            return replace(shown, first_invoice=await next_invoice(uow, row, counts_from=shown.effective_at))
        except (Conflict, Invalid):  # as without a billing profile: a trial may begin all the same
            return shown


async def _with_what_waits(uow: UnitOfWork, subscription_id: str) -> Subscribed | None:
    """As it stands before the act, if a change waits."""
    row = await policies.subscription_for(uow, subscription_id, Capability.SUBSCRIPTIONS_WRITE)
    return (await subscriptions.standing(uow, subscription_id))[2] if row.scheduled else None


async def _lapses(uow: UnitOfWork, row: Subscription, before: Subscribed) -> ScheduledChange | None:
    _, after = await subscription_rows.load(uow, row, lines=False)
    return await queries.waiting(uow, before) if lapses(before, after) else None


async def next_invoice(
    uow: UnitOfWork, row: Subscription, *, counts_from: datetime | None = None, coupon: str = ""
) -> PreviewInvoice | None:
    """The next invoice if nothing changes, or the first that charges time from `counts_from` on: with its coupons, with
    the tax of today, and without what will be used. None if none is made within MOMENTS_MAX.

    It is billed and undone. Called by verbs that were allowed to see the subscription, which is locked.
    """
    async with undone(uow):
        await uow.session.refresh(row)
        if coupon:
            await redemptions.take(uow, row, coupon)
        held, now = await subscription_rows.load(uow, row)
        for _ in range(MOMENTS_MAX):
            moment = next_moment(now)
            if moment is None:
                return None
            made = _without_usage(turn(now, moment))
            if not made.lines:
                now = made.subscribed
                continue
            draft = await subscription_billing.book(
                uow, held, now, made, Capability.SUBSCRIPTIONS_WRITE, at=moment
            )
            if draft is not None and _counts(made, counts_from):
                return replace(await document(uow, draft.id), billed_at=moment, waits=True)
            held, now = await subscription_rows.load(uow, row)
        return None


def _without_usage(made: Turn) -> Turn:
    """Nobody knows what will be used by then."""
    return replace(made, lines=tuple(one for one in made.lines if one.source is not Source.USAGE))


def _counts(made: Turn, since: datetime | None) -> bool:
    """Whether it charges time from `since` on; anything at all where that is not asked."""
    return since is None or any(
        one.source is Source.ONE_OFF
        or (one.line is not None and one.line.kind is LineKind.DEBIT and one.line.span.start >= since)
        for one in made.lines
    )


async def agreed(uow: UnitOfWork, act: Act, total_minor: int | None) -> Subscription:
    """Do what was previewed, for the sum that was agreed to; for whatever it comes to if that is None.

    Raises what the act raises, and PreviewOutdated, after which the work must not be committed.
    """
    before = len(uow.recorded)
    row = await act(uow)
    if total_minor is not None:
        made = sum(one.total_minor for one in await _made(uow, uow.recorded[before:]))
        if made != total_minor:
            raise PreviewOutdated(
                f"{Money(total_minor, row.currency).said()} was agreed to, and it comes to"
                f" {Money(made, row.currency).said()} by now. Nothing was done.",
                next_step="Look at the preview again.",
                total_minor=made,
            )
    return row


async def _made(uow: UnitOfWork, events: Sequence[DomainEvent]) -> list[PreviewInvoice]:
    """The documents that the act touched, by what it recorded."""
    seen = {
        event.invoice_id if isinstance(event, SubscriptionBilled) else event.aggregate_id: None
        for event in events
        if isinstance(event, SubscriptionBilled | InvoiceFinalized)
    }
    return [await document(uow, invoice_id) for invoice_id in seen]


def _included(events: Sequence[DomainEvent]) -> int:
    given = sum(event.minor for event in events if isinstance(event, WalletGranted))
    return given - sum(event.minor for event in events if isinstance(event, WalletTakenBack))


async def document(uow: UnitOfWork, invoice_id: str) -> PreviewInvoice:
    """As it was finalised, or would be now. Raises Forbidden and NotFound, and of a draft what finalising raises."""
    invoice = await policies.invoice_for(uow, invoice_id, Capability.SUBSCRIPTIONS_WRITE, lock=False)
    lines = await finalizing.lines_of(uow, invoice)
    if invoice.state == InvoiceState.DRAFT or invoice.number is None:
        return await _waiting(uow, invoice, lines)
    return PreviewInvoice(
        currency=invoice.currency,
        billed_at=invoice.finalized_at or uow.now,
        waits=False,
        lines=tuple(_line(line, line.discount_minor, line.net_minor, line.tax_minor) for line in lines),
        discount_minor=invoice.discount_minor,
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        total_minor=invoice.total_minor,
        credits_minor=invoice.paid_minor,
        due_minor=invoice.due_minor,
        carried_minor=max(-invoice.total_minor, 0),
        settled_minor=sum(
            one.minor
            for one in await billing_queries.credit_uses(uow, invoice)
            if one.source_id == invoice.id
        ),
    )


async def _waiting(uow: UnitOfWork, invoice: Invoice, lines: Sequence[InvoiceLine]) -> PreviewInvoice:
    """A draft, with the tax of today and the coupons as they work on what is on it by now."""
    entity = await policies.entity_for(uow, invoice.legal_entity_id, Capability.SUBSCRIPTIONS_WRITE)
    profile = await finalizing.required_profile(uow)
    on = label_date(uow.now, entity.timezone)
    row = await policies.subscription_paid_for(uow, invoice)
    working: list[Redemption] = []
    if row is not None:
        _, now = await subscription_rows.load(uow, row, lines=False)
        period = subscription_billing.period_of(now.calendar(), lines, invoice.collect_until)
        working, _ = await redemptions.working(uow, row, lines, period)
    totals: Totals = await finalizing.totals_of(uow, invoice, lines, entity, profile, on, working)
    by_key = {one.key: one for one in totals.lines}
    return PreviewInvoice(
        currency=invoice.currency,
        billed_at=invoice.collect_until,
        waits=True,
        lines=tuple(
            _line(
                line,
                by_key[line.id].discount.minor,
                by_key[line.id].taxed.net.minor,
                by_key[line.id].taxed.tax.minor,
            )
            for line in lines
        ),
        discount_minor=totals.discounted.minor,
        net_minor=totals.net.minor,
        tax_minor=totals.tax.minor,
        total_minor=totals.gross.minor,
        credits_minor=totals.from_notes.minor + totals.from_prepaid.minor,
        due_minor=totals.due.minor,
        carried_minor=totals.carried.minor,
    )


def _line(line: InvoiceLine, discount: int, net: int, tax: int) -> PreviewLine:
    _, steps = explaining.replay_amount(line.facts)
    return PreviewLine(
        line.description,
        line.amount_minor,
        discount,
        net,
        tax,
        line.period_start,
        line.period_end,
        line.facts,
        steps,
    )
