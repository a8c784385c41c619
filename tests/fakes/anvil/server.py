"""One address for the node and its control: JSON-RPC is handed on to anvil, /_control has the page and its acts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.fakes.anvil.control_page import control_page
from tests.fakes.anvil.running import TIMEOUT_S, Anvil, NodeRefused
from tests.fakes.anvil.wallet import Told, Wallet, WalletRefused

LOOKED_AT_EVERY_S = 0.5


class Server:
    def __init__(self, anvil: Anvil, wallet: Wallet) -> None:
        self._anvil, self._wallet = anvil, wallet
        self._acting = asyncio.Lock()  # a sending and its block are one act
        self._acts: dict[str, Callable[[Told], Told]] = {
            "mine": wallet.mine,
            "send": wallet.send,
            "send_again": wallet.send_again,
            "take_back": wallet.take_back,
        }

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self.hand_on)
        app.router.add_get("/_control", self.page)
        app.router.add_get("/_control/state", self.tell)
        app.router.add_post("/_control/{act}", self.act)
        return app

    async def hand_on(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=TIMEOUT_S)) as http,
                http.post(self._anvil.url, data=await request.read(), headers=headers) as answer,
            ):
                return web.Response(body=await answer.read(), content_type="application/json")
        except ClientError as error:
            raise web.HTTPBadGateway from error

    async def page(self, request: web.Request) -> web.Response:
        return await self._page(dict(request.query))

    async def _page(self, asked: Told, refused: str = "") -> web.Response:
        state = await asyncio.to_thread(self._wallet.state)
        return web.Response(text=control_page(state, asked, refused), content_type="text/html")

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(self._wallet.state))

    async def act(self, request: web.Request) -> web.Response:
        is_form = request.content_type == "application/x-www-form-urlencoded"
        told: Told = (
            dict(await request.post()) if is_form else await request.json() if request.can_read_body else {}
        )
        act = self._acts.get(request.match_info["act"])
        if act is None:
            raise web.HTTPNotFound
        try:
            async with self._acting:
                done = await asyncio.to_thread(act, told)
        except (WalletRefused, NodeRefused) as refused:
            if is_form:
                return await self._page(told, str(refused))
            return web.json_response({"error": {"message": str(refused)}}, status=400)
        if is_form:
            raise web.HTTPSeeOther("/_control")
        return web.json_response(done)


async def serve(anvil: Anvil, wallet: Wallet, port: int) -> None:
    """Serves on the loopback until cancelled, or until anvil ends; says on which port as soon as it listens."""
    runner = web.AppRunner(Server(anvil, wallet).app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        print(json.dumps({"url": url, "key": wallet.key}), flush=True)  # noqa: T201
        while anvil.runs:  # noqa: ASYNC110 (a process tells nobody that it ends)
            await asyncio.sleep(LOOKED_AT_EVERY_S)
    finally:
        await runner.cleanup()
