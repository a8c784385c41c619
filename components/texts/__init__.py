"""Every word a person reads, by key.

Each module of this package declares `TEXTS: dict[str, str]`; the catalogue is their union and a key declared
twice is an error. Texts are messages (components/messages.py): `{name}` is a placeholder and
`{count, plural, one {# key} other {# keys}}` a count; a value may be a Reflex var, which then stays live on the page.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Literal

import reflex as rx

from components import messages
from components.pseudo import pseudo

Locale = Literal["en", "pseudo"]

NAMES = frozenset({"product.name"})  # which no language translates

_locale: ContextVar[Locale] = ContextVar("locale", default="en")


class UnknownText(LookupError):
    """A component asked for a key that no catalogue module declares."""

    def __init__(self, key: str) -> None:
        super().__init__(f"No text for {key!r}; declare it in a module of components/texts.")


class DuplicateText(LookupError):
    """Two catalogue modules declare the same key, so which one wins would depend on their order."""

    def __init__(self, key: str, module: str) -> None:
        super().__init__(f"The text {key!r} is declared again in {module}; give it one home.")


def merge(modules: list[ModuleType]) -> Mapping[str, str]:
    """The union of the modules' texts; raises DuplicateText when a key has two homes."""
    merged: dict[str, str] = {}
    for module in modules:
        texts: dict[str, str] = module.TEXTS
        for key, text in texts.items():
            if key in merged:
                raise DuplicateText(key, module.__name__)
            merged[key] = text
    return merged


@cache
def catalogue() -> Mapping[str, str]:
    """All texts, read once."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return merge([importlib.import_module(f"{__name__}.{name}") for name in names])


@contextmanager
def speaking(locale: Locale) -> Iterator[None]:
    """What is drawn inside takes its texts in `locale`. Pages are drawn once, when they are built."""
    token = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(token)


def made_up(text: str) -> str:
    """Content of the gallery, which stands for what a catalogue or a person would say."""
    return pseudo(text) if _locale.get() == "pseudo" else text


def _text(key: str) -> str:
    try:
        text = catalogue()[key]
    except KeyError:
        raise UnknownText(key) from None
    return text if key in NAMES else made_up(text)


def t(key: str, **values: object) -> str:
    """The text of `key` with its placeholders filled; raises UnknownText, and KeyError for a missing value.

    Without values it is the message itself, for a client component that fills it.
    """
    text = _text(key)
    return messages.write(messages.parse(text), values) if values else text


def texts_under(prefix: str) -> dict[str, str]:
    """The texts below `prefix.`, keyed by the rest of their key: what a client component needs as one prop."""
    return {key.removeprefix(f"{prefix}."): _text(key) for key in _keys_under(prefix)}


@cache
def _keys_under(prefix: str) -> tuple[str, ...]:
    """Raises UnknownText where there is none. Kept, because each page asks for the same few."""
    found = tuple(key for key in catalogue() if key.startswith(f"{prefix}."))
    if not found:
        raise UnknownText(f"{prefix}.*")
    return found


def plural(key: str, count: int | rx.Var[int]) -> str:
    """The text of `key`, a message with a plural by `{count}`."""
    return t(key, count=count)
