"""The files of a document, judged by independent programs: PDF/A-3, PDF/UA-1, EN 16931 in both syntaxes."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import facturx
import pikepdf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from models.money import Money
from services.documents import electronic, render
from services.documents.cii import cii
from services.documents.content import (
    Address,
    Allowance,
    Content,
    Discount,
    Locale,
    Party,
    Payment,
    PaymentMeans,
    TaxCategory,
)
from services.documents.finishing import finished
from services.documents.fonts import FOLDER, MISSING, drawable, mapped
from services.documents.formats import Formats
from services.documents.html import html
from services.documents.style import Field, Font, Paper, Style
from services.documents.text import DocumentRefused, printable, require_plain
from services.documents.typeset import set_pdf
from services.documents.ubl import ubl
from services.documents.words import WORDS
from tests.documents import (
    BUYER,
    NO_FAULTS,
    SELLER,
    changed,
    credit_note,
    en16931_faults,
    invoice,
    line,
    pdf_faults,
    usual_lines,
)

# Compiling the rules takes seconds: once is enough.
pytestmark = pytest.mark.xdist_group("documents")

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
HOSTILE = (
    '#import "x": * #sys.inputs $1/0$ *b* _i_ <script>alert(1)</script> ]]> &amp; {{7*7}} \\u{41} @ref // /*'
)
TAXED = TaxCategory.STANDARD
FREE = (line(rate="0", category=TaxCategory.OUT_OF_SCOPE),)
REVERSED = (line(rate="0", category=TaxCategory.REVERSE_CHARGE),)


def text_of(pdf: bytes) -> str:
    """What a reader copies out of the pages, without blanks: where a line breaks is no matter here."""
    return "".join("".join(one.extract_text() for one in PdfReader(io.BytesIO(pdf)).pages).split())


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("locale", "currency", "style"),
    [
        (Locale.EN_US, "USD", Style(paper=Paper.LETTER, logo=SVG)),
        (Locale.EN_GB, "GBP", Style(font=Font.SERIF, accent="#ffe066", fields=frozenset())),
        (Locale.DE, "EUR", Style()),
        (Locale.FR, "CHF", Style()),
        (Locale.JA, "JPY", Style(logo=SVG)),
        (Locale.AR, "KWD", Style()),
    ],
)
def test_pdf_is_archivable_and_accessible_in_every_language(
    locale: Locale, currency: str, style: Style
) -> None:
    content = invoice(currency=currency, locale=locale)

    made = render.pdf(content, style)

    assert pdf_faults(made.pdf) == NO_FAULTS
    assert made.sha256 == hashlib.sha256(made.pdf).hexdigest()
    assert render.pdf(content, style) == made  # the same bytes again
    assert made.is_electronic is (currency != "KWD")
    with pikepdf.open(io.BytesIO(made.pdf)) as document:
        assert str(document.Root.Lang) == locale.language
        assert WORDS[locale.language].invoice in str(document.docinfo.Title)
        assert "2026" in str(document.docinfo.CreationDate)
    assert content.number in text_of(made.pdf)


@pytest.mark.parametrize(
    ("locale", "style"),
    [
        (Locale.DE, Style(font=Font.SERIF)),
        (Locale.AR, Style()),
        (Locale.EN_US, Style(paper=Paper.LETTER, logo=SVG)),
    ],
)
def test_a_number_of_50_characters_is_read_as_one_where_it_stands(locale: Locale, style: Style) -> None:
    number = "MATRIX-DEUTSCHLAND/2026-0000000000000001-ENTERPRIS"
    content = replace(invoice(locale=locale), number=number)

    made = render.pdf(content, style)

    assert pdf_faults(made.pdf) == NO_FAULTS
    page = PdfReader(io.BytesIO(made.pdf)).pages[0].extract_text()
    lines = [one for one in page.splitlines() if number in one]
    assert len(lines) == 2  # beside its label and at the foot, each time in one piece


def planted(pdf: bytes, fault: str) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        if fault == "untagged":
            del document.Root.StructTreeRoot
        elif fault == "no language":
            del document.Root.Lang
        elif fault == "script":
            action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
            document.Root.OpenAction = action
        elif fault == "a file of no relation":
            del document.Root.AF[0].AFRelationship
        saved = io.BytesIO()
        document.save(saved)
    return saved.getvalue()


@pytest.mark.parametrize(
    ("fault", "profile"),
    [("untagged", "ua1"), ("no language", "ua1"), ("script", "3a"), ("a file of no relation", "3a")],
)
def test_the_judges_find_a_planted_fault(fault: str, profile: str) -> None:
    sound = render.pdf(invoice(), Style()).pdf

    assert pdf_faults(sound) == NO_FAULTS
    assert pdf_faults(planted(sound, fault))[profile]


CASES: dict[str, Content] = {
    "two rates, discounts, credits": invoice(
        allowances=(
            Allowance("Loyalty", Money(300, "EUR"), TAXED, Decimal("0.19")),
            Allowance("Rounded up", Money(-1, "EUR"), TAXED, Decimal("0.07")),
        ),
        applied=(Discount("Wallet", Money(2_000, "EUR")),),
        order_number="PO-7781",
    ),
    "yen": invoice(currency="JPY", locale=Locale.JA),
    "credit note": credit_note(locale=Locale.FR),
    "nothing left to pay": invoice((line(minor=100),), applied=(Discount("Paid", Money(119, "EUR")),)),
    "zero-rated": invoice((line(rate="0", category=TaxCategory.ZERO),)),
    "exempt": invoice((line(rate="0", category=TaxCategory.EXEMPT),)),
    "reverse charge": invoice(REVERSED, locale=Locale.DE),
    "to another member state": invoice((line(rate="0", category=TaxCategory.INTRA_COMMUNITY),)),
    "export": invoice(
        (line(rate="0", category=TaxCategory.EXPORT),), buyer=Party("Acme", Address(country="US"), "12-345")
    ),
    "out of scope": invoice(
        FREE, seller=Party("Acme", Address(country="US"), registration_number="C1234567")
    ),
    "odd lines": invoice(
        (
            line("Free", 0, quantity=Decimal(0)),
            line("Given back", -500, quantity=Decimal(3)),
            line("Flat", 700, quantity=Decimal(0)),
            line("Negative price", -200, quantity=Decimal(2), unit_price=Decimal(-1)),
            line("Tiny", 100, quantity=Decimal(1_000_000), unit_price=Decimal("0.000001")),
            line("Dearer", 110, discounts=(Discount("Rounding", Money(-10, "EUR")),)),
        )
    ),
    "paid by card": invoice(
        payments=(Payment(PaymentMeans.CARD, text="Visa 4242"), Payment(PaymentMeans.OTHER))
    ),
    "an address of ten lines": invoice(
        buyer=Party("Acme", Address(tuple(f"Line {n}" for n in range(10)), country="FR"), "FR12345678901")
    ),
    "an account that is no IBAN": invoice(payments=(Payment(PaymentMeans.TRANSFER, account="0012345"),)),
    "hostile text": invoice(
        (line(HOSTILE, details=(HOSTILE,)),),
        notes=(HOSTILE,),
        buyer=Party(HOSTILE, BUYER.address, "FR12345678901"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_both_syntaxes_keep_the_rules_of_en16931(case: str) -> None:
    content = CASES[case]

    assert electronic.missing(content) == ()
    assert en16931_faults(cii(content)) == set()
    assert en16931_faults(ubl(content)) == set()


def test_a_price_is_never_negative_and_comes_to_its_line() -> None:
    """No rule of EN 16931 compares them, and a program that reads them may."""
    for one in (*CASES["odd lines"].lines, *usual_lines()):
        made = electronic.price(one)
        amount, per, quantity = (Decimal(text) for text in (made.amount, made.per, made.quantity))
        assert amount >= 0
        assert amount * quantity / per == one.net.amount + sum(each.amount.amount for each in one.discounts)


def rounded_apart() -> Content:
    """Its tax was rounded line by line, and is a whole euro more than that of the sum."""
    content, more = invoice(), Money(100, "EUR")
    tax, totals = content.taxes[0], content.totals
    return changed(
        content,
        taxes=(replace(tax, tax=tax.tax + more), *content.taxes[1:]),
        totals=replace(totals, tax=totals.tax + more, total=totals.total + more, due=totals.due + more),
    )


@pytest.mark.parametrize(
    ("found", "instead", "rule"),
    [
        (b"<ram:DuePayableAmount>", b"<ram:DuePayableAmount>1", "BR-CO-16"),
        (b"<ram:ID>MX-2026-000123</ram:ID>", b"", "xsd"),
        (b"<ram:CountryID>DE</ram:CountryID>", b"", "BR-09"),
        (b"<ram:CategoryCode>S<", b"<ram:CategoryCode>AE<", "BR-AE-05"),
        (b'<ram:TaxTotalAmount currencyID="EUR">', b'<ram:TaxTotalAmount currencyID="EUR">9', "BR-CO-14"),
    ],
)
def test_the_rules_find_a_planted_fault(found: bytes, instead: bytes, rule: str) -> None:
    sound = cii(invoice())
    assert found in sound

    assert rule in {fault.removesuffix("-1") for fault in en16931_faults(sound.replace(found, instead, 1))}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (invoice(currency="KWD"), "decimals"),
        (invoice(buyer=Party("Acme")), "buyer's address"),
        (invoice(due_on=None), "is due"),
        (invoice(seller=Party("Acme", SELLER.address)), "seller has no tax number"),
        (
            invoice((line(rate="0", category=TaxCategory.REVERSE_CHARGE),), buyer=Party("A", BUYER.address)),
            "buyer has no",
        ),
        (invoice((line(rate="0", category=TaxCategory.INTRA_COMMUNITY),), period=None), "names its period"),
        (invoice((line(), *FREE)), "of its own"),
        (rounded_apart(), "too far from 19 %"),
        (changed(invoice((line(rate="0"),)), taxes=()), "nothing of tax"),
        (changed(invoice((line(rate="0"),)), taxes=invoice((line(rate="0"),)).taxes * 2), "not one per"),
    ],
)
def test_what_machines_would_refuse_is_said_and_the_pdf_is_made_without(content: Content, says: str) -> None:
    assert any(says in sentence for sentence in electronic.missing(content))
    with pytest.raises(DocumentRefused):
        render.electronic_invoice(content)
    made = render.pdf(content, Style())
    assert says in " ".join(made.missing)
    assert facturx.get_xml_from_pdf(made.pdf) in {(None, None), (False, False)}


def test_the_file_for_machines_is_in_the_pdf_and_says_what_it_is() -> None:
    made = render.pdf(invoice(), Style())

    name, xml = facturx.get_xml_from_pdf(made.pdf)

    assert (name, xml) == ("factur-x.xml", cii(invoice()))
    with pikepdf.open(io.BytesIO(made.pdf)) as document:
        metadata = document.Root.Metadata.read_bytes()
        assert str(document.Root.AF[0].AFRelationship) == "/Alternative"
    assert b"<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in metadata


def ending_in_a_carriage_return(pdf: bytes) -> bytes:
    """The same pages, packed so that the last byte looks like the end of a line."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        drawn = document.pages[0].Contents
        data = drawn.read_bytes()
        padded = (zlib.compress(data + b"\n" * more) for more in range(10_000))
        drawn.write(
            next(packed for packed in padded if packed.endswith(b"\r")), filter=pikepdf.Name.FlateDecode
        )
        saved = io.BytesIO()
        document.save(saved, compress_streams=False)
    return saved.getvalue()


def test_a_stream_whose_last_byte_looks_like_the_end_of_a_line_is_written_otherwise() -> None:
    found = ending_in_a_carriage_return(set_pdf(invoice(), Style(), None))

    assert pdf_faults(found)["3a"] == {"PDFA3A-STREAM-LENGTH-001"}
    assert pdf_faults(finished(found, is_electronic=False)) == NO_FAULTS


def test_text_that_looks_like_code_is_shown_as_it_is() -> None:
    content = CASES["hostile text"]

    made = render.pdf(content, Style())
    page = html(content, Style())

    assert squeezed(HOSTILE) in text_of(made.pdf).replace("\u200b", "")
    assert pdf_faults(made.pdf) == NO_FAULTS
    assert b"/JavaScript" not in made.pdf
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
    assert "default-src &#x27;none&#x27;" in page


def test_names_in_many_scripts_are_printed_and_what_no_typeface_has_is_a_box() -> None:
    name = "Ωmega Горизонт 株式会社 شركة 한국 สวัสดี नमस्ते שלום 简体 Nguyễn 😀"
    content = invoice(
        buyer=Party((name + " ") * 4 + "x" * 60, BUYER.address, BUYER.tax_number), locale=Locale.AR
    )

    made = render.pdf(content, Style(font=Font.SERIF))

    assert drawable(name) == name.replace("😀", MISSING)
    assert pdf_faults(made.pdf) == NO_FAULTS
    assert "😀".encode() in cii(content)  # machines get the whole name


def test_a_bolder_cut_has_every_character_of_its_regular_one() -> None:
    bolder = sorted(FOLDER.glob("*-SemiBold.ttf"))

    assert bolder
    for cut in bolder:
        regular = cut.with_name(cut.name.replace("SemiBold", "Regular"))
        assert mapped(cut.read_bytes()) >= mapped(regular.read_bytes()), cut.name


@settings(max_examples=15, derandomize=True)
@given(st.text(min_size=1, max_size=120), st.sampled_from(list(Locale)), st.sampled_from(list(Font)))
@example("ㇰ梟", Locale.JA, Font.SERIF)
def test_whatever_is_printable_is_printed(typed: str, locale: Locale, font: Font) -> None:
    name = printable(typed) or "–"
    content = invoice((line(name, details=(name,)),), buyer=Party(name), notes=(name,), locale=locale)

    assert pdf_faults(render.pdf(content, Style(font=font)).pdf) == NO_FAULTS


def test_what_a_template_leaves_out_is_left_out_and_the_tax_number_is_not() -> None:
    shown = text_of(render.pdf(invoice(), Style()).pdf)
    bare = text_of(render.pdf(invoice(), Style(fields=frozenset())).pdf)

    optional = (
        "billing@matrix.example",
        "ap@northwind.example",
        "HRB12345B",
        "First1,000",
        "Payonline",
        "Thankyou",
    )
    assert all(text in shown for text in optional)
    assert not any(text in bare.replace("AmtsgerichtBerlinHRB12345B", "") for text in optional)
    assert "DE123456789" in bare


def test_nobody_is_asked_to_pay_what_is_not_owed() -> None:
    asked = squeezed(html(invoice(), Style()))
    credited = squeezed(html(credit_note(), Style()))
    paid = squeezed(html(CASES["nothing left to pay"], Style()))

    assert all(text in asked for text in ("€163.45due15April2026", "Payonline", "Howtopay"))
    assert "€163.45credited" in credited
    assert "MX-2026-000100of1March2026" in credited
    assert "Nothingtopay" in paid
    assert not any(text in credited + paid for text in ("Payonline", "Howtopay", "pay.matrix.example"))


def test_a_long_document_repeats_its_head_and_counts_its_pages() -> None:
    made = render.pdf(invoice(tuple(line(f"Item {number}", 1) for number in range(120))), Style())

    text = text_of(made.pdf)
    assert pdf_faults(made.pdf) == NO_FAULTS
    assert [f"Page{number}of4" in text for number in range(1, 6)] == [True, True, True, True, False]
    assert text.count("DescriptionQty") == 4
    assert "Item0" in text
    assert "Item119" in text


@pytest.mark.deep
def test_5000_lines_are_one_sound_document() -> None:
    content = invoice(tuple(line(f"Item {number}", 1, details=("more",)) for number in range(5_000)))

    made = render.pdf(content, Style())

    assert pdf_faults(made.pdf) == NO_FAULTS
    assert en16931_faults(cii(content)) == set()
    assert "Item4999" in text_of(made.pdf)


def test_a_logo_that_only_looks_sound_is_refused_by_name() -> None:
    rotten = _png(b"\x00" * 9)  # the right frame around a picture that cannot be unpacked

    with pytest.raises(DocumentRefused) as refused:
        render.pdf(invoice(), Style(logo=rotten))

    assert refused.value.field == "logo"


def _png(packed: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


MONEY: list[tuple[Locale, int, str, str]] = [
    (Locale.EN_US, -123_450, "USD", "-$1,234.50"),
    (Locale.EN_US, 1_234, "JPY", "¥1,234"),
    (Locale.EN_US, 1_234_567, "KWD", "KWD 1,234.567"),
    (Locale.EN_GB, 5, "GBP", "£0.05"),
    (Locale.DE, -123_450, "EUR", "-1.234,50 €"),
    (Locale.DE, 100_000, "ISK", "100.000 ISK"),
    (Locale.FR, 1_234_567, "TND", "1 234,567 TND"),
    (Locale.JA, 1_234, "JPY", "¥1,234"),
    (Locale.AR, -9_500, "KWD", "\u2066-9.500\u2069 د.ك."),
]


@pytest.mark.parametrize(("locale", "minor", "currency", "text"), MONEY)
def test_amounts_have_the_digits_of_their_currency(
    locale: Locale, minor: int, currency: str, text: str
) -> None:
    written = Formats(locale).money(Money(minor, currency))

    assert written.replace("\u00a0", " ").replace("\u202f", " ") == text
    require_plain(Formats(locale).told(Money(minor, currency)), field="details", characters_max=99)


def test_rates_and_prices_are_never_rounded() -> None:
    formats = Formats(Locale.DE)

    assert formats.rate(Decimal("0.081")) == "8,1\u00a0%"
    assert formats.rate(Decimal("0.19")) == "19\u00a0%"
    assert formats.price(Decimal("0.0000125"), "EUR") == "0,0000125\u00a0€"
    assert formats.number(Decimal("1843.250")) == "1.843,25"


def test_every_language_has_every_word_with_the_same_places_to_fill() -> None:
    def places(text: str) -> set[str]:
        return {part.partition("}")[0] for part in text.split("{")[1:]}

    english: Any = WORDS["en"]
    assert set(WORDS) == {locale.language for locale in Locale}
    for words in WORDS.values():
        assert all(words)
        assert [places(word) for word in words] == [places(word) for word in english]


def test_dates_and_addresses_follow_the_locale() -> None:
    japanese = Party("未来", Address(("丸の内1-2-3",), "千代田区", "100-0005", "東京都", "JP"))
    page = html(invoice(locale=Locale.JA, buyer=japanese), Style(fields=frozenset(Field)))

    assert page.index("〒100-0005") < page.index("東京都千代田区") < page.index("丸の内1-2-3")
    assert "2026年4月15日" in page
    assert Formats(Locale.DE).day(date(2026, 3, 1)) == "1. März 2026"
