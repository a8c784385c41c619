"""Invoices and credit notes as documents: who issues them, how they are numbered, and what stands on them.

A document is worked on while it is a draft and never changed after that; docs/decisions/0025-invoices.md says how
that is held. Amounts are integer minor units of the document's currency.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import Table, id_field, instant, personal, reference
from models.types import AMOUNT, BIG, ID, QUANTITY, TEXT

DAY: Any = sa.Date()
_JSON_OR_NULL: Any = JSONB(none_as_null=True)
_DRAFT = sa.text("state = 'draft'")
_UNPAID = sa.text("state = 'finalized' and due_minor > 0")


class InvoiceState(StrEnum):
    DRAFT = "draft"
    FINALIZED = "finalized"  # numbered, and open while something is due
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class LineOrigin(StrEnum):
    """Where a line comes from, which says how it is explained."""

    MANUAL = "manual"
    ONE_OFF = "one_off"
    USAGE = "usage"
    SUBSCRIPTION = "subscription"


class ZeroDocuments(StrEnum):
    """What becomes of a draft that asks for nothing."""

    ISSUE = "issue"
    DROP = "drop"  # it ends without a number


def _json() -> Any:
    return Field(sa_type=JSONB, nullable=False)


def _json_or_null() -> Any:
    return Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)


class LegalEntity(Table, table=True):
    """Who issues documents. What it says is copied to each of them, so that it can change without changing them."""

    __tablename__ = "legal_entity"
    __table_args__ = (
        sa.UniqueConstraint("code"),
        sa.CheckConstraint("tax_rounding in ('line','document')", name="tax_rounding"),
        sa.CheckConstraint("zero_documents in ('issue','drop')", name="zero_documents"),
        sa.CheckConstraint("invoice_reset in ('never','yearly','monthly')", name="invoice_reset"),
        sa.CheckConstraint("note_reset in ('never','yearly','monthly')", name="note_reset"),
        sa.CheckConstraint("grace_hours between 0 and 720", name="grace_hours"),
        sa.CheckConstraint("payment_days between 0 and 365", name="payment_days"),
        # The one that bills whom nobody gave another: one for real organisations, one for those on a test clock.
        sa.Index("uq_legal_entity_usual", "is_test", unique=True, postgresql_where=sa.text("is_usual")),
    )

    id: str = id_field()
    code: str = Field(sa_type=ID)  # {entity} of its number patterns
    name: str
    address: str = Field(sa_type=TEXT)
    country: str
    tax_ids: list[dict[str, Any]] = _json()
    registrations: list[str] = _json()  # jurisdictions whose tax it charges
    reverse_charge_in: list[str] = _json()  # where buyers with a checked number owe the tax themselves
    trusts_unanswered: bool  # also with a number whose register does not answer
    timezone: str
    currency: str
    invoice_pattern: str
    invoice_reset: str
    note_pattern: str
    note_reset: str
    tax_rounding: str
    zero_documents: str
    grace_hours: int  # a draft waits that long for late usage
    payment_days: int
    is_test: bool
    is_usual: bool
    created_at: datetime = instant()
    version: int = 1


class NumberSeries(Table, table=True):
    """The last number that was drawn of a counter. The row is locked from the draw to the commit."""

    __tablename__ = "number_series"
    __table_args__ = (sa.CheckConstraint("last > 0", name="last"),)

    legal_entity_id: str = Field(sa_type=ID, foreign_key="legal_entity.id", primary_key=True)
    series: str = Field(sa_type=ID, primary_key=True)
    brand: str = Field(sa_type=ID, primary_key=True)
    period: str = Field(sa_type=ID, primary_key=True)
    last: int = Field(sa_type=BIG)


class TaxRate(Table, table=True):
    """A rate of a tax in a jurisdiction on [valid_from, valid_until). Never edited; two of one tax never overlap
    (an exclusion constraint holds it)."""

    __tablename__ = "tax_rate"
    __table_args__ = (
        sa.CheckConstraint("rate >= 0 and rate <= 1", name="rate"),
        sa.CheckConstraint("valid_until is null or valid_until > valid_from", name="validity"),
        sa.Index("ix_tax_rate_jurisdiction", "jurisdiction", "name", "valid_from"),
    )

    id: str = id_field()
    jurisdiction: str = Field(sa_type=ID)
    name: str = Field(sa_type=ID)
    rate: Decimal = Field(sa_type=AMOUNT)
    source: str
    edition: str
    valid_from: date = Field(sa_type=DAY)
    valid_until: date | None = Field(default=None, sa_type=DAY, nullable=True)
    created_at: datetime = instant()


class BillingProfile(Table, table=True):
    """To whom an organisation's documents are addressed, and by whom they are issued if not by the usual entity."""

    __tablename__ = "billing_profile"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.ForeignKeyConstraint(["legal_entity_id", "brand_id"], ["brand.legal_entity_id", "brand.id"]),
        sa.CheckConstraint("brand_id is null or legal_entity_id is not null", name="brand_id"),
        sa.Index(
            "ix_billing_profile_number_check",
            "number_check_at",
            postgresql_where=sa.text("number_check_at is not null"),
        ),
    )

    organization_id: str = Field(sa_type=ID, foreign_key="organization.id", primary_key=True)
    legal_entity_id: str | None = reference("legal_entity.id", nullable=True)
    brand_id: str | None = Field(
        default=None, sa_type=ID, nullable=True
    )  # of that entity; its default one: null
    name: str = personal()
    address: str = personal(sa_type=TEXT)
    country: str
    language: str
    tax_number: dict[str, Any] | None = _json_or_null()  # with who found it valid, when, by what reference
    number_check_at: datetime | None = instant(
        nullable=True
    )  # when its register is asked; nothing to ask: null
    number_check_tries: int = 0  # in a row that the register did not answer
    exemption: dict[str, Any] | None = _json_or_null()
    updated_at: datetime = instant()
    version: int = 1


class Invoice(Table, table=True):
    """A document, and what of it is paid. The first block of amounts is fixed by finalising:

    net + tax = total. due = total - offset - paid - written_off while it is not void; a total below zero is owed to
    the customer and nothing is due. `credited_minor` is what credit notes took back, `offset_minor` what of that came
    off the debt; the rest became a credit of the customer.
    """

    __tablename__ = "invoice"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        sa.UniqueConstraint("legal_entity_id", "number"),
        sa.UniqueConstraint(
            "legal_entity_id", "series_brand", "series_period", "sequence", name="uq_invoice_counter"
        ),
        sa.ForeignKeyConstraint(["legal_entity_id", "brand_id"], ["brand.legal_entity_id", "brand.id"]),
        sa.CheckConstraint("state in ('draft','finalized','paid','void','uncollectible')", name="state"),
        sa.CheckConstraint("net_minor + tax_minor = total_minor", name="total"),
        sa.CheckConstraint(
            "credited_minor between 0 and greatest(total_minor, 0) and offset_minor between 0 and credited_minor",
            name="credited",
        ),
        sa.CheckConstraint(
            "due_minor >= 0 and paid_minor >= 0 and written_off_minor >= 0 and due_minor = case"
            " when state in ('draft', 'void') then 0"
            " else greatest(total_minor, 0) - offset_minor - paid_minor - written_off_minor end",
            name="due",
        ),
        sa.CheckConstraint("state not in ('paid', 'uncollectible') or due_minor = 0", name="settled"),
        sa.CheckConstraint("written_off_minor = 0 or state in ('uncollectible', 'paid')", name="written_off"),
        sa.CheckConstraint(
            "(number is not null) = (finalized_at is not null) and (number is not null) = (sequence is not null)"
            " and (state not in ('finalized', 'paid', 'uncollectible') or number is not null)"
            " and (state <> 'draft' or number is null)",
            name="number",
        ),
        # The first page of an organisation's documents; in work across tenants that of all.
        sa.Index("ix_invoice_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_invoice_created_at", "created_at", "id"),
        sa.Index("ix_invoice_subscription_id", "subscription_id", "created_at", "id"),
        # The one that gathers lines of a subscription.
        sa.Index("uq_invoice_subscription_draft", "subscription_id", unique=True, postgresql_where=_DRAFT),
        # What is overdue, of one organisation and of all.
        sa.Index(
            "ix_invoice_unpaid",
            "due_date",
            "organization_id",
            postgresql_where=_UNPAID,
            postgresql_concurrently=True,
        ),
        # Documents are wide: those of a rare state or currency are not looked for among all.
        sa.Index("ix_invoice_state", "state", "currency", postgresql_concurrently=True),
        sa.Index("ix_invoice_brand_id", "brand_id", "created_at", "id", postgresql_concurrently=True),
        sa.Index(
            "ix_invoice_open",
            "organization_id",
            "currency",
            postgresql_where=sa.text("state = 'finalized'"),
            postgresql_include=["due_minor"],
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    legal_entity_id: str = reference("legal_entity.id")
    brand_id: str = Field(sa_type=ID)
    key: str = Field(sa_type=ID)  # the same act makes the same draft, however often it is tried
    subscription_id: str | None = reference("subscription.id", nullable=True)
    state: str = Field(default=InvoiceState.DRAFT.value, sa_type=ID)
    currency: str = Field(sa_type=ID)
    memo: str = Field(default="", sa_type=TEXT)
    lines: int = 0
    next_position: int = 1
    number: str | None = Field(default=None, sa_type=ID, nullable=True)
    series_brand: str | None = Field(default=None, sa_type=ID, nullable=True)
    series_period: str | None = Field(default=None, sa_type=ID, nullable=True)
    sequence: int | None = Field(default=None, sa_type=BIG, nullable=True)
    label_date: date | None = Field(default=None, sa_type=DAY, nullable=True)
    due_date: date | None = Field(default=None, sa_type=DAY, nullable=True)
    charged_minor: int = Field(default=0, sa_type=BIG)
    discount_minor: int = Field(default=0, sa_type=BIG)
    net_minor: int = Field(default=0, sa_type=BIG)
    tax_minor: int = Field(default=0, sa_type=BIG)
    total_minor: int = Field(default=0, sa_type=BIG)
    seller: dict[str, Any] | None = _json_or_null()
    buyer: dict[str, Any] | None = _json_or_null()
    policy: dict[str, Any] | None = _json_or_null()  # rules that shaped it, so that it can be computed again
    coupons: list[dict[str, Any]] | None = _json_or_null()
    taxes: list[dict[str, Any]] | None = _json_or_null()
    journal_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    credited_minor: int = Field(default=0, sa_type=BIG)
    offset_minor: int = Field(default=0, sa_type=BIG)
    paid_minor: int = Field(default=0, sa_type=BIG)
    written_off_minor: int = Field(default=0, sa_type=BIG)
    due_minor: int = Field(default=0, sa_type=BIG)
    created_at: datetime = instant()
    collect_until: datetime = instant()  # until then a draft waits for late usage
    finalized_at: datetime | None = instant(nullable=True)
    paid_at: datetime | None = instant(nullable=True)
    reopened_at: datetime | None = instant(nullable=True)  # money that had paid it was taken back
    voided_at: datetime | None = instant(nullable=True)
    uncollectible_at: datetime | None = instant(nullable=True)


class InvoiceLine(Table, table=True):
    """One line. Its amounts after `amount_minor` are fixed by finalising, and nothing of it changes after that.

    `facts` give the amount again, `tax` the tax; see services/billing/explaining.py.
    """

    __tablename__ = "invoice_line"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("invoice_id", "key"),
        sa.UniqueConstraint("invoice_id", "position"),
        sa.CheckConstraint("origin in ('manual','one_off','usage','subscription')", name="origin"),
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name="gross"),
        sa.CheckConstraint(
            "(period_start is null) = (period_end is null) and (period_end is null or period_end > period_start)",
            name="period",
        ),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    invoice_id: str = reference("invoice.id")
    key: str = Field(sa_type=ID)
    position: int
    origin: str
    description: str = Field(sa_type=TEXT)
    quantity: Decimal = Field(sa_type=QUANTITY)
    amount_minor: int = Field(sa_type=BIG)
    billed_before_minor: int = Field(default=0, sa_type=BIG)
    inclusive: bool = False
    discountable: bool = True
    metric: str | None = Field(default=None, sa_type=ID, nullable=True)
    plan: str | None = Field(default=None, sa_type=ID, nullable=True)
    tax_code: str = Field(default="", sa_type=ID)
    given_tax_minor: int | None = Field(default=None, sa_type=BIG, nullable=True)
    treatment: dict[str, Any] | None = _json_or_null()  # given with a line whose tax was decided before
    period_start: datetime | None = instant(nullable=True)
    period_end: datetime | None = instant(nullable=True)
    facts: dict[str, Any] = _json()
    discount_minor: int = Field(default=0, sa_type=BIG)
    net_minor: int = Field(default=0, sa_type=BIG)
    tax_minor: int = Field(default=0, sa_type=BIG)
    gross_minor: int = Field(default=0, sa_type=BIG)
    tax: dict[str, Any] | None = _json_or_null()
    created_at: datetime = instant()


class CreditNote(Table, table=True):
    """Takes back a part of an invoice. It is issued whole, with its number, and never changed."""

    __tablename__ = "credit_note"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "key"),
        sa.UniqueConstraint("legal_entity_id", "number"),
        sa.UniqueConstraint(
            "legal_entity_id", "series_brand", "series_period", "sequence", name="uq_credit_note_counter"
        ),
        sa.CheckConstraint("net_minor + tax_minor = total_minor and total_minor > 0", name="total"),
        sa.CheckConstraint("offset_minor between 0 and total_minor", name="offset_minor"),
        sa.Index("ix_credit_note_invoice_id", "invoice_id", "id"),
        sa.Index("ix_credit_note_organization_id", "organization_id", "created_at", "id"),
        sa.Index("ix_credit_note_created_at", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    legal_entity_id: str = reference("legal_entity.id")
    invoice_id: str = reference("invoice.id")
    key: str = Field(sa_type=ID)
    asked: dict[str, Any] = _json()  # tried again with anything else, the key is refused
    number: str = Field(sa_type=ID)
    series_brand: str = Field(sa_type=ID)
    series_period: str = Field(sa_type=ID)
    sequence: int = Field(sa_type=BIG)
    label_date: date = Field(sa_type=DAY)
    currency: str = Field(sa_type=ID)
    reason: str = Field(sa_type=TEXT)
    net_minor: int = Field(sa_type=BIG)
    tax_minor: int = Field(sa_type=BIG)
    total_minor: int = Field(sa_type=BIG)
    offset_minor: int = Field(sa_type=BIG)  # came off what was due; the rest is a credit of the customer
    journal_id: str = Field(sa_type=ID)
    created_at: datetime = instant()


class CreditNoteLine(Table, table=True):
    """What a note takes back of one line; `tax_parts` are minor units by rate, in the order of the line's rates."""

    __tablename__ = "credit_note_line"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("credit_note_id", "invoice_line_id"),
        sa.Index("ix_credit_note_line_invoice_line_id", "invoice_line_id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    credit_note_id: str = reference("credit_note.id")
    # Checked at commit: whether a line may go is decided by its invoice first.
    invoice_line_id: str = Field(
        sa_column=sa.Column(
            ID, sa.ForeignKey("invoice_line.id", deferrable=True, initially="DEFERRED"), nullable=False
        )
    )
    net_minor: int = Field(sa_type=BIG)
    tax_minor: int = Field(sa_type=BIG)
    tax_parts: list[int] = _json()
