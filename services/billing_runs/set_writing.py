"""Writing what renewals of many subscriptions came to: one statement a table, and numbers last of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import orjson

from services.billing import finalizing
from services.billing.events import (
    InvoiceDrafted,
    InvoiceDropped,
    InvoiceFinalized,
    InvoiceLinesAdded,
    InvoicePaid,
    SubscriptionBilled,
)
from services.billing.finalizing import Drawn
from services.billing.numbering import Series
from services.billing_runs.set_rules import Document, Renewal
from services.core.work import UnitOfWork
from services.ledger import recognition
from services.ledger import service as ledger
from services.subscriptions.billing import told

_INSERT = """
insert into {table} ({columns}) select {columns}
from jsonb_populate_recordset(cast(null as {table}), cast(:rows as jsonb))
"""
_DROP = "update invoice set state = 'void', voided_at = :now where id = any(:ids)"
_SUBSCRIPTIONS = """
update subscription s set state = f.state, next_at = f.next_at, invoices = s.invoices + f.invoices,
  version = s.version + 1, attempts = 0, retry_at = null
from jsonb_to_recordset(cast(:rows as jsonb)) as f(id text, state text, next_at timestamptz, invoices int)
where s.id = f.id
"""
_ITEMS = """
update subscription_item i set billed_until = f.billed_until, live_line_id = f.live_line_id, lines = f.lines,
  ended_at = f.ended_at, undoable = '[]'
from jsonb_to_recordset(cast(:rows as jsonb)) as f(subscription_id text, number int, billed_until timestamptz,
  live_line_id text, lines int, ended_at timestamptz)
where i.subscription_id = f.subscription_id and i.number = f.number
"""


async def write(uow: UnitOfWork, renewals: Sequence[Renewal]) -> None:
    """Keep them, with what they book and what is told of them; the subscriptions are locked. At most DRAFTS_MAX."""
    uow.owned.update(one.row.id for one in renewals)
    documents = [one.document for one in renewals if one.document is not None]
    uow.owned.update(one.values["id"] for one in documents)
    await _subscriptions(uow, renewals)
    _tell_of_drafts(uow, renewals)
    await _book(uow, documents)
    issued = [one for one in documents if one.totals is not None]
    dropped = [one for one in documents if one.totals is None]
    await _issue(uow, issued)
    await _drop(uow, dropped)
    for one in renewals:
        for event in told(one.row, one.before, one.after):
            uow.record(event)


async def _subscriptions(uow: UnitOfWork, renewals: Sequence[Renewal]) -> None:
    rows = [
        {
            "id": one.row.id,
            "state": one.after.value,
            "next_at": one.next_at,
            "invoices": int(one.document is not None),
        }
        for one in renewals
    ]
    await uow.execute(_SUBSCRIPTIONS, rows=_json(rows))
    items = [item for one in renewals for item in one.items]
    if items:
        await uow.execute(_ITEMS, rows=_json(items))


def _tell_of_drafts(uow: UnitOfWork, renewals: Sequence[Renewal]) -> None:
    for one in renewals:
        if one.document is None:
            continue
        named, lines = _named(one.document), len(one.document.lines)
        whose = {"aggregate_id": one.row.id, "organization_id": one.row.organization_id}
        uow.record(InvoiceDrafted(**named))
        uow.record(InvoiceLinesAdded(**named, lines=lines))
        uow.record(SubscriptionBilled(**whose, invoice_id=one.document.values["id"], lines=lines))


async def _book(uow: UnitOfWork, documents: Sequence[Document]) -> None:
    deferred = [(one.values["organization_id"], part) for one in documents for part in one.deferrals]
    if deferred:
        await recognition.defer_all(uow, deferred)
    booked = [(one, one.booked) for one in documents if one.booked is not None]
    posted = await ledger.post_all(uow, [draft for _, draft in booked])
    for (document, _), journal in zip(booked, posted, strict=True):
        document.values["journal_id"] = journal.id
        uow.owned.add(journal.id)


async def _issue(uow: UnitOfWork, documents: Sequence[Document]) -> None:
    """Number them, each series at once and in one order, so that two who do this never wait for each other; then keep
    them. Whoever draws a number waits from here to the commit."""
    series: dict[tuple[str, str, date], list[Document]] = {}
    for one in documents:
        series.setdefault((one.by.entity.id, one.by.brand.code, one.on), []).append(one)
    for (*_, on), of_it in sorted(series.items(), key=lambda pair: pair[0]):
        drawn = await finalizing.draw_numbers(uow, of_it[0].by, Series.INVOICE, on, count=len(of_it))
        for document, number in zip(of_it, drawn, strict=True):
            _number(uow, document, number)
    await _keep(uow, documents)


def _number(uow: UnitOfWork, document: Document, drawn: Drawn) -> None:
    values = document.values
    values["number"], values["sequence"] = drawn.number, drawn.sequence
    values["series_brand"], values["series_period"] = drawn.series_brand, drawn.series_period
    named = {**_named(document), "number": drawn.number}
    uow.record(InvoiceFinalized(**named, total_minor=values["total_minor"], due_minor=values["due_minor"]))
    if values["paid_at"] is not None:
        uow.record(InvoicePaid(**named))


async def _drop(uow: UnitOfWork, documents: Sequence[Document]) -> None:
    """End what asks for nothing without a number."""
    if documents:
        await _keep(uow, documents)
        await uow.execute(_DROP, ids=[one.values["id"] for one in documents], now=uow.now)
        for one in documents:
            uow.record(InvoiceDropped(**_named(one)))


async def _keep(uow: UnitOfWork, documents: Sequence[Document]) -> None:
    await insert(uow, "invoice", [one.values for one in documents])
    await insert(uow, "invoice_line", [line for one in documents for line in one.lines])


async def insert(uow: UnitOfWork, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same columns, in one statement."""
    if rows:
        columns = ", ".join(rows[0])
        await uow.execute(_INSERT.format(table=table, columns=columns), rows=_json(rows))


def _json(rows: object) -> str:
    return orjson.dumps(rows, default=str).decode()  # decimals, exactly


def _named(document: Document) -> dict[str, Any]:
    return {name: document.values[key] for name, key in _NAMED}


_NAMED = (("aggregate_id", "id"), ("organization_id", "organization_id"), ("currency", "currency"))
