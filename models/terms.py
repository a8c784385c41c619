"""The terms that customers act under: each version as it was published, and who accepted it, when and from where."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, personal, reference
from models.types import BYTES, ID, TEXT


class Occasion(StrEnum):
    """What somebody did while the page said that doing it accepts the terms."""

    FOUNDING = "founding"  # an organisation, as the first thing after signing up
    SUBSCRIBING = "subscribing"
    PAYING = "paying"


class TermsVersion(Table, table=True):
    """Published once, never changed: the newest one counts."""

    __tablename__ = "terms_version"
    __table_args__ = (
        sa.UniqueConstraint("number"),
        check("number > 0", "number"),
        sa.Index("ix_terms_version_published_at", "published_at", "id"),
    )

    id: str = id_field()
    number: int
    text: str = Field(sa_type=TEXT)
    sha256: bytes = Field(sa_type=BYTES)
    published_by: str = Field(sa_type=ID)
    published_at: datetime = instant()


class TermsAcceptance(Table, table=True):
    """Somebody accepted a version for an organisation, the first time they did."""

    __tablename__ = "terms_acceptance"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "account_id", "terms_id"),
        check("occasion in ('founding','subscribing','paying')", "occasion"),
        sa.Index("ix_terms_acceptance_accepted_at", "organization_id", "accepted_at", "id"),
        # By how many organisations a version was accepted.
        sa.Index("ix_terms_acceptance_terms_id", "terms_id", "organization_id", postgresql_concurrently=True),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    terms_id: str = reference("terms_version.id")
    account_id: str = reference("account.id")
    occasion: str = Field(sa_type=ID)
    address: str = personal(default="", sa_type=TEXT)
    user_agent: str = personal(default="", sa_type=TEXT)
    accepted_at: datetime = instant()  # on the wall
