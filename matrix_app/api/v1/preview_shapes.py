"""What an act of a subscription would come to, as callers get it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from matrix_app.api.v1.invoices import UNIT
from matrix_app.api.v1.shape import Exact, Shown
from models.plans import ChargeKind, ChargeTiming
from models.subscriptions import SubscriptionState
from models.types import BillingInterval
from services.billing.discounts import Duration

Minor = Annotated[int, Field(description="In minor units of the currency")]


class UpcomingShown(Shown):
    """The next invoice if nothing changes, worked out as it will be billed. Of a subscription that waits for its first
    payment, the one after that."""

    at: AwareDatetime
    amount_minor: int = Field(
        description="After coupons, as prices are written: without what will be used, and without tax that is added"
    )


class PreviewStepShown(Shown):
    name: str
    formula: str = Field(description="Of exact numbers in major units", examples=["60 × 15 / 30"])
    amount: str = Field(description="Before rounding; a fraction where decimals do not end")
    unit: str = Field("", description=UNIT)


class PreviewLineShown(Shown):
    description: str
    amount_minor: int = Field(description="Of the whole line, rounded once, half away from zero")
    discount_minor: Minor
    net_minor: Minor
    tax_minor: Minor
    period_start: AwareDatetime | None
    period_end: AwareDatetime | None = Field(description="Left out of the period")
    facts: dict[str, Any] = Field(description="What the line is made of")
    steps: list[PreviewStepShown]


class PreviewInvoiceShown(Shown):
    """net + tax = total; due = total - what credits pay. Below zero `carried_minor` becomes a credit, which first pays
    what is open."""

    currency: str
    billed_at: AwareDatetime = Field(description="When it is finalised")
    waits: bool = Field(description="Whether that is to come: it is joined by what is billed until then")
    lines: list[PreviewLineShown]
    discount_minor: Minor
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    credits_minor: Minor
    due_minor: Minor
    carried_minor: Minor
    settled_minor: int = Field(description="What of `carried_minor` pays other open invoices at once")


class ItemShown(Shown):
    key: str
    name: str
    kind: ChargeKind
    timing: ChargeTiming
    plan_id: str
    addon: bool
    price_id: str
    quantity: Exact
    quantity_min: Exact
    quantity_max: Exact | None
    amount_minor: int | None = Field(
        description="Of a whole period, or once where it has none; null where usage decides"
    )
    interval: BillingInterval | None
    interval_count: int
    billed_until: AwareDatetime | None


class ScheduledShown(Shown):
    at: AwareDatetime
    plan_id: str
    plan_name: str
    interval: BillingInterval
    interval_count: int
    items: list[ItemShown]
    by_staff: bool = Field(
        description="It is moved to a newer version of its plan, which it cannot take back"
    )


class PreviewShown(Shown):
    """Nothing was done. Send `at` and `total_minor` (as `agreed_minor`) with the act."""

    at: AwareDatetime
    currency: str
    state: SubscriptionState = Field(description="In which it would be")
    effective_at: AwareDatetime = Field(description="When the change counts")
    total_minor: int = Field(description="Of all invoices, with tax")
    invoices: list[PreviewInvoiceShown]
    upcoming: UpcomingShown | None
    first_invoice: PreviewInvoiceShown | None = Field(
        description="Where the act makes no invoice: the first on which it counts, with coupons and the tax of today,"
        " without what will be used",
    )
    needs_profile: bool = Field(
        description="It is a trial, and without a billing profile it is paused as that ends: nothing is upcoming"
    )
    included_minor: int = Field(
        description="Credits that plans include: what comes to the wallet at once; below zero it is taken back"
    )
    lapses: ScheduledShown | None = Field(
        description="A change that waits and will not come. After `cancel` it waits on, and comes after all with"
        " `reactivate`, unless the subscription ended at once"
    )


class OfferShown(Shown):
    """A coupon for whoever stays, once. Send `coupon` to `accept-offer`."""

    coupon: str
    text: str
    rate: Exact | None = Field(description='"0.25" is 25 %')
    amount_minor: int | None
    duration: Duration
    periods: int | None
    currency: str
    at: AwareDatetime = Field(description="When the next invoice is made")
    before_minor: int = Field(description="That invoice with tax, without usage to come")
    after_minor: int = Field(description="The same with the coupon")
    saves_minor: int


class CancelPreviewShown(PreviewShown):
    offer: OfferShown | None = Field(description="What is offered for staying")
