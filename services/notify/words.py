"""What somebody is told, and what has to be known for that besides the event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What an event itself does not hold: when it was recorded, and names as they are now. `person` is whom it is
    about."""

    at: datetime
    organization: str
    actor: str
    person: str


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    body: str
    href: str  # a path on this site


@dataclass(frozen=True, slots=True)
class Said:
    """A mail in some language, but for the links. Behind `why` comes the address where such mail is switched off."""

    language: str
    title: str
    hello: str
    sentences: tuple[str, ...]
    link_text: str
    why: str
