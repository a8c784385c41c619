"""Secrets and personal data stay out of logs."""

from __future__ import annotations

import io
import logging

import pytest
from reflex_base.event import Event
from sqlalchemy.exc import OperationalError

import models.identity  # noqa: F401  its columns are marked as personal
from services.core import logs, tracing
from services.core.database import connect


@pytest.mark.parametrize(
    ("fields", "canary"),
    [
        ({"email": "ana@example.com"}, "ana@example.com"),
        ({"note": "mail to ana@example.com bounced"}, "ana@example.com"),
        ({"password": "correct horse"}, "correct horse"),
        ({"authorization": "Bearer abc"}, "Bearer abc"),
        ({"detail": "key mx-AbCdEfGhIjKlMnOpQrStUvWxYz refused"}, "EfGhIjKl"),
        ({"user_agent": "Canary/1.0"}, "Canary/1.0"),
        ({"cause": ValueError("no room for ana@example.com")}, "ana@example.com"),
        ({"details": {"password": "correct horse"}}, "correct horse"),
        ({"people": ["ana@example.com"]}, "ana@example.com"),
    ],
)
def test_a_canary_does_not_sing(written: io.StringIO, fields: dict[str, object], canary: str) -> None:
    logs.get_logger("canary").warning("something", **fields)

    assert "something" in written.getvalue()
    assert canary not in written.getvalue()


def test_libraries_are_redacted_too(written: io.StringIO) -> None:
    logging.getLogger("some.library").error("cannot deliver to ana@example.com")

    assert "cannot deliver" in written.getvalue()
    assert "ana@example.com" not in written.getvalue()


async def test_what_a_failed_statement_was_given_is_not_written(written: io.StringIO) -> None:
    on = connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    hidden = on.engine.sync_engine.hide_parameters
    await on.close()
    error = OperationalError("insert", {"body": "canary"}, Exception("gone"), hide_parameters=hidden)

    logs.get_logger("canary").error("something", exc_info=error)

    assert "gone" in written.getvalue()
    assert "canary" not in written.getvalue()


def test_lines_of_one_act_share_a_trace_id(written: io.StringIO) -> None:
    with tracing.act("test") as trace_id:
        logs.get_logger("a").info("one")

    assert trace_id in written.getvalue()


def test_an_event_that_no_page_knows_is_named_and_not_written_out(written: io.StringIO) -> None:
    """After an upgrade every open tab may send one, with the cookie that its socket was opened with."""
    event = Event(
        name="state.keys.gone",
        router_data={
            "headers": {"cookie": "theme=dark; matrix_session_3000=s3cret-token"},
            "ip": "192.0.2.7",
        },
        payload={"value": "typed (by) somebody"},
    )

    logging.getLogger("reflex").error(f"Error processing event queue entry for {event} [txid=1]:")

    line = written.getvalue()
    assert "state.keys.gone [txid=1]" in line
    assert not [word for word in ("s3cret", "192.0.2.7", "typed", "somebody") if word in line]


def test_a_session_in_any_text_is_hidden(written: io.StringIO) -> None:
    logging.getLogger("library").error(
        "refused: Cookie: a=b; __Host-matrix_session=s3cret; matrix_device_80=d3vice"
    )

    assert "a=b; __Host-matrix_session=[redacted]; matrix_device_80=[redacted]" in written.getvalue()


@pytest.mark.parametrize(
    "name", ["'state.look'", "5", "None", '"it\'s"', "'a b'", "{'a': 1}", "'" + "x" * 9_000 + "'"]
)
def test_of_an_event_that_no_page_has_only_its_name_is_told(written: io.StringIO, name: str) -> None:
    """Whoever sends it chooses the name, so that must not decide whether the address of its sender is told."""
    facts = "{'ip': '203.0.113.7', 'headers': {'user-agent': 'secret (x)'}}"
    logging.getLogger("reflex").error(
        f"Error processing event queue entry for Event(name={name}, router_data={facts}, payload={{}}) [txid=1]:"
    )

    told = written.getvalue()
    assert "203.0.113.7" not in told
    assert "secret" not in told
    assert ("state.look" in told) == (name == "'state.look'")
    assert "[txid=1]" in told


@pytest.mark.parametrize("part", ["x", "-", "Event(name='', router_data=", "matrix_a", "mx-", "a@b-"])
def test_megabytes_of_anybody_neither_hold_up_the_process_nor_fill_its_log(
    written: io.StringIO, part: str
) -> None:
    """A socket's message that cannot be read is logged by a library. By the square this took minutes."""
    logging.getLogger("engineio.server").error(part * (1_000_000 // len(part)))

    assert 0 < len(written.getvalue()) < 2 * logs.TEXT_CHARACTERS_MAX


def test_a_library_that_brought_a_handler_writes_here_alone() -> None:
    beside = io.StringIO()
    library = logging.getLogger("engineio.server")
    library.addHandler(logging.StreamHandler(beside))
    library.propagate = False

    logs.configure("info", "json", "test")
    library.error("cannot read ana@example.com")

    assert library.propagate
    assert beside.getvalue() == ""
