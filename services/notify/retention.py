"""What is forgotten of mail."""

from __future__ import annotations

from datetime import timedelta

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.retention import delete
from services.identity.rules import CONFIRMATION_VALID

SENT_MAIL_KEPT = timedelta(days=90)  # its text went when it was sent


async def forget_old_mail(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete mail that was not sent while its link worked, the link with it, and mail sent long ago.

    Returns how many went; when there was more than one turn takes, the next turn goes on.
    """
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        dead = await delete(
            uow, "mail", "sent_at is null and created_at <= :now - :valid", valid=CONFIRMATION_VALID
        )
        return dead + await delete(uow, "mail", "sent_at <= :now - :kept", kept=SENT_MAIL_KEPT)
