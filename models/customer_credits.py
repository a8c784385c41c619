"""What is owed to a customer, and which invoices it paid. Amounts are integer minor units."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import BIG, ID

_LEFT = sa.text("left_minor > 0")
_IN_TURN = ("organization_id", "currency", "created_at", "id")  # as credits pay, the oldest first


class CustomerCredit(Table, table=True):
    """Owed to a customer by a note, an invoice below zero or a payment of more than was due, and what is left."""

    __tablename__ = "customer_credit"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("source_id"),
        sa.CheckConstraint("minor > 0 and left_minor between 0 and minor", name="left_minor"),
        sa.Index("ix_customer_credit_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_customer_credit_created_at", "created_at", "id"),
        sa.Index("ix_customer_credit_left", *_IN_TURN, postgresql_where=_LEFT),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    source_id: str = Field(sa_type=ID)  # a credit note, an invoice or a payment
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    left_minor: int = Field(sa_type=BIG)
    created_at: datetime = instant()


class CreditUse(Table, table=True):
    """What of a credit paid an invoice. Given back when that invoice is voided."""

    __tablename__ = "credit_use"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.CheckConstraint("minor > 0", name="minor"),
        sa.Index("ix_credit_use_invoice_id", "invoice_id", "id"),
        sa.Index("ix_credit_use_credit_id", "credit_id", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    credit_id: str = reference("customer_credit.id")
    invoice_id: str = reference("invoice.id")
    minor: int = Field(sa_type=BIG)
    journal_id: str = Field(sa_type=ID)
    created_at: datetime = instant()
    given_back_at: datetime | None = instant(nullable=True)
