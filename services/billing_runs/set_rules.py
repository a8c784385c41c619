"""What a renewal of one subscription among many comes to, worked out by the rules that bill one by itself. Pure.

Only what is plain is worked out here: one moment, after which nothing is due, of prices for time and prices that are
charged once, all of it on one new document. Source: docs/decisions/0031-billing-in-sets.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from models.billing import BillingProfile, InvoiceState, LegalEntity, ZeroDocuments
from models.money import Money
from models.subscriptions import SubscriptionState
from models.values import value
from services.billing.changes import Billed
from services.billing.draft_columns import NOTHING_YET
from services.billing.final_rules import (
    booking_of,
    deferrals_of,
    fixed_line,
    said_by_issuer,
    said_of,
    totals_by,
)
from services.billing.invoices import line_values
from services.billing.issuers import Issuer
from services.billing.new_lines import NewLine
from services.billing.numbering import label_date
from services.billing.taxation import Taxed
from services.billing.totals import InvoiceLine as LineOfTotals
from services.billing.totals import Totals
from services.billing_runs.set_reading import Read
from services.core.ids import new_id
from services.identity.rules import require_currency
from services.ledger.rules import Deferral, Draft
from services.subscriptions.billing import known_line
from services.subscriptions.rows import subscribed
from services.subscriptions.rules import next_moment, turn
from services.subscriptions.subscribed import Item, Subscribed


@dataclass(slots=True)
class Document:
    """A document as it is kept, but for its number. `totals` is None for one that asks for nothing and is dropped."""

    values: dict[str, Any]
    lines: list[dict[str, Any]]
    by: Issuer
    on: date
    totals: Totals | None = None
    deferrals: Sequence[Deferral] = ()
    booked: Draft | None = None


@value
class Renewal:
    """What became of one subscription at its moment: its items that changed, as they are kept, and its document."""

    row: Any
    before: SubscriptionState
    after: SubscriptionState
    next_at: datetime | None
    items: list[dict[str, Any]]
    document: Document | None


class Renewals:
    """Works out renewals of what was read together, at `now`."""

    def __init__(self, read: Read, now: datetime) -> None:
        self._read = read
        self._now = now
        self._taxed: dict[Hashable, Taxed] = {}  # by who is taxed alike
        self._dates: dict[str, date] = {}  # by entity
        self._said: dict[str, dict[str, Any]] = {}  # by brand

    def of(self, row: Any) -> Renewal | None:
        """None for what is not plain. Raises as billing one by itself does."""
        items = {item.number: item for item in self._read.items[row.id]}
        before = subscribed(row, items.values(), self._read.sold, None)
        moment = next_moment(before)
        if moment is None or moment > self._now or not _is_plain(before, moment):
            return None
        made = turn(before, moment, addressed=row.organization_id in self._read.profiles)
        after, next_at = made.subscribed, next_moment(made.subscribed)
        if made.billed is not Billed.NOW or (next_at is not None and next_at <= self._now):
            return None
        changed = [
            (items[item.number], item)
            for item, there in zip(after.items, before.items, strict=True)
            if item is not there
        ]
        if any(item.live is None and (kept.live_line_id or kept.undoable) for kept, item in changed):
            return None  # what it paid for was not read, and would be forgotten
        document = None
        if made.lines:
            document = self._document(row, [known_line(one) for one in made.lines])
            if document is None:
                return None
        line_ids = {one["key"]: one["id"] for one in document.lines} if document is not None else {}
        kept_items = [_kept(row, item, line_ids) for _, item in changed]
        return Renewal(row, before.state, after.state, next_at, kept_items, document)

    def _document(self, row: Any, new: Sequence[NewLine]) -> Document | None:
        profile = self._read.profiles.get(row.organization_id)
        if profile is None:
            return None
        by = self._issuer(profile)
        if by is None or by.entity.is_test:
            return None
        require_currency(row.currency, on=self._now.date())
        invoice_id, organization_id = new_id("inv"), row.organization_id
        lines = [
            line_values(
                line,
                place,
                invoice_id=invoice_id,
                organization_id=organization_id,
                currency=row.currency,
                now=self._now,
            )
            | {"position": place + 1, **_UNFIXED}
            for place, line in enumerate(new)
        ]
        made = Document(self._draft(invoice_id, row, by, len(lines)), lines, by, self._on(by.entity))
        asks = any(line.amount.minor for line in new)
        if asks or by.entity.zero_documents != ZeroDocuments.DROP:
            self._finalise(made, profile, row.zone, payment_days=row.payment_days)
        return made

    def _issuer(self, profile: BillingProfile) -> Issuer | None:
        """As services/billing/issuers.py finds it for one."""
        named = profile.legal_entity_id
        entity = self._read.entities.get(named) if named is not None else self._read.usual
        if entity is None:
            return None
        brand = self._read.brands.get(profile.brand_id or "")
        return Issuer(entity, brand or self._read.default_brands[entity.id])

    def _draft(self, invoice_id: str, row: Any, by: Issuer, lines: int) -> dict[str, Any]:
        """It is collected at once."""
        return {
            **NOTHING_YET,
            "id": invoice_id,
            "organization_id": row.organization_id,
            "legal_entity_id": by.entity.id,
            "brand_id": by.brand.id,
            "key": f"{row.id}.{row.invoices + 1}",
            "subscription_id": row.id,
            "currency": row.currency,
            "lines": lines,
            "next_position": lines + 1,
            "created_at": self._now,
            "collect_until": self._now,
        }

    def _finalise(
        self, document: Document, profile: BillingProfile, zone: str, *, payment_days: int | None
    ) -> None:
        values, entity = document.values, document.by.entity
        code, invoice_id, organization_id = values["currency"], values["id"], values["organization_id"]
        taxed = self._taxed_of(entity, profile, document.on)
        totals = totals_by(
            entity,
            [
                LineOfTotals(
                    key=line["id"],
                    charged=Money(line["amount_minor"], code),
                    treatment=taxed.treat(line["tax_code"], None),
                    plan=line["plan"],
                    inclusive=line["inclusive"],
                )
                for line in document.lines
            ],
            currency=code,
        )
        for line, fixed in zip(document.lines, totals.lines, strict=True):
            line.update(fixed_line(fixed))
        periods = {line["id"]: (line["period_start"], line["period_end"]) for line in document.lines}
        document.totals = totals
        document.deferrals = deferrals_of(totals, periods, zone=zone)
        document.booked = booking_of(invoice_id, organization_id, totals, document.deferrals, at=self._now)
        days = entity.payment_days if payment_days is None else payment_days
        values.update(self._said_by(document.by), **said_of(profile, totals, document.on, payment_days=days))
        paid = not totals.due.minor
        values["state"] = (InvoiceState.PAID if paid else InvoiceState.FINALIZED).value
        values["due_minor"] = totals.due.minor
        values["finalized_at"], values["paid_at"] = self._now, self._now if paid else None

    def _on(self, entity: LegalEntity) -> date:
        if entity.id not in self._dates:
            self._dates[entity.id] = label_date(self._now, entity.timezone)
        return self._dates[entity.id]

    def _taxed_of(self, entity: LegalEntity, profile: BillingProfile, on: date) -> Taxed:
        """Who has neither a tax number nor an exemption is taxed as all are in that country."""
        is_usual = profile.tax_number is None and profile.exemption is None
        alike = (entity.id, profile.country) if is_usual else profile.organization_id
        if alike not in self._taxed:
            rates = self._read.rates.get(profile.country, ())
            self._taxed[alike] = Taxed(entity, profile, rates, on)
        return self._taxed[alike]

    def _said_by(self, by: Issuer) -> dict[str, Any]:
        if by.brand.id not in self._said:
            self._said[by.brand.id] = said_by_issuer(by.entity, by.brand)
        return self._said[by.brand.id]


_UNFIXED: Mapping[str, Any] = {  # of a line that was not finalised
    **dict.fromkeys(("discount_minor", "net_minor", "tax_minor", "gross_minor"), 0),
    "tax": None,
}


def _is_plain(before: Subscribed, moment: datetime) -> bool:
    """Whether time is all that passes at the moment: nothing ends, is taken up again, counted, or comes to a wallet."""
    comes = (before.scheduled_at, before.cancel_at, before.resume_at)
    return all(at is None or at > moment for at in comes) and not any(
        item.price.charge.meter is not None or item.price.charge.included_credits for item in before.items
    )


def _kept(row: Any, item: Item, line_ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "subscription_id": row.id,
        "number": item.number,
        "billed_until": item.billed_until,
        "live_line_id": line_ids[item.live.line_id] if item.live is not None else None,
        "lines": item.made,
        "ended_at": item.ended_at,
    }
