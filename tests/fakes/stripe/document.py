"""Stripe's own document of its API: what a request may carry, and what an answer consists of."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.stripe.refusals import Refusal

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PART = re.compile(r"\[([^\[\]]*)\]")
METADATA_KEYS_MAX, METADATA_KEY_LENGTH_MAX, METADATA_VALUE_LENGTH_MAX = 50, 40, 500


@dataclass(frozen=True)
class Operation:
    """One method of one path; `names` are the values of the path's own parts."""

    path: str
    names: dict[str, str]
    fields: dict[str, Any]
    required: list[str]


class Document:
    def __init__(self) -> None:
        packed = Path(__file__).with_name("document.json.gz").read_bytes()
        self._told: dict[str, Any] = json.loads(gzip.decompress(packed))
        self.version: str = self._told["version"]
        self._patterns = [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), path) for path in self._told["paths"]
        ]

    def operation(self, method: str, url_path: str) -> Operation:
        for pattern, path in self._patterns:
            found = pattern.fullmatch(url_path)
            if found and method in self._told["paths"][path]:
                told = self._told["paths"][path][method]
                return Operation(path, found.groupdict(), told["fields"], told["required"])
        raise Refusal(
            f"Unrecognized request URL ({method}: {url_path}). Please see https://stripe.com/docs or we can help at "
            "https://support.stripe.com/.",
            status=404,
        )

    def properties(self, name: str) -> dict[str, Any]:
        return self._told["schemas"][name]["properties"]

    def skeleton(self, name: str, /, **values: Any) -> dict[str, Any]:
        """An object as the document has it, empty but for `values`, which must be among its properties."""
        schema = self._told["schemas"][name]
        if unknown := values.keys() - schema["properties"].keys():
            raise KeyError(f"{name} has no {', '.join(sorted(unknown))}")
        required = set(schema.get("required", []))
        made: dict[str, Any] = {}
        for field, told in schema["properties"].items():
            if field in values:
                made[field] = values[field]
            elif told.get("nullable"):
                made[field] = None
            elif field in required:
                made[field] = self._empty(told)
        return made

    def _empty(self, told: dict[str, Any]) -> Any:
        if "$ref" in told:
            return self.skeleton(told["$ref"].rpartition("/")[2])
        if "anyOf" in told:
            return self._empty(told["anyOf"][0])
        match told.get("type"):
            case "string":
                return told["enum"][0] if "enum" in told else ""
            case "array":
                return []
            case "boolean":
                return False
            case "integer" | "number":
                return 0
            case _:
                return {}


def nested(text: str) -> dict[str, Any]:
    """A form or query with names such as `a[b][0]` as nested dictionaries; lists are dictionaries by position."""
    made: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, bracket, _ = name.partition("[")
        parts = [head, *_PART.findall(name[len(head) :])] if bracket else [name]
        place = made
        for part in parts[:-1]:
            step = place.setdefault(part or str(len(place)), {})
            if not isinstance(step, dict):
                raise Refusal(f"Invalid request: {head} is given twice.", param=head)
            place = step
        place[parts[-1] or str(len(place))] = value
    return made


def read_fields(operation: Operation, given: dict[str, Any]) -> dict[str, Any]:
    """`given` with its true types. Raises the Refusal that Stripe would answer with."""
    schema = {"properties": operation.fields, "required": operation.required}
    return _object(schema, given, "")


def _object(schema: dict[str, Any], given: dict[str, Any], where: str) -> dict[str, Any]:
    properties = schema.get("properties", {})
    for name in given:
        if name not in properties:
            param = _within(where, name)
            raise Refusal(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
    for name in schema.get("required", []):
        if name not in given:
            param = _within(where, name)
            raise Refusal(f"Missing required param: {param}.", code="parameter_missing", param=param)
    return {name: _typed(properties[name], value, _within(where, name)) for name, value in given.items()}


def _within(where: str, name: str) -> str:
    return f"{where}[{name}]" if where else name


def _typed(schema: dict[str, Any], value: Any, where: str) -> Any:
    if "anyOf" in schema:
        return _any_of(schema["anyOf"], value, where)
    kind = schema.get("type", "object")
    if kind in ("object", "array"):
        if not isinstance(value, dict):
            raise Refusal(f"Invalid {'array' if kind == 'array' else 'object'}", param=where)
        if kind == "array":
            return [_typed(schema["items"], one, _within(where, name)) for name, one in value.items()]
        if "properties" in schema:
            return _object(schema, value, where)
        return _map(value, where)
    if isinstance(value, dict):
        raise Refusal(f"Invalid {kind}: {json.dumps(value)}", param=where)
    return _scalar(schema, kind, value, where)


def _any_of(choices: Iterable[dict[str, Any]], value: Any, where: str) -> Any:
    fitting = [
        one for one in choices if (one.get("type") in ("object", "array", None)) == isinstance(value, dict)
    ]
    if not fitting:
        raise Refusal(f"Invalid {'object' if isinstance(value, dict) else 'value'}", param=where)
    refusal: Refusal | None = None
    for one in fitting:
        try:
            return _typed(one, value, where)
        except Refusal as again:
            refusal = refusal or again
    assert refusal
    raise refusal


def _map(value: dict[str, Any], where: str) -> dict[str, str]:
    """Free names with text, as in metadata."""
    if len(value) > METADATA_KEYS_MAX:
        raise Refusal(f"You can have at most {METADATA_KEYS_MAX} metadata keys.", param=where)
    for name, text in value.items():
        if not isinstance(text, str) or len(text) > METADATA_VALUE_LENGTH_MAX:
            raise Refusal(
                f"Metadata values can have up to {METADATA_VALUE_LENGTH_MAX} characters.",
                param=_within(where, name),
            )
        if len(name) > METADATA_KEY_LENGTH_MAX:
            raise Refusal(
                f"Metadata keys can have up to {METADATA_KEY_LENGTH_MAX} characters.",
                param=_within(where, name),
            )
    return value


def _scalar(schema: dict[str, Any], kind: str, value: str, where: str) -> Any:
    choices = schema.get("enum")
    if value == "" and "" not in (choices or ()):
        raise Refusal(
            f"You passed an empty string for '{where}'. We assume empty values are an attempt to unset a field; "
            f"however '{where}' cannot be unset. You should remove '{where}' from your request or supply a "
            "non-empty value.",
            code="parameter_invalid_empty",
            param=where,
        )
    if choices is not None and value not in choices:
        raise Refusal(
            f"Invalid {where}: must be one of {', '.join(choices[:-1])}, or {choices[-1]}", param=where
        )
    if kind == "integer":
        if not _INTEGER.fullmatch(value):
            raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=where)
        return int(value)
    if kind == "number":
        if not _NUMBER.fullmatch(value):
            raise Refusal(f"Invalid decimal: {value}", param=where)
        return value
    if kind == "boolean":
        if value not in ("true", "false"):
            raise Refusal(f"Invalid boolean: {value}", param=where)
        return value == "true"
    if len(value) > schema.get("maxLength", 500_000):
        raise Refusal(
            f"Invalid string: {value[:20]}...; must be at most {schema['maxLength']} characters", param=where
        )
    return value
