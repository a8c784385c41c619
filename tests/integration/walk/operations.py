"""Every operation of the API as its own document declares it, and one attempt at it as a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from matrix_app.api import gateway
from matrix_app.api.app import API, GATEWAY
from tests.integration.walk import parameters
from tests.integration.walk.parameters import LEAVE_OUT, THEIRS
from tests.integration.walk.victim import Victim

JSON = "application/json"


class How(StrEnum):
    """What an attempt says: only what it must, all that can be said, or all of it as if somebody had said it before."""

    BARE = "bare"
    WHOLE = "whole"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Operation:
    """`inputs` are (where, name, required); `body` names the body's properties and whether they are required."""

    method: str
    path: str  # whole, with {names}
    name: str
    inputs: tuple[tuple[str, str, bool], ...] = ()
    body: dict[str, bool] | None = None
    media: str = JSON  # or a form with files

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names_theirs(self) -> bool:
        """Whether it cannot be called without the id of a row of somebody's."""
        asked = {name for where, name, required in self.inputs if required and where == "path"}
        asked |= {name for name, required in (self.body or {}).items() if required}
        return bool(asked & THEIRS.keys())

    @property
    def may_be_repeated(self) -> bool:
        return any(name in parameters.HEADERS for where, name, _ in self.inputs if where == "header")

    def attempt(self, victim: Victim, how: How) -> dict[str, Any]:
        """Arguments for an HTTP client."""
        whole = how is not How.BARE
        path, query, headers = self.path, {}, {}
        rooms = {"path": parameters.QUERY, "query": parameters.QUERY, "header": parameters.HEADERS}
        for where, name, required in self.inputs:
            value = parameters.made_for(name, victim, rooms[where], str(self))
            if where == "path":
                path = path.replace(f"{{{name}}}", value)
            elif where == "header" and how is How.REPEATED:
                headers[name] = value
            elif where == "query" and value is not LEAVE_OUT and (whole or required):
                query[name] = value
        given: dict[str, Any] = {"method": self.method, "url": path, "params": query, "headers": headers}
        if self.body is not None:
            made = {
                name: parameters.made_for(name, victim, parameters.BODY, str(self))
                for name, required in self.body.items()
                if whole or required
            }
            given["json" if self.media == JSON else "files"] = {
                name: value for name, value in made.items() if value is not LEAVE_OUT
            }
        return given


def declared(document: dict[str, Any]) -> list[Operation]:
    """All that the OpenAPI document has, and the gateway, which needs no document."""
    found = [
        Operation(
            method.upper(),
            API + path,
            operation["operationId"],
            tuple(
                (p["in"], p["name"], p.get("required", False))
                for p in operation.get("parameters", ())
                if "x-filter" not in p  # which only leave rows out; tests/integration/listing tries each
            ),
            _body(operation, document),
            next(iter(operation.get("requestBody", {}).get("content", {})), JSON),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return [*found, *_of_the_gateway()]


def _of_the_gateway() -> Iterator[Operation]:
    for path in gateway._ENDPOINTS:  # pyright: ignore[reportPrivateUsage]
        yield Operation("POST", GATEWAY + path, path, body={"model": True})
    yield Operation("GET", f"{GATEWAY}/models", "models")
    yield Operation(
        "GET", f"{GATEWAY}/models/{{slug_of_a_model}}", "model", (("path", "slug_of_a_model", True),)
    )


def _body(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, bool] | None:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None
    schema = _plain(next(iter(content.values()))["schema"], document)
    required = set(schema.get("required", ()))
    return {name: name in required for name in schema["properties"]}


def _plain(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The first shape that a schema allows."""
    if "$ref" in schema:
        return _plain(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], document)
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return _plain(schema[several][0], document)
    return schema


def routed(app: FastAPI) -> set[str]:
    """`METHOD /path` of everything that the app answers, whether its document says so or not."""

    def below(routes: list[BaseRoute], at: str) -> Iterator[str]:
        for route in routes:
            if isinstance(route, Mount):
                yield from below(route.routes, at + route.path)
            elif isinstance(included := getattr(route, "original_router", None), APIRouter):
                yield from below(included.routes, at)
            elif isinstance(route, APIRoute):
                yield from (f"{method} {at}{route.path}" for method in route.methods or ())
            else:
                yield f"{route.__class__.__name__} {at}{getattr(route, 'path', '')}"

    return set(below(app.routes, ""))
