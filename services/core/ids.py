"""New identifiers."""

from __future__ import annotations

import re
import secrets

from typeid import TypeID

from models.types import PREFIXES

_SHAPE = re.compile(r"^([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}$")


def new_id(prefix: str) -> str:
    """A fresh TypeID, e.g. `org_01k...`. Raises KeyError for a prefix that models/types.py does not list."""
    if prefix not in PREFIXES:
        raise KeyError(prefix)
    # TypeID would check the prefix, of which we have few, each time: that takes as long as the rest.
    return f"{prefix}_{TypeID().suffix}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of such an identifier; says nothing about existence."""
    return prefix_of(text) == prefix


def prefix_of(text: str) -> str:
    """The prefix of a text that has the shape of an identifier of ours; empty for any other text."""
    match = _SHAPE.match(text)
    return match[1] if match is not None and match[1] in PREFIXES else ""


def new_secret(nbytes: int = 32) -> str:
    """URL-safe random text with `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)
