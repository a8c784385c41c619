"""Test clocks: time that a person can turn."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from models.base import Table, id_field, instant


class TestClock(Table, table=True):
    """Business time of the organisations that point at it.

    A frozen clock stands at `now_at`. A following clock was set back to make history and, once it has
    caught up with wall time, simply is wall time. One that is being turned has a `target_at` until it is there: the
    worker takes it from one moment at which something happens to the next.
    """

    __tablename__ = "test_clock"
    __table_args__ = (
        sa.Index("ix_test_clock_target_at", "id", postgresql_where=sa.text("target_at is not null")),
    )
    __test__ = False  # pytest would otherwise collect it by its name

    id: str = id_field()
    name: str
    now_at: datetime = instant()
    follows_wall: bool = False
    target_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
