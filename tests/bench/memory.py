"""What everything takes in memory after start, model and database included.

PSS counts a page of memory that several processes share once in all; RSS counts it in each, so that the
database's shared buffers and copy-on-write pages appear many times. The goal is held against PSS.
"""

from __future__ import annotations

from contextlib import suppress

import psutil

from tests.bench.figures import Figure, Result
from tests.bench.product import Product, running
from tests.bench.stub import MODEL

PSS_MB_MAX = 1_200.0
BUSY_CALLS = 3


async def run() -> Result:
    with running() as product:
        started = _megabytes(product)
        _use(product)
        used = _megabytes(product)
    figures = [
        Figure("all processes after start, PSS", _sum(started, "pss"), "MB", goal=PSS_MB_MAX),
        Figure("all processes after start, RSS added up", _sum(started, "rss"), "MB"),
        Figure("all processes after the first calls, PSS", _sum(used, "pss"), "MB", goal=PSS_MB_MAX),
    ]
    return Result("memory", tuple(figures), {"MB by part after the first calls": used})


def _use(product: Product) -> None:
    """Sign in and ask the built-in model, so that what is loaded on first use is loaded."""
    product.cookie()
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 40,
    }
    for _ in range(BUSY_CALLS):
        answer = product.ask(
            "POST", "/v1/chat/completions", body, headers={"Authorization": f"Bearer {product.key}"}
        )
        if answer.status != 200:
            raise RuntimeError(f"The gateway answered {answer.status}: {answer.body.decode()}")


def _megabytes(product: Product) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, processes in product.processes().items():
        part = found[name] = {"pss": 0.0, "rss": 0.0, "processes": 0}
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # backends of the database come and go
                memory = process.memory_full_info()
                part["pss"] += memory.pss / 1e6
                part["rss"] += memory.rss / 1e6
                part["processes"] += 1
    return {name: {kind: round(value, 1) for kind, value in part.items()} for name, part in found.items()}


def _sum(parts: dict[str, dict[str, float]], kind: str) -> float:
    return sum(part[kind] for part in parts.values())
