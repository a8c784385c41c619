"""A document to look at while a template is worked on: made up, but for its seller. Pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from models.billing import LegalEntity
from models.brands import Brand
from models.currencies import CURRENCIES
from models.money import Money
from services.documents.content import (
    Address,
    Content,
    Discount,
    Kind,
    Line,
    Locale,
    Party,
    Period,
    Tax,
    TaxCategory,
    Totals,
)
from services.papers.designs import Design
from services.papers.saying import locale_of, seller_says

NUMBER = "SAMPLE-000042"
_RATE = Decimal("0.2")
_DAY, _DUE = date(2026, 4, 1), date(2026, 4, 15)
_MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
_BUYERS = {
    Locale.DE: ("Nordlicht Werke AG", "Ringstraße 2\n80331 München", "DE"),
    Locale.FR: ("Ateliers du Midi SARL", "12 rue de la Paix\n75002 Paris", "FR"),
    Locale.JA: ("みらい株式会社", "東京都千代田区丸の内1-2-3", "JP"),
    Locale.AR: ("شركة الأفق للتجارة", "شارع الملك فهد ١٢\nالرياض", "SA"),
}
_BUYER = ("Northwind Research Ltd", "12 High Street\nLondon EC1A 1BB", "GB")


def sample(entity: LegalEntity, brand: Brand, design: Design, language: str) -> Content:
    """An invoice of `entity` under `brand` in one of the languages of documents, with a discount and two kinds of
    lines."""
    locale = locale_of({"language": language, "country": entity.country})
    code = entity.currency if entity.currency in CURRENCIES else "EUR"
    name, address, country = _BUYERS.get(locale, _BUYER)
    words = design.words(locale.language)
    lines = _lines(code)
    net = sum((line.net for line in lines), Money(0, code))
    tax = net.times(_RATE)
    seller = {
        "name": entity.name,
        "address": entity.address,
        "country": entity.country,
        "tax_ids": entity.tax_ids,
        "brand": {"code": brand.code, "name": brand.name},
    }
    return Content(
        kind=Kind.INVOICE,
        locale=locale,
        number=NUMBER,
        currency=code,
        issued_on=_DAY,
        due_on=_DUE,
        period=_MARCH,
        seller=seller_says(seller, design),
        buyer=Party(name, Address(tuple(address.splitlines()), country=country), email="ap@example.com"),
        lines=lines,
        taxes=(Tax("VAT", TaxCategory.STANDARD, _RATE, net, tax),),
        totals=Totals(net, net, tax, net + tax, net + tax),
        payments=design.payment(locale.language, NUMBER),
        notes=words.notes,
        legal_text=words.legal_text,
        references=words.extras,
    )


def _lines(code: str) -> tuple[Line, ...]:
    price, discount = Money.of(Decimal(24), code), Money.of(Decimal(12), code)
    team, usage = price.times(5) - discount, Money.of(Decimal("36.87"), code)
    standard = (TaxCategory.STANDARD, _RATE)
    return (
        Line(
            "Team plan",
            Decimal(5),
            team,
            *standard,
            unit_price=price.amount,
            period=_MARCH,
            discounts=(Discount("SPRING", discount),),
        ),
        Line("API usage", Decimal("1843.25"), usage, *standard, details=("1843.25 × 0.02",), period=_MARCH),
    )
