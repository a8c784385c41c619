"""Examples for the OpenAPI document, made from its schemas: each fits the schema that it is of."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DEPTH_MAX = 8

# By the name of the field, where the name says more than the type.
_BY_NAME: dict[str, Any] = {
    "id": "apikey_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "account_id": "acc_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "key_id": "apikey_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "organization_id": "org_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "upstream_id": "ups_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "price_id": "prc_01kx3v5n8fe8ssv0q8h3c9m2rt",
    "email": "ana@example.com",
    "password": "nine lives and one more",
    "name": "Laptop",
    "created_by_name": "Ana",
    "prefix": "mx-4Fq9zR",
    "secret": "mx-4Fq9zR...",
    "slug": "smollm2-135m",
    "model": "smollm2-135m",
    "models": ["smollm2-135m"],
    "scopes": ["inference"],
    "endpoints": ["chat", "completions"],
    "endpoint": "chat",
    "meter": "prompt_tokens",
    "currency": "USD",
    "timezone": "Europe/Berlin",
    "billing_mode": "postpaid",
    "role": "owner",
    "base_url": "https://models.example.com/v1",
    "event_type": "page",
    "source": "shop",
    "event_id": "order-1042-page-3",
    "unit": "token",
    "version": 3,
    "next_cursor": None,
    "capabilities": ["keys.read", "keys.write"],
    "address": "192.0.2.10",
    "specversion": "1.0",
}
_BY_FORMAT: dict[str, str] = {
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "decimal": "0.15",
    "email": "ana@example.com",
    "password": "nine lives and one more",
}


def example_of(schema: Schema, document: dict[str, Any], *, name: str = "", depth: int = 0) -> Any:
    """One value that fits; what a name suggests only where the schema allows its kind."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        return example_of(found, document, name=name, depth=depth)
    for stated in ("const", "default", "example"):
        if schema.get(stated) is not None and stated != "default":
            return schema[stated]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if name in _BY_NAME and _fits(_BY_NAME[name], schema):
        return _BY_NAME[name]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return example_of(schema[several][0], document, name=name, depth=depth)
    return _by_type(schema, document, name, depth)


def _fits(value: Any, schema: Schema) -> bool:
    kinds = {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", ()))}
    if any("enum" in one or "format" in one or "const" in one for one in (schema, *schema.get("anyOf", ()))):
        return False
    kind = {str: "string", int: "integer", list: "array", type(None): "null"}[type(value)]
    return kind in kinds


def _by_type(schema: Schema, document: dict[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, document, depth)
    if kind == "array":
        items = schema.get("items", {})
        return [] if depth > DEPTH_MAX or not items else [example_of(items, document, depth=depth + 1)]
    if kind == "string":
        return _BY_FORMAT.get(schema.get("format", ""), name.replace("_", " ").capitalize() or "text")
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), min(60, schema.get("maximum", 60)))
    return True if kind == "boolean" else None


def _object(schema: Schema, document: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > DEPTH_MAX:
        return {}
    return {
        name: example_of(part, document, name=name, depth=depth + 1)
        for name, part in schema.get("properties", {}).items()
    }
