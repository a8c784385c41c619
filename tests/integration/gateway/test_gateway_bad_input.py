"""What callers get wrong: each gets OpenAI's shape, a stable code and the parameter's name, and nothing is made."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY

from services.core.crossing import Reason, crossing
from services.gateway import upstreams
from services.identity.keys import Limits
from tests.integration.gateway.house import Client, House

ASK = [{"role": "user", "content": "hi"}]


class Bad(NamedTuple):
    body: Any
    status: int
    code: str
    param: str | None = None
    path: str = "/chat/completions"
    by: str = "ana"


def chat(**changes: Any) -> dict[str, Any]:
    return {"model": "plain", "messages": ASK} | changes


def said(role: str, content: Any = None, **more: Any) -> dict[str, Any]:
    """A conversation whose second message is this one."""
    return chat(messages=[*ASK, {"role": role, "content": content} | more])


def part(**fields: Any) -> dict[str, Any]:
    """A message of one part."""
    return chat(messages=[{"role": "user", "content": [fields]}])


def tool(**function: Any) -> dict[str, Any]:
    return chat(tools=[{"type": "function", "function": function}])


def called(**fields: Any) -> dict[str, Any]:
    return said("assistant", tool_calls=[fields])


BUILTIN = {"model": "smollm2-135m"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}

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
    "a tool that is text": Bad(chat(tools=["look up"]), 400, "invalid_type", "tools[0]"),
    "a tool of no type": Bad(
        chat(tools=[{"function": {"name": "f"}}]), 400, "missing_required_parameter", "tools[0].type"
    ),
    "a tool of an unknown type": Bad(chat(tools=[{"type": "web"}]), 400, "invalid_value", "tools[0].type"),
    "a tool without a function": Bad(
        chat(tools=[{"type": "function"}]), 400, "missing_required_parameter", "tools[0].function"
    ),
    "a function without a name": Bad(
        tool(description="x"), 400, "missing_required_parameter", "tools[0].function.name"
    ),
    "a function named by a number": Bad(tool(name=3), 400, "invalid_type", "tools[0].function.name"),
    "a function described by a number": Bad(
        tool(name="f", description=3), 400, "invalid_type", "tools[0].function.description"
    ),
    "a choice of tool that is a number": Bad(chat(tool_choice=3), 400, "invalid_type", "tool_choice"),
    "an old function that is text": Bad(chat(functions=["f"]), 400, "invalid_type", "functions[0]"),
    "a format of no known type": Bad(
        chat(response_format={"type": 3}), 400, "invalid_type", "response_format.type"
    ),
    "tool calls that are text": Bad(
        said("assistant", tool_calls="f()"), 400, "invalid_type", "messages[1].tool_calls"
    ),
    "a tool call of no type": Bad(
        called(id="1", function={"name": "f", "arguments": "{}"}),
        400,
        "missing_required_parameter",
        "messages[1].tool_calls[0].type",
    ),
    "a tool call without arguments": Bad(
        called(id="1", type="function", function={"name": "f"}),
        400,
        "missing_required_parameter",
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments that are no text": Bad(
        called(id="1", type="function", function={"name": "f", "arguments": {}}),
        400,
        "invalid_type",
        "messages[1].tool_calls[0].function.arguments",
    ),
    "a tool call with a number for its id": Bad(
        called(id=1, type="function", function={"name": "f", "arguments": "{}"}),
        400,
        "invalid_type",
        "messages[1].tool_calls[0].id",
    ),
    "a result for a number": Bad(
        said("tool", "x", tool_call_id=7), 400, "invalid_type", "messages[1].tool_call_id"
    ),
    "somebody named by a number": Bad(said("user", "x", name=7), 400, "invalid_type", "messages[1].name"),
    "thoughts that are a number": Bad(
        said("assistant", "x", reasoning_content=7), 400, "invalid_type", "messages[1].reasoning_content"
    ),
    "a part that is text": Bad(
        chat(messages=[{"role": "user", "content": ["hi"]}]), 400, "invalid_type", "messages[0].content[0]"
    ),
    "a part of no type": Bad(
        part(text="hi"), 400, "missing_required_parameter", "messages[0].content[0].type"
    ),
    "a part of an unknown type": Bad(part(type="smell"), 400, "invalid_value", "messages[0].content[0].type"),
    "a part whose text is a number": Bad(
        part(type="text", text=3), 400, "invalid_type", "messages[0].content[0].text"
    ),
    "a picture that is text": Bad(
        part(type="image_url", image_url="https://example.com/a.png"),
        400,
        "invalid_type",
        "messages[0].content[0].image_url",
    ),
    "a picture without an address": Bad(
        part(type="image_url", image_url={}),
        400,
        "missing_required_parameter",
        "messages[0].content[0].image_url.url",
    ),
    "a sound without a format": Bad(
        part(type="input_audio", input_audio={"data": "AA"}),
        400,
        "missing_required_parameter",
        "messages[0].content[0].input_audio.format",
    ),
    "a file named by a number": Bad(
        part(type="file", file={"file_id": 3}), 400, "invalid_type", "messages[0].content[0].file.file_id"
    ),
    "a refusal that is none": Bad(
        part(type="refusal"), 400, "missing_required_parameter", "messages[0].content[0].refusal"
    ),
    "a picture for the built-in model": Bad(
        part(**PICTURE) | BUILTIN, 400, "unsupported_value", "messages[0].content[0].type"
    ),
    "a tool that the built-in model cannot call": Bad(
        chat(tools=[{"type": "custom", "custom": {"name": "f"}}]) | BUILTIN,
        400,
        "unsupported_value",
        "tools[0].type",
    ),
    "a call that the built-in model cannot have made": Bad(
        called(id="1", type="custom", custom={"name": "f", "input": "x"}) | BUILTIN,
        400,
        "unsupported_value",
        "messages[1].tool_calls[0].type",
    ),
    "an echo of the built-in model": Bad(
        {"prompt": "hi", "echo": True} | BUILTIN, 400, "unsupported_value", "echo", "/completions"
    ),
    "an expired key": Bad(chat(), 401, "api_key_expired", by="expired"),
    "a call above the limit": Bad(chat(), 429, "rate_limit_exceeded", by="limited"),
    "a call larger than the limit": Bad(chat(max_tokens=900), 429, "rate_limit_exceeded", by="small"),
    "an unknown address": Bad({}, 404, "unknown_url", None, "/moderations"),
}


async def test_each_is_refused_in_words_and_none_reaches_the_upstream(gateway: House) -> None:
    await gateway.furnish("plain")
    async with crossing(Reason.CATALOG, on=gateway.database) as uow:
        await upstreams.ensure_builtin(uow)
    callers = {
        "ana": await gateway.client(),
        "expired": await gateway.client(),
        "limited": await gateway.client(limits=Limits(requests_per_minute=1)),
        "small": await gateway.client(limits=Limits(tokens_per_minute=500)),
    }
    await expire(gateway, callers["expired"])
    stands = time.monotonic()
    gateway.gateway.limiter.clock = lambda: (
        stands
    )  # who is at the limit stays there, however long the others take
    assert (await callers["limited"].http.post("/chat/completions", json=chat())).status_code == 200
    served_before = gateway.fake.log.read_text()
    wrong: list[str] = []

    for name, case in CASES.items():
        body = case.body if isinstance(case.body, bytes) else orjson.dumps(case.body)
        answer = await callers[case.by].http.post(
            case.path, content=body, headers={"Content-Type": "application/json"}
        )
        error = answer.json()["error"]
        if (answer.status_code, error["code"], error["param"]) != case[1:4]:
            wrong.append(f"{name}: {answer.status_code} {error}")
        assert set(error) == {"message", "type", "param", "code"}
        assert len(error["message"]) > 10
        assert "Traceback" not in answer.text

    assert wrong == []
    assert gateway.fake.log.read_text() == served_before
    usage = await gateway.usage(callers["ana"].organization)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (0, 0)


async def expire(house: House, client: Client) -> None:
    async with crossing(Reason.DEMO, on=house.database) as uow:
        await uow.execute(
            "update api_key set expires_at = :then where id = :id",
            then=uow.wall_now - timedelta(minutes=1),
            id=client.key.key.id,
        )


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


async def test_whatever_a_message_may_hold_reaches_the_upstream_without_its_nulls(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    function = {"name": "f", "description": None, "parameters": {"type": "object"}, "strict": True}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    other_call = {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}}
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "look", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    body = chat(
        messages=[
            {"role": "developer", "content": "Be brief.", "name": "boss"},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "tool_calls": [call, other_call], "name": None},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
            {
                "role": "assistant",
                "content": "x",
                "reasoning_content": None,
                "refusal": None,
                "tool_calls": None,
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "function_call": None},
            *ASK,
        ],
        tools=[{"type": "function", "function": function}, {"type": "custom", "custom": {"name": "g"}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        moderation={"model": "omni-moderation-latest"},
        prompt_cache_options={"mode": "explicit"},
    )

    answer = await ana.http.post("/chat/completions", json=body)

    assert answer.status_code == 200
    begun = [json.loads(line) for line in gateway.fake.log.read_text().splitlines() if '"begin"' in line]
    sent = begun[-1]["body"]
    assert [sorted(message) for message in sent["messages"]] == [
        ["content", "name", "role"],
        ["content", "role"],
        ["content", "role", "tool_calls"],
        ["content", "role", "tool_call_id"],
        ["content", "role"],
        ["content", "role"],
        ["content", "role"],
    ]
    assert sent["messages"][1]["content"] == parts
    assert sent["messages"][2]["tool_calls"] == [call, other_call]
    assert sorted(sent["tools"][0]["function"]) == ["name", "parameters", "strict"]


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/chat"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_address_of_nothing_says_so_in_the_shape_of_the_api(
    gateway: House, method: str, path: str
) -> None:
    async with httpx.AsyncClient() as anyone:
        answer = await anyone.request(method, f"{gateway.base_url}{path}")

    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("unknown_url", "invalid_request_error")
    assert f"{method} /v1{path or '/'}." in error["message"]


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
    ana, ben = await gateway.client(), await gateway.client()
    dropped_before = dropped()
    for _ in range(100):
        await ana.http.post("/chat/completions", json=chat(model="gpt-9"))
    await ben.http.post("/chat/completions", json=chat(model="gpt-9"))

    rows = await gateway.rows(ana.organization)

    assert 60 <= len(rows) < 100  # one a second becomes free while they come
    assert len(rows) + dropped() - dropped_before == 100
    assert (await gateway.usage(ana.organization))["requests"] == len(rows)
    assert len(await gateway.rows(ben.organization)) == 1


def dropped() -> float:
    return REGISTRY.get_sample_value("matrix_gateway_refused_unrecorded_total") or 0.0
