"""The mail job: a door of its own, so settings are read here and handed on."""

from __future__ import annotations

from typing import Any

from services.core.jobs import job
from services.core.settings import Settings, settings
from services.notify.sending import Sender
from services.notify.service import Cause, send_account_mail
from services.notify.smtp import SmtpServer
from services.notify.telling import MailWanted, mail_notice

ACCOUNT_MAIL = "notify.account_mail"
NOTICE_MAIL = "notify.notice_mail"


def sender_of(chosen: Settings) -> Sender:
    """Demo mode keeps mail even if a server is named: its people are invented, their addresses may not be."""
    server = None
    if chosen.mode == "production" and chosen.smtp_url is not None:
        server = SmtpServer.from_url(chosen.smtp_url.get_secret_value())
    return Sender(public_url=chosen.public_url, mail_from=chosen.mail_from, server=server)


@job(ACCOUNT_MAIL)
async def account_mail(payload: dict[str, Any]) -> None:
    await send_account_mail(Cause(**payload), sender=sender_of(settings()))


@job(NOTICE_MAIL)
async def notice_mail(payload: dict[str, Any]) -> None:
    await mail_notice(MailWanted(**payload), sender=sender_of(settings()))
