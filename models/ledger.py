"""The ledger: accounts, journals whose entries add up to nothing, and revenue that waits to be earned.

Journals and entries are written once and never changed; docs/decisions/0023-ledger.md says how that is held.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import BIG, ID, TEXT


class AccountKind(StrEnum):
    """Assets and expenses grow by debits, liabilities and revenue by credits."""

    ASSET = "asset"
    LIABILITY = "liability"
    REVENUE = "revenue"
    EXPENSE = "expense"


class Purpose(StrEnum):
    """What an account is for. Each book has at most one account of a purpose and a currency."""

    RECEIVABLE = "receivable"  # invoiced and not paid
    CASH = "cash"  # on our own bank account
    CLEARING = "clearing"  # taken by a payment provider and not yet paid out to us
    DEFERRED_REVENUE = "deferred_revenue"  # invoiced for time that has not passed
    REVENUE = "revenue"
    TAX_OWED = "tax_owed"
    CUSTOMER_CREDIT = "customer_credit"  # owed to the customer by a credit note or an overpayment
    PREPAID_WALLET = "prepaid_wallet"  # paid ahead of use
    BREAKAGE = "breakage"  # prepaid and expired unused
    FEES = "fees"  # kept by payment providers
    WRITE_OFFS = "write_offs"  # given up as uncollectible
    ROUNDING = "rounding"
    PROMOTIONS = "promotions"  # given to customers as credit, unpaid
    SUSPENSE = "suspense"  # arrived, and nobody knows yet what for


class JournalKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    RECOGNITION = "recognition"  # time has passed: deferred revenue becomes revenue
    TOP_UP = "top_up"
    GRANT = "grant"  # credit is given away, or what was is taken back
    CONSUMPTION = "consumption"  # credits or a wallet pay
    BREAKAGE = "breakage"
    FEE = "fee"
    PAYOUT = "payout"
    WRITE_OFF = "write_off"
    TAX_PAYMENT = "tax_payment"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"


class Measure(StrEnum):
    """By what revenue is earned: the time that has passed, or the days that were touched."""

    SECOND = "second"
    DAY = "day"


class Step(StrEnum):
    """How often earned revenue is booked: at the end of each day or month of the organisation's calendar."""

    DAY = "day"
    MONTH = "month"


class LedgerAccount(Table, table=True):
    """One account of a book: an organisation's, or the platform's own, which belongs to no organisation."""

    __tablename__ = "ledger_account"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "currency", "purpose", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("kind in ('asset','liability','revenue','expense')", name="kind"),
        sa.Index("ix_ledger_account_currency", "currency", "purpose", "id"),
    )

    id: str = id_field()
    organization_id: str | None = reference("organization.id", nullable=True)
    currency: str = Field(sa_type=ID)
    purpose: str = Field(sa_type=ID)
    kind: str
    created_at: datetime = instant()


class LedgerJournal(Table, table=True):
    """What moved at one moment, and why. `entries` is how many there are: none can be added later."""

    __tablename__ = "ledger_journal"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key", postgresql_nulls_not_distinct=True),
        sa.UniqueConstraint("reverses"),
        sa.CheckConstraint("entries >= 2", name="entries"),
        sa.CheckConstraint("(reverses is not null) = (kind = 'reversal')", name="reversal"),
        sa.Index("ix_ledger_journal_organization_id", "organization_id", "happened_at", "id"),
        sa.Index("ix_ledger_journal_happened_at", "happened_at", "id"),
        sa.Index("ix_ledger_journal_cause_id", "cause_id", "happened_at", "id"),
        sa.Index("ix_ledger_journal_recorded_at", "recorded_at", postgresql_using="brin"),
    )

    id: str = id_field()
    organization_id: str | None = reference("organization.id", nullable=True)
    key: str = Field(sa_type=ID)  # the same act has the same key, however often it is tried
    content_hash: bytes = Field(sa_type=sa.LargeBinary)
    kind: str = Field(sa_type=ID)
    cause_id: str = Field(sa_type=ID)  # the invoice, payment, line... that it is booked for
    reverses: str | None = reference("ledger_journal.id", nullable=True)
    entries: int
    note: str = Field(default="", sa_type=TEXT)
    happened_at: datetime = instant()  # business time: the period that it counts in
    recorded_at: datetime = instant()


class LedgerEntry(Table, table=True):
    """`minor` units moved on one account: a debit is above zero, a credit below.

    Organisation, currency and moment are those of its journal and account, which the database checks.
    """

    __tablename__ = "ledger_entry"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("journal_id", "line"),
        sa.CheckConstraint("minor <> 0", name="minor"),
        # Statements go on by it, and balances are added up from it alone: policies read the organisation.
        sa.Index(
            "ix_ledger_entry_account_id",
            "account_id",
            "happened_at",
            "id",
            postgresql_include=["minor", "organization_id"],
        ),
    )

    id: int = Field(
        default=None, sa_column=sa.Column(sa.BigInteger(), sa.Identity(always=False), primary_key=True)
    )
    organization_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    journal_id: str = reference("ledger_journal.id")
    line: int  # from 1
    account_id: str = reference("ledger_account.id")
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    happened_at: datetime = instant()


class LedgerDeferral(Table, table=True):
    """Revenue of one line of a document, earned over its service period [starts_at, ends_at).

    What it is worked out by is kept, so that every slice can be worked out again. Below zero it takes revenue back,
    as the line that credits unused time does.
    """

    __tablename__ = "ledger_deferral"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.CheckConstraint("minor <> 0", name="minor"),
        sa.CheckConstraint("ends_at > starts_at", name="period"),
        sa.CheckConstraint("measure in ('second','day')", name="measure"),
        sa.CheckConstraint("step in ('day','month')", name="step"),
        sa.Index(
            "ix_ledger_deferral_due",
            "next_due_at",
            "organization_id",
            "line_id",
            postgresql_where=sa.text("next_due_at is not null"),
        ),
    )

    organization_id: str = Field(sa_type=ID, foreign_key="organization.id", primary_key=True)
    line_id: str = Field(sa_type=ID, primary_key=True)
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    starts_at: datetime = instant()
    ends_at: datetime = instant()
    measure: str
    step: str
    timezone: str
    next_slice: int = 0  # the first that is not booked yet
    next_due_at: datetime | None = instant(nullable=True)  # when that one is over; None when all are booked
    created_at: datetime = instant()
