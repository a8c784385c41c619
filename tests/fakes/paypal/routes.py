"""What each path does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.fakes.paypal import evidence, orders
from tests.fakes.paypal.amounts import money
from tests.fakes.paypal.errors import Issue
from tests.fakes.paypal.orders import Body
from tests.fakes.paypal.world import SEARCH_LAGS_S, PayPalWorld, told

Names = dict[str, str]
Handler = Callable[[PayPalWorld, Body, Names], tuple[int, Any]]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
SEARCH_DAYS_MAX, SEARCH_PAGE_MAX = 31, 500


def serves(method: str, path: str) -> Callable[[Handler], Handler]:
    def keep(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), handler))
        return handler

    return keep


def reads(kind: str, path: str) -> None:
    @serves("GET", path)
    def read(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
        return 200, told(world.named(kind, names["id"]))


reads("order", "/v2/checkout/orders/{id}")
reads("authorization", "/v2/payments/authorizations/{id}")
reads("capture", "/v2/payments/captures/{id}")
reads("refund", "/v2/payments/refunds/{id}")
reads("setup_token", "/v3/vault/setup-tokens/{id}")
reads("payment_token", "/v3/vault/payment-tokens/{id}")
reads("dispute", "/v1/customer/disputes/{id}")


@serves("POST", "/v2/checkout/orders")
def create_order(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 201, told(orders.create(world, body, names["_key"]))


@serves("POST", "/v2/checkout/orders/{id}/capture")
def capture_order(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 201, told(orders.complete(world, world.named("order", names["id"]), "CAPTURE"))


@serves("POST", "/v2/checkout/orders/{id}/authorize")
def authorize_order(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 201, told(orders.complete(world, world.named("order", names["id"]), "AUTHORIZE"))


@serves("POST", "/v2/payments/authorizations/{id}/capture")
def capture_held(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 201, told(orders.take(world, world.named("authorization", names["id"]), body))


@serves("POST", "/v2/payments/authorizations/{id}/void")
def void_held(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 200, told(orders.void(world, world.named("authorization", names["id"])))


@serves("POST", "/v2/payments/captures/{id}/refund")
def refund(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    return 201, told(orders.refund(world, world.named("capture", names["id"]), body))


# Methods kept


@serves("POST", "/v3/vault/setup-tokens")
def create_setup(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    source = (body.get("payment_source") or {}).get("paypal")
    if source is None:
        raise Issue("MISSING_REQUIRED_PARAMETER", status=400, field="/payment_source")
    customer = (body.get("customer") or {}).get("id") or world.paypal_id(10)
    if len(customer) > 22:
        raise Issue("INVALID_STRING_MAX_LENGTH", status=400, field="/customer/id")
    made = {"id": world.paypal_id(), "object": "setup_token", "status": "PAYER_ACTION_REQUIRED"}
    url = f"{world.base}/checkoutnow?token={made['id']}"
    made |= {
        "customer": {"id": customer}, "payment_source": {"paypal": {}}, "_source": source,
        "links": [{"href": url, "rel": "approve", "method": "GET"}],
    }  # fmt: skip
    return 201, told(world.store.put(made))


@serves("POST", "/v3/vault/payment-tokens")
def create_token(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    asked = (body.get("payment_source") or {}).get("token") or {}
    setup = world.named("setup_token", str(asked.get("id", "")))
    if setup["status"] != "APPROVED":
        raise Issue("SETUP_TOKEN_NOT_APPROVED" if setup["status"] != "VAULTED" else "TOKEN_ALREADY_USED")
    kept = orders.keep_method(world, setup["customer"]["id"])
    setup["status"] = "VAULTED"
    world.store.put(setup)
    world.tell("VAULT.PAYMENT-TOKEN.CREATED", "payment_token", kept)
    return 201, told(kept)


@serves("GET", "/v3/vault/payment-tokens")
def list_tokens(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    customer = names.get("customer_id", "")
    found = [told(one) for one in world.store.of("payment_token") if one["customer"]["id"] == customer]
    return 200, {"customer": {"id": customer}, "payment_tokens": found[::-1]}


@serves("DELETE", "/v3/vault/payment-tokens/{id}")
def delete_token(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    kept = world.store.find(names["id"])
    if kept is not None:
        orders.forget_method(world, kept)
    return 204, None


# Webhooks


@serves("POST", "/v1/notifications/webhooks")
def create_webhook(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    events = [one["name"] for one in body.get("event_types", [])]
    if not body.get("url") or not events:
        raise Issue("MISSING_REQUIRED_PARAMETER", status=400, field="/url")
    kept = world.store.put(
        {
            "id": world.paypal_id(), "object": "webhook_endpoint", "url": body["url"], "enabled_events": events,
            "status": "enabled",
        }
    )  # fmt: skip
    return 201, {"id": kept["id"], "url": kept["url"], "event_types": body["event_types"]}


@serves("DELETE", "/v1/notifications/webhooks/{id}")
def delete_webhook(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    world.store.drop(world.named("webhook_endpoint", names["id"])["id"])
    return 204, None


# Search


@serves("GET", "/v1/reporting/transactions")
def transactions(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    try:
        start, end = (
            int(datetime.fromisoformat(names[name]).timestamp()) for name in ("start_date", "end_date")
        )
        size, number = int(names.get("page_size", "100")), int(names.get("page", "1"))
    except (KeyError, ValueError) as error:
        raise Issue("INVALID_PARAMETER_SYNTAX", status=400, field="start_date") from error
    if (
        end - start > SEARCH_DAYS_MAX * 86_400
        or end < start
        or not 1 <= size <= SEARCH_PAGE_MAX
        or number < 1
    ):
        raise Issue("INVALID_PARAMETER_VALUE", status=400, field="end_date")
    # What happened in the last hours is not in it yet.
    seen = world.now() - SEARCH_LAGS_S
    found = [one["info"] for one in world.store.of("transaction") if start <= one["at"] <= min(end, seen)]
    for name in ("transaction_id", "transaction_currency"):
        if name in names:
            found = [
                one
                for one in found
                if names[name] in (one["transaction_id"], one["transaction_amount"]["currency_code"])
            ]
    return 200, {
        "transaction_details": [{"transaction_info": one} for one in found[(number - 1) * size : number * size]],
        "account_number": "FAKE1", "start_date": names["start_date"], "end_date": names["end_date"],
        "last_refreshed_datetime": datetime.fromtimestamp(seen, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "page": number, "total_items": len(found), "total_pages": max(1, -(-len(found) // size)),
    }  # fmt: skip


@serves("GET", "/v1/reporting/balances")
def balances(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    sums: dict[str, int] = {}
    for one in world.store.of("transaction"):
        sums[one["code"]] = sums.get(one["code"], 0) + one["net"]
    found = [
        {"currency": code, "total_balance": money(amount, code)} for code, amount in sorted(sums.items())
    ]
    return 200, {"balances": found, "as_of_time": world.text_now()}


# Disputes


@serves("GET", "/v1/customer/disputes")
def disputes(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    since = names.get("start_time", "")
    found = [one for one in world.store.of("dispute") if one["create_time"] >= since[:19]]
    return 200, {
        "items": [
            {name: one[name] for name in ("dispute_id", "create_time", "reason", "status", "dispute_amount")}
            for one in found[::-1]
        ],
        "links": [],
    }


@serves("POST", "/v1/customer/disputes/{id}/provide-evidence")
def provide_evidence(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    made = world.named("dispute", names["id"])
    evidence.provide(world, made, body)
    return 200, {
        "links": [{"href": f"{world.base}/v1/customer/disputes/{made['id']}", "rel": "self", "method": "GET"}]
    }


@serves("POST", "/v1/customer/disputes/{id}/accept-claim")
def accept(world: PayPalWorld, body: Body, names: Names) -> tuple[int, Any]:
    orders.close(world, world.named("dispute", names["id"]), won=False)
    return 200, {"links": []}
