"""What a document takes, and what it refuses before anything is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models.money import Money
from services.documents import storage
from services.documents.content import (
    Address,
    Allowance,
    Credited,
    Discount,
    Kind,
    Party,
    Payment,
    PaymentMeans,
    Period,
    Tax,
    TaxCategory,
)
from services.documents.style import LOGO_BYTES_MAX, Field, Font, Style
from services.documents.text import RUN_CHARACTERS_MAX, DocumentRefused, breakable, printable
from services.files.rules import FileRefused
from tests.documents import changed, credit_note, invoice, line

EUR = "EUR"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
FOUR_SCRIPTS = (
    "株式会社未来データ研究所" + "شركة الأفق للتقنية" + "Общество «Горизонт»" + "Ωmega Ångström "
) * 6


def test_a_name_of_300_characters_in_four_scripts_is_taken() -> None:
    assert invoice(buyer=Party(FOUR_SCRIPTS[:300])).buyer.name == FOUR_SCRIPTS[:300]


REFUSED: dict[str, tuple[str, Callable[[], Any]]] = {
    "a longer name": ("name", lambda: Party(FOUR_SCRIPTS[:301])),
    "no name": ("name", lambda: Party(" ")),
    "a control character": ("name", lambda: Party("Acme\x07")),
    "a line feed in a name": ("name", lambda: Party("Acme\nInc")),
    "text turned backwards": ("name", lambda: Party("Acme \u202eFDP.exe")),
    "an isolate left open": ("notes", lambda: invoice(notes=("\u2067",))),
    "an unseen tag": ("notes", lambda: invoice(notes=("\U000e0041",))),
    "half a character": ("name", lambda: Party("\ud800")),
    "5,001 lines": ("lines", lambda: invoice((line(),) * 5_001)),
    "no lines": ("lines", lambda: changed(invoice(), lines=())),
    "a quantity that is no number": ("quantity", lambda: line(quantity=Decimal("NaN"))),
    "too large a quantity": ("quantity", lambda: line(quantity=Decimal(10) ** 19)),
    "a price with 15 decimals": ("unit_price", lambda: line(unit_price=Decimal("0.000000000000001"))),
    "a rate as percent": ("rate", lambda: line(rate="19")),
    "a unit that is none": ("unit", lambda: line(unit="<b>")),
    "a country by name": ("country", lambda: Address(country="Germany")),
    "a period backwards": ("period", lambda: Period(date(2026, 2, 1), date(2026, 1, 1))),
    "an unknown currency": ("currency", lambda: changed(invoice(), currency="XXX")),
    "mixed currencies": (
        "currency",
        lambda: changed(invoice(), applied=(Discount("Credit", Money(1, "USD")),)),
    ),
    "a tax at a reverse charge": (
        "rate",
        lambda: Tax("VAT", TaxCategory.REVERSE_CHARGE, Decimal("0.19"), Money(1, EUR), Money(0, EUR)),
    ),
    "an exemption without a reason": (
        "reason",
        lambda: Tax("VAT", TaxCategory.EXEMPT, Decimal(0), Money(1, EUR), Money(0, EUR)),
    ),
    "a credit note of nothing": ("credited", lambda: invoice(kind=Kind.CREDIT_NOTE)),
    "an invoice that credits": ("credited", lambda: invoice(credited=Credited("A", date(2026, 1, 1)))),
    "a transfer to nowhere": ("account", lambda: Payment(PaymentMeans.TRANSFER)),
    "a link that acts": ("link", lambda: Payment(PaymentMeans.CARD, link="javascript:alert(1)")),
    "a link with a quote": ("link", lambda: Payment(PaymentMeans.CARD, link='https://a.example/"onx')),
    "lines that do not add up": (
        "totals.lines",
        lambda: changed(invoice(), lines=(line(minor=1),)),
    ),
    "a discount left out": (
        "totals.net",
        lambda: changed(
            invoice(),
            allowances=(Allowance("Off", Money(1, EUR), TaxCategory.STANDARD, Decimal("0.19")),),
        ),
    ),
    "taxes left out": ("totals.tax", lambda: changed(invoice(), taxes=())),
    "a credit left out": (
        "totals.due",
        lambda: changed(invoice(), applied=(Discount("Credit", Money(1, EUR)),)),
    ),
    "a colour by name": ("accent", lambda: Style(accent="red; x")),
    "a logo of 10 MB": ("logo", lambda: Style(logo=b"\x89PNG\r\n\x1a\n" + bytes(10 * LOGO_BYTES_MAX))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_document_cannot_say_is_refused_with_the_field_at_fault(case: str) -> None:
    field, make = REFUSED[case]

    with pytest.raises(DocumentRefused) as refused:
        make()

    assert refused.value.field == field
    assert refused.value.message


@pytest.mark.parametrize(
    "logo", [SVG.replace(b"<rect", b"<script>1</script><rect"), b"<html></html>", b"GIF89a", b"", b"MZ\x90"]
)
def test_a_logo_is_a_picture_and_nothing_else(logo: bytes) -> None:
    with pytest.raises(FileRefused):
        Style(logo=logo)


def test_a_document_and_its_style_come_back_from_storage_equal() -> None:
    kept = [
        invoice(),
        invoice(currency="JPY", buyer=Party(FOUR_SCRIPTS[:300])),
        credit_note(currency="KWD"),
        invoice((line(quantity=Decimal("0.000000000001"), unit_price=Decimal("1E+3")),)),
    ]
    style = Style("#aa0000", Font.SERIF, logo=SVG, fields=frozenset({Field.NOTES}))

    assert [storage.content_from_json(storage.content_to_json(one)) for one in kept] == kept
    assert storage.style_from_json(storage.style_to_json(style)) == style


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        (b'"EUR"', b'"XXX"'),
        (b'"number":"MX-2026-000123"', b'"number":"\\u202e"'),
        (b'"lines":[', b'"lines":7,"x":['),
    ],
)
def test_what_was_changed_in_storage_goes_through_the_same_checks(found: bytes, instead: bytes) -> None:
    stored = storage.content_to_json(invoice())
    assert found in stored

    with pytest.raises(DocumentRefused):
        storage.content_from_json(stored.replace(found, instead))


def test_names_kept_before_anybody_thought_of_a_document_are_made_printable() -> None:
    name = printable("  Acme\u202e\x00  Ltd\u2028\tof\ufeff Cafe\u0301 ")

    assert name == "Acme Ltd of Café"
    assert Party(name).name == name
    assert printable("one \r\n two\x07", breaks=True) == "one\ntwo"


def test_only_words_that_no_column_holds_are_broken_and_marks_stay_with_their_letters() -> None:
    long = "e\u0301" * 40

    assert breakable("plain words, and 株式会社未来データ研究所株式会社未来データ研究所") == (
        "plain words, and 株式会社未来データ研究所株式会社未来データ研究所"
    )
    pieces = breakable(long).split("\u200b")
    assert "".join(pieces) == long
    assert all(len(piece) <= RUN_CHARACTERS_MAX + 1 for piece in pieces)
    assert not any(piece.startswith("\u0301") for piece in pieces)


def test_an_accent_too_pale_for_text_is_kept_for_areas() -> None:
    shades = ("#000000", "#635bff", "#767676", "#777777", "#ffe066")

    assert [Style(accent=shade).accent_is_readable for shade in shades] == [True, True, True, False, False]


def test_parts_cannot_be_changed_once_they_are_checked() -> None:
    with pytest.raises(AttributeError):
        invoice().number = "other"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(DocumentRefused):
        replace(invoice(), number="\u202e")
