"""What happens to documents, to those who issue them, and to what they are made by.

Amounts are minor units of the `currency` beside them.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class InvoiceDrafted(DomainEvent):
    type: ClassVar[str] = "invoice.drafted"
    currency: str


class InvoiceLinesAdded(DomainEvent):
    type: ClassVar[str] = "invoice.lines_added"
    currency: str
    lines: int


class InvoiceLineRemoved(DomainEvent):
    type: ClassVar[str] = "invoice.line_removed"
    currency: str
    line_id: str


class InvoiceDropped(DomainEvent):
    """A draft ended without a number: given up, or with nothing to ask for."""

    type: ClassVar[str] = "invoice.dropped"
    currency: str


class InvoiceFinalized(DomainEvent):
    type: ClassVar[str] = "invoice.finalized"
    currency: str
    number: str
    total_minor: int
    due_minor: int


class InvoicePaid(DomainEvent):
    """Nothing of it is due any more: paid by credits, or taken back by credit notes before it was."""

    type: ClassVar[str] = "invoice.paid"
    currency: str
    number: str


class InvoiceVoided(DomainEvent):
    type: ClassVar[str] = "invoice.voided"
    currency: str
    number: str
    reason: str


class InvoiceUncollectible(DomainEvent):
    type: ClassVar[str] = "invoice.marked_uncollectible"
    currency: str
    number: str
    written_off_minor: int


class InvoiceReopened(DomainEvent):
    """`minor` of what had paid it was taken back by a bank."""

    type: ClassVar[str] = "invoice.reopened"
    currency: str
    number: str
    minor: int


class CreditNoteIssued(DomainEvent):
    type: ClassVar[str] = "credit_note.issued"
    currency: str
    invoice_id: str
    number: str
    total_minor: int


class LegalEntityAdded(DomainEvent):
    type: ClassVar[str] = "legal_entity.added"
    code: str


class LegalEntityChanged(DomainEvent):
    type: ClassVar[str] = "legal_entity.changed"
    changed: list[str]


class BrandAdded(DomainEvent):
    """One more name that a legal entity issues documents under. `aggregate_id` is the brand, here and below."""

    type: ClassVar[str] = "brand.added"
    legal_entity_id: str
    code: str


class BrandChanged(DomainEvent):
    type: ClassVar[str] = "brand.changed"
    changed: list[str]


class BrandArchived(DomainEvent):
    type: ClassVar[str] = "brand.archived"
    code: str


class BrandRestored(DomainEvent):
    type: ClassVar[str] = "brand.restored"
    code: str


class TaxRateAdded(DomainEvent):
    type: ClassVar[str] = "tax_rate.added"
    jurisdiction: str
    name: str
    rate: str


class TaxRateEnded(DomainEvent):
    """It is not valid on the day `valid_until`, nor after it."""

    type: ClassVar[str] = "tax_rate.ended"
    jurisdiction: str
    name: str
    valid_until: str


class BillingProfileChanged(DomainEvent):
    """Which parts, never what they say: they are personal."""

    type: ClassVar[str] = "billing_profile.changed"
    changed: list[str]


class TaxNumberChecked(DomainEvent):
    """What was found of a customer's tax number, by whom, under which reference; and why a person said so."""

    type: ClassVar[str] = "billing_profile.tax_number_checked"
    state: str
    source: str
    reference: str
    reason: str


class SubscriptionStarted(DomainEvent):
    type: ClassVar[str] = "subscription.started"
    plan_id: str
    state: str


class SubscriptionChanged(DomainEvent):
    """Its plan, quantities or add-ons are others from now on."""

    type: ClassVar[str] = "subscription.changed"
    plan_id: str
    direction: str
    behaviour: str


class SubscriptionMoved(DomainEvent):
    """Staff moved it to a newer version of its plan, from `effective_at` on."""

    type: ClassVar[str] = "subscription.moved"
    plan_id: str
    migration_id: str
    direction: str
    effective_at: str


class PlanMigrationStarted(DomainEvent):
    """All who have a version of a plan are to be moved to a newer one."""

    type: ClassVar[str] = "plan_migration.started"
    plan_id: str
    from_number: int
    to_number: int
    behaviour: str


class SubscriptionChangeScheduled(DomainEvent):
    type: ClassVar[str] = "subscription.change_scheduled"
    plan_id: str
    effective_at: str


class SubscriptionChangeCanceled(DomainEvent):
    """What was scheduled will not come."""

    type: ClassVar[str] = "subscription.change_canceled"


class SubscriptionStateChanged(DomainEvent):
    """By the passing of time: a trial ended, or an invoice is overdue or was paid."""

    type: ClassVar[str] = "subscription.state_changed"
    before: str
    after: str


class SubscriptionTrialEnding(DomainEvent):
    """Its trial ends soon. It is told twice, `last` the second time. `missing` is a billing profile, without which it
    is paused, a kept method to pay with, or both."""

    type: ClassVar[str] = "subscription.trial_ending"
    trial_end: str
    last: bool
    missing: list[str]


class SubscriptionTrialOver(DomainEvent):
    """Its trial has ended without a billing profile: it is paused until there is one."""

    type: ClassVar[str] = "subscription.trial_over"


class SubscriptionCanceled(DomainEvent):
    """It will end; what was said of it is personal and kept with the subscription."""

    type: ClassVar[str] = "subscription.canceled"
    cancel_at: str
    reason: str


class SubscriptionOfferAccepted(DomainEvent):
    """Somebody who was about to cancel took the coupon that was offered, and stays."""

    type: ClassVar[str] = "subscription.offer_accepted"
    coupon: str


class SubscriptionCollectionChanged(DomainEvent):
    """Its invoices are charged by themselves, or sent with days to pay them in."""

    type: ClassVar[str] = "subscription.collection_changed"
    collection: str
    payment_days: int | None


class SubscriptionReactivated(DomainEvent):
    type: ClassVar[str] = "subscription.reactivated"


class SubscriptionPaused(DomainEvent):
    type: ClassVar[str] = "subscription.paused"
    resume_at: str


class SubscriptionResumed(DomainEvent):
    type: ClassVar[str] = "subscription.resumed"


class SubscriptionEnded(DomainEvent):
    type: ClassVar[str] = "subscription.ended"
    reason: str


class SubscriptionBilled(DomainEvent):
    """Lines of a moment were put on an invoice."""

    type: ClassVar[str] = "subscription.billed"
    invoice_id: str
    lines: int


class SubscriptionParked(DomainEvent):
    """It could not be billed. Others are; this one is tried again."""

    type: ClassVar[str] = "subscription.parked"
    reason: str


class SubscriptionRetryAsked(DomainEvent):
    """Staff wants one that is parked to be tried again at once."""

    type: ClassVar[str] = "subscription.retry_asked"


class UsageBilled(DomainEvent):
    """What was used in a month by the price list was put on an invoice."""

    type: ClassVar[str] = "usage.billed"
    invoice_id: str
    lines: int
    period_start: datetime
    period_end: datetime


class UsageParked(DomainEvent):
    """The usage of a month could not be billed. Others are; it is tried again."""

    type: ClassVar[str] = "usage.parked"
    reason: str


class UsageRetryAsked(DomainEvent):
    """Staff wants the parked usage of a month to be tried again at once."""

    type: ClassVar[str] = "usage.retry_asked"


class CouponTaken(DomainEvent):
    type: ClassVar[str] = "subscription.coupon_taken"
    coupon: str


class CouponRemoved(DomainEvent):
    type: ClassVar[str] = "subscription.coupon_removed"
    coupon: str
