"""What becomes of a change that waits when something else is done meanwhile: one that counts already is billed all the
same, and one that does not count yet comes or not, as is shown before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from models.types import ProrationBehaviour as B
from services.subscriptions import subscriptions
from services.subscriptions.previewing import preview
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


# What is done while a smaller plan and fewer seats wait for the 1st of May; whether that is said not to come; and the
# plan and seats that are billed on the 1st of May and of June.
MAY, SMALL, LARGE = datetime(2026, 5, 1, 12, tzinfo=UTC), ("small", 1), ("large", 3)
LATER: dict[str, tuple[list[tuple[str, dict[str, Any]]], bool, list[tuple[str, int]]]] = {
    "nothing": ([], False, [SMALL, SMALL]),
    "cancelled": ([("cancel", {})], True, []),
    "cancelled and kept": ([("cancel", {}), ("reactivate", {})], True, [SMALL, SMALL]),
    "cancelled, the change undone, and kept": (
        [("cancel", {}), ("unschedule", {}), ("reactivate", {})], True, [LARGE, LARGE],
    ),
    "cancelled twice and kept": (
        [("cancel", {}), ("reactivate", {}), ("cancel", {}), ("reactivate", {})], True, [SMALL, SMALL],
    ),
    "cancelled before it": ([("cancel", {"cancel_at": MAY - timedelta(days=3)})], True, []),
    "cancelled before it and kept": (
        [("cancel", {"cancel_at": MAY - timedelta(days=3)}), ("reactivate", {})], True, [SMALL, SMALL],
    ),
    "cancelled for after it": ([("cancel", {"cancel_at": MAY + timedelta(days=31)})], False, [SMALL]),
    "ended": ([("cancel", {"now_at_once": True})], True, []),
    "paused and resumed": ([("pause", {}), ("resume", {})], True, [LARGE, LARGE]),
}  # fmt: skip


async def test_a_change_that_waits_comes_unless_it_was_said_that_it_does_not(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    seats = price("seats", "seat", "1", quantity_min=Decimal(1))
    small, large = [await sold.plan(price("base", "flat", base), seats) for base in ("10", "60")]
    names = {small.id: "small", large.id: "large"}
    found: dict[str, Any] = {}
    for name, (steps, *_) in LATER.items():
        sold.at(2026, 4, 1, 12)
        await sold.shop.new_customer(name=name)
        one = await sold.start(large, quantities={"seats": Decimal(3)})
        sold.at(2026, 4, 11, 12)
        await sold.change(one, small, quantities={"seats": Decimal(1)})
        lapses = None
        for verb, given in steps:
            act = partial(getattr(subscriptions, verb), subscription_id=one.id, **given)
            if (verb, lapses) in (("cancel", None), ("pause", None)):
                async with sold.shop.work() as uow:
                    shown = await preview(uow, act, of=one.id)
                lapses = shown.lapses
                assert lapses is None or (lapses.at, names[lapses.plan_id]) == (MAY, "small")
                ends = given.get("cancel_at", MAY if verb == "cancel" and not given else sold.shop.now)
                assert shown.effective_at == ends
            async with sold.shop.work() as uow:
                await act(uow)
        billed: list[tuple[str, int]] = []
        for month in (5, 6):
            sold.at(2026, month, 1, 12)
            await sold.run(one)
            lines = [line for line in await sold.lines() if line.period_start == sold.shop.now]
            if lines:
                base, of_seats = lines
                billed.append(({1000: "small", 6000: "large"}[base.amount_minor], int(of_seats.quantity)))
        found[name] = (lapses is not None, billed)
    assert found == {name: (said, billed) for name, (_, said, billed) in LATER.items()}
