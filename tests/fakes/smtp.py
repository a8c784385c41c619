"""An SMTP server that keeps what it gets: enough of RFC 5321, STARTTLS and AUTH PLAIN for our sender."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str


@dataclass
class FakeSmtp:
    """Switches for faults: `refuse` answers the message with a temporary error."""

    port: int = 0
    certificate: ssl.SSLContext | None = None  # offers STARTTLS, or speaks TLS at once if `tls_first`
    password: str = ""
    refuse: bool = False
    received: list[Received] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Conversation(self, reader, writer).run()
        writer.close()


class _Conversation:
    def __init__(self, server: FakeSmtp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._sender, self._recipients, self._user = "", list[str](), ""

    @property
    def _encrypted(self) -> bool:
        return self._writer.get_extra_info("ssl_object") is not None

    async def run(self) -> None:
        await self._say("220 fake")
        while line := await self._reader.readline():
            verb, _, rest = line.decode("utf-8").strip().partition(" ")
            if verb.upper() == "QUIT":
                await self._say("221 bye")
                return
            await self._answer(verb.upper(), rest)

    async def _answer(self, verb: str, rest: str) -> None:
        if verb == "EHLO":
            offers = ["SMTPUTF8", "8BITMIME", "AUTH PLAIN"]
            if self._server.certificate and not self._encrypted:
                offers.append("STARTTLS")
            await self._say(*[f"250-{offer}" for offer in offers], "250 HELP")
        elif verb == "STARTTLS" and self._server.certificate:
            await self._say("220 go ahead")
            await self._writer.start_tls(self._server.certificate)
        elif verb == "AUTH":
            _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
            self._user = user
            await self._say("235 ok" if password == self._server.password else "535 wrong password")
        elif verb == "MAIL":
            self._sender = rest.partition("<")[2].partition(">")[0]
            await self._say("250 ok")
        elif verb == "RCPT":
            self._recipients.append(rest.partition("<")[2].partition(">")[0])
            await self._say("250 ok")
        elif verb == "DATA":
            await self._say("354 end with a dot")
            raw = await self._reader.readuntil(b"\r\n.\r\n")
            await self._take(raw.removesuffix(b".\r\n"))
        else:
            await self._say("250 ok")

    async def _take(self, raw: bytes) -> None:
        if self._server.refuse:
            await self._say("451 not now")
            return
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._server.received.append(
            Received(self._sender, self._recipients, message, self._encrypted, self._user)
        )
        await self._say("250 kept")

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()


@asynccontextmanager
async def smtp_server(server: FakeSmtp, *, tls_first: bool = False) -> AsyncIterator[FakeSmtp]:
    """Run `server` on a free port of 127.0.0.1."""
    listening = await asyncio.start_server(
        server.serve, "127.0.0.1", 0, ssl=server.certificate if tls_first else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file that makes clients trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem
