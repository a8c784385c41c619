"""Mail: written once per cause, then sent, or in demo mode kept to be read in the mailbox."""

from __future__ import annotations

from dataclasses import dataclass

from models.mail import Mail
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.identity import accounts, invitations, own_account, throttle
from services.identity.rules import CONFIRMATION_VALID, RESET_VALID
from services.identity.user_agents import device_words
from services.notify import account_texts, texts
from services.notify.sending import Sender, deliver


@dataclass(frozen=True, slots=True)
class Cause:
    """The event that calls for a mail. `token_id` is of a sign-up that waits, empty for a known address.

    `event_type` says which mail, `session_id` which browser it is about; both are empty for the mails of a sign-up.
    `invitation_id` and `issue` are of an invitation, which is mailed to somebody without an account perhaps.
    """

    event_id: int
    account_id: str
    token_id: str
    invitation_id: str = ""
    issue: int = 0
    event_type: str = ""
    session_id: str = ""


async def send_account_mail(cause: Cause, *, sender: Sender, clock: Clock | None = None) -> None:
    """Write the mail that an account's event calls for, and send it if there is a server.

    Running twice writes it once; a crash between the server's yes and our note of it sends it twice, with
    one Message-ID. Raises what smtplib raises, and RateLimited, so that the job is tried again.
    """
    async with crossing(Reason.MAIL, clock=clock) as uow:
        mail = await _written(uow, cause, sender)
    if mail is not None:
        await deliver(mail.id, sender=sender, clock=clock)


async def _written(uow: UnitOfWork, cause: Cause, sender: Sender) -> Mail | None:
    """The event's mail, written now or before; None when it has lost its purpose."""
    dedupe_key = f"event:{cause.event_id}"
    # Two deliveries of one event at once must not both issue a token.
    await uow.execute("select pg_advisory_xact_lock(hashtextextended(:key, 47))", key=f"mail {dedupe_key}")
    found = (
        await uow.execute("select id from mail where dedupe_key = :key", key=dedupe_key)
    ).scalar_one_or_none()
    if found is not None:
        return await uow.get(Mail, found)
    letter = await _letter_for(uow, cause, sender)
    if letter is None:
        return None
    mail = Mail(
        id=new_id("mail"),
        dedupe_key=dedupe_key,
        recipient=letter.recipient,
        subject=letter.text.subject,
        body=letter.text.body,
        created_at=uow.wall_now,
    )
    uow.add(mail)
    return mail


@dataclass(frozen=True, slots=True)
class _Letter:
    recipient: str
    text: texts.Text


async def _letter_for(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    if cause.invitation_id:
        return await _invitation(uow, cause, sender)
    if cause.event_type:
        return await _of_own_account(uow, cause, sender)
    return await (_confirmation(uow, cause, sender) if cause.token_id else _notice(uow, cause, sender))


async def _invitation(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    """None when it was withdrawn or sent again meanwhile.

    Raises RateLimited beyond what a mailbox must bear: the link before has ended already, so the job must come back.
    """
    issued = await invitations.issue(uow, cause.invitation_id, cause.issue)
    if issued is None:
        return None
    mailbox = throttle.Subject(throttle.INVITATION_MAILS, issued.email.casefold())
    await throttle.count(uow, [mailbox])  # refused, it takes the secret back that was just issued
    text = texts.invitation(
        invited_by=issued.invited_by_name,
        organization=issued.organization_name,
        role=issued.role,
        public_url=sender.public_url,
        token=issued.token,
        expires_at=issued.expires_at,
    )
    return _Letter(issued.email, text)


async def _of_own_account(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    if cause.token_id:
        return await _reset_link(uow, cause, sender)
    found = await uow.execute("select email, name from account where id = :id", id=cause.account_id)
    account = found.one_or_none()
    if account is None:
        return None
    if not cause.session_id:
        text = account_texts.notice(cause.event_type, name=account.name, public_url=sender.public_url)
        return _Letter(account.email, text)
    opened = await uow.execute(
        "select user_agent, address, created_at from session where id = :id", id=cause.session_id
    )
    session = opened.one_or_none()
    if session is None:
        return None
    text = account_texts.new_device(
        name=account.name,
        public_url=sender.public_url,
        device=device_words(session.user_agent),
        address=session.address,
        at=session.created_at,
    )
    return _Letter(account.email, text)


async def _reset_link(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    """None when the password was set meanwhile, by another link."""
    issued = await own_account.issue_reset(uow, cause.token_id)
    if issued is None:
        return None
    text = account_texts.reset_password(
        name=issued.name,
        public_url=sender.public_url,
        token=issued.token,
        minutes=round(RESET_VALID.total_seconds() / 60),
    )
    return _Letter(issued.email, text)


async def _confirmation(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    """To the address as that sign-up wrote it: another spelling may be another's mailbox."""
    issued = await accounts.issue_confirmation(uow, cause.token_id)
    if issued is None:
        return None  # confirmed meanwhile, by another link
    text = texts.confirm_address(
        name=issued.name,
        public_url=sender.public_url,
        token=issued.token,
        hours=round(CONFIRMATION_VALID.total_seconds() / 3600),
    )
    return _Letter(issued.email, text)


async def _notice(uow: UnitOfWork, cause: Cause, sender: Sender) -> _Letter | None:
    """To the owner of an account, when somebody signed up with its address."""
    found = await uow.execute("select email, name from account where id = :id", id=cause.account_id)
    account = found.one_or_none()
    if account is None:
        return None
    text = texts.already_signed_up(name=account.name, public_url=sender.public_url)
    return _Letter(account.email, text)
