"""What a caller asks for: read from JSON, checked field by field, refused in words.

Parameters are those of OpenAI's API and the sampling parameters that open servers share. Others are refused,
as OpenAI does: a misspelt parameter that is silently ignored costs more than an error.
"""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast

import orjson

from services.gateway import chats, rules
from services.gateway.checks import (
    Check,
    fields,
    flag,
    mapping,
    missing,
    number,
    one_of,
    sequence,
    text,
    whole,
    wrong_type,
)
from services.gateway.refusals import Code, Refusal

BODY_BYTES_MAX = 4_000_000
INPUTS_MAX = 2_048
STOPS_MAX = 16
TOKENS_MAX = 10_000_000
MODEL_LENGTH_MAX = 200
DEPTH_MAX = 100  # deeper JSON can be read, but not written again for the upstream


class Endpoint(StrEnum):
    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


UPSTREAM_PATH = {
    Endpoint.CHAT: "/chat/completions",
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.EMBEDDINGS: "/embeddings",
}


@dataclass(slots=True)
class Order:
    """A checked request. `parameters` holds what was given, without nulls."""

    endpoint: Endpoint
    model: str
    parameters: dict[str, Any]
    stream: bool
    wants_usage: bool
    text_bytes: int
    only_text: bool  # each message is a role and a text
    prompt_estimate: int
    max_tokens: int | None


def read(endpoint: Endpoint, body: bytes) -> Order:
    """Raises Refusal, naming the parameter at fault."""
    given = _object(body)
    table = PARAMETERS[endpoint]
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        check = table.get(name)
        if check is None:
            raise Refusal(
                Code.UNKNOWN_PARAMETER, f"Unrecognized request argument supplied: {name[:80]}", param=name
            )
        if value is not None:
            check(name, value)
            parameters[name] = value
    for name in REQUIRED[endpoint]:
        if name not in parameters:
            raise missing(name)
    stream = bool(parameters.get("stream", False))
    options = parameters.get("stream_options")
    if options is not None and not stream:
        raise Refusal(
            Code.INVALID_VALUE,
            "'stream_options' is only allowed when 'stream' is true.",
            param="stream_options",
        )
    size = _size(endpoint, parameters)
    return Order(
        endpoint=endpoint,
        model=parameters["model"],
        parameters=parameters,
        stream=stream,
        wants_usage=bool(options and options.get("include_usage")),
        text_bytes=size.text_bytes,
        only_text=size.only_text,
        prompt_estimate=rules.prompt_estimate(size.text_bytes, size.messages),
        max_tokens=parameters.get("max_completion_tokens", parameters.get("max_tokens")),
    )


def require_builtin(order: Order) -> None:
    """Refuse what the built-in server would not heed, or fail over. Raises Refusal."""
    if order.parameters.get("echo"):
        raise Refusal(Code.UNSUPPORTED, "The built-in model does not echo its prompt.", param="echo")
    if order.endpoint is Endpoint.CHAT and ("tools" in order.parameters or not order.only_text):
        chats.require_text_and_functions(order.parameters)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(
            Code.INVALID_JSON,
            f"We could not parse the JSON body of your request: {str(error)[:160]}."
            " (NaN, infinities and comments are not JSON.)",
        ) from error
    if not isinstance(given, dict):
        raise Refusal(Code.INVALID_TYPE, "The body must be a JSON object.")
    if _opens(body) > DEPTH_MAX and _is_deeper(given, DEPTH_MAX):
        raise Refusal(Code.INVALID_VALUE, f"The body is nested more than {DEPTH_MAX} levels deep.")
    if b"\\u0000" in body and _holds_nul(given):
        raise Refusal(Code.INVALID_VALUE, "Text must not hold NUL characters (\\u0000).")
    return cast("dict[str, Any]", given)


def _opens(body: bytes) -> int:
    """Not less than the depth of `body`: most are shallow, and need no walk."""
    return body.count(b"[") + body.count(b"{")


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value).values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in str(name) or _holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(_holds_nul(inner) for inner in value)


def _model(name: str, value: Any) -> None:
    text(name, value)
    if not 0 < len(value) <= MODEL_LENGTH_MAX:
        raise Refusal(
            Code.INVALID_VALUE, f"'model' must have 1 to {MODEL_LENGTH_MAX} characters.", param=name
        )


def _single(name: str, value: Any) -> None:
    whole(1, 128)(name, value)
    if value != 1:
        raise Refusal(
            Code.UNSUPPORTED, f"Only '{name}': 1 is supported. Send one request for each answer.", param=name
        )


def _stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise wrong_type(name, "a string or an array of strings", value)
    if len(value) > STOPS_MAX:
        raise Refusal(Code.INVALID_VALUE, f"'{name}' may hold at most {STOPS_MAX} strings.", param=name)


def _prompt(name: str, value: Any) -> None:
    """One prompt: a string, a list of one string, or a list of token ids."""
    if isinstance(value, str) or (isinstance(value, list) and value and _token_ids(value)):
        return
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise wrong_type(name, "a string or an array of token ids", value)
    if len(value) > 1:
        raise Refusal(Code.UNSUPPORTED, "Only one prompt per request is supported.", param=name)


def _inputs(name: str, value: Any) -> None:
    if isinstance(value, str):
        if not value:
            raise Refusal(Code.INVALID_VALUE, "'input' must not be empty.", param=name)
        return
    if not isinstance(value, list) or not 1 <= len(value) <= INPUTS_MAX:
        raise wrong_type(name, f"a string or an array of 1 to {INPUTS_MAX} inputs", value)
    plain = _token_ids(value) or all(isinstance(one, str) and one for one in value)
    if not plain and not all(isinstance(one, list) and one and _token_ids(one) for one in value):
        raise wrong_type(name, "strings that are not empty, or arrays of token ids", value)


def _token_ids(value: list[Any]) -> bool:
    return all(type(one) is int and one >= 0 for one in value)


def _stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    for inner, setting in value.items():
        if inner not in ("include_usage", "include_obfuscation"):
            raise Refusal(
                Code.UNKNOWN_PARAMETER, f"Unknown parameter: '{name}.{inner[:80]}'.", param=f"{name}.{inner}"
            )
        if type(setting) is not bool:
            raise wrong_type(f"{name}.{inner}", "a boolean", setting)


_SAMPLING: dict[str, Check] = {
    "model": _model,
    "stream": flag,
    "stream_options": _stream_options,
    "max_tokens": whole(1, TOKENS_MAX),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "n": _single,
    "stop": _stop,
    "seed": whole(-(2**63), 2**63 - 1),
    "user": text,
    "logit_bias": mapping,
    "top_k": whole(-1, 1_000_000),
    "min_p": number(0, 1),
    "repeat_penalty": number(0, 10),
    "repetition_penalty": number(0, 10),
}

PARAMETERS: dict[Endpoint, dict[str, Check]] = {
    Endpoint.CHAT: _SAMPLING
    | {
        "messages": chats.messages,
        "max_completion_tokens": whole(1, TOKENS_MAX),
        "logprobs": flag,
        "top_logprobs": whole(0, 20),
        "response_format": fields({}, {"type": text, "json_schema": mapping}),
        "tools": chats.tools,
        "tool_choice": chats.choice,
        "parallel_tool_calls": flag,
        "functions": chats.functions,
        "function_call": chats.choice,
        "reasoning_effort": text,
        "verbosity": text,
        "service_tier": text,
        "store": flag,
        "metadata": mapping,
        "moderation": mapping,
        "modalities": sequence,
        "audio": mapping,
        "prediction": mapping,
        "web_search_options": mapping,
        "prompt_cache_key": text,
        "prompt_cache_options": mapping,
        "prompt_cache_retention": text,
        "safety_identifier": text,
    },
    Endpoint.COMPLETIONS: _SAMPLING
    | {
        "prompt": _prompt,
        "suffix": text,
        "echo": flag,
        "best_of": _single,
        "logprobs": whole(0, 5),
    },
    Endpoint.EMBEDDINGS: {
        "model": _model,
        "input": _inputs,
        "encoding_format": one_of("float", "base64"),
        "dimensions": whole(1, 100_000),
        "user": text,
    },
}

REQUIRED: dict[Endpoint, tuple[str, ...]] = {
    Endpoint.CHAT: ("model", "messages"),
    Endpoint.COMPLETIONS: ("model", "prompt"),
    Endpoint.EMBEDDINGS: ("model", "input"),
}


class _Size(NamedTuple):
    text_bytes: int  # token ids count as a token's worth
    messages: int = 0
    only_text: bool = True


def _size(endpoint: Endpoint, parameters: dict[str, Any]) -> _Size:
    if endpoint is not Endpoint.CHAT:
        return _Size(_content_bytes(parameters["prompt" if endpoint is Endpoint.COMPLETIONS else "input"]))
    said: list[dict[str, Any]] = parameters["messages"]
    text_bytes, only_text = 0, True
    for message in said:
        content = message.get("content")
        text_bytes += _content_bytes(content)
        only_text = only_text and len(message) == 2 and isinstance(content, str)
    return _Size(text_bytes, len(said), only_text)


def _content_bytes(content: Any) -> int:
    if isinstance(content, str):
        return len(content) if content.isascii() else len(content.encode())
    if isinstance(content, list):
        return sum(_content_bytes(part) for part in content)
    if isinstance(content, dict):
        return _content_bytes(content.get("text"))
    return rules.BYTES_PER_TOKEN if isinstance(content, int) else 0
