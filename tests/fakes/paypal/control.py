"""What PayPal has no door for, as JSON acts under /_control; those of the fake Stripe that fit work here, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.paypal import orders
from tests.fakes.paypal.errors import Issue
from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.control import Control, Told, yes
from tests.fakes.stripe.control_page import choice, form, given, hidden, section, table
from tests.fakes.stripe.faults import KINDS, Faults
from tests.fakes.stripe.hooks import SPOILS, Deliveries
from tests.fakes.stripe.page_frame import alert, frame
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.store import Thing


class PayPalControl(Control):
    def __init__(self, world: PayPalWorld, switches: Faults, deliveries: Deliveries) -> None:
        super().__init__(world, switches, deliveries)
        self.paypal = world

    def acts(self) -> dict[str, Callable[[Told], Any]]:
        kept = (
            "advance", "clear", "declines", "fault", "forget", "pause", "release", "resend", "spoil",
        )  # fmt: skip
        return {
            **{name: act for name, act in super().acts().items() if name in kept},
            "approve": self.approve,
            "close_dispute": self.close_dispute,
            "dispute": self.dispute,
            "end_agreement": self.end_agreement,
            "escalate": self.escalate,
            "withdraw": self.withdraw,
        }

    def approve(self, told: Told) -> None:
        """The buyer agrees to an order, or to keep their wallet."""
        thing = self.world.store.find(str(told.get("token", "")))
        if thing is None or thing["object"] not in ("order", "setup_token"):
            raise Refusal("There is nothing to approve.")
        agree(self.paypal, thing)

    def dispute(self, told: Told) -> Thing:
        order = self.world.get("order", str(told.get("order", "")))
        (captured,) = [one for one in self.world.store.of("capture") if one["_order"] == order["id"]]
        return orders.dispute(self.paypal, captured, inquiry=yes(told.get("inquiry", False)))

    def end_agreement(self, told: Told) -> None:
        """The buyer ends on PayPal's own pages that their wallet is kept."""
        orders.forget_method(self.paypal, self.world.get("payment_token", str(told.get("payment_token", ""))))

    def escalate(self, told: Told) -> Thing:
        made = self.world.get("dispute", str(told.get("dispute", "")))
        try:
            orders.escalate(self.paypal, made)
        except Issue as issue:
            raise Refusal(str(issue)) from issue
        return made

    def close_dispute(self, told: Told) -> Thing:
        made = self.world.get("dispute", str(told.get("dispute", "")))
        try:
            orders.close(self.paypal, made, won=yes(told.get("won", False)))
        except Issue as issue:
            raise Refusal(str(issue)) from issue
        return made

    def withdraw(self, told: Told) -> Told:
        """All of a currency goes to the bank."""
        code = str(told.get("currency", "USD")).upper()
        amount = sum(one["net"] for one in self.world.store.of("transaction") if one["code"] == code)
        if amount <= 0:
            raise Refusal("There is nothing to withdraw.")
        identifier = self.paypal.paypal_id()
        orders.move(self.paypal, orders.WITHDRAWN, identifier, -amount, code)
        return {"id": identifier, "amount": amount}

    def html(self, refused: str) -> str:
        def newest(kind: str) -> list[Thing]:
            return list(self.world.store.newest_first(kind))[:10]

        captures = [
            [
                f"<code>{one['_order']}</code>",
                f"{one['amount']['value']} {one['amount']['currency_code']}",
                one["status"],
                form("dispute", hidden(order=one["_order"]))
                + form("dispute", hidden(order=one["_order"], inquiry="true"), label="Ask about it"),
            ]
            for one in newest("capture")
        ]
        disputed = [
            [f"<code>{one['id']}</code>", f"{one['dispute_life_cycle_stage']} {one['status']}", _decided(one)]
            for one in newest("dispute")
        ]
        wallets = [
            [f"<code>{one['id']}</code>", form("end_agreement", hidden(payment_token=one["id"]))]
            for one in newest("payment_token")
        ]
        body = (
            section("Clock", form("advance", given("days", "Days to advance", "1")))
            + section(
                "Next payment", form("declines", given("codes", "Declined with", "INSTRUMENT_DECLINED"))
            )
            + section("Payments", table(captures))
            + section("Disputes", table(disputed))
            + section("Kept wallets", table(wallets))
            + section("Withdraw", form("withdraw", given("currency", "Currency", "USD")))
            + section("Next request", form("fault", choice("kind", "Goes wrong", list(KINDS))))
            + section("Next webhooks", form("spoil", choice("kind", "Are", list(SPOILS))))
            + section("Switches", form("clear"))
        )
        return frame("Test PayPal: control", alert(refused) + body)


def _decided(dispute: Thing) -> str:
    """How it may go on."""
    if dispute["status"] == "RESOLVED":
        return ""
    ends = form("close_dispute", hidden(dispute=dispute["id"], won="true"), label="Won")
    ends += form("close_dispute", hidden(dispute=dispute["id"], won="false"), label="Lost")
    if dispute["dispute_life_cycle_stage"] == "INQUIRY":
        ends += form("escalate", hidden(dispute=dispute["id"]))
    return ends


def agree(world: PayPalWorld, thing: Thing) -> None:
    if thing["object"] == "order":
        orders.approve(world, thing)
    elif thing["status"] == "PAYER_ACTION_REQUIRED":
        thing["status"] = "APPROVED"
        world.store.put(thing)


def add_to(app: web.Application, world: PayPalWorld, switches: Faults, deliveries: Deliveries) -> None:
    acts = PayPalControl(world, switches, deliveries)
    app.router.add_get("/_control", acts.page)
    app.router.add_get("/_control/state", acts.tell)
    app.router.add_post("/_control/{act}", acts.act)
