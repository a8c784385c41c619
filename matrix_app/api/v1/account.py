"""One's own account: name, password, two-step verification, sessions and the history of signing in.

An answer with recovery codes is kept sealed for whoever sends the request again, and needs the proof again, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import (
    Person,
    client_of,
    from_own_page,
    session_token_of,
    set_session_cookie,
)
from matrix_app.api.v1.doors import MailSent, Password, mail_sent
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import (
    Body,
    Shown,
    resource,
)
from services.core.crossing import Reason, crossing
from services.core.work import UnitOfWork
from services.identity import authenticators, own_account, own_sessions, proving, queries, sign_ins
from services.identity.proof import require_recent_proof
from services.identity.queries import SignedIn

router = resource("account")

Code = Annotated[str, Field(max_length=authenticators.CODE_CHARACTERS_MAX)]


def _own(who: SignedIn) -> AbstractAsyncContextManager[UnitOfWork]:
    return crossing(Reason.ACCOUNT, actor=who.actor)


@asynccontextmanager
async def _proved(who: SignedIn) -> AsyncIterator[UnitOfWork]:
    """Also where an answer is only given again. Raises ProofNeeded."""
    async with _own(who) as uow:
        require_recent_proof(uow)
        yield uow


class TwoStepShown(Shown):
    enabled_at: AwareDatetime | None = Field(description="Null while signing in takes the password alone")
    recovery_codes: int = Field(description="Not used yet")


class AccountShown(Shown):
    id: str
    email: str
    name: str
    password_changed_at: AwareDatetime | None
    two_step: TwoStepShown


class AccountChanges(Body):
    name: str


async def _shown(uow: UnitOfWork) -> AccountShown:
    account = await queries.own_account(uow)
    state = await authenticators.two_step(uow)
    return AccountShown(
        id=account.id,
        email=account.email,
        name=account.name,
        password_changed_at=account.password_changed_at,
        two_step=TwoStepShown.model_validate(state),
    )


@router.get("/account")
async def get_account(who: Person) -> AccountShown:
    """Who one is here, and how one signs in."""
    async with _own(who) as uow:
        return await _shown(uow)


@router.patch("/account")
async def update_account(who: Person, body: AccountChanges) -> AccountShown:
    """Change one's own name."""
    async with _own(who) as uow:
        await own_account.rename(uow, body.name)
        return await _shown(uow)


class NewPassword(Body):
    password: Password


class SessionGoesOn(Shown):
    """The session's cookie was replaced; the old one ended."""

    expires_at: AwareDatetime
    proof_valid_until: AwareDatetime


@router.put("/account/password")
async def change_password(
    request: Request, response: Response, who: Person, body: NewPassword
) -> SessionGoesOn:
    """Set another password. Needs a recent proof; ends all other sessions and replaces this one's cookie."""
    opened = await own_account.change_password(who.actor, session_token_of(request), password=body.password)
    return _goes_on(response, opened)


def _goes_on(response: Response, opened: proving.Proved) -> SessionGoesOn:
    set_session_cookie(response, opened.session.token)
    return SessionGoesOn(expires_at=opened.session.expires_at, proof_valid_until=opened.valid_until)


class EmailOnly(Body):
    email: str


class ResetPassword(Body):
    token: str = Field(max_length=200, description="Out of the link in the mail")
    password: Password


class PasswordSet(Shown):
    status: Literal["password_set"] = "password_set"


@router.post("/password/reset", status_code=202, dependencies=from_own_page)
async def request_password_reset(request: Request, body: EmailOnly) -> MailSent:
    """Mail a link that sets another password, if the address has an account."""
    await own_account.request_reset(email=body.email, client=client_of(request))
    return mail_sent(body.email)


@router.post("/password/reset/confirm", dependencies=from_own_page)
async def reset_password(request: Request, body: ResetPassword) -> PasswordSet:
    """Set another password by the token mailed. Ends all sessions; signing in asks for a code as before."""
    await own_account.reset_password(body.token, password=body.password, client=client_of(request))
    return PasswordSet()


class ProofShown(Shown):
    needs_code: bool = Field(description="Whether the account asks for a code beside the password")
    valid_until: AwareDatetime | None


class Proof(Body):
    password: Password
    code: Code = Field("", description="Of the authenticator app, or a recovery code; where `needs_code`")


@router.get("/session/proof")
async def get_proof(who: Person) -> ProofShown:
    """Until when the session counts as its person's, and what a new proof takes."""
    async with _own(who) as uow:
        return ProofShown.model_validate(await proving.state(uow))


@router.post("/session/proof")
async def prove(request: Request, response: Response, who: Person, body: Proof) -> SessionGoesOn:
    """Show who one is, for acts that answered `proof_needed`. The cookie is replaced; the old one ends."""
    opened = await proving.prove(
        session_token_of(request), password=body.password, code=body.code, client=client_of(request)
    )
    return _goes_on(response, opened)


class EnrolmentShown(Shown):
    key: str = Field(description="To type into an authenticator app. Shown this once")
    address: str = Field(description="The same as an otpauth address, for a link")
    picture: str = Field(description="The same as a QR code: a `data:` URL of an SVG")


class CodeOnly(Body):
    code: Code


class RecoveryCodesShown(Shown):
    codes: list[str] = Field(description="Each opens the account once without the app. Shown this once")


@router.post("/account/authenticator", status_code=201)
async def enrol_authenticator(who: Person) -> EnrolmentShown:
    """Begin to set up an authenticator app. Needs a recent proof; changes nothing until it is confirmed."""
    async with _own(who) as uow:
        return EnrolmentShown.model_validate(await authenticators.begin(uow))


@router.post("/account/authenticator/confirm", response_model=RecoveryCodesShown)
async def confirm_authenticator(who: Person, body: CodeOnly, repeat: RepeatOnce) -> Response:
    """Have signing in ask for codes, after a first one was right. Ends other sessions; answers with recovery codes."""

    async def act(uow: UnitOfWork) -> RecoveryCodesShown:
        return RecoveryCodesShown(codes=await authenticators.confirm(uow, body.code))

    return await repeat.once(_proved(who), act, owner=who.account.id, status=200)


@router.delete("/account/authenticator", status_code=204)
async def disable_authenticator(who: Person) -> None:
    """Sign in by password alone again. Needs a recent proof; recovery codes end, too."""
    async with _own(who) as uow:
        await authenticators.disable(uow)


@router.post("/account/recovery-codes", response_model=RecoveryCodesShown)
async def renew_recovery_codes(who: Person, repeat: RepeatOnce) -> Response:
    """Make other recovery codes; those before end. Needs a recent proof."""

    async def act(uow: UnitOfWork) -> RecoveryCodesShown:
        return RecoveryCodesShown(codes=await authenticators.renew_recovery_codes(uow))

    return await repeat.once(_proved(who), act, owner=who.account.id, status=200)


class OwnSession(Shown):
    id: str
    device: str = Field(description="Browser and system, as far as the browser says")
    address: str
    created_at: datetime
    last_seen_at: datetime
    second_factor: bool = Field(description="Whether a code was asked when it was opened")
    current: bool = Field(description="The one that asks")


@router.get("/account/sessions", **listed(own_sessions.SESSIONS, OwnSession))
async def my_sessions(request: Request, who: Person, asked: Asked) -> Answer:
    """Where one is signed in, newest first."""
    return await answer(request, own_sessions.SESSIONS, OwnSession, asked, lambda: _own(who))


class Ended(Shown):
    ended: int


@router.delete("/account/sessions/{session_id}", status_code=204)
async def end_my_session(who: Person, session_id: str) -> None:
    """Sign out one of one's own browsers."""
    async with _own(who) as uow:
        await own_sessions.end_own_session(uow, session_id)


@router.post("/account/sessions/end-others", response_model=Ended)
async def end_my_other_sessions(who: Person, repeat: RepeatOnce) -> Response:
    """Sign out everywhere but here. Needs a recent proof."""

    async def act(uow: UnitOfWork) -> Ended:
        return Ended(ended=await own_sessions.end_other_sessions(uow))

    return await repeat.once(_proved(who), act, owner=who.account.id, status=200)


class SignInShown(Shown):
    id: str
    at: AwareDatetime
    outcome: Literal["signed_in", "recovery_code", "password_only", "wrong_password", "wrong_code"] = Field(
        description="`password_only`: the password was right and no right code followed"
    )
    device: str
    address: str


@router.get("/account/sign-ins", **listed(sign_ins.SIGN_INS, SignInShown))
async def my_sign_ins(request: Request, who: Person, asked: Asked) -> Answer:
    """Attempts to sign in to one's own account, newest first, of the last 90 days."""
    return await answer(request, sign_ins.SIGN_INS, SignInShown, asked, lambda: _own(who))
