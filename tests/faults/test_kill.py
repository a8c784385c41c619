"""kill -9 of each process under mixed load: nothing lost, nothing done twice, nothing undelivered, nothing stuck.

The callers write down what they got, the model server what it answered, and in the end the books must say the same. Of
a call that was under way when a process died, as many tokens may be booked as lie between the two. What people wrote
over the REST API is there once if they were told so, and at most once if nobody told them. To replay a run:
`pytest tests/faults -m deep -k "[7]"`, where 7 is its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AbstractContextManager, suppress

import pytest

from tests.bench.parties import inside, parties
from tests.bench.product import Product, running
from tests.bench.stub import Stub, upstream
from tests.checks import assert_invariants
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.faults import books, kept
from tests.faults.callers import Callers, Outcome, until, until_none
from tests.faults.recovering import runs_anew, settled
from tests.faults.writers import Writers

pytestmark = pytest.mark.e2e

VICTIMS = ("web", "worker", "model", "database")
# What a task's lease waits for has happened: the worker that held it is dead.
LEASES_OVER = "update task set due_at = now() where state = 'running'"
TOKEN_S = 0.004  # a stream lasts long enough to be hit in its middle
SIGN_UPS_EACH = 3
DEEP_SEEDS = range(20)


@pytest.mark.timeout(900)
async def test_kill_9_under_load_loses_and_doubles_nothing() -> None:
    await _kill_all_under_load(seed=1)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", DEEP_SEEDS)
async def test_kill_9_under_load_in_any_order(seed: int) -> None:
    await _kill_all_under_load(seed=100 + seed, rounds=3)


async def _kill_all_under_load(*, seed: int, rounds: int = 1) -> None:
    chance = random.Random(seed)
    async with smtp_server(FakeSmtp()) as post:
        with upstream(token_s=TOKEN_S) as model, _in_production(model, post) as product:
            (party,) = await parties(product, 1)
            sign_ups = SignUps(product)
            async with (
                Callers(product.address, party.key, seed) as callers,
                Writers(product.address, party, seed) as writers,
            ):
                for victim in [one for _ in range(rounds) for one in chance.sample(VICTIMS, len(VICTIMS))]:
                    await callers.more(chance.randint(10, 60))
                    await sign_ups.send(SIGN_UPS_EACH)
                    await _kill(victim, product, model, callers)
            product.change(LEASES_OVER)
            await settled(product)
            async with inside(product):
                await until_none(books.unsent)
                await until_none(kept.unended)
                assert await kept.write_faults(product, party, writers) == []
                assert await _faults(party.organization_id, callers, model) == []
                assert await books.mail_faults(sign_ups.addresses, post.received) == []
                await assert_invariants()
    assert {outcome for outcome in Outcome if callers.count(outcome)} == set(Outcome), (
        "the run hit too little"
    )
    assert {call.status for call in callers.seen if call.status} <= {502, 503}
    assert all(any(write.acknowledged for write in those) for those in writers.all)
    assert writers.troubles


def _in_production(model: Stub, post: FakeSmtp) -> AbstractContextManager[Product]:
    """Without a demo, whose making would take longer than all that is tried here."""
    mail = f"smtp://127.0.0.1:{post.port}"
    return running(in_memory=True, mode="production", model_url=model.address, smtp_url=mail)


async def _faults(organization_id: str, callers: Callers, model: Stub) -> list[str]:
    rows = await books.booked(organization_id)
    return books.compare(rows, callers.seen, model.answered()) + await books.inner_faults(organization_id)


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
        await until(lambda: runs_anew(product, victim, killed), f"{victim} runs again")
    await until(lambda: asyncio.to_thread(product.ready), "the product is ready again")
    await callers.more(30)
