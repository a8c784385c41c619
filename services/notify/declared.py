"""What a topic is, and what is said of an event to whom. Which ones there are says topics.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.core.permissions import Capability
from services.core.relay import Delivered
from services.notify.words import Facts, Said, Words


class Channel(StrEnum):
    IN_APP = "in_app"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Topic:
    """`in_app` and `mail` hold for those who have not said otherwise; of a `locked` one nobody may."""

    name: str
    in_app: bool
    mail: bool
    locked: bool = False

    def by_default(self, channel: Channel) -> bool:
        return self.in_app if channel is Channel.IN_APP else self.mail


@dataclass(frozen=True, slots=True)
class Telling:
    """`person` picks the one account that is told, if `of_member` only while it may work in the organisation; without
    it all members with `holders` are, but not whoever did it; or with `staff` all of the operators' who hold that,
    whatever organisation it is about.

    `mailed` is False where another part writes the mail. Of what happens to one thing again and again, `once` tells
    the first time only. `while_found` is a query of the event's aggregate (`:id`) that finds a row as long as it is
    to be told. `translated` words the mail in the language of the organisation's documents; else it is English.
    """

    topic: str
    say: Callable[[Delivered, Facts], Words]
    person: Callable[[Delivered], str | None] | None = None
    of_member: bool = False
    holders: Capability | None = None
    staff: Capability | None = None
    once: bool = False
    mailed: bool = True
    while_found: str = ""
    translated: Callable[[str, Delivered], Said] | None = None
