"""What callers get wrong: each gets OpenAI's shape, a stable code and the parameter's name, and nothing is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest

from tests.integration.gateway.house import House

ASK = [{"role": "user", "content": "hi"}]


class Bad(NamedTuple):
    body: Any
    status: int
    code: str
    param: str | None = None
    path: str = "/chat/completions"


def chat(**changes: Any) -> dict[str, Any]:
    return {"model": "plain", "messages": ASK} | changes


CASES = {
    "no JSON": Bad(b"{", 400, "invalid_json"),
    "nothing at all": Bad(b"", 400, "invalid_json"),
    "NaN": Bad(b'{"model":"plain","messages":[],"temperature":NaN}', 400, "invalid_json"),
    "a raw NUL byte": Bad(b'{"model":"pl\x00ain"}', 400, "invalid_json"),
    "bytes that are no UTF-8": Bad(b'{"model":"\xff"}', 400, "invalid_json"),
    "half a surrogate pair": Bad(rb'{"model":"\ud800"}', 400, "invalid_json"),
    "an array": Bad([1], 400, "invalid_type"),
    "a NUL in a string": Bad(chat(messages=[{"role": "user", "content": "a\0b"}]), 400, "invalid_value"),
    "a very deep body": Bad(b'{"tools":' + b"[" * 500 + b"]" * 500 + b"}", 400, "invalid_value"),
    "no model": Bad({"messages": ASK}, 400, "missing_required_parameter", "model"),
    "no messages": Bad({"model": "plain"}, 400, "missing_required_parameter", "messages"),
    "a null model": Bad(chat(model=None), 400, "missing_required_parameter", "model"),
    "a model that is a number": Bad(chat(model=7), 400, "invalid_type", "model"),
    "an empty model": Bad(chat(model=""), 400, "invalid_value", "model"),
    "an endless model": Bad(chat(model="m" * 5_000), 400, "invalid_value", "model"),
    "an unknown model": Bad(chat(model="gpt-9"), 404, "model_not_found", "model"),
    "messages that are text": Bad(chat(messages="hi"), 400, "invalid_type", "messages"),
    "no message": Bad(chat(messages=[]), 400, "invalid_value", "messages"),
    "a message that is text": Bad(chat(messages=["hi"]), 400, "invalid_type", "messages[0]"),
    "an unknown role": Bad(
        chat(messages=[*ASK, {"role": "boss", "content": "x"}]), 400, "invalid_value", "messages[1].role"
    ),
    "a role that is a list": Bad(
        chat(messages=[{"role": ["user"], "content": "x"}]), 400, "invalid_type", "messages[0].role"
    ),
    "content that is a number": Bad(
        chat(messages=[{"role": "user", "content": 3}]), 400, "invalid_type", "messages[0].content"
    ),
    "no content": Bad(
        chat(messages=[{"role": "user"}]), 400, "missing_required_parameter", "messages[0].content"
    ),
    "negative max_tokens": Bad(chat(max_tokens=-1), 400, "invalid_value", "max_tokens"),
    "no max_tokens to speak of": Bad(chat(max_tokens=0), 400, "invalid_value", "max_tokens"),
    "max_tokens as text": Bad(chat(max_tokens="9"), 400, "invalid_type", "max_tokens"),
    "max_tokens as truth": Bad(chat(max_tokens=True), 400, "invalid_type", "max_tokens"),
    "max_tokens above the context": Bad(chat(max_tokens=5_000), 400, "invalid_value", "max_tokens"),
    "several answers": Bad(chat(n=2), 400, "unsupported_value", "n"),
    "a hot temperature": Bad(chat(temperature=2.1), 400, "invalid_value", "temperature"),
    "an infinite temperature": Bad(
        b'{"model":"plain","messages":[{"role":"user","content":"x"}],"temperature":1e400}',
        400,
        "invalid_json",
    ),
    "stream as text": Bad(chat(stream="yes"), 400, "invalid_type", "stream"),
    "stream options without a stream": Bad(
        chat(stream_options={"include_usage": True}), 400, "invalid_value", "stream_options"
    ),
    "an unknown stream option": Bad(
        chat(stream=True, stream_options={"x": True}), 400, "unknown_parameter", "stream_options.x"
    ),
    "too many stops": Bad(chat(stop=["x"] * 17), 400, "invalid_value", "stop"),
    "an unknown parameter": Bad(chat(temprature=1), 400, "unknown_parameter", "temprature"),
    "what would get round max_tokens": Bad(chat(n_predict=-1), 400, "unknown_parameter", "n_predict"),
    "a prompt above the context": Bad(
        chat(messages=[{"role": "user", "content": "word " * 20_000}]),
        400,
        "context_length_exceeded",
        "messages",
    ),
    "a prompt of 10 MB": Bad(
        chat(messages=[{"role": "user", "content": "word " * 2_000_000}]), 413, "request_too_large"
    ),
    "several prompts": Bad(
        {"model": "plain", "prompt": ["a", "b"]}, 400, "unsupported_value", "prompt", "/completions"
    ),
    "a prompt of numbers below zero": Bad(
        {"model": "plain", "prompt": [-1]}, 400, "invalid_type", "prompt", "/completions"
    ),
    "an empty input": Bad({"model": "plain", "input": ""}, 400, "invalid_value", "input", "/embeddings"),
    "an input of nothing": Bad({"model": "plain", "input": []}, 400, "invalid_type", "input", "/embeddings"),
    "an unknown encoding": Bad(
        {"model": "plain", "input": "x", "encoding_format": "hex"},
        400,
        "invalid_value",
        "encoding_format",
        "/embeddings",
    ),
    "an unknown address": Bad({}, 404, "unknown_url", None, "/moderations"),
}


async def test_each_is_refused_in_words_and_none_reaches_the_upstream(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    served_before = gateway.fake.log.read_text()
    wrong: list[str] = []

    for name, case in CASES.items():
        body = case.body if isinstance(case.body, bytes) else orjson.dumps(case.body)
        answer = await ana.http.post(case.path, content=body, headers={"Content-Type": "application/json"})
        error = answer.json()["error"]
        if (answer.status_code, error["code"], error["param"]) != case[1:4]:
            wrong.append(f"{name}: {answer.status_code} {error}")
        assert set(error) == {"message", "type", "param", "code"}
        assert len(error["message"]) > 10
        assert "Traceback" not in answer.text

    assert wrong == []
    assert gateway.fake.log.read_text() == served_before
    usage = await gateway.usage(ana.organization)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (0, 0)


async def test_the_same_call_without_the_fault_is_answered(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    everything = chat(
        max_tokens=5,
        temperature=0,
        top_p=1,
        n=1,
        stop="x",
        seed=3,
        user="u",
        logit_bias={},
        presence_penalty=0,
    )
    answer = await ana.http.post("/chat/completions", json=everything)
    assert answer.status_code == 200


@pytest.mark.parametrize("length", [3_999_000, 4_001_000, 9_000_000])
async def test_the_bound_of_a_body_holds_without_a_stated_length(gateway: House, length: int) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(length // 1_000):
            yield b"x" * 1_000

    answer = await ana.http.post("/chat/completions", content=chunks())

    assert answer.status_code == (413 if length > 4_000_000 else 400)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "invalid_api_key"),
        ("", "invalid_api_key"),
        ("Basic dXNlcjpwYXNz", "invalid_api_key"),
        ("Bearer sk-of-somebody-else", "invalid_api_key"),
        ("Bearer mx-" + "é" * 40, "invalid_api_key"),
        ("Bearer " + "x" * 20_000, "invalid_api_key"),
    ],
)
async def test_who_has_no_key_is_told_so(gateway: House, authorization: str | None, code: str) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    headers = [("Authorization", authorization.encode("latin-1"))] if authorization is not None else []
    del ana.http.headers["Authorization"]

    answer = await ana.http.post("/chat/completions", json=chat(), headers=headers)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


async def test_methods_are_named_when_one_is_refused(gateway: House) -> None:
    ana = await gateway.client()
    answer = await ana.http.get("/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_flood_of_refused_calls_does_not_fill_the_request_list(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    for _ in range(100):
        await ana.http.post("/chat/completions", json=chat(model="gpt-9"))
    assert len(await gateway.rows(ana.organization)) == 60
