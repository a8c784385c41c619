"""How every operation reads requests, what it adds to answers, and which failures its document declares."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import cached_property
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.utils import deep_dict_update
from starlette.routing import Match
from starlette.types import Scope

from matrix_app.api import strict_json
from matrix_app.api.deps import caller, member
from matrix_app.api.errors import PROBLEM_JSON
from matrix_app.api.v1 import etag
from matrix_app.api.v1.fields import Selectable
from services.core.errors import Malformed

_FAILURES = {
    400: "The request cannot be read",
    401: "No key, or no session",
    403: "Not allowed",
    404: "Not found, or not yours",
    409: "Contradicts what is there",
    410: "It was there, and has ended",
    412: "Somebody changed it meanwhile",
    413: "Too large",
    415: "Not JSON",
    422: "The input is not valid",
    429: "Too many requests; see Retry-After",
    431: "The headers are too large",
    500: "Our fault; has a reference",
    503: "Not available at the moment",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem answers for OpenAPI, beside those that `StrictRoute` finds out by itself."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _FAILURES[status], "content": {PROBLEM_JSON: schema}} for status in statuses
    }


def calls_of(dependant: Dependant) -> set[Any]:
    """All that is called before an operation."""
    return {one.call for one in _all_of(dependant)}


def _all_of(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for one in dependant.dependencies:
        yield from _all_of(one)


class _StrictRequest(Request):
    """Reads JSON as the standard has it: no NaN, no lone surrogates, no key twice, UTF-8 only."""

    async def json(self) -> Any:
        return strict_json.loads(await self.body())


def _refuse_nul(request: Request) -> None:
    """PostgreSQL cannot store or compare a NUL byte, wherever in an address it stands."""
    if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise Malformed(
            "The address contains a NUL byte (%00).", next_step="Remove it.", code="malformed_request"
        )


class StrictRoute(APIRoute):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        parts = self._parts()
        deep_dict_update(parts, self.openapi_extra or {})
        self.openapi_extra = parts
        self.responses = failures(*sorted(self._failures())) | self.responses
        self._begins, _, _ = self.path.partition("{")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework finds it, which asks route after route: most can be told apart without a pattern."""
        if self._begins not in scope["path"]:
            return Match.NONE, {}
        return super().matches(scope)

    @cached_property
    def selectable(self) -> Selectable | None:
        """What `fields` may name, in reads."""
        return Selectable.of(self.response_model) if self.methods == {"GET"} else None

    def _parts(self) -> dict[str, Any]:
        """What the document says of what this class adds to operations."""
        parameters = [self.selectable.parameter] if self.selectable else []
        if not (self._shows_a_row and self.methods == {"GET"}):
            return {"parameters": parameters} if parameters else {}
        return {
            "parameters": [*parameters, etag.IF_NONE_MATCH],
            "responses": {
                "200": {"headers": etag.HEADER},
                "304": {"description": "Unchanged", "headers": etag.HEADER},
            },
        }

    def _failures(self) -> Iterator[int]:
        """Statuses that follow from what the operation takes and who may ask for it."""
        calls = calls_of(self.dependant)
        writes = self.methods != {"GET"}
        yield from (400, 429, 431, 500, 503)
        if caller in calls:
            yield from (401, 403)
        elif writes:
            yield 403  # from a page that is not ours
        if "{" in self.path:
            yield 404
        if member in calls or writes:
            yield 409
        if etag.expected in calls:
            yield 412
        if self.body_field is not None or "requestBody" in (self.openapi_extra or {}):
            yield from (413, 415, 422)
        every = list(_all_of(self.dependant))
        if self.selectable or any(one.query_params or one.header_params or one.path_params for one in every):
            yield 422

    @property
    def _shows_a_row(self) -> bool:
        """Whether it answers with one row that has a version. What a POST makes is not yet the row as it is read."""
        return self.methods != {"POST"} and etag.is_versioned(self.response_model)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        selectable, shows_a_row = self.selectable, self._shows_a_row
        reads_body = self.body_field is not None

        async def strictly(request: Request) -> Response:
            _refuse_nul(request)
            wanted = selectable.wanted(request) if selectable else None
            response = await handle(_StrictRequest(request.scope, request.receive) if reads_body else request)
            if shows_a_row:
                response = etag.tagged(request, response)
            return selectable.only(wanted, response) if selectable and wanted else response

        return strictly
