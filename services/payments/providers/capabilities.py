"""What an adapter says that it can do. What it does not declare, it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from models.money import Money, Provider


class Flow(StrEnum):
    """How a customer gives the means to pay: on the provider's page, or by sending money."""

    REDIRECT = "redirect"
    TRANSFER = "transfer"


class GivesBack(StrEnum):
    """How money goes back to where it came from."""

    ASKED = "asked"  # by `refund`
    BY_HAND = "by_hand"  # staff sends it, and says so
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class EvidenceTerms:
    """Which files a provider takes with an answer to a dispute: of the media types `kinds`, named by what they show
    (`fields`, the provider's words; `is_one_each` where each of them holds one), within sizes in bytes.

    `pack_field` is where the PDF of all that is recorded goes. `notes_max` is how many characters of one's own words
    go along where there are no fields for texts.
    """

    fields: tuple[str, ...]
    pack_field: str
    kinds: frozenset[str]
    files_max: int
    bytes_max: int
    total_bytes_max: int  # of all files, that PDF among them
    is_one_each: bool = False
    notes_max: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can do. `minimums` are the smallest payments, by currency; 1 minor unit where none is named.

    `keys_last` is how long a key stands for the same act there: a repetition later could do it twice.
    """

    provider: Provider
    flows: frozenset[Flow]
    currencies: frozenset[str]
    minimums: Mapping[str, Money]
    keys_last: timedelta
    keeps_methods: bool
    captures_later: bool
    lists_payouts: bool
    gives_back: GivesBack = GivesBack.ASKED
    is_our_bank: bool = False  # what is there is ours to spend: nobody has to pay it out
    evidence: EvidenceTerms | None = None  # None: it takes no answers to disputes from programs

    @property
    def is_watched(self) -> bool:
        """Money comes there by itself: nobody is asked for it, and whoever watches for it moves the payment."""
        return Flow.REDIRECT not in self.flows

    def minimum(self, currency: str) -> Money:
        return self.minimums.get(currency, Money(1, currency))
