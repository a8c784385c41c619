"""What a document needs before a machine may read it by EN 16931, and how its parts are named there.

Both syntaxes, CII (services/documents/cii.py) and UBL (ubl.py), are written from these values alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from models.money import EXACT, Money, currency
from services.documents.content import Address, Content, Kind, Line, Party, Payment, PaymentMeans, TaxCategory
from services.documents.words import WORDS

SPECIFICATION = "urn:cen.eu:en16931:2017"
DECIMALS_MAX = 2  # of any amount in EN 16931
TYPE_CODES = {Kind.INVOICE: "380", Kind.CREDIT_NOTE: "381"}  # UNTDID 1001
VAT, OTHER_REGISTRATION = "VA", "FC"  # how CII calls them
_MEANS = {PaymentMeans.TRANSFER: "30", PaymentMeans.CARD: "48", PaymentMeans.OTHER: "1"}  # UNTDID 4461
_SEPA = "58"
_IBAN_CHARACTERS_MIN = 15
_GREECE = {"GR": "EL"}
ADDRESS_LINES_MAX = 3
TAX_APART_MAX = (
    1  # how far, in major units, a tax may be from its base times its rate; rounding by line adds up
)
_EXEMPTION_CODES = {
    TaxCategory.REVERSE_CHARGE: "VATEX-EU-AE",
    TaxCategory.INTRA_COMMUNITY: "VATEX-EU-IC",
    TaxCategory.EXPORT: "VATEX-EU-G",
    TaxCategory.OUT_OF_SCOPE: "VATEX-EU-O",
}


def missing(content: Content) -> tuple[str, ...]:
    """Why the document cannot be written by EN 16931, as sentences for staff; empty when it can."""
    found: list[str] = []
    if currency(content.currency).exponent > DECIMALS_MAX:
        found.append(
            f"EN 16931 knows amounts of {DECIMALS_MAX} decimals at most, and {content.currency} has more."
        )
    for who, party in (("seller", content.seller), ("buyer", content.buyer)):
        if not party.address.country:
            found.append(f"The {who}'s address names no country.")
    found += _missing_numbers(content)
    if content.totals.due.minor > 0 and content.due_on is None:
        found.append("It names no day on which it is due.")
    if not content.taxes:
        found.append("It says nothing of tax.")
    elif not _bases_add_up(content):
        found.append("Its taxes are not one per category and rate of its lines.")
    found += [
        f"Its tax of {tax.tax.said()} is too far from {percent(tax.rate)} % of {tax.base.said()}."
        for tax in content.taxes
        if abs(abs(tax.tax.amount) - abs(tax.base.times(tax.rate).amount)) >= TAX_APART_MAX
    ]
    return tuple(found)


def _missing_numbers(content: Content) -> list[str]:
    categories = {tax.category for tax in content.taxes}
    found: list[str] = []
    if categories - {TaxCategory.OUT_OF_SCOPE} and not content.seller.tax_number:
        found.append("The seller has no tax number.")
    is_out = TaxCategory.OUT_OF_SCOPE in categories
    if not content.seller.registration_number and (is_out or registration(content.seller) != VAT):
        found.append("The seller is named by no VAT number and no registration number.")
    if any(tax.category is TaxCategory.STANDARD and not tax.rate for tax in content.taxes):
        found.append("A standard rate of zero is none: name its category.")
    across = categories & {TaxCategory.REVERSE_CHARGE, TaxCategory.INTRA_COMMUNITY, TaxCategory.EXPORT}
    if across and registration(content.seller) != VAT:
        found.append("The seller's VAT number does not begin with its country's letters.")
    if TaxCategory.INTRA_COMMUNITY in categories and registration(content.buyer) != VAT:
        found.append("The buyer has no VAT number of another member state.")
    if TaxCategory.INTRA_COMMUNITY in categories and content.period is None:
        found.append("A supply to another member state names its period.")
    if TaxCategory.REVERSE_CHARGE in categories and not (
        registration(content.buyer) == VAT or content.buyer.registration_number
    ):
        found.append("The buyer has no VAT number, which a reverse charge needs.")
    if is_out and len(categories) > 1:
        found.append("What is out of scope of tax stands on a document of its own.")
    return found


def _bases_add_up(content: Content) -> bool:
    expected: dict[tuple[TaxCategory, Decimal], Money] = defaultdict(lambda: Money(0, content.currency))
    for line in content.lines:
        expected[line.category, line.rate] += line.net
    for part in content.allowances:
        expected[part.category, part.rate] -= part.amount
    said = {(tax.category, tax.rate): tax.base for tax in content.taxes}
    return len(said) == len(content.taxes) and said == dict(expected)


def registration(party: Party) -> str:
    """Whether its tax number is one of VAT or another one; empty without a number."""
    if not party.tax_number:
        return ""
    prefix = _GREECE.get(party.address.country, party.address.country)
    return VAT if prefix and party.tax_number.startswith(prefix) else OTHER_REGISTRATION


def shows_tax_number(content: Content, party: Party) -> bool:
    """A document out of scope of tax must not name a VAT number (BR-O-02)."""
    is_out = any(tax.category is TaxCategory.OUT_OF_SCOPE for tax in content.taxes)
    return bool(party.tax_number) and not is_out


def address_lines(address: Address) -> list[str]:
    """The three that there are places for; the last holds what is left of a longer address."""
    lines = [*address.lines, "", "", ""]
    last = ", ".join(filter(None, lines[ADDRESS_LINES_MAX - 1 :]))
    return [*lines[: ADDRESS_LINES_MAX - 1], last]


def percent(rate: Decimal) -> str:
    return f"{rate.scaleb(2, context=EXACT).normalize():f}"


def decimal(number: Decimal) -> str:
    return f"{number.normalize():f}"


@dataclass(frozen=True, slots=True)
class Price:
    """Never negative: what is given back has a negative quantity instead (BR-27). `per` units cost `amount`."""

    amount: str
    per: str
    quantity: str


def price(line: Line) -> Price:
    gross = line.net.amount + sum((discount.amount.amount for discount in line.discounts), Decimal(0))
    if line.unit_price is not None:
        sign = -1 if line.unit_price < 0 else 1
        return Price(decimal(abs(line.unit_price)), "1", decimal(sign * line.quantity))
    if not line.quantity:
        return Price(decimal(abs(gross)), "1", "0" if not gross else ("1" if gross > 0 else "-1"))
    quantity = abs(line.quantity)
    return Price(decimal(abs(gross)), decimal(quantity), decimal(quantity if gross >= 0 else -quantity))


def means_code(payment: Payment) -> str:
    return (
        _SEPA
        if is_iban(payment.account) and payment.means is PaymentMeans.TRANSFER
        else _MEANS[payment.means]
    )


def payments(content: Content) -> list[Payment]:
    """Those of the first one's means: EN 16931 knows one means a document (CII-SR-467)."""
    return [one for one in content.payments if means_code(one) == means_code(content.payments[0])]


def is_iban(account: str) -> bool:
    compact = account.replace(" ", "")
    return len(compact) >= _IBAN_CHARACTERS_MIN and compact[:2].isalpha() and compact[2:4].isdigit()


def exemption(content: Content, category: TaxCategory, reason: str) -> tuple[str, str]:
    """Words and code that say why no tax is due; both empty where it is, or where it is at a rate of zero."""
    if category in {TaxCategory.STANDARD, TaxCategory.ZERO}:
        return "", ""
    words = WORDS[content.locale.language]
    return reason or words.no_tax(category), _EXEMPTION_CODES.get(category, "")


def prepaid(content: Content) -> Money:
    return sum((part.amount for part in content.applied), Money(0, content.currency))


def remarks(content: Content) -> list[str]:
    return [*content.notes, *filter(None, (content.legal_text,))]
