"""Messages with placeholders and plurals, in the part of ICU's grammar that we use.

    "{name} has {count, plural, =0 {no keys} one {# key} other {# keys}}"

`#` is the count with grouped digits. A value may be a Reflex var: its form is then chosen in the browser, by its own
plural rules. components/js/messages.js reads the same grammar for texts that a client component fills in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

import reflex as rx
from reflex.utils.imports import ImportVar
from reflex.vars import VarData

from components.js import library

Category = Literal["zero", "one", "two", "few", "many", "other"]
CATEGORIES: frozenset[str] = frozenset({"zero", "one", "two", "few", "many", "other"})

# Whole counts only; by language of the catalogue. A language without rules here is refused, never guessed. The browser
# has the rules of all languages.
PLURAL_RULES: Mapping[str, Callable[[int], Category]] = {"en": lambda count: "one" if count == 1 else "other"}

_SIMPLE = re.compile(r"\{\s*(\w+)\s*\}")
_PLURAL = re.compile(r"\{\s*(\w+)\s*,\s*plural\s*,")
_SELECTOR = re.compile(r"\s*(=\d+|\w+)\s*\{")


class BadMessage(ValueError):
    """A text does not follow the grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where the value called `name` stands."""

    name: str


class Number:
    """`#`: the count of the plural around it."""


@dataclass(frozen=True, slots=True)
class Plural:
    """One of `forms` by the count called `name`; keys are "=3" for exactly three, or categories with "other"."""

    name: str
    forms: Mapping[str, Message]


Message: TypeAlias = "tuple[str | Placeholder | Number | Plural, ...]"
NUMBER = Number()


@cache
def parse(text: str) -> Message:
    """The parts of a message. Raises BadMessage."""
    parts, end = _read(text, 0, in_plural=False)
    if end != len(text):
        raise BadMessage(f"A brace closes nothing at {end} in {text!r}.")
    return parts


def _read(text: str, at: int, *, in_plural: bool) -> tuple[Message, int]:
    parts: list[str | Placeholder | Number | Plural] = []
    begun = at
    while at < len(text) and text[at] != "}":
        if text[at] == "{" or (text[at] == "#" and in_plural):
            if begun < at:
                parts.append(text[begun:at])
            part, at = _special(text, at)
            parts.append(part)
            begun = at
        else:
            at += 1
    if begun < at:
        parts.append(text[begun:at])
    return tuple(parts), at


def _special(text: str, at: int) -> tuple[Placeholder | Number | Plural, int]:
    if text[at] == "#":
        return NUMBER, at + 1
    if simple := _SIMPLE.match(text, at):
        return Placeholder(simple[1]), simple.end()
    if plural := _PLURAL.match(text, at):
        return _plural(text, plural[1], plural.end())
    raise BadMessage(f"Neither a placeholder nor a plural begins at {at} in {text!r}.")


def _plural(text: str, name: str, at: int) -> tuple[Plural, int]:
    forms: dict[str, Message] = {}
    while selector := _SELECTOR.match(text, at):
        key = selector[1]
        if key in forms or not (key.startswith("=") or key in CATEGORIES):
            raise BadMessage(f"{key!r} is no form, or is there twice, in {text!r}.")
        forms[key], at = _read(text, selector.end(), in_plural=True)
        if text[at : at + 1] != "}":
            raise BadMessage(f"The form {key!r} is not closed in {text!r}.")
        at += 1
    rest = re.compile(r"\s*\}").match(text, at)
    if rest is None or "other" not in forms:
        raise BadMessage(f"The plural of {name!r} is not closed or has no form 'other' in {text!r}.")
    return Plural(name, forms), rest.end()


def write(message: Message, values: Mapping[str, object], *, language: str = "en") -> str:
    """The message as text. Vars stay live in it. Raises KeyError for a value that is missing."""
    return _write(message, values, language, None)


def _write(message: Message, values: Mapping[str, object], language: str, count: object) -> str:
    return "".join(_part(part, values, language, count) for part in message)


def _part(
    part: str | Placeholder | Number | Plural, values: Mapping[str, object], language: str, count: object
) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Placeholder):
        return f"{values[part.name]}"
    if isinstance(part, Number):
        return f"{_in_browser('formatNumber', count)}" if isinstance(count, rx.Var) else f"{count:,}"
    return _chosen(part, values, language)


def _chosen(plural: Plural, values: Mapping[str, object], language: str) -> str:
    count = values[plural.name]
    if isinstance(count, rx.Var):
        written = {key: _write(form, values, language, count) for key, form in plural.forms.items()}
        other = written.pop("other")
        return f"{rx.match(_form_of(count, list(written)), *written.items(), other)}" if written else other
    if not isinstance(count, int):
        raise TypeError(f"A plural is chosen by a whole number, not by {count!r}.")
    exact = f"={count}"
    key = exact if exact in plural.forms else PLURAL_RULES[language](abs(count))
    return _write(plural.forms.get(key, plural.forms["other"]), values, language, count)


def _form_of(count: rx.Var[Any], forms: Sequence[str]) -> rx.Var[str]:
    return _in_browser("pluralForm", count, rx.Var.create(list(forms))).to(str)


def _in_browser(function: str, *arguments: rx.Var[Any]) -> rx.Var[Any]:
    """A call of our formatter, made where the page is shown."""
    module = "messages" if function == "pluralForm" else "matrix_format"
    data = VarData(imports={library(module): [ImportVar(tag=function)]})
    written = ", ".join(str(argument) for argument in arguments)
    return rx.Var(
        f"{function}({written})",
        _var_data=VarData.merge(data, *(argument._get_all_var_data() for argument in arguments)),
    )
