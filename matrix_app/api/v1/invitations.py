"""Asking people to join by mail, and following the link they get."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import (
    Member,
    Person,
    client_of,
    from_own_page,
    session_token_of,
    set_device_cookie,
    set_session_cookie,
    stranger,
)
from matrix_app.api.v1.doors import Password, SessionShown
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.work import UnitOfWork, unit_of_work
from services.identity import invitations, joining, sessions

router = resource("invitations")

Token = Annotated[str, Field(max_length=200, description="Out of the link in the mail")]


class InvitationShown(Shown):
    """An invitation that waits. Its link is in the mail and nowhere else."""

    id: str
    email: str
    role: str
    status: Literal["open", "expired"]
    invited_by: str
    invited_by_name: str
    created_at: AwareDatetime
    expires_at: AwareDatetime


class InvitationState(Shown):
    id: str
    email: str
    role: str
    created_at: AwareDatetime
    expires_at: AwareDatetime
    revoked_at: AwareDatetime | None


class NewInvitation(Body):
    email: str
    role: str = Field(description="admin, billing, developer, viewer, or owner if you are one")


class Link(Body):
    token: Token


class InvitedShown(Shown):
    organization_id: str
    organization_name: str
    email: str
    role: str
    invited_by_name: str
    expires_at: AwareDatetime
    has_account: bool = Field(description="Whether the address signs in already; else sign up by the link")


class SignUpByInvitation(Body):
    token: Token
    name: str
    password: Password


@router.get("/organization/invitations", **listed(invitations.INVITATIONS, InvitationShown))
async def list_invitations(request: Request, who: Member, asked: Asked) -> Answer:
    """Invitations that nobody has accepted or withdrawn, the newest first."""
    return await answer(
        request, invitations.INVITATIONS, InvitationShown, asked, lambda: unit_of_work(who.actor)
    )


@router.post("/organization/invitations", status_code=201, response_model=InvitationState)
async def invite(who: Member, body: NewInvitation, repeat: RepeatOnce) -> Response:
    """Have a mail ask somebody to join. Its link works once, for that address, for seven days."""

    async def create(uow: UnitOfWork) -> InvitationState:
        made = await invitations.invite(uow, email=body.email, role=body.role)
        return InvitationState.model_validate(made)

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")


@router.post("/organization/invitations/{invitation_id}/resend", response_model=InvitationState)
async def resend_invitation(who: Member, invitation_id: str, repeat: RepeatOnce) -> Response:
    """Mail a new link; the one before stops at once."""

    async def act(uow: UnitOfWork) -> InvitationState:
        return InvitationState.model_validate(await invitations.resend(uow, invitation_id))

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.delete("/organization/invitations/{invitation_id}")
async def revoke_invitation(who: Member, invitation_id: str) -> InvitationState:
    """Withdraw an invitation; its link stops at once."""
    async with unit_of_work(who.actor) as uow:
        return InvitationState.model_validate(await invitations.revoke(uow, invitation_id))


@router.post("/invitation/look", dependencies=[Depends(stranger)], responses=failures(404))
async def look_at_invitation(body: Link) -> InvitedShown:
    """What a link invites to, for whoever has it."""
    return InvitedShown.model_validate(await joining.look(body.token))


@router.post("/invitation/accept", responses=failures(404))
async def accept_invitation(request: Request, response: Response, who: Person, body: Link) -> SessionShown:
    """Join as the one who is signed in, and work there. The cookie is replaced; the old one ends."""
    organization_id = await joining.accept(body.token, actor=who.actor)
    address = client_of(request).address
    opened = await sessions.switch_organization(session_token_of(request), organization_id, address=address)
    set_session_cookie(response, opened.token)
    return SessionShown.model_validate(opened)


@router.post("/invitation/sign-up", status_code=201, dependencies=from_own_page, responses=failures(404))
async def sign_up_by_invitation(
    request: Request, response: Response, body: SignUpByInvitation
) -> SessionShown:
    """Make an account with the invitation's address, join, and sign in. The mail has confirmed the address."""
    client = client_of(request)
    account_id = await joining.sign_up(body.token, name=body.name, password=body.password, client=client)
    opened = await sessions.open_first_session(account_id, client=client)
    set_session_cookie(response, opened.token)
    set_device_cookie(response, client, opened.account_id)
    return SessionShown.model_validate(opened)
