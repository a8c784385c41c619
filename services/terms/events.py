"""What happens to the terms that customers act under."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class TermsPublished(DomainEvent):
    type: ClassVar[str] = "terms.published"
    number: int


class TermsAccepted(DomainEvent):
    """By the actor. `number` is that of the version."""

    type: ClassVar[str] = "terms.accepted"
    number: int
    occasion: str
