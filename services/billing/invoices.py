"""Drafts of invoices and their lines, and what becomes of an invoice beside being finalised and credited.

All verbs work on documents of the organisation that the work is bound to, by its own clock. They lock the invoice, so
that two at once come one after the other, and the second sees what the first has done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from models.billing import Invoice, InvoiceLine, InvoiceState
from models.ledger import JournalKind, Purpose
from models.money import Money
from services.billing import credited_since, customer_credits, policies, states
from services.billing.draft_columns import NOTHING_YET
from services.billing.events import (
    InvoiceDrafted,
    InvoiceDropped,
    InvoiceLineRemoved,
    InvoiceLinesAdded,
    InvoiceUncollectible,
    InvoiceVoided,
)
from services.billing.issuers import issuer
from services.billing.new_lines import NewLine
from services.billing.totals import LINES_MAX
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks
from services.identity.rules import clean_text, require_currency
from services.ledger import recognition
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.wallets import debits as wallet

_WRITE = Capability.STAFF_INVOICES_WRITE
DESCRIPTION_CHARACTERS_MAX = 500
MEMO_CHARACTERS_MAX = 1_000
KEY_CHARACTERS_MAX = 120
SERVICE_PERIOD_MAX = timedelta(days=10 * 366)
AMOUNT_MINOR_MAX = 10**15  # of a line and of a document: what one entry of the ledger takes


class KeyMeansOther(Conflict):
    """The key of a document or a line that is there already came with something else."""

    code = "key_means_other"
    title = "This key belongs to something else"


async def create_draft(
    uow: UnitOfWork,
    *,
    key: str,
    currency: str = "",
    memo: str = "",
    legal_entity_id: str | None = None,
    brand_id: str | None = None,
    subscription_id: str | None = None,
    needs: Capability = _WRITE,
) -> Invoice:
    """A draft without lines, in the entity's currency if none is said. The same key is the draft that is there.

    `needs` is what the act needs that bills: staff's own, or another that ends in an invoice. Raises Forbidden,
    Invalid, NotFound for an entity or a brand that is not there, BrandIsArchived, LegalEntityMissing, and
    KeyMeansOther.
    """
    uow.actor.require(needs)
    if subscription_id is None:  # else whoever acts was asked already
        clocks.require_still_for_people(uow)
    require_key(key)
    memo = _memo(memo)
    by = await issuer(uow, legal_entity_id=legal_entity_id, brand_id=brand_id, needs=needs)
    currency = require_currency(currency or by.entity.currency, on=uow.now.date())
    made = await uow.session.exec(
        insert(Invoice)
        .values(
            {
                **NOTHING_YET,
                "id": new_id("inv"),
                "organization_id": uow.organization_id,
                "legal_entity_id": by.entity.id,
                "brand_id": by.brand.id,
                "key": key,
                "subscription_id": subscription_id,
                "currency": currency,
                "memo": memo,
                "created_at": uow.now,
                "collect_until": uow.now + timedelta(hours=by.entity.grace_hours),
            }
        )
        .on_conflict_do_nothing(index_elements=["organization_id", "key"])
        .returning(Invoice)
    )
    row = made.scalars().one_or_none()
    if row is None:
        row = await _known_draft(uow, key, needs)
        meant = (currency, memo, by.entity.id, brand_id or row.brand_id)
        if (row.currency, row.memo, row.legal_entity_id, row.brand_id) != meant:
            raise KeyMeansOther(
                f"{key!r} is the key of another invoice.",
                next_step="Give another act another key.",
                invoice_id=row.id,
            )
        return row
    uow.record(InvoiceDrafted(aggregate_id=row.id, organization_id=uow.organization_id, currency=currency))
    return row


async def _known_draft(uow: UnitOfWork, key: str, needs: Capability) -> Invoice:
    found = await uow.execute(
        "select id from invoice where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    return await policies.invoice_for(uow, found.scalar_one(), needs)


async def add_lines(
    uow: UnitOfWork, invoice_id: str, new: Sequence[NewLine], *, needs: Capability = _WRITE
) -> list[InvoiceLine]:
    """Add lines to a draft, all of them or none. A line whose key is there already is that line.

    Raises Forbidden, NotFound, InvoiceStateConflict, KeyMeansOther, and Invalid for another currency, too large an
    amount and more than LINES_MAX lines in all.
    """
    invoice = await policies.invoice_for(uow, invoice_id, needs)
    return await add_to(uow, invoice, new)


async def add_to(uow: UnitOfWork, invoice: Invoice, new: Sequence[NewLine]) -> list[InvoiceLine]:
    """As `add_lines`, to an invoice that is locked."""
    states.require_draft(InvoiceState(invoice.state))
    if not new:
        return []
    known = await _known_lines(uow, invoice, [line.key for line in new if line.key])
    rows: list[InvoiceLine] = []
    added: list[InvoiceLine] = []
    for place, line in enumerate(new):
        row = InvoiceLine(
            **line_values(
                line,
                place,
                invoice_id=invoice.id,
                organization_id=invoice.organization_id,
                currency=invoice.currency,
                now=uow.now,
            )
        )
        there = known.get(row.key)
        if there is not None:
            _require_same(there, row)
        else:
            added.append(row)
            known[row.key] = row
            row.position = invoice.next_position
            invoice.next_position += 1
        rows.append(there or row)
    if invoice.lines + len(added) > LINES_MAX:
        raise Invalid(
            f"An invoice has at most {LINES_MAX:,} lines, and this would have {invoice.lines + len(added):,}.",
            field="lines",
            next_step="Put the rest on another invoice.",
        )
    if added:
        invoice.lines += len(added)
        uow.session.add_all([invoice, *added])
        await uow.session.flush()
        uow.record(InvoiceLinesAdded(**_named(invoice), lines=len(added)))
    return rows


async def _known_lines(uow: UnitOfWork, invoice: Invoice, keys: list[str]) -> dict[str, InvoiceLine]:
    if not keys or not invoice.lines:
        return {}
    found = await uow.execute(
        "select id from invoice_line where invoice_id = :id and key = any(:keys)", id=invoice.id, keys=keys
    )
    rows = [await policies.line_for(uow, invoice, line_id) for line_id in found.scalars().all()]
    return {row.key: row for row in rows}


def line_values(
    line: NewLine, place: int, *, invoice_id: str, organization_id: str, currency: str, now: datetime
) -> dict[str, Any]:
    """The columns of a line as it is kept, number `place` of those that are added. Raises Invalid."""
    at = f"lines.{place}"
    if line.key:
        require_key(line.key, field=f"{at}.key")
    for amount in (line.amount, line.billed_before, line.tax):
        if amount is not None and amount.currency != currency:
            raise Invalid(f"{amount.said()} is not in {currency}, as the invoice is.", field=f"{at}.currency")
        if amount is not None and abs(amount.minor) > AMOUNT_MINOR_MAX:
            raise Invalid(f"{amount.said()} is more than a line can hold.", field=f"{at}.quantity")
    start, end = line.period or (None, None)
    if start is not None and end is not None and not timedelta(0) < end - start <= SERVICE_PERIOD_MAX:
        raise Invalid("A service period ends after it begins, within ten years.", field=f"{at}.period_end")
    line_id = new_id("invl")
    return {
        "id": line_id,
        "organization_id": organization_id,
        "invoice_id": invoice_id,
        "key": line.key or line_id,
        "position": 0,
        "origin": line.origin.value,
        "description": clean_text(
            line.description,
            field=f"{at}.description",
            what="The description",
            characters_max=DESCRIPTION_CHARACTERS_MAX,
        ),
        "quantity": line.quantity,
        "amount_minor": line.amount.minor,
        "billed_before_minor": line.billed_before.minor if line.billed_before else 0,
        "inclusive": line.inclusive,
        "discountable": line.discountable,
        "metric": line.metric,
        "plan": line.plan,
        "tax_code": line.tax_code,
        "given_tax_minor": line.tax.minor if line.tax is not None else None,
        "treatment": line.treatment,
        "period_start": start,
        "period_end": end,
        "facts": line.facts,
        "created_at": now,
    }


def _require_same(there: InvoiceLine, row: InvoiceLine) -> None:
    compared = ("description", "amount_minor", "facts", "period_start", "period_end", "inclusive", "tax_code")
    if any(getattr(there, name) != getattr(row, name) for name in compared):
        raise KeyMeansOther(
            f"{row.key!r} is the key of another line.",
            next_step="Give another line another key.",
            line_id=there.id,
        )


async def remove_line(uow: UnitOfWork, invoice_id: str, line_id: str) -> None:
    """Take a line off a draft. Raises Forbidden, NotFound and InvoiceStateConflict."""
    invoice = await policies.invoice_for(uow, invoice_id, _WRITE)
    states.require_draft(InvoiceState(invoice.state))
    row = await policies.line_for(uow, invoice, line_id)
    of_usage = row.facts["made_by"] == "price_list"
    if of_usage or (invoice.subscription_id and row.key.startswith(f"{invoice.subscription_id}.")):
        what = "usage, which is counted again" if of_usage else "a subscription, which goes on"
        raise states.refused(InvoiceState(invoice.state), f"has this line of {what}")
    await uow.session.delete(row)
    invoice.lines -= 1
    uow.add(invoice)
    await uow.session.flush()
    uow.record(InvoiceLineRemoved(**_named(invoice), line_id=line_id))


async def void(uow: UnitOfWork, invoice_id: str, *, reason: str, needs: Capability = _WRITE) -> Invoice:
    """Undo an invoice as if it had not been; its number stays taken. A draft is given up, and has none.

    What it booked is reversed, its revenue is earned no more, and what of credits and the wallet paid a part is back.
    Raises Forbidden, NotFound, Invalid, InvoiceStateConflict and CreditedElsewhere: credit notes correct what is paid
    or was credited.
    """
    invoice = await policies.invoice_for(uow, invoice_id, needs)
    reason = clean_text(reason, field="reason", what="The reason", characters_max=DESCRIPTION_CHARACTERS_MAX)
    states.require_transition(InvoiceState(invoice.state), InvoiceState.VOID)
    if invoice.credited_minor:
        raise states.refused(InvoiceState(invoice.state), "was credited in part, so it cannot be voided")
    if invoice.number is None:
        await drop(uow, invoice)
        return invoice
    await credited_since.require_nothing(uow, invoice)
    if await _paid_from_outside(uow, invoice):
        raise states.refused(
            InvoiceState(invoice.state), "was paid in part, or is being paid, so it cannot be voided"
        )
    await customer_credits.give_back(uow, invoice)
    await wallet.give_back(uow, invoice.id)
    if invoice.journal_id is not None:
        await ledger.reverse(uow, invoice.journal_id, at=uow.now, note=reason)
    deferred = await uow.execute(
        "select d.line_id from ledger_deferral d join invoice_line l on l.id = d.line_id"
        " where l.invoice_id = :id and d.organization_id = l.organization_id order by d.line_id",
        id=invoice.id,
    )
    for line_id in deferred.scalars().all():
        await recognition.withdraw(uow, invoice.organization_id, line_id)
    invoice.state, invoice.voided_at = InvoiceState.VOID.value, uow.now
    invoice.due_minor = invoice.paid_minor = 0
    uow.add(invoice)
    await uow.session.flush()
    uow.record(InvoiceVoided(**_named(invoice), number=invoice.number, reason=reason))
    return invoice


async def _paid_from_outside(uow: UnitOfWork, invoice: Invoice) -> bool:
    """Whether money came for it, or may come still. Payments lock the invoice first, as the caller did."""
    found = await uow.execute(
        "select exists (select from payment where invoice_id = :id and state not in ('failed', 'canceled'))",
        id=invoice.id,
    )
    return bool(found.scalar_one())


async def drop(uow: UnitOfWork, invoice: Invoice) -> None:
    """End a draft that never gets a number; `invoice` is locked."""
    states.require_transition(InvoiceState(invoice.state), InvoiceState.VOID)
    invoice.state, invoice.voided_at = InvoiceState.VOID.value, uow.now
    uow.add(invoice)
    await uow.session.flush()
    uow.record(InvoiceDropped(**_named(invoice)))


async def mark_uncollectible(uow: UnitOfWork, invoice_id: str) -> Invoice:
    """Give up what is due, and book it as written off. Raises Forbidden, NotFound and InvoiceStateConflict."""
    invoice = await policies.invoice_for(uow, invoice_id, _WRITE)
    states.require_transition(InvoiceState(invoice.state), InvoiceState.UNCOLLECTIBLE)
    lost = Money(invoice.due_minor, invoice.currency)
    await ledger.post(
        uow,
        Draft(
            invoice.organization_id,
            key=f"write_off:{invoice.id}",
            kind=JournalKind.WRITE_OFF,
            cause_id=invoice.id,
            entries=(debit(Purpose.WRITE_OFFS, lost), credit(Purpose.RECEIVABLE, lost)),
            at=uow.now,
        ),
    )
    invoice.state, invoice.uncollectible_at = InvoiceState.UNCOLLECTIBLE.value, uow.now
    invoice.written_off_minor, invoice.due_minor = lost.minor, 0
    uow.add(invoice)
    await uow.session.flush()
    uow.record(
        InvoiceUncollectible(**_named(invoice), number=invoice.number or "", written_off_minor=lost.minor)
    )
    return invoice


def require_key(key: str, *, field: str = "key") -> None:
    """Raises Invalid for a key that is empty, too long or not of visible ASCII characters."""
    visible = key.isascii() and key.isprintable() and " " not in key
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX or not visible:
        raise Invalid(f"A key has 1 to {KEY_CHARACTERS_MAX} visible characters of ASCII.", field=field)


def _memo(text: str) -> str:
    given = text.strip()
    return given and clean_text(text, field="memo", what="The memo", characters_max=MEMO_CHARACTERS_MAX)


def _named(one: Invoice) -> dict[str, Any]:
    return {"aggregate_id": one.id, "organization_id": one.organization_id, "currency": one.currency}
