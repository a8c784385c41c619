"""Addresses in settings: read once, refused when they could not work, and kept in one way of writing.

Each function raises ValueError with a sentence that does not repeat the address: some hold passwords.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from pydantic import AnyHttpUrl, TypeAdapter, ValidationError

DATABASE_DRIVER = "postgresql+psycopg"
_DATABASE_SCHEMES = frozenset({"postgres", "postgresql", DATABASE_DRIVER})
_HTTP: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", re.IGNORECASE)


def origin(written: str) -> str:
    """Scheme, host and port as a browser says where a page comes from: `https://ai.example.com`."""
    text = written.strip().removesuffix("/")
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError(
            "an address is written like https://ai.example.com, with nothing after the host and port"
        )
    if not text.lower().startswith(("http://", "https://")):
        return text.lower()  # of an app or a browser's extension
    try:
        return str(_HTTP.validate_python(text)).removesuffix("/")
    except ValidationError as error:
        raise ValueError("the host or port of the address cannot be read") from error


def http_origin(written: str) -> str:
    """As `origin`, for what people open in a browser."""
    if not written.strip().lower().startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https://")
    return origin(written)


def database_url(written: str) -> str:
    """A PostgreSQL URL as our driver reads it, from one as people and hosting providers write it."""
    like = "a database is written like postgresql://user:password@host/database"
    _parts(written, _DATABASE_SCHEMES, like)
    return DATABASE_DRIVER + written[written.index("://") :]


def smtp_url(written: str) -> str:
    """`smtp[s]://[user:password@]host[:port]`, as it is."""
    like = "a mail server is written like smtp://user:password@host:587, or smtps://host"
    if not _parts(written, frozenset({"smtp", "smtps"}), like).hostname:
        raise ValueError(like)
    return written


def http_url(written: str) -> str:
    """`http[s]://host[:port][/path]`, as it is."""
    like = "a server is written like http://127.0.0.1:8080"
    if not _parts(written, frozenset({"http", "https"}), like).hostname:
        raise ValueError(like)
    return written


def _parts(written: str, schemes: frozenset[str], like: str) -> SplitResult:
    try:
        parts = urlsplit(written)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise ValueError(like) from error
    if parts.scheme not in schemes or "://" not in written:
        raise ValueError(like)
    return parts
