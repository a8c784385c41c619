"""What was found when the product last looked at itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, instant
from models.types import ID

JSONB: Any = postgresql.JSONB()


class InvariantResult(Table, table=True):
    """The latest check of one invariant; `evidence` is bounded and names rows, never what they hold."""

    __tablename__ = "invariant_result"

    name: str = Field(primary_key=True, sa_type=ID)
    checked_at: datetime = instant()
    broken_since: datetime | None = instant(nullable=True)
    evidence: list[Any] = Field(sa_type=JSONB, default=[])
    duration_ms: int = 0
