"""Text that comes from people: what a document takes, and how it is made to fit a column.

Nothing here is ever read as markup; these are the characters that no printed page shows as they are.
"""

from __future__ import annotations

import re
import unicodedata

from services.core.errors import Invalid

NAME_CHARACTERS_MAX = 300
LINE_CHARACTERS_MAX = 1_000
PARAGRAPH_CHARACTERS_MAX = 5_000
RUN_CHARACTERS_MAX = 28  # without a place to break: as long as the narrowest column that holds names
_SHOWN = 40

# Overrides and isolates make the text behind them read backwards, tags and annotations are not seen at all.
_HIDDEN = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\ufff9\ufffa\ufffb"
)
_CATEGORIES = frozenset({"Cc", "Cs", "Cn"})
_RUN = re.compile(rf"[^\s\u200b\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef]{{{RUN_CHARACTERS_MAX + 1},}}")
_JOINED = frozenset({"Mn", "Mc", "Me", "Cf"})


class DocumentRefused(Invalid):
    """Something that a document cannot say: too much of it, sums that do not add up, or text nobody can see."""

    code = "document_refused"
    title = "The document cannot be made like this"


def _is_shown(character: str, *, breaks: bool) -> bool:
    if character == "\n":
        return breaks
    code = ord(character)
    return (
        character not in _HIDDEN
        and unicodedata.category(character) not in _CATEGORIES
        and not 0xE0000 <= code <= 0xE0FFF
    )


def require_plain(text: str, *, field: str, characters_max: int, breaks: bool = False) -> None:
    """Raises DocumentRefused for text that is too long or holds characters that would not be seen.

    `breaks` lets line feeds through.
    """
    if len(text) > characters_max:
        raise DocumentRefused(
            f"The text has {len(text):,} characters; {characters_max:,} is the most here.",
            field=field,
            next_step="Shorten it.",
        )
    for character in text:
        if not _is_shown(character, breaks=breaks):
            raise DocumentRefused(
                f"The text {printable(text)[:_SHOWN]!r} holds the character U+{ord(character):04X}, "
                "which is not seen on a page.",
                field=field,
                next_step="Type the text anew instead of pasting it.",
            )


def printable(text: str, *, breaks: bool = False) -> str:
    """`text` as `require_plain` takes it: composed, without characters that are not seen, blanks as one blank.

    For names that were stored before anybody thought of a document.
    """
    lines = (
        unicodedata.normalize("NFC", text).splitlines() if breaks else [unicodedata.normalize("NFC", text)]
    )
    spaced = (("".join(" " if c.isspace() else c for c in line)) for line in lines)
    kept = ("".join(c for c in line if _is_shown(c, breaks=False)) for line in spaced)
    return "\n".join(" ".join(line.split()) for line in kept).strip()


def breakable(text: str) -> str:
    """`text` with places to break in words that no column would hold. Letters keep the marks that join them."""
    return _RUN.sub(lambda run: _broken(run[0]), text)


def _broken(run: str) -> str:
    pieces: list[str] = []
    since = 0
    for character in run:
        if since >= RUN_CHARACTERS_MAX and unicodedata.category(character) not in _JOINED:
            pieces.append("\u200b")
            since = 0
        pieces.append(character)
        since += 1
    return "".join(pieces)
