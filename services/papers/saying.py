"""What a finalised invoice, or a credit note, says on paper. Pure: equal rows and an equal template say the same.

Only what finalising fixed is read. What became of the document since, payments and credit notes, is not on its paper.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from models.billing import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from models.money import EXACT, Money
from services.billing.descriptions import described
from services.billing.explaining import replay_amount
from services.catalog import charge_json
from services.catalog.rating import RatedCharge
from services.documents.content import (
    DETAILS_MAX,
    PLACES_MAX,
    Address,
    Content,
    Credited,
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
from services.documents.formats import Formats
from services.documents.text import DocumentRefused, printable
from services.documents.words import WORDS
from services.papers.designs import Design

_LOCALES = {"de": Locale.DE, "fr": Locale.FR, "ja": Locale.JA, "ar": Locale.AR}
_AMERICAN = frozenset({"US", "PH"})  # where month comes before day
_VAT = "VAT"


@dataclass(frozen=True, slots=True)
class Noted:
    """A credit note with its lines, beside the invoice that it takes something back of."""

    note: CreditNote
    lines: Sequence[CreditNoteLine]


@dataclass(frozen=True, slots=True)
class _Say:
    """The invoice, and in whose words and times it speaks."""

    invoice: Invoice
    design: Design
    locale: Locale = field(init=False)
    formats: Formats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "locale", locale_of(self.invoice.buyer or {}))
        object.__setattr__(self, "formats", Formats(self.locale))

    def money(self, minor: int) -> Money:
        return Money(minor, self.invoice.currency)

    def day(self, at: datetime) -> Any:
        return at.astimezone(ZoneInfo((self.invoice.policy or {})["timezone"])).date()

    def period(self, start: datetime, end: datetime) -> Period:
        """The days of [start, end), in the issuer's timezone as the document's own date is."""
        return Period(self.day(start), self.day(end - timedelta(microseconds=1)))


def locale_of(buyer: Mapping[str, Any]) -> Locale:
    """By the language of the buyer's profile; English, as it is written where they are, for any other."""
    language, _, region = str(buyer.get("language", "")).partition("-")
    if language in _LOCALES:
        return _LOCALES[language]
    return Locale.EN_US if (region or buyer.get("country")) in _AMERICAN else Locale.EN_GB


def invoice_says(
    invoice: Invoice, lines: Sequence[InvoiceLine], design: Design, *, due_minor: int
) -> Content:
    """`due_minor` is what was due when it was finalised. Raises DocumentRefused for what no document can say."""
    if invoice.number is None or invoice.label_date is None:
        raise DocumentRefused("A draft is no document.", field="number", next_step="Finalise it.")
    say = _Say(invoice, design)
    said = [_line(say, line) for line in lines]
    total = say.money(invoice.total_minor)
    due = say.money(due_minor) if total.minor > 0 else total
    label, reasons = WORDS[say.locale.language].credits, _reasons(lines)
    return Content(
        kind=Kind.INVOICE,
        number=invoice.number,
        issued_on=invoice.label_date,
        due_on=invoice.due_date if due.minor > 0 else None,
        period=_whole_period(said),
        lines=tuple(said),
        taxes=tuple(
            _tax(say, one["category"], one["rate"], one["name"], one["base_minor"], one["tax_minor"], reasons)
            for one in invoice.taxes or []
        ),
        totals=_totals(say, invoice, total, due),
        applied=(Discount(label, total - due),) if total != due else (),
        **_around(say, invoice.number, invoice.memo),
    )


def note_says(invoice: Invoice, lines: Sequence[InvoiceLine], noted: Noted, design: Design) -> Content:
    """A credit note on `invoice`, whose `lines` are those that it takes something back of. Raises DocumentRefused."""
    if invoice.number is None or invoice.label_date is None:
        raise DocumentRefused("A credit note names the invoice it corrects.", field="credited")
    say, note, by_id = _Say(invoice, design), noted.note, {line.id: line for line in lines}
    said = [_credited_line(say, by_id[one.invoice_line_id], one) for one in noted.lines]
    total = say.money(note.total_minor)
    return Content(
        kind=Kind.CREDIT_NOTE,
        number=note.number,
        issued_on=note.label_date,
        due_on=note.label_date,  # machines want one (BR-CO-25); people are not shown it
        credited=Credited(invoice.number, invoice.label_date),
        period=_whole_period(said),
        lines=tuple(said),
        taxes=_credited_taxes(say, by_id, noted.lines),
        totals=_totals(say, note, total, total),
        **_around(say, note.number, note.reason),
    )


def _totals(say: _Say, of: Invoice | CreditNote, total: Money, due: Money) -> Totals:
    net = say.money(of.net_minor)
    return Totals(net, net, say.money(of.tax_minor), total, due)


def _around(say: _Say, number: str, remark: str) -> dict[str, Any]:
    """What stands around the figures."""
    language = say.locale.language
    words = say.design.words(language)
    remarks = (printable(remark, breaks=True),) if remark.strip() else ()
    return {
        "locale": say.locale,
        "currency": say.invoice.currency,
        "seller": seller_says(say.invoice.seller or {}, say.design),
        "buyer": _buyer(say),
        "payments": say.design.payment(language, number),
        "notes": (*remarks, *words.notes),
        "legal_text": words.legal_text,
        "references": words.extras,
    }


def seller_says(seller: Mapping[str, Any], design: Design) -> Party:
    """Who issues: name, address, country, `tax_ids` and, on those that know it, brand as a document has them; the rest
    is of the template."""
    numbers = {one["kind"].upper(): printable(one["number"]) for one in reversed(seller["tax_ids"])}
    first = next((printable(one["number"]) for one in seller["tax_ids"]), "")
    brand = seller.get("brand", {}).get("name", "")
    return Party(
        printable(seller["name"]),
        _address(seller),
        tax_number=numbers.get(_VAT, first),
        registration_number=printable(design.registration_number),
        email=printable(design.email),
        phone=printable(design.phone),
        trading_name=printable(brand) if brand != seller["name"] else "",
    )


def _buyer(say: _Say) -> Party:
    buyer: Mapping[str, Any] = say.invoice.buyer or {}
    return Party(printable(buyer["name"]), _address(buyer), tax_number=printable(buyer["tax_number"] or ""))


def _address(party: Mapping[str, Any]) -> Address:
    lines = (printable(line) for line in party["address"].splitlines())
    return Address(lines=tuple(filter(None, lines)), country=party["country"])


def _whole_period(lines: Sequence[Line]) -> Period | None:
    """From the first day of any line to the last."""
    periods = [line.period for line in lines if line.period is not None]
    if not periods:
        return None
    return Period(min(one.first for one in periods), max(one.last for one in periods))


# -- lines


def _called(say: _Say, line: InvoiceLine) -> str:
    """What the line is called, our own words in the language of the document."""
    known, words = described(line.origin, line.description, line.facts), WORDS[say.locale.language]
    name = printable(known.name)
    for word in reversed(known.words):
        name = str(getattr(words, word)).format(name=name)
    return name


def _line(say: _Say, line: InvoiceLine) -> Line:
    discounts, details = _discounts(say, line)
    unit_price, steps = _price(say, line)
    return Line(
        description=_called(say, line),
        quantity=line.quantity.normalize(EXACT),
        net=say.money(line.net_minor),
        category=_category(line),
        rate=_rate(line),
        unit_price=unit_price,
        details=(*steps, *details)[:DETAILS_MAX],
        period=_period(say, line),
        discounts=discounts,
    )


def _credited_line(say: _Say, line: InvoiceLine, taken: CreditNoteLine) -> Line:
    return Line(
        description=_called(say, line),
        quantity=Decimal(1 if taken.net_minor >= 0 else -1),
        net=say.money(taken.net_minor),
        category=_category(line),
        rate=_rate(line),
        period=_period(say, line),
    )


def _period(say: _Say, line: InvoiceLine) -> Period | None:
    if line.period_start is None or line.period_end is None:
        return None
    return say.period(line.period_start, line.period_end)


def _price(say: _Say, line: InvoiceLine) -> tuple[Decimal | None, tuple[str, ...]]:
    """What one costs where that times the quantity is the line's amount before discounts; else how the amount came
    about, step by step."""
    made_by = line.facts.get("made_by")
    if made_by not in ("charge", "item", "price_list") or line.inclusive or line.billed_before_minor:
        return None, ()
    if made_by == "item":
        return _price_of_period(say, line), ()
    if made_by == "charge":
        rated = charge_json.replay({name: line.facts[name] for name in ("charge", "quantity", "events")})
        if (single := _single_price(rated, line.quantity)) is not None:
            return single, ()
    _, steps = replay_amount(line.facts)
    return None, tuple(f"{step.formula} = {step.amount}" for step in steps)


def _price_of_period(say: _Say, line: InvoiceLine) -> Decimal | None:
    """What a subscription asks for one, on a line of a whole period: times the quantity, a part of one is less."""
    if line.facts.get("rated") is None:
        return None
    rated = charge_json.replay(line.facts["rated"])
    is_whole = rated.amount == say.money(line.amount_minor).amount
    return _single_price(rated, line.quantity) if is_whole else None


def _single_price(rated: RatedCharge, quantity: Decimal) -> Decimal | None:
    if len(rated.steps) != 1:
        return None
    step = rated.steps[0]
    price = step.unit_amount.normalize(EXACT)
    places = -int(price.as_tuple().exponent)
    fits = step.quantity == quantity and not step.flat_amount and places <= PLACES_MAX
    return price if fits and step.amount == EXACT.multiply(quantity, price) else None


def _discounts(say: _Say, line: InvoiceLine) -> tuple[tuple[Discount, ...], tuple[str, ...]]:
    """By coupon. A price with tax in it, and what is taken off that, is no part of the net amount and told in words."""
    words = WORDS[say.locale.language]
    taken = [
        (f"{words.discount} {printable(coupon['code'])}", say.money(share["discount"]))
        for coupon in say.invoice.coupons or []
        for share in coupon["shares"]
        if share["key"] == line.id and share["discount"]
    ]
    if line.inclusive:
        asked = (words.price_with_tax, say.money(line.amount_minor - line.billed_before_minor))
        told = [asked, *((label, -amount) for label, amount in taken)]
        return (), tuple(
            words.labelled.format(label=label, value=say.formats.told(amount)) for label, amount in told
        )
    return tuple(Discount(label, amount) for label, amount in taken), ()


# -- tax


def _category(line: InvoiceLine) -> TaxCategory:
    return TaxCategory((line.tax or {})["category"])


def _rate(line: InvoiceLine) -> Decimal:
    """All rates that the line bears, together."""
    return sum((Decimal(part["rate"]) for part in (line.tax or {})["parts"]), Decimal(0)).normalize()


def _reasons(lines: Sequence[InvoiceLine]) -> dict[str, str]:
    """Why there is no tax, by category, as the first such line has it."""
    found: dict[str, str] = {}
    for line in lines:
        tax = line.tax or {}
        found.setdefault(tax["category"], tax["reason"] or tax["reason_code"])
    return found


def _tax(
    say: _Say, category: str, rate: str | None, name: str, base: int, tax: int, reasons: Mapping[str, str]
) -> Tax:
    """Only an exemption says its reason in the seller's words: of the others the document knows its reader's."""
    kinds = {one["kind"].upper() for one in (say.invoice.seller or {})["tax_ids"]}
    return Tax(
        printable(name) or (_VAT if _VAT in kinds else WORDS[say.locale.language].tax_rate),
        TaxCategory(category),
        Decimal(rate or 0).normalize(),
        say.money(base),
        say.money(tax),
        printable(reasons.get(category, "")) if category == TaxCategory.EXEMPT else "",
    )


def _credited_taxes(
    say: _Say, by_id: Mapping[str, InvoiceLine], taken: Sequence[CreditNoteLine]
) -> tuple[Tax, ...]:
    """By category, rate and name, as on the invoice; bases and taxes are what the note takes of its lines."""
    sums: dict[tuple[str, str | None, str], list[int]] = defaultdict(lambda: [0, 0])
    for one in taken:
        tax: Mapping[str, Any] = by_id[one.invoice_line_id].tax or {}
        parts = zip(tax["parts"], one.tax_parts, strict=True)
        shares = [(part["rate"], part["name"], minor) for part, minor in parts] or [(None, "", 0)]
        for rate, name, minor in shares:
            so_far = sums[tax["category"], rate, name]
            so_far[0] += one.net_minor
            so_far[1] += minor
    reasons = _reasons(list(by_id.values()))
    return tuple(
        _tax(say, category, rate, name, base, tax, reasons)
        for (category, rate, name), (base, tax) in sums.items()
    )
