"""Names of identifiers and the columns they live in.

An identifier is a TypeID: a prefix that says what it names, an underscore, and a time-ordered UUID in
base 32 (`inv_01k...`). It never orders events; see docs/decisions/0003-event-log.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

# What each prefix names. A prefix is never reused for something else.
PREFIXES: dict[str, str] = {
    "acc": "account",
    "apikey": "API key",
    "brnd": "brand",
    "brun": "billing run",
    "bud": "budget",
    "bln": "line of a bank statement",
    "bst": "bank statement",
    "clk": "test clock",
    "dcas": "case of dunning",
    "dcmp": "dunning campaign",
    "dhld": "hold of dunning",
    "crat": "rate of an asset on a chain",
    "crd": "customer credit",
    "crn": "credit note",
    "crnl": "credit note line",
    "cst": "contest of an invoice",
    "cruse": "use of a credit",
    "dsp": "dispute of a payment",
    "ent": "legal entity",
    "cpn": "coupon",
    "ctrf": "transfer on a chain",
    "cmov": "movement on a chain",
    "file": "file",
    "inv": "invoice",
    "invite": "invitation",
    "invl": "invoice line",
    "jrnl": "ledger journal",
    "lacc": "ledger account",
    "lot": "lot of a wallet",
    "mail": "mail",
    "mem": "membership",
    "model": "AI model",
    "mtr": "meter",
    "mvt": "movement at a payment provider",
    "note": "notification",
    "org": "organisation",
    "pchg": "charge of a plan",
    "pacc": "account with a payment provider",
    "pay": "payment",
    "paym": "payment method",
    "pcas": "payment case",
    "pset": "payment method to be kept",
    "pevt": "event of a payment provider",
    "plan": "plan",
    "plnk": "payment link",
    "ppo": "payout of a payment provider",
    "pmig": "migration of a plan version",
    "pmov": "move of one subscription by a migration",
    "plnv": "version of a plan",
    "proj": "project",
    "prc": "price",
    "prod": "product",
    "rcv": "recovery code",
    "rdm": "redemption of a coupon",
    "req": "gateway request",
    "rfnd": "refund",
    "ses": "session",
    "sgn": "sign-in",
    "sopn": "opening of a secret",
    "sub": "subscription",
    "svc": "service account",
    "task": "task",
    "txr": "tax rate",
    "tok": "mail token",
    "trms": "version of the terms",
    "tacc": "acceptance of terms",
    "tplv": "version of a template",
    "uper": "period of usage",
    "ups": "upstream",
    "wal": "wallet",
    "wdeb": "debit of a wallet",
    "wtop": "top-up of a wallet",
}

# SQLModel's `sa_type` is annotated as a class although instances are accepted, hence Any.
ID: Any = sa.Text(collation="C")
TEXT: Any = sa.Text()
UTC: Any = sa.DateTime(timezone=True)
AMOUNT: Any = sa.Numeric(30, 12)
QUANTITY: Any = sa.Numeric(38, 12)
BIG: Any = sa.BigInteger()
BYTES: Any = sa.LargeBinary()


class OrganizationKind(StrEnum):
    CLIENT = "client"
    PARTNER = "partner"
    DEVELOPER = "developer"
    OPERATOR = "operator"


class BillingMode(StrEnum):
    """Who carries the risk: postpaid callers keep working while the database is away, prepaid ones stop."""

    POSTPAID = "postpaid"
    PREPAID = "prepaid"


class BillingInterval(StrEnum):
    """What a billing period is counted in. A quarter is three months, a half-year six, a year twelve."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


class ProrationPolicy(StrEnum):
    """The unit in which parts of a billing period are measured. See services/billing/proration.py."""

    SECOND = "second"
    MINUTE = "minute"
    DAY = "day"  # local days
    FIXED_30 = "fixed_30"  # each month has 30 days


class ProrationBehaviour(StrEnum):
    """When a change counts and when it is billed. See services/billing/changes.py."""

    INVOICE_NOW = "invoice_now"
    NEXT_INVOICE = "next_invoice"
    NEXT_PERIOD = "next_period"
    RESET_CYCLE = "reset_cycle"
    NONE = "none"


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPPORT = "support"
    GOVERNANCE = "governance"


class Aggregation(StrEnum):
    COUNT = "count"
    SUM = "sum"
    MAX = "max"
    UNIQUE = "unique"
    LATEST = "latest"
    AVERAGE = "average"
    WEIGHTED_SUM = "weighted_sum"
