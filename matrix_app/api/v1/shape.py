"""What all resources of the API share: how bodies are read and written, lists paged, failures declared."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from matrix_app.api.errors import PROBLEM_JSON
from services.core.crypto import vault
from services.core.errors import Invalid, Malformed

PAGE_ROWS_MAX = 100
PAGE_ROWS = 50
_SIGNATURE_BYTES = 12

Item = TypeVar("Item")


class Body(BaseModel):
    """What callers send. Unknown fields are refused, so that a misspelt limit is not silently no limit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=100_000)

    @model_validator(mode="before")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:
        if _holds_nul(value):
            raise ValueError("contains a NUL byte (U+0000), which cannot be stored; remove it")
        return value


def _holds_nul(value: Any) -> bool:
    """Walks without recursion: JSON can be nested more deeply than Python calls."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            if "\x00" in part:
                return True
        elif isinstance(part, dict):
            rest.extend(part)
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
    return False


class Shown(BaseModel):
    """What callers get; made from rows of services by their attributes."""

    model_config = ConfigDict(from_attributes=True)


def exact_text(value: Decimal) -> str:
    """All digits, no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _no_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write a decimal as text, like "0.15": a JSON number does not keep its digits')
    return value


Exact = Annotated[
    Decimal,
    BeforeValidator(_no_float),
    PlainSerializer(exact_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "decimal"}),
]


def _within_calendar(at: datetime) -> datetime:
    """In UTC, and in years that every part of the system can hold."""
    if not 1970 <= at.year < 2200:
        raise ValueError("must lie between the years 1970 and 2199")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_within_calendar)]


class Page(Shown, Generic[Item]):
    """One page of a list. `next_cursor` continues it, with the same filters; null at the end."""

    data: list[Item]
    next_cursor: str | None = None


Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=1_000, description="`next_cursor` of the page before; belongs to its filters"),
]


def cursor_for(query: str, filters: Mapping[str, object], position: list[str]) -> str:
    """Where a list goes on, as opaque text that only continues this very query."""
    content = orjson.dumps(position)
    return base64.urlsafe_b64encode(_signature(query, filters, content) + content).rstrip(b"=").decode()


def position_in(query: str, filters: Mapping[str, object], cursor: str | None) -> list[str] | None:
    """What `cursor_for` was given. Raises Invalid for a changed cursor, and for one of another query."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(query, filters, content)):
        raise Invalid(
            "This cursor does not belong to this list and these filters.",
            field="cursor",
            next_step="Leave it out to start from the beginning, and keep the filters while paging.",
            code="cursor_invalid",
        )
    return orjson.loads(content)


def _signature(query: str, filters: Mapping[str, object], content: bytes) -> bytes:
    bound = orjson.dumps([query, filters], option=orjson.OPT_SORT_KEYS, default=str)
    return vault().lookup_hash(f"cursor:{bound.decode()}:{content.hex()}")[:_SIGNATURE_BYTES]


class _StrictRequest(Request):
    """Reads JSON as the standard has it: no NaN, no lone surrogates, UTF-8 only."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


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


def _refuse_nul(request: Request) -> None:
    """PostgreSQL cannot store or compare a NUL byte, wherever in an address it stands."""
    if "\x00" in request.url.path or b"%00" in request.scope["query_string"]:
        raise Malformed(
            "The address contains a NUL byte (%00).", next_step="Remove it.", code="malformed_request"
        )


def resource(tag: str, **options: Any) -> APIRouter:
    """A router for one kind of resource."""
    return APIRouter(
        tags=[tag],
        route_class=StrictRoute,
        responses=failures(),
        dependencies=[Depends(_refuse_nul)],
        **options,
    )
