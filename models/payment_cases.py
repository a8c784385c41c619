"""What somebody has to look at: money that does not fit what we know of it, and what is proposed about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant
from models.types import BIG, ID, TEXT


class CaseKind(StrEnum):
    AMOUNT_DIFFERS = "amount_differs"  # a provider took another amount than it was asked for
    REFUND_FAILED = "refund_failed"  # what was given back came back
    DIFFERENCE = "difference"  # the provider's book and ours do not agree
    CHAIN = "chain"  # money on a chain that has no rate, was seen otherwise, or was taken away again
    UNKNOWN_DISPUTE = "unknown_dispute"  # a bank takes back a payment that nobody knows
    DISPUTE = "dispute"  # what a provider says of a dispute does not fit what is known of it
    FRAUD_WARNING = "fraud_warning"  # a bank thinks that a card was stolen, before it takes anything back
    UNMATCHED = "unmatched"  # money on a bank statement that nobody knows the reason of


class CaseAct(StrEnum):
    """What a case may propose; accepting it does that, by services/reconciliation/acts.py."""

    BOOK = "book"  # entries in the platform's own book
    PAYMENT = "payment"  # the payment, of the amount that came
    TRANSFER = "transfer"  # a line of a bank as the transfer for an invoice
    BOOK_REFUND = "book_refund"  # a refund that was given after all
    REFUND = "refund"  # give a payment back before its bank takes it back
    REFUND_AGAIN = "refund_again"  # give back what did not arrive, or leave it as the credit that it is
    ANSWER_DISPUTE = "answer_dispute"  # say to the bank what speaks for us


class PaymentCase(Table, table=True):
    """One for each thing (`subject`, the id of it) that goes wrong in one way.

    `minor` is what is at stake, signed as seen from us, in minor units of `currency`. `cause` is the code of what
    probably happened, and `proposal` what would put it right: its `act` is a CaseAct. It is None where there is
    nothing to do but to look.
    """

    __tablename__ = "payment_case"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("kind", "subject"),
        check("state in ('open','accepted','dismissed')", "state"),
        check("(state = 'open') = (resolved_at is null)", "resolved"),
        check("(currency is null) = (minor is null)", "amount"),
        sa.Index("ix_payment_case_open", "created_at", "id", postgresql_where=sa.text("state = 'open'")),
        sa.Index("ix_payment_case_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str | None = Field(
        default=None, sa_type=ID, nullable=True
    )  # whose money, where that is known
    kind: str = Field(sa_type=ID)
    subject: str = Field(sa_type=ID)
    currency: str | None = Field(default=None, sa_type=ID, nullable=True)
    minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    cause: str = Field(sa_type=ID)
    detail: str = Field(default="", sa_type=TEXT)
    proposal: dict[str, Any] | None = Field(default=None, sa_type=JSONB, nullable=True)
    state: str = Field(default="open", sa_type=ID)
    note: str = Field(default="", sa_type=TEXT)  # what was said when it was closed
    resolved_by: str | None = Field(default=None, sa_type=ID, nullable=True)
    journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)  # the booking that was accepted
    created_at: datetime = instant()
    resolved_at: datetime | None = instant(nullable=True)
    version: int = 1
