"""Reads of the mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.audit.reads import MAILBOX, note_read
from services.core.crossing import Reason, crossing
from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import rules

OWN_MAILS_MAX = 20


@dataclass(frozen=True, slots=True)
class MailRow:
    """`state` is waiting (where mail is kept, until it is forgotten), failed or sent. Once sent, `body` and `html`
    are empty; `html` also where plain text is all there is."""

    id: str
    recipient: str
    subject: str
    body: str
    html: str
    created_at: datetime
    sent_at: datetime | None
    error: str
    state: str


_COLUMNS = """
select id, recipient, subject, body, html, created_at, sent_at, error,
  case when sent_at is not null then 'sent' when error <> '' then 'failed' else 'waiting' end as state
from mail
"""


async def mailbox(
    uow: UnitOfWork, *, before: tuple[datetime, str] | None = None, limit: int = 50
) -> list[MailRow]:
    """All mail, newest first, from behind `before` = (created_at, id). `uow` crosses tenants for staff.

    Each look is noted in the log.
    """
    uow.actor.require(Capability.STAFF_MAILBOX_READ)
    await note_read(uow, MAILBOX)
    rows = await uow.execute(
        _COLUMNS + " where cast(:before_at as timestamptz) is null"
        " or created_at < :before_at or (created_at = :before_at and id > :before_id)"
        " order by created_at desc, id limit :limit",
        before_at=before[0] if before else None,
        before_id=before[1] if before else "",
        limit=limit,
    )
    return [MailRow(**row) for row in rows.mappings()]


async def mails_for(address: str, *, mode: str) -> list[MailRow]:
    """The newest mail to one address, for whoever asks: only where mail is kept because nobody is real.

    Raises NotFound in any mode but demo, Invalid for what is no address.
    """
    if mode != "demo":
        raise NotFound("There is no mailbox here.", next_step="Look into your own mailbox.")
    email = rules.parse_email(address)
    async with crossing(Reason.MAIL) as uow:
        rows = await uow.execute(
            _COLUMNS
            + " where lower(recipient) = lower(:address) order by created_at desc, id desc limit :limit",
            address=email.address,
            limit=OWN_MAILS_MAX,
        )
        return [MailRow(**row) for row in rows.mappings()]
