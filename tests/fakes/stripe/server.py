"""The wire: who asks, whether it was asked before, what is answered, and what a switch makes of that."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tests.fakes.stripe import (
    balance,
    checkout,
    control,
    disputes,
    files,
    pages,
    payments,
    refunds,
)
from tests.fakes.stripe.document import nested, read_fields
from tests.fakes.stripe.faults import HANG_S, Fault, Faults, refusal
from tests.fakes.stripe.hooks import Deliveries
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import ROUTES, expanded
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import DAY_S, Asked, World, public

KEY_LENGTH_MAX = 255
_NAMED = re.compile(r'(name|filename)="([^"]*)"')
LATER = {
    "answer is due": disputes.answer_is_due,
    "hold ends": payments.hold_ends,
    "midnight": balance.at_midnight,
    "payout arrives": balance.arrive,
    "refund: failing": refunds.fail,
    "refund: pending": refunds.succeed,
    "session expires": checkout.expires,
    "settle": balance.settle,
}
WORLD, FAULTS, DELIVERIES = (
    web.AppKey("world", World),
    web.AppKey("faults", Faults),
    web.AppKey("deliveries", Deliveries),
)


class Server:
    def __init__(self, world: World) -> None:
        self.world = world
        world.later.update(LATER)
        self.faults = Faults()
        self.deliveries = Deliveries(world)
        self._under_way: set[str] = set()
        self._calls = 0  # that are being answered

    def app(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app[WORLD], app[FAULTS], app[DELIVERIES] = self.world, self.faults, self.deliveries
        control.add_to(app, self.world, self.faults, self.deliveries)
        pages.add_to(app, self.world, self.deliveries)
        app.router.add_route("*", "/{rest:.*}", self.answer)
        app.cleanup_ctx.append(self._delivering)
        return app

    async def _delivering(self, app: web.Application) -> AsyncIterator[None]:
        running = asyncio.create_task(self.deliveries.run())
        yield
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self.world.store.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(request.method, request.path)
        self._calls += 1
        try:
            if 0 < self.world.terms.calls_at_once < self._calls:
                raise refusal("limited")
            return await self._answer(request, fault)
        except Refusal as refused:
            return self._response(refused.status, {"error": refused.error})
        except UnicodeDecodeError:
            return self._response(
                400, {"error": {"message": "Invalid UTF-8.", "type": "invalid_request_error"}}
            )
        finally:
            self._calls -= 1

    async def _answer(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        self._authenticate(request)
        body = await request.read()
        kind = fault.kind if fault else ""
        if kind in ("close_before", "hang_before"):
            return await _break(request, hang=kind == "hang_before")
        if kind in ("error_before", "in_use", "locked", "limited"):
            raise refusal(kind)
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        if len(key) > KEY_LENGTH_MAX:
            raise Refusal(
                f"Idempotency keys can have up to {KEY_LENGTH_MAX} characters.", kind="idempotency_error"
            )
        if key in self._under_way:
            raise refusal("in_use")
        if replay := self._replay(key, request, body):
            return replay
        self._under_way |= {key} - {""}
        try:
            if fault and kind == "hold":
                await self.faults.hold(fault)
            if request.method == "POST" and self.world.terms.bank_takes_ms:
                await asyncio.sleep(self.world.terms.bank_takes_ms / 1_000)
            fails = refusal(kind) if kind == "error_kept" else None
            status, answer = await self._do(request, body, key, fails)
        finally:
            self._under_way -= {key}
        if kind in ("close_after", "hang_after"):
            return await _break(request, hang=kind == "hang_after")
        if kind == "error_after":
            raise refusal(kind)
        return self._response(status, answer)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        key = given.removeprefix("Bearer ")
        if given.startswith("Basic "):
            with contextlib.suppress(ValueError):
                key = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")[0]
        if not given:
            raise Refusal(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                status=401,
            )
        if not secrets.compare_digest(key.encode(), self.world.secret_key.encode()):
            raise Refusal(
                f"Invalid API Key provided: {key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}", status=401
            )
        version = request.headers.get("Stripe-Version", self.world.document.version)
        if version != self.world.document.version:
            raise Refusal(
                f"This test provider speaks only {self.world.document.version}, not {version}: pin it."
            )

    def _replay(self, key: str, request: web.Request, body: bytes) -> web.Response | None:
        kept = self.world.store.find(f"_answer:{key}") if key else None
        if kept is None or kept["at"] + DAY_S < self.world.now():
            return None
        if kept["asked"] != _fingerprint(request, body):
            raise Refusal(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        response = self._response(kept["status"], kept["answer"])
        response.headers["Idempotent-Replayed"] = "true"
        response.headers["Original-Request"] = kept["request"]
        return response

    async def _do(
        self, request: web.Request, body: bytes, key: str, fails: Refusal | None = None
    ) -> tuple[int, Thing]:
        """Does it, unless it `fails`, and keeps the answer for the key. What was refused before it began is kept for
        none."""
        world = self.world
        operation = world.document.operation(request.method, request.path)
        if operation.path == "/v1/files":
            fields, upload = _upload(request, body)
        else:
            fields, upload = nested(body.decode() if request.method == "POST" else request.query_string), None
        fields = read_fields(operation, fields)
        wanted = fields.pop("expand", [])
        world.do_due()
        world.asked = Asked(world.new_id("req"), key or None)
        status = 200
        try:
            if fails is not None:
                raise fails
            if upload is not None:
                made = files.keep(world, name=upload[0], content=upload[1], purpose=fields["purpose"])
            else:
                made = ROUTES[request.method, operation.path](world, fields, operation.names)
            answer = expanded(world, public(made), wanted)
        except Refusal as refused:
            status, answer = refused.status, {"error": refused.error}
        if key:
            world.store.put(
                {
                    "id": f"_answer:{key}", "object": "_answer", "at": world.now(), "status": status,
                    "asked": _fingerprint(request, body), "answer": answer, "request": world.asked.id,
                }
            )  # fmt: skip
        world.store.put(world.settings)
        world.store.commit()
        self.deliveries.wake()
        return status, answer

    def _response(self, status: int, answer: Any) -> web.Response:
        headers = {"Request-Id": self.world.new_id("req"), "Stripe-Version": self.world.document.version}
        return web.json_response(answer, status=status, headers=headers)


def _fingerprint(request: web.Request, body: bytes) -> str:
    """Of what was asked. The boundary of a form with files differs each time and is no part of it."""
    boundary = _boundary(request)
    plain = body.replace(boundary, b"") if boundary else body
    return hashlib.sha256(f"{request.method} {request.path}\n".encode() + plain).hexdigest()


def _boundary(request: web.Request) -> bytes:
    return request.headers.get("Content-Type", "").partition("boundary=")[2].strip('"').encode()


def _upload(request: web.Request, body: bytes) -> tuple[dict[str, Any], tuple[str, bytes] | None]:
    """The fields of a multipart form, and its file by name and content."""
    boundary = _boundary(request)
    if not boundary:
        raise Refusal("File uploads must be multipart/form-data.")
    fields: dict[str, Any] = {}
    upload: tuple[str, bytes] | None = None
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        named = dict(_NAMED.findall(head.decode(errors="replace")))
        name = named.get("name", "")
        fields[name] = named.get("filename") or content.decode(errors="replace")
        if "filename" in named:
            upload = named["filename"], content
    return fields, upload


async def _break(request: web.Request, *, hang: bool) -> web.StreamResponse:
    """Ends the connection without an answer, at once or when the other side or our patience gives up."""
    if hang:
        await asyncio.sleep(HANG_S)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(world: World, port: int) -> None:
    """Serves on the loopback until cancelled; says on which port as soon as it listens."""
    runner = web.AppRunner(Server(world).app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        world.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        print(json.dumps({"url": world.base, "key": world.secret_key}), flush=True)  # noqa: T201
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
