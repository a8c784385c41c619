"""What a chat says and which tools it offers, part by part.

A wrong part is refused here, by its place: servers answer it with a failure of their own, and clients ask again
what cannot be answered.
"""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.gateway.checks import (
    by_type,
    drop_nulls,
    each,
    fields,
    flag,
    mapping,
    one_of,
    text,
    wrong_type,
)
from services.gateway.refusals import Code, Refusal

MESSAGES_MAX = 5_000
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

_CALL = fields({"name": text, "arguments": text})
_PARTS = by_type(
    {
        "text": fields({"text": text}),
        "image_url": fields({"image_url": fields({"url": text}, {"detail": text})}),
        "input_audio": fields({"input_audio": fields({"data": text, "format": text})}),
        "file": fields({"file": fields({}, {"file_id": text, "file_data": text, "filename": text})}),
        "refusal": fields({"refusal": text}),
    }
)
_TOOL_CALL = by_type(
    {
        "function": fields({"function": _CALL}, {"id": text}),
        "custom": fields({"custom": fields({"name": text, "input": text})}, {"id": text}),
    }
)
_BESIDE_CONTENT = {
    "name": text,
    "tool_call_id": text,
    "tool_calls": each(_TOOL_CALL),
    "function_call": _CALL,
    "refusal": text,
    "reasoning_content": text,
    "audio": mapping,
}
_FUNCTION = fields({"name": text}, {"description": text, "parameters": mapping, "strict": flag})

tools = each(
    by_type(
        {
            "function": fields({"function": _FUNCTION}),
            "custom": fields({"custom": fields({"name": text}, {"description": text, "format": mapping})}),
        }
    )
)
functions = each(_FUNCTION)


def choice(name: str, value: Any) -> None:
    """Which tool or function is to be called: a word, or an object that names one."""
    if not isinstance(value, (str, dict)):
        raise wrong_type(name, "a string or an object", value)


def messages(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise wrong_type(name, "an array of messages", value)
    if not 1 <= len(value) <= MESSAGES_MAX:
        raise Refusal(Code.INVALID_VALUE, f"'messages' must hold 1 to {MESSAGES_MAX} messages.", param=name)
    for place, message in enumerate(value):
        # Most messages are plain text; names for errors are only made where one may be needed.
        if not _is_plain(message):
            _message(f"{name}[{place}]", message)


def _is_plain(message: Any) -> bool:
    """Whether it is a role and a text, and nothing else."""
    if not isinstance(message, dict) or len(message) != 2:
        return False
    role, content = message.get("role"), message.get("content")
    return isinstance(role, str) and role in ROLES and isinstance(content, str)


def _message(name: str, message: Any) -> None:
    mapping(name, message)
    role = message.get("role")
    if not isinstance(role, str):
        raise wrong_type(f"{name}.role", "a string", role)
    if role not in ROLES:
        one_of(*sorted(ROLES))(f"{name}.role", role)
    drop_nulls(message, but="content")
    _content(f"{name}.content", message.get("content"), role)
    for field, inner in message.items():
        check = _BESIDE_CONTENT.get(field)
        if check is not None:
            check(f"{name}.{field}", inner)


def _content(name: str, content: Any, role: str) -> None:
    if isinstance(content, list):
        _each_part(name, content)
    elif content is None:
        if role != "assistant":
            raise Refusal(Code.MISSING, f"'{name}' is required for the role {role!r}.", param=name)
    elif not isinstance(content, str):
        raise wrong_type(name, "a string or an array of parts", content)


_each_part = each(_PARTS)


def require_text_and_functions(parameters: dict[str, Any]) -> None:
    """Refuse what a server cannot know that reads text only and calls functions only. For checked parameters."""
    for place, kind in _kinds(parameters):
        if kind not in ("text", "function"):
            raise Refusal(
                Code.UNSUPPORTED,
                f"The built-in model does not take {kind!r}, only text and functions.",
                param=place,
            )


def _kinds(parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each type that is named in a chat, with its place."""
    for at, tool in enumerate(parameters.get("tools", ())):
        yield f"tools[{at}].type", tool["type"]
    for at, message in enumerate(parameters["messages"]):
        content = message.get("content")
        for field, parts in (("content", content), ("tool_calls", message.get("tool_calls"))):
            for number, part in enumerate(parts if isinstance(parts, list) else ()):
                yield f"messages[{at}].{field}[{number}].type", part["type"]
