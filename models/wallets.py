"""Wallets: what is paid ahead of use, in lots that are burnt one after the other, and what each debit took of which.

The sums of a wallet and of a lot are kept by the database itself, from the rows that are written once; see
docs/decisions/0027-wallets.md.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import AMOUNT, BIG, ID, TEXT


class LotSource(StrEnum):
    """Where the money of a lot came from."""

    PURCHASE = "purchase"  # paid by the customer
    PROMOTION = "promotion"  # given away to win or keep a customer
    GRANT = "grant"  # given away for another reason
    REFUND = "refund"  # came back, as from an invoice that was voided


class DebitKind(StrEnum):
    INVOICE = "invoice"
    USAGE = "usage"  # calls of the gateway, as they are settled
    # What a plan had included for time that is not paid for any more, and what a payment had put in that is given back
    TAKEN_BACK = "taken_back"


class TopUpState(StrEnum):
    DUE = "due"  # the balance fell below the threshold, and nobody has paid yet
    PAID = "paid"
    WITHDRAWN = "withdrawn"  # the rule was changed before anybody paid


class Wallet(Table, table=True):
    """The wallet of an organisation in a currency: inbound = outbound + left + breakage, at every moment.

    Usage costs less than a minor unit: `accrued` is what was used and is not debited yet, less than one minor unit
    after each settlement. `held` is what processes of the gateway may still spend, or have spent unsettled. Neither
    is ever more than what is left. `uncovered` is what nothing was left for, as after an upstream that answered at
    more length than it was asked for.
    """

    __tablename__ = "wallet"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "currency"),
        check("inbound_minor = outbound_minor + left_minor + breakage_minor", "balances"),
        check("left_minor >= 0 and outbound_minor >= 0 and breakage_minor >= 0", "not_negative"),
        check("accrued >= 0 and held >= 0 and (accrued + held) * minor_per_major <= left_minor", "covered"),
        check("minor_per_major in (1, 10, 100, 1000, 10000)", "minor_per_major"),
        check("uncovered >= 0", "uncovered"),
        check(
            "(threshold_minor is null) = (refill_minor is null) and (threshold_minor is null) = (ceiling_minor is null)"
            " and threshold_minor >= 0 and refill_minor > 0 and ceiling_minor >= refill_minor",
            "top_up_rule",
        ),
        sa.Index("ix_wallet_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    currency: str = Field(sa_type=ID)
    minor_per_major: int  # 100 cents are one euro
    inbound_minor: int = Field(default=0, sa_type=BIG)
    outbound_minor: int = Field(default=0, sa_type=BIG)
    breakage_minor: int = Field(default=0, sa_type=BIG)
    left_minor: int = Field(default=0, sa_type=BIG)
    accrued: Decimal = Field(default=Decimal(0), sa_type=AMOUNT)  # exact, in major units, as all three
    held: Decimal = Field(default=Decimal(0), sa_type=AMOUNT)
    uncovered: Decimal = Field(default=Decimal(0), sa_type=AMOUNT)
    threshold_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    refill_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    ceiling_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)  # of a calendar month
    created_at: datetime = instant()
    version: int = 1  # of the rule, which people edit


class WalletLot(Table, table=True):
    """What came in at once. Lower priorities are burnt first, then what expires first, then what is older.

    Never changed but for what was taken of it: minor = used + expired + left.
    """

    __tablename__ = "wallet_lot"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("wallet_id", "key"),
        check("source in ('purchase','promotion','grant','refund')", "source"),
        check("priority between 0 and 100", "priority"),
        check("minor > 0 and minor = used_minor + expired_minor + left_minor", "balances"),
        check("used_minor >= 0 and expired_minor >= 0 and left_minor >= 0", "not_negative"),
        sa.Index(
            "ix_wallet_lot_left",
            "wallet_id",
            "priority",
            "expires_at",
            "created_at",
            "id",
            postgresql_where=sa.text("left_minor > 0"),
        ),
        sa.Index(
            "ix_wallet_lot_due",
            "expires_at",
            "id",
            postgresql_where=sa.text("left_minor > 0 and expires_at is not null"),
        ),
        sa.Index("ix_wallet_lot_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_wallet_lot_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    wallet_id: str = reference("wallet.id")
    key: str = Field(sa_type=ID)  # of the payment or the grant: the same one comes in once
    source: str = Field(sa_type=ID)
    priority: int
    minor: int = Field(sa_type=BIG)
    used_minor: int = Field(default=0, sa_type=BIG)
    expired_minor: int = Field(default=0, sa_type=BIG)
    left_minor: int = Field(sa_type=BIG)
    expires_at: datetime | None = instant(nullable=True)
    note: str = Field(default="", sa_type=TEXT)
    # pays for usage, and no invoice
    usage_only: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    journal_id: str = Field(sa_type=ID)
    refund_of: str | None = reference("wallet_debit.id", nullable=True, index=True)
    created_at: datetime = instant()  # business time


class WalletDebit(Table, table=True):
    """What was taken at once, for an invoice or for usage; its parts say of which lots. Given back at most once."""

    __tablename__ = "wallet_debit"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("kind in ('invoice','usage','taken_back')", "kind"),
        check("minor > 0", "minor"),
        check("(kind = 'usage') = (calls is not null)", "calls"),
        sa.Index("ix_wallet_debit_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_wallet_debit_created_at", "created_at", "id"),
        sa.Index("ix_wallet_debit_cause_id", "cause_id", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    wallet_id: str = reference("wallet.id", index=True)
    kind: str = Field(sa_type=ID)
    cause_id: str = Field(sa_type=ID)  # the invoice, or the last of the calls
    minor: int = Field(sa_type=BIG)
    calls: int | None = None  # how many were settled with it, and what these cost exactly
    cost: Decimal | None = Field(default=None, sa_type=AMOUNT, nullable=True)
    journal_id: str = Field(sa_type=ID)
    created_at: datetime = instant()  # business time
    given_back_at: datetime | None = instant(nullable=True)


class WalletDebitPart(Table, table=True):
    """What a debit took of a lot. Written once; the lot and its wallet follow by themselves."""

    __tablename__ = "wallet_debit_part"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("minor > 0", "minor"),
        sa.Index("ix_wallet_debit_part_lot_id", "lot_id", "debit_id"),
    )

    debit_id: str = Field(primary_key=True, sa_type=ID, foreign_key="wallet_debit.id")
    lot_id: str = Field(primary_key=True, sa_type=ID, foreign_key="wallet_lot.id")
    organization_id: str = reference("organization.id")
    minor: int = Field(sa_type=BIG)


class WalletTopUp(Table, table=True):
    """A top-up that a wallet's rule asks for. At most one of a wallet is due at a time."""

    __tablename__ = "wallet_top_up"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("state in ('due','paid','withdrawn')", "state"),
        check("minor > 0", "minor"),
        check("(state = 'paid') = (lot_id is not null)", "lot"),
        sa.Index("uq_wallet_top_up_due", "wallet_id", unique=True, postgresql_where=sa.text("state = 'due'")),
        sa.Index("ix_wallet_top_up_month", "wallet_id", "month"),
        sa.Index("ix_wallet_top_up_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_wallet_top_up_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    wallet_id: str = reference("wallet.id")
    minor: int = Field(sa_type=BIG)
    state: str = Field(sa_type=ID)
    month: date  # the first day of the month that it counts in, in the organisation's timezone
    lot_id: str | None = reference("wallet_lot.id", nullable=True)
    created_at: datetime = instant()


class WalletHold(Table, table=True):
    """What one process of the gateway may spend of a wallet: not yet used, in use, or used and not settled yet."""

    __tablename__ = "wallet_hold"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (check("amount >= 0", "amount"), sa.Index("ix_wallet_hold_changed_at", "changed_at"))

    wallet_id: str = Field(primary_key=True, sa_type=ID, foreign_key="wallet.id")
    holder: str = Field(primary_key=True, sa_type=ID)  # a process, from its start to its end
    organization_id: str = reference("organization.id")
    amount: Decimal = Field(sa_type=AMOUNT)  # in major units
    version: int = Field(default=1, sa_type=BIG)
    changed_at: datetime = instant()  # wall time
