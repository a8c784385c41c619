"""The wire of the fake PayPal: who asks, whether it was asked before, and what is answered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tests.fakes.paypal import control, forms, orders, pages
from tests.fakes.paypal.errors import Issue
from tests.fakes.paypal.routes import ROUTES, Handler
from tests.fakes.paypal.signing import Signer
from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.faults import HANG_S, Fault, Faults
from tests.fakes.stripe.hooks import Deliveries

ORDER_KEYS_LAST_S, PAYMENT_KEYS_LAST_S = 6 * 3_600, 45 * 86_400
KEY_LENGTH_MAX = 108
TOKEN_LASTS_S = 32_400
_FAULTS = {"error_before": 500, "error_after": 500, "in_use": 409, "locked": 409, "limited": 429}


class Server:
    def __init__(self, world: PayPalWorld) -> None:
        self.world = world
        world.later["hold ends"] = lambda _, one: orders.hold_ends(world, one)
        self.signer = Signer(world)
        self.faults = Faults()
        self.deliveries = Deliveries(world, self.signer.sign)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        control.add_to(app, self.world, self.faults, self.deliveries)
        pages.add_to(app, self.world, self.deliveries)
        app.router.add_post("/v1/oauth2/token", self.token)
        app.router.add_get("/v1/notifications/certs/{name}", self.certificate)
        app.router.add_get("/_control/root", self.root)
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

    async def token(self, request: web.Request) -> web.Response:
        given = ""
        with contextlib.suppress(ValueError):
            given = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if not secrets.compare_digest(given.encode(), self.world.secret_key.encode()):
            told = {"error": "invalid_client", "error_description": "Client Authentication failed"}
            return web.json_response(told, status=401)
        made = secrets.token_urlsafe(40)
        self.world.tokens.add(made)
        return web.json_response({"access_token": made, "token_type": "Bearer", "expires_in": TOKEN_LASTS_S})

    async def certificate(self, request: web.Request) -> web.Response:
        return web.Response(text=self.signer.chain, content_type="application/x-pem-file")

    async def root(self, request: web.Request) -> web.Response:
        """What the receivers of a test have to trust."""
        return web.Response(text=self.signer.root, content_type="application/x-pem-file")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(request.method, request.path)
        try:
            return await self._answer(request, fault)
        except Issue as issue:
            return self._response(issue.status, issue.body)

    async def _answer(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        kind = fault.kind if fault else ""
        raw = await request.read()
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.world.tokens:
            raise Issue("", status=401)
        if kind in ("close_before", "hang_before"):
            return await _break(request, hang=kind == "hang_before")
        if kind in _FAULTS and kind != "error_after":
            issue = "PREVIOUS_REQUEST_IN_PROGRESS" if _FAULTS[kind] == 409 else ""
            raise Issue(issue, status=_FAULTS[kind])
        if fault and kind == "hold":
            await self.faults.hold(fault)
        status, answer = self._do(request, raw)
        if kind in ("close_after", "hang_after"):
            return await _break(request, hang=kind == "hang_after")
        if kind == "error_after":
            raise Issue("", status=500)
        return self._response(status, answer)

    def _do(self, request: web.Request, raw: bytes) -> tuple[int, Any]:
        handler, names = _route(request)
        try:
            body = forms.read(request.headers.get("Content-Type", ""), raw)
        except ValueError as error:
            raise Issue("MALFORMED_REQUEST_JSON", status=400) from error
        if not isinstance(body, dict):
            raise Issue("MALFORMED_REQUEST_JSON", status=400)
        key = request.headers.get("PayPal-Request-Id", "") if request.method == "POST" else ""
        if len(key) > KEY_LENGTH_MAX:
            raise Issue("INVALID_STRING_MAX_LENGTH", status=400, field="PayPal-Request-Id")
        self.world.do_due()
        if (known := self._known(key, request.path, raw)) is not None:
            return 200, known
        if negative := request.headers.get("PayPal-Mock-Response"):
            raise Issue(str(json.loads(negative)["mock_application_codes"]))
        try:
            status, answer = handler(self.world, body, names | {"_key": key} | dict(request.query))
            if key:
                self._keep(key, request.path, raw, answer)
        finally:
            self.world.store.put(self.world.settings)
            self.world.store.commit()
            self.deliveries.wake()
        return status, answer

    def _known(self, key: str, path: str, raw: bytes) -> Any:
        """The answer this key had. It is kept for hours for orders, for weeks for what follows them."""
        kept = self.world.store.find(f"_answer:{path}:{key}") if key else None
        lasts = ORDER_KEYS_LAST_S if path.endswith("/orders") else PAYMENT_KEYS_LAST_S
        if kept is None or kept["at"] + lasts < self.world.now():
            return None
        if kept["asked"] != hashlib.sha256(raw).hexdigest():
            raise Issue("PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
        return kept["answer"]

    def _keep(self, key: str, path: str, raw: bytes, answer: Any) -> None:
        self.world.store.put(
            {
                "id": f"_answer:{path}:{key}", "object": "_answer", "at": self.world.now(),
                "asked": hashlib.sha256(raw).hexdigest(), "answer": answer,
            }
        )  # fmt: skip

    def _response(self, status: int, answer: Any) -> web.Response:
        if status == 204:
            return web.Response(status=204)
        debug = secrets.token_hex(7)
        if status >= 400:
            answer = {**answer, "debug_id": debug}
        return web.json_response(answer, status=status, headers={"Paypal-Debug-Id": debug})


def _route(request: web.Request) -> tuple[Handler, dict[str, str]]:
    for method, pattern, handler in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and method == request.method:
            return handler, found.groupdict()
    raise Issue("", status=404)


async def _break(request: web.Request, *, hang: bool) -> web.StreamResponse:
    """Ends the connection without an answer, at once or when the other side or our patience gives up."""
    if hang:
        await asyncio.sleep(HANG_S)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(world: PayPalWorld, port: int) -> None:
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
