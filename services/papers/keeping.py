"""Where the bytes of papers lie: in the store of files, under a name that their own hash gives.

So the same bytes are kept once however often they are made, other bytes never take their place, and a crash between
the store and the row leaves nothing that the next making would not find.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.errors import Unavailable
from services.files.service import new_arrival
from services.files.stores import FilePlaces, Store

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # of identifiers: base 32
_NAME_BYTES = 16


class PaperDamaged(Unavailable):
    """What lies in the store is not what was kept."""

    code = "paper_damaged"
    title = "The kept document is damaged"

    def __init__(self) -> None:
        super().__init__(
            "The bytes in the store are not those that were kept.",
            next_step="Ask your operator to restore them from a backup.",
        )


@dataclass(frozen=True, slots=True)
class KeptBytes:
    """`sha256` in hex; `bytes` is how many there are."""

    file_id: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, content: bytes) -> KeptBytes:
        digest = hashlib.sha256(content).digest()
        return cls(name_of(digest), digest.hex(), len(content))

    def to_json(self) -> dict[str, Any]:
        return {"file_id": self.file_id, "sha256": self.sha256, "bytes": self.bytes}


def name_of(sha256: bytes) -> str:
    """The identifier of a file with that hash: its first 128 bits."""
    rest, digits = int.from_bytes(sha256[:_NAME_BYTES]), ""
    for _ in range(26):
        rest, digit = divmod(rest, 32)
        digits = _DIGITS[digit] + digits
    return f"file_{digits}"


async def keep(where: FilePlaces, content: bytes) -> KeptBytes:
    """Durable once this returns. Kept again it is the same. Raises Unavailable."""
    kept = KeptBytes.of(content)
    path = new_arrival(where.incoming)
    try:
        await asyncio.to_thread(path.write_bytes, content)
        await where.store.put(kept.file_id, path, sha256=bytes.fromhex(kept.sha256))
    finally:
        _forget(path)
    return kept


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


async def read(store: Store, kept: KeptBytes) -> AsyncIterator[bytes]:
    """The content in pieces. The last one comes only if all are what was kept.

    Raises ContentMissing before the first piece, and PaperDamaged in the place of the last.
    """
    digest, held = hashlib.sha256(), b""
    async for piece in store.read(kept.file_id):
        if held:
            yield held
        digest.update(piece)
        held = piece
    if digest.hexdigest() != kept.sha256:
        raise PaperDamaged
    yield held
