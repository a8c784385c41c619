"""Getting paid: through which accounts with providers, by which methods, what was tried and what came of it.

A payment is written down before a provider is asked, so that one whose answer is lost is found again. Amounts are
integer minor units of the currency beside them.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, check, id_field, instant, personal, reference, sealed
from models.types import BIG, BYTES, ID, TEXT

DAY: Any = sa.Date()


class PaymentState(StrEnum):
    SENDING = "sending"  # the provider is being asked, or was and the answer is lost: nobody knows yet
    REQUIRES_ACTION = "requires_action"  # waits for the customer, as for a page of the bank
    PROCESSING = "processing"  # the provider has it, and money may still not come
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Initiator(StrEnum):
    """Who wanted it. What a customer tries does not use up what the schedule of retries may try."""

    CUSTOMER = "customer"
    SCHEDULE = "schedule"
    STAFF = "staff"


_UNDER_WAY = "state in ('sending','requires_action','processing')"


class ProviderAccount(Table, table=True):
    """An account with a payment provider. `settings` anybody may know; `secrets` is a sealed JSON object, None where
    nothing is secret."""

    __tablename__ = "provider_account"
    __table_args__ = (
        sa.UniqueConstraint("name"),
        sa.Index("ix_provider_account_provider", "provider", "id"),
    )

    id: str = id_field()
    provider: str = Field(sa_type=ID)  # as services/payments/providers names it
    name: str
    is_test: bool  # money of its payments is play money
    settings: dict[str, Any] = Field(sa_type=JSONB, nullable=False)
    secrets: bytes | None = sealed(tenant=None, row="id", nullable=True)
    enabled: bool = True
    created_at: datetime = instant()
    version: int = 1


class ProviderCustomer(Table, table=True):
    """Under which name a provider knows an organisation; sealed."""

    __tablename__ = "provider_customer"
    tenant_column: ClassVar[str | None] = "organization_id"

    organization_id: str = Field(sa_type=ID, foreign_key="organization.id", primary_key=True)
    provider_account_id: str = Field(sa_type=ID, foreign_key="provider_account.id", primary_key=True)
    reference: bytes = sealed(tenant="organization_id", row="provider_account_id")
    created_at: datetime = instant()


class PaymentMethod(Table, table=True):
    """What an organisation pays with: the provider's name for it, sealed, and what tells it from others.

    Never a card number; only the provider has that.
    """

    __tablename__ = "payment_method"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("(expires_month is null) = (expires_year is null)", "expiry"),
        check("expires_month between 1 and 12", "expires_month"),
        check("not (is_default and removed_at is not null)", "default_is_there"),
        sa.Index("ix_payment_method_organization_id", "organization_id", "created_at", "id"),
        sa.Index(
            "uq_payment_method_token",
            "provider_account_id",
            "token_hash",
            unique=True,
            postgresql_where=sa.text("removed_at is null"),
        ),
        sa.Index(
            "uq_payment_method_default",
            "organization_id",
            unique=True,
            postgresql_where=sa.text("is_default"),
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    provider_account_id: str = reference("provider_account.id")
    kind: str = Field(sa_type=ID)  # card, paypal...
    brand: str = Field(default="", sa_type=ID)  # as services/payments/brands.py has them
    last4: str = Field(default="", sa_type=ID)
    expires_month: int | None = None
    expires_year: int | None = None
    name: str = personal(default="")  # what the customer calls it
    token: bytes = sealed(tenant="organization_id", row="id")  # the provider's name for the method
    token_hash: bytes = Field(sa_type=BYTES)
    is_default: bool = False
    expiry_told: date | None = Field(
        default=None, sa_type=DAY, nullable=True
    )  # first of the month of expiry that was told of
    created_at: datetime = instant()
    renewed_at: datetime | None = instant(nullable=True)  # when it last got another number or date
    removed_at: datetime | None = instant(nullable=True)
    version: int = 1


class Payment(Table, table=True):
    """Money that came, or was asked for, once. What succeeded stays so; what is given back are refunds.

    `invoice_id` is None for money on account, which became a credit of the customer. applied = what paid the
    invoice; the rest of what came is a credit of the customer. Of a payment for a top-up that went on into the wallet.
    """

    __tablename__ = "payment"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        sa.UniqueConstraint("provider_account_id", "provider_ref"),
        check("state in ('sending','requires_action','processing','succeeded','failed','canceled')", "state"),
        check("initiator in ('customer','schedule','staff')", "initiator"),
        check("minor > 0 and refunded_minor between 0 and minor", "minor"),
        check("applied_minor between 0 and minor", "applied"),
        check("(state = 'succeeded') = (succeeded_at is not null)", "succeeded"),
        check("state = 'succeeded' or refunded_minor + applied_minor = 0", "moves_when_it_came"),
        check("(decline_code is null) = (decline_hard is null)", "decline"),
        # Two at a time could both succeed.
        sa.Index("uq_payment_under_way", "invoice_id", unique=True, postgresql_where=sa.text(_UNDER_WAY)),
        sa.Index(
            "uq_payment_top_up_under_way",
            "top_up_id",
            unique=True,
            postgresql_where=sa.text(_UNDER_WAY),
            postgresql_concurrently=True,
        ),
        sa.Index("ix_payment_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_payment_created_at", "created_at", "id"),
        sa.Index("ix_payment_invoice_id", "invoice_id", "created_at", "id"),
        sa.Index("ix_payment_check_at", "check_at", "id", postgresql_where=sa.text("check_at is not null")),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    invoice_id: str | None = reference("invoice.id", nullable=True)
    top_up_id: str | None = reference("wallet_top_up.id", nullable=True)
    # None of a transfer that no statement has shown yet
    provider_account_id: str | None = reference("provider_account.id", nullable=True)
    provider: str = Field(sa_type=ID)
    method_id: str | None = reference("payment_method.id", nullable=True)
    keep_method: bool = False  # what the customer gives is kept for the next time
    link_id: str | None = reference("payment_link.id", nullable=True)  # where it was begun by a link
    key: str = Field(sa_type=ID)  # the same act is the same payment, however often it is tried
    state: str = Field(sa_type=ID)
    initiator: str = Field(sa_type=ID)
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    applied_minor: int = Field(default=0, sa_type=BIG)
    refunded_minor: int = Field(default=0, sa_type=BIG)
    provider_ref: str | None = Field(default=None, sa_type=ID, nullable=True)
    action: dict[str, Any] | None = Field(
        default=None, sa_type=JSONB, nullable=True
    )  # what the customer does next
    decline_code: str | None = Field(default=None, sa_type=ID, nullable=True)
    decline_hard: bool | None = None
    # DeclineKind and Advice of services/payments/providers/values.py; None of declines before they were kept
    decline_kind: str | None = Field(default=None, sa_type=ID, nullable=True)
    decline_advice: str | None = Field(default=None, sa_type=ID, nullable=True)
    message: str = Field(default="", sa_type=TEXT)  # why it failed, to be told to the customer
    reference: str = personal(default="", sa_type=TEXT)  # what a bank statement says of it
    journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    created_at: datetime = instant()
    asked_at: datetime = instant()  # by the wall, as providers count: when it was written down
    succeeded_at: datetime | None = instant(nullable=True)
    ended_at: datetime | None = instant(nullable=True)
    check_at: datetime | None = instant(
        nullable=True
    )  # by the wall: when the provider is asked how it stands
    checks: int = 0
    version: int = 1


class ProviderEvent(Table, table=True):
    """What a provider told us, as it came. A hint that is stored first and understood later."""

    __tablename__ = "provider_event"
    __table_args__ = (
        sa.UniqueConstraint("provider_account_id", "event_id"),
        sa.Index("ix_provider_event_due", "due_at", "id", postgresql_where=sa.text("due_at is not null")),
        sa.Index("ix_provider_event_received_at", "received_at", "id"),
    )

    id: str = id_field()
    provider_account_id: str = reference("provider_account.id")
    event_id: str = Field(sa_type=ID)
    kind: str = Field(sa_type=ID)
    about: str = Field(
        default="payment", sa_type=ID
    )  # as EventSubject in services/payments/providers/values.py
    subject: str = Field(sa_type=ID)  # what the payment is found by: our key, or the provider's name for it
    reference: str = Field(default="", sa_type=ID)  # the provider's name for what it is about
    raw: bytes = Field(sa_type=BYTES)
    received_at: datetime = instant()
    handled_at: datetime | None = instant(nullable=True)
    due_at: datetime | None = instant(nullable=True)  # None once it is handled
    attempts: int = 0
    reason: str | None = Field(default=None, sa_type=TEXT, nullable=True)  # why the last attempt failed
