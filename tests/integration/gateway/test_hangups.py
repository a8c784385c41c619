"""Callers that leave in the middle are booked with real counts, and an upstream is stopped or read to its end."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.gateway.house import Client, House, until

ASK: list[dict[str, str]] = [{"role": "user", "content": "Tell me a long story."}]


def slug_of(model: str) -> str:
    return model.replace("+", "-").replace("=", "-")


async def leave_after(client: Client, model: str, pieces: int) -> int:
    """Read so many pieces of a stream, then hang up. Returns how many had come."""
    body = {"model": slug_of(model), "messages": ASK, "stream": True}
    received = 0
    async with client.http.stream("POST", "/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            received += '"content":"w' in line
            if received >= pieces:
                break
    return received


async def test_draining_takes_the_upstreams_own_count(gateway: House) -> None:
    model = "long+pieces=40+pause=0.005"
    await gateway.furnish(model, on_hangup="drain")
    ana = await gateway.client()

    await leave_after(ana, model, 3)

    row = await gateway.row(ana)
    assert (row["status"], row["error_code"]) == (499, "client_disconnected")
    assert (row["prompt_tokens"], row["completion_tokens"], row["tokens_source"]) == (7, 40, "upstream")


async def test_cancelling_counts_what_was_sent_and_stops_the_upstream(gateway: House) -> None:
    model = "long+pieces=4000+pause=0.005"
    await gateway.furnish(model, on_hangup="cancel")
    ana = await gateway.client()

    received = await leave_after(ana, model, 3)

    row = await gateway.row(ana)
    assert (row["status"], row["tokens_source"]) == (499, "counted")
    assert received <= row["completion_tokens"] < 2_000
    assert row["prompt_tokens"] > 0
    # The fake notes an end when its caller is gone.
    await until(lambda: '"kind": "end"' in gateway.fake.log.read_text().splitlines()[-1])


async def test_a_running_count_is_taken_when_the_caller_leaves(gateway: House) -> None:
    """llama.cpp says how many tokens it made with each piece, also those it holds back: two here."""
    model = "long+pieces=4000+pause=0.005+timings=2"
    await gateway.furnish(model, on_hangup="cancel")
    ana = await gateway.client()

    received = await leave_after(ana, model, 3)

    row = await gateway.row(ana)
    assert row["prompt_tokens"] == 7  # read and cached, as the upstream said
    assert received + 2 <= row["completion_tokens"] < 2_000


async def test_what_an_upstream_stated_at_the_beginning_is_not_all_that_is_paid(gateway: House) -> None:
    model = "long+pieces=4000+pause=0.005+early=0"
    await gateway.furnish(model, on_hangup="cancel")
    ana = await gateway.client()

    received = await leave_after(ana, model, 20)

    row = await gateway.row(ana)
    assert (row["status"], row["prompt_tokens"], row["tokens_source"]) == (499, 7, "counted")
    assert received <= row["completion_tokens"] < 2_000


async def test_leaving_a_plain_call_cancels_it_and_owes_nothing(gateway: House) -> None:
    await gateway.furnish("slow+delay=60", on_hangup="cancel")
    ana = await gateway.client()
    body = {"model": "slow-delay-60", "messages": ASK}
    begun = len(gateway.fake.log.read_text().splitlines())

    call = asyncio.create_task(ana.http.post("/chat/completions", json=body))
    await until(lambda: len(gateway.fake.log.read_text().splitlines()) > begun)
    call.cancel()

    row = await gateway.row(ana)
    assert (row["status"], row["prompt_tokens"], row["completion_tokens"]) == (499, 0, 0)


@pytest.mark.parametrize("on_hangup", ["cancel", "drain"])
async def test_reserved_tokens_are_given_back(gateway: House, on_hangup: str) -> None:
    model = "long+pieces=30+pause=0.005"
    await gateway.furnish(model, on_hangup=on_hangup)
    ana = await gateway.client()

    await leave_after(ana, model, 2)
    row = await gateway.row(ana)

    (hold,) = [h for n, h in gateway.gateway.limiter._holds.items() if n == f"{ana.organization.id}:tokens"]
    now = gateway.gateway.limiter.clock()
    outstanding = max(0.0, hold.full_at - now) * hold.share / 60
    assert outstanding <= row["prompt_tokens"] + row["completion_tokens"] + 1
