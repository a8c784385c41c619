"""How much processor time each part of the product took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.bench.product import Product


@contextmanager
def shares(product: Product, **others: int) -> Iterator[dict[str, float]]:
    """Fill the dictionary, on leaving, with processor seconds per second of each part and of `others` by pid."""
    parts = product.processes() | {name: [psutil.Process(pid)] for name, pid in others.items()}
    before = {name: _used_s(processes) for name, processes in parts.items()}
    began = time.monotonic()
    found: dict[str, float] = {}
    yield found
    took = time.monotonic() - began
    # Backends of the database come and go: what a gone one used is lost, so ask for those that are there now too.
    after = product.processes() | {name: [psutil.Process(pid)] for name, pid in others.items()}
    for name, processes in after.items():
        found[name] = round(max(0.0, _used_s(processes) - before.get(name, 0.0)) / took, 2)


def _used_s(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
