"""Customers, their cards, and setting cards up for later charges."""

from __future__ import annotations

import time
from typing import Any

from tests.fakes.stripe import cards
from tests.fakes.stripe.cards import Card
from tests.fakes.stripe.refusals import Refusal, missing
from tests.fakes.stripe.routes import Fields, lists, metadata, page, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World, public

EXPIRES = 12, 2034  # of a card named instead of typed
_USED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use "
    "a PaymentMethod multiple times, you must attach it to a Customer first."
)

# Customers

lists("customer", "/v1/customers", "email")
reads("customer", "/v1/customers/{customer}")
_PLAIN = ("name", "email", "phone", "description", "address", "shipping")


@serves("POST", "/v1/customers")
def create_customer(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    plain = {name: fields[name] for name in _PLAIN if name in fields}
    customer = world.make("customer", "cus", balance=0, delinquent=False, metadata=metadata(fields), **plain)
    world.emit("customer.created", customer)
    return customer


@serves("POST", "/v1/customers/{customer}")
def update_customer(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    customer = world.get("customer", names["customer"], param="customer", status=404)
    customer |= {name: fields[name] or None for name in _PLAIN if name in fields}
    customer["metadata"] = metadata(fields, customer["metadata"])
    world.emit("customer.updated", customer)
    return customer


@serves("DELETE", "/v1/customers/{customer}")
def delete_customer(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    customer = world.get("customer", names["customer"], param="customer", status=404)
    for method in list(world.store.of("payment_method")):
        if method["customer"] == customer["id"]:
            loosen(world, method)
    world.emit("customer.deleted", customer)
    world.store.drop(customer["id"])
    return {"id": customer["id"], "object": "customer", "deleted": True}


# Payment methods

reads("payment_method", "/v1/payment_methods/{payment_method}")


@serves("GET", "/v1/payment_methods")
def list_methods(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    return _methods_of(world, fields, fields.get("customer", ""), "/v1/payment_methods")


@serves("GET", "/v1/customers/{customer}/payment_methods")
def list_of_customer(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    customer = world.get("customer", names["customer"], param="customer", status=404)["id"]
    return _methods_of(world, fields, customer, f"/v1/customers/{customer}/payment_methods")


def _methods_of(world: World, fields: Fields, customer: str, url: str) -> Thing:
    if customer:
        world.get("customer", customer, param="customer")
    kind = fields.get("type")
    return page(
        world, "payment_method", fields, url,
        lambda one: customer != "" and one["customer"] == customer and kind in (None, one["type"]),
    )  # fmt: skip


@serves("POST", "/v1/payment_methods")
def create_method(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    require(fields.get("type"), "Missing required param: type.", param="type", code="parameter_missing")
    require(fields["type"] == "card", "This test provider knows only cards.", param="type")
    method = method_of_card(world, fields.get("card", {}), billing=fields.get("billing_details"))
    method["metadata"] = metadata(fields)
    return world.store.put(method)


@serves("POST", "/v1/payment_methods/{payment_method}")
def update_method(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    method = world.get("payment_method", names["payment_method"], param="payment_method", status=404)
    require(
        method["customer"],
        "You must save this PaymentMethod to a customer before you can update it.",
        param="payment_method",
    )
    method["card"] |= {k: v for k, v in (fields.get("card") or {}).items() if k in ("exp_month", "exp_year")}
    method["billing_details"] |= fields.get("billing_details") or {}
    method["metadata"] = metadata(fields, method["metadata"])
    world.emit("payment_method.updated", method)
    return method


@serves("POST", "/v1/payment_methods/{payment_method}/attach")
def attach_method(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    customer = fields.get("customer", "")
    world.get("customer", customer, param="customer")
    method = found(world, names["payment_method"], status=404)
    require(
        method["customer"] in (None, customer),
        "The payment method you provided has already been attached to a customer.",
        param="payment_method",
    )
    attach(world, method, customer)
    return method


@serves("POST", "/v1/payment_methods/{payment_method}/detach")
def detach_method(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    method = world.get("payment_method", names["payment_method"], param="payment_method", status=404)
    require(
        method["customer"],
        "The payment method you provided is not attached to a customer so detachment is impossible.",
        param="payment_method",
    )
    loosen(world, method)
    return method


def renew(world: World, method: Thing, *, last4: str, exp_year: int) -> None:
    """Its bank gave the card another number or date, and the network told."""
    method["card"] |= {"last4": last4, "exp_year": exp_year}
    world.emit("payment_method.automatically_updated", method)


def loosen(world: World, method: Thing) -> None:
    """Whoever it was: it is kept no more."""
    customer = method["customer"]
    method |= {"customer": None, "_used": True}
    world.emit("payment_method.detached", method, customer=customer)


def attach(world: World, method: Thing, customer: str) -> None:
    """Raises the decline of a card that its bank does not let be kept."""
    card = cards.BY_NAME[method["_card"]]
    require(not method["_used"], _USED, param="payment_method")
    if card.declines and not card.keeps:
        raise Refusal(status=402, kind="card_error", **cards.error_of(card.declines))
    method["customer"] = customer
    world.emit("payment_method.attached", method)


def found(world: World, identifier: str, *, param: str = "payment_method", status: int = 400) -> Thing:
    """The method of that identifier; one of the test names (`pm_card_visa`) makes a new one."""
    card = cards.named(identifier) if identifier.startswith("pm_card_") else None
    if card is not None:
        return _method(world, card, *EXPIRES, billing=None)
    method = world.store.find(identifier)
    if method is None or method["object"] != "payment_method":
        raise missing("PaymentMethod", identifier, param=param, status=status)
    return method


def method_of_card(world: World, told: dict[str, Any], *, billing: dict[str, Any] | None = None) -> Thing:
    """A new method of a test token, or of the number of a test card. Other numbers are no cards here."""
    if "token" in told:
        card = cards.named(told["token"])
        if card is None:
            raise missing("token", told["token"], param="card[token]")
        return _method(world, card, *EXPIRES, billing=billing)
    for name in ("number", "exp_month", "exp_year"):
        require(
            name in told,
            f"Missing required param: card[{name}].",
            param=f"card[{name}]",
            code="parameter_missing",
        )
    number = str(told["number"]).replace(" ", "").replace("-", "")
    if number not in cards.BY_NUMBER:
        raise _card_error("incorrect_number", "Your card number is incorrect.", "number")
    month, year = told["exp_month"], told["exp_year"]
    if not 1 <= month <= 12:
        raise _card_error("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if (year, month) < _this_month(world):
        raise _card_error("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
    if not str(told.get("cvc", "123")).isdecimal():
        raise _card_error("invalid_cvc", "Your card's security code is invalid.", "cvc")
    return _method(world, cards.BY_NUMBER[number], month, year, billing=billing)


def _card_error(code: str, message: str, param: str) -> Refusal:
    return Refusal(message, status=402, kind="card_error", code=code, param=param)


def _this_month(world: World) -> tuple[int, int]:
    today = time.gmtime(world.now())
    return today.tm_year, today.tm_mon


def _method(world: World, card: Card, month: int, year: int, *, billing: dict[str, Any] | None) -> Thing:
    empty = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    return world.make(
        "payment_method",
        "pm",
        ours={"card": card.name, "used": False, "set_up": False},
        allow_redisplay="unspecified",
        billing_details=empty | (billing or {}),
        card=card.details(month, year),
        customer=None,
        metadata={},
        type="card",
    )


# Setting up

lists("setup_intent", "/v1/setup_intents", "customer", "payment_method")
reads("setup_intent", "/v1/setup_intents/{intent}")
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


@serves("POST", "/v1/setup_intents")
def create_setup(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    customer = fields.get("customer")
    if customer:
        world.get("customer", customer, param="customer")
    intent = world.make(
        "setup_intent",
        "seti",
        ours={"return_url": fields.get("return_url")},
        automatic_payment_methods=None if "payment_method_types" in fields else {"enabled": True},
        customer=customer,
        description=fields.get("description"),
        metadata=metadata(fields),
        payment_method_types=fields.get("payment_method_types", ["card"]),
        status="requires_payment_method",
        usage=fields.get("usage", "off_session"),
    )
    intent["client_secret"] = f"{intent['id']}_secret_{world.new_id('x')[2:]}"
    if "payment_method" in fields:
        intent |= {
            "payment_method": found(world, fields["payment_method"])["id"],
            "status": "requires_confirmation",
        }
    world.emit("setup_intent.created", intent)
    if fields.get("confirm"):
        confirm_setup(world, intent)
    return intent


@serves("POST", "/v1/setup_intents/{intent}/confirm")
def confirm(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("setup_intent", names["intent"], param="intent", status=404)
    if "payment_method" in fields:
        intent |= {
            "payment_method": found(world, fields["payment_method"])["id"],
            "status": "requires_confirmation",
        }
    intent["_return_url"] = fields.get("return_url", intent["_return_url"])
    confirm_setup(world, intent)
    return intent


@serves("POST", "/v1/setup_intents/{intent}/cancel")
def cancel(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("setup_intent", names["intent"], param="intent", status=404)
    _require_open(intent, "cancel")
    intent |= {
        "status": "canceled",
        "cancellation_reason": fields.get("cancellation_reason"),
        "next_action": None,
    }
    world.emit("setup_intent.canceled", intent)
    return intent


def _require_open(intent: Thing, act: str) -> None:
    if intent["status"] not in _OPEN:
        raise Refusal(
            f"You cannot {act} this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
            setup_intent=public(intent),
        )


def confirm_setup(world: World, intent: Thing, *, authenticated: bool | None = None) -> None:
    """`authenticated` is how the customer did at the bank's page, None before they were asked."""
    _require_open(intent, "confirm")
    if not intent["payment_method"]:
        raise Refusal(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
            setup_intent=public(intent),
        )
    method = found(world, intent["payment_method"])
    card = cards.BY_NAME[method["_card"]]
    if card.asks and authenticated is None:
        intent |= {"status": "requires_action", "next_action": ask(world, intent)}
        world.emit("setup_intent.requires_action", intent)
        return
    decline = "" if authenticated is None or authenticated else "setup_intent_authentication_failure"
    decline = decline or (card.declines if card.declines and not card.keeps else "")
    if decline:
        error = cards.error_of(decline) | ({"code": decline} if "failure" in decline else {})
        intent |= {
            "status": "requires_payment_method", "payment_method": None, "next_action": None,
            "last_setup_error": {**error, "type": "card_error", "payment_method": public(method)},
        }  # fmt: skip
        world.emit("setup_intent.setup_failed", intent)
        if authenticated is None:
            raise Refusal(status=402, kind="card_error", **error, setup_intent=public(intent))
        return
    method["_set_up"] = intent["usage"] == "off_session"
    if intent["customer"] and method["customer"] != intent["customer"]:
        attach(world, method, intent["customer"])
    world.store.put(method)
    intent |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    world.emit("setup_intent.succeeded", intent)


def ask(world: World, intent: Thing) -> dict[str, Any]:
    """What sends the customer to the bank's page; without an address to return to, the page's own script would."""
    if not intent["_return_url"]:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    url = f"{world.base}/_hosted/authenticate/{intent['id']}?secret={intent['client_secret']}"
    return {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": intent["_return_url"]}}
