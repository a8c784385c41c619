"""Zip files: what they would unpack to is counted before anybody unpacks them."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib

from services.files.rules import MB, FileRefused

ENTRIES_MAX = 1_000
UNPACKED_BYTES_MAX = 100 * MB
RATIO_MAX = 100  # of unpacked to packed; text gets to about 20
RATIO_COUNTS_FROM_BYTES = MB  # a short file of blanks is no bomb
_PIECE_BYTES = 64 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")
_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"(\xb5/\xfd",
)


def check(content: bytes) -> None:
    """Raises FileRefused for an archive that is a bomb, reaches outside itself, hides something or is broken."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_frame(content, archive, entries)
            left = UNPACKED_BYTES_MAX
            for entry in entries:
                _check_entry(entry)
                left -= _unpacked_bytes(archive, entry, left)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, OSError):
        raise FileRefused("The archive cannot be read.") from None


def _check_frame(content: bytes, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    if not entries or len(entries) > ENTRIES_MAX:
        raise FileRefused(f"An archive has 1 to {ENTRIES_MAX:,} files; this one has {len(entries):,}.")
    first = min(entry.header_offset for entry in entries)
    if first != 0 or archive.comment or not content.startswith(b"PK\x03\x04"):
        raise FileRefused("Something else is written around the archive.")
    if sum(entry.file_size for entry in entries) > UNPACKED_BYTES_MAX:
        raise FileRefused(f"The archive unpacks to more than {UNPACKED_BYTES_MAX // MB} MB.")
    # Entries that share their packed bytes make a bomb whose every entry looks honest.
    spans = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    for (start, size), (following, _) in zip(spans, [*spans[1:], (archive.start_dir, 0)], strict=True):
        if start + 30 + size > following:
            raise FileRefused("Files of the archive overlap.")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    parts = entry.orig_filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or _DRIVE.match(entry.orig_filename) or "\x00" in entry.orig_filename:
        raise FileRefused("A file of the archive has a name that leads outside it.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise FileRefused("The archive holds a link to another file.")
    if entry.flag_bits & 0x1:
        raise FileRefused("The archive is encrypted, so nobody can tell what is in it.")


def _unpacked_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> int:
    """What `entry` really unpacks to, which its header may not say. Stops as soon as it is too much."""
    unpacked = 0
    with archive.open(entry) as stream:
        while piece := stream.read(_PIECE_BYTES):
            if unpacked == 0 and piece.startswith(_ARCHIVES):
                raise FileRefused(
                    "The archive holds another archive.", next_step="Send what is in it instead."
                )
            unpacked += len(piece)
            if unpacked > most:
                raise FileRefused(f"The archive unpacks to more than {UNPACKED_BYTES_MAX // MB} MB.")
            if unpacked > max(RATIO_COUNTS_FROM_BYTES, RATIO_MAX * entry.compress_size):
                raise FileRefused(f"A file of the archive unpacks to more than {RATIO_MAX} times its size.")
    return unpacked
