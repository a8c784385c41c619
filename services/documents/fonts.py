"""The typefaces that come along, and which characters none of them has."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from services.documents.style import Font

FOLDER = Path(__file__).with_name("fonts")
_LATIN = {Font.SANS: ("Noto Sans",), Font.SERIF: ("Noto Serif", "Noto Sans")}
_OTHERS = (
    "Noto Sans Arabic",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Noto Sans Hebrew",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
)
MISSING = "\u25a1"  # what stands for a character that no typeface here has
_UNICODE_FULL = (3, 10)


def families(font: Font) -> list[str]:
    """In the order in which a character is looked for."""
    return [*_LATIN[font], *_OTHERS]


def drawable(text: str) -> str:
    """`text` with a box for each character that no typeface has."""
    known = _characters()
    return "".join(
        character if character == "\n" or ord(character) in known else MISSING for character in text
    )


@cache
def _characters() -> frozenset[int]:
    """Of the regular cuts. A bolder one must have all of its regular one: typst looks for a character in the cut that
    fits best, and in no other of that family."""
    found: set[int] = set()
    for path in sorted(FOLDER.glob("*-Regular.ttf")):
        if "Serif" not in path.name:
            found |= mapped(path.read_bytes())
    return frozenset(found)


def mapped(font: bytes) -> set[int]:
    """The characters of an OpenType file by its `cmap` in format 12, which all of ours have."""
    tables = struct.unpack_from(">H", font, 4)[0]
    for table in range(tables):
        name, _, start, _ = struct.unpack_from(">4sIII", font, 12 + 16 * table)
        if name == b"cmap":
            return _groups(font, start)
    raise ValueError("The font has no cmap.")


def _groups(font: bytes, cmap: int) -> set[int]:
    platform, encoding, offset = struct.unpack_from(">HHI", font, cmap + 4)
    form, _, _, _, count = struct.unpack_from(">HHIII", font, cmap + offset)
    if (platform, encoding) != _UNICODE_FULL or form != 12:
        raise ValueError("The font has another cmap than format 12.")
    found: set[int] = set()
    for group in range(count):
        first, last, _ = struct.unpack_from(">III", font, cmap + offset + 16 + 12 * group)
        found.update(range(first, last + 1))
    return found
