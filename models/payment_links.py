"""Links by which whoever has one pays one invoice, or one top-up, without signing in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import ID


class PaymentLink(Table, table=True):
    """One link of one invoice, or of a top-up of a wallet. What it is proved by is made from this row and the keys of
    the installation, so that nobody who reads the table has a link. Times are by the wall: a link is for people
    outside."""

    __tablename__ = "payment_link"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index(
            "ix_payment_link_invoice_id",
            "invoice_id",
            "expires_at",
            postgresql_where=sa.text("revoked_at is null"),
        ),
        sa.Index(
            "ix_payment_link_top_up_id",
            "top_up_id",
            "expires_at",
            postgresql_where=sa.text("revoked_at is null"),
        ),
        check("(invoice_id is null) <> (top_up_id is null)", "one"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    invoice_id: str | None = reference("invoice.id", nullable=True)
    top_up_id: str | None = reference("wallet_top_up.id", nullable=True)
    created_by: str = Field(sa_type=ID)
    created_at: datetime = instant()
    expires_at: datetime = instant()
    revoked_at: datetime | None = instant(nullable=True)
