"""Signing up, confirming an address, signing in and out, and saying who is there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends, Request, Response
from pydantic import Field

from matrix_app.api.deps import (
    AnyCaller,
    Person,
    challenge_of,
    clear_challenge_cookie,
    clear_session_cookie,
    client_of,
    from_own_page,
    require_own_page,
    session_token_of,
    set_challenge_cookie,
    set_device_cookie,
    set_session_cookie,
    stranger,
)
from matrix_app.api.edge import BODY_BYTES_MAX
from matrix_app.api.v1.organizations import OrganizationShown
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.settings import settings
from services.identity import accounts, sessions
from services.identity.authenticators import CODE_CHARACTERS_MAX
from services.identity.clients import Client
from services.notify import queries as mailbox

router = resource("session")
CODE_PAGE = "/sign-in/code"


# No bound here: how long is too long is for services/identity to say, with a better sentence.
Password = Annotated[str, Field(max_length=BODY_BYTES_MAX, json_schema_extra={"format": "password"})]


class SignUp(Body):
    email: str
    password: Password
    name: str


class EmailOnly(Body):
    email: str


class MailSent(Shown):
    """The same for every address, so that nobody learns who has an account."""

    status: Literal["mail_sent"] = "mail_sent"
    message: str
    mailbox: str | None = Field(None, description="Where demo mode keeps the mail")


class Confirmation(Body):
    token: str = Field(max_length=200, description="Out of the link in the mail")
    password: Password = Field(description="The one chosen at the sign-up that the mail belongs to")


class ConfirmedShown(Shown):
    account_id: str
    email: str


class SignIn(Body):
    email: str
    password: Password


class SessionShown(Shown):
    account_id: str
    organization_id: str | None = Field(description="Where the session works; null without an organisation")
    expires_at: datetime


@router.post("/sign-up", status_code=202, dependencies=from_own_page)
async def sign_up(request: Request, body: SignUp) -> MailSent:
    """Make an account; a mail with a link confirms the address."""
    await accounts.sign_up(
        email=body.email, password=body.password, name=body.name, client=client_of(request)
    )
    return mail_sent(body.email)


@router.post("/sign-up/resend", status_code=202, dependencies=from_own_page)
async def resend(request: Request, body: EmailOnly) -> MailSent:
    """Mail a new link, if the address waits for one."""
    await accounts.resend_confirmation(email=body.email, client=client_of(request))
    return mail_sent(body.email)


def mail_sent(email: str) -> MailSent:
    """What is answered whether the address has an account or not."""
    return MailSent(
        message="We have sent a mail to this address. Follow the link in it.",
        mailbox=f"/mailbox?address={quote(email.strip())}" if settings().mode == "demo" else None,
    )


class CodeNeeded(Shown):
    """The password was right; `POST /session/code` goes on, from the same browser and within ten minutes."""

    status: Literal["code_needed"] = "code_needed"
    next: str = Field(description="The page that asks for the code")


_CODE_NEEDED: dict[int | str, dict[str, Any]] = {
    202: {"model": CodeNeeded, "description": "A code is needed"}
}


@router.post("/sign-up/confirm", dependencies=from_own_page, responses=_CODE_NEEDED)
async def confirm(request: Request, response: Response, body: Confirmation) -> ConfirmedShown | CodeNeeded:
    """Confirm an address by the token mailed to it and the password chosen, and sign in."""
    client = client_of(request)
    confirmed = await accounts.confirm_address(body.token, password=body.password, client=client)
    opened = await sessions.open_session(confirmed, client=client)
    if isinstance(opened, sessions.CodeNeeded):
        return _ask_for_code(response, opened)
    _let_in(response, opened, client)
    return ConfirmedShown.model_validate(confirmed)


@router.post("/session", status_code=201, dependencies=from_own_page, responses=failures(401) | _CODE_NEEDED)
async def sign_in(request: Request, response: Response, body: SignIn) -> SessionShown | CodeNeeded:
    """Sign in; the session is a cookie that scripts cannot read. Some accounts ask for a code, too."""
    client = client_of(request)
    opened = await sessions.sign_in(email=body.email, password=body.password, client=client)
    if isinstance(opened, sessions.CodeNeeded):
        return _ask_for_code(response, opened)
    _let_in(response, opened, client)
    return SessionShown.model_validate(opened)


class CodeAnswer(Body):
    code: str = Field(
        max_length=CODE_CHARACTERS_MAX, description="Of the authenticator app, or a recovery code"
    )


@router.post("/session/code", status_code=201, dependencies=from_own_page, responses=failures(401))
async def answer_code(request: Request, response: Response, body: CodeAnswer) -> SessionShown:
    """The second step of signing in, for accounts that ask for it."""
    client = client_of(request)
    opened = await sessions.answer_code(challenge_of(request), code=body.code, client=client)
    clear_challenge_cookie(response)
    _let_in(response, opened, client)
    return SessionShown.model_validate(opened)


def _ask_for_code(response: Response, asked: sessions.CodeNeeded) -> CodeNeeded:
    set_challenge_cookie(response, asked.challenge)
    response.status_code = 202
    return CodeNeeded(next=CODE_PAGE)


def _let_in(response: Response, opened: sessions.OpenedSession, client: Client) -> None:
    set_session_cookie(response, opened.token)
    set_device_cookie(response, client, opened.account_id)


@router.post("/session/sign-out", status_code=204, dependencies=[Depends(stranger)])
async def sign_out(request: Request, response: Response) -> None:
    """End the session of the cookie, if there is one."""
    require_own_page(request)
    token = session_token_of(request)
    if token:
        await sessions.sign_out(token, address=client_of(request).address)
    clear_session_cookie(response)


class Switch(Body):
    organization_id: str = Field(max_length=100)


@router.post("/session/organization", responses=failures(404))
async def switch_organization(
    request: Request, response: Response, who: Person, body: Switch
) -> SessionShown:
    """Work in another of one's organisations. The cookie is replaced; the old one ends."""
    token = session_token_of(request)
    address = client_of(request).address
    opened = await sessions.switch_organization(token, body.organization_id, address=address)
    set_session_cookie(response, opened.token)
    return SessionShown.model_validate(opened)


class PersonShown(Shown):
    id: str
    email: str
    name: str


class Me(Shown):
    """Who asks, and what they may do."""

    account: PersonShown | None = Field(description="Null for an API key")
    key_id: str | None
    organization_id: str | None
    organizations: list[OrganizationShown] = Field(description="All of the person's; empty for a key")
    role: str | None
    capabilities: list[str]


@router.get("/me")
async def me(who: AnyCaller) -> Me:
    """Who the key or the session belongs to."""
    return Me(
        account=PersonShown.model_validate(who.person.account) if who.person else None,
        key_id=who.key.id if who.key else None,
        organization_id=who.actor.organization_id,
        organizations=[
            OrganizationShown.model_validate(o) for o in (who.person.organizations if who.person else ())
        ],
        role=who.actor.role,
        capabilities=sorted(who.actor.capabilities),
    )


class MailShown(Shown):
    id: str
    subject: str
    body: str
    created_at: datetime


class Mailbox(Shown):
    data: list[MailShown]


@router.get("/mailbox", responses=failures(404), dependencies=[Depends(stranger)])
async def mails(address: str) -> Mailbox:
    """Mail to an address that demo mode kept instead of sending. Not found in production."""
    found = await mailbox.mails_for(address, mode=settings().mode)
    return Mailbox(data=[MailShown.model_validate(mail) for mail in found])
