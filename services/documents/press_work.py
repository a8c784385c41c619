"""The process that sets documents. It reads orders from its input and answers on its output, one after the other.

It has no database, no key and nothing in its environment: logos are pictures that strangers made.
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import sys
from typing import Any, BinaryIO

import orjson

from services.core.errors import Invalid
from services.documents import render, storage, tables

NICE = 5  # pages come first
MEMORY_BYTES_MAX = 4 * 1024**3  # of addresses; what is really used is a fraction of it
LENGTH = struct.Struct(">I")


def main() -> None:
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(OSError, ValueError):
        os.nice(NICE)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    while (kind := _piece(orders)) is not None:
        content, style = _piece(orders), _piece(orders)
        if content is None or style is None:
            return
        head, files = _answer(kind.decode(), content, style)
        for piece in (orjson.dumps(head), *files):
            answers.write(LENGTH.pack(len(piece)))
            answers.write(piece)
        answers.flush()


def _piece(orders: BinaryIO) -> bytes | None:
    """None when there are no more orders."""
    length = orders.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(length)[0]
    piece = orders.read(size)
    return piece if len(piece) == size else None


def _answer(kind: str, content: bytes, style: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """A head that says how many files follow, and the files."""
    try:
        if kind == "tables":
            return {"files": 1}, [tables.set_pdf(content)]
        ordered, look = storage.content_from_json(content), storage.style_from_json(style)
        if kind == "pdf":
            made = render.pdf(ordered, look)
            return {"files": 1, "missing": made.missing}, [made.pdf]
        pages = render.pictures(ordered, look)
        return {"files": len(pages)}, pages
    except Invalid as refused:
        head = {"message": refused.message, "field": refused.field, "next_step": refused.next_step}
        return {"files": 0, "refused": head}, []


if __name__ == "__main__":
    main()
