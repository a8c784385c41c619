"""What a reader sees, as plain strings in reading order: the one source of the PDF and of the HTML view."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from services.documents import electronic
from services.documents.content import (
    Address,
    Content,
    Discount,
    Kind,
    Line,
    Party,
    Payment,
    Tax,
    TaxCategory,
)
from services.documents.formats import Formats
from services.documents.style import Field, Style
from services.documents.words import WORDS, Words


@dataclass(frozen=True, slots=True)
class Row:
    """A label and its value. `strong` rows stand out."""

    label: str
    value: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class PartyView:
    title: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineView:
    description: str
    details: tuple[str, ...]
    quantity: str
    unit_price: str
    rate: str
    amount: str


@dataclass(frozen=True, slots=True)
class PaymentView:
    rows: tuple[Row, ...]
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class View:
    title: str
    number: str
    language: str
    is_rtl: bool
    facts: tuple[Row, ...]
    parties: tuple[PartyView, ...]
    headline: str
    columns: tuple[str, ...]  # description, quantity, unit price, tax, amount
    shows_rates: bool
    lines: tuple[LineView, ...]
    totals: tuple[Row, ...]
    reasons: tuple[str, ...]
    payment_title: str
    payments: tuple[PaymentView, ...]
    pay_online: str
    notes_title: str
    notes: tuple[str, ...]
    legal_text: str
    seller: str
    page_of: str


def view(content: Content, style: Style) -> View:
    words, formats = WORDS[content.locale.language], Formats(content.locale)
    is_invoice = content.kind is Kind.INVOICE
    shows = style.shows
    return View(
        title=words.invoice if is_invoice else words.credit_note,
        number=content.number,
        language=content.locale.language,
        is_rtl=formats.is_rtl,
        facts=_facts(content, words, formats),
        parties=(
            _party(words.seller, content.seller, words, formats, style),
            _party(words.buyer, content.buyer, words, formats, style, is_buyer=True),
        ),
        headline=_headline(content, words, formats) if shows(Field.HEADLINE) else "",
        columns=(words.description, words.quantity, words.unit_price, words.tax_rate, words.amount),
        shows_rates=shows(Field.LINE_TAX),
        lines=tuple(_line(line, content.currency, words, formats, style) for line in content.lines),
        totals=_totals(content, words, formats),
        reasons=tuple(dict.fromkeys(filter(None, (_reason(tax, words, formats) for tax in content.taxes)))),
        payment_title=words.payment,
        payments=_payments(content, words, formats) if shows(Field.PAYMENT) else (),
        pay_online=words.pay_online,
        notes_title=words.notes,
        notes=tuple(map(formats.own, content.notes)) if shows(Field.NOTES) else (),
        legal_text=formats.own(content.legal_text),
        seller=content.seller.trading_name or content.seller.name,
        page_of=words.page,
    )


def _facts(content: Content, words: Words, formats: Formats) -> tuple[Row, ...]:
    is_invoice = content.kind is Kind.INVOICE
    rows = [
        Row(words.number if is_invoice else words.credit_note_number, formats.own(content.number)),
        Row(words.issued, formats.day(content.issued_on)),
    ]
    if content.due_on and is_invoice:
        rows.append(Row(words.due_on, formats.day(content.due_on)))
    if content.period:
        rows.append(Row(words.period, formats.days(content.period)))
    if content.credited:
        when = formats.day(content.credited.issued_on)
        named = words.credited_value.format(number=formats.own(content.credited.number), date=when)
        rows.append(Row(words.credited, named))
    if content.order_number:
        rows.append(Row(words.order, formats.own(content.order_number)))
    return (*rows, *(Row(formats.own(one.label), formats.own(one.value)) for one in content.references))


def _party(
    title: str, party: Party, words: Words, formats: Formats, style: Style, *, is_buyer: bool = False
) -> PartyView:
    lines = _address(party.address, formats)
    if party.tax_number:
        label = words.vat_number if electronic.registration(party) == electronic.VAT else words.tax_number
        lines.append(words.labelled.format(label=label, value=formats.own(party.tax_number)))
    if party.registration_number and (is_buyer or style.shows(Field.SELLER_REGISTRATION)):
        number = formats.own(party.registration_number)
        lines.append(words.labelled.format(label=words.registration, value=number))
    if style.shows(Field.BUYER_EMAIL if is_buyer else Field.SELLER_CONTACT):
        lines += (formats.own(one) for one in (party.email, party.phone) if one)
    return PartyView(title, formats.own(party.name), tuple(lines))


def _address(address: Address, formats: Formats) -> list[str]:
    """From the street to the country; in Japanese from the largest part to the smallest."""
    place = " ".join(filter(None, (address.postal_code, address.city)))
    if address.country in {"US", "CA", "AU"}:
        place = ", ".join(filter(None, (address.city, f"{address.region} {address.postal_code}".strip())))
    region = address.region if address.country not in {"US", "CA", "AU"} else ""
    country = formats.country(address.country) if address.country else ""
    if formats.is_largest_first and address.country == "JP":
        postal = f"〒{address.postal_code}" if address.postal_code else ""
        return [*filter(None, (postal, f"{address.region}{address.city}", *address.lines, country))]
    return [*map(formats.own, filter(None, (*address.lines, place, region))), *filter(None, (country,))]


def _headline(content: Content, words: Words, formats: Formats) -> str:
    due = content.totals.due
    if content.kind is Kind.CREDIT_NOTE:
        return words.credit_headline.format(amount=formats.coded(content.totals.total))
    if due.minor == 0:
        return words.paid_headline
    if due.minor < 0:
        return words.owed_headline.format(amount=formats.coded(-due))
    if content.due_on is None:
        return words.due_headline_undated.format(amount=formats.coded(due))
    return words.due_headline.format(amount=formats.coded(due), date=formats.day(content.due_on))


def _line(line: Line, code: str, words: Words, formats: Formats, style: Style) -> LineView:
    details: list[str] = []
    if line.period and style.shows(Field.LINE_PERIODS):
        details.append(formats.days(line.period))
    if style.shows(Field.LINE_DETAILS):
        details += map(formats.own, line.details)
    details += (_discount(discount, words, formats) for discount in line.discounts)
    quantity = formats.number(line.quantity)
    return LineView(
        description=formats.own(line.description),
        details=tuple(details),
        quantity=f"{quantity}\u00a0{formats.own(line.unit_label)}" if line.unit_label else quantity,
        unit_price=formats.price(line.unit_price, code) if line.unit_price is not None else "",
        rate=_rate(line.category, line.rate, formats),
        amount=formats.money(line.net),
    )


def _discount(discount: Discount, words: Words, formats: Formats) -> str:
    label, value = formats.own(discount.label), formats.money(-discount.amount)
    return words.labelled.format(label=label, value=value)


def _rate(category: TaxCategory, rate: Decimal, formats: Formats) -> str:
    return "–" if category is TaxCategory.OUT_OF_SCOPE else formats.rate(rate)


def _totals(content: Content, words: Words, formats: Formats) -> tuple[Row, ...]:
    totals = content.totals
    rows = [Row(words.subtotal, formats.money(totals.lines))]
    rows += (Row(formats.own(part.label), formats.money(-part.amount)) for part in content.allowances)
    if content.taxes:
        rows.append(Row(words.net, formats.money(totals.net)))
    rows += (
        Row(_tax_label(tax, words, formats), formats.money(tax.tax))
        for tax in content.taxes
        if tax.category is not TaxCategory.OUT_OF_SCOPE
    )
    if content.kind is Kind.CREDIT_NOTE and not content.applied:
        return (*rows, Row(words.total_credited, formats.coded(totals.total), strong=True))
    rows.append(Row(words.total, formats.money(totals.total)))
    rows += (Row(formats.own(part.label), formats.money(-part.amount)) for part in content.applied)
    return (*rows, Row(words.due, formats.coded(totals.due), strong=True))


def _tax_label(tax: Tax, words: Words, formats: Formats) -> str:
    return words.tax_on.format(
        label=formats.own(tax.label), rate=formats.rate(tax.rate), base=formats.money(tax.base)
    )


def _reason(tax: Tax, words: Words, formats: Formats) -> str:
    return formats.own(tax.reason) if tax.reason else words.no_tax(tax.category)


def _payments(content: Content, words: Words, formats: Formats) -> tuple[PaymentView, ...]:
    """How to pay, where there is something to pay."""
    if content.kind is Kind.CREDIT_NOTE or content.totals.due.minor <= 0:
        return ()
    return tuple(_payment(one, words, formats) for one in content.payments)


def _payment(payment: Payment, words: Words, formats: Formats) -> PaymentView:
    rows = (
        Row(words.account_name, formats.own(payment.account_name)),
        Row(words.account, formats.own(payment.account)),
        Row(words.bank_code, formats.own(payment.bank_code)),
        Row(words.reference, formats.own(payment.reference)),
    )
    return PaymentView(tuple(row for row in rows if row.value), formats.own(payment.text), payment.link)
