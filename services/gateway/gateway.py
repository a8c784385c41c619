"""The gateway of one process: its parts, their life, and the way of a call through them.

A call that passed authentication gets one request row, whatever became of it. Calls that are refused before
an upstream is asked (bad input, unknown model, over a limit) get theirs too, but only so many a minute for each
key: a client that hammers at its limit must not fill the log. They owe nothing, so they do not go through the
journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson
from sqlalchemy.exc import DBAPIError

from services.core import metrics, tracing
from services.core.clock import Clock, SystemClock
from services.core.database import Database, libpq_url
from services.core.errors import Conflict, MatrixError, Unavailable
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.wakeups import KEYS_CHANGED, listen
from services.gateway import journal, orders, rules, sse, worst_case
from services.gateway.callers import Caller, Callers, OrganizationLimits
from services.gateway.calls import Call
from services.gateway.directory import Directory, Route
from services.gateway.exchange import JSON_TYPE, Exchange, Headers, Reply
from services.gateway.journal import Entry, Journal, Slot
from services.gateway.leases import LEASES_WANTED, Leases
from services.gateway.limits import Admission, Limiter, Subject
from services.gateway.measuring import measure
from services.gateway.orders import Endpoint, Order
from services.gateway.purses import Purses
from services.gateway.refusals import Code, Refusal, RefusedRows
from services.gateway.settlement import Recoverer, Settler
from services.gateway.upstream_calls import UpstreamClient, longest_answer
from services.identity.queries import SignedIn

log = get_logger(__name__)

REFRESH_S = 30.0
STOP_S_MAX = 10.0  # for the last settlement; what is left is settled at the next start


@dataclass(frozen=True, slots=True)
class Options:
    """What an installation sets."""

    data_dir: Path
    model_url: str
    allowed_private: frozenset[str]
    limits: OrganizationLimits


class Request(Protocol):
    """A call as a door hands it over."""

    address: str

    @property
    def secret(self) -> str | None:
        """The bearer key, or None when the call carries none."""
        ...

    @property
    def session_token(self) -> str | None:
        """The session cookie of a call that the site's own pages made. Raises Refusal for a forged one."""
        ...

    async def body(self) -> bytes:
        """The whole body. Raises Refusal when it is too long."""
        ...


class Gateway:
    """Made and started once per process, inside its loop."""

    def __init__(
        self,
        on: Database,
        options: Options,
        signed_in_by: Callable[[str], Awaitable[SignedIn | None]],
        clock: Clock | None = None,
    ) -> None:
        self._on = on
        self._clock = clock or SystemClock()
        directory = options.data_dir / "journal"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._slot = Slot.take_first_free(directory)
        self._left_behind = self._slot.files()
        self.journal = Journal.start(self._slot)
        self.settler = Settler(on, self.journal)
        self.limiter = Limiter(Leases(on, self._slot.process))
        self.purses = Purses(on, f"{self._slot.process}/{secrets.token_hex(4)}", self.settler.settle_waiting)
        self.settler.booked = self.purses.settled
        self.callers = Callers(on, self._clock, options.limits, signed_in_by)
        on.wakeups.heed_here(self._heed_at_once)
        self.directory = Directory(on, model_url=options.model_url, allowed_private=options.allowed_private)
        self._client = UpstreamClient(options.allowed_private)
        self._recoverer = Recoverer(self.settler, self._slot, self.purses)
        self._refused_rows = RefusedRows()
        self._tasks: list[asyncio.Task[None]] = []
        self._flushing = ThreadPoolExecutor(1, thread_name_prefix="journal flush")

    async def start(self) -> None:
        """Works from now on; a database that is away only delays what needs it."""
        works = (
            self.settler.run,
            self._recover,
            self.limiter.keep,
            self.purses.keep,
            self._flush,
            self._listen,
        )
        for work in works:
            self._tasks.append(asyncio.create_task(_lasting(work)))
        with contextlib.suppress(Unavailable):
            await self.directory.load()

    async def stop(self) -> None:
        """Settle what is closed, give back leases, let go of the journal. Calls should have ended before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await self.settler.settle_waiting()
                await self.limiter.stop()
                await self.purses.stop()
        except (MatrixError, DBAPIError, TimeoutError) as error:
            log.warning("gateway_stops_unsettled", error=str(error), unsettled=self.settler.unsettled)
        await self._client.close()
        self._flushing.shutdown()
        self.journal.stop()

    # What a door calls

    async def models(self, request: Request, reply: Reply) -> None:
        """GET /models: those the caller may use."""
        caller = await self._identify(request, Capability.MODELS_READ)
        shown = [
            route.as_openai()
            for route in (await self._known()).routes.values()
            if not caller.models or route.slug in caller.models
        ]
        await reply.send(200, [JSON_TYPE], orjson.dumps({"object": "list", "data": shown}))

    async def model(self, request: Request, reply: Reply, slug: str) -> None:
        """GET /models/{slug}."""
        caller = await self._identify(request, Capability.MODELS_READ)
        route = await self._route_of(caller, slug)
        await reply.send(200, [JSON_TYPE], orjson.dumps(route.as_openai()))

    async def infer(self, request: Request, reply: Reply, endpoint: Endpoint) -> None:
        """POST of one of the three endpoints. Raises Refusal while nothing was sent."""
        started = time.perf_counter()
        with tracing.act("gateway", endpoint=endpoint.value) as trace_id:
            caller = await self._identify(request, Capability.INFERENCE)
            call = Call(
                id=new_id("req"),
                organization_id=caller.organization_id,
                key_id=caller.key_id,
                account_id=caller.account_id,
                endpoint=endpoint.value,
                started_at=self._clock.now(),
                address=request.address,
                trace_id=trace_id,
            )
            try:
                await self._answer(request, reply, caller, call, started)
            except Refusal as refusal:
                if not call.status:  # it never came to an exchange
                    self._book_refused(caller, call, refusal, started)
                refusal.headers.setdefault("x-request-id", call.id)
                raise
            finally:
                measure(call, time.perf_counter() - started)

    async def _answer(
        self, request: Request, reply: Reply, caller: Caller, call: Call, started: float
    ) -> None:
        order = orders.read(Endpoint(call.endpoint), await request.body())
        route = await self._route_of(caller, order.model)
        _require_fitting(order, route)
        call.model, call.upstream_id = route.slug, route.target.id
        call.streamed, call.prompt_estimate = order.stream, order.prompt_estimate
        admission = await self.limiter.admit(
            (*caller.subjects, *self._throttled(call)),
            prepaid=caller.prepaid,
            tokens=order.prompt_estimate + longest_answer(order, route),
        )
        try:
            budgets = self.directory.budgets.get(caller.organization_id)
            if caller.wallet is not None or budgets is not None:
                most = worst_case.of(call, order, route, self.directory.prices, caller.wallet, budgets or ())
                await self.purses.reserve(call, caller.wallet, most.cost, most.caps)
            exchange = Exchange(
                client=self._client,
                order=order,
                route=route,
                entry=self._open(call),
                reply=reply,
                headers=[(b"x-request-id", call.id.encode()), *admission.headers],
                close=self._close,
                started=started,
            )
            await exchange.run()
        except Refusal as refusal:
            _add_headers(refusal, admission)
            raise
        finally:
            admission.settle(call.tokens)
            if not call.status:  # it never came to an exchange
                self.purses.cancel(call)

    def _throttled(self, call: Call) -> Iterator[Subject]:
        """What budgets that are used up leave of calls like this one."""
        for one in self.directory.throttles.get(call.organization_id, ()):
            if one.covers(key_id=call.key_id, model=call.model, at=call.started_at):
                yield Subject.of(one.terms.id, "requests", one.requests_per_minute)

    def _open(self, call: Call) -> Entry:
        try:
            return self.journal.open(call)
        except OSError as error:
            log.error("journal_refuses", error=str(error))
            raise Refusal(
                Code.NOT_AVAILABLE, "Calls cannot be booked at the moment, so none is made. Try again later."
            ) from error

    def _close(self, entry: Entry) -> None:
        entry.close()
        self.purses.ended(entry.call)
        self.settler.take(entry)

    def _book_refused(self, caller: Caller, call: Call, refusal: Refusal, started: float) -> None:
        call.status, call.error_code = refusal.status, refusal.code.value
        call.latency_ms = round((time.perf_counter() - started) * 1_000)
        if self._refused_rows.take(caller.key_id or caller.account_id, time.monotonic()):
            self.settler.take_refused(call)
        else:
            metrics.GATEWAY_REFUSED_UNRECORDED.inc()

    async def _identify(self, request: Request, capability: Capability) -> Caller:
        secret = request.secret
        if secret is not None:
            caller = await self.callers.by_key(secret)
        elif (token := request.session_token) is not None:
            caller = await self.callers.by_session(token)
        else:
            raise Refusal(
                Code.INVALID_KEY,
                "You didn't provide an API key. Send it as 'Authorization: Bearer mx-...'; create one in the"
                " console.",
            )
        caller.require(capability)
        return caller

    async def _known(self) -> Directory:
        if not self.directory.loaded_at:
            try:
                await self.directory.load()
            except Unavailable as error:
                raise Refusal(
                    Code.NOT_AVAILABLE, "The list of models cannot be read at the moment."
                ) from error
        return self.directory

    async def _route_of(self, caller: Caller, slug: str) -> Route:
        route = await (await self._known()).look_up(slug)
        if route is None:
            raise Refusal(
                Code.MODEL_NOT_FOUND, f"The model '{slug}' does not exist. See GET /v1/models.", param="model"
            )
        if caller.models and slug not in caller.models:
            raise Refusal(
                Code.MODEL_NOT_ALLOWED, f"This API key may not use the model '{slug}'.", param="model"
            )
        return route

    # What goes on behind

    async def _listen(self) -> None:
        channels = (KEYS_CHANGED, LEASES_WANTED)
        async for channel, payload in listen(libpq_url(self._on.url), *channels, poll_s=REFRESH_S):
            names = frozenset(payload.split(",")) - {""}
            try:
                await self._heed(channel, names)
            except (MatrixError, DBAPIError) as error:
                log.warning("wakeup_not_heeded", channel=channel, error=str(error))

    def _heed_at_once(self, channel: str, name: str) -> None:
        """A key that this very process has changed."""
        if channel == KEYS_CHANGED and name.startswith("apikey_"):
            self.callers.forget(frozenset({name}))

    async def _heed(self, channel: str, names: frozenset[str]) -> None:
        if channel == LEASES_WANTED:
            await self.limiter.renew_wanted(names)
            await self.purses.give_back(names)
            return
        keys = frozenset(name for name in names if name.startswith("apikey_"))
        self.callers.forget(keys)
        if not names:
            self.callers.doubt()
        if names != keys or not names:
            await self.directory.load()

    async def _recover(self) -> None:
        """Settle what dead processes left: at start ours, then every so often everybody's."""
        failures = 0
        while True:
            try:
                await self._recoverer.recover(self._left_behind)
                self._left_behind.clear()
                failures, wait_s = 0, REFRESH_S
            except (Unavailable, Conflict, DBAPIError) as error:
                failures += 1
                wait_s = rules.retry_delay_s(failures, base_s=0.5, most_s=REFRESH_S)
                log.warning("recovery_waits", error=str(error), in_s=wait_s)
            await asyncio.sleep(wait_s)

    async def _flush(self) -> None:
        """Bring the journal to the disk itself, in groups and in a thread: for the day the machine dies."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(journal.FLUSH_S)
            for segment in self.journal.segments():
                if segment.dirty:
                    await loop.run_in_executor(self._flushing, segment.flusher())


async def _lasting(work: Callable[[], Awaitable[None]]) -> None:
    """Background work that ends by itself is a fault of ours: say so loudly, and go on."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("gateway_task_failed", task=work.__qualname__)
        await asyncio.sleep(1)


def _require_fitting(order: Order, route: Route) -> None:
    if not route.serves(order.endpoint):
        raise Refusal(
            Code.ENDPOINT,
            f"The model '{route.slug}' does not serve {order.endpoint.value}; it serves"
            f" {', '.join(sorted(route.endpoints))}.",
            param="model",
        )
    if route.target.builtin:
        orders.require_builtin(order)
    if rules.surely_above(route.context_tokens, order.text_bytes):
        raise Refusal(
            Code.CONTEXT_LENGTH,
            f"This model's maximum context length is {route.context_tokens} tokens. However, your input has"
            f" about {order.prompt_estimate} tokens. Please reduce its length.",
            param="messages" if order.endpoint is Endpoint.CHAT else None,
        )
    if order.max_tokens is not None and order.max_tokens > route.context_tokens:
        raise Refusal(
            Code.INVALID_VALUE,
            f"max_tokens is too large: {order.max_tokens}. This model's context has {route.context_tokens} tokens.",
            param="max_tokens",
        )


def _add_headers(refusal: Refusal, admission: Admission) -> None:
    for name, value in admission.headers:
        refusal.headers.setdefault(name.decode(), value.decode())


async def answer(work: Callable[[], Awaitable[None]], reply: Reply, begun: Callable[[], bool]) -> None:
    """Run one request at a door; every failure becomes an answer in OpenAI's shape."""
    try:
        await work()
    except Refusal as refusal:
        await _refuse(refusal, reply, begun())
    except Unavailable as error:
        await _refuse(Refusal(Code.NOT_AVAILABLE, error.message), reply, begun())
    except Exception:
        log.exception("gateway_call_failed")
        await _refuse(Refusal(Code.INTERNAL, "Something went wrong on our side."), reply, begun())


async def _refuse(refusal: Refusal, reply: Reply, begun: bool) -> None:
    if begun:
        await reply.end(sse.event(refusal.error()))
        return
    headers: Headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    await reply.send(refusal.status, [JSON_TYPE, *headers], refusal.body())
