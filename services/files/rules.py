"""What files are kept for, which kinds of content each purpose takes, and how names are shown."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import quote

from services.core.errors import Conflict, Invalid, TooLarge, Unavailable

MB = 1024 * 1024
NAME_CHARACTERS_MAX = 150
HELD_BYTES_MIN = 4_096  # what the smallest file takes on a disk
PIECE_BYTES = 256 * 1024  # read or sent at a time
LINK_VALID = timedelta(minutes=10)
ARRIVING_VALID = timedelta(days=1)  # content that has not come by then does not come any more


class Kind(StrEnum):
    """What a file is by its content, as a media type."""

    PNG = "image/png"
    JPEG = "image/jpeg"
    GIF = "image/gif"
    WEBP = "image/webp"
    SVG = "image/svg+xml"
    PDF = "application/pdf"
    ZIP = "application/zip"
    JSON = "application/json"
    CSV = "text/csv"
    TEXT = "text/plain"
    XML = "application/xml"


EXTENSIONS: dict[Kind, tuple[str, ...]] = {  # the first is added to a name that has none of them
    Kind.PNG: (".png",),
    Kind.JPEG: (".jpg", ".jpeg"),
    Kind.GIF: (".gif",),
    Kind.WEBP: (".webp",),
    Kind.SVG: (".svg",),
    Kind.PDF: (".pdf",),
    Kind.ZIP: (".zip",),
    Kind.JSON: (".json",),
    Kind.CSV: (".csv",),
    Kind.TEXT: (".txt", ".log", ".md"),
    Kind.XML: (".xml",),
}


@dataclass(frozen=True, slots=True)
class Purpose:
    """`kept` is how long a file of this purpose stays, None until somebody deletes it. Only those that are
    `uploaded` are taken from people; the others Matrix makes itself."""

    name: str
    kinds: frozenset[Kind]
    bytes_max: int
    kept: timedelta | None = None
    uploaded: bool = True


_PICTURES = frozenset({Kind.PNG, Kind.JPEG, Kind.WEBP})
PURPOSES: dict[str, Purpose] = {
    purpose.name: purpose
    for purpose in (
        Purpose("attachment", frozenset(Kind) - {Kind.SVG, Kind.XML}, 10 * MB),
        Purpose("picture", _PICTURES | {Kind.SVG}, 2 * MB),
        Purpose("import", frozenset({Kind.CSV, Kind.JSON}), 10 * MB, kept=timedelta(days=30)),
        # What each provider takes of it is less: see EvidenceTerms in services/payments/providers/values.py.
        Purpose("evidence", frozenset({Kind.PDF, Kind.PNG, Kind.JPEG, Kind.GIF}), 9 * MB, uploaded=False),
        Purpose("export", frozenset({Kind.CSV}), 4 * 1024 * MB, kept=timedelta(days=7), uploaded=False),
    )
}


class FileRefused(Invalid):
    """The content is not what its purpose takes, or would harm whoever opens it."""

    code = "file_refused"
    title = "This file is not taken"

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(
            message, field="file", next_step=next_step or "Save it anew in a plain form and try again."
        )


class FileTooLarge(TooLarge):
    code = "file_too_large"
    title = "The file is too large"

    def __init__(self, purpose: Purpose) -> None:
        super().__init__(
            f"A file for {purpose.name!r} may have {purpose.bytes_max // MB} MB at most.",
            next_step="Send a smaller one." if purpose.uploaded else "Narrow it down with filters.",
            bytes_max=purpose.bytes_max,
        )


class FilesFull(Conflict):
    """The organisation's files leave no room for another one of this size."""

    code = "files_full"
    title = "There is no room for this file"

    def __init__(self, *, held_bytes: int, bytes_max: int) -> None:
        super().__init__(
            f"The files of your organisation take {held_bytes // MB:,} of {bytes_max // MB:,} MB.",
            next_step="Delete files that are not needed and try again in a few minutes, or ask your operator for more.",
            held_bytes=held_bytes,
            bytes_max=bytes_max,
        )


class ContentMissing(Unavailable):
    """The row is there and its content is not: a disk or a bucket was changed by another hand."""

    code = "content_missing"

    def __init__(self, file_id: str) -> None:
        super().__init__(
            f"The content of {file_id!r} is not in the store.", next_step="Ask your operator to look."
        )


def purpose_for_upload(name: str) -> Purpose:
    """Raises Invalid for a purpose that is unknown or not for uploads."""
    purpose = PURPOSES.get(name)
    if purpose is None or not purpose.uploaded:
        known = ", ".join(sorted(one.name for one in PURPOSES.values() if one.uploaded))
        raise Invalid(
            "Files are not uploaded for this purpose.", field="purpose", next_step=f"Choose one of: {known}."
        )
    return purpose


def shown_name(given: str, kind: Kind) -> str:
    """The last part of a file's name as a person may see it and save it under, with an extension of its kind.

    Characters that are not printed, or that change the direction of text, could make `exe` look like `png`.
    """
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(
        c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] not in "CZ" or c == " "
    )
    name = " ".join(kept.split()).strip(". ")[:NAME_CHARACTERS_MAX]
    endings = EXTENSIONS[kind]
    if not name.lower().endswith(endings):
        name = f"{name or 'file'}{endings[0]}"
    return name


def disposition(name: str) -> str:
    """The Content-Disposition that has a browser save the file instead of showing it."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
