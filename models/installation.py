"""What belongs to the installation itself and to no tenant."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from models.base import Table, instant
from models.types import BYTES, ID


class KeyFingerprint(Table, table=True):
    """By which a database knows the keys it was begun with. Written once; tells nothing about the keys."""

    __tablename__ = "key_fingerprint"

    purpose: str = Field(primary_key=True, sa_type=ID)
    fingerprint: bytes = Field(sa_type=BYTES)
    created_at: datetime = instant()


class Heartbeat(Table, table=True):
    """When a part that nobody can ask was last alive, by the clock of the database."""

    __tablename__ = "heartbeat"

    part: str = Field(primary_key=True, sa_type=ID)
    beaten_at: datetime = instant()
