"""kill -9 of each process in the middle of gateway load: nothing lost, nothing counted twice, nothing undelivered.

The callers write down what they got, the model server what it answered, and in the end the books must say the same. Of
a call that was under way when a process died, as many tokens may be booked as lie between the two. To replay a run:
`pytest tests/faults -m deep -k "[7]"`, where 7 is its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bench.parties import inside, parties
from tests.bench.product import Answer, Product, ProductFailed, running
from tests.bench.stub import MODEL, Stub, upstream
from tests.checks import assert_invariants
from tests.faults import books
from tests.faults.callers import Callers, Outcome, until, until_none

pytestmark = pytest.mark.e2e

VICTIMS = ("web", "worker", "model", "database")
TOKEN_S = 0.004  # a stream lasts long enough to be hit in its middle
SIGN_UPS_EACH = 3
DEEP_SEEDS = range(20)


@pytest.mark.timeout(240)
async def test_kill_9_under_load_loses_and_doubles_nothing() -> None:
    await _kill_all_under_load(seed=1)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", DEEP_SEEDS)
async def test_kill_9_under_load_in_any_order(seed: int) -> None:
    await _kill_all_under_load(seed=100 + seed, rounds=3)


async def _kill_all_under_load(*, seed: int, rounds: int = 1) -> None:
    chance = random.Random(seed)
    with upstream(token_s=TOKEN_S) as model, running(in_memory=True, model_url=model.address) as product:
        (party,) = await parties(product, 1)
        sign_ups = SignUps(product)
        async with Callers(product.address, party.key, seed) as callers:
            for victim in [one for _ in range(rounds) for one in chance.sample(VICTIMS, len(VICTIMS))]:
                await callers.more(chance.randint(10, 60))
                await sign_ups.send(SIGN_UPS_EACH)
                await _kill(victim, product, model, callers)
        await _settled(product)
        async with inside(product):
            rows = await books.booked(party.organization_id)
            faults = books.compare(rows, callers.seen, model.answered())
            faults += await books.inner_faults(party.organization_id)
            faults += await books.mail_faults(sign_ups.addresses)
            await assert_invariants()
        assert faults == []
    assert {outcome for outcome in Outcome if callers.count(outcome)} == set(Outcome), (
        "the run hit too little"
    )
    assert {call.status for call in callers.seen if call.status} <= {502, 503}
    assert _journal(product) == []


class SignUps:
    """People who sign up while things break: what is committed must reach them by mail, once."""

    def __init__(self, product: Product) -> None:
        self.addresses: list[str] = []
        self._product = product

    async def send(self, count: int) -> None:
        for _ in range(count):
            address = f"new{len(self.addresses)}@faults.example"
            self.addresses.append(address)
            body = {"email": address, "password": "correct horse battery", "name": "New"}
            with suppress(OSError):  # the process may be gone; then the person has an account or has none
                await asyncio.to_thread(self._product.ask, "POST", "/api/v1/sign-up", body)


async def _kill(victim: str, product: Product, model: Stub, callers: Callers) -> None:
    """Kill it while calls are under way, and wait until the product serves whole answers again."""
    if victim == "model":
        model.process.send_signal(signal.SIGKILL)
        await callers.more(5, Outcome.REFUSED)
        model.start_again()
    else:
        killed = product.pid(victim)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: _runs_anew(product, victim, killed), f"{victim} runs again")
    await until(lambda: asyncio.to_thread(product.ready), "the product is ready again")
    await callers.more(30)


def _runs_anew(product: Product, name: str, killed: int) -> bool:
    try:
        return product.pid(name) != killed
    except ProductFailed:
        return False


async def _settled(product: Product) -> None:
    """Wait until the journals of dead processes are booked and every event has reached its subscribers."""
    await until(lambda: len(_journal(product)) <= 1, "only the living process has a journal")
    await until(lambda: _measured(product, "matrix_gateway_unsettled_calls") == 0, "all calls are settled")
    async with inside(product):
        await until_none(books.undelivered)


def _journal(product: Product) -> list[Path]:
    return list((product.data_dir / "journal").glob("*.calls"))


def _measured(product: Product, metric: str) -> float:
    lines = product.ask("GET", "/metrics").body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{metric} "))


@pytest.mark.timeout(240)
async def test_the_built_in_model_server_comes_back_after_kill_9() -> None:
    with running(in_memory=True) as product:
        (party,) = await parties(product, 1)
        ask = _asking(product, party.key)
        assert (await asyncio.to_thread(ask)).status == 200

        killed = product.pid("model")
        os.kill(killed, signal.SIGKILL)
        refused = await asyncio.to_thread(ask)

        assert refused.status in (502, 503)
        assert refused.json()["error"]["code"] in ("upstream_error", "upstream_unavailable")
        await until(lambda: _runs_anew(product, "model", killed), "the model server runs again")
        await until(lambda: asyncio.to_thread(product.ready), "the product is ready again")
        assert (await asyncio.to_thread(ask)).status == 200
        await _settled(product)
        async with inside(product):
            rows = await books.booked(party.organization_id)
            assert sorted(row.status for row in rows) == [200, 200, refused.status]
            assert [row.completion_tokens for row in rows if row.status != 200] == [0]
            assert await books.inner_faults(party.organization_id) == []


def _asking(product: Product, key: str) -> Callable[[], Answer]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 5}
    return lambda: product.ask(
        "POST", "/v1/chat/completions", body, headers={"Authorization": f"Bearer {key}"}
    )
