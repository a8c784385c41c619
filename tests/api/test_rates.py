"""How often one may ask: told at every door, refused with a time to come back, and nobody pays for somebody else."""

from __future__ import annotations

import re

import httpx
import pytest
from httpx import AsyncClient

from matrix_app.api import app
from matrix_app.api.rates import Rates
from models.identity import Organization
from models.types import Role
from services.core.errors import RateLimited
from services.core.settings import settings
from tests.api.conftest import Api, problem

STATE = re.compile(r'"requests";r=(\d+);t=(\d+)')


def left(answer: httpx.Response) -> int:
    found = STATE.fullmatch(answer.headers["ratelimit"])
    assert found, answer.headers
    return int(found[1])


@pytest.fixture
def strict(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MATRIX_API_REQUESTS_PER_MINUTE", "20")
    environment.setenv("MATRIX_API_NETWORK_PER_MINUTE", "30")
    environment.setattr(app, "Rates", lambda: Rates(clock=lambda: 1_000.0))  # nothing flows off while we ask
    settings.cache_clear()


async def test_every_door_says_how_often_one_may_ask(
    api: Api, acme: Organization, operators: Organization
) -> None:
    clients: dict[str, AsyncClient] = {
        "stranger": api.client(),
        "key": await api.key_client(acme),
        "operator": await api.browser(operators, Role.OPERATOR),
    }
    silent: list[str] = []
    for who, client in clients.items():
        for path, operations in api.contract.document["paths"].items():
            if path == "/session/sign-out":
                continue
            for method in operations:
                answer = await client.request(method, re.sub(r"\{\w+\}", "nobody", path)[1:])
                if not STATE.fullmatch(answer.headers.get("ratelimit", "")):
                    silent.append(f"{method} {path} to a {who}: {answer.status_code}")
    assert not silent, "\n".join(silent)
    assert "ratelimit" not in (await api.root().get("/healthz")).headers


@pytest.mark.usefixtures("strict")
async def test_who_asks_too_often_is_told_when_to_come_back(api: Api, acme: Organization) -> None:
    key, other = await api.key_client(acme), await api.key_client(acme)
    first = await key.get("me")
    assert first.headers["ratelimit-policy"] == '"requests";q=20;w=60'
    assert left(first) == 19

    answers = [await key.get("me") for _ in range(25)]
    refused = [answer for answer in answers if answer.status_code == 429]

    assert [answer.status_code for answer in answers] == [200] * 19 + [429] * 6
    problem(refused[-1], 429, "rate_limited")
    assert refused[-1].headers["retry-after"] == "3"
    assert left(refused[-1]) == 0
    assert (await other.get("me")).status_code == 200  # its colleague has a count of its own


@pytest.mark.usefixtures("strict")
async def test_guessing_from_one_network_shuts_out_neither_neighbours_nor_other_networks(
    api: Api, acme: Organization
) -> None:
    known, newcomer = await api.key_client(acme), await api.key_client(acme)
    assert (await known.get("me")).status_code == 200
    guess = {"authorization": f"Bearer mx-{'x' * 40}"}
    guesses = [(await api.client().get("me", headers=guess)).status_code for _ in range(40)]

    assert guesses == [401] * 30 + [429] * 10
    problem(await api.client().post("sign-up/resend", json={"email": "a@example.com"}), 429, "rate_limited")
    problem(await newcomer.get("me"), 429, "rate_limited")  # as unknown as the guesses
    assert (await known.get("me")).status_code == 200
    assert (await api.client("198.51.100.7", headers=guess).get("me")).status_code == 401


def test_a_bucket_fills_again_and_memory_is_bounded() -> None:
    now = [1_000.0]
    rates = Rates(clock=lambda: now[0], callers_max=3)

    def asks(who: str) -> bool:
        try:
            rates.take(who, 60, {})
        except RateLimited:
            return False
        return True

    assert [asks("ana") for _ in range(61)] == [True] * 60 + [False]
    now[0] += 1.0
    assert [asks("ana"), asks("ana")] == [True, False]
    now[0] += 60.0
    assert all(asks("ana") for _ in range(60))

    for number in range(10):
        asks(f"caller {number}")
        rates.remember(f"key {number}")
    assert len(rates) == 3
    assert [rates.knows(f"key {number}") for number in range(10)] == [False] * 7 + [True] * 3
