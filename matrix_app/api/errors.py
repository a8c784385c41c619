"""Errors as RFC 9457 problem details: a stable code, a sentence, a next step, and a reference to our logs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from matrix_app.api import strict_json
from services.core import cards, tracing
from services.core.errors import Invalid, InvalidFilter, MatrixError, RateLimited
from services.core.logs import get_logger

log = get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
PATH_CHARACTERS_MAX = 2_000  # that are told again: to look for cards in a longer address takes seconds


class FieldError(BaseModel):
    """What is wrong with one part of the input."""

    where: str = Field(description="body, query, path or header")
    pointer: str = Field(description="JSON pointer into the body, else the parameter's name")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="urn:matrix:error:<code>")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; made for programs")
    next_step: str = Field(description="What to do about it, for people")
    reference: str = Field(description="Finds this request in the logs")
    errors: list[FieldError] = []
    details: dict[str, Any] = {}


TITLES = {
    "malformed_request": "The request cannot be read",
    "invalid_input": "The input is not valid",
    "not_found": "Not found",
    "method_not_allowed": "This method is not possible here",
    "unsupported_media_type": "This content type is not understood",
    "too_large": "Too large",
    "internal_error": "Something went wrong on our side",
}
CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    title: str = "",
    next_step: str = "",
    errors: Sequence[FieldError] = (),
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"urn:matrix:error:{code}",
        title=title or TITLES.get(code) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        next_step=next_step,
        reference=tracing.current_trace_id(),
        errors=list(errors),
        details=details or {},
    )
    content = orjson.dumps(problem.model_dump(), default=str)
    return Response(content, status, headers, media_type=PROBLEM_JSON)


def from_matrix_error(error: MatrixError) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="Matrix"'
    errors: list[FieldError] = []
    if isinstance(error, Invalid) and error.field:
        of_address = isinstance(error, InvalidFilter)
        pointer = error.field if of_address else _pointer_to(error.field)
        where = "query" if of_address else "body"
        errors = [FieldError(where=where, pointer=pointer, message=error.message)]
    return problem_response(
        error.status,
        error.error_code,
        error.message,
        title=error.title,
        next_step=error.next_step,
        errors=errors,
        details=error.details,
        headers=headers,
    )


def unexpected() -> Response:
    return problem_response(
        500,
        "internal_error",
        "An unexpected error happened. It was noted and will be looked at.",
        next_step="Try again. If it happens again, report the reference.",
    )


def _pointer_to(field: str) -> str:
    """`events[3].time` as JSON pointer `#/events/3/time`."""
    return "#/" + "/".join(part for part in re.split(r"[.\[\]]+", field) if part)


def install(app: FastAPI) -> None:
    """Have every failure of `app` answered as a problem."""
    app.exception_handler(MatrixError)(_on_matrix_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(ClientDisconnect)(_on_broken_off)
    app.exception_handler(Exception)(_on_unexpected)


def know_methods(app: FastAPI, router: APIRouter) -> None:
    """Have 405 answers of `app` name all methods of an address: Starlette names those of its first route."""
    known: list[APIRoute] = getattr(app.state, "api_routes", [])
    app.state.api_routes = known + [route for route in router.routes if isinstance(route, APIRoute)]


def _methods_at(request: Request) -> str:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    known: list[APIRoute] = getattr(request.app.state, "api_routes", [])
    return ", ".join(
        sorted({m for route in known if route.path_regex.fullmatch(path) for m in route.methods or ()})
    )


def shown_path(scope: Scope) -> str:
    """The path of a request as logs, traces and answers tell it."""
    return cards.masked(scope["path"][:PATH_CHARACTERS_MAX])


async def _on_matrix_error(request: Request, error: MatrixError) -> Response:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        path = shown_path(request.scope)
        log.warning("request_not_served", code=error.error_code, path=path, cause=error.__cause__)
    return from_matrix_error(error)


async def _on_broken_off(_: Request, __: Exception) -> Response:
    return problem_response(
        400,
        "malformed_request",
        "The request ended before its body was complete.",
        next_step="Send it again, in one go.",
    )


async def _on_unexpected(_: Request, __: Exception) -> Response:
    return unexpected()  # logged where the exception arrives, in edge.py


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem_response(
            400,
            "malformed_request",
            f"The body is not valid JSON: {found[0].get('ctx', {}).get('error', 'it cannot be parsed')}.",
            next_step=strict_json.NEXT_STEP,
        )
    if [item["loc"] for item in found] == [("body",)] and "json" not in request.headers.get(
        "content-type", ""
    ):
        return problem_response(
            415,
            "unsupported_media_type",
            "The body has no JSON content type.",
            next_step="Send JSON with 'Content-Type: application/json'.",
        )
    errors = [_field_error(item) for item in found]
    first = errors[0]
    return problem_response(
        422,
        "invalid_input",
        f"{first.pointer or first.where}: {first.message}",
        next_step="Correct the fields listed under errors.",
        errors=errors,
    )


def _field_error(item: dict[str, Any]) -> FieldError:
    """Says what is wrong, never what was sent: that may be a password."""
    where, *path = (str(part) for part in item["loc"])
    pointer = "#/" + "/".join(path) if where == "body" else ".".join(path)
    return FieldError(where=where, pointer=pointer, message=str(item["msg"]).removeprefix("Value error, "))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    code = CODES.get(error.status_code, "request_refused")
    detail, next_step, headers = error.detail, "", dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail, next_step = (
            f"There is nothing at {shown_path(request.scope)!r}.",
            "See /docs/api, or /api/v1/openapi.json.",
        )
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= {"Allow": allowed} if (allowed := _methods_at(request)) else {}
        detail = f"{request.method} is not possible here."
        next_step = f"Use {headers.get('Allow', 'another method')}."
    elif error.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        next_step = "Send the body with the content type that this operation takes."
    return problem_response(error.status_code, code, detail, next_step=next_step, headers=headers)
