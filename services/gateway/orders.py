"""What a caller asks for: read from JSON, checked field by field, refused in words.

Parameters are those of OpenAI's API and the sampling parameters that open servers share. Others are refused,
as OpenAI does: a misspelt parameter that is silently ignored costs more than an error.
"""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import orjson

from services.gateway import rules
from services.gateway.refusals import Code, Refusal

BODY_BYTES_MAX = 4_000_000
MESSAGES_MAX = 5_000
INPUTS_MAX = 2_048
STOPS_MAX = 16
TOKENS_MAX = 10_000_000
MODEL_LENGTH_MAX = 200
DEPTH_MAX = 100  # deeper JSON can be read, but not written again for the upstream
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


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
    prompt_estimate: int
    max_tokens: int | None


Check = Callable[[str, Any], None]


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
            raise Refusal(Code.MISSING, f"You must provide the parameter '{name}'.", param=name)
    stream = bool(parameters.get("stream", False))
    options = parameters.get("stream_options")
    if options is not None and not stream:
        raise Refusal(
            Code.INVALID_VALUE,
            "'stream_options' is only allowed when 'stream' is true.",
            param="stream_options",
        )
    text_bytes, messages = _size(endpoint, parameters)
    return Order(
        endpoint=endpoint,
        model=parameters["model"],
        parameters=parameters,
        stream=stream,
        wants_usage=bool(options and options.get("include_usage")),
        text_bytes=text_bytes,
        prompt_estimate=rules.prompt_estimate(text_bytes, messages),
        max_tokens=parameters.get("max_completion_tokens", parameters.get("max_tokens")),
    )


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


def _wrong_type(name: str, expected: str, value: Any) -> Refusal:
    shown = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    got = shown.get(type(value), "a number")
    return Refusal(
        Code.INVALID_TYPE,
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.",
        param=name,
    )


def _out_of_range(name: str, low: float, high: float, value: Any) -> Refusal:
    return Refusal(
        Code.INVALID_VALUE,
        f"Invalid value for '{name}': expected {low:g} to {high:g}, got {value}.",
        param=name,
    )


def _whole(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not int:
            raise _wrong_type(name, "an integer", value)
        if not low <= value <= high:
            raise _out_of_range(name, low, high, value)

    return check


def _number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) not in (int, float):
            raise _wrong_type(name, "a number", value)
        if not math.isfinite(value) or not low <= value <= high:
            raise _out_of_range(name, low, high, value)

    return check


def _kind(kind: type, expected: str) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not kind:
            raise _wrong_type(name, expected, value)

    return check


def _one_of(*values: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise Refusal(
                Code.INVALID_VALUE,
                f"Invalid value for '{name}': must be one of {', '.join(values)}.",
                param=name,
            )

    return check


def _model(name: str, value: Any) -> None:
    _text(name, value)
    if not 0 < len(value) <= MODEL_LENGTH_MAX:
        raise Refusal(
            Code.INVALID_VALUE, f"'model' must have 1 to {MODEL_LENGTH_MAX} characters.", param=name
        )


def _single(name: str, value: Any) -> None:
    _whole(1, 128)(name, value)
    if value != 1:
        raise Refusal(
            Code.UNSUPPORTED, f"Only '{name}': 1 is supported. Send one request for each answer.", param=name
        )


def _stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong_type(name, "a string or an array of strings", value)
    if len(value) > STOPS_MAX:
        raise Refusal(Code.INVALID_VALUE, f"'{name}' may hold at most {STOPS_MAX} strings.", param=name)


def _messages(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise _wrong_type(name, "an array of messages", value)
    if not 1 <= len(value) <= MESSAGES_MAX:
        raise Refusal(Code.INVALID_VALUE, f"'messages' must hold 1 to {MESSAGES_MAX} messages.", param=name)
    for number, message in enumerate(value):
        # Most messages are plain text; names for errors are only made where one may be needed.
        if not _is_plain(message):
            _message(f"{name}[{number}]", message)


def _is_plain(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    role, content = message.get("role"), message.get("content")
    return isinstance(role, str) and role in ROLES and isinstance(content, str)


def _message(name: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise _wrong_type(name, "an object", message)
    role = message.get("role")
    if not isinstance(role, str):
        raise _wrong_type(f"{name}.role", "a string", role)
    if role not in ROLES:
        _one_of(*sorted(ROLES))(f"{name}.role", role)
    content = message.get("content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise _wrong_type(f"{name}.content[{number}]", "an object with a 'type'", part)
            if part["type"] == "text" and not isinstance(part.get("text"), str):
                raise _wrong_type(f"{name}.content[{number}].text", "a string", part.get("text"))
    elif content is None:
        if role != "assistant":
            raise Refusal(
                Code.MISSING, f"'{name}.content' is required for the role {role!r}.", param=f"{name}.content"
            )
    elif not isinstance(content, str):
        raise _wrong_type(f"{name}.content", "a string or an array of parts", content)


def _prompt(name: str, value: Any) -> None:
    """One prompt: a string, a list of one string, or a list of token ids."""
    if isinstance(value, str) or (isinstance(value, list) and value and _token_ids(value)):
        return
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise _wrong_type(name, "a string or an array of token ids", value)
    if len(value) > 1:
        raise Refusal(Code.UNSUPPORTED, "Only one prompt per request is supported.", param=name)


def _inputs(name: str, value: Any) -> None:
    if isinstance(value, str):
        if not value:
            raise Refusal(Code.INVALID_VALUE, "'input' must not be empty.", param=name)
        return
    if not isinstance(value, list) or not 1 <= len(value) <= INPUTS_MAX:
        raise _wrong_type(name, f"a string or an array of 1 to {INPUTS_MAX} inputs", value)
    whole = _token_ids(value) or all(isinstance(one, str) and one for one in value)
    if not whole and not all(isinstance(one, list) and one and _token_ids(one) for one in value):
        raise _wrong_type(name, "strings that are not empty, or arrays of token ids", value)


def _token_ids(value: list[Any]) -> bool:
    return all(type(one) is int and one >= 0 for one in value)


def _stream_options(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(name, "an object", value)
    for inner, setting in value.items():
        if inner not in ("include_usage", "include_obfuscation"):
            raise Refusal(
                Code.UNKNOWN_PARAMETER, f"Unknown parameter: '{name}.{inner[:80]}'.", param=f"{name}.{inner}"
            )
        if type(setting) is not bool:
            raise _wrong_type(f"{name}.{inner}", "a boolean", setting)


_flag, _text = _kind(bool, "a boolean"), _kind(str, "a string")
_mapping, _sequence = _kind(dict, "an object"), _kind(list, "an array")


def _anything(_: str, __: Any) -> None:
    return None


_SAMPLING: dict[str, Check] = {
    "model": _model,
    "stream": _flag,
    "stream_options": _stream_options,
    "max_tokens": _whole(1, TOKENS_MAX),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "n": _single,
    "stop": _stop,
    "seed": _whole(-(2**63), 2**63 - 1),
    "user": _text,
    "logit_bias": _mapping,
    "top_k": _whole(-1, 1_000_000),
    "min_p": _number(0, 1),
    "repeat_penalty": _number(0, 10),
    "repetition_penalty": _number(0, 10),
}

PARAMETERS: dict[Endpoint, dict[str, Check]] = {
    Endpoint.CHAT: _SAMPLING
    | {
        "messages": _messages,
        "max_completion_tokens": _whole(1, TOKENS_MAX),
        "logprobs": _flag,
        "top_logprobs": _whole(0, 20),
        "response_format": _mapping,
        "tools": _sequence,
        "tool_choice": _anything,
        "parallel_tool_calls": _flag,
        "functions": _sequence,
        "function_call": _anything,
        "reasoning_effort": _text,
        "verbosity": _text,
        "service_tier": _text,
        "store": _flag,
        "metadata": _mapping,
        "modalities": _sequence,
        "audio": _mapping,
        "prediction": _mapping,
        "web_search_options": _mapping,
        "prompt_cache_key": _text,
        "prompt_cache_retention": _text,
        "safety_identifier": _text,
    },
    Endpoint.COMPLETIONS: _SAMPLING
    | {
        "prompt": _prompt,
        "suffix": _text,
        "echo": _flag,
        "best_of": _single,
        "logprobs": _whole(0, 5),
    },
    Endpoint.EMBEDDINGS: {
        "model": _model,
        "input": _inputs,
        "encoding_format": _one_of("float", "base64"),
        "dimensions": _whole(1, 100_000),
        "user": _text,
    },
}

REQUIRED: dict[Endpoint, tuple[str, ...]] = {
    Endpoint.CHAT: ("model", "messages"),
    Endpoint.COMPLETIONS: ("model", "prompt"),
    Endpoint.EMBEDDINGS: ("model", "input"),
}


def _size(endpoint: Endpoint, parameters: dict[str, Any]) -> tuple[int, int]:
    """Bytes of text in a prompt (token ids count as a token's worth), and the number of messages."""
    if endpoint is Endpoint.CHAT:
        messages: list[dict[str, Any]] = parameters["messages"]
        return sum(_content_bytes(message.get("content")) for message in messages), len(messages)
    return _content_bytes(parameters["prompt" if endpoint is Endpoint.COMPLETIONS else "input"]), 0


def _content_bytes(content: Any) -> int:
    if isinstance(content, str):
        return len(content) if content.isascii() else len(content.encode())
    if isinstance(content, list):
        return sum(_content_bytes(part) for part in content)
    if isinstance(content, dict):
        return _content_bytes(content.get("text"))
    return rules.BYTES_PER_TOKEN if isinstance(content, int) else 0
