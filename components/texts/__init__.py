"""Every word a person reads, by key.

Each module of this package declares `TEXTS: dict[str, str]`; the catalogue is their union and a key declared
twice is an error. Placeholders are `{name}`; a value may be a Reflex var, which then stays live on the page.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType

import reflex as rx


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


def t(key: str, **values: object) -> str:
    """The text of `key` with its placeholders filled; raises UnknownText, and KeyError for a missing value."""
    try:
        text = catalogue()[key]
    except KeyError:
        raise UnknownText(key) from None
    return text.format(**values) if values else text


def texts_under(prefix: str) -> dict[str, str]:
    """The texts below `prefix.`, keyed by the rest of their key: what a client component needs as one prop."""
    found = {
        key.removeprefix(f"{prefix}."): text
        for key, text in catalogue().items()
        if key.startswith(f"{prefix}.")
    }
    if not found:
        raise UnknownText(f"{prefix}.*")
    return found


def plural(key: str, count: int | rx.Var[int]) -> str | rx.Var[str]:
    """`key.one` or `key.other` by `count`, which both may name as `{count}`."""
    if isinstance(count, int):
        return t(f"{key}.one" if count == 1 else f"{key}.other", count=count)
    return rx.cond(count == 1, t(f"{key}.one", count=count), t(f"{key}.other", count=count))
