"""Images, walked from their first byte to their last: nothing before, nothing behind, and not too many pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from services.files.rules import FileRefused, Kind

SIDE_PIXELS_MAX = 20_000
PIXELS_MAX = 50_000_000
FRAMES_MAX = 500
NOTES_BYTES_MAX = 1024 * 1024  # what a packed text or profile may unpack to


def check(content: bytes, kind: Kind) -> None:
    """Raises FileRefused for an image that is broken, too large to draw, or has something behind its end."""
    walk: Callable[[bytes], int] = {
        Kind.PNG: _png,
        Kind.JPEG: _jpeg,
        Kind.GIF: _gif,
        Kind.WEBP: _webp,
    }[kind]
    try:
        end = walk(content)
    except (struct.error, IndexError, zlib.error):
        raise FileRefused("The image is broken or cut off.") from None
    if end != len(content):
        raise FileRefused("Something is written behind the end of the image.")


def _require_drawable(width: int, height: int) -> None:
    if not (0 < width <= SIDE_PIXELS_MAX and 0 < height <= SIDE_PIXELS_MAX) or width * height > PIXELS_MAX:
        raise FileRefused(
            f"The image has {width:,} x {height:,} pixels; {PIXELS_MAX:,} in all is the most.",
            next_step="Make it smaller.",
        )


def _png(content: bytes) -> int:
    position, seen = 8, 0
    while True:
        length, name = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        (crc,) = struct.unpack_from(">I", content, position + 8 + length)
        if len(body) != length or zlib.crc32(name + body) != crc or (seen == 0) != (name == b"IHDR"):
            raise FileRefused("The image is broken or cut off.")
        if name == b"IHDR":
            _require_drawable(*struct.unpack_from(">II", body))
        if name in (b"zTXt", b"iCCP", b"iTXt"):
            _check_note(name, body)
        position, seen = position + 12 + length, seen + 1
        if name == b"IEND":
            return position


def _check_note(name: bytes, body: bytes) -> None:
    keyword, _, rest = body.partition(b"\x00")
    packed = rest[1:]
    if name == b"iTXt":
        is_packed, rest = rest[0] == 1, rest[2:]
        packed = rest.split(b"\x00", 2)[2] if is_packed else b""
    if packed and len(zlib.decompressobj().decompress(packed, NOTES_BYTES_MAX + 1)) > NOTES_BYTES_MAX:
        raise FileRefused(f"The note {keyword[:40].decode('latin-1')!r} in the image unpacks to too much.")


_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(content: bytes) -> int:
    position, drawn = 2, False
    while True:
        if content[position] != 0xFF:
            raise FileRefused("The image is broken or cut off.")
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        position += 2
        if marker == 0xD9:
            if not drawn:
                raise FileRefused("The image holds no picture.")
            return position
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        if length < 2:
            raise FileRefused("The image is broken or cut off.")
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, position + 3)
            _require_drawable(width, height)
        position += length
        if marker == 0xDA:
            drawn, position = True, _behind_scan(content, position)


def _behind_scan(content: bytes, position: int) -> int:
    """Where the packed picture ends: at the next marker that is no part of it."""
    while True:
        position = content.find(b"\xff", position)
        if position < 0:
            raise IndexError
        following = content[position + 1]
        if following != 0 and not 0xD0 <= following <= 0xD7:
            return position
        position += 2


def _gif(content: bytes) -> int:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    _require_drawable(width, height)
    position, frames = 13 + _palette_bytes(flags), 0
    while True:
        block = content[position]
        if block == 0x3B:
            if frames == 0:
                raise FileRefused("The image holds no picture.")
            return position + 1
        if block == 0x21:
            position = _behind_pieces(content, position + 2)
        elif block == 0x2C:
            frames += 1
            left, top, wide, high, local = struct.unpack_from("<HHHHB", content, position + 1)
            _require_drawable(left + wide, top + high)
            if frames > FRAMES_MAX or frames * width * height > 10 * PIXELS_MAX:
                raise FileRefused("The image has too many pictures in it.", next_step="Send a shorter one.")
            position = _behind_pieces(content, position + 10 + _palette_bytes(local) + 1)
        else:
            raise FileRefused("The image is broken or cut off.")


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _behind_pieces(content: bytes, position: int) -> int:
    while length := content[position]:
        position += 1 + length
    return position + 1


def _webp(content: bytes) -> int:
    (size,) = struct.unpack_from("<I", content, 4)
    end = 8 + size
    drawn = False
    for name, start, length in _webp_chunks(content, end):
        body = content[start : start + length]
        if name == b"VP8X":
            wide, high = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
            _require_drawable(wide, high)
        elif name == b"VP8 ":
            if body[3:6] != b"\x9d\x01\x2a":
                raise IndexError
            wide, high = struct.unpack_from("<HH", body, 6)
            _require_drawable(wide & 0x3FFF, high & 0x3FFF)
            drawn = True
        elif name == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            _require_drawable((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            drawn = True
        elif name == b"ANMF":
            drawn = True
    if not drawn:
        raise FileRefused("The image holds no picture.")
    return end


def _webp_chunks(content: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each part of a RIFF file that ends at `end`."""
    position = 12
    while position < end:
        name, length = struct.unpack_from("<4sI", content, position)
        if position + 8 + length > len(content):
            raise IndexError
        yield name, position + 8, length
        position += 8 + length + length % 2
