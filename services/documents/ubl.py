"""UBL 2.1 by EN 16931: an Invoice or a CreditNote, for networks that take no CII."""

from __future__ import annotations

from decimal import Decimal

from models.money import Money
from services.documents.content import Address, Content, Kind, Line, Party, Payment, Period, TaxCategory
from services.documents.electronic import (
    SPECIFICATION,
    TYPE_CODES,
    VAT,
    address_lines,
    exemption,
    means_code,
    payments,
    percent,
    prepaid,
    price,
    registration,
    remarks,
    shows_tax_number,
)
from services.documents.xml_parts import Part, root, written

_SCHEMA = "urn:oasis:names:specification:ubl:schema:xsd"
_ROOTS = {Kind.INVOICE: "Invoice", Kind.CREDIT_NOTE: "CreditNote"}
_QUANTITIES = {Kind.INVOICE: "cbc:InvoicedQuantity", Kind.CREDIT_NOTE: "cbc:CreditedQuantity"}


def ubl(content: Content) -> bytes:
    """The document must have nothing `missing`."""
    name = _ROOTS[content.kind]
    namespaces = {
        name.lower(): f"{_SCHEMA}:{name}-2",
        "cac": f"{_SCHEMA}:CommonAggregateComponents-2",
        "cbc": f"{_SCHEMA}:CommonBasicComponents-2",
    }
    whole = root(f"{name.lower()}:{name}", namespaces)
    _head(whole, content)
    for name, party in (
        ("cac:AccountingSupplierParty", content.seller),
        ("cac:AccountingCustomerParty", content.buyer),
    ):
        _party(whole.add(name).add("cac:Party"), content, party)
    if any(tax.category is TaxCategory.INTRA_COMMUNITY for tax in content.taxes):
        _address(
            whole.add("cac:Delivery").add("cac:DeliveryLocation").add("cac:Address"), content.buyer.address
        )
    for payment in payments(content):
        _payment(whole.add("cac:PaymentMeans"), content, payment)
    if content.kind is Kind.CREDIT_NOTE and content.due_on:
        whole.add("cac:PaymentTerms").say("cbc:Note", content.due_on.isoformat())
    for allowance in content.allowances:
        made = _off(whole, allowance.label, allowance.amount)
        _taxed(made.add("cac:TaxCategory"), allowance.category, allowance.rate)
    _taxes(whole.add("cac:TaxTotal"), content)
    _totals(whole.add("cac:LegalMonetaryTotal"), content)
    for number, line in enumerate(content.lines, 1):
        _line(whole.add(f"cac:{_ROOTS[content.kind]}Line"), content, str(number), line)
    return written(whole)


def _head(whole: Part, content: Content) -> None:
    is_invoice = content.kind is Kind.INVOICE
    whole.say("cbc:CustomizationID", SPECIFICATION)
    whole.say("cbc:ID", content.number)
    whole.say("cbc:IssueDate", content.issued_on.isoformat())
    if is_invoice and content.due_on:
        whole.say("cbc:DueDate", content.due_on.isoformat())
    kind = "cbc:InvoiceTypeCode" if is_invoice else "cbc:CreditNoteTypeCode"
    whole.say(kind, TYPE_CODES[content.kind])
    # UBL takes one note (UBL-SR-08 has no other place for several without a code).
    whole.say("cbc:Note", "\n\n".join(remarks(content)))
    whole.say("cbc:DocumentCurrencyCode", content.currency)
    _period(whole, content.period)
    if content.order_number:
        whole.add("cac:OrderReference").say("cbc:ID", content.order_number)
    if content.credited:
        credited = whole.add("cac:BillingReference").add("cac:InvoiceDocumentReference")
        credited.say("cbc:ID", content.credited.number)
        credited.say("cbc:IssueDate", content.credited.issued_on.isoformat())


def _amount(part: Part, name: str, money: Money) -> None:
    part.say(name, f"{money.amount:f}", currencyID=money.currency)


def _period(part: Part, period: Period | None) -> None:
    if period:
        made = part.add("cac:InvoicePeriod")
        made.say("cbc:StartDate", period.first.isoformat())
        made.say("cbc:EndDate", period.last.isoformat())


def _party(part: Part, content: Content, party: Party) -> None:
    part.say("cbc:EndpointID", party.email, schemeID="EM")
    if party.trading_name:
        part.add("cac:PartyName").say("cbc:Name", party.trading_name)
    _address(part.add("cac:PostalAddress"), party.address)
    kind = registration(party)
    if shows_tax_number(content, party) and (kind == VAT or party is content.seller):
        scheme = part.add("cac:PartyTaxScheme")
        scheme.say("cbc:CompanyID", party.tax_number)
        scheme.add("cac:TaxScheme").say("cbc:ID", "VAT" if kind == VAT else kind)
    legal = part.add("cac:PartyLegalEntity")
    legal.say("cbc:RegistrationName", party.name)
    legal.say("cbc:CompanyID", party.registration_number)


def _address(part: Part, address: Address) -> None:
    lines = address_lines(address)
    part.say("cbc:StreetName", lines[0])
    part.say("cbc:AdditionalStreetName", lines[1])
    part.say("cbc:CityName", address.city)
    part.say("cbc:PostalZone", address.postal_code)
    part.say("cbc:CountrySubentity", address.region)
    if lines[2]:
        part.add("cac:AddressLine").say("cbc:Line", lines[2])
    part.add("cac:Country").say("cbc:IdentificationCode", address.country)


def _payment(part: Part, content: Content, payment: Payment) -> None:
    part.say("cbc:PaymentMeansCode", means_code(payment))
    part.say("cbc:PaymentID", payment.reference)
    if payment.account:
        account = part.add("cac:PayeeFinancialAccount")
        account.say("cbc:ID", payment.account.replace(" ", ""))
        account.say("cbc:Name", payment.account_name)
        if payment.bank_code:
            account.add("cac:FinancialInstitutionBranch").say("cbc:ID", payment.bank_code)


def _off(part: Part, label: str, money: Money) -> Part:
    made = part.add("cac:AllowanceCharge")
    made.say("cbc:ChargeIndicator", "true" if money.minor < 0 else "false")
    made.say("cbc:AllowanceChargeReason", label)
    _amount(made, "cbc:Amount", Money(abs(money.minor), money.currency))
    return made


def _taxed(part: Part, category: TaxCategory, rate: Decimal, words: str = "", code: str = "") -> None:
    part.say("cbc:ID", category.value)
    if category is not TaxCategory.OUT_OF_SCOPE:
        part.say("cbc:Percent", percent(rate))
    part.say("cbc:TaxExemptionReasonCode", code)
    part.say("cbc:TaxExemptionReason", words)
    part.add("cac:TaxScheme").say("cbc:ID", "VAT")


def _taxes(part: Part, content: Content) -> None:
    _amount(part, "cbc:TaxAmount", content.totals.tax)
    for tax in content.taxes:
        made = part.add("cac:TaxSubtotal")
        _amount(made, "cbc:TaxableAmount", tax.base)
        _amount(made, "cbc:TaxAmount", tax.tax)
        words, code = exemption(content, tax.category, tax.reason)
        _taxed(made.add("cac:TaxCategory"), tax.category, tax.rate, words, code)


def _totals(part: Part, content: Content) -> None:
    totals, nothing = content.totals, Money(0, content.currency)
    off = [allowance.amount for allowance in content.allowances]
    _amount(part, "cbc:LineExtensionAmount", totals.lines)
    _amount(part, "cbc:TaxExclusiveAmount", totals.net)
    _amount(part, "cbc:TaxInclusiveAmount", totals.total)
    _amount(part, "cbc:AllowanceTotalAmount", sum((one for one in off if one.minor > 0), nothing))
    raised = -sum((one for one in off if one.minor < 0), nothing)
    if raised.minor:
        _amount(part, "cbc:ChargeTotalAmount", raised)
    _amount(part, "cbc:PrepaidAmount", prepaid(content))
    _amount(part, "cbc:PayableAmount", totals.due)


def _line(part: Part, content: Content, number: str, line: Line) -> None:
    asked = price(line)
    part.say("cbc:ID", number)
    part.say(_QUANTITIES[content.kind], asked.quantity, unitCode=line.unit)
    _amount(part, "cbc:LineExtensionAmount", line.net)
    _period(part, line.period)
    for discount in line.discounts:
        _off(part, discount.label, discount.amount)
    item = part.add("cac:Item")
    item.say("cbc:Description", "\n".join(line.details))
    item.say("cbc:Name", line.description)
    _taxed(item.add("cac:ClassifiedTaxCategory"), line.category, line.rate)
    named = part.add("cac:Price")
    named.say("cbc:PriceAmount", asked.amount, currencyID=content.currency)
    named.say("cbc:BaseQuantity", asked.per, unitCode=line.unit)
