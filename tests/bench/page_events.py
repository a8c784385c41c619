"""A click's round trip on a table of fifty rows, with 200 pages open and 100 events/s.

The reference is a page of Reflex alone with fifty rows made in memory: no session, no database, no filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.bench.bare_pages import ROOT_STATE, STATE, bare_pages
from tests.bench.clicks import readings
from tests.bench.driving import driver
from tests.bench.figures import Result, median_figure, percentile
from tests.bench.parties import demo_party
from tests.bench.processors import shares
from tests.bench.product import running
from tests.bench.stub import upstream

ROUND_TRIP_MS_P95_MAX = 60.0
TABS = 200
PER_SECOND = 100
SECONDS = 8.0
REPEATS = 3


async def run() -> Result:
    pace = {"clients": TABS, "per_second": PER_SECOND, "seconds": SECONDS}
    with bare_pages() as address:
        options = {"address": address, "cookie": "", "path": "/", "root": ROOT_STATE, "state": STATE}
        async with driver("portal", **options, events=[[f"{STATE}.load", {}]], **pace) as portal:
            bare = [await portal.go() for _ in range(REPEATS)]
    with upstream() as model, running(model_url=model.address) as product:
        party = await demo_party(product)
        async with driver("portal", **readings(product, party), **pace) as portal:
            with shares(product) as processors:
                ours = [await portal.go() for _ in range(REPEATS)]
    return _result(bare, ours, processors)


def _result(
    bare: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]], processors: dict[str, float]
) -> Result:
    def percentiles(runs: Sequence[dict[str, Any]], percent: float) -> list[float]:
        return [percentile(one["ms"], percent) for one in runs]

    def reference(percent: float) -> float:
        return sorted(percentiles(bare, percent))[len(bare) // 2]

    name = "bare Reflex"
    return Result(
        "page_events",
        (
            median_figure(
                "round trip p50", percentiles(ours, 50), "ms", reference=reference(50), reference_name=name
            ),
            median_figure(
                "round trip p95",
                percentiles(ours, 95),
                "ms",
                reference=reference(95),
                reference_name=name,
                goal=ROUND_TRIP_MS_P95_MAX,
            ),
        ),
        {
            "processor seconds per second": processors,
            "bytes of an answer": ours[-1]["bytes_per_answer"],
            "failed or not made": sum(len(one["failures"]) + one["skipped"] for one in ours),
            "driver": {"cpu": ours[-1]["driver_cpu"], "lag_ms_p95": ours[-1]["driver_lag_ms_p95"]},
        },
    )
