"""Who asks: a key by its bearer header, or a signed-in person by cookie. And what one may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.requests import HTTPConnection

from matrix_app.api.known_keys import KnownKeys
from matrix_app.api.rates import Rates
from services.core.actor import Actor
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Unauthenticated
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.identity import cookies, devices, queries
from services.identity.clients import Client
from services.identity.key_queries import KeyFacts
from services.identity.queries import SignedIn
from services.identity.rules import CHALLENGE_VALID, DEVICE_AGE_MAX, SESSION_AGE_MAX, network_of

CSRF_HEADER = "X-Matrix-CSRF"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def session_token_of(request: Request) -> str:
    """The token in the request's cookies; empty when there is none."""
    return request.cookies.get(cookies.session_cookie(settings().public_url), "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Exactly one of `key` and `person` is there."""

    actor: Actor
    key: KeyFacts | None = None
    person: SignedIn | None = None


async def caller(request: Request) -> Caller:
    """Raises Unauthenticated, RateLimited, or Forbidden for a request another site may have sent in a person's name.

    What nobody was let in with lately counts by network, before the database is asked: guessing must not keep it
    busy, and who guesses must not shut out a neighbour who is known.

    It looks for key and cookie itself: a dependency each, to have them in the document, took longer than all of
    this. document.py tells of them instead.
    """
    rates: Rates = request.app.state.rates
    authorization = request.headers.get("authorization")
    credential = session_token_of(request) if authorization is None else authorization
    if not rates.knows(credential):
        _count_network(request, cost=0)
    try:
        if authorization is None:
            who = await _by_session(credential, request)
        else:
            who = await _by_key(authorization, request)
    except (Unauthenticated, Forbidden):
        rates.forget(credential)
        _count_network(request)
        raise
    rates.remember(credential)
    rates.take(who.key.id if who.key else who.actor.id, settings().api_requests_per_minute, request.scope)
    return who


async def stranger(request: Request) -> None:
    """Count a request at a door that is open to all. Raises RateLimited."""
    _count_network(request)


async def require_few_guesses(request: Request) -> None:
    """For a door where what is sent proves itself: who proved too little too often is not listened to. Raises
    RateLimited."""
    _count_network(request, cost=0)


def count_guess(request: Request) -> None:
    """Something was sent there that did not prove itself. Raises RateLimited."""
    _count_network(request)


def _count_network(request: Request, *, cost: int = 1) -> None:
    rates: Rates = request.app.state.rates
    network = f"network {network_of(address_of(request))}"
    rates.take(network, settings().api_network_per_minute, request.scope, cost=cost)


async def _by_session(token: str, request: Request) -> Caller:
    if not token:
        raise Unauthenticated(
            "This needs an API key or a session.",
            next_step="Send 'Authorization: Bearer mx-...', or sign in.",
        )
    require_own_page(request)
    signed_in = await queries.actor_for_token(token)
    if signed_in is None:
        raise Unauthenticated("The session has ended.", next_step="Sign in again.", code="session_ended")
    actor = signed_in.actor.at(address_of(request))
    return Caller(actor, person=replace(signed_in, actor=actor))


async def _by_key(authorization: str, request: Request) -> Caller:
    known: KnownKeys = request.app.state.keys
    scheme, _, secret = authorization.partition(" ")
    reads = request.method in SAFE_METHODS
    facts = await known.find(secret.strip(), reads=reads) if scheme.lower() == "bearer" else None
    if facts is None:
        raise Unauthenticated(
            "This API key is not known.",
            next_step="Send 'Authorization: Bearer mx-...' with a key of this installation.",
            code="invalid_api_key",
        )
    now = SystemClock().now()
    facts.require_usable(now)
    await known.note_use(facts, now)
    return Caller(facts.actor(address_of(request)), key=facts)


def require_own_page(request: Request) -> None:
    """Refuse what another site may have made a browser send: its cookies come along, our header cannot.

    Raises Forbidden. Requests that change nothing pass.
    """
    if request.method in SAFE_METHODS:
        return
    require_known_origin(request)
    if request.headers.get(CSRF_HEADER) != "1":
        raise Forbidden(
            f"The header {CSRF_HEADER} is missing.",
            next_step=f"Send '{CSRF_HEADER}: 1' with requests that use the session cookie, or use an API key.",
            code="csrf_header_missing",
        )


def require_known_origin(request: Request) -> None:
    """Raises Forbidden when a browser says that the request comes from a page that is not ours."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in settings().origins:
        raise Forbidden(
            f"Pages from {origin[:200]!r} may not do this.",
            next_step="Open Matrix at its own address, or add this one to MATRIX_ALLOWED_ORIGINS.",
            code="origin_not_allowed",
        )


from_own_page = [Depends(stranger), Depends(require_known_origin)]  # doors that are open to anyone


async def member(who: Annotated[Caller, Depends(caller)]) -> Caller:
    """A caller who works in an organisation. Raises Conflict for a person who has none yet."""
    if who.actor.organization_id is None:
        raise Conflict(
            "You work in no organisation yet.",
            next_step="Create one, or switch to one of yours.",
            code="no_organization",
        )
    return who


async def person(who: Annotated[Caller, Depends(caller)]) -> SignedIn:
    """A signed-in person. Raises Forbidden for keys."""
    if who.person is None:
        raise Forbidden(
            "This is for signed-in people; an API key cannot do it.", next_step="Sign in in the browser."
        )
    return who.person


AnyCaller = Annotated[Caller, Depends(caller)]
Member = Annotated[Caller, Depends(member)]
Person = Annotated[SignedIn, Depends(person)]


@asynccontextmanager
async def staff_work(who: Caller, capability: Capability) -> AsyncIterator[UnitOfWork]:
    """A unit of work across tenants for a member of staff. Raises Forbidden before it is opened."""
    who.actor.require(capability)
    async with crossing(Reason.STAFF, actor=who.actor) as uow:
        yield uow


def address_of(request: HTTPConnection) -> str:
    """Where the request comes from. Forwarded addresses count only as far as proxies are trusted."""
    hops = settings().trusted_proxy_hops
    if hops:
        # A proxy may add a line of its own: only all lines together tell which part it wrote.
        said = ",".join(request.headers.getlist("x-forwarded-for"))
        forwarded = [part.strip() for part in said.split(",") if part.strip()]
        if len(forwarded) >= hops:
            return forwarded[-hops]
    return request.client.host if request.client else ""


def client_of(request: Request) -> Client:
    """Who sent the request, as far as addresses, cookies and browsers tell."""
    return Client(
        address=address_of(request),
        user_agent=request.headers.get("user-agent", ""),
        device=request.cookies.get(cookies.device_cookie(settings().public_url), ""),
    )


def set_session_cookie(response: Response, token: str) -> None:
    _set_cookie(response, cookies.session_cookie(settings().public_url), token, age=SESSION_AGE_MAX)


def set_device_cookie(response: Response, client: Client, account_id: str) -> None:
    """Have the account know the browser again."""
    value = devices.remember(client.device, account_id)
    _set_cookie(response, cookies.device_cookie(settings().public_url), value, age=DEVICE_AGE_MAX)


def _set_cookie(response: Response, name: str, value: str, *, age: timedelta) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(age.total_seconds()),
        path="/",
        secure=settings().secure_cookies,
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response) -> None:
    _clear_cookie(response, cookies.session_cookie(settings().public_url))


def challenge_of(request: Request) -> str:
    """The secret of a sign-in that waits for a code on this browser; empty when there is none."""
    return request.cookies.get(cookies.challenge_cookie(settings().public_url), "")


def set_challenge_cookie(response: Response, challenge: str) -> None:
    _set_cookie(response, cookies.challenge_cookie(settings().public_url), challenge, age=CHALLENGE_VALID)


def clear_challenge_cookie(response: Response) -> None:
    _clear_cookie(response, cookies.challenge_cookie(settings().public_url))


def _clear_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=settings().secure_cookies, httponly=True, samesite="lax")
