"""Words that must stay between the product and one person, sent through every door: none comes out at another end."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core import tracing
from services.core.database import database
from services.core.settings import settings
from state.portal.keys import KeysState
from tests.api.conftest import Api
from tests.api.test_doors import mailed_token
from tests.fakes.collector import Collector
from tests.integration.gateway.house import FakeUpstream, House
from tests.integration.state.visitor import Visitor

PASSWORD = "canary-password sings at dawn"
WRONG_PASSWORD = "canary-guess was not right"
NAME = "Canaria Canary-Name"
MAIL = "canary-mail@example.com"
PROMPT = "canary-prompt: what is the meaning of this"
BROKEN = '{"model": "canary-broken'
UNKNOWN_KEY = "mx-CanaryCanaryCanaryCanaryCanaryCanary00000"
FILTER = "canary-filter"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeUpstream]:
    fake = FakeUpstream(tmp_path / "served.log")
    yield fake
    fake.stop()


@pytest.fixture
def called(fake: FakeUpstream) -> list[str]:
    return [f"127.0.0.1:{fake.port}"]


async def test_no_canary_sings(logged: io.StringIO, api: Api, traced: Collector, fake: FakeUpstream) -> None:
    secrets = [PASSWORD, WRONG_PASSWORD, NAME, MAIL, PROMPT, "canary-broken", UNKNOWN_KEY, FILTER]
    secrets += await _person_comes_in(api)
    secrets += await _models_are_called(api, fake)

    measured = (await api.root().get("/metrics")).text
    tracing.stop()
    ends = {"log": logged.getvalue(), "traces": traced.text, "metrics": measured}

    doors = {"http POST", "gateway", "KeysState.load"}
    assert doors | {"unit_of_work", "sql", "upstream"} <= {span.name for span in traced.spans}
    assert "upstream_failed" in ends["log"] or "upstream_refused" in ends["log"]
    assert "matrix_" in measured
    assert [(end, secret) for end, said in ends.items() for secret in secrets if secret in said] == []


async def _person_comes_in(api: Api) -> list[str]:
    """Signs up, mistypes, signs in, makes a key, looks for something; gives the secrets that were made on the way."""
    browser = api.client(headers={"x-matrix-csrf": "1"})
    await browser.post("sign-up", json={"email": MAIL, "password": PASSWORD, "name": NAME})
    token = await mailed_token(MAIL)
    for password in (WRONG_PASSWORD, PASSWORD):
        await browser.post("sign-up/confirm", json={"token": token, "password": password})
    refused = await browser.post("session", json={"email": MAIL, "password": WRONG_PASSWORD})
    assert WRONG_PASSWORD not in refused.text
    await browser.post("session", json={"email": MAIL, "password": [PASSWORD]})
    assert (await browser.post("session", json={"email": MAIL, "password": PASSWORD})).status_code == 201
    founded = (await browser.post("organizations", json={"name": "Acme", "timezone": "UTC"})).json()
    await browser.post("session/organization", json={"organization_id": founded["id"]})
    key = (await browser.post("keys", json={"name": "laptop"})).json()["secret"]
    await browser.get(f"audit?actor={MAIL}")
    session = next(iter(value for name, value in browser.cookies.items() if "session" in name))
    visitor = Visitor(session, at=f"/portal/keys?ended={FILTER}")
    await visitor.call(KeysState, "load")
    await visitor.call(KeysState, "narrow", "ended", FILTER)
    return [token, session, key]


async def _models_are_called(api: Api, fake: FakeUpstream) -> list[str]:
    """Calls that are answered, refused, broken and by nobody."""
    house = House(database(), api.world, fake, settings().data_dir)
    await house.furnish("echo", "echo+status=500", "echo+cut=1")
    client = await house.client()
    headers = {"authorization": f"Bearer {client.key.secret}"}
    asked = [{"role": "user", "content": PROMPT}]
    async with api.root(headers=headers) as http:
        for model in ("echo", "echo-status-500", "echo-cut-1", f"no-such-{FILTER}"):
            for stream in (False, True):
                body = {"model": model, "messages": asked, "stream": stream}
                await http.post("/v1/chat/completions", json=body)
        await http.post("/v1/chat/completions", content=BROKEN, headers={"content-type": "application/json"})
        await http.get("/v1/models", headers={"authorization": f"Bearer {UNKNOWN_KEY}"})
    await house.close_clients()
    called = [json.loads(line) for line in fake.log.read_text().splitlines()]
    assert PROMPT in str(called)
    assert all(call["traceparent"] for call in called if call["kind"] == "begin")
    return [client.key.secret]
