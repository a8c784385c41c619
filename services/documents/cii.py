"""Cross Industry Invoice (UN/CEFACT D22B) in the EN 16931 profile of Factur-X: the file inside the PDF."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from services.documents.content import Address, Content, Discount, Line, Party, Payment, Period, TaxCategory
from services.documents.electronic import (
    SPECIFICATION,
    TYPE_CODES,
    VAT,
    address_lines,
    decimal,
    exemption,
    is_iban,
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

_NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
_DAY = "102"  # UNTDID 2379: CCYYMMDD


def cii(content: Content) -> bytes:
    """The document must have nothing `missing`."""
    whole = root("rsm:CrossIndustryInvoice", _NAMESPACES)
    context = whole.add("rsm:ExchangedDocumentContext")
    context.add("ram:GuidelineSpecifiedDocumentContextParameter").say("ram:ID", SPECIFICATION)
    head = whole.add("rsm:ExchangedDocument")
    head.say("ram:ID", content.number)
    head.say("ram:TypeCode", TYPE_CODES[content.kind])
    _day(head, "ram:IssueDateTime", content.issued_on)
    for remark in remarks(content):
        head.add("ram:IncludedNote").say("ram:Content", remark)
    trade = whole.add("rsm:SupplyChainTradeTransaction")
    for number, line in enumerate(content.lines, 1):
        _line(trade.add("ram:IncludedSupplyChainTradeLineItem"), str(number), line)
    _agreement(trade.add("ram:ApplicableHeaderTradeAgreement"), content)
    _delivery(trade.add("ram:ApplicableHeaderTradeDelivery"), content)
    _settlement(trade.add("ram:ApplicableHeaderTradeSettlement"), content)
    return written(whole)


def _day(part: Part, name: str, day: date, kind: str = "udt") -> None:
    part.add(name).say(f"{kind}:DateTimeString", f"{day:%Y%m%d}", format=_DAY)


def _period(part: Part, period: Period | None) -> None:
    if period:
        made = part.add("ram:BillingSpecifiedPeriod")
        _day(made, "ram:StartDateTime", period.first)
        _day(made, "ram:EndDateTime", period.last)


def _taxed(part: Part, name: str, category: TaxCategory, rate: Decimal) -> None:
    made = part.add(name)
    made.say("ram:TypeCode", "VAT")
    made.say("ram:CategoryCode", category.value)
    if category is not TaxCategory.OUT_OF_SCOPE:
        made.say("ram:RateApplicablePercent", percent(rate))


def _off(part: Part, discount: Discount) -> Part:
    """A discount; one below zero raises the price instead."""
    amount = discount.amount.amount
    made = part.add("ram:SpecifiedTradeAllowanceCharge")
    made.add("ram:ChargeIndicator").say("udt:Indicator", "true" if amount < 0 else "false")
    made.say("ram:ActualAmount", f"{abs(amount):f}")
    made.say("ram:Reason", discount.label)
    return made


def _line(part: Part, number: str, line: Line) -> None:
    part.add("ram:AssociatedDocumentLineDocument").say("ram:LineID", number)
    product = part.add("ram:SpecifiedTradeProduct")
    product.say("ram:Name", line.description)
    product.say("ram:Description", "\n".join(line.details))
    asked = price(line)
    named = part.add("ram:SpecifiedLineTradeAgreement").add("ram:NetPriceProductTradePrice")
    named.say("ram:ChargeAmount", asked.amount)
    named.say("ram:BasisQuantity", asked.per, unitCode=line.unit)
    part.add("ram:SpecifiedLineTradeDelivery").say("ram:BilledQuantity", asked.quantity, unitCode=line.unit)
    settled = part.add("ram:SpecifiedLineTradeSettlement")
    _taxed(settled, "ram:ApplicableTradeTax", line.category, line.rate)
    _period(settled, line.period)
    for discount in line.discounts:
        _off(settled, discount)
    total = settled.add("ram:SpecifiedTradeSettlementLineMonetarySummation")
    total.say("ram:LineTotalAmount", f"{line.net.amount:f}")


def _agreement(part: Part, content: Content) -> None:
    for name, party in (("ram:SellerTradeParty", content.seller), ("ram:BuyerTradeParty", content.buyer)):
        _party(part.add(name), content, party)
    if content.order_number:
        part.add("ram:BuyerOrderReferencedDocument").say("ram:IssuerAssignedID", content.order_number)


def _party(part: Part, content: Content, party: Party) -> None:
    part.say("ram:Name", party.name)
    if party.registration_number or party.trading_name:
        legal = part.add("ram:SpecifiedLegalOrganization")
        legal.say("ram:ID", party.registration_number)
        legal.say("ram:TradingBusinessName", party.trading_name)
    _address(part.add("ram:PostalTradeAddress"), party.address)
    if party.email:
        part.add("ram:URIUniversalCommunication").say("ram:URIID", party.email, schemeID="EM")
    if shows_tax_number(content, party):
        # A buyer's number other than one of VAT has no place in EN 16931.
        kind = registration(party)
        if kind == VAT or party is content.seller:
            part.add("ram:SpecifiedTaxRegistration").say("ram:ID", party.tax_number, schemeID=kind)


def _address(part: Part, address: Address) -> None:
    part.say("ram:PostcodeCode", address.postal_code)
    for name, line in zip(
        ("ram:LineOne", "ram:LineTwo", "ram:LineThree"), address_lines(address), strict=True
    ):
        part.say(name, line)
    part.say("ram:CityName", address.city)
    part.say("ram:CountryID", address.country)
    part.say("ram:CountrySubDivisionName", address.region)


def _delivery(part: Part, content: Content) -> None:
    if any(tax.category is TaxCategory.INTRA_COMMUNITY for tax in content.taxes):
        _address(part.add("ram:ShipToTradeParty").add("ram:PostalTradeAddress"), content.buyer.address)


def _settlement(part: Part, content: Content) -> None:
    part.say("ram:PaymentReference", next((one.reference for one in content.payments if one.reference), ""))
    part.say("ram:InvoiceCurrencyCode", content.currency)
    for payment in payments(content):
        _payment(part.add("ram:SpecifiedTradeSettlementPaymentMeans"), payment)
    for tax in content.taxes:
        words, code = exemption(content, tax.category, tax.reason)
        made = part.add("ram:ApplicableTradeTax")
        made.say("ram:CalculatedAmount", f"{tax.tax.amount:f}")
        made.say("ram:TypeCode", "VAT")
        made.say("ram:ExemptionReason", words)
        made.say("ram:BasisAmount", f"{tax.base.amount:f}")
        made.say("ram:CategoryCode", tax.category.value)
        made.say("ram:ExemptionReasonCode", code)
        if tax.category is not TaxCategory.OUT_OF_SCOPE:
            made.say("ram:RateApplicablePercent", percent(tax.rate))
    _period(part, content.period)
    for allowance in content.allowances:
        made = _off(part, Discount(allowance.label, allowance.amount))
        _taxed(made, "ram:CategoryTradeTax", allowance.category, allowance.rate)
    if content.due_on:
        _day(part.add("ram:SpecifiedTradePaymentTerms"), "ram:DueDateDateTime", content.due_on)
    _totals(part.add("ram:SpecifiedTradeSettlementHeaderMonetarySummation"), content)
    if content.credited:
        made = part.add("ram:InvoiceReferencedDocument")
        made.say("ram:IssuerAssignedID", content.credited.number)
        _day(made, "ram:FormattedIssueDateTime", content.credited.issued_on, kind="qdt")


def _payment(part: Part, payment: Payment) -> None:
    part.say("ram:TypeCode", means_code(payment))
    part.say("ram:Information", payment.text)
    if payment.account:
        account = part.add("ram:PayeePartyCreditorFinancialAccount")
        iban = is_iban(payment.account)
        account.say("ram:IBANID", payment.account.replace(" ", "") if iban else "")
        account.say("ram:AccountName", payment.account_name)
        account.say("ram:ProprietaryID", "" if iban else payment.account)
        if payment.bank_code:
            part.add("ram:PayeeSpecifiedCreditorFinancialInstitution").say("ram:BICID", payment.bank_code)


def _totals(part: Part, content: Content) -> None:
    totals = content.totals
    off = [allowance.amount.amount for allowance in content.allowances]
    raised = -sum((amount for amount in off if amount < 0), Decimal(0))
    part.say("ram:LineTotalAmount", f"{totals.lines.amount:f}")
    part.say("ram:ChargeTotalAmount", decimal(raised) if raised else "")
    part.say("ram:AllowanceTotalAmount", f"{sum((amount for amount in off if amount > 0), Decimal(0)):f}")
    part.say("ram:TaxBasisTotalAmount", f"{totals.net.amount:f}")
    part.say("ram:TaxTotalAmount", f"{totals.tax.amount:f}", currencyID=content.currency)
    part.say("ram:GrandTotalAmount", f"{totals.total.amount:f}")
    part.say("ram:TotalPrepaidAmount", f"{prepaid(content).amount:f}")
    part.say("ram:DuePayableAmount", f"{totals.due.amount:f}")
