"""Requests of one account with a provider: so many at once, the others in their turn."""

from __future__ import annotations

import asyncio

import pytest

from services.payments.providers import turns
from services.payments.providers.base import ProviderUnavailable
from services.payments.providers.turns import Turns


async def test_the_third_of_two_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    two, both, done = Turns(2), asyncio.Event(), asyncio.Event()
    under_way: list[int] = []

    async def ask(number: int) -> None:
        async with two.one():
            under_way.append(number)
            if len(under_way) == 2:
                both.set()
            await done.wait()

    async with asyncio.TaskGroup() as all_of_them:
        for number in range(3):
            all_of_them.create_task(ask(number))
        await both.wait()
        monkeypatch.setattr(turns, "WAIT_MAX_S", 0)
        with pytest.raises(ProviderUnavailable):  # who comes now finds that nothing was sent
            await ask(3)
        assert under_way == [0, 1]
        done.set()

    assert under_way == [0, 1, 2]
    await ask(4)
