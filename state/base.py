"""What every page state shares, and the one way to declare a handler.

Any method of a state class without a leading underscore can be called by name, over the socket, by anyone, on any
page, with any payload. So each is declared by `page_event`, which finds out who calls, from the session's cookie and
on every event, and what that person may do; a test walks all state classes and refuses the rest. What a handler
finds in its state's vars may have been put there by an earlier event, never by somebody else.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import replace
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, TypeVar, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import reflex as rx

from services.core import metrics, tracing
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Malformed, MatrixError, Unauthenticated
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.identity.cookies import session_token
from services.identity.queries import SignedIn, actor_for_token
from state import addresses
from state.problems import Problem, Unexpected, problem_of, status_of

log = get_logger(__name__)

P = ParamSpec("P")
S = TypeVar("S", bound="PageState")
Answer = Any  # what Reflex takes from a handler: nothing, an event, or a list of events
Handler = Callable[Concatenate[S, P], Awaitable[Answer]]


class Access(StrEnum):
    """Who may call a handler that needs no capability."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"


ADDRESS_CHARACTERS_MAX = 8_000  # of a page with its query; servers on the way seldom take more

ANYONE, SIGNED_IN = Access.ANYONE, Access.SIGNED_IN

# Not a state var: what a state holds is sent to the page, and outlives the event.
_caller: ContextVar[SignedIn | None] = ContextVar("matrix_page_caller", default=None)


class HandlerNotAsync(TypeError):
    """A handler that is not a coroutine function would hold up everybody while it works."""


class PageState(rx.State, mixin=True):
    """Base of all page states; they are flat beside each other and hold only what is on screen.

    `status` is loading, ready, error, forbidden or missing; `problem` says why when it is one of the last three.
    `read_for` is the address that all of it was read for: the browser shows it there and nowhere else
    (`of_address` of components/shell/page.py).
    """

    status: str = "loading"
    problem: Problem = Problem()
    read_for: str = ""

    # The address that the page was sent away from last, and the parameters of the one that it goes to.
    _sent_from: str = ""
    _sent_to: dict[str, str] = {}

    @property
    def _caller(self) -> SignedIn | None:
        """Who caused the event being handled; None on a page that is open to anyone."""
        return _caller.get()

    @property
    def _signed_in(self) -> SignedIn:
        """Who caused the event. Raises Unauthenticated when nobody is signed in."""
        caller = _caller.get()
        if caller is None:
            raise Unauthenticated("You are not signed in.", next_step="Sign in and try again.")
        return caller

    @property
    def _actor(self) -> Actor:
        return self._signed_in.actor

    @property
    def _zone(self) -> ZoneInfo:
        """The timezone by which the caller's organisation counts days."""
        organization = self._signed_in.organization
        return ZoneInfo(organization.timezone if organization else "UTC")

    @property
    def _currency(self) -> str:
        organization = self._signed_in.organization
        return organization.currency if organization else ""

    def _unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Work in the caller's organisation."""
        return unit_of_work(self._actor)

    def _staff_work(self, *, within: str | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        """Work across tenants in the name of a member of staff; `within` an organisation, by its own clock."""
        actor = self._actor if within is None else replace(self._actor, organization_id=within)
        return crossing(Reason.STAFF, actor=actor, target=within)

    @property
    def _query(self) -> dict[str, str]:
        """The parameters of the page's address. Typed by anyone: parse before use."""
        return dict(self.router.url.query_parameters)

    @property
    def _query_ahead(self) -> dict[str, str]:
        """Those of the address that the page was sent to while it is not there yet, else of its own: of two things that
        are chosen one after the other, faster than the page can follow, the second keeps the first."""
        return dict(self._sent_to) if str(self.router.url) == self._sent_from else self._query

    def _send_to(self, parameters: Mapping[str, str], *, replace: bool = False) -> Any:
        """This page at other parameters; empty ones are left out."""
        self._sent_from = str(self.router.url)
        self._sent_to = {name: value for name, value in parameters.items() if value}
        return rx.redirect(addresses.with_query(self.router.url.path, self._sent_to), replace=replace)

    @property
    def _address_id(self) -> str:
        """What the address ends with: of the page of a row, its id. Typed by anyone."""
        return self._here.rsplit("/", 1)[-1]

    @property
    def _here(self) -> str:
        return self.router.url.path.rstrip("/")

    def _read_here(self) -> None:
        """What follows is read for the address of now: of another nothing is left."""
        if self.read_for not in ("", self._here):
            self.reset()
        self.read_for = self._here

    def _require_here(self) -> None:
        """Raises Conflict for an act on what was read for another address: of its row, or on whichever is shown."""
        if self.read_for not in ("", self._here):
            raise Conflict(
                "This was sent before the page was read.",
                next_step="Wait until it shows what its address names.",
            )

    def _note_arrival(self) -> None:
        """Whoever comes back to where they were sent away from finds that address as it says."""
        if self._sent_from and str(self.router.url) != self._sent_from:
            self._sent_from = ""


def page_event(needs: Capability | Access, *, reads: bool = False) -> Callable[[Handler[S, P]], Any]:
    """Declare a method of a page state as an event handler that callers with `needs` may call.

    Errors become a toast; those of a handler that `reads` the page's rows become the page's `status` and `problem`.
    Who is not signed in is sent to the sign-in page by a full navigation, since a socket keeps the cookies it
    was opened with; who has no organisation yet is sent to make one.
    """

    def declare(handler: Handler[S, P]) -> Any:
        if not inspect.iscoroutinefunction(handler):
            raise HandlerNotAsync(f"{handler.__qualname__} must be `async def` without `yield`.")

        signature, kinds = inspect.signature(handler), get_type_hints(handler)

        @functools.wraps(handler)
        async def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> Answer:
            async def call() -> Answer:
                _require_fitting(signature, kinds, self, args, kwargs)
                return await handler(self, *args, **kwargs)

            with tracing.act(handler.__qualname__) as reference:
                return await _observed(self, call, needs, handler.__qualname__, reference, reads=reads)

        guarded.__matrix_needs__ = needs  # type: ignore[attr-defined]
        guarded.__matrix_reads__ = reads  # type: ignore[attr-defined]
        return guarded

    return declare


def _require_fitting(
    signature: inspect.Signature,
    kinds: Mapping[str, Any],
    state: PageState,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Raises Malformed for an event that no page of ours sends: another number of arguments, or an object for a text.

    Texts, numbers and truth are not told apart: what a browser sends for one may be another.
    """
    try:
        given = signature.bind(state, *args, **kwargs).arguments
    except TypeError:
        raise _strange("event") from None
    for name, value in list(given.items())[1:]:
        kind = get_origin(kinds.get(name)) or kinds.get(name)
        is_object = isinstance(value, dict | list)
        if (kind in (dict, list) and not isinstance(value, kind)) or (kind in (str, bool, int) and is_object):
            raise _strange("event")


def _require_readable(address: str) -> None:
    """Raises Malformed for an address that is too long, or has a NUL byte, which PostgreSQL can neither store nor
    compare."""
    if len(address) > ADDRESS_CHARACTERS_MAX or "\0" in address or "%00" in address:
        raise _strange("address")


def _strange(what: str) -> Malformed:
    return Malformed(
        f"This page was sent an {what} that cannot be read.", next_step="Open it from the menu again."
    )


async def _observed(
    state: PageState,
    call: Callable[[], Awaitable[Answer]],
    needs: Capability | Access,
    name: str,
    reference: str,
    *,
    reads: bool,
) -> Answer:
    """Call the handler and count, time and log how it ended. Never raises for a fault of the handler."""
    outcome = "done"
    with metrics.PAGE_EVENT_SECONDS.labels(name).time():
        try:
            return await _admitted(state, call, needs, reads=reads)
        except MatrixError as error:
            outcome = error.error_code
            return _refusal(state, error, reference, reads=reads)
        except Exception as error:
            outcome = Unexpected.code
            log.exception("page_event_failed", handler=name, exc_info=error)
            return _refusal(state, _unexpected(), reference, reads=reads)
        finally:
            metrics.PAGE_EVENTS.labels(name, outcome).inc()


async def _admitted(
    state: PageState, call: Callable[[], Awaitable[Answer]], needs: Capability | Access, *, reads: bool
) -> Answer:
    if reads:
        state._read_here()  # pyright: ignore[reportPrivateUsage]
    token = session_token(state.router.headers.cookie, settings().public_url)
    caller = await actor_for_token(token) if token else None
    if caller is not None:
        # Reflex has looked through as many proxies as rxconfig.py says are trusted.
        caller = replace(caller, actor=caller.actor.at(state.router.session.client_ip))
    if needs is not ANYONE and caller is None:
        return leave_for(addresses.sign_in_for(_address(state)))
    if isinstance(needs, Capability) and caller is not None:
        if caller.organization is None:
            return leave_for(addresses.NEW_ORGANIZATION)
        caller.actor.require(needs)
    _require_readable(_address(state))
    state._require_here()  # pyright: ignore[reportPrivateUsage]
    state._note_arrival()  # pyright: ignore[reportPrivateUsage]
    entered = _caller.set(caller)
    try:
        answer = await call()
    finally:
        _caller.reset(entered)
    if reads:
        state.status, state.problem = "ready", Problem()
    return answer


def leave_for(path: str) -> rx.event.EventSpec:
    """Load `path` anew, with a new socket and so with the cookies of now."""
    return rx.call_script(f"window.location.assign({json.dumps(addresses.own_path(path))})")


def _address(state: PageState) -> str:
    url = state.router.url
    return f"{url.path}?{url.query}" if url.query else url.path


def _refusal(state: PageState, error: MatrixError, reference: str, *, reads: bool) -> Answer:
    if isinstance(error, Unauthenticated):
        return leave_for(addresses.sign_in_for(_address(state)))
    problem = problem_of(error, reference)
    if reads:
        state.status, state.problem = status_of(error), problem
        return None
    return rx.toast.error(problem.title, description=problem.sentence)


def _unexpected() -> Unexpected:
    return Unexpected(
        "This step failed for a reason we did not foresee.",
        next_step="Try again; if it fails again, tell us the reference.",
    )
