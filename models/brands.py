"""Under which names a legal entity issues documents: each name has a look of its own, and may have its own numbers."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import ID, TEXT


class Brand(Table, table=True):
    """A name that a legal entity trades under. Its `code` stands in numbers, so it is never changed and never given
    again; an archived one bills nobody new and keeps its documents."""

    __tablename__ = "brand"
    __table_args__ = (
        sa.UniqueConstraint("legal_entity_id", "code"),
        sa.UniqueConstraint("legal_entity_id", "id"),  # so that rows that name both name a pair that there is
        sa.CheckConstraint("code ~ '^[A-Z0-9]{1,10}$'", name="code"),
        sa.CheckConstraint("archived_at is null or not is_default", name="archived_at"),
        # The one that bills whom nobody gave another.
        sa.Index("uq_brand_default", "legal_entity_id", unique=True, postgresql_where=sa.text("is_default")),
    )

    id: str = id_field()
    legal_entity_id: str = reference("legal_entity.id")
    code: str = Field(sa_type=ID)  # {brand} of number patterns
    name: str = Field(sa_type=TEXT)  # as documents and people say it
    is_default: bool
    archived_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    version: int = 1
