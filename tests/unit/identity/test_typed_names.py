"""Names as people type them: trimmed, in normal form, of bounded length, and printable to the last character."""

from __future__ import annotations

import pytest

from services.core.errors import Invalid
from services.identity.rules import NAME_CHARACTERS_MAX, clean_text


def cleaned(text: str) -> str:
    return clean_text(text, field="name", what="The name")


def test_a_name_is_trimmed_and_composed() -> None:
    assert cleaned("  Lo\u0301pez ") == "L\u00f3pez"
    decomposed = "o\u0323\u0302" * NAME_CHARACTERS_MAX  # three characters that compose to one
    assert cleaned(" " * 1_000 + decomposed) == "\u1ed9" * NAME_CHARACTERS_MAX


@pytest.mark.parametrize(
    "text", ["Ana\0", " " * 1_000 + "Ana\0", "Ana\nBen", "Ana \u202eexe.gnp", "\u2066Ana"]
)
def test_what_cannot_be_printed_is_refused_wherever_it_is(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        cleaned(text)
    assert refused.value.error_code == "unprintable_character"


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\u200d \ufeff"])
def test_a_name_of_what_nobody_sees_is_empty(text: str) -> None:
    with pytest.raises(Invalid, match="The name is empty"):
        cleaned(text)
    assert cleaned("\u200e\u0634\u0631\u0643\u0629") != ""  # a mark beside letters turns nothing behind them


def test_what_is_far_too_long_is_refused_as_it_came() -> None:
    """Composing costs time by the square of the length, and a body may have millions of characters."""
    with pytest.raises(Invalid, match="has 10000 characters"):
        cleaned("e\u0301" * 5_000)
