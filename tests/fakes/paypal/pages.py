"""The page on which the buyer agrees, or does not."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from tests.fakes.paypal.control import agree
from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.hooks import Deliveries
from tests.fakes.stripe.page_frame import frame
from tests.fakes.stripe.store import Thing


class Pages:
    def __init__(self, world: PayPalWorld, deliveries: Deliveries) -> None:
        self.world, self.deliveries = world, deliveries

    def _thing(self, request: web.Request) -> Thing:
        thing = self.world.store.find(request.query.get("token", ""))
        if thing is None or thing["object"] not in ("order", "setup_token"):
            raise web.HTTPNotFound(text=frame("There is no such page", ""), content_type="text/html")
        return thing

    async def show(self, request: web.Request) -> web.Response:
        thing = self._thing(request)
        if thing["status"] not in ("CREATED", "PAYER_ACTION_REQUIRED"):
            body = "<p>Go back to where you came from.</p>"
            return web.Response(text=frame("This page has been used", body), content_type="text/html")
        words = "Keep my wallet for later"
        if thing["object"] == "order":
            amount = thing["purchase_units"][0]["amount"]
            words = f"Pay {amount['value']} {amount['currency_code']}"
        body = (
            '<section><form method="post"><p>You are signed in as buyer@example.test.</p>'
            f'<button name="act" value="agree">{escape(words)}</button>'
            '<button class="quiet" name="act" value="no_funds">Agree without enough funds</button>'
            '<button class="quiet" name="act" value="cancel">Cancel</button></form></section>'
        )
        return web.Response(text=frame(words, body), content_type="text/html")

    async def submit(self, request: web.Request) -> web.Response:
        thing, told = self._thing(request), await request.post()
        context: dict[str, Any] = thing["_source"].get("experience_context") or {}
        if told.get("act") == "cancel":
            raise web.HTTPSeeOther(_back(context.get("cancel_url", ""), thing))
        if told.get("act") == "no_funds":
            self.world.settings["declines"].append("INSTRUMENT_DECLINED")
            self.world.store.put(self.world.settings)
        agree(self.world, thing)
        self.world.store.commit()
        self.deliveries.wake()
        raise web.HTTPSeeOther(_back(context.get("return_url", ""), thing))


def _back(url: str, thing: Thing) -> str:
    parts = urlsplit(url or "/")
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("token", thing["id"])])))


def add_to(app: web.Application, world: PayPalWorld, deliveries: Deliveries) -> None:
    pages = Pages(world, deliveries)
    app.router.add_get("/checkoutnow", pages.show)
    app.router.add_post("/checkoutnow", pages.submit)
