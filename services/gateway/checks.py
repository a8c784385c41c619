"""Checks of single values: each names the parameter at fault, what was expected and what came.

A check takes a parameter's name and its value, which is never null, and raises Refusal.
"""

# JSON from outside is looked at value by value, so its parts have no known type before that.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from services.gateway.refusals import Code, Refusal

Check = Callable[[str, Any], None]


def wrong_type(name: str, expected: str, value: Any) -> Refusal:
    shown = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    got = shown.get(type(value), "a number")
    return Refusal(
        Code.INVALID_TYPE,
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.",
        param=name,
    )


def missing(name: str) -> Refusal:
    return Refusal(Code.MISSING, f"You must provide the parameter '{name}'.", param=name)


def _out_of_range(name: str, low: float, high: float, value: Any) -> Refusal:
    return Refusal(
        Code.INVALID_VALUE,
        f"Invalid value for '{name}': expected {low:g} to {high:g}, got {value}.",
        param=name,
    )


def whole(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not int:
            raise wrong_type(name, "an integer", value)
        if not low <= value <= high:
            raise _out_of_range(name, low, high, value)

    return check


def number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) not in (int, float):
            raise wrong_type(name, "a number", value)
        if not math.isfinite(value) or not low <= value <= high:
            raise _out_of_range(name, low, high, value)

    return check


def _kind(kind: type, expected: str) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not kind:
            raise wrong_type(name, expected, value)

    return check


flag, text = _kind(bool, "a boolean"), _kind(str, "a string")
mapping, sequence = _kind(dict, "an object"), _kind(list, "an array")


def one_of(*values: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise Refusal(
                Code.INVALID_VALUE,
                f"Invalid value for '{name}': must be one of {', '.join(values)}.",
                param=name,
            )

    return check


def fields(must: dict[str, Check], may: dict[str, Check] | None = None) -> Check:
    """An object that has `must` and perhaps `may`; what else it holds is for the upstream to judge.

    Nulls mean that nothing was given, and are taken out: some servers fail over them.
    """
    known = must | (may or {})

    def check(name: str, value: Any) -> None:
        mapping(name, value)
        drop_nulls(value)
        for field in must:
            if field not in value:
                raise missing(f"{name}.{field}")
        for field, inner in value.items():
            if field in known:
                known[field](f"{name}.{field}", inner)

    return check


def drop_nulls(value: dict[str, Any], *, but: str = "") -> None:
    if None in value.values():
        for field in [field for field, inner in value.items() if inner is None and field != but]:
            del value[field]


def by_type(kinds: dict[str, Check]) -> Check:
    """An object whose `type` names the check that it must pass, too."""
    known = one_of(*kinds)

    def check(name: str, value: Any) -> None:
        mapping(name, value)
        kind = value.get("type")
        if kind is None:
            raise missing(f"{name}.type")
        text(f"{name}.type", kind)
        known(f"{name}.type", kind)
        kinds[kind](name, value)

    return check


def each(inner: Check) -> Check:
    def check(name: str, value: Any) -> None:
        sequence(name, value)
        for place, one in enumerate(value):
            inner(f"{name}[{place}]", one)

    return check
