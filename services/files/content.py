"""What an uploaded file really is: told by its content alone, and refused when it is two things at once.

Everything here takes the whole content, which PURPOSES bounds to a few megabytes, and works in plain memory.
"""

from __future__ import annotations

import io
import re
import zipfile

import orjson

from services.files import archives, images, svg
from services.files.rules import EXTENSIONS, FileRefused, Kind, Purpose

_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|script|iframe|svg|\?php)", re.IGNORECASE)
_SNIFFED_BYTES = 4_096  # browsers look at less
_PDF_HEADER_BYTES = 1_024  # readers find the header anywhere in these
_PDF_NAME_HEX = re.compile(rb"#([0-9a-fA-F]{2})")
_PDF_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|EmbeddedFile|RichMedia)(?![A-Za-z0-9])")
_TEXT_CONTROLS = frozenset(range(32)) - {9, 10, 12, 13} | {127}


def checked(content: bytes, name: str, purpose: Purpose) -> Kind:
    """The kind of a file. Raises FileRefused for one that its purpose does not take."""
    if not content:
        raise FileRefused("The file is empty.", next_step="Choose another one.")
    kind = _sniffed(content, name)
    if kind not in purpose.kinds:
        taken = ", ".join(sorted(EXTENSIONS[one][0].removeprefix(".").upper() for one in purpose.kinds))
        raise FileRefused(
            f"This is a file of the kind {kind.value!r}, which is not taken here.",
            next_step=f"Send one of these: {taken}.",
        )
    return kind


def _sniffed(content: bytes, name: str) -> Kind:
    kind = _by_signature(content)
    if kind is None:
        return _text(content, name)
    if kind is Kind.ZIP:
        archives.check(content)
        return kind
    if kind is Kind.PDF:
        _check_pdf(content)
    else:
        images.check(content, kind)
        if b"%PDF-" in content[:_PDF_HEADER_BYTES] or _MARKUP.search(content[:_SNIFFED_BYTES]):
            raise FileRefused("The image is something else as well: it holds a document.")
    if _is_archive_too(content):
        raise FileRefused("The file is an archive as well.")
    return kind


def _by_signature(content: bytes) -> Kind | None:
    signatures = {
        b"\x89PNG\r\n\x1a\n": Kind.PNG,
        b"\xff\xd8\xff": Kind.JPEG,
        b"GIF87a": Kind.GIF,
        b"GIF89a": Kind.GIF,
        b"%PDF-": Kind.PDF,
        b"PK\x03\x04": Kind.ZIP,
        b"PK\x05\x06": Kind.ZIP,
    }
    for signature, kind in signatures.items():
        if content.startswith(signature):
            return kind
    return Kind.WEBP if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _is_archive_too(content: bytes) -> bool:
    """A zip file is read from its end, so it hides behind any other file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return bool(archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False


def _check_pdf(content: bytes) -> None:
    """What can be seen without unpacking its streams; see docs/files.md for what that leaves out."""
    if b"%%EOF" not in content[-1_024:]:
        raise FileRefused("The PDF is cut off: its end is missing.")
    names = _PDF_NAME_HEX.sub(lambda found: bytes([int(found[1], 16)]), content)
    if _PDF_ACTIVE.search(names):
        raise FileRefused(
            "The PDF holds scripts, programs or other files.", next_step="Print it to a new PDF."
        )


def _text(content: bytes, name: str) -> Kind:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused(
            "The kind of this file is not known here.",
            next_step="Send text as UTF-8, or another kind of file.",
        ) from None
    if any(byte in _TEXT_CONTROLS for byte in set(content)):
        raise FileRefused("The file looks like text, but holds control characters.")
    start = text.lstrip()[:_SNIFFED_BYTES]
    lower = name.lower()
    if start.startswith("<"):
        if lower.endswith(EXTENSIONS[Kind.XML]) and not _MARKUP.search(content[:_SNIFFED_BYTES]):
            return Kind.XML  # which only those take who read it whole
        svg.check(content)
        return Kind.SVG
    if lower.endswith(EXTENSIONS[Kind.JSON]):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise FileRefused(f"The JSON cannot be read: {error}.") from None
        return Kind.JSON
    return Kind.CSV if lower.endswith(EXTENSIONS[Kind.CSV]) else Kind.TEXT
