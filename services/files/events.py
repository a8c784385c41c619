"""What happens to files. Never with a name in it: people put other people's names there."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class FileStored(DomainEvent):
    type: ClassVar[str] = "file.stored"
    purpose: str
    content_type: str
    size_bytes: int


class FileLinked(DomainEvent):
    """Somebody got a link that reads the file for a while."""

    type: ClassVar[str] = "file.linked"
    purpose: str


class FileDeleted(DomainEvent):
    type: ClassVar[str] = "file.deleted"
    purpose: str
