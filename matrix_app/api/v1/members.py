"""The people of the organisation one works in."""

from __future__ import annotations

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member, client_of, session_token_of, set_session_cookie
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.work import UnitOfWork, unit_of_work
from services.identity import members, queries, sessions

router = resource("members", prefix="/organization")


class MemberShown(Shown):
    account_id: str
    email: str
    name: str
    role: str
    joined_at: AwareDatetime
    suspended_at: AwareDatetime | None
    last_seen_at: AwareDatetime | None = Field(
        description="Working in this organisation, to the minute; null without `members.write`"
    )
    two_step: bool | None = Field(
        description="Whether signing in asks for a second step; null without `members.write`"
    )
    active_keys: int | None = Field(description="Keys this person made that work; null without `keys.read`")
    version: int


class ChangedMember(Body):
    role: str = Field(description="owner, admin, billing, developer or viewer")
    version: int | None = Field(None, description="Refuse if somebody changed the member since this version")


class Leaving(Body):
    name: str = Field(description="The organisation's name, so that nobody leaves another than they mean")


@router.get("/members", **listed(queries.MEMBERS, MemberShown))
async def list_members(request: Request, who: Member, asked: Asked) -> Answer:
    """The people of the organisation one works in, as they joined."""
    return await answer(request, queries.MEMBERS, MemberShown, asked, lambda: unit_of_work(who.actor))


@router.get("/members/{account_id}")
async def get_member(who: Member, account_id: str) -> MemberShown:
    """One of the people."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, account_id)


@router.patch("/members/{account_id}")
async def update_member(who: Member, account_id: str, body: ChangedMember, expected: IfMatch) -> MemberShown:
    """Change a role. It counts from the member's next click on, and their sessions here end."""
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _shown(uow, account_id)):
        await members.change_role(uow, account_id, body.role, version=version)
        return await _shown(uow, account_id)


@router.post("/members/{account_id}/suspend", response_model=MemberShown)
async def suspend_member(who: Member, account_id: str, repeat: RepeatOnce) -> Response:
    """Keep somebody out until resumed."""

    async def act(uow: UnitOfWork) -> MemberShown:
        await members.suspend_member(uow, account_id)
        return await _shown(uow, account_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.post("/members/{account_id}/resume", response_model=MemberShown)
async def resume_member(who: Member, account_id: str, repeat: RepeatOnce) -> Response:
    """Undo a suspension."""

    async def act(uow: UnitOfWork) -> MemberShown:
        await members.resume_member(uow, account_id)
        return await _shown(uow, account_id)

    return await repeat.once(unit_of_work(who.actor), act, owner=who.actor.organization_id or "", status=200)


@router.delete("/members/{account_id}", status_code=204)
async def remove_member(who: Member, account_id: str) -> None:
    """End a membership. Keys this person made go on working."""
    async with unit_of_work(who.actor) as uow:
        await members.remove_member(uow, account_id)


@router.post("/leave", status_code=204)
async def leave(request: Request, response: Response, who: Member, body: Leaving) -> None:
    """End one's own membership of the organisation one works in, and work in another of one's, if there is one."""
    async with unit_of_work(who.actor) as uow:
        await members.leave(uow, named=body.name)
    opened = await sessions.move_on(session_token_of(request), address=client_of(request).address)
    if opened is not None:
        set_session_cookie(response, opened.token)


async def _shown(uow: UnitOfWork, account_id: str) -> MemberShown:
    return MemberShown.model_validate(await queries.member(uow, account_id))
