"""What customers contest of their invoices, and what their banks take back of payments.

Amounts are integer minor units of the currency beside them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import BIG, ID, TEXT


class DisputeState(StrEnum):
    """Of a chargeback. While it is a warning the bank only asks: no money has moved."""

    WARNING_NEEDS_ANSWER = "warning_needs_answer"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_ANSWER = "needs_answer"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


class ContestState(StrEnum):
    OPEN = "open"
    CREDITED = "credited"  # staff agreed, with a credit note
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


_STATES = ",".join(f"'{state.value}'" for state in DisputeState)
_ASKS = "state in ('warning_needs_answer','needs_answer')"


class Dispute(Table, table=True):
    """A chargeback: a customer's bank takes a payment back, or asks about it.

    What was taken is divided as it was found: of what paid the invoice, of the customer's credits, and what nobody
    knows the place of. `fee_minor` is what the provider keeps for it.
    """

    __tablename__ = "dispute"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("provider_account_id", "provider_ref"),
        check(f"state in ({_STATES})", "state"),
        check("minor > 0", "minor"),
        check("taken_invoice_minor >= 0 and taken_credit_minor >= 0 and taken_unknown_minor >= 0", "taken"),
        check(
            "taken_at is not null or taken_invoice_minor + taken_credit_minor + taken_unknown_minor = 0",
            "taken_when",
        ),
        check("returned_at is null or (taken_at is not null and state = 'won')", "returned"),
        sa.Index("ix_dispute_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_dispute_created_at", "created_at", "id"),
        sa.Index("ix_dispute_payment_id", "payment_id", "id"),
        sa.Index("ix_dispute_due_at", "due_at", "id", postgresql_where=sa.text(_ASKS)),
        sa.Index("ix_dispute_due", "due_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    payment_id: str = reference("payment.id")
    provider_account_id: str = reference("provider_account.id")
    provider_ref: str = Field(sa_type=ID)
    state: str = Field(sa_type=ID)
    reason: str = Field(sa_type=ID)  # the provider's word
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    fee_currency: str = Field(sa_type=ID)
    fee_minor: int = Field(default=0, sa_type=BIG)
    taken_invoice_minor: int = Field(default=0, sa_type=BIG)
    taken_credit_minor: int = Field(default=0, sa_type=BIG)
    taken_unknown_minor: int = Field(default=0, sa_type=BIG)
    opened_at: datetime = instant()  # by the provider's clock
    due_at: datetime | None = instant(nullable=True)  # until when it can be answered, while it can
    taken_at: datetime | None = instant(nullable=True)
    returned_at: datetime | None = instant(nullable=True)
    evidence: dict[str, Any] | None = Field(
        default=None, sa_type=JSONB, nullable=True
    )  # what was handed in: texts by the provider's names, and hashes of files
    submitted_at: datetime | None = instant(nullable=True)
    submitted_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    conceded_at: datetime | None = instant(nullable=True)  # we decided not to answer
    reminded_days: int | None = None  # before the end of the answer: the last reminder
    ended_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    version: int = 1


class DisputeFile(Table, table=True):
    """A file that staff adds to the answer of a dispute; what it is and who brought it, the file says.

    `field` is what it shows, in the provider's word. The row stays when the file is taken away again.
    """

    __tablename__ = "dispute_file"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (sa.Index("ix_dispute_file_dispute_id", "dispute_id", "file_id"),)

    file_id: str = Field(sa_type=ID, foreign_key="stored_file.id", primary_key=True)
    organization_id: str = reference("organization.id")
    dispute_id: str = reference("dispute.id")
    field: str = Field(sa_type=ID)


class Contest(Table, table=True):
    """A customer says that an invoice, or a line of it, is wrong by `minor`. While it is open nobody collects that."""

    __tablename__ = "contest"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("state in ('open','credited','refused','withdrawn')", "state"),
        check("minor > 0 and credited_minor between 0 and minor", "minor"),
        check("(state = 'open') = (ended_at is null)", "ended"),
        check("(state = 'credited') = (credit_note_id is not null)", "credit_note"),
        # One at a time of an invoice as a whole, and of each of its lines.
        sa.Index(
            "uq_contest_open",
            "invoice_id",
            sa.text("coalesce(line_id, '')"),
            unique=True,
            postgresql_where=sa.text("state = 'open'"),
        ),
        sa.Index("ix_contest_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_contest_created_at", "created_at", "id"),
        sa.Index("ix_contest_due_at", "due_at", "id", postgresql_where=sa.text("state = 'open'")),
        sa.Index("ix_contest_due", "due_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    invoice_id: str = reference("invoice.id")
    line_id: str | None = reference("invoice_line.id", nullable=True)
    state: str = Field(default=ContestState.OPEN.value, sa_type=ID)
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    credited_minor: int = Field(default=0, sa_type=BIG)
    reason: str = Field(sa_type=TEXT)
    answer: str = Field(default="", sa_type=TEXT)  # what staff said to the customer
    credit_note_id: str | None = reference("credit_note.id", nullable=True)
    created_by: str = Field(sa_type=ID)
    answered_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    created_at: datetime = instant()
    due_at: datetime = instant()  # by when staff answers
    ended_at: datetime | None = instant(nullable=True)
    reminded_days: int | None = None
    version: int = 1
