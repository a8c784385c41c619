"""Disputes from the bank's warning to their end, with the money they move."""

from __future__ import annotations

from typing import Any

from tests.fakes.stripe import balance
from tests.fakes.stripe.cards import Card
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import Fields, lists, metadata, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World

EVIDENCE_TEXT_MAX = 150_000
_FILES = {
    "cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation", "receipt",
    "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file",
}  # fmt: skip
_OPEN = ("needs_response", "warning_needs_response")
_REVIEWED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}

lists("dispute", "/v1/disputes", "charge", "payment_intent")
reads("dispute", "/v1/disputes/{dispute}")
lists("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings", "charge", "payment_intent")
reads("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings/{early_fraud_warning}")


def follow(world: World, charge: Thing, card: Card) -> None:
    """What the bank of a test card does next."""
    if card.warned:
        warn(world, charge)
    if card.disputed:
        dispute(world, charge, reason=card.disputed, inquiry=card.inquiry)


def of_charge(world: World, charge: Thing) -> list[Thing]:
    return [one for one in world.store.of("dispute") if one["charge"] == charge["id"]]


def warn(world: World, charge: Thing) -> Thing:
    warning = world.make(
        "radar.early_fraud_warning",
        "issfr",
        actionable=not charge["refunded"] and not charge["disputed"],
        charge=charge["id"],
        fraud_type="unauthorized_use_of_card",
        payment_intent=charge["payment_intent"],
    )
    world.emit("radar.early_fraud_warning.created", warning)
    return warning


def dispute(world: World, charge: Thing, *, reason: str = "fraudulent", inquiry: bool = False) -> Thing:
    """Contests what is left of a captured charge; an inquiry takes no money yet."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    contested = any(one["status"] not in ("won", "warning_closed") for one in of_charge(world, charge))
    require(charge["captured"] and left > 0 and not contested, "This charge cannot be disputed.")
    due = world.now() + world.terms.dispute_answer_s
    made = world.make(
        "dispute",
        "du",
        amount=left,
        charge=charge["id"],
        currency=charge["currency"],
        evidence=world.document.skeleton("dispute_evidence", enhanced_evidence={}),
        is_charge_refundable=inquiry,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details={
            "type": "card",
            "card": {
                "brand": charge["payment_method_details"]["card"]["brand"],
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": "10",
            },
        },
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
    )
    made["evidence_details"] = world.document.skeleton(
        "dispute_evidence_details",
        due_by=due, has_evidence=False, past_due=False, submission_count=0,
        enhanced_eligibility={},
    )  # fmt: skip
    world.plan(due, "answer is due", made["id"])
    charge["disputed"] = True
    world.store.put(charge)
    world.emit("charge.dispute.created", made)
    if not inquiry:
        _withdraw(world, made)
    return made


def _withdraw(world: World, made: Thing) -> None:
    _move(world, made, "dispute", -made["amount"], fee=world.terms.dispute_fee)
    world.emit("charge.dispute.funds_withdrawn", made)


def _move(world: World, made: Thing, category: str, amount: int, *, fee: int = 0) -> None:
    moved = balance.move(
        world, "adjustment", category, amount=amount, fee=fee, currency=made["currency"], source=made["id"],
        description=f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {made['charge']}",
        charged=made["charge"],
    )  # fmt: skip
    made["balance_transactions"] = [*made["balance_transactions"], moved_public(moved)]


def moved_public(moved: Thing) -> Thing:
    return {name: value for name, value in moved.items() if not name.startswith("_")}


@serves("POST", "/v1/disputes/{dispute}")
def update(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    made = world.get("dispute", names["dispute"], param="dispute", status=404)
    made["metadata"] = metadata(fields, made["metadata"])
    evidence: dict[str, Any] = fields.get("evidence") or {}
    if not evidence and not fields.get("submit"):
        return world.store.put(made)
    if made["status"] not in _OPEN:
        raise Refusal(
            "This dispute is already closed or its evidence has been submitted, and cannot be changed."
        )
    for name in evidence.keys() & _FILES:
        kept = world.get("file", evidence[name], param=f"evidence[{name}]")
        require(
            kept["purpose"] == "dispute_evidence",
            "The file is of another purpose.",
            param=f"evidence[{name}]",
        )
    held = made["evidence"] | {name: value or None for name, value in evidence.items()}
    written = sum(len(value) for name, value in held.items() if isinstance(value, str) and name not in _FILES)
    require(
        written <= EVIDENCE_TEXT_MAX,
        f"Combined character count of all text evidence fields is {written}, over the limit of {EVIDENCE_TEXT_MAX}.",
        param="evidence",
    )
    made["evidence"] = held
    made["evidence_details"]["has_evidence"] = any(isinstance(value, str) for value in held.values())
    # Left out, it means yes: what is staged by mistake is handed in for ever.
    if fields.get("submit", True):
        _submit(world, made)
    else:
        world.emit("charge.dispute.updated", made)
    return made


def _submit(world: World, made: Thing) -> None:
    made["evidence_details"]["submission_count"] += 1
    made["status"] = _REVIEWED[made["status"]]
    world.emit("charge.dispute.updated", made)
    told = made["evidence"]["uncategorized_text"]
    if told in ("winning_evidence", "losing_evidence"):
        close(world, made, won=told == "winning_evidence")


@serves("POST", "/v1/disputes/{dispute}/close")
def accept(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    made = world.get("dispute", names["dispute"], param="dispute", status=404)
    require(made["status"] in _OPEN, "This dispute is already closed.")
    close(world, made, won=False)
    return made


def close(world: World, made: Thing, *, won: bool) -> None:
    """The bank decides. A fee once taken stays taken, and the charge was `disputed` for ever."""
    require(made["status"] not in ("won", "lost", "warning_closed"), "This dispute is already closed.")
    if made["status"].startswith("warning"):
        made["status"] = "warning_closed"
    else:
        made["status"] = "won" if won else "lost"
        if won:
            _move(world, made, "dispute_reversal", made["amount"])
            world.emit("charge.dispute.funds_reinstated", made)
    made["evidence_details"]["due_by"] = None
    made["is_charge_refundable"] = made["status"] != "lost"
    world.emit("charge.dispute.closed", made)


def escalate(world: World, made: Thing) -> None:
    """An inquiry becomes a chargeback."""
    require(
        made["status"].startswith("warning_") and made["status"] != "warning_closed",
        "This is no open inquiry.",
    )
    due = world.now() + world.terms.dispute_answer_s
    made |= {"status": "needs_response", "is_charge_refundable": False}
    made["evidence_details"] |= {"due_by": due, "past_due": False, "submission_count": 0}
    world.plan(due, "answer is due", made["id"])
    world.emit("charge.dispute.updated", made)
    _withdraw(world, made)


def answer_is_due(world: World, made: Thing) -> None:
    due = made["evidence_details"]["due_by"]
    if made["status"] in _OPEN and due is not None and due <= world.now():
        made["evidence_details"]["past_due"] = True
        close(world, made, won=False)
