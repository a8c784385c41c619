"""How documents look, and the bytes that were made of them: once, and kept for ever.

docs/decisions/0028-papers.md says why they are made when they are, and what holds them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import BIG, BYTES, ID, TEXT


class PaperState(StrEnum):
    WAITING = "waiting"  # for a worker, the first time or again
    MADE = "made"  # and never changed after that
    PARKED = "parked"  # trying again alone does not help: staff looks at it


class Form(StrEnum):
    """What a document is kept as."""

    PDF = "pdf"
    UBL = "ubl"
    HTML = "html"


class TemplateState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"  # the one with the highest number is in force; none is ever changed


class TemplateLogo(Table, table=True):
    """A picture that versions of templates show, named by its content. Never changed."""

    __tablename__ = "template_logo"

    sha256: str = Field(sa_type=ID, primary_key=True)  # in hex
    content: bytes = Field(sa_type=BYTES)
    created_at: datetime = instant()


class TemplateVersion(Table, table=True):
    """How the documents of a legal entity look under one of its brands: a draft, or a published version.

    `design` is written and read by services/papers/designs.py.
    """

    __tablename__ = "template_version"
    __table_args__ = (
        sa.UniqueConstraint("brand_id", "number"),
        sa.ForeignKeyConstraint(["legal_entity_id", "brand_id"], ["brand.legal_entity_id", "brand.id"]),
        sa.CheckConstraint("state in ('draft','published')", name="state"),
        sa.CheckConstraint("(state = 'published') = (published_at is not null)", name="published_at"),
        sa.CheckConstraint("number > 0", name="number"),
        sa.Index(
            "uq_template_version_draft",
            "brand_id",
            unique=True,
            postgresql_where=sa.text("state = 'draft'"),
        ),
        sa.Index("ix_template_version_created_at", "created_at", "id"),
    )

    id: str = id_field()
    legal_entity_id: str = reference("legal_entity.id")
    brand_id: str = Field(sa_type=ID)
    number: int
    state: str = Field(default=TemplateState.DRAFT.value, sa_type=ID)
    design: dict[str, Any] = Field(sa_type=JSONB, nullable=False)
    logo_sha256: str | None = reference("template_logo.sha256", nullable=True)
    created_by: str = Field(sa_type=ID)
    created_at: datetime = instant()
    published_at: datetime | None = instant(nullable=True)
    version: int = 1


class Paper(Table, table=True):
    """What is kept of one invoice or credit note: `files` by form, each {"file_id", "sha256", "bytes"}.

    `edition` is the version of the product's own layout that made them, `template_version_id` that of the seller's
    template, null where there was none. `missing` says why there is no file for machines. `due_minor` is what an
    invoice asked for when it was finalised, in minor units: whatever becomes of it, its paper says that.
    """

    __tablename__ = "paper"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.CheckConstraint("kind in ('invoice','credit_note')", name="kind"),
        sa.CheckConstraint("(kind = 'invoice') = (due_minor is not null)", name="due_minor"),
        sa.CheckConstraint("state in ('waiting','made','parked')", name="state"),
        sa.CheckConstraint(
            "(state = 'made') = (files is not null) and (state = 'made') = (made_at is not null)", name="made"
        ),
        sa.Index("ix_paper_due", "due_at", "document_id", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_paper_created_at", "created_at", "document_id"),
        sa.Index("ix_paper_open", "created_at", "document_id", postgresql_where=sa.text("state <> 'made'")),
        sa.Index("ix_paper_organization_id", "organization_id", "document_id"),
    )

    document_id: str = id_field()
    organization_id: str = reference("organization.id")
    kind: str = Field(sa_type=ID)
    number: str = Field(sa_type=ID)
    due_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    state: str = Field(default=PaperState.WAITING.value, sa_type=ID)
    due_at: datetime = instant()  # when a worker may take it (again)
    attempts: int = 0
    error: str = Field(default="", sa_type=TEXT)
    template_version_id: str | None = reference("template_version.id", nullable=True)
    edition: str = Field(default="", sa_type=ID)
    missing: list[str] = Field(default=[], sa_type=JSONB, nullable=False)
    files: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    created_at: datetime = instant()
    made_at: datetime | None = instant(nullable=True)
