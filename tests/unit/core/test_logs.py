"""Secrets and personal data stay out of logs."""

from __future__ import annotations

import io
import logging

import pytest

import models.identity  # noqa: F401  its columns are marked as personal
from services.core import logs, tracing


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("info", "json", "test")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return stream


@pytest.mark.parametrize(
    ("fields", "canary"),
    [
        ({"email": "ana@example.com"}, "ana@example.com"),
        ({"note": "mail to ana@example.com bounced"}, "ana@example.com"),
        ({"password": "correct horse"}, "correct horse"),
        ({"authorization": "Bearer abc"}, "Bearer abc"),
        ({"detail": "key mx-AbCdEfGhIjKlMnOpQrStUvWxYz refused"}, "EfGhIjKl"),
        ({"user_agent": "Canary/1.0"}, "Canary/1.0"),
    ],
)
def test_a_canary_does_not_sing(written: io.StringIO, fields: dict[str, str], canary: str) -> None:
    logs.get_logger("canary").warning("something", **fields)

    assert "something" in written.getvalue()
    assert canary not in written.getvalue()


def test_libraries_are_redacted_too(written: io.StringIO) -> None:
    logging.getLogger("some.library").error("cannot deliver to ana@example.com")

    assert "cannot deliver" in written.getvalue()
    assert "ana@example.com" not in written.getvalue()


def test_lines_of_one_act_share_a_trace_id(written: io.StringIO) -> None:
    with tracing.act("test") as trace_id:
        logs.get_logger("a").info("one")

    assert trace_id in written.getvalue()
