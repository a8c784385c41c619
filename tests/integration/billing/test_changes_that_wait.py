"""A change that counts at once and is billed with the next invoice is billed, whatever becomes of it meanwhile."""

from __future__ import annotations

from typing import Any

from models.types import ProrationBehaviour as B
from services.subscriptions import subscriptions
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

# What is done to a plan of 600 after it was moved to on the 11th from one of 60, when, and what all documents until
# the 1st of May come to before tax: 60 for April, 400 - 40 for the rest of it, and what the act itself changes.
ACTS: dict[str, tuple[int, str, dict[str, Any], int]] = {
    "nothing": (21, "", {}, 60 + 360 + 600),
    "back with the next period": (21, "change", {"behaviour": B.NEXT_PERIOD}, 60 + 360 + 60),
    "back now": (21, "change", {"behaviour": B.INVOICE_NOW}, 60 + 360 - 200 + 20 + 60),
    "back, to wait, too": (21, "change", {"behaviour": B.NEXT_INVOICE}, 60 + 360 - 200 + 20 + 60),
    "back by staff for nothing": (21, "change", {"behaviour": B.NONE}, 60 + 360 + 60),
    "back in a new period": (21, "change", {"behaviour": B.RESET_CYCLE}, 60 + 360 - 200 + 60),
    "back in the moment": (11, "change", {"behaviour": B.INVOICE_NOW}, 60 + 60),
    "ended at once": (21, "cancel", {"now_at_once": True}, 60 + 360 - 180),  # the day it ends on is used
    "ended with the period": (21, "cancel", {}, 60 + 360),
    "paused": (21, "pause", {}, 60 + 360 - 200),
}


async def test_what_waits_for_the_next_invoice_is_billed_whatever_is_done_meanwhile(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    small = await sold.plan(price("base", "flat", "60", proration="fixed_30"))
    large = await sold.plan(price("base", "flat", "600", proration="fixed_30"))
    found: dict[str, int] = {}
    for name, (day, verb, given, _) in ACTS.items():
        sold.at(2026, 4, 1, 12)
        await sold.shop.new_customer(name=name)
        one = await sold.start(small)
        sold.at(2026, 4, 11, 12)
        await sold.change(one, large, behaviour=B.NEXT_INVOICE)
        assert len([row for row in await sold.invoices() if row.number]) == 1  # it waits
        sold.at(2026, 4, day, 12)
        if verb == "change":
            await sold.change(one, small, **given)
        elif verb:
            await sold.do(getattr(subscriptions, verb), one, **given)
        sold.at(2026, 5, 1, 12)
        await sold.run(one)
        made = await sold.invoices()
        assert {row.state for row in made} <= {"finalized", "paid"}, name  # and nothing waits any more
        found[name] = sum(row.net_minor for row in made)
    assert found == {name: total * 100 for name, (*_, total) in ACTS.items()}
