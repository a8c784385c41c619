"""Money given back: what was asked for, who agreed, and what became of it.

A refund is written down before a provider is asked, as a payment is. Amounts are integer minor units of the currency
beside them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, personal, reference
from models.types import BIG, ID, TEXT


class RefundState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"  # nothing is done yet, and nothing held for it
    SENDING = (
        "sending"  # a provider is being asked, or was and the answer is lost; a transfer waits to be sent
    )
    PROCESSING = "processing"  # the provider has it, and it may still come back
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # it came back: what was held for it is free again
    CANCELED = "canceled"
    REJECTED = "rejected"  # by whoever was asked to approve it


class RefundTo(StrEnum):
    SOURCE = "source"  # where the money came from
    CREDIT = "credit"  # kept as a credit of the customer, which pays the next invoice


class Refund(Table, table=True):
    """What is given back of one payment, once.

    `credits` says of which credits of the customer it was taken: by id, in minor units. `credit_note_id` is the note
    that took revenue and tax back, None where all of it was owed before.
    """

    __tablename__ = "refund"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        check(
            "state in ('awaiting_approval','sending','processing','succeeded','failed','canceled','rejected')",
            "state",
        ),
        check("destination in ('source','credit')", "destination"),
        check("minor > 0", "minor"),
        check("approved_by is null or approved_by <> requested_by", "approved_by_another"),
        check("(state = 'succeeded') = (succeeded_at is not null)", "succeeded"),
        sa.Index("ix_refund_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_refund_created_at", "created_at", "id"),
        sa.Index("ix_refund_payment_id", "payment_id", "created_at", "id"),
        sa.Index("ix_refund_check_at", "check_at", "id", postgresql_where=sa.text("check_at is not null")),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    payment_id: str = reference("payment.id")
    credit_note_id: str | None = reference("credit_note.id", nullable=True)
    key: str = Field(sa_type=ID)  # the same act is the same refund, however often it is asked for
    asked: dict[str, Any] = Field(sa_type=JSONB, nullable=False)  # as it was asked for
    destination: str = Field(sa_type=ID)
    state: str = Field(sa_type=ID)
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    credits: dict[str, int] = Field(default_factory=dict, sa_type=JSONB, nullable=False)
    reason: str = Field(sa_type=TEXT)  # on the credit note, and told to the customer
    refusal: str = Field(default="", sa_type=TEXT)  # why somebody rejected it
    requested_by: str = Field(sa_type=ID)
    approved_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    provider_ref: str | None = Field(default=None, sa_type=ID, nullable=True)
    reference: str = personal(default="", sa_type=TEXT)  # what the bank calls a transfer that was sent
    failure: str | None = Field(default=None, sa_type=ID, nullable=True)  # the provider's word for why
    journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    created_at: datetime = instant()
    asked_at: datetime | None = instant(nullable=True)  # by the wall: when it began to be sent
    succeeded_at: datetime | None = instant(nullable=True)
    ended_at: datetime | None = instant(nullable=True)
    check_at: datetime | None = instant(nullable=True)  # by the wall: when the provider is asked
    checks: int = 0
    version: int = 1
