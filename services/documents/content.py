"""What an invoice or a credit note says. It knows nothing of tables, languages' words, typefaces or file formats.

Each part refuses what it cannot say when it is made, so whatever holds one may print it. Amounts are Money of the
document's one currency, unit prices exact decimals in major units, rates fractions: 0.19 means 19 %.
services/documents/storage.py writes it as JSON and reads it again, through the same checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from models.money import Money, UnknownCurrency, currency
from services.documents.text import (
    LINE_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PARAGRAPH_CHARACTERS_MAX,
    DocumentRefused,
    require_plain,
)

LINES_MAX = 5_000
DETAILS_MAX = 20  # small lines under a line
NOTES_MAX = 10
ROWS_MAX = 50  # discounts of a line, taxes, allowances, references, amounts taken off
ADDRESS_LINES_MAX = 10
CODE_CHARACTERS_MAX = 100
QUANTITY_MAX = Decimal(10) ** 18
PLACES_MAX = 12
_COUNTRY = re.compile(r"[A-Z]{2}")
_UNIT = re.compile(r"[A-Z0-9]{1,3}")
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[^\s\"<>\\^`{|}]*)?")


class Kind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Locale(StrEnum):
    """The language of a document's words and the customs of its dates and numbers."""

    EN_US = "en-US"
    EN_GB = "en-GB"
    DE = "de-DE"
    FR = "fr-FR"
    JA = "ja-JP"
    AR = "ar"

    @property
    def language(self) -> str:
        return self.value[:2]


class TaxCategory(StrEnum):
    """Why a rate applies, by the codes of EN 16931 (UNTDID 5305)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    INTRA_COMMUNITY = "K"
    EXPORT = "G"
    OUT_OF_SCOPE = "O"


class PaymentMeans(StrEnum):
    TRANSFER = "transfer"
    CARD = "card"
    OTHER = "other"


def _texts(field: str, texts: Iterable[str], *, characters_max: int, most: int, breaks: bool = False) -> None:
    texts = tuple(texts)
    _count(field, texts, most)
    for text in texts:
        require_plain(text, field=field, characters_max=characters_max, breaks=breaks)


def _count(field: str, parts: Iterable[object], most: int) -> None:
    count = len(tuple(parts))
    if count > most:
        raise DocumentRefused(f"{count:,} are too many here; {most:,} is the most.", field=field)


def _required(field: str, text: str, characters_max: int = NAME_CHARACTERS_MAX) -> None:
    if not text.strip():
        raise DocumentRefused("This must be said on a document.", field=field, next_step="Fill it in.")
    require_plain(text, field=field, characters_max=characters_max)


def _exact(field: str, number: Decimal) -> None:
    if not number.is_finite() or abs(number) > QUANTITY_MAX:
        raise DocumentRefused(f"{number} is no number a document can show.", field=field)
    if -int(number.normalize().as_tuple().exponent) > PLACES_MAX:
        raise DocumentRefused(f"{number} has more than {PLACES_MAX} decimals.", field=field)


def _rate(rate: Decimal) -> None:
    if not rate.is_finite() or not 0 <= rate <= 1:
        raise DocumentRefused(f"A rate is a fraction from 0 to 1, not {rate}.", field="rate")


@dataclass(frozen=True, slots=True)
class Address:
    """`country` is the code of ISO 3166-1; empty parts are left out."""

    lines: tuple[str, ...] = ()
    city: str = ""
    postal_code: str = ""
    region: str = ""
    country: str = ""

    def __post_init__(self) -> None:
        _texts("address", self.lines, characters_max=LINE_CHARACTERS_MAX, most=ADDRESS_LINES_MAX)
        parts = (self.city, self.postal_code, self.region)
        _texts("address", parts, characters_max=NAME_CHARACTERS_MAX, most=len(parts))
        if self.country and not _COUNTRY.fullmatch(self.country):
            raise DocumentRefused(f"{self.country!r} is no code of a country.", field="country")


@dataclass(frozen=True, slots=True)
class Party:
    """Who sells or who buys. `tax_number` as it stands in the register, with its country's letters if it has some.
    `trading_name` is another one that it is known by."""

    name: str
    address: Address = Address()
    tax_number: str = ""
    registration_number: str = ""
    email: str = ""
    phone: str = ""
    trading_name: str = ""

    def __post_init__(self) -> None:
        _required("name", self.name)
        codes = (self.tax_number, self.registration_number, self.email, self.phone, self.trading_name)
        _texts("party", codes, characters_max=NAME_CHARACTERS_MAX, most=len(codes))


@dataclass(frozen=True, slots=True)
class Period:
    """Days of a service, both within it."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise DocumentRefused(f"A period ends on {self.last} and begins on {self.first}.", field="period")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A value with the words before it: an order's number, a contract."""

    label: str
    value: str

    def __post_init__(self) -> None:
        _required("label", self.label, CODE_CHARACTERS_MAX)
        _required("value", self.value)


@dataclass(frozen=True, slots=True)
class Discount:
    """What was taken off, as a positive amount."""

    label: str
    amount: Money

    def __post_init__(self) -> None:
        _required("label", self.label)


@dataclass(frozen=True, slots=True)
class Allowance:
    """A discount on the whole document, for the part of it that is taxed alike."""

    label: str
    amount: Money
    category: TaxCategory
    rate: Decimal

    def __post_init__(self) -> None:
        _required("label", self.label)
        _rate(self.rate)


@dataclass(frozen=True, slots=True)
class Line:
    """`net` is after `discounts` and without tax. Without a `unit_price` (tiers) the details say how it came about.

    `unit` is the code of UN/ECE recommendation 20 ("C62" is one, "HUR" an hour), `unit_label` what people read.
    """

    description: str
    quantity: Decimal
    net: Money
    category: TaxCategory
    rate: Decimal
    unit_price: Decimal | None = None
    unit: str = "C62"
    unit_label: str = ""
    details: tuple[str, ...] = ()
    period: Period | None = None
    discounts: tuple[Discount, ...] = ()

    def __post_init__(self) -> None:
        _required("description", self.description, LINE_CHARACTERS_MAX)
        require_plain(self.unit_label, field="unit_label", characters_max=CODE_CHARACTERS_MAX)
        _texts("details", self.details, characters_max=LINE_CHARACTERS_MAX, most=DETAILS_MAX)
        _count("discounts", self.discounts, ROWS_MAX)
        _exact("quantity", self.quantity)
        if self.unit_price is not None:
            _exact("unit_price", self.unit_price)
        _rate(self.rate)
        if not _UNIT.fullmatch(self.unit):
            raise DocumentRefused(f"{self.unit!r} is no code of a unit.", field="unit")


@dataclass(frozen=True, slots=True)
class Tax:
    """One row of the tax summary. `label` names the tax ("VAT"); `reason` says why there is none, where one must."""

    label: str
    category: TaxCategory
    rate: Decimal
    base: Money
    tax: Money
    reason: str = ""

    def __post_init__(self) -> None:
        _required("label", self.label, CODE_CHARACTERS_MAX)
        require_plain(self.reason, field="reason", characters_max=LINE_CHARACTERS_MAX)
        _rate(self.rate)
        if self.category is not TaxCategory.STANDARD and (self.rate or self.tax.minor):
            raise DocumentRefused(f"Tax of the category {self.category.name} has a rate.", field="rate")
        if self.category is TaxCategory.EXEMPT and not self.reason:
            raise DocumentRefused("An exemption needs its reason.", field="reason")


@dataclass(frozen=True, slots=True)
class Totals:
    """`net` is lines less allowances, `total` net and tax, `due` total less what was applied."""

    lines: Money
    net: Money
    tax: Money
    total: Money
    due: Money


@dataclass(frozen=True, slots=True)
class Payment:
    """How to pay. A transfer names an account; `link` is a page over https."""

    means: PaymentMeans
    account: str = ""
    account_name: str = ""
    bank_code: str = ""
    reference: str = ""
    link: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        codes = (self.account, self.account_name, self.bank_code, self.reference)
        _texts("payment", codes, characters_max=NAME_CHARACTERS_MAX, most=len(codes))
        require_plain(self.text, field="payment", characters_max=PARAGRAPH_CHARACTERS_MAX, breaks=True)
        if self.means is PaymentMeans.TRANSFER and not self.account:
            raise DocumentRefused("A transfer needs an account to go to.", field="account")
        if self.link and (len(self.link) > LINE_CHARACTERS_MAX or not _ADDRESS.fullmatch(self.link)):
            raise DocumentRefused(
                "This is no address of a page over https.", field="link", next_step="Begin it with https://."
            )


@dataclass(frozen=True, slots=True)
class Credited:
    """The invoice that a credit note corrects."""

    number: str
    issued_on: date

    def __post_init__(self) -> None:
        _required("number", self.number, CODE_CHARACTERS_MAX)


@dataclass(frozen=True, slots=True)
class Content:
    """One document. `applied` is what was taken off the total (payments, credits), as positive amounts.

    The amounts of a credit note are positive, too: they are what is given back.
    """

    kind: Kind
    locale: Locale
    number: str
    currency: str
    issued_on: date
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    totals: Totals
    taxes: tuple[Tax, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    applied: tuple[Discount, ...] = ()
    due_on: date | None = None
    period: Period | None = None
    credited: Credited | None = None
    order_number: str = ""
    references: tuple[Labelled, ...] = ()
    payments: tuple[Payment, ...] = ()
    notes: tuple[str, ...] = ()
    legal_text: str = ""

    def __post_init__(self) -> None:
        _required("number", self.number, CODE_CHARACTERS_MAX)
        require_plain(self.order_number, field="order_number", characters_max=CODE_CHARACTERS_MAX)
        _texts("notes", self.notes, characters_max=PARAGRAPH_CHARACTERS_MAX, most=NOTES_MAX, breaks=True)
        require_plain(
            self.legal_text, field="legal_text", characters_max=PARAGRAPH_CHARACTERS_MAX, breaks=True
        )
        for field in ("taxes", "allowances", "applied", "references", "payments"):
            _count(field, getattr(self, field), ROWS_MAX)
        _count("lines", self.lines, LINES_MAX)
        if not self.lines:
            raise DocumentRefused("A document has one line at least.", field="lines")
        if (self.kind is Kind.CREDIT_NOTE) != (self.credited is not None):
            raise DocumentRefused("A credit note, and nothing else, names what it credits.", field="credited")
        _require_known_currency(self.currency)
        _require_one_currency(self)
        _require_sums(self)


def _require_known_currency(code: str) -> None:
    try:
        currency(code)
    except UnknownCurrency as unknown:
        raise DocumentRefused(str(unknown), field="currency") from None


def _amounts(content: Content) -> Iterable[Money]:
    for line in content.lines:
        yield line.net
        yield from (discount.amount for discount in line.discounts)
    for tax in content.taxes:
        yield from (tax.base, tax.tax)
    yield from (part.amount for part in (*content.allowances, *content.applied))
    totals = content.totals
    yield from (totals.lines, totals.net, totals.tax, totals.total, totals.due)


def _require_one_currency(content: Content) -> None:
    for amount in _amounts(content):
        if amount.currency != content.currency:
            raise DocumentRefused(
                f"{amount.said()} stands on a document in {content.currency}.", field="currency"
            )


def _require_sums(content: Content) -> None:
    totals, nothing = content.totals, Money(0, content.currency)
    sums = {
        "lines": (sum((line.net for line in content.lines), nothing), totals.lines),
        "net": (totals.lines - sum((part.amount for part in content.allowances), nothing), totals.net),
        "tax": (sum((tax.tax for tax in content.taxes), nothing), totals.tax),
        "total": (totals.net + totals.tax, totals.total),
        "due": (totals.total - sum((part.amount for part in content.applied), nothing), totals.due),
    }
    for field, (expected, said) in sums.items():
        if expected != said:
            raise DocumentRefused(
                f"The total {field!r} says {said.said()}; its parts make {expected.said()}.",
                field=f"totals.{field}",
            )
