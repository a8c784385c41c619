"""Pages under attack: an address typed by hand, and events whose arguments no page of ours would send."""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import quote

import pytest

from models.types import OrganizationKind, Role
from tests.handlers import Handler, handlers
from tests.integration.state.visitor import Visitor, said, sign_in
from tests.world import World

TEXTS = (
    "\0", "a\0b", "\r\nSet-Cookie: a=b", "x" * 5_000, "'; drop table api_key; --", "../../etc/passwd", "%", "_%", "\\",
    "🐈", "\u202e", "-1", "9" * 400, "1e400", "NaN", "null", "[]", "9999-12-31", "0000-00-00", 
    "<script>alert(1)</script>", "javascript:alert(1)", "//evil.example", "MjAyNg", "2026-01-01T00:00:00+00:00 \0",
)  # fmt: skip
# What the socket may carry in place of the text, the truth or the object that a handler is declared with.
OTHER_KINDS: tuple[Any, ...] = (None, 7, -1.5, True, "", [], ["a"], {}, {"a": {"b": []}}, "x" * 5_000, "\0")
READ_FROM_ANY_ADDRESS = ("after", "at", "sort", "address", "token", "email", "next", "model")


def failed(visitor_answer: tuple[Any, Any]) -> bool:
    """Whether the handler ended in a fault of ours, rather than in a refusal or in nothing."""
    state, answer = visitor_answer
    return bool(state.problem.reference) or "did not foresee" in said(answer)


def names_of(handler: Handler) -> list[str]:
    own: tuple[str, ...] = getattr(handler.state, "_filter_keys", ())
    return [*own, *(name for name in READ_FROM_ANY_ADDRESS if name not in own)]


@pytest.fixture
async def visitor(world: World) -> Visitor:
    """Somebody who may do everything, so that nothing is refused for who asks."""
    operators = await world.organization(OrganizationKind.OPERATOR)
    return (await sign_in(world, operators, Role.OPERATOR))[0]


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=[pytest.mark.deep, pytest.mark.timeout(900)])])
async def test_no_address_makes_a_page_fail(visitor: Visitor, every: int) -> None:
    """Each text at every fifth page, and at all of them in the deep run."""
    wrong: list[str] = []
    taking_none = [
        one for one in handlers() if len(inspect.signature(inspect.unwrap(one.function)).parameters) == 1
    ]
    for place, handler in enumerate(taking_none):
        for text in TEXTS[place % every :: every]:
            query = "&".join(f"{name}={quote(text)}" for name in names_of(handler))
            fresh = Visitor(visitor.token, at=f"/{quote(text, safe='')}?{query}")
            if failed(await fresh.call(handler.state, handler.name)):
                wrong.append(f"{handler} at {text[:40]!r}")

    assert not wrong, "\n".join(wrong)


async def test_no_argument_makes_a_handler_fail(visitor: Visitor) -> None:
    wrong: list[str] = []
    for handler in handlers():
        names = list(inspect.signature(inspect.unwrap(handler.function)).parameters)[1:]
        for value in OTHER_KINDS if names else ():
            if failed(
                await Visitor(visitor.token).call(handler.state, handler.name, *[value for _ in names])
            ):
                wrong.append(f"{handler} of {value!r:.40}")

    assert not wrong, "\n".join(wrong)
