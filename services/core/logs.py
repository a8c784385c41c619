"""Structured logs: one JSON object a line, joined by trace id, personal data and secrets left out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from functools import cache
from typing import Any, cast

import structlog
from sqlmodel import SQLModel

from services.core import tracing

TEXT_CHARACTERS_MAX = 20_000  # of one field: anybody's megabytes must not fill the disk

_ALWAYS_SECRET = frozenset(
    {"password", "secret", "token", "authorization", "cookie", "api_key", "set_cookie"}
)
_KEY = re.compile(r"\b(mx-[A-Za-z0-9]{4})[A-Za-z0-9_-]{8,}")
# Each pattern is tried once a run of characters: a text of one letter, sent by anybody, would else take time by the
# square, and hold up everybody for minutes.
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+")
_COOKIE = re.compile(r"\b((?:__Host-)?matrix_[a-z]+(?:_\d+)?=)[^\s;,'\"]+")
# Reflex writes out an event that it cannot handle, with the headers its socket was opened with and what was typed.
# One that was cut off goes with all that follows. Its name is told if it is one that a handler may have.
_PAGE_EVENT = re.compile(r"\bEvent\(name=(?:'([\w.]*)')?(?:.*\)|.*)", re.DOTALL)
_IN_TEXT = (
    (_PAGE_EVENT, r"event \1"),
    (_COOKIE, r"\1[redacted]"),
    (_KEY, r"\1..."),
    (_MAIL, "[mail]"),
)


def personal_names() -> frozenset[str]:
    """Names of all columns marked as personal data; log fields of these names are redacted."""
    return frozenset(
        column.name
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if column.info.get("pii")
    )


@cache
def _hidden(_tables: int) -> frozenset[str]:
    """Names of what is never written, found anew when more tables are known: there are thousands of columns."""
    return _ALWAYS_SECRET | personal_names()


def redact(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    hidden = _hidden(len(SQLModel.metadata.tables))
    for name, value in fields.items():
        if not name.startswith("_"):  # structlog's own, never written
            fields[name] = _shown(name, value, hidden)
    return fields


def _shown(name: str, value: Any, hidden: frozenset[str]) -> Any:
    """`value` as it may be written, looking into what it holds: an error is written by its words."""
    if name in hidden:
        return "[redacted]"
    if isinstance(value, dict):
        held = cast("dict[object, Any]", value)
        return {str(inner): _shown(str(inner), part, hidden) for inner, part in held.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shown("", part, hidden) for part in cast("Iterable[Any]", value)]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else str(value) or type(value).__name__
    for pattern, shown in _IN_TEXT:
        text = pattern.sub(shown, text)
    left = len(text) - TEXT_CHARACTERS_MAX
    return f"{text[:TEXT_CHARACTERS_MAX]}... [{left} characters more]" if left > 0 else text


def _add_trace(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if trace_id := tracing.current_trace_id():
        fields["trace_id"] = trace_id
    return fields


def configure(level: str, style: str, process: str) -> None:
    """Send our logs and those of libraries to standard error. `style` is json or text."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _add_trace,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _have_libraries_write_here()
    # Stripe's client would write down whole answers, with what a customer's browser pays with.
    for noisy in ("httpx", "httpcore", "aiohttp.access", "asyncio", "pgqueuer", "stripe"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _have_libraries_write_here() -> None:
    """Those that brought a handler (socket.io, granian) would write past the redaction what anybody sends them."""
    for known in list(logging.root.manager.loggerDict.values()):
        if isinstance(known, logging.Logger) and known.handlers:
            known.handlers.clear()
            known.propagate = True


def get_logger(name: str) -> Any:
    return structlog.get_logger(name)
