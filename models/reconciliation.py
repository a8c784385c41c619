"""What providers and banks say moved, kept beside our ledger so that the two can be compared.

All of it belongs to the house. Amounts are integer minor units of the currency beside them, signed as they changed
the balance there.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, personal, reference
from models.types import BIG, BYTES, ID, TEXT


class Match(StrEnum):
    """How far what moved elsewhere is found in our books."""

    WAITING = "waiting"  # not looked at, or what it belongs to may still be booked
    MATCHED = "matched"
    DIFFERS = "differs"  # a case is open for it
    SETTLED = "settled"  # somebody has said what it is


_MATCHES = "match in ('waiting','matched','differs','settled')"
_OPEN = "match in ('waiting','differs')"


class ProviderPull(Table, table=True):
    """How far an account with a provider is read: all that moved before `read_until` is here.

    While `page_until` is there, [page_since, page_until) is being read, and `cursor` says how far that is.
    """

    __tablename__ = "provider_pull"
    __table_args__ = (sa.Index("ix_provider_pull_due_at", "due_at", "provider_account_id"),)

    provider_account_id: str = Field(sa_type=ID, foreign_key="provider_account.id", primary_key=True)
    since: datetime = instant()  # what moved before is none of ours
    read_until: datetime = instant()
    page_since: datetime | None = instant(nullable=True)
    page_until: datetime | None = instant(nullable=True)
    cursor: str = Field(default="", sa_type=TEXT)
    due_at: datetime = instant()
    pulled_at: datetime | None = instant(nullable=True)  # when the last one came to its end
    reason: str | None = Field(default=None, sa_type=TEXT, nullable=True)  # why the last one did not


class ProviderPayout(Table, table=True):
    """Money that a provider sent to our bank. `traced`: it is known what it consists of."""

    __tablename__ = "provider_payout"
    __table_args__ = (
        sa.UniqueConstraint("provider_account_id", "provider_ref"),
        sa.Index("ix_provider_payout_happened_at", "happened_at", "id"),
        sa.Index("ix_provider_payout_amount", "currency", "minor", "arrives_at"),
    )

    id: str = id_field()
    provider_account_id: str = reference("provider_account.id")
    provider_ref: str = Field(sa_type=ID)
    state: str = Field(sa_type=ID)  # as services/payments/providers/values.py names it
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    traced: bool
    failure: str = Field(default="", sa_type=TEXT)
    happened_at: datetime = instant()
    arrives_at: datetime = instant()
    read_at: datetime | None = instant(nullable=True)  # when what it consists of was read
    bank_line_id: str | None = Field(default=None, sa_type=ID, nullable=True)  # where it arrived


class ProviderMovement(Table, table=True):
    """One change of our balance at a provider: net = gross - fee.

    `subject_id` is what it belongs to here, `journal_id` what books its gross amount and `fee_journal_id` its fee.
    """

    __tablename__ = "provider_movement"
    __table_args__ = (
        sa.UniqueConstraint("provider_account_id", "provider_ref"),
        check(_MATCHES, "match"),
        check("net_minor = gross_minor - fee_minor", "net"),
        sa.Index("ix_provider_movement_open", "id", postgresql_where=sa.text(_OPEN)),
        sa.Index(
            "ix_provider_movement_fee",
            "id",
            postgresql_where=sa.text("fee_journal_id is null and (fee_minor <> 0 or kind = 'fee')"),
        ),
        sa.Index("ix_provider_movement_happened_at", "happened_at", "id"),
        sa.Index("ix_provider_movement_account", "provider_account_id", "currency", "happened_at"),
        sa.Index("ix_provider_movement_subject_id", "subject_id"),
        sa.Index("ix_provider_movement_payout_id", "payout_id"),
        # Fees are booked together; everything else has a journal of its own, which moves two accounts where a payout
        # of one arrives at the other. To be found by the journal, that comes first.
        sa.Index(
            "uq_provider_movement_journal_id",
            "journal_id",
            "provider_account_id",
            unique=True,
            postgresql_where=sa.text("kind <> 'fee'"),
        ),
    )

    id: str = id_field()
    provider_account_id: str = reference("provider_account.id")
    provider_ref: str = Field(sa_type=ID)
    kind: str = Field(sa_type=ID)  # as services/payments/providers/values.py names it
    category: str = Field(sa_type=ID)  # the provider's own word for it
    currency: str = Field(sa_type=ID)
    gross_minor: int = Field(sa_type=BIG)
    fee_minor: int = Field(sa_type=BIG)
    net_minor: int = Field(sa_type=BIG)
    source: str = Field(default="", sa_type=ID)
    payment_ref: str = Field(default="", sa_type=ID)
    key: str = Field(default="", sa_type=ID)
    payout_id: str | None = reference("provider_payout.id", nullable=True)
    match: str = Field(default="waiting", sa_type=ID)
    subject_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    fee_journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    happened_at: datetime = instant()  # by the provider's clock
    available_at: datetime = instant()
    stored_at: datetime = instant()


class BankStatement(Table, table=True):
    """A file of a bank that was read: its lines are kept, once each, and not the file."""

    __tablename__ = "bank_statement"
    __table_args__ = (
        sa.UniqueConstraint("sha256"),
        sa.Index("ix_bank_statement_imported_at", "imported_at", "id"),
    )

    id: str = id_field()
    name: str  # of the file
    format: str = Field(sa_type=ID)
    sha256: bytes = Field(sa_type=BYTES)
    lines: int  # in the file
    new_lines: int  # that no earlier one had
    imported_by: str = Field(sa_type=ID)
    imported_at: datetime = instant()


class BankLine(Table, table=True):
    """One booking on an account of ours with a bank. `bank_ref` is the bank's name for it, or a hash of what it says.

    It is read again as a movement of that account, whose `provider_ref` is the line's id.
    """

    __tablename__ = "bank_line"
    __table_args__ = (
        sa.UniqueConstraint("provider_account_id", "bank_ref"),
        check("minor <> 0", "minor"),
        sa.Index("ix_bank_line_booked_on", "booked_on", "id"),
        sa.Index("ix_bank_line_statement_id", "statement_id", "id"),
    )

    id: str = id_field()
    statement_id: str = reference("bank_statement.id")
    provider_account_id: str = reference("provider_account.id")
    bank_ref: str = Field(sa_type=ID)
    booked_on: date
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    counterparty: str = personal(default="", sa_type=TEXT)
    remittance: str = personal(default="", sa_type=TEXT)
