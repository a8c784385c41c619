"""Test clocks: time that a person can turn."""

from __future__ import annotations

from datetime import datetime

from models.base import Table, id_field, instant


class TestClock(Table, table=True):
    """Business time of the organisations that point at it.

    A frozen clock stands at `now_at`. A following clock was set back to make history and, once it has
    caught up with wall time, simply is wall time.
    """

    __tablename__ = "test_clock"
    __test__ = False  # pytest would otherwise collect it by its name

    id: str = id_field()
    name: str
    now_at: datetime = instant()
    follows_wall: bool = False
    created_at: datetime = instant()
