"""Payment intents and the charges they make."""

from __future__ import annotations

from typing import Any

from tests.fakes.stripe import balance, cards, currencies, disputes, methods
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import Fields, lists, metadata, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World, public

lists("payment_intent", "/v1/payment_intents", "customer")
reads("payment_intent", "/v1/payment_intents/{intent}")
lists("charge", "/v1/charges", "customer", "payment_intent")
reads("charge", "/v1/charges/{charge}")

_MAY_CONFIRM = ("requires_payment_method", "requires_confirmation", "requires_action")
_MAY_CANCEL = (*_MAY_CONFIRM, "requires_capture", "processing")
_NO_RETURN = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these "
    "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want "
    "to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)


@serves("POST", "/v1/payment_intents")
def create(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    code = currencies.checked(fields["amount"], fields["currency"], least=True)
    customer = fields.get("customer")
    if customer:
        world.get("customer", customer, param="customer")
    require(
        fields.get("confirm") or "off_session" not in fields,
        "The parameter `off_session` cannot be used unless `confirm` is true.",
        param="off_session",
    )
    automatic = fields.get("automatic_payment_methods")
    require(
        not (automatic and "payment_method_types" in fields),
        "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
    )
    if automatic is None and "payment_method_types" not in fields:
        automatic = {"enabled": True}
    intent = world.make(
        "payment_intent",
        "pi",
        ours={"return_url": None},
        amount=fields["amount"],
        amount_capturable=0,
        amount_received=0,
        automatic_payment_methods=automatic and {"allow_redirects": "always", **automatic},
        capture_method=fields.get("capture_method", "automatic_async"),
        confirmation_method="automatic",
        currency=code,
        customer=customer,
        description=fields.get("description"),
        metadata=metadata(fields),
        payment_method_types=fields.get("payment_method_types", ["card"]),
        setup_future_usage=fields.get("setup_future_usage"),
        status="requires_payment_method",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{world.new_id('x')[2:]}"
    _take(world, intent, fields)
    world.emit("payment_intent.created", intent)
    if fields.get("confirm"):
        attempt(world, intent, off_session=bool(fields.get("off_session")))
    return intent


def _take(world: World, intent: Thing, fields: Fields) -> None:
    """Puts what a request says of the means to pay onto the intent."""
    if "payment_method_data" in fields and "card" in fields["payment_method_data"]:
        method = methods.method_of_card(world, fields["payment_method_data"]["card"])
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    if fields.get("payment_method"):
        method = methods.found(world, fields["payment_method"])
        require(not method["_used"], methods._USED, param="payment_method")
        if method["customer"] and method["customer"] != intent["customer"]:
            raise Refusal(
                f"The payment method you provided ({method['id']}) belongs to a Customer. Please include the Customer "
                "in the `customer` parameter on the PaymentIntent.",
                param="payment_method",
            )
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    for name in ("setup_future_usage", "receipt_email"):
        intent[name] = fields.get(name, intent[name])
    intent["_return_url"] = fields.get("return_url", intent["_return_url"])


@serves("POST", "/v1/payment_intents/{intent}")
def update(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("payment_intent", names["intent"], param="intent", status=404)
    if (
        set(fields) & {"amount", "currency", "payment_method", "customer"}
        and intent["status"] not in _MAY_CONFIRM
    ):
        raise _unexpected(intent, "update", _MAY_CONFIRM)
    if "amount" in fields:
        currencies.checked(fields["amount"], fields.get("currency", intent["currency"]), least=True)
    intent |= {
        name: fields[name] for name in ("amount", "currency", "customer", "description") if name in fields
    }
    intent["metadata"] = metadata(fields, intent["metadata"])
    _take(world, intent, fields)
    return world.store.put(intent)


@serves("POST", "/v1/payment_intents/{intent}/confirm")
def confirm(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("payment_intent", names["intent"], param="intent", status=404)
    if intent["status"] not in _MAY_CONFIRM:
        raise _unexpected(intent, "confirm", _MAY_CONFIRM)
    _take(world, intent, fields)
    attempt(world, intent, off_session=bool(fields.get("off_session")))
    return intent


@serves("POST", "/v1/payment_intents/{intent}/cancel")
def cancel(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("payment_intent", names["intent"], param="intent", status=404)
    if intent["status"] not in _MAY_CANCEL:
        raise _unexpected(intent, "cancel", _MAY_CANCEL)
    release(world, intent, fields.get("cancellation_reason"))
    return intent


@serves("POST", "/v1/payment_intents/{intent}/capture")
def capture(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    intent = world.get("payment_intent", names["intent"], param="intent", status=404)
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "capture", ("requires_capture",))
    amount = fields.get("amount_to_capture", intent["amount_capturable"])
    currencies.checked(amount, intent["currency"], least=False)
    if amount > intent["amount_capturable"]:
        raise Refusal(
            f"The amount you tried to capture ({amount}) is greater than the amount that is capturable "
            f"({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge = world.get("charge", intent["latest_charge"])
    _captured(world, intent, charge, amount)
    world.emit("charge.captured", charge)
    world.emit("payment_intent.succeeded", intent)
    return intent


def _unexpected(intent: Thing, act: str, allowed: tuple[str, ...]) -> Refusal:
    return Refusal(
        f"This PaymentIntent could not be {act.removesuffix('e')}ed because it has a status of {intent['status']}. "
        f"Only a PaymentIntent with one of the following statuses may be {act.removesuffix('e')}ed: "
        f"{', '.join(allowed)}.",
        code="payment_intent_unexpected_state",
        payment_intent=public(intent),
    )


def attempt(
    world: World, intent: Thing, *, off_session: bool = False, authenticated: bool | None = None
) -> None:
    """Charges the intent's method, or asks for authentication. Raises the Refusal that a decline is.

    `authenticated` is how the customer did at the bank's page: there is nobody to refuse to then.
    """
    if not intent["payment_method"]:
        raise Refusal(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
            payment_intent=public(intent),
        )
    automatic = intent["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and not (intent["_return_url"] or off_session):
        raise Refusal(_NO_RETURN, payment_intent=public(intent))
    method = methods.found(world, intent["payment_method"])
    card = cards.BY_NAME[method["_card"]]
    decline = world.settings["declines"].pop(0) if world.settings["declines"] else card.declines
    world.store.put(world.settings)
    asked = card.asks == "always" or (card.asks == "until set up" and not method["_set_up"])
    if asked and authenticated is None and not off_session:
        intent |= {"status": "requires_action", "next_action": methods.ask(world, intent)}
        world.emit("payment_intent.requires_action", intent)
        return
    if asked and authenticated is None:
        decline = "authentication_required"
    elif authenticated is False:
        decline = "payment_intent_authentication_failure"
    if decline:
        _declined(world, intent, method, decline, told=authenticated is None)
    else:
        _charged(world, intent, method, card)


def _declined(world: World, intent: Thing, method: Thing, decline: str, *, told: bool) -> None:
    error = cards.error_of(decline)
    if decline == "payment_intent_authentication_failure":
        error = {"code": decline, "message": "The provided PaymentMethod has failed authentication."}
    else:
        charge = _charge(world, intent, method, status="failed", paid=False)
        charge |= {"failure_code": error["code"], "failure_message": error["message"]}
        charge["outcome"] |= {
            "network_status": "declined_by_network",
            "reason": error.get("decline_code", decline),
            "type": "issuer_declined",
            "seller_message": "The bank returned the decline code.",
            "network_decline_code": error.get("network_decline_code"),
            "advice_code": error.get("advice_code"),
        }
        intent["latest_charge"] = error["charge"] = charge["id"]
        world.emit("charge.failed", charge)
    intent |= {
        "status": "requires_payment_method", "payment_method": None, "next_action": None,
        "last_payment_error": {**error, "type": "card_error", "payment_method": public(method)},
    }  # fmt: skip
    world.emit("payment_intent.payment_failed", intent)
    if told:
        raise Refusal(
            status=402,
            kind="card_error",
            **error,
            payment_intent=public(intent),
            payment_method=public(method),
        )


def _charge(world: World, intent: Thing, method: Thing, *, status: str, paid: bool) -> Thing:
    card = {
        name: value
        for name, value in method["card"].items()
        if name not in ("display_brand", "generated_from")
    }
    details: dict[str, Any] = {
        "type": "card",
        "card": card
        | {"amount_authorized": intent["amount"], "three_d_secure": None, "network": card["brand"]},
    }
    outcome = world.document.skeleton(
        "charge_outcome",
        network_status="approved_by_network",
        risk_level="normal",
        risk_score=30,
        seller_message="Payment complete.",
        type="authorized",
    )
    return world.make(
        "charge",
        "ch",
        amount=intent["amount"],
        billing_details=method["billing_details"],
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        outcome=outcome,
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=details,
        status=status,
    )


def _charged(world: World, intent: Thing, method: Thing, card: cards.Card) -> None:
    if intent["setup_future_usage"]:
        method["_set_up"] = intent["setup_future_usage"] == "off_session"
        if intent["customer"] and not method["customer"]:
            methods.attach(world, method, intent["customer"])
    method["_used"] = method["_used"] or not method["customer"]
    world.store.put(method)
    charge = _charge(world, intent, method, status="succeeded", paid=True)
    charge |= {"_card": card.name}
    intent |= {"latest_charge": charge["id"], "next_action": None, "last_payment_error": None}
    if intent["capture_method"] == "manual":
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        ends = world.now() + world.terms.hold_ends_s
        charge["payment_method_details"]["card"]["capture_before"] = ends
        world.plan(ends, "hold ends", intent["id"])
        world.emit("charge.succeeded", charge)
        world.emit("payment_intent.amount_capturable_updated", intent)
        return
    _captured(world, intent, charge, intent["amount"])
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    disputes.follow(world, charge, card)


def _captured(world: World, intent: Thing, charge: Thing, amount: int) -> None:
    at_once = cards.BY_NAME[charge["_card"]].at_once
    moved = balance.move(
        world,
        "charge",
        "charge",
        amount=amount,
        fee=balance.fee_of(world, amount, intent["currency"]),
        currency=intent["currency"],
        source=charge["id"],
        after_s=0 if at_once else world.terms.settles_after_s,
        description=intent["description"],
        charged=charge["id"],
    )
    charge |= {"captured": True, "amount_captured": amount, "balance_transaction": moved["id"]}
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    world.store.put(charge)
    world.store.put(intent)


def release(world: World, intent: Thing, reason: str | None) -> None:
    if intent["status"] == "requires_capture":
        charge = world.get("charge", intent["latest_charge"])
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        world.emit("charge.refunded", charge)
    intent |= {
        "status": "canceled", "canceled_at": world.now(), "cancellation_reason": reason,
        "amount_capturable": 0, "next_action": None,
    }  # fmt: skip
    world.emit("payment_intent.canceled", intent)


def hold_ends(world: World, intent: Thing) -> None:
    if intent["status"] == "requires_capture":
        release(world, intent, "automatic")
