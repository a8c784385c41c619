"""`make bench`: run the benchmarks, print their figures against goals, keep them as JSON.

    python -m tests.bench                 all of them
    python -m tests.bench live memory     some
    python -m tests.bench --list

Exits with 1 when a benchmark could not run; a missed goal is said, and is no error.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.bench import machine
from tests.bench.figures import Figure, Result, table

# In the order of what the design depends on. Each is a module here with `async def run() -> Result`.
BENCHMARKS = (
    "contention",
    "live",
    "page_events",
    "pages",
    "memory",
    "gateway",
    "ingest",
    "row_security",
    "api",
    "table",
    "documents",
    "billing",
    "billing_run",
    "reconciliation",
    "webhooks",
    "collection",
)
SAVED = Path(__file__).resolve().parents[2] / "build" / "bench"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--list", action="store_true", help="show the names and end")
    chosen = parser.parse_args(argv)
    if chosen.list:
        print("\n".join(BENCHMARKS))
        return 0
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return _run(chosen.names or BENCHMARKS)


def _run(names: Sequence[str]) -> int:
    began = datetime.now(UTC)
    described = machine.describe()
    print("{cores} cores, {processor}, Python {python}, load {load}".format(**described))
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in names:
        print(f"\n-- {name} (load {machine.load()})", flush=True)
        started = time.perf_counter()
        try:
            result = asyncio.run(importlib.import_module(f"tests.bench.{name}").run())
        except Exception:  # the others still run; the end says which did not
            traceback.print_exc()
            failed.append(name)
            continue
        print(table(result), flush=True)
        results.append(_as_json(result) | {"took_s": round(time.perf_counter() - started, 1)})
    path = SAVED / f"{began:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"began": began, "machine": described, "results": results, "failed": failed}
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    print(f"\nSaved as {path}")
    if failed:
        print(f"Did not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "benchmark": result.benchmark,
        "figures": [_figure(one) for one in result.figures],
        "notes": result.notes,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return asdict(figure) | {"ratio": figure.ratio, "met": figure.met}


if __name__ == "__main__":
    sys.exit(main())
