"""The OpenAPI document says all that a caller needs of every operation, and what it shows as an example is one."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from tests.api.conftest import Api

# Programs are generated from these. One that is renamed breaks them: add, and never take away.
PUBLISHED = {
    "sign_up", "resend", "confirm", "sign_in", "sign_out", "switch_organization", "me", "mails",
    "my_organizations", "create_organization", "own_organization", "update_organization", "list_members",
    "list_keys", "create_key", "get_key", "update_key", "revoke_key", "rotate_key", "models", "prices",
    "list_requests", "get_request", "usage", "totals", "meters", "create_meter", "send_events",
    "list_organizations", "get_organization", "suspend", "resume", "list_upstreams", "add_upstream",
    "get_upstream", "change_upstream", "list_models", "add_model", "get_model", "change_model",
    "list_prices", "set_price", "list_audit", "list_staff_audit", "get_health",
}  # fmt: skip
NEVER = {"405"}  # an operation that is there answers its own method


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_every_operation_is_described_whole(api: Api) -> None:
    document = api.contract.document
    wrong: list[str] = []
    for name, operation in operations(document):
        for part in ("summary", "description", "operationId", "tags"):
            if not operation.get(part):
                wrong.append(f"{name} has no {part}")
        for parameter in operation.get("parameters", ()):
            if "schema" not in parameter:
                wrong.append(f"{name}: {parameter['name']} has no schema")
        for status, answer in operation["responses"].items():
            if not answer.get("description"):
                wrong.append(f"{name} {status} has no description")
            if status[0] in "45" and set(answer.get("content", {})) != {"application/problem+json"}:
                wrong.append(f"{name} {status} is no problem")
            if not {"RateLimit", "X-Request-Id"} <= set(answer["headers"]):
                wrong.append(f"{name} {status} tells no headers")
        if NEVER & set(operation["responses"]):
            wrong.append(f"{name} declares what cannot happen")
        if not any("content" in answer for answer in operation["responses"].values()):
            wrong.append(f"{name} answers nothing")
    assert not wrong, "\n".join(wrong)

    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert set(ids) >= PUBLISHED
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(tags.values()), tags
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == set(tags)
    jsonschema_rs.meta.validate(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schemas(document)}
    )


def _schemas(document: dict[str, Any]) -> dict[str, Any]:
    return {"$defs": document["components"]["schemas"]}


async def test_every_example_is_what_its_schema_allows(api: Api) -> None:
    document = api.contract.document
    wrong: list[str] = []
    seen = 0
    for name, operation in operations(document):
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in (one for part in parts for one in part.get("content", {}).values()):
            if media["schema"] == {"$ref": "#/components/schemas/Problem"}:
                continue
            whole = {**media["schema"], "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
            wrong += [f"{name}: {error}" for error in validator.iter_errors(media["example"])]
            seen += 1
    assert not wrong, "\n".join(wrong)
    assert seen > 60


async def test_failures_are_declared_where_they_can_happen(api: Api) -> None:
    declared = {
        operation["operationId"]: {status for status in operation["responses"] if status[0] == "4"}
        for _, operation in operations(api.contract.document)
    }
    assert declared["me"] == {"400", "401", "403", "422", "429", "431"}
    assert declared["get_key"] == {"400", "401", "403", "404", "409", "422", "429", "431"}
    assert declared["update_key"] == declared["get_key"] | {"412", "413", "415"}
    assert {name for name, statuses in declared.items() if "412" in statuses} >= {
        "update_key", "revoke_key", "update_organization", "change_upstream", "change_model"
    }  # fmt: skip


async def test_who_may_ask_is_declared(api: Api) -> None:
    security = {one["operationId"]: one.get("security") for _, one in operations(api.contract.document)}
    assert security["list_keys"] == [{"ApiKey": []}, {"Session": []}]
    assert security["create_organization"] == [{"Session": []}]
    assert security["sign_in"] is None
