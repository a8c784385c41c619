"""The official client works unchanged: answers, streams, and each kind of error as its own exception."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from services.core.work import unit_of_work
from services.gateway import rules
from services.identity.keys import Limits, revoke_key
from tests.integration.gateway.house import WAIT_S, House

ASK: Any = [{"role": "user", "content": "Say five words."}]


async def test_a_streamed_chat_with_usage(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()

    stream = await ana.ai.chat.completions.create(
        model="plain", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "w0 w1 w2 w3 w4 "
    assert {chunk.model for chunk in chunks} == {"plain"}
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12
    (row,) = await gateway.rows(ana.organization)
    assert (row["streamed"], row["prompt_tokens"], row["completion_tokens"]) == (True, 7, 5)
    assert row["tokens_source"] == "upstream"
    assert row["first_token_ms"] is not None


async def test_usage_is_metered_and_left_out_when_the_caller_did_not_ask_for_it(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()

    stream = await ana.ai.chat.completions.create(model="plain", messages=ASK, stream=True)
    chunks = [chunk async for chunk in stream]

    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    (row,) = await gateway.rows(ana.organization)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (7, 5)


async def test_the_usage_of_an_upstream_that_states_none_is_counted(gateway: House) -> None:
    await gateway.furnish("silent+nousage")
    ana = await gateway.client()

    stream = await ana.ai.chat.completions.create(
        model="silent-nousage", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    (row,) = await gateway.rows(ana.organization)
    assert (row["status"], row["tokens_source"], row["completion_tokens"]) == (200, "counted", 5)
    assert row["error_code"] == ""


async def test_completions_and_embeddings(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()

    completion = await ana.ai.completions.create(model="plain", prompt="Once upon a time", max_tokens=3)
    stream = await ana.ai.completions.create(model="plain", prompt="Once", stream=True)
    pieces = [chunk.choices[0].text async for chunk in stream]
    vectors = await ana.ai.embeddings.create(model="plain", input=["one", "two"], encoding_format="float")

    assert completion.choices[0].text == "w0 w1 w2 "
    assert "".join(pieces) == "w0 w1 w2 w3 w4 "
    assert [one.embedding for one in vectors.data] == [[0.25, -0.5, 1.0]] * 2
    assert vectors.model == "plain"
    rows = await gateway.rows(ana.organization)
    assert [(row["endpoint"], row["prompt_tokens"], row["completion_tokens"]) for row in rows] == [
        ("completions", 7, 3),
        ("completions", 7, 5),
        ("embeddings", 6, 0),
    ]


async def test_the_list_of_models_is_what_the_key_may_use(gateway: House) -> None:
    await gateway.furnish("one", "two")
    everything = await gateway.client()
    only_one = await gateway.client(models=["one"])

    assert [model.id for model in (await everything.ai.models.list()).data] == ["one", "two"]
    assert [model.id for model in (await only_one.ai.models.list()).data] == ["one"]
    assert (await everything.ai.models.retrieve("two")).object == "model"
    with pytest.raises(openai.NotFoundError):
        await everything.ai.models.retrieve("three")


async def test_a_wrong_key_is_an_authentication_error(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    ana.ai.api_key = "mx-" + "x" * 40

    with pytest.raises(openai.AuthenticationError) as caught:
        await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert caught.value.code == "invalid_api_key"
    assert await gateway.rows(ana.organization) == []


async def test_a_revoked_key_ends_at_once(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.ai.chat.completions.create(model="plain", messages=ASK)

    async with unit_of_work(gateway.world.actor(ana.organization)) as uow:
        await revoke_key(uow, ana.key.key.id)

    async def call_until_refused() -> None:
        while True:  # the notification takes a few milliseconds; without it the key would live for 30 s
            await ana.ai.chat.completions.create(model="plain", messages=ASK, timeout=WAIT_S)

    with pytest.raises(openai.AuthenticationError) as refused:
        await call_until_refused()
    assert refused.value.code == "invalid_api_key"


async def test_a_key_that_ended_without_a_notice_is_looked_up_again_before_its_next_call(
    gateway: House,
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.ai.chat.completions.create(model="plain", messages=ASK)
    async with unit_of_work(gateway.world.actor(ana.organization)) as uow:
        await uow.execute("update api_key set revoked_at = now() where id = :id", id=ana.key.key.id)

    gateway.gateway.callers.doubt()  # as after reconnecting

    with pytest.raises(openai.AuthenticationError) as refused:
        await ana.ai.chat.completions.create(model="plain", messages=ASK)
    assert refused.value.code == "invalid_api_key"


async def test_an_unknown_model_is_not_found_and_a_forbidden_one_denied(gateway: House) -> None:
    await gateway.furnish("one", "two")
    ana = await gateway.client(models=["one"])

    with pytest.raises(openai.NotFoundError) as missing:
        await ana.ai.chat.completions.create(model="gpt-9", messages=ASK)
    with pytest.raises(openai.PermissionDeniedError) as denied:
        await ana.ai.chat.completions.create(model="two", messages=ASK)

    assert missing.value.code == "model_not_found"
    assert denied.value.code == "model_not_allowed"
    assert [row["status"] for row in await gateway.rows(ana.organization)] == [404, 403]


async def test_a_key_without_the_scope_is_denied(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client(scopes=["usage:read"])

    with pytest.raises(openai.PermissionDeniedError) as denied:
        await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert denied.value.code == "insufficient_scope"
    assert len((await ana.ai.models.list()).data) == 1


async def test_over_the_limit_is_a_rate_limit_error_that_says_when_to_come_back(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client(limits=Limits(requests_per_minute=2))

    first = await ana.ai.chat.completions.with_raw_response.create(model="plain", messages=ASK)
    await ana.ai.chat.completions.create(model="plain", messages=ASK)
    with pytest.raises(openai.RateLimitError) as limited:
        await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["ratelimit-policy"].startswith('"requests";q=2;w=60')
    assert limited.value.code == "rate_limit_exceeded"
    headers = limited.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 30
    assert headers["x-ratelimit-remaining-requests"] == "0"
    rows = await gateway.rows(ana.organization)
    assert [row["status"] for row in rows] == [200, 200, 429]
    assert (rows[2]["prompt_tokens"], rows[2]["completion_tokens"]) == (0, 0)


async def test_tokens_are_reserved_by_the_longest_answer_and_settled_by_the_real_one(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client(limits=Limits(tokens_per_minute=1_000))

    for _ in range(
        5
    ):  # each reserves more than 900, so a second would not pass if the rest were not given back
        await ana.ai.chat.completions.create(model="plain", messages=ASK, max_tokens=900)
    with pytest.raises(openai.RateLimitError) as too_large:
        await ana.ai.chat.completions.create(model="plain", messages=ASK, max_tokens=1_200)

    assert "Request too large" in str(too_large.value)
    assert "retry-after" not in too_large.value.response.headers


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("bad+status=500", openai.InternalServerError, "upstream_error"),
        ("bad+status=503", openai.InternalServerError, "upstream_unavailable"),
        ("bad+status=429", openai.RateLimitError, "upstream_rate_limited"),
        ("bad+status=401", openai.InternalServerError, "upstream_error"),
        ("bad+status=422", openai.BadRequestError, "upstream_rejected_request"),
        ("bad+context", openai.BadRequestError, "context_length_exceeded"),
        ("bad+hang", openai.InternalServerError, "upstream_timeout"),
        ("bad+torn", openai.InternalServerError, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_failures_of_the_upstream(
    gateway: House, model: str, error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    await gateway.furnish(model, read_timeout_s=1 if "hang" in model else 30)
    ana = await gateway.client()
    slug = model.replace("+", "-").replace("=", "-")

    with pytest.raises(error) as caught:
        await ana.ai.chat.completions.create(model=slug, messages=ASK, stream=stream)

    assert caught.value.code == code
    if code not in ("upstream_rejected_request",):
        assert "10.0.0.7" not in str(caught.value)  # what an upstream says of its inside stays inside
    (row,) = await gateway.rows(ana.organization)
    assert (row["status"], row["error_code"]) == (caught.value.status_code, code)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (0, 0)


@pytest.mark.parametrize("fault", ["choices", "message", "deep"])
@pytest.mark.parametrize("usage", ["", "+nousage"])
async def test_an_answer_that_is_none_is_an_error_of_the_upstream(
    gateway: House, fault: str, usage: str
) -> None:
    await gateway.furnish(f"bad+oops={fault}{usage}")
    ana = await gateway.client()

    with pytest.raises(openai.InternalServerError) as caught:
        await ana.ai.chat.completions.create(model=f"bad-oops-{fault}{usage.replace('+', '-')}", messages=ASK)

    assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
    assert (await gateway.row(ana))["completion_tokens"] == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_null_is_no_error(gateway: House, stream: bool) -> None:
    await gateway.furnish("fine+nullerror")
    ana = await gateway.client()
    body = {"model": "fine-nullerror", "messages": ASK, "stream": stream}

    answer = await ana.http.post("/chat/completions", json=body)

    assert answer.status_code == 200
    assert "w4" in answer.text
    row = await gateway.row(ana)
    assert (row["status"], row["completion_tokens"], row["error_code"]) == (200, 5, "")


async def test_text_that_an_upstream_calls_no_token_is_counted(gateway: House) -> None:
    await gateway.furnish("modest+early=0")
    ana = await gateway.client()

    await ana.ai.chat.completions.create(model="modest-early-0", messages=ASK)

    row = await gateway.row(ana)
    assert (row["prompt_tokens"], row["completion_tokens"], row["tokens_source"]) == (7, 4, "counted")


async def test_the_arguments_of_a_tool_call_are_counted(gateway: House) -> None:
    await gateway.furnish("handy+tools+nousage")
    ana = await gateway.client()

    answer = await ana.ai.chat.completions.create(model="handy-tools-nousage", messages=ASK)

    assert answer.choices[0].message.tool_calls
    row = await gateway.row(ana)
    assert row["tokens_source"] == "counted"
    assert row["completion_tokens"] > 1_000


@pytest.mark.parametrize("model", ["bad+cut=3", "bad+errorchunk=3", "bad+garbage", "bad+cut=3+early=0"])
async def test_a_stream_that_breaks_off_says_so_and_is_booked_with_what_was_sent(
    gateway: House, model: str
) -> None:
    await gateway.furnish(model)
    ana = await gateway.client()
    slug = model.replace("+", "-").replace("=", "-")
    received: list[str] = []

    async def receive() -> None:
        async for chunk in await ana.ai.chat.completions.create(model=slug, messages=ASK, stream=True):
            received.extend(filter(None, (choice.delta.content for choice in chunk.choices)))

    with pytest.raises(openai.APIError) as caught:
        await receive()

    assert caught.value.code == "upstream_error"
    assert "10.0.0.7" not in str(caught.value)
    (row,) = await gateway.rows(ana.organization)
    assert (row["status"], row["tokens_source"]) == (502, "counted")
    assert row["completion_tokens"] == len(received)
    assert (row["prompt_tokens"] > 0) == bool(received)


@pytest.mark.parametrize(
    ("model", "max_tokens", "asked"),
    [
        ("plain", 4_000, 1),  # larger than the limit of the key
        ("bad+status=401", 1, 1),  # an operator has to act
        ("bad+status=307", 1, 1),
        ("bad+status=501", 1, 1),
        ("bad+status=500", 1, 3),
        ("bad+status=408", 1, 3),
    ],
)
async def test_the_client_asks_again_only_where_that_may_help(
    gateway: House, model: str, max_tokens: int, asked: int
) -> None:
    await gateway.furnish(model)
    ana = await gateway.client(limits=Limits(tokens_per_minute=3_000))
    patient = ana.ai.with_options(max_retries=2)

    with pytest.raises(openai.APIStatusError) as caught:
        await patient.chat.completions.create(
            model=model.replace("+", "-").replace("=", "-"), messages=ASK, max_tokens=max_tokens
        )

    assert len(await gateway.rows(ana.organization)) == asked
    assert (caught.value.response.headers.get("x-should-retry") == "false") == (asked == 1)


async def test_an_upstream_that_is_away_is_tried_again_then_left_alone(
    gateway: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rules, "CIRCUIT_OPEN_S", rules.CIRCUIT_OPEN_S_MAX
    )  # also where it takes long to ask again
    await gateway.furnish("plain")
    ana = await gateway.client()
    gateway.fake.stop()  # this module's last test: nobody needs the fake after it

    for _ in range(5):
        with pytest.raises(openai.InternalServerError) as away:
            await ana.ai.chat.completions.create(model="plain", messages=ASK)
        assert away.value.code == "upstream_unavailable"
    with pytest.raises(openai.InternalServerError) as left_alone:
        await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert "left alone" in str(left_alone.value)
    rows = await gateway.rows(ana.organization)
    assert [row["attempts"] for row in rows] == [3] * 5 + [0]
    assert {row["status"] for row in rows} == {503}
