"""Evidence of sellers: taken once, while PayPal waits for it, of the kinds and sizes that it names."""

from __future__ import annotations

from tests.fakes.paypal.errors import Issue
from tests.fakes.paypal.orders import Body
from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.store import Thing

FILE_BYTES_MAX, CASE_BYTES_MAX, NOTES_MAX = 10_000_000, 50_000_000, 2_000
_KINDS = {"OTHER", "PROOF_OF_FULFILLMENT", "PROOF_OF_REFUND"}
_BEGINNINGS = (b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")


def provide(world: PayPalWorld, made: Thing, body: Body) -> None:
    """Raises Issue."""
    if made["status"] != "WAITING_FOR_SELLER_RESPONSE":
        raise Issue("ACTION_NOT_ALLOWED_IN_CURRENT_DISPUTE_STATE")
    told: list[Body] = body.get("evidences") or []
    if not told:
        raise Issue("MISSING_REQUIRED_PARAMETER", status=400, field="/evidences")
    files: list[tuple[str, str, bytes]] = body.get("_files") or []
    for one in told:
        if one.get("evidence_type") not in _KINDS:
            raise Issue("INVALID_EVIDENCE_TYPE", status=400, field="/evidences/evidence_type")
        if len(str(one.get("notes", ""))) > NOTES_MAX:
            raise Issue("INVALID_STRING_MAX_LENGTH", status=400, field="/evidences/notes")
    named = [document["name"] for one in told for document in one.get("documents", [])]
    if sorted(named) != sorted(name for name, _, _ in files):
        raise Issue("MISSING_OR_INVALID_FILE", status=400, field="/evidences/documents")
    for _, _, content in files:
        if not content.startswith(_BEGINNINGS):
            raise Issue("INVALID_FILE_TYPE", status=400)
        if len(content) > FILE_BYTES_MAX:
            raise Issue("FILE_SIZE_LIMIT_EXCEEDED", status=400)
    if sum(len(content) for _, _, content in files) > CASE_BYTES_MAX:
        raise Issue("FILE_SIZE_LIMIT_EXCEEDED", status=400)
    made["evidences"] = [
        {**{name: one[name] for name in ("evidence_type", "notes", "documents") if name in one},
         "source": "SUBMITTED_BY_SELLER", "date": world.text_now()}
        for one in told
    ]  # fmt: skip
    made["status"] = "UNDER_REVIEW"
    world.store.put(made)
    world.tell("CUSTOMER.DISPUTE.UPDATED", "dispute", made)
