"""Checkout sessions: a page of this Stripe on which a customer pays, or keeps a card."""

from __future__ import annotations

from typing import Any

from tests.fakes.stripe import currencies, methods, payments
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import Fields, lists, metadata, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import DAY_S, World

lists("checkout.session", "/v1/checkout/sessions", "customer", "payment_intent", "status")
reads("checkout.session", "/v1/checkout/sessions/{session}")


@serves("POST", "/v1/checkout/sessions")
def create(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    mode = fields.get("mode", "payment")
    require(mode in ("payment", "setup"), "This test provider has no subscriptions.", param="mode")
    require(
        fields.get("success_url"),
        "Missing required param: success_url.",
        param="success_url",
        code="parameter_missing",
    )
    customer = fields.get("customer")
    if customer:
        world.get("customer", customer, param="customer")
    expires = fields.get("expires_at", world.now() + DAY_S)
    require(
        world.now() + 30 * 60 <= expires <= world.now() + DAY_S,
        "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session creation.",
        param="expires_at",
    )
    total, code = _total(fields) if mode == "payment" else (None, fields.get("currency"))
    session = world.make(
        "checkout.session",
        "cs_test",
        ours={"intent": fields.get("payment_intent_data", {}), "setup": fields.get("setup_intent_data", {})},
        amount_subtotal=total,
        amount_total=total,
        cancel_url=fields.get("cancel_url"),
        client_reference_id=fields.get("client_reference_id"),
        currency=code,
        customer=customer,
        customer_email=fields.get("customer_email"),
        expires_at=expires,
        metadata=metadata(fields),
        mode=mode,
        payment_method_types=fields.get("payment_method_types", ["card"]),
        payment_status="unpaid" if mode == "payment" else "no_payment_required",
        status="open",
        success_url=fields["success_url"],
    )
    session["url"] = f"{world.base}/_hosted/checkout/{session['id']}"
    if mode == "setup":
        told = {"customer": customer, "return_url": _returns(world, session), **session["_setup"]}
        intent = methods.create_setup(world, {k: v for k, v in told.items() if v is not None}, {})
        session["setup_intent"] = intent["id"]
    world.plan(expires, "session expires", session["id"])
    return world.store.put(session)


def _total(fields: Fields) -> tuple[int, str]:
    items: list[dict[str, Any]] = fields.get("line_items") or []
    require(items, "Missing required param: line_items.", param="line_items", code="parameter_missing")
    total, codes = 0, set[str]()
    for number, item in enumerate(items):
        price = item.get("price_data")
        if price is None or "unit_amount" not in price:
            raise Refusal(
                "This test provider takes only price_data with unit_amount.",
                param=f"line_items[{number}][price_data]",
            )
        total += price["unit_amount"] * item.get("quantity", 1)
        codes.add(price["currency"].lower())
    require(len(codes) == 1, "All line items must have the same currency.", param="line_items")
    code = currencies.checked(total, codes.pop(), least=True)
    return total, code


def _returns(world: World, session: Thing) -> str:
    return f"{world.base}/_hosted/checkout/{session['id']}/return"


@serves("POST", "/v1/checkout/sessions/{session}/expire")
def expire(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    session = world.get("checkout.session", names["session"], param="session", status=404)
    require(
        session["status"] == "open",
        f"Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of "
        f"{session['status']}",
    )  # fmt: skip
    expires(world, session)
    return session


def expires(world: World, session: Thing) -> None:
    if session["status"] == "open":
        session |= {"status": "expired", "url": None}
        world.emit("checkout.session.expired", session)


def submit(world: World, session: Thing, card: dict[str, Any]) -> Thing:
    """Pays with that card, or keeps it; gives the intent as it is then. Raises the Refusal of a decline."""
    require(session["status"] == "open", "This page has been used or is too old.")
    if session["mode"] == "setup":
        intent = world.get("setup_intent", session["setup_intent"])
        intent["payment_method"] = methods.method_of_card(world, card)["id"]
        methods.confirm_setup(world, intent)
    else:
        intent = _intent(world, session)
        intent["payment_method"] = methods.method_of_card(world, card)["id"]
        payments.attempt(world, intent)
    finish(world, session)
    return intent


def _intent(world: World, session: Thing) -> Thing:
    """The session's payment intent, which is made when somebody pays first."""
    if session["payment_intent"]:
        return world.get("payment_intent", session["payment_intent"])
    told = {
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "payment_method_types": session["payment_method_types"],
        **session["_intent"],
    }
    intent = payments.create(world, {k: v for k, v in told.items() if v is not None}, {})
    intent["_return_url"] = _returns(world, session)
    session["payment_intent"] = intent["id"]
    world.store.put(session)
    return intent


def finish(world: World, session: Thing) -> bool:
    """Whether the session is complete; makes it so when its intent is."""
    intent = world.store.find(session["payment_intent"] or session["setup_intent"] or "")
    if session["status"] == "open" and intent and intent["status"] in ("succeeded", "requires_capture"):
        paid = session["mode"] == "payment" and intent["status"] == "succeeded"
        session |= {"status": "complete", "url": None}
        session["payment_status"] = "paid" if paid else session["payment_status"]
        world.emit("checkout.session.completed", session)
    return session["status"] == "complete"
