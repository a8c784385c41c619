"""What a meter counts is billed by one subscription at a time, whatever way a second one would come to it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.subscriptions import subscriptions
from services.subscriptions.meters_taken import MeterTaken
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

OUT = "completion_tokens"


async def test_two_subscriptions_never_bill_one_meter_at_the_same_time(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    metered = await sold.plan(price("base", "flat", "10"), price("out", "metered", "1", meter=OUT))
    other = await sold.plan(price("base", "flat", "20"), price("out", "metered", "2", meter=OUT))
    plain = await sold.plan(price("base", "flat", "5"))
    cheap = await sold.plan(price("base", "flat", "1"), price("out", "metered", "1", meter=OUT))
    least = await sold.plan(price("base", "flat", "0.50"))
    sold.at(2026, 1, 1)
    first = await sold.start(metered)
    beside = await sold.start(plain)

    with pytest.raises(MeterTaken, match="completion tokens already"):
        await sold.start(other)
    with pytest.raises(MeterTaken):
        await sold.change(beside, other)
    with pytest.raises(MeterTaken):
        await sold.change(beside, cheap)  # with the next period
    await sold.change(first, other)  # its own meter

    sold.at(2026, 1, 10)
    await sold.do(subscriptions.pause, first)
    with pytest.raises(MeterTaken):
        await sold.start(metered)  # it may go on any day
    await sold.do(subscriptions.resume, first)

    sold.at(2026, 1, 20)
    await sold.do(subscriptions.cancel, first, now_at_once=True)
    with pytest.raises(MeterTaken):
        await sold.start(metered, started_at=datetime(2026, 1, 15, tzinfo=UTC))
    last = await sold.start(cheap)
    await sold.change(last, least)  # nothing meters from the next period on, and until then it does
    with pytest.raises(MeterTaken):
        await sold.start(metered)
    sold.at(2026, 2, 25)
    await sold.run(last)
    await sold.start(metered)
