"""How a seller's documents look: a version of a template, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict

from services.documents.text import DocumentRefused
from services.files import content as files
from services.files.rules import Kind as FileKind
from services.files.rules import Purpose

LOGO_BYTES_MAX = 1024 * 1024  # it travels in every PDF
LOGO = Purpose("logo", frozenset({FileKind.PNG, FileKind.JPEG, FileKind.SVG}), LOGO_BYTES_MAX, uploaded=False)
READABLE_CONTRAST = 4.5  # text of body size
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LOGO_FORMATS = {FileKind.PNG: "png", FileKind.JPEG: "jpg", FileKind.SVG: "svg"}


class Font(StrEnum):
    SANS = "sans"
    SERIF = "serif"


class Paper(StrEnum):
    A4 = "a4"
    LETTER = "us-letter"


class Field(StrEnum):
    """What a template may leave out. What the law asks for is not among it."""

    SELLER_CONTACT = "seller_contact"
    SELLER_REGISTRATION = "seller_registration"
    BUYER_EMAIL = "buyer_email"
    LINE_PERIODS = "line_periods"
    LINE_DETAILS = "line_details"
    LINE_TAX = "line_tax"
    HEADLINE = "headline"
    PAYMENT = "payment"
    NOTES = "notes"


@dataclass(frozen=True, slots=True)
class Style:
    """`accent` is a colour as #rrggbb. Raises FileRefused for a logo that is no plain PNG, JPEG or SVG."""

    # How its bytes are written in JSON.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    accent: str = "#635bff"
    font: Font = Font.SANS
    paper: Paper = Paper.A4
    logo: bytes | None = None
    fields: frozenset[Field] = frozenset(Field)

    def __post_init__(self) -> None:
        if not _COLOUR.fullmatch(self.accent):
            raise DocumentRefused(
                f"{self.accent[:20]!r} is no colour.", field="accent", next_step="Write it as #rrggbb."
            )
        if self.logo is not None:
            if len(self.logo) > LOGO_BYTES_MAX:
                raise DocumentRefused(
                    f"The logo has {len(self.logo):,} bytes; {LOGO_BYTES_MAX:,} is the most.",
                    field="logo",
                    next_step="Send a smaller picture.",
                )
            files.checked(self.logo, "logo", LOGO)

    def shows(self, field: Field) -> bool:
        return field in self.fields

    @property
    def logo_format(self) -> str:
        """As typst names it; empty without a logo."""
        return _LOGO_FORMATS[files.checked(self.logo, "logo", LOGO)] if self.logo is not None else ""

    @property
    def contrast(self) -> float:
        """Of the accent on white, by WCAG 2: from 1 to 21."""
        return 1.05 / (_luminance(self.accent) + 0.05)

    @property
    def accent_is_readable(self) -> bool:
        """Whether text in the accent's colour can be read on white."""
        return self.contrast >= READABLE_CONTRAST


def _luminance(colour: str) -> float:
    """Relative luminance of sRGB, from 0 to 1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
