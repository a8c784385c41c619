"""Does model traffic slow the pages? Clicks while the machine serves 300 gateway calls/s and 200 live clients.

The gateway works once inside the web process and once as a process of its own (`matrix api`), with the same
product, database and load. docs/decisions/0010-gateway-in-the-web-process.md stands on these figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.bench.clicks import navigations
from tests.bench.driving import Driving, driver
from tests.bench.figures import Figure, Result, median_figure, percentile
from tests.bench.parties import Party, demo_party
from tests.bench.processors import shares
from tests.bench.product import Product, api_beside, running
from tests.bench.stub import MODEL, upstream

CLICK_MS_P95_MAX = 150.0  # above it the gateway runs as its own process by default
CALLS_PER_SECOND = 300
LIVE_CLIENTS = 200
TABS = 20
CLICKS_PER_SECOND = 10
SECONDS = 8.0
REPEATS = 3

Phase = list[dict[str, Any]]


async def run() -> Result:
    with upstream() as model, running(model_url=model.address) as product:
        party = await demo_party(product)
        async with (
            driver("portal", **navigations(product, party), **_pace()) as portal,
            driver("live", **_watching(product, party)) as live,
        ):
            idle = [{"clicks": await portal.go()} for _ in range(REPEATS)]
            async with driver("calls", **_calling(product.address, party)) as calls:
                inside = [await _together(product, portal, live, calls) for _ in range(REPEATS)]
            with api_beside(product) as (address, pid):
                async with driver("calls", **_calling(address, party)) as calls:
                    beside = [await _together(product, portal, live, calls, api=pid) for _ in range(REPEATS)]
    return _result(idle, inside, beside)


def _pace() -> dict[str, Any]:
    return {"clients": TABS, "per_second": CLICKS_PER_SECOND, "seconds": SECONDS}


def _watching(product: Product, party: Party) -> dict[str, Any]:
    return {
        "address": product.address,
        "cookies": [party.cookie],
        "clients": LIVE_CLIENTS,
        "view": "overview",
        "seconds": SECONDS,
    }


def _calling(address: str, party: Party) -> dict[str, Any]:
    return {
        "address": address,
        "key": party.key,
        "model": MODEL,
        "per_second": CALLS_PER_SECOND,
        "seconds": SECONDS,
        "streamed": 0.3,
        "max_tokens": 16,
    }


async def _together(
    product: Product, portal: Driving, live: Driving, calls: Driving, **others: int
) -> dict[str, Any]:
    with shares(product, **others) as processors:
        clicks, watched, called = await asyncio.gather(portal.go(), live.go(), calls.go())
    return {"clicks": clicks, "live": watched, "calls": called, "processors": processors}


def _result(idle: Phase, inside: Phase, beside: Phase) -> Result:
    alone = _p95s(idle, "clicks")
    reference = sorted(alone)[len(alone) // 2]
    figures: list[Figure] = [median_figure("click p95, nothing else going on", alone, "ms")]
    for name, phase in (("gateway in the web process", inside), ("gateway in its own process", beside)):
        figures += [
            median_figure(
                f"click p95, {name}",
                _p95s(phase, "clicks"),
                "ms",
                reference=reference,
                goal=CLICK_MS_P95_MAX,
            ),
            median_figure(f"gateway call p95, {name}", _p95s(phase, "calls"), "ms"),
            median_figure(f"gateway calls answered, {name}", [_answered(one) for one in phase], "/s"),
            median_figure(f"live texts delivered, {name}", [_delivered(one) for one in phase], "/s"),
        ]
    notes = {
        "processor seconds per second, in the web process": inside[-1]["processors"],
        "processor seconds per second, own process": beside[-1]["processors"],
        "drivers": {
            name: {"cpu": one["driver_cpu"], "lag_ms_p95": one["driver_lag_ms_p95"]}
            for name, one in inside[-1].items()
            if name != "processors"
        },
        "answers": inside[-1]["calls"]["statuses"],
        "failed clicks": sum(len(one["clicks"]["failures"]) for one in [*idle, *inside, *beside]),
    }
    return Result("contention", tuple(figures), notes)


def _p95s(phase: Sequence[dict[str, Any]], what: str) -> list[float]:
    return [percentile(one[what]["ms"], 95) for one in phase]


def _answered(one: dict[str, Any]) -> float:
    return one["calls"]["statuses"].get("200", 0) / SECONDS


def _delivered(one: dict[str, Any]) -> float:
    return sum(len(watcher["at"]) for watcher in one["live"]["arrivals"]) / SECONDS
