"""What Stripe has no door for: its clock, its bank, its faults. For tests, and for a person on the page at /_control.

Each act is a POST with JSON, answered with JSON, or with a form, answered by going back to the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

from tests.fakes.stripe import balance, disputes, faults, hooks, methods, payments, refunds
from tests.fakes.stripe.control_page import control_page
from tests.fakes.stripe.faults import Fault, Faults
from tests.fakes.stripe.hooks import SPOILS, Deliveries, Spoil
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import require
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import DAY_S, Asked, World, public

Told = dict[str, Any]


class Control:
    def __init__(self, world: World, switches: Faults, deliveries: Deliveries) -> None:
        self.world, self.faults, self.deliveries = world, switches, deliveries

    def acts(self) -> dict[str, Callable[[Told], Any]]:
        return {
            "advance": self.advance,
            "authenticate": self.authenticate,
            "clear": self.clear,
            "close_dispute": self.close_dispute,
            "daily_payouts": self.daily_payouts,
            "declines": self.declines,
            "detach": lambda told: methods.loosen(self.world, self._named("payment_method", told)),
            "dispute": self.dispute,
            "escalate": lambda told: disputes.escalate(self.world, self._named("dispute", told)),
            "fail_payout": lambda told: balance.fail(self.world, self._named("payout", told)),
            "fail_refund": lambda told: refunds.fail(self.world, self._named("refund", told)),
            "fault": self.fault,
            "forget": self.forget,
            "pause": self.pause,
            "payout": self.payout,
            "renew": self.renew,
            "release": lambda told: {"released": self.faults.release()},
            "resend": lambda told: self.deliveries.again(self._named("event", told)),
            "spoil": self.spoil,
            "terms": self.terms,
            "warn": lambda told: disputes.warn(self.world, self._charge(told)),
        }

    def _named(self, kind: str, told: Told) -> Thing:
        return self.world.get(kind, str(told.get(kind, "")), param=kind)

    def _charge(self, told: Told) -> Thing:
        if "payment_intent" in told:
            intent = self._named("payment_intent", told)
            return self.world.get("charge", intent["latest_charge"] or "", param="payment_intent")
        return self._named("charge", told)

    def advance(self, told: Told) -> Told:
        self.world.advance(int(told.get("seconds", 0)) + int(told.get("days", 0)) * DAY_S)
        return {"now": self.world.now()}

    def authenticate(self, told: Told) -> Thing:
        """What the customer does at the bank's page."""
        intent = self.world.store.find(str(told.get("intent", "")))
        if intent is None or intent["status"] != "requires_action":
            raise Refusal("Nobody is asked to authenticate that.")
        authenticate(self.world, intent, ok=yes(told.get("ok", True)))
        return intent

    def clear(self, told: Told) -> None:
        self.faults.clear()
        self.deliveries.spoils.clear()
        self.world.settings["declines"] = []

    def close_dispute(self, told: Told) -> Thing:
        made = self._named("dispute", told)
        disputes.close(self.world, made, won=yes(told.get("won", False)))
        return made

    def daily_payouts(self, told: Told) -> None:
        was, self.world.settings["daily_payouts"] = (
            self.world.settings["daily_payouts"],
            yes(told.get("on", True)),
        )
        if self.world.settings["daily_payouts"] and not was:
            self.world.plan(self.world.now() // DAY_S * DAY_S + DAY_S, "midnight", "_settings")

    def declines(self, told: Told) -> None:
        """The next charges are declined with these codes, one each, whatever the card."""
        codes = told.get("codes", [])
        self.world.settings["declines"] += codes.split() if isinstance(codes, str) else codes

    def dispute(self, told: Told) -> Thing:
        reason = str(told.get("reason", "fraudulent"))
        return disputes.dispute(
            self.world, self._charge(told), reason=reason, inquiry=yes(told.get("inquiry", False))
        )

    def fault(self, told: Told) -> None:
        require(told.get("kind") in faults.KINDS, f"The kinds are {', '.join(faults.KINDS)}.", param="kind")
        self.faults.waiting.append(
            Fault(
                told["kind"],
                str(told.get("path", "*")),
                str(told.get("method", "*")),
                int(told.get("times", 1)),
            )
        )

    def forget(self, told: Told) -> None:
        """As if it had just been started for the first time."""
        self.clear(told)
        self.deliveries.paused = False
        self.world.forget()

    def pause(self, told: Told) -> None:
        """Webhooks wait until they are let go on, or until `deliver`."""
        self.deliveries.paused = yes(told.get("paused", True))

    def payout(self, told: Told) -> Thing | None:
        return balance.pay_out(self.world, str(told.get("currency", "usd")).lower())

    def renew(self, told: Told) -> None:
        """The network tells of another number or date of a kept card."""
        card = self._named("payment_method", told)
        methods.renew(
            self.world,
            card,
            last4=str(told.get("last4", "0001")),
            exp_year=int(told.get("exp_year", card["card"]["exp_year"] + 3)),
        )

    def spoil(self, told: Told) -> None:
        require(told.get("kind") in SPOILS, f"The kinds are {', '.join(SPOILS)}.", param="kind")
        self.deliveries.spoils.append(
            Spoil(told["kind"], int(told.get("times", 1)), int(told.get("seconds", 0)))
        )

    def terms(self, told: Told) -> None:
        for name, value in told.items():
            require(hasattr(self.world.terms, name), f"There is no term {name}.", param=name)
            setattr(self.world.terms, name, int(value))

    async def act(self, request: web.Request) -> web.Response:
        """One of the acts, or `deliver`, which sends what is due and says how many were taken."""
        is_form = request.content_type == "application/x-www-form-urlencoded"
        told: Told = (
            dict(await request.post()) if is_form else await request.json() if request.can_read_body else {}
        )
        name = request.match_info["act"]
        self.world.asked = Asked()
        try:
            if name == "deliver":
                async with ClientSession(timeout=ClientTimeout(total=hooks.ANSWER_TIMEOUT_S)) as session:
                    done: Any = await self.deliveries.flush(
                        session, even_later=yes(told.get("even_later", False))
                    )
            else:
                done = self.acts()[name](told)
        except KeyError:
            return web.json_response({"error": {"message": f"There is no {name} here."}}, status=404)
        except (Refusal, ValueError) as refused:
            if is_form:
                return self._page(str(refused))
            return web.json_response({"error": {"message": str(refused)}}, status=400)
        self.world.store.put(self.world.settings)
        self.world.store.commit()
        self.deliveries.wake()
        if is_form:
            raise web.HTTPSeeOther("/_control")
        return web.json_response(public(done) if isinstance(done, dict) else {})

    def _page(self, refused: str = "") -> web.Response:
        return web.Response(text=self.html(refused), content_type="text/html")

    def html(self, refused: str) -> str:
        return control_page(self.world, self.state(), refused)

    async def page(self, request: web.Request) -> web.Response:
        return self._page()

    async def tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.state())

    def state(self) -> Told:
        return {
            "now": self.world.now(),
            "faults": [
                {"kind": one.kind, "path": one.path, "times": one.times} for one in self.faults.waiting
            ],
            "held": len(self.faults.held),
            "declines": self.world.settings["declines"],
            "deliveries": self.deliveries.waiting(),
        }


def authenticate(world: World, intent: Thing, *, ok: bool) -> None:
    if intent["object"] == "setup_intent":
        methods.confirm_setup(world, intent, authenticated=ok)
    else:
        payments.attempt(world, intent, authenticated=ok)


def yes(told: Any) -> bool:
    return told in (True, "true", "on", "1", "yes")


def add_to(app: web.Application, world: World, switches: Faults, deliveries: Deliveries) -> None:
    control = Control(world, switches, deliveries)
    app.router.add_get("/_control", control.page)
    app.router.add_get("/_control/state", control.tell)
    app.router.add_post("/_control/{act}", control.act)
