"""Handing a written mail to the server, once, and noting what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.notify.smtp import Outgoing, Smtp, SmtpServer

ERROR_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Sender:
    """How mail leaves this installation. Without a server it stays in the mailbox."""

    public_url: str
    mail_from: str
    server: SmtpServer | None


async def deliver(mail_id: str, *, sender: Sender, clock: Clock | None = None) -> None:
    """Send a mail if there is a server, and if it was not sent before.

    A crash between the server's yes and our note of it sends it twice, with one Message-ID. Raises what smtplib
    raises, so that the job is tried again.
    """
    if sender.server is None:
        return
    async with crossing(Reason.MAIL, clock=clock) as uow:
        found = await uow.execute(
            "select recipient, subject, body, html, unsubscribe from mail where id = :id and sent_at is null",
            id=mail_id,
        )
        mail = found.one_or_none()
    if mail is None:
        return
    outgoing = Outgoing(
        message_id=mail_id,
        sender=sender.mail_from,
        recipient=mail.recipient,
        subject=mail.subject,
        body=mail.body,
        html=mail.html,
        unsubscribe=mail.unsubscribe,
    )
    try:
        await Smtp(sender.server).send(outgoing)
    except Exception as error:
        async with crossing(Reason.MAIL, clock=clock) as uow:
            await uow.execute(
                "update mail set error = :error where id = :id",
                error=f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX].replace("\x00", ""),
                id=mail_id,
            )
        raise
    async with crossing(Reason.MAIL, clock=clock) as uow:
        # The link in it may be a secret of the recipient's: once it is on its way we have no use for it.
        await uow.execute(
            "update mail set sent_at = :now, error = '', body = '', html = '' where id = :id",
            now=uow.wall_now,
            id=mail_id,
        )
