"""The OpenAPI document: what FastAPI knows of our operations, and what only we know.

Complete by itself for operations that are added: examples are made from the schemas, failures from what an operation
takes. tests/api/test_document.py says what each operation must have.
"""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from matrix_app.api import errors, rates
from matrix_app.api.deps import CSRF_HEADER, caller, person
from matrix_app.api.examples import example_of
from matrix_app.api.v1.fields import ROWS
from matrix_app.api.v1.route import StrictRoute, calls_of
from services.core.settings import settings
from services.identity import cookies

Schema = dict[str, Any]

DESCRIPTION = """What the pages of Matrix do, for programs.

Send `Authorization: Bearer mx-...` with an API key. Errors are RFC 9457 problem details with a `code` that stays.
Lists come in pages: follow `next_cursor`. A POST with an `Idempotency-Key` happens once. Rows that people edit have
an `ETag`. `/docs/api` explains all of it, with examples."""

TAGS = {
    "session": "Signing up, signing in and out, and who one is",
    "account": "One's own account: address, password, sessions, the second step",
    "organizations": "The organisations one belongs to",
    "members": "The people of the organisation, and what each may do",
    "invitations": "Inviting people into the organisation, and joining one",
    "projects": "Projects of the organisation, to which keys and usage belong",
    "service accounts": "Accounts of programs, which have keys and no password",
    "keys": "API keys of the organisation one works in",
    "models": "Models on offer and what they cost",
    "plans": "Plans on sale, and what they would cost",
    "requests": "Calls of the gateway, one by one",
    "usage": "What was used: events in, figures out",
    "ledger": "The organisation's book: accounts, journals, balances, statements",
    "subscriptions": "Subscriptions: what each act would come to, and the acts; what is given",
    "invoices": "Invoices: what they ask for and why, and what was taken back of them",
    "budgets": "How much may be used or spent in a day or a month, and what happens then",
    "wallets": "What was paid ahead: balances, lots, debits, and when to top up",
    "terms": "Terms of service: what counts, and who accepted which version",
    "payments": "Paying one's own invoices: payments, what is kept to pay with, and events of providers",
    "tasks": "Work that goes on in the background: how far it is, cancelling it, trying again",
    "files": "Files that were sent or made, and links to them",
    "notifications": "What one was told, and what one wants to be told",
    "staff": "For those who run this installation",
    "audit": "Who did what, when and from where",
}


def describe(rest: FastAPI) -> None:
    """Have `rest` answer with the whole document."""
    generate = rest.openapi

    def openapi() -> dict[str, Any]:
        if rest.openapi_schema is None:
            rest.openapi_schema = _complete(generate(), rest)
        return rest.openapi_schema

    rest.openapi = openapi


def _complete(document: dict[str, Any], rest: FastAPI) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = errors.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    components["headers"] = rates.HEADERS
    components["securitySchemes"] = _who_may_ask()
    used: dict[str, None] = {}
    for route in rest.state.api_routes:
        for method in route.methods:
            operation = document["paths"][route.path_format][method.lower()]
            used |= dict.fromkeys(operation["tags"])
            _complete_operation(operation, route, document)
    document["externalDocs"] = {"url": "/docs/api", "description": "Introduction and examples"}
    document["tags"] = [{"name": tag, "description": TAGS.get(tag, "")} for tag in used]
    return document


def _who_may_ask() -> dict[str, Schema]:
    """What `deps.caller` looks for."""
    return {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `Bearer mx-...`"},
        "Session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookies.session_cookie(settings().public_url),
            "description": f"Set by signing in. Requests that change something also need `{CSRF_HEADER}: 1`.",
        },
    }


def _complete_operation(operation: dict[str, Any], route: APIRoute, document: dict[str, Any]) -> None:
    operation["summary"] = (route.summary or route.name).replace("_", " ").capitalize()
    calls = calls_of(route.dependant)
    if person in calls:
        operation["security"] = [{"Session": []}]
    elif caller in calls:
        operation["security"] = [{"ApiKey": []}, {"Session": []}]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        _add_example(media, document)
    for status, answer in operation["responses"].items():
        names = ("RateLimit-Policy", "RateLimit", *(("Retry-After",) if status == "429" else ()))
        for name in (*names, "X-Request-Id"):
            answer.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
        if status.startswith("2"):
            for kind, media in answer.get("content", {}).items():
                _add_example(media, document)
                if kind == "application/json" and isinstance(route, StrictRoute) and route.selectable:
                    media["schema"] = _or_part(media["schema"], document)


def _add_example(media: dict[str, Any], document: dict[str, Any]) -> None:
    if "example" not in media and "examples" not in media and "schema" in media:
        media["example"] = example_of(media["schema"], document)


def _or_part(schema: Schema, document: dict[str, Any]) -> Schema:
    """The answer as a whole, or with the `fields` that were asked for."""
    whole = _named(schema, document)
    if ROWS not in whole["properties"]:
        return {"anyOf": [schema, _part_of(schema, document)]}
    some = copy.deepcopy(whole)
    some["properties"][ROWS]["items"] = _part_of(whole["properties"][ROWS]["items"], document)
    some["title"] = f"{whole['title']}, with some fields"
    return {"anyOf": [schema, some]}


def _part_of(schema: Schema, document: dict[str, Any]) -> Schema:
    """A reference to the same model, none of whose fields must be there."""
    name = f"{schema['$ref'].rsplit('/', 1)[-1]}Part"
    part = copy.deepcopy(_named(schema, document))
    part.pop("required", None)
    part |= {"title": name, "minProperties": 1, "additionalProperties": False}
    document["components"]["schemas"][name] = part
    return {"$ref": f"#/components/schemas/{name}"}


def _named(schema: Schema, document: dict[str, Any]) -> Schema:
    return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
