"""Refunds: never more than is left, never of what is disputed, and some fail days later."""

from __future__ import annotations

from tests.fakes.stripe import balance, cards, disputes
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import Fields, lists, metadata, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import DAY_S, World

REFUND_TAKES_S = 3 * DAY_S  # of those that do not succeed, or fail, at once

lists("refund", "/v1/refunds", "charge", "payment_intent")
reads("refund", "/v1/refunds/{refund}")


@serves("POST", "/v1/refunds")
def create(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    charge = _charge(world, fields)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["refunded"] or not left:
        raise Refusal(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if _charged_back(world, charge):
        raise Refusal(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    amount = fields.get("amount", left)
    if amount < 1:
        raise Refusal(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > left:
        raise Refusal(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
        )
    how = cards.BY_NAME[charge["_card"]].refund
    refund = world.make(
        "refund",
        "re",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        metadata=metadata(fields),
        payment_intent=charge["payment_intent"],
        reason=fields.get("reason"),
        status="pending" if how == "pending" else "succeeded",
    )
    moved = _move(world, refund, "refund", -amount)
    refund["balance_transaction"] = moved["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    if how:
        world.plan(world.now() + REFUND_TAKES_S, f"refund: {how}", refund["id"])
    world.emit("refund.created", refund)
    world.emit("charge.refunded", charge)
    return refund


def _charge(world: World, fields: Fields) -> Thing:
    if "payment_intent" in fields:
        intent = world.get("payment_intent", fields["payment_intent"], param="payment_intent")
        if intent["status"] != "succeeded":
            raise Refusal(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        return world.get("charge", intent["latest_charge"])
    require(
        "charge" in fields,
        "One of the following params should be provided for this request: payment_intent or charge.",
    )
    charge = world.get("charge", fields["charge"], param="charge")
    require(charge["captured"], f"Charge {charge['id']} has not been captured.", param="charge")
    return charge


def _charged_back(world: World, charge: Thing) -> bool:
    """An inquiry is none yet, and one that was won is none any more."""
    ended = ("won", "warning_closed", "warning_needs_response", "warning_under_review")
    return any(one["status"] not in ended for one in disputes.of_charge(world, charge))


def _move(world: World, refund: Thing, kind: str, amount: int) -> Thing:
    return balance.move(
        world, kind, kind, amount=amount, currency=refund["currency"], source=refund["id"], charged=refund["charge"],
        description=f"{kind.replace('_', ' ').upper()} FOR CHARGE",
    )  # fmt: skip


@serves("POST", "/v1/refunds/{refund}")
def update(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    refund = world.get("refund", names["refund"], param="refund", status=404)
    refund["metadata"] = metadata(fields, refund["metadata"])
    return world.store.put(refund)


def succeed(world: World, refund: Thing) -> None:
    if refund["status"] == "pending":
        refund["status"] = "succeeded"
        world.emit("refund.updated", refund, status="pending")


def fail(world: World, refund: Thing) -> None:
    """The customer's bank sent it back: the money is in the balance again and the charge is refunded less."""
    require(refund["status"] in ("pending", "succeeded"), "This refund has failed before.")
    moved = _move(world, refund, "refund_failure", refund["amount"])
    refund |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": moved["id"],
    }
    charge = world.get("charge", refund["charge"])
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    world.store.put(charge)
    world.emit("refund.failed", refund)
    world.emit("charge.refund.updated", refund)
