"""Reminders by mail: written once for each step and person, in the language of the organisation's documents.

They are written when their job runs, and only while the invoice is owed: who has paid meanwhile gets none.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.money import Money
from models.types import Role
from services.billing import contested
from services.billing import policies as of_billing
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.work import UnitOfWork, unit_of_work
from services.dunning import cases, policies, words
from services.notify.letters import Letter, letter_in
from services.notify.sending import Sender, deliver
from services.payments import links

TOLD_MAX = 50  # people of one organisation
_WHO = """
select a.id, a.email from membership m join account a on a.id = m.account_id
where m.organization_id = :organization_id and m.role = any(:roles) and m.suspended_at is null
  and a.suspended_at is null order by a.id limit :most
"""
_WRITE = """
insert into mail (id, dedupe_key, recipient, subject, body, html, unsubscribe, created_at, error)
values (:id, :key, :recipient, :subject, :body, :html, '', :now, '')
on conflict (dedupe_key) do update set dedupe_key = excluded.dedupe_key returning id
"""


@dataclass(frozen=True, slots=True)
class ReminderDue:
    case_id: str
    organization_id: str
    position: int


async def send(
    due: ReminderDue, *, sender: Sender, on: Database | None = None, clock: Clock | None = None
) -> int:
    """Write the mails of a step to all who may pay, and send them if there is a server. Returns how many there are;
    running twice writes none twice. Raises what smtplib raises, so that the job is tried again."""
    async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
        written = await _letter(uow, due, sender)
    if written is None:
        return 0
    roles = sorted(role for role in Role if Capability.PAYMENTS_WRITE in ROLE_CAPABILITIES[role])
    ids: list[str] = []
    async with crossing(Reason.MAIL, on=on, clock=clock) as uow:
        people = await uow.execute(_WHO, organization_id=due.organization_id, roles=roles, most=TOLD_MAX)
        for person in people.all():
            made = await uow.execute(
                _WRITE,
                id=new_id("mail"),
                key=f"dunning:{due.case_id}:{due.position}:{person.id}",
                recipient=person.email,
                subject=written.subject,
                body=written.body,
                html=written.html,
                now=uow.wall_now,
            )
            ids.append(made.scalar_one())
    for mail_id in ids:
        await deliver(mail_id, sender=sender, clock=clock)
    return len(ids)


async def _letter(uow: UnitOfWork, due: ReminderDue, sender: Sender) -> Letter | None:
    """None when nothing is owed any more, or what is owed is contested. Its link needs no sign-in."""
    case = await policies.case_for(uow, due.case_id, cases.WRITE)
    invoice = await of_billing.invoice_for(uow, case.invoice_id, Capability.INVOICES_READ, lock=False)
    owed = await contested.collectable(uow, invoice)
    if not cases.is_owed(invoice) or not owed or invoice.due_date is None:
        return None
    profile = await of_billing.profile_of(uow)
    language = words.language_of(profile.language if profile is not None else "en")
    said = words.filled(
        words.WORDS[language],
        language=language,
        number=invoice.number or "",
        due=Money(owed, invoice.currency),
        due_date=invoice.due_date,
    )
    return letter_in(
        language,
        title=said.title,
        hello=said.hello,
        sentences=(said.owed, said.ignore),
        link=f"{sender.public_url}{await links.link_for(uow, invoice)}",
        link_text=said.link,
        why=said.why,
    )
