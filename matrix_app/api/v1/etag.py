"""Optimistic concurrency in HTTP's own words: `ETag`, `If-None-Match` and `If-Match` on rows that have a version.

A tag is `"<version>.<digest>"`. The digest is of the whole answer, because some of it changes without anybody
editing the row, like when a key was last used, and who reads again must be told. `If-Match` looks at the version
alone: such a change is no reason to refuse somebody's edit. docs/decisions/0014-etags-and-limits.md says more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from services.core.errors import Invalid, Malformed, StaleVersion

_DIGEST_BYTES = 6
_TAG = re.compile(r'"([0-9]{1,9})(?:\.[0-9a-f]+)?"')
_TAG_CHARACTERS_MAX = 200

HEADER: dict[str, Any] = {
    "ETag": {"schema": {"type": "string"}, "description": "Send it as If-Match with a change of this row"}
}
IF_NONE_MATCH: dict[str, Any] = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "`ETag`s one has: 304 without a body if the row is still as one of them says",
    "schema": {"type": "string"},
}


def is_versioned(model: Any) -> bool:
    """Whether answers of this model are one row with a version."""
    return isinstance(model, type) and issubclass(model, BaseModel) and "version" in model.model_fields


def tagged(request: Request, response: Response) -> Response:
    """`response` with the tag of the row it shows; 304 in its place if the caller has it already."""
    body = bytes(response.body)
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
    tag = f'"{orjson.loads(body)["version"]}.{digest}"'
    if request.method == "GET" and is_among(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return response


def is_among(tag: str, held: str) -> bool:
    """By weak comparison: whether a proxy has packed the body on its way does not matter for reading it."""
    return held.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in held.split(",")]


class Expected:
    """What the caller believes the row's version to be; None of it is any."""

    def __init__(self, version: int | None) -> None:
        self._version = version

    def version(self, in_body: int | None = None) -> int | None:
        """The one expected by header or by body. Raises Invalid when the two differ."""
        if in_body is not None and self._version is not None and in_body != self._version:
            raise Invalid(
                f"The body expects version {in_body} and If-Match version {self._version}.",
                field="version",
                next_step="Send one of them, or the same in both.",
            )
        return self._version if in_body is None else in_body


async def expected(
    said: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="The row's `ETag`, or its version in quotes: refuse with 412 if it has another by now."
            " `*` accepts any",
            examples=['"3"'],
        ),
    ] = None,
) -> Expected:
    if said is None or said.strip() == "*":
        return Expected(None)
    found = _TAG.fullmatch(said.strip()[:_TAG_CHARACTERS_MAX])
    if found is None:
        raise Malformed(
            f"If-Match: {said[:_TAG_CHARACTERS_MAX]} is no ETag of a row.",
            next_step="Send one ETag as it came, not weakened by a proxy, or '*'; or the version in the body.",
        )
    return Expected(int(found[1]))


IfMatch = Annotated[Expected, Depends(expected)]


@asynccontextmanager
async def showing_current(read: Callable[[], Awaitable[BaseModel]]) -> AsyncIterator[None]:
    """Have a refusal of a stale version show the row as it is now: whoever edited it can then compare."""
    try:
        yield
    except StaleVersion as stale:
        current = (await read()).model_dump(mode="json")
        stale.details |= {"version": current["version"], "current": current}
        raise
