"""Mail: once per cause, with a link that works, in the mailbox or over a real SMTP conversation."""

from __future__ import annotations

import asyncio
import re
import smtplib
from pathlib import Path
from typing import Any

import pytest

from models.types import Role
from services.core import jobs
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Forbidden, Invalid, NotFound
from services.core.relay import Relay, deliver, follow
from services.identity import accounts, sessions
from services.identity.clients import Client
from services.notify import queries, service
from services.notify.service import Cause, Sender
from services.notify.smtp import Outgoing, SmtpServer, WrongSmtpUrl, message_for
from services.notify.subscribers import MAIL, SUBSCRIBERS
from tests.fakes.smtp import FakeSmtp, certificate, smtp_server
from tests.world import World

PASSWORD = "nine lives and one more"
HOME = Client("192.0.2.1")
KEPT = Sender(public_url="http://localhost:3000", mail_from="Matrix <no-reply@example.com>", server=None)


async def sign_up(email: str = "ana@example.com", name: str = "Ana", password: str = PASSWORD) -> None:
    await accounts.sign_up(email=email, password=password, name=name, client=HOME)


async def events() -> list[Any]:
    async with crossing(Reason.INVARIANTS) as uow:
        return list(
            (await uow.execute("select id, type, aggregate_id, payload from event order by id")).all()
        )


async def send(sender: Sender = KEPT, number: int = -1) -> None:
    """Do what the job does for one event."""
    event = (await events())[number]
    cause = Cause(event.id, event.aggregate_id, event.payload.get("token_id", ""))
    await service.send_account_mail(cause, sender=sender)


async def confirm(token: str, password: str = PASSWORD) -> None:
    await accounts.confirm_address(token, password=password, client=HOME)


async def mails(address: str = "ana@example.com") -> list[queries.MailRow]:
    return await queries.mails_for(address, mode="demo")


def token_in(body: str) -> str:
    found = re.search(r"http://localhost:3000/confirm\?token=([\w-]+)\n", body)
    assert found
    return found[1]


@pytest.mark.usefixtures("database")
async def test_the_mailed_link_confirms_the_address() -> None:
    await sign_up()
    await send()
    mail = (await mails())[0]
    assert mail.recipient == "ana@example.com"
    assert "Hello Ana" in mail.body
    assert (mail.state, mail.sent_at) == ("waiting", None)

    await confirm(token_in(mail.body))
    opened = await sessions.sign_in(email="ana@example.com", password=PASSWORD, client=HOME)
    assert isinstance(opened, sessions.OpenedSession)


@pytest.mark.usefixtures("database")
async def test_one_event_makes_one_mail_however_often_it_is_delivered() -> None:
    await sign_up()
    await asyncio.gather(*(send() for _ in range(6)))
    assert len(await mails()) == 1
    async with crossing(Reason.INVARIANTS) as uow:
        assert (await uow.execute("select count(*) from mail_token")).scalar_one() == 1


@pytest.mark.usefixtures("database")
async def test_asking_again_mails_a_second_link_and_both_work() -> None:
    await sign_up()
    await send()
    await accounts.resend_confirmation(email="ana@example.com", client=HOME)
    await send()
    tokens = [token_in(mail.body) for mail in await mails()]
    assert len(set(tokens)) == 2
    for token in tokens:
        await confirm(token)


@pytest.mark.usefixtures("database")
async def test_each_sign_up_is_mailed_to_the_address_as_it_wrote_it_and_opens_to_its_own_password() -> None:
    """Some addresses are found as one account and are two mailboxes: the mail of one must not reach the other."""
    await sign_up("strasse@example.com", name="Mallory", password="somebody else's password")
    await send()
    await sign_up("stra\u00dfe@example.com")
    await send()

    (theirs,), (mine,) = await mails("strasse@example.com"), await mails("stra\u00dfe@example.com")
    assert ("Hello Mallory," in theirs.body, "Hello Ana," in mine.body) == (True, True)
    with pytest.raises(Invalid):
        await confirm(token_in(theirs.body))
    await confirm(token_in(mine.body))
    opened = await sessions.sign_in(email="stra\u00dfe@example.com", password=PASSWORD, client=HOME)
    assert isinstance(opened, sessions.OpenedSession)


@pytest.mark.usefixtures("database")
async def test_a_mail_that_was_written_and_is_gone_is_not_written_again() -> None:
    await sign_up()
    await send()
    async with crossing(Reason.RETENTION) as uow:
        await uow.execute("delete from mail")
    await send()
    assert await mails() == []


@pytest.mark.usefixtures("database")
async def test_no_link_is_mailed_for_an_address_confirmed_meanwhile() -> None:
    await sign_up()
    await send()
    await accounts.resend_confirmation(email="ana@example.com", client=HOME)
    await confirm(token_in((await mails())[0].body))
    await send(number=-2)  # the second request, which came late
    assert len(await mails()) == 1


@pytest.mark.usefixtures("database")
async def test_the_owner_of_a_known_address_is_told_and_gets_no_link() -> None:
    await sign_up()
    await send()
    await confirm(token_in((await mails())[0].body))
    await sign_up()
    await send()
    notice = (await mails())[0]
    assert "already have an account" in notice.subject
    assert "token" not in notice.body


async def test_from_event_to_mailbox_through_relay_and_job(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATRIX_PUBLIC_URL", raising=False)
    running = [
        asyncio.create_task(part)
        for part in (Relay(database).run(), follow(SUBSCRIBERS, database), jobs.work(database))
    ]
    await sign_up()
    async with asyncio.timeout(60):
        while not await mails():  # noqa: ASYNC110 - the condition lies in the database
            await asyncio.sleep(0.05)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert await deliver(MAIL, database) == 0  # nothing is left to deliver


@pytest.mark.parametrize("tls", ["none", "starttls", "smtps"])
@pytest.mark.usefixtures("database")
async def test_production_sends_and_forgets_the_text(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    fake = FakeSmtp(certificate=None if tls == "none" else context, password="p@ss word")
    await sign_up()
    async with smtp_server(fake, tls_first=tls == "smtps"):
        scheme = "smtps" if tls == "smtps" else "smtp"
        server = SmtpServer.from_url(f"{scheme}://mailer:p%40ss%20word@127.0.0.1:{fake.port}")
        sender = Sender(KEPT.public_url, KEPT.mail_from, server)
        await send(sender)
        await send(sender)  # delivered again: not sent again

    assert len(fake.received) == 1
    got = fake.received[0]
    assert (got.sender, got.recipients) == ("no-reply@example.com", ["ana@example.com"])
    assert (got.encrypted, got.user) == (tls != "none", "mailer")
    assert got.message["Subject"] == "Confirm your address for Matrix"
    assert got.message["Message-ID"] == f"<{(await mails())[0].id}@example.com>"
    kept = (await mails())[0]
    assert (kept.state, kept.body) == ("sent", "")
    await confirm(token_in(got.message.get_content().replace("\r\n", "\n")))


@pytest.mark.usefixtures("database")
async def test_a_refused_mail_is_tried_again_with_the_same_link() -> None:
    fake = FakeSmtp(refuse=True)
    await sign_up()
    async with smtp_server(fake):
        sender = Sender(KEPT.public_url, KEPT.mail_from, SmtpServer("127.0.0.1", fake.port, tls=False))
        with pytest.raises(smtplib.SMTPException):
            await send(sender)
        failed = (await mails())[0]
        assert failed.state == "failed"
        assert "451" in failed.error
        fake.refuse = False
        await send(sender)
    assert token_in(fake.received[0].message.get_content().replace("\r\n", "\n")) == token_in(failed.body)
    assert [mail.state for mail in await mails()] == ["sent"]


async def test_a_password_is_not_sent_without_tls_to_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from services.notify.smtp import Smtp

    monkeypatch.setattr("socket.getaddrinfo", _everything_is_here(monkeypatch))
    fake = FakeSmtp(password="secret")
    outgoing = Outgoing("mail_1", "a@example.com", "b@example.com", "s", "b")
    async with smtp_server(fake):
        server = SmtpServer("mail.example.com", fake.port, tls=False, user="u", password="secret")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            await Smtp(server).send(outgoing)
    assert fake.received == []


def _everything_is_here(monkeypatch: pytest.MonkeyPatch) -> Any:
    import socket

    real = socket.getaddrinfo

    def here(host: object, *rest: Any, **options: Any) -> Any:
        return real("127.0.0.1", *rest, **options)

    return here


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipient", "a@example.com\nBcc: b@example.com"),
        ("subject", "Hi\r\nX: y"),
        ("sender", "a@b.c\nX: y"),
    ],
)
def test_no_header_can_be_smuggled_in(field: str, value: str) -> None:
    facts = {"sender": "a@example.com", "recipient": "b@example.com", "subject": "Hi", "body": "text"}
    with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
        message_for(Outgoing(message_id="mail_1", **{**facts, field: value}))


@pytest.mark.usefixtures("database")
async def test_a_name_stays_in_the_body() -> None:
    await sign_up(name="<b>Ana</b> %s {token}")
    await send()
    mail = (await mails())[0]
    assert "Hello <b>Ana</b> %s {token}," in mail.body
    assert "Ana" not in mail.subject


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://mail", "smtp://", "smtp://host:port", "smtps://:465"]
)
def test_a_wrong_address_of_a_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(WrongSmtpUrl) as refused:
        SmtpServer.from_url(url)
    assert url not in str(refused.value) or url == "smtp://"


@pytest.mark.usefixtures("database")
async def test_the_open_mailbox_exists_in_demo_mode_only() -> None:
    with pytest.raises(NotFound):
        await queries.mails_for("ana@example.com", mode="production")


async def test_the_mailbox_of_everybody_is_for_operators(world: World) -> None:
    for number in range(3):
        await sign_up(f"person{number}@example.com")
        await send()
    organization = await world.organization()
    for role in Role:
        async with crossing(Reason.STAFF, actor=world.actor(organization, role)) as uow:
            if role is not Role.OPERATOR:
                with pytest.raises(Forbidden):
                    await queries.mailbox(uow)
                continue
            first = await queries.mailbox(uow, limit=2)
            rest = await queries.mailbox(uow, before=(first[-1].created_at, first[-1].id))
            assert [m.recipient for m in first + rest] == [f"person{n}@example.com" for n in (2, 1, 0)]
