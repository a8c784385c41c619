"""What is no page event is said seldom and short, and what is one is handed on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from reflex_base.utils.exceptions import EventDeserializationError
from structlog.testing import capture_logs

from matrix_app.matrix_app import app
from matrix_app.page_messages import SHOWN_CHARACTERS_MAX, ReadableOnly
from services.core.clock import FixedClock


async def test_what_cannot_be_read_is_said_once_a_minute_and_socket() -> None:
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    taken: list[Any] = []

    async def take(sid: str, data: Any) -> None:
        if "name" not in data:
            raise EventDeserializationError(str(data))
        taken.append(data)

    door = ReadableOnly(take, lambda sid: sid != "stranger", clock)
    with capture_logs() as lines:
        await door.on_event("one", {"name": "load"})
        for said in ([], ["x" * 40_000], [None], [[{}]], [{"nonsense": "x" * 40_000}], [{}, {}]):
            await door.on_event("one", *said)
        await door.on_event("stranger", {"name": "load"})
        clock.at += timedelta(seconds=61)
        await door.on_event("one", "again")

    assert taken == [{"name": "load"}]
    assert [line["socket"] for line in lines] == ["one", "stranger", "one"]
    assert all(len(line["begins"]) <= SHOWN_CHARACTERS_MAX for line in lines)


async def test_a_fault_of_ours_is_not_taken_for_one_of_theirs() -> None:
    async def take(sid: str, data: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ReadableOnly(take, lambda sid: True).on_event("one", {"name": "load"})


def test_the_product_reads_by_it() -> None:
    events = app.event_namespace
    assert events is not None
    assert isinstance(getattr(events.on_event, "__self__", None), ReadableOnly)
