"""Calls that never reach an upstream: what they leave behind in its circuit."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime

import orjson
import pytest

from services.gateway import orders, rules
from services.gateway.calls import Call
from services.gateway.directory import Circuit, Route, Target
from services.gateway.orders import Endpoint
from services.gateway.refusals import Code, Refusal
from services.gateway.upstream_calls import UpstreamClient

ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def _order() -> orders.Order:
    return orders.read(Endpoint.CHAT, orjson.dumps(ASK))


def _route(port: int) -> Route:
    target = Target(
        "ups_1", "Away", False, f"http://127.0.0.1:{port}/v1", {}, 1, 1, drains=False, circuit=Circuit()
    )
    return Route("m", "M", "", "m", frozenset({"chat"}), 4_096, 0, target)


def _call() -> Call:
    return Call("req_1", "org_1", "apikey_1", "", "chat", datetime.now(UTC), "192.0.2.1", "")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_caller_who_leaves_between_attempts_does_not_keep_the_circuit_open(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pausing = asyncio.Event()

    def for_ever(*_: object, **__: object) -> float:
        pausing.set()
        return 3_600.0

    monkeypatch.setattr(rules, "retry_delay_s", for_ever)
    client, route = UpstreamClient([f"127.0.0.1:{closed_port}"]), _route(closed_port)
    circuit = route.target.circuit
    circuit.failures, circuit.open_until = rules.CIRCUIT_FAILURES, time.monotonic() - 1  # a probe is due

    probe = asyncio.create_task(client.send(_order(), route, _call()))
    async with asyncio.timeout(10):
        await pausing.wait()
    assert circuit.probing
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    await client.close()

    assert not circuit.probing
    assert circuit.closed_for(time.monotonic()) == 0.0


@pytest.mark.parametrize(("depth", "refused"), [(98, False), (99, True), (253, True), (1_000, True)])
def test_what_is_nested_too_deeply_to_be_passed_on_is_refused(depth: int, refused: bool) -> None:
    body = orjson.dumps(ASK)[:-1] + b',"metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}"
    if not refused:
        assert orjson.dumps(orders.read(Endpoint.CHAT, body).parameters)
        return

    with pytest.raises(Refusal) as refusal:
        orders.read(Endpoint.CHAT, body)

    assert refusal.value.code is Code.INVALID_VALUE


def test_a_long_conversation_is_not_a_deep_one() -> None:
    body = orjson.dumps(ASK | {"messages": ASK["messages"] * 500})  # type: ignore[operator]

    assert len(orders.read(Endpoint.CHAT, body).parameters["messages"]) == 500
