"""What a line is called, taken apart: words of ours, and the name that people gave."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.descriptions import Described, Word, described
from services.documents.words import WORDS

ITEM = {"made_by": "item"}
CALLED: dict[str, tuple[str, dict[str, Any], Described]] = {
    "Seats": ("subscription", ITEM | {"kind": "debit"}, Described((), "Seats")),
    "Unused time: Seats": ("subscription", ITEM | {"kind": "credit"}, Described((Word.UNUSED_TIME,), "Seats")),
    "Unused time taken back: Unused time: A": (
        "subscription", ITEM | {"kind": "restore"}, Described((Word.TAKEN_BACK,), "Unused time: A"),
    ),
    "Late usage: Tokens": ("usage", {"made_by": "charge"}, Described((Word.LATE_USAGE,), "Tokens")),
    "Usage of m": ("usage", {"made_by": "price_list"}, Described((Word.USAGE_OF,), "m")),
    "Late usage: Usage of m": (
        "usage", {"made_by": "price_list"}, Described((Word.LATE_USAGE, Word.USAGE_OF), "m"),
    ),
    "Usage of our hall": ("usage", {"made_by": "charge"}, Described((), "Usage of our hall")),
    "Unused time: by hand": ("manual", {"made_by": "charge"}, Described((), "Unused time: by hand")),
}  # fmt: skip


@pytest.mark.parametrize("description", CALLED)
def test_words_are_told_from_names_by_what_the_line_is(description: str) -> None:
    origin, facts, expected = CALLED[description]
    assert described(origin, description, facts) == expected


def test_documents_have_each_word_with_a_place_for_the_name() -> None:
    for language, words in WORDS.items():
        for word in Word:
            assert getattr(words, word).count("{name}") == 1, (language, word)
