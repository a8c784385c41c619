"""What a line is called: words of ours around a name that people gave. Pure.

A line is stored with English words, as pages and the API say it. What kind of line it is stands in its facts, so that a
document can say the words in its own language and leave the name as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.billing import LineOrigin
from services.billing.lines import LineKind

LATE = "Late usage: "
USAGE_OF = "Usage of "
ITEM: Mapping[LineKind, str] = {
    LineKind.CREDIT: "Unused time: ",
    LineKind.RESTORE: "Unused time taken back: ",
    LineKind.DEBIT: "",
}


class Word(StrEnum):
    """Words around a name; services/documents/words.py has them by the same names."""

    UNUSED_TIME = "unused_time"
    TAKEN_BACK = "taken_back"
    LATE_USAGE = "late_usage"
    USAGE_OF = "usage_of"


_OF_KIND = {LineKind.CREDIT: Word.UNUSED_TIME, LineKind.RESTORE: Word.TAKEN_BACK}


@dataclass(frozen=True, slots=True)
class Described:
    """`words` are said around `name`, the first of them outermost."""

    words: tuple[Word, ...]
    name: str


def described(origin: str, description: str, facts: Mapping[str, Any]) -> Described:
    """What a stored line is called, taken apart. One that somebody described is its own name."""
    if origin == LineOrigin.SUBSCRIPTION and facts.get("made_by") == "item":
        kind = LineKind(facts["kind"])
        if kind in _OF_KIND and description.startswith(ITEM[kind]):
            return Described((_OF_KIND[kind],), description.removeprefix(ITEM[kind]))
    if origin == LineOrigin.USAGE:
        return _of_usage(description, facts)
    return Described((), description)


def _of_usage(description: str, facts: Mapping[str, Any]) -> Described:
    words: list[Word] = []
    if description.startswith(LATE):
        words.append(Word.LATE_USAGE)
        description = description.removeprefix(LATE)
    # Where no plan named what is counted, the model has no name but its own.
    if facts.get("made_by") == "price_list" and description.startswith(USAGE_OF):
        words.append(Word.USAGE_OF)
        description = description.removeprefix(USAGE_OF)
    return Described(tuple(words), description)
