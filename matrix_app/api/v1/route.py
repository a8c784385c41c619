"""How every operation reads requests, what it adds to answers, and which failures its document declares."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from matrix_app.api.errors import PROBLEM_JSON
from matrix_app.api.v1 import etag

_FAILURES = {
    400: "The request cannot be read",
    401: "No key, or no session",
    403: "Not allowed",
    404: "Not found, or not yours",
    405: "Not possible here",
    409: "Contradicts what is there",
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
    """Problem answers for OpenAPI; all that an operation can give when none are named."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _FAILURES[status], "content": {PROBLEM_JSON: schema}}
        for status in statuses or _FAILURES
    }


class _StrictRequest(Request):
    """Reads JSON as the standard has it: no NaN, no lone surrogates, UTF-8 only."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self._shows_a_row and self.methods == {"GET"}:
            self.openapi_extra = {
                "parameters": [etag.IF_NONE_MATCH],
                "responses": {
                    "200": {"headers": etag.HEADER},
                    "304": {"description": "Unchanged", "headers": etag.HEADER},
                },
            } | (self.openapi_extra or {})

    @property
    def _shows_a_row(self) -> bool:
        """Whether it answers with one row that has a version. What a POST makes is not yet the row as it is read."""
        return "POST" not in (self.methods or ()) and etag.is_versioned(self.response_model)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        shows_a_row = self._shows_a_row

        async def strictly(request: Request) -> Response:
            response = await handle(_StrictRequest(request.scope, request.receive))
            return etag.tagged(request, response) if shows_a_row else response

        return strictly
