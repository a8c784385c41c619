"""When a product has got over the death of one of its processes."""

from __future__ import annotations

from pathlib import Path

from tests.bench.parties import inside
from tests.bench.product import Product, ProductFailed
from tests.faults import books
from tests.faults.callers import until, until_none


def runs_anew(product: Product, name: str, killed: int) -> bool:
    """Whether the process that was `killed` has a successor."""
    try:
        return product.pid(name) != killed
    except ProductFailed:
        return False


async def settled(product: Product) -> None:
    """Wait until the journals of dead processes are booked and every event has reached its subscribers."""
    await until(lambda: len(journals(product)) <= 1, "only the living process has a journal")
    await until(lambda: all_settled(product), "all calls are settled")
    async with inside(product):
        await until_none(books.undelivered)


def journals(product: Product) -> list[Path]:
    """The files of calls that are not booked yet: one of each process that takes some."""
    return list((product.data_dir / "journal").glob("*.calls"))


def all_settled(product: Product) -> bool:
    return _measured(product, "matrix_gateway_unsettled_calls") == 0


def _measured(product: Product, metric: str) -> float:
    lines = product.ask("GET", "/metrics").body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{metric} "))
