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
