"""What is known in our favour when a bank takes a payment back, worded by a provider's fields and never invented.

For staff, in work across tenants: it is about people's sign-ins and mails, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from models.disputes import Dispute
from models.money import Money
from services.audit.reads import note_read
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.documents import tables
from services.files.rules import Kind
from services.payments import brands, policies
from services.payments.providers import registry
from services.payments.providers.values import NOTES, Evidence, EvidenceFile

ROWS_MAX = 60  # of each section
BEFORE = timedelta(days=90)  # the payment
TEXT_CHARACTERS_MAX = 20_000  # of one field
PACK_NAME = "evidence.pdf"
TERMS_ACCEPTED = "Terms accepted"

_PAYMENT = """
select p.minor, p.currency, p.succeeded_at, coalesce(m.brand, '') as brand, coalesce(m.last4, '') as last4,
  p.invoice_id, o.name as organization, coalesce(b.name, '') as buyer, coalesce(b.address, '') as address,
  coalesce(i.number, '') as number, i.label_date, i.subscription_id
from payment p join organization o on o.id = p.organization_id left join invoice i on i.id = p.invoice_id
left join payment_method m on m.id = p.method_id left join billing_profile b on b.organization_id = o.id
where p.id = :id
"""
_LINES = """
select description, gross_minor, period_start, period_end from invoice_line where invoice_id = :id
order by position limit :most
"""
_USAGE = """
select date_trunc('day', bucket, 'UTC')::date as day, sum(events)::bigint as events,
  count(distinct nullif(model, '')) as models
from usage_day where organization_id = :organization_id and bucket >= :since and bucket < :until
group by 1 order by 1 desc limit :most
"""
_KEYS = """
select name, prefix, created_at, last_used_at from api_key
where organization_id = :organization_id and last_used_at >= :since order by last_used_at desc, id limit :most
"""
_SIGN_INS = """
select s.created_at, s.address, s.user_agent, a.email from session s
join account a on a.id = s.account_id join membership m on m.account_id = a.id
where m.organization_id = :organization_id and s.created_at >= :since and s.created_at < :until
order by s.created_at desc, s.id limit :most
"""
_MAILS = """
select e.created_at, e.sent_at, e.subject, e.recipient from mail e
where e.created_at >= :since and e.created_at < :until and lower(e.recipient) in (
  select lower(a.email) from account a join membership m on m.account_id = a.id
  where m.organization_id = :organization_id
)
order by e.created_at desc, e.id limit :most
"""
_TERMS = """
select a.accepted_at, a.address, a.user_agent, a.occasion, coalesce(p.email, '') as email, v.number, v.text,
  encode(v.sha256, 'hex') as sha256
from terms_acceptance a join terms_version v on v.id = a.terms_id left join account p on p.id = a.account_id
where a.organization_id = :organization_id and a.accepted_at < :until order by a.accepted_at desc, a.id limit :most
"""
TERMS_PARAGRAPHS_MAX = 400  # of the text, as it was accepted


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of cells below one title; empty where nothing is known."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """What is known about a disputed payment."""

    dispute_id: str
    reference: str
    customer: str
    address: str
    email: str
    sign_in_address: str  # from where somebody signed in last before it was paid
    service_days: str
    sections: tuple[Section, ...]


async def gather(uow: UnitOfWork, dispute_id: str) -> Pack:
    """For whoever may answer; mails are told to whoever may read the mailbox. Raises Forbidden and NotFound."""
    dispute = await policies.dispute_for(uow, dispute_id, Capability.STAFF_PAYMENTS_WRITE)
    await note_read(uow, "evidence", organization_id=dispute.organization_id, row_id=dispute.id)
    paid = (await uow.execute(_PAYMENT, id=dispute.payment_id)).one()
    at: datetime = paid.succeeded_at or dispute.opened_at
    span = {
        "organization_id": dispute.organization_id,
        "since": at - BEFORE,
        "until": max(uow.wall_now, dispute.opened_at),
        "most": ROWS_MAX,
    }
    lines = list(await uow.execute(_LINES, id=paid.invoice_id, most=ROWS_MAX))
    sign_ins = list(await uow.execute(_SIGN_INS, span))
    usage = list(await uow.execute(_USAGE, span))
    keys = list(await uow.execute(_KEYS, {name: span[name] for name in ("organization_id", "since", "most")}))
    terms = list(
        await uow.execute(_TERMS, {name: span[name] for name in ("organization_id", "until", "most")})
    )
    reads_mail = uow.actor.may(Capability.STAFF_MAILBOX_READ)
    mails = list(await uow.execute(_MAILS, span)) if reads_mail else []
    before = [row for row in sign_ins if row.created_at <= at] or sign_ins
    periods = [(row.period_start, row.period_end) for row in lines if row.period_start is not None]
    days = f"{min(p[0] for p in periods):%Y-%m-%d} - {max(p[1] for p in periods):%Y-%m-%d}" if periods else ""
    return Pack(
        dispute_id=dispute.id,
        reference=dispute.provider_ref,
        customer=paid.buyer or paid.organization,
        address=paid.address,
        email=before[0].email if before else "",
        sign_in_address=before[0].address if before else "",
        service_days=days,
        sections=(
            _of_payment(dispute, paid, at),
            Section(
                "Invoice lines",
                ("What", "Amount"),
                tuple((row.description, Money(row.gross_minor, paid.currency).said()) for row in lines),
            ),
            Section(
                "Use, by day",
                ("Day", "Events", "Models"),
                tuple((str(row.day), f"{row.events:,}", str(row.models)) for row in usage),
            ),
            Section(
                "API keys that were used",
                ("Key", "Made", "Used last"),
                tuple(
                    (f"{row.name} ({row.prefix})", _time(row.created_at), _time(row.last_used_at))
                    for row in keys
                ),
            ),
            Section(
                "Sign-ins",
                ("When", "Who", "From", "With"),
                tuple(
                    (_time(row.created_at), row.email, row.address, row.user_agent[:80]) for row in sign_ins
                ),
            ),
            Section(
                "Mails sent",
                ("When", "To", "Subject"),
                tuple((_time(row.sent_at or row.created_at), row.recipient, row.subject) for row in mails),
            ),
            *_of_terms(terms, at),
        ),
    )


def tables_of(pack: Pack, at: datetime) -> bytes:
    """For the press, which makes a PDF of it."""
    return tables.told(
        f"Evidence on {pack.reference}",
        f"{pack.customer}, as recorded by {at:%Y-%m-%d}",
        [(one.title, one.head, one.rows) for one in pack.sections],
        at=at,
    )


def packed(pdf: bytes, provider: str) -> EvidenceFile | None:
    """The PDF of all of it as it goes along; None where the provider takes none."""
    terms = registry.kind(provider).capabilities.evidence
    return None if terms is None else EvidenceFile(terms.pack_field, PACK_NAME, Kind.PDF.value, pdf)


def _of_payment(dispute: Dispute, paid: Row[Any], at: datetime) -> Section:
    return Section(
        "Payment",
        ("What", "Is"),
        (
            ("Amount", Money(paid.minor, paid.currency).said()),
            ("Paid", _time(at)),
            ("By", f"{brands.named(paid.brand)} {paid.last4}".strip() or "-"),
            ("Disputed", f"{Money(dispute.minor, dispute.currency).said()}: {dispute.reason}"),
            ("Invoice", f"{paid.number} of {paid.label_date}" if paid.number else "on account"),
        ),
    )


def _of_terms(accepted: Sequence[Row[Any]], at: datetime) -> tuple[Section, ...]:
    """Who accepted which version, and the text of the one that was accepted last before it was paid; nothing where
    nobody did."""
    if not accepted:
        return ()
    counts = next((row for row in accepted if row.accepted_at <= at), accepted[-1])
    paragraphs = [line for line in counts.text.splitlines() if line.strip()][:TERMS_PARAGRAPHS_MAX]
    return (
        Section(
            TERMS_ACCEPTED,
            ("When", "Version", "Who", "By", "From", "With", "SHA-256 of the text"),
            tuple(
                (
                    _time(row.accepted_at), str(row.number), row.email, row.occasion, row.address,
                    row.user_agent[:80], row.sha256[:16],
                )
                for row in accepted
            ),
        ),
        Section(
            "Text of the terms",
            (f"Version {counts.number}",),
            tuple((paragraph,) for paragraph in paragraphs),
        ),
    )  # fmt: skip


def worded(pack: Pack, provider: str, said: str = "") -> Evidence:
    """By the provider's fields; what is not known has none. `said` is what staff adds. Where there are no fields for
    texts it is the notes, with what was paid and the PDF told of."""
    terms = registry.kind(provider).capabilities.evidence
    if terms is None:
        return Evidence({})
    if terms.notes_max:
        payment = next(section for section in pack.sections if section.title == "Payment")
        notes = "\n\n".join(filter(None, (said.strip(), _text(payment), "All of it is in the PDF.")))
        return Evidence({NOTES: notes[: terms.notes_max]})
    by_title = {section.title: section for section in pack.sections}
    texts = {
        "customer_name": pack.customer,
        "billing_address": pack.address,
        "customer_email_address": pack.email,
        "customer_purchase_ip": pack.sign_in_address,
        "service_date": pack.service_days,
        "product_description": _text(by_title["Invoice lines"]),
        "access_activity_log": "\n\n".join(
            filter(
                None,
                (_text(by_title[title]) for title in ("Use, by day", "API keys that were used", "Sign-ins")),
            )
        ),
        "uncategorized_text": "\n\n".join(
            filter(
                None,
                (
                    said.strip(),
                    _text(by_title["Payment"]),
                    _text(by_title[TERMS_ACCEPTED]) if TERMS_ACCEPTED in by_title else "",
                    _text(by_title["Mails sent"]),
                ),
            )
        ),
    }
    return Evidence({name: text[:TEXT_CHARACTERS_MAX] for name, text in texts.items() if text})


def _text(section: Section) -> str:
    if not section.rows:
        return ""
    return "\n".join([f"{section.title}:", *(" | ".join(row) for row in section.rows)])


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else "-"
