"""What all resources of the API share: how bodies are read and written, lists paged, failures declared."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar, cast

import orjson
from fastapi import APIRouter, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from matrix_app.api.v1.route import StrictRoute
from services.core.crypto import vault
from services.core.errors import InvalidFilter

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
        if (place := _place_of_nul(value)) is not None:
            told = InitErrorDetails(type=_NUL, loc=place, input=None)
            raise ValidationError.from_exception_data(cls.__name__, [told])
        return value


_NUL = PydanticCustomError("nul", "contains a NUL byte (U+0000), which cannot be stored; remove it")


def _place_of_nul(value: Any) -> tuple[str | int, ...] | None:
    """Where in a body it stands; that of the object, for a name of one of its fields. Walks without recursion: JSON can
    be nested more deeply than Python calls."""
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while rest:
        place, part = rest.pop()
        if isinstance(part, str):
            if "\x00" in part:
                return place
        elif isinstance(part, dict):
            named = cast("dict[str, Any]", part)
            rest.extend((place, name) for name in named)
            rest.extend(((*place, name), inner) for name, inner in named.items())
        elif isinstance(part, list):
            rest.extend(((*place, index), inner) for index, inner in enumerate(cast("list[Any]", part)))
    return None


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
    """What `cursor_for` was given. Raises InvalidFilter for a changed cursor, and for one of another query."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(query, filters, content)):
        raise InvalidFilter(
            "This cursor does not belong to this list and these filters.",
            field="cursor",
            next_step="Leave it out to start from the beginning, and keep the filters while paging.",
            code="cursor_invalid",
        )
    return orjson.loads(content)


def _signature(query: str, filters: Mapping[str, object], content: bytes) -> bytes:
    bound = orjson.dumps([query, filters], option=orjson.OPT_SORT_KEYS, default=str)
    return vault().lookup_hash(f"cursor:{bound.decode()}:{content.hex()}")[:_SIGNATURE_BYTES]


def resource(tag: str, **options: Any) -> APIRouter:
    """A router for one kind of resource."""
    return APIRouter(
        tags=[tag],
        route_class=StrictRoute,
        generate_unique_id_function=lambda route: route.name,
        **options,
    )
