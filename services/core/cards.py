"""Numbers that look like those of payment cards: 13 to 19 digits, of a known issuer, with the right check digit.

Pure, and the same rule for refusing them at a door and for finding them where they should not be. Digits may be
grouped by single blanks or hyphens; what letters or other digits touch is an identifier or a hash, and no card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SHOWN = "[card number]"
_GROUPED = re.compile(r"(?<![\w.,])\d+(?:[ -]\d+)*(?![\w]|[.,]\d)")
_GROUP = re.compile(r"\d+")
# First digits from and to (as text of equal length), and how many digits there are in all.
_ISSUERS: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("6011", "6011", frozenset({16, 19})),  # Discover
    ("644", "659", frozenset({16, 19})),
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("3528", "3589", frozenset({16, 17, 18, 19})),  # JCB
    ("300", "305", frozenset({14, 16, 19})),  # Diners Club
    ("36", "36", frozenset({14, 19})),
    ("38", "39", frozenset({14})),
    ("5018", "5038", frozenset({16, 18, 19})),  # Maestro
    ("6759", "6763", frozenset({16, 18, 19})),
)
_DIGITS_MIN, _DIGITS_MAX = 13, 19


def card_numbers(text: str) -> list[str]:
    """Those in `text`, as they are written there."""
    return [text[start:end] for start, end in _spans(text)]


def masked(text: str) -> str:
    """`text` with `SHOWN` in place of each."""
    for start, end in reversed(list(_spans(text))):
        text = text[:start] + SHOWN + text[end:]
    return text


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """From left to right, without overlap; of those that begin at one place the longest."""
    for run in _GROUPED.finditer(text):
        if run.end() - run.start() < _DIGITS_MIN:
            continue
        groups = [found.span() for found in _GROUP.finditer(text, run.start(), run.end())]
        taken = 0
        for first, (start, _) in enumerate(groups):
            if start < taken:
                continue
            for _, end in reversed(groups[first : first + _DIGITS_MAX]):
                if _is_card("".join(c for c in text[start:end] if c.isdecimal())):
                    yield start, end
                    taken = end
                    break


def _is_card(written: str) -> bool:
    if not _DIGITS_MIN <= len(written) <= _DIGITS_MAX:
        return False
    digits = "".join(str(int(c)) for c in written)  # of any script
    known = any(
        low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in _ISSUERS
    )
    return known and len(set(digits)) > 1 and _checks(digits)


def _checks(digits: str) -> bool:
    """Luhn's check digit."""
    doubled = (int(c) * 2 for c in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0
