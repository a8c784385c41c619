"""kill -9 of the gateway in the middle of load: after a restart each call is booked once, with true counts."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest

from services.core.database import libpq_url
from tests.integration.gateway.house import NO_TLS, WAIT_S, Client, GatewayProcess, House, until

CALLERS = 12
ASK = [{"role": "user", "content": "Say some words."}]
FAST, SLOW = "fast+pieces=6", "slow+pieces=60+pause=0.004"


@dataclass(slots=True)
class Seen:
    """What callers got, by the name each gave its call."""

    pieces: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    whole: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    begun: int = 0


async def call_on_and_on(base_url: str, client: Client, number: int, seen: Seen) -> None:
    """One call after the other, plain and streamed by turns, until the gateway is gone."""
    headers = {"Authorization": f"Bearer {client.key.secret}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=WAIT_S, verify=NO_TLS) as http:
        for turn in range(10_000):
            name, slug = f"{number}-{turn}", ("fast-pieces-6", "slow-pieces-60-pause-0.004")[turn % 2]
            body = {"model": slug, "messages": ASK, "user": name, "stream": turn % 3 > 0}
            seen.begun += 1
            try:
                await call_once(http, body, name, seen)
            except httpx.TransportError:
                return


async def call_once(http: httpx.AsyncClient, body: dict[str, Any], name: str, seen: Seen) -> None:
    if not body["stream"]:
        usage = (await http.post("/chat/completions", json=body)).json()["usage"]
        seen.whole[name] = (usage["prompt_tokens"], usage["completion_tokens"])
        return
    async with http.stream("POST", "/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            seen.pieces[name] += '"content":"w' in line
            if line == "data: [DONE]":
                seen.whole[name] = (7, seen.pieces[name])


def served(house: House) -> dict[str, int]:
    """Tokens the upstream made, by the name of the call."""
    made: dict[str, int] = {}
    for line in house.fake.log.read_text().splitlines():
        noted = json.loads(line)
        if noted["kind"] == "end" and noted["tag"]:
            made[noted["tag"]] = noted["completion"]
    return made


@pytest.mark.timeout(900)
async def test_killed_under_load_nothing_is_lost_and_nothing_is_booked_twice(
    house: House, owner_url: str
) -> None:
    await house.furnish(FAST, SLOW)
    process = GatewayProcess(house, owner_url)
    await process.until_ready()
    house.base_url = process.base_url
    ana = await house.client()
    seen = Seen()
    callers = [
        asyncio.create_task(call_on_and_on(process.base_url, ana, number, seen)) for number in range(CALLERS)
    ]

    await until(lambda: len(seen.whole) > 100)
    process.kill()
    await asyncio.gather(*callers)
    again = GatewayProcess(house, owner_url)
    await again.until_ready()
    await until_settled(house, again)
    assert again.stop() == 0

    rows = await house.rows(ana.organization)
    answered = [row for row in rows if row["status"] == 200]
    broken_off = [row for row in rows if row["status"] == 499]
    assert len(rows) == len(answered) + len(broken_off)
    # All that callers got is booked, and beside it only calls that were under way.
    assert len(seen.whole) <= len(answered) <= len(seen.whole) + CALLERS
    assert len(broken_off) <= CALLERS
    assert len(rows) <= seen.begun
    got = sum(completion for _, completion in seen.whole.values())
    partly = sum(count for name, count in seen.pieces.items() if name not in seen.whole)
    booked = sum(row["completion_tokens"] for row in rows)
    assert got + partly <= booked <= sum(served(house).values())
    assert {row["error_code"] for row in broken_off} <= {"gateway_process_ended"}
    # Usage says what the rows say.
    assert await house.usage(ana.organization) == {
        "requests": len(rows),
        "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
        "completion_tokens": booked,
    }
    assert list((house.data_dir / "journal").glob("*.calls")) == []


async def until_settled(house: House, process: GatewayProcess) -> None:
    """The restarted process finds what its forerunner left at start, and deletes it once it is settled."""
    folder = house.data_dir / "journal"
    await until(lambda: len(list(folder.glob("*.calls"))) <= 1)


async def test_another_process_settles_what_a_dead_neighbour_left(house: House, owner_url: str) -> None:
    """Two processes, two slots: the second dies for good, the first looks after what it left."""
    await house.furnish(FAST)
    first, second = GatewayProcess(house, owner_url), GatewayProcess(house, owner_url)
    await first.until_ready()
    await second.until_ready()
    house.base_url = second.base_url
    ana = await house.client()
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        # Nothing can be settled while this holds, so the call is in the journal only when its process dies.
        await owner.execute("lock table usage_event in access exclusive mode")
        await ana.ai.chat.completions.create(model="fast-pieces-6", messages=ASK)  # type: ignore[arg-type]
        second.kill()
    third = GatewayProcess(house, owner_url)  # finds the free slot at once; the first would within 30 s
    await third.until_ready()

    row = await house.row(ana)

    assert (row["status"], row["prompt_tokens"], row["completion_tokens"]) == (200, 7, 6)
    assert first.stop() == third.stop() == 0
    assert (await house.usage(ana.organization))["requests"] == 1
