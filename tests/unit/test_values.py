"""Values: equal by their fields, so that they can be looked up by them, and without room for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.values import value


@value
class Share:
    of: str
    parts: int = 1


def test_a_value_is_what_its_fields_are() -> None:
    half = Share("cake", 2)

    assert (half, hash(half)) == (Share("cake", 2), hash(Share("cake", 2)))
    assert replace(half, parts=3) != half
    with pytest.raises(AttributeError):
        half.eaten = True  # type: ignore[attr-defined]
