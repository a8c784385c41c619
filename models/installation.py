"""What belongs to the installation itself and to no tenant."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant
from models.types import BYTES, ID


class KeyFingerprint(Table, table=True):
    """By which a database knows the keys it was begun with. Written once; tells nothing about the keys."""

    __tablename__ = "key_fingerprint"

    purpose: str = Field(primary_key=True, sa_type=ID)
    fingerprint: bytes = Field(sa_type=BYTES)
    created_at: datetime = instant()


class SecretOpening(Table, table=True):
    """That something sealed was opened: by whom, why, and where it lies. Never changed; deleted when it is old.

    `tenant` is an organisation, an account, or `platform` for what belongs to the installation.
    """

    __tablename__ = "secret_opening"
    __table_args__ = (
        sa.Index("ix_secret_opening_opened_at", "opened_at", "id"),
        sa.Index("ix_secret_opening_tenant", "tenant", "opened_at", "id"),
    )

    id: str = id_field()
    opened_at: datetime = instant()
    actor_id: str = Field(sa_type=ID)
    purpose: str = Field(sa_type=ID)
    tenant: str = Field(sa_type=ID)
    table_name: str = Field(sa_type=ID)
    column_name: str = Field(sa_type=ID)
    row_id: str = Field(sa_type=ID)
    trace_id: str = Field(default="", sa_type=ID)


class Heartbeat(Table, table=True):
    """When a part that nobody can ask was last alive, by the clock of the database."""

    __tablename__ = "heartbeat"

    part: str = Field(primary_key=True, sa_type=ID)
    beaten_at: datetime = instant()
