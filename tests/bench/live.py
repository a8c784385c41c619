"""From commit to arrival: 200 people watch the overview while usage is booked every 200 ms.

Once all of one organisation, once five organisations of 40. The reference is a bare websocket server made of the same
libraries that sends a text of the same length to as many clients: what no hub can be faster than.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from tests.bench.driving import driver
from tests.bench.figures import Figure, Result, median_figure, percentile
from tests.bench.parties import Party, parties
from tests.bench.product import Product, running
from tests.bench.stub import MODEL, upstream

ARRIVAL_MS_P95_MAX = 50.0
CLIENTS = 200
CHANGE_EVERY_S = 0.2
SECONDS = 10.0
REPEATS = 3


async def run() -> Result:
    with upstream() as model, running(model_url=model.address) as product:
        made = await parties(product, 5)
        one = [await _watched(product, made[:1]) for _ in range(REPEATS)]
        five = [await _watched(product, made) for _ in range(REPEATS)]
    figures = (*_figures("one organisation of 200", one), *_figures("five organisations of 40", five))
    return Result("live", figures, {"driver": _driver_notes(one + five)})


async def _watched(product: Product, watched: Sequence[Party]) -> dict[str, Any]:
    """One repeat: latencies in milliseconds, and what the drivers say of themselves."""
    options = {"address": product.address, "clients": CLIENTS, "view": "overview", "seconds": SECONDS + 2}
    async with (
        driver("live", cookies=[party.cookie for party in watched], **options) as live,
        driver(
            "changes",
            data_dir=str(product.data_dir),
            organizations=[party.organization_id for party in watched],
            model=MODEL,
            every_s=CHANGE_EVERY_S,
            seconds=SECONDS,
        ) as changes,
    ):
        seen, made = await asyncio.gather(live.go(), changes.go())
    return {"ms": _latencies_ms(made, seen), "live": seen, "changes": made}


def _latencies_ms(made: dict[str, Any], seen: dict[str, Any]) -> list[float]:
    """For each change and connection, how long after the commit a text came that holds the change.

    A connection that never got it raises ValueError: a lost change is no slow one.
    """
    committed, counts = made["committed"], made["requests"]
    latencies: list[float] = []
    for watcher in seen["arrivals"]:
        totals = [count for _, count in watcher["at"]]
        for moment, wanted in zip(committed, counts[watcher["organization"]], strict=True):
            place = bisect_left(totals, wanted)
            if place == len(totals):
                raise ValueError(f"A watcher never saw request {wanted}; its last text had {totals[-1:]}.")
            latencies.append(max(0.0, watcher["at"][place][0] - moment) * 1_000)
    return latencies


def _figures(who: str, repeats: Sequence[dict[str, Any]]) -> tuple[Figure, ...]:
    return (
        median_figure(f"{who}: p50", [percentile(one["ms"], 50) for one in repeats], "ms"),
        median_figure(
            f"{who}: p95", [percentile(one["ms"], 95) for one in repeats], "ms", goal=ARRIVAL_MS_P95_MAX
        ),
    )


def _driver_notes(repeats: Sequence[dict[str, Any]]) -> str:
    cpu = max(one["live"]["driver_cpu"] for one in repeats)
    lag = max(one["live"]["driver_lag_ms_p95"] for one in repeats)
    return f"at most {cpu:.0%} of a core, its loop late by {lag} ms at p95"
