"""One file out of a form, piece by piece as it arrives: nothing of it is held in memory or written twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from services.core.errors import Invalid, Malformed

HEADERS_BYTES_MAX = 8 * 1024  # of one part
PARTS_MAX = 20
NAME_CHARACTERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class FilePart:
    """The part called `file`. `name` is as the sender wrote it."""

    name: str
    pieces: AsyncIterator[bytes]


async def file_part(request: Request) -> FilePart:
    """Read as far as the head of the part `file`. Raises Malformed and Invalid; its pieces do so, too."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data":
        raise HTTPException(415, "A file is sent as multipart/form-data, in the part 'file'.")
    if not boundary:
        raise Malformed("The content type names no boundary.", next_step="Let your client write the header.")
    form = _Form(boundary)
    pieces = _pieces(form, request.stream())
    first = await anext(pieces, None)  # the name is known once the first piece is there
    if first is None:
        raise Invalid(
            "There is no part 'file' in the form.", field="file", next_step="Send the file as 'file'."
        )

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return FilePart(form.name, all_pieces())


async def _pieces(form: _Form, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces of the file; an empty first one when its head is there, so that an empty file is a file as well."""
    announced = False
    try:
        async for chunk in stream:
            form.take(chunk)
            if form.found and not announced:
                announced = True
                yield b""
            for piece in form.pieces:
                yield piece
            form.pieces.clear()
        form.end()
    except MultipartParseError as error:
        raise _broken() from error


class _Form:
    """Follows the parser through the parts and keeps what is in the one called `file`."""

    def __init__(self, boundary: bytes) -> None:
        self.found = False
        self.name = ""
        self.pieces: list[bytes] = []
        self._inside = False
        self._ended = False
        self._parts = 0
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._all_ended,
            },
        )

    def take(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def end(self) -> None:
        """Raises Malformed for a form that was cut off."""
        self._parser.finalize()
        if not self._ended:
            raise _broken()

    def _begin(self) -> None:
        self._parts += 1
        self._headers = {}
        if self._parts > PARTS_MAX:
            raise Malformed(
                f"The form has more than {PARTS_MAX} parts.", next_step="Send one file at a time."
            )

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._bound()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound()

    def _bound(self) -> None:
        if len(self._field) + len(self._value) > HEADERS_BYTES_MAX:
            raise Malformed("A header of the form is too long.", next_step="Use a shorter file name.")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._inside = options.get(b"name") == b"file"
        if self._inside and self.found:
            raise Malformed("The form holds two files.", next_step="Send one file at a time.")
        if self._inside:
            self.found = True
            self.name = _unescaped(options.get(b"filename", b"").decode(errors="replace"))[
                -NAME_CHARACTERS_MAX:
            ]

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.pieces.append(data[start:end])

    def _part_end(self) -> None:
        self._inside = False

    def _all_ended(self) -> None:
        self._ended = True


def _unescaped(name: str) -> str:
    """Browsers write these three characters of a name, and no others, by their numbers."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _broken() -> Malformed:
    return Malformed("The form cannot be read: it is broken or cut off.", next_step="Send it again.")
