"""Orders, what becomes of them, and the money that moves by it."""

from __future__ import annotations

from typing import Any

from tests.fakes.paypal.amounts import money, units
from tests.fakes.paypal.errors import Issue
from tests.fakes.paypal.world import PayPalWorld, told
from tests.fakes.stripe.store import Thing

Body = dict[str, Any]
FEE_BASIS_POINTS, FEE_FIXED = 349, 49
HOLD_S = 29 * 86_400
# Codes of developer.paypal.com/docs/transaction-search/transaction-event-codes.
PAID, REFUNDED, CHARGED_BACK, CHARGEBACK_REVERSED, CHARGEBACK_FEE, WITHDRAWN = (
    "T0006", "T1107", "T1201", "T1202", "T0106", "T0400",
)  # fmt: skip


def create(world: PayPalWorld, body: Body, key: str) -> Thing:
    if body.get("intent") not in ("CAPTURE", "AUTHORIZE"):
        raise Issue("INVALID_PARAMETER_VALUE", status=400, field="/intent")
    asked = body.get("purchase_units")
    if not isinstance(asked, list) or len(asked) != 1:
        raise Issue("MISSING_REQUIRED_PARAMETER", status=400, field="/purchase_units")
    unit: Body = asked[0]
    units(unit.get("amount"), "/purchase_units/0/amount")
    source: Body = (body.get("payment_source") or {}).get("paypal") or {}
    if source and not key:
        raise Issue("PAYPAL_REQUEST_ID_REQUIRED", status=400)
    for name in ("custom_id", "invoice_id", "description"):
        if len(str(unit.get(name, ""))) > 127:
            raise Issue("INVALID_STRING_MAX_LENGTH", status=400, field=f"/purchase_units/0/{name}")
    order: Thing = {
        "id": world.paypal_id(),
        "object": "order",
        "intent": body["intent"],
        "status": "PAYER_ACTION_REQUIRED" if source else "CREATED",
        "purchase_units": [{"reference_id": "default", **unit}],
        "create_time": world.text_now(),
        "payment_source": {"paypal": {}},
        "links": [],
        "_source": source,
    }
    url = f"{world.base}/checkoutnow?token={order['id']}"
    order["links"] = [{"href": url, "rel": "payer-action" if source else "approve", "method": "GET"}]
    if "vault_id" in source:
        world.named("payment_token", source["vault_id"])
        order["status"] = "APPROVED"
        _complete(world, order)
    return world.store.put(order)


def approve(world: PayPalWorld, order: Thing) -> None:
    """The buyer agrees, on PayPal's page."""
    if order["status"] in ("CREATED", "PAYER_ACTION_REQUIRED"):
        order["status"] = "APPROVED"
        world.tell("CHECKOUT.ORDER.APPROVED", "checkout-order", order)


def complete(world: PayPalWorld, order: Thing, intent: str) -> Thing:
    """What the shop asks for when the buyer has agreed: the money, or that it is held."""
    if order["intent"] != intent:
        raise Issue("ACTION_DOES_NOT_MATCH_INTENT")
    if order["status"] == "COMPLETED":
        raise Issue("ORDER_ALREADY_CAPTURED" if intent == "CAPTURE" else "ORDER_ALREADY_AUTHORIZED")
    if order["status"] != "APPROVED":
        raise Issue("ORDER_NOT_APPROVED")
    _complete(world, order)
    return world.store.put(order)


def _complete(world: PayPalWorld, order: Thing) -> None:
    unit = order["purchase_units"][0]
    if world.settings["declines"]:
        issue = world.settings["declines"].pop(0)
        world.store.put(world.settings)
        raise Issue(issue)
    if "invoice_id" in unit:
        taken = f"_invoice:{unit['invoice_id']}"
        if world.store.find(taken) is not None:
            raise Issue("DUPLICATE_INVOICE_ID")
        world.store.put({"id": taken, "object": "_invoice"})
    amount, code = units(unit["amount"], "")
    order["status"] = "COMPLETED"
    if order["intent"] == "CAPTURE":
        made = capture(world, order, amount, code)
        unit["payments"] = {"captures": [told(made)]}
    else:
        made = _authorization(world, order, amount, code)
        unit["payments"] = {"authorizations": [told(made)]}
    _keep_method(world, order)
    world.store.put(order)


def _keep_method(world: PayPalWorld, order: Thing) -> None:
    attributes: Body = order["_source"].get("attributes") or {}
    if (attributes.get("vault") or {}).get("store_in_vault") == "ON_SUCCESS":
        kept = keep_method(world, (attributes.get("customer") or {}).get("id") or world.paypal_id(10))
        vault = {"id": kept["id"], "status": "VAULTED", "customer": kept["customer"]}
        order["payment_source"] = {"paypal": {"attributes": {"vault": vault}}}
        world.tell("VAULT.PAYMENT-TOKEN.CREATED", "payment_token", kept)


def keep_method(world: PayPalWorld, customer: str) -> Thing:
    return world.store.put(
        {
            "id": world.paypal_id(11).lower(), "object": "payment_token", "customer": {"id": customer},
            "payment_source": {"paypal": {"email_address": "buyer@example.test"}},
        }
    )  # fmt: skip


def forget_method(world: PayPalWorld, kept: Thing) -> None:
    """Whoever ends it: the seller, or the buyer on PayPal's own pages."""
    world.tell("VAULT.PAYMENT-TOKEN.DELETED", "payment_token", kept)
    world.store.drop(kept["id"])


def _authorization(world: PayPalWorld, order: Thing, amount: int, code: str) -> Thing:
    made: Thing = {
        "id": world.paypal_id(), "object": "authorization", "status": "CREATED", "amount": money(amount, code),
        **_ours(order), "create_time": world.text_now(), "_order": order["id"],
    }  # fmt: skip
    world.plan(world.now() + HOLD_S, "hold ends", made["id"])
    world.tell("PAYMENT.AUTHORIZATION.CREATED", "authorization", made)
    return made


def _ours(order: Thing) -> Body:
    unit = order["purchase_units"][0]
    named = {name: unit[name] for name in ("custom_id", "invoice_id") if name in unit}
    return {**named, "supplementary_data": {"related_ids": {"order_id": order["id"]}}}


def capture(world: PayPalWorld, order: Thing, amount: int, code: str) -> Thing:
    fee = min(amount, (amount * FEE_BASIS_POINTS + 5_000) // 10_000 + (0 if code == "JPY" else FEE_FIXED))
    made: Thing = {
        "id": world.paypal_id(), "object": "capture", "status": "COMPLETED", "amount": money(amount, code),
        "final_capture": True, **_ours(order), "create_time": world.text_now(),
        "seller_receivable_breakdown": {
            "gross_amount": money(amount, code), "paypal_fee": money(fee, code),
            "net_amount": money(amount - fee, code),
        },
        "_order": order["id"], "_amount": amount, "_refunded": 0, "_code": code, "_disputed": False,
    }  # fmt: skip
    move(world, PAID, made["id"], amount, code, fee=fee, order=order)
    world.tell("PAYMENT.CAPTURE.COMPLETED", "capture", made)
    return made


def move(
    world: PayPalWorld, kind: str, identifier: str, amount: int, code: str, *, fee: int = 0,
    order: Thing | None = None, about: str = "", custom: str = "",
) -> None:  # fmt: skip
    """One change of the balance, as the search tells of it hours later."""
    unit = order["purchase_units"][0] if order else {}
    reference = about or (order["id"] if order else "")
    behind = {"paypal_reference_id": reference, "paypal_reference_id_type": "TXN" if about else "ODR"}
    info: Body = {
        "transaction_id": identifier,
        "transaction_event_code": kind,
        "transaction_initiation_date": world.text_now(),
        "transaction_amount": money(amount, code),
        "transaction_status": "S",
        **({"fee_amount": money(-fee, code)} if fee else {}),
        **(behind if reference else {}),
        **({"invoice_id": unit["invoice_id"]} if "invoice_id" in unit and not about else {}),
        **({"custom_field": custom or unit["custom_id"]} if custom or "custom_id" in unit else {}),
    }  # fmt: skip
    world.store.put(
        {
            "id": f"{kind}:{identifier}", "object": "transaction", "at": world.now(), "info": info,
            "net": amount - fee, "code": code,
        }
    )  # fmt: skip


def take(world: PayPalWorld, authorization: Thing, body: Body) -> Thing:
    """Takes held money, all or a part of it."""
    if authorization["status"] in ("VOIDED", "CAPTURED"):
        raise Issue(
            f"AUTHORIZATION_{'VOIDED' if authorization['status'] == 'VOIDED' else 'ALREADY_CAPTURED'}"
        )
    held, code = units(authorization["amount"], "")
    amount = units(body["amount"], "/amount")[0] if "amount" in body else held
    if amount > held:
        raise Issue("MAX_CAPTURE_AMOUNT_EXCEEDED", field="/amount/value")
    order = world.named("order", authorization["_order"])
    made = capture(world, order, amount, code)
    authorization["status"] = "CAPTURED"
    world.store.put(authorization)
    order["purchase_units"][0]["payments"] = {
        "authorizations": [told(authorization)],
        "captures": [told(made)],
    }
    world.store.put(order)
    return made


def void(world: PayPalWorld, authorization: Thing) -> Thing:
    if authorization["status"] != "CREATED":
        raise Issue("PREVIOUSLY_CAPTURED" if authorization["status"] == "CAPTURED" else "PREVIOUSLY_VOIDED")
    authorization["status"] = "VOIDED"
    order = world.named("order", authorization["_order"])
    order["purchase_units"][0]["payments"] = {"authorizations": [told(authorization)]}
    world.store.put(order)
    world.tell("PAYMENT.AUTHORIZATION.VOIDED", "authorization", authorization)
    return authorization


def hold_ends(world: PayPalWorld, authorization: Thing) -> None:
    if authorization["status"] == "CREATED":
        void(world, authorization)


def refund(world: PayPalWorld, captured: Thing, body: Body) -> Thing:
    left = captured["_amount"] - captured["_refunded"]
    if not left:
        raise Issue("CAPTURE_FULLY_REFUNDED")
    if captured["_disputed"]:
        raise Issue("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK")
    amount, code = units(body["amount"], "/amount") if "amount" in body else (left, captured["_code"])
    if code != captured["_code"]:
        raise Issue("REFUND_CURRENCY_MISMATCH", field="/amount/currency_code")
    if amount > left:
        raise Issue("REFUND_AMOUNT_EXCEEDED", field="/amount/value")
    made: Thing = {
        "id": world.paypal_id(), "object": "refund", "status": "COMPLETED", "amount": money(amount, code),
        "create_time": world.text_now(),
        "links": [{"rel": "up", "href": f"{world.base}/v2/payments/captures/{captured['id']}"}],
        **({"custom_id": body["custom_id"]} if "custom_id" in body else {}), "_capture": captured["id"],
    }  # fmt: skip
    captured["_refunded"] += amount
    captured["status"] = "REFUNDED" if captured["_refunded"] == captured["_amount"] else "PARTIALLY_REFUNDED"
    world.store.put(captured)
    order = world.named("order", captured["_order"])
    payments: Body = order["purchase_units"][0]["payments"]
    payments |= {"captures": [told(captured)], "refunds": [*payments.get("refunds", []), told(made)]}
    world.store.put(order)
    move(
        world,
        REFUNDED,
        made["id"],
        -amount,
        code,
        about=captured["id"],
        custom=str(body.get("custom_id", "")),
    )
    world.tell("PAYMENT.CAPTURE.REFUNDED", "refund", made)
    return made


def dispute(world: PayPalWorld, captured: Thing, *, inquiry: bool = False) -> Thing:
    """The buyer's bank takes it back, or, in an `inquiry`, the buyer only asks."""
    amount, code = captured["_amount"] - captured["_refunded"], captured["_code"]
    made: Thing = {
        "id": f"PP-D-{world.paypal_id(6)}", "object": "dispute", "create_time": world.text_now(),
        "disputed_transactions": [
            {
                "seller_transaction_id": captured["id"],
                **({"custom": captured["custom_id"]} if "custom_id" in captured else {}),
            }
        ],
        "reason": "UNAUTHORISED", "status": "WAITING_FOR_SELLER_RESPONSE", "dispute_amount": money(amount, code),
        "dispute_life_cycle_stage": "INQUIRY" if inquiry else "CHARGEBACK",
        "seller_response_due_date": world.text_now(before_s=-10 * 86_400),
        "_capture": captured["id"], "_amount": amount,
    }  # fmt: skip
    made["dispute_id"] = made["id"]
    if not inquiry:
        _take(world, made, captured)
    world.tell("CUSTOMER.DISPUTE.CREATED", "dispute", made)
    return made


def _take(world: PayPalWorld, made: Thing, captured: Thing) -> None:
    captured["_disputed"] = True
    world.store.put(captured)
    move(world, CHARGED_BACK, world.paypal_id(), -made["_amount"], captured["_code"], about=captured["id"])
    move(world, CHARGEBACK_FEE, world.paypal_id(), -2000, captured["_code"], about=captured["id"])


def escalate(world: PayPalWorld, made: Thing) -> None:
    """The buyer is not content with the answer, and PayPal takes the money while it decides."""
    if made["status"] == "RESOLVED" or made["dispute_life_cycle_stage"] != "INQUIRY":
        raise Issue("ACTION_NOT_ALLOWED")
    made |= {"dispute_life_cycle_stage": "CHARGEBACK", "status": "WAITING_FOR_SELLER_RESPONSE"}
    _take(world, made, world.named("capture", made["_capture"]))
    world.tell("CUSTOMER.DISPUTE.UPDATED", "dispute", made)


def close(world: PayPalWorld, made: Thing, *, won: bool) -> None:
    if made["status"] == "RESOLVED":
        raise Issue("DISPUTE_ALREADY_RESOLVED")
    captured = world.named("capture", made["_capture"])
    outcome = "RESOLVED_SELLER_FAVOUR" if won else "RESOLVED_BUYER_FAVOUR"
    made |= {"status": "RESOLVED", "dispute_outcome": {"outcome_code": outcome}}
    if won and made["dispute_life_cycle_stage"] != "INQUIRY":
        captured["_disputed"] = False
        world.store.put(captured)
        move(
            world, CHARGEBACK_REVERSED, world.paypal_id(), made["_amount"], captured["_code"], about=captured["id"]
        )  # fmt: skip
    world.tell("CUSTOMER.DISPUTE.RESOLVED", "dispute", made)
