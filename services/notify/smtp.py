"""Handing one mail to an SMTP server, with the standard library, in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from urllib.parse import unquote, urlsplit

from services.core import tracing

SMTP_TIMEOUT_S = 20.0
_PORTS = {"smtp": 587, "smtps": 465}


class WrongSmtpUrl(ValueError):
    """MATRIX_SMTP_URL cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where to send. `smtps` speaks TLS from the start; `smtp` upgrades by STARTTLS if the server offers it.

    Credentials are never sent without TLS, except to this machine itself.
    """

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def from_url(cls, url: str) -> SmtpServer:
        """From `smtp[s]://[user:password@]host[:port]`. Raises WrongSmtpUrl, which never repeats the URL."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise WrongSmtpUrl("The address of the SMTP server cannot be read.") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise WrongSmtpUrl("The SMTP server is written like smtp://user:password@host:587 or smtps://...")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


@dataclass(frozen=True, slots=True)
class Outgoing:
    message_id: str  # the same each time this mail is sent, so that the recipient's side can tell
    sender: str
    recipient: str
    subject: str
    body: str = field(repr=False)
    html: str = field(default="", repr=False)  # the same again, for readers that show it
    unsubscribe: str = ""  # an address where such mail is switched off


def message_for(mail: Outgoing) -> EmailMessage:
    """As it goes over the wire. Raises ValueError for a line break in a header, which would start another."""
    message = EmailMessage(policy=policy.SMTP)
    _, sender_address = parseaddr(mail.sender)
    message["From"] = mail.sender
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{mail.message_id}@{sender_address.rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
    message.set_content(mail.body)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    return message


class Smtp:
    """Sends by one server, a connection for each mail."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, mail: Outgoing) -> None:
        """Raises smtplib.SMTPException or OSError; then the server has not accepted it, as far as we know."""
        message = message_for(mail)
        with tracing.outgoing_call("smtp", host=self._server.host):
            await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        server = self._server
        context = ssl.create_default_context()
        if server.tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=SMTP_TIMEOUT_S, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=SMTP_TIMEOUT_S)
        with connection:
            secure = server.tls
            if not secure:
                connection.ehlo()
                if connection.has_extn("starttls"):
                    connection.starttls(context=context)
                    secure = True
            if server.user:
                if not secure and server.host not in ("localhost", "127.0.0.1", "::1"):
                    raise smtplib.SMTPNotSupportedError(
                        "The server offers no STARTTLS, and the password is not sent without it."
                    )
                connection.login(server.user, server.password)
            connection.send_message(message)
