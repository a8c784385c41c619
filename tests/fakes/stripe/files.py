"""Files of evidence: kept by their kind and size, never read."""

from __future__ import annotations

from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import reads
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World

FILE_BYTES_MAX = 5_000_000
_BEGINNINGS = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}

reads("file", "/v1/files/{file}")


def keep(world: World, *, name: str, content: bytes, purpose: str) -> Thing:
    if purpose != "dispute_evidence":
        raise Refusal(f"Invalid purpose: {purpose}", param="purpose")
    kind = next((kind for start, kind in _BEGINNINGS.items() if content.startswith(start)), None)
    if kind is None:
        raise Refusal("Invalid file: must be one of pdf, jpg, or png.", param="file")
    if len(content) > FILE_BYTES_MAX:
        raise Refusal(f"The file is larger than {FILE_BYTES_MAX} bytes.", code="file_too_large", param="file")
    return world.make("file", "file", filename=name, purpose=purpose, size=len(content), type=kind)
