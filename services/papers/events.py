"""What happens to papers, and to the templates they are made by."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class PaperMade(DomainEvent):
    """The files of a document are there, and stay as they are. `sha256` is that of the PDF, in hex."""

    type: ClassVar[str] = "paper.made"
    number: str
    sha256: str


class PaperParked(DomainEvent):
    """A document's files cannot be made until somebody looks at it."""

    type: ClassVar[str] = "paper.parked"
    number: str
    error: str


class PaperRetried(DomainEvent):
    type: ClassVar[str] = "paper.retried"
    number: str


class TemplateDrafted(DomainEvent):
    """`aggregate_id` is the version, here and below."""

    type: ClassVar[str] = "template.drafted"
    legal_entity_id: str
    brand_id: str
    number: int


class TemplateChanged(DomainEvent):
    type: ClassVar[str] = "template.changed"
    changed: list[str]


class TemplatePublished(DomainEvent):
    type: ClassVar[str] = "template.published"
    legal_entity_id: str
    brand_id: str
    number: int


class TemplateDiscarded(DomainEvent):
    type: ClassVar[str] = "template.discarded"
    legal_entity_id: str
    brand_id: str
    number: int
