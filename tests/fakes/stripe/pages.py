"""What a customer sees of this Stripe: the page to pay on, and the bank's page to authenticate on."""

from __future__ import annotations

import secrets
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from tests.fakes.stripe import cards, checkout, currencies
from tests.fakes.stripe.control import authenticate
from tests.fakes.stripe.hooks import Deliveries
from tests.fakes.stripe.page_frame import alert, field, frame
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import Asked, World

_OFFERED = {
    "visa": "Visa that pays",
    "mastercard": "Mastercard that pays",
    "authenticationRequired": "Asks for authentication (3-D Secure)",
    "visa_chargeDeclined": "Declined",
    "visa_chargeDeclinedInsufficientFunds": "Insufficient funds",
    "chargeDeclinedExpiredCard": "Expired",
    "createDispute": "Pays and is disputed",
    "refundFail": "Pays; its refund fails later",
}


class Pages:
    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self.world, self.deliveries = world, deliveries

    def _session(self, request: web.Request) -> Thing:
        session = self.world.store.find(request.match_info["id"])
        if session is None or session["object"] != "checkout.session":
            raise web.HTTPNotFound(text=frame("There is no such page", ""), content_type="text/html")
        return session

    async def show(self, request: web.Request) -> web.Response:
        return _html(_card_page(self._session(request), "", {}))

    async def submit(self, request: web.Request) -> web.Response:
        session, told = self._session(request), dict(await request.post())
        self.world.asked = Asked()
        try:
            intent = checkout.submit(self.world, session, _card(told))
        except Refusal as refused:
            self._keep()
            return _html(_card_page(session, str(refused), told), status=402)
        self._keep()
        if intent["status"] == "requires_action":
            raise web.HTTPSeeOther(intent["next_action"]["redirect_to_url"]["url"])
        raise web.HTTPSeeOther(_success(session))

    async def come_back(self, request: web.Request) -> web.Response:
        """From the bank's page: on to the shop if it is paid, back to the card if not."""
        session = self._session(request)
        if checkout.finish(self.world, session):
            self._keep()
            raise web.HTTPSeeOther(_success(session))
        return _html(_card_page(session, "The bank did not confirm that it is you. Choose another card.", {}))

    def _intent(self, request: web.Request) -> Thing:
        intent = self.world.store.find(request.match_info["id"])
        secret = request.query.get("secret", "")
        if intent is None or not secrets.compare_digest(str(intent.get("client_secret", "")), secret):
            raise web.HTTPNotFound(text=frame("There is no such page", ""), content_type="text/html")
        return intent

    async def ask(self, request: web.Request) -> web.Response:
        intent = self._intent(request)
        if intent["status"] != "requires_action":
            raise web.HTTPSeeOther(_returned(intent))
        body = (
            "<section><p>Your bank asks whether this is you.</p>"
            '<form method="post"><button name="ok" value="true">Complete authentication</button>'
            '<button class="quiet" name="ok" value="false">Fail authentication</button></form></section>'
        )
        return _html(frame("Authenticate this payment", body))

    async def authenticated(self, request: web.Request) -> web.Response:
        intent, told = self._intent(request), await request.post()
        self.world.asked = Asked()
        if intent["status"] == "requires_action":
            authenticate(self.world, intent, ok=told.get("ok") == "true")
            self._keep()
        raise web.HTTPSeeOther(_returned(intent))

    def _keep(self) -> None:
        self.world.store.commit()
        self.deliveries.wake()


def _html(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


def _card(told: dict[str, Any]) -> dict[str, Any]:
    if told.get("test_card") and not told.get("number"):
        return {"token": f"tok_{told['test_card']}"}
    month, _, year = str(told.get("expiry", "")).replace(" ", "").partition("/")
    if not (month.isdecimal() and year.isdecimal()):
        raise Refusal("Write the card's expiry as month / year, for example 12/34.")
    return {
        "number": str(told.get("number", "")),
        "exp_month": int(month),
        "exp_year": int(year) + (2000 if int(year) < 100 else 0),
        "cvc": str(told.get("cvc", "")),
    }


def _card_page(session: Thing, refused: str, told: dict[str, Any]) -> str:
    if session["status"] != "open":
        return frame("This page has been used", "<p>Go back to where you came from.</p>")
    pays = session["mode"] == "payment"
    words = f"Pay {currencies.text(session['amount_total'], session['currency'])}" if pays else "Save card"
    options = "".join(
        f'<option value="{name}">{escape(label)} (…{cards.BY_NAME[name].number[-4:]})</option>'
        for name, label in _OFFERED.items()
    )
    cancel = session["cancel_url"]
    number = field("Card number", "number", str(told.get("number", "")), hint="4242 4242 4242 4242")
    body = (
        f'{alert(refused)}<section><form method="post"><h2>A test card</h2>'
        f'<label for="test_card">What it does</label><select id="test_card" name="test_card">{options}</select>'
        f"<h2>or a test number</h2>{number}"
        f'<div class="row">{field("Expiry", "expiry", str(told.get("expiry", "")), hint="12/34")}'
        f"{field('Security code', 'cvc', hint='123')}</div><button>{escape(words)}</button></form>"
        + (f'<p><a href="{escape(cancel)}">Back without paying</a></p>' if cancel else "")
        + "</section>"
    )
    return frame(words, body)


def _success(session: Thing) -> str:
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])


def _returned(intent: Thing) -> str:
    """The shop's address with what became of it, as Stripe adds it."""
    parts = urlsplit(intent["_return_url"])
    name = intent["object"]
    failed = intent["status"] == "requires_payment_method"
    added = {
        name: intent["id"],
        f"{name}_client_secret": intent["client_secret"],
        "redirect_status": "failed" if failed else "succeeded",
    }
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *added.items()])))


def add_to(app: web.Application, world: World, deliveries: Deliveries) -> None:
    pages = Pages(world, deliveries)
    app.router.add_get("/_hosted/checkout/{id}", pages.show)
    app.router.add_post("/_hosted/checkout/{id}", pages.submit)
    app.router.add_get("/_hosted/checkout/{id}/return", pages.come_back)
    app.router.add_get("/_hosted/authenticate/{id}", pages.ask)
    app.router.add_post("/_hosted/authenticate/{id}", pages.authenticated)
