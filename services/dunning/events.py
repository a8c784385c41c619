"""What happens in campaigns. Amounts are minor units of the `currency` beside them."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class DunningCampaignCreated(DomainEvent):
    type: ClassVar[str] = "dunning_campaign.created"
    name: str


class DunningCampaignChanged(DomainEvent):
    type: ClassVar[str] = "dunning_campaign.changed"
    changed: list[str]


class DunningBegan(DomainEvent):
    """An invoice is overdue, and a campaign takes it up."""

    type: ClassVar[str] = "dunning.began"
    invoice_id: str
    campaign_id: str


class DunningStepDone(DomainEvent):
    """A step other than those that tell the customer something."""

    type: ClassVar[str] = "dunning.step_done"
    invoice_id: str
    position: int
    action: str


class DunningReminded(DomainEvent):
    """The customer is told inside the product."""

    type: ClassVar[str] = "dunning.reminded"
    invoice_id: str
    number: str
    position: int


class DunningMailDue(DomainEvent):
    """The customer is to be told by mail."""

    type: ClassVar[str] = "dunning.mail_due"
    invoice_id: str
    number: str
    position: int


class DunningPaused(DomainEvent):
    type: ClassVar[str] = "dunning.paused"
    invoice_id: str


class DunningResumed(DomainEvent):
    type: ClassVar[str] = "dunning.resumed"
    invoice_id: str


class DunningRecovered(DomainEvent):
    """Money came while a case went on, or after it had given up. `position` is that of the last step before it."""

    type: ClassVar[str] = "dunning.recovered"
    invoice_id: str
    currency: str
    minor: int
    position: int | None


class DunningLost(DomainEvent):
    """Money that a case had recovered was taken back."""

    type: ClassVar[str] = "dunning.lost"
    invoice_id: str
    currency: str
    minor: int


class DunningReopened(DomainEvent):
    """The invoice of a case that had ended is owed again: the case is history."""

    type: ClassVar[str] = "dunning.reopened"
    invoice_id: str


class DunningLifted(DomainEvent):
    """What a case restricts works for now."""

    type: ClassVar[str] = "dunning.lifted"
    invoice_id: str


class DunningRestored(DomainEvent):
    type: ClassVar[str] = "dunning.restored"
    invoice_id: str


class DunningHeld(DomainEvent):
    """Of an organisation, which is the aggregate."""

    type: ClassVar[str] = "dunning.held"
    hold_id: str
    until: str
    lifts: bool


class DunningReleased(DomainEvent):
    type: ClassVar[str] = "dunning.released"
    hold_id: str


class DunningEnded(DomainEvent):
    type: ClassVar[str] = "dunning.ended"
    invoice_id: str
    outcome: str
