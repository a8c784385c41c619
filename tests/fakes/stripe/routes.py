"""Which function answers which path. The modules that hold them are imported by server.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.fakes.stripe.refusals import Refusal, missing
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World, public

Fields = dict[str, Any]
Handler = Callable[[World, Fields, dict[str, str]], Thing]
ROUTES: dict[tuple[str, str], Handler] = {}
LIMIT_MAX, LIMIT_DEFAULT = 100, 10
EXPAND_DEPTH_MAX = 4


def serves(method: str, path: str) -> Callable[[Handler], Handler]:
    def keep(handler: Handler) -> Handler:
        ROUTES[method, path] = handler
        return handler

    return keep


def reads(kind: str, path: str) -> None:
    """Answers GET of one object; the last part of `path` in braces names it."""
    param = path.rpartition("{")[2].rstrip("}")

    @serves("GET", path)
    def read(world: World, fields: Fields, names: dict[str, str]) -> Thing:
        return world.get(kind, names[param], param=param, status=404)


def lists(kind: str, path: str, *filters: str) -> None:
    """Answers GET of many, newest first, narrowed by equality of `filters`."""

    @serves("GET", path)
    def listing(world: World, fields: Fields, names: dict[str, str]) -> Thing:
        wanted = {name: fields[name] for name in filters if name in fields}
        return page(
            world,
            kind,
            fields,
            path,
            lambda one: all(one.get(name) == value for name, value in wanted.items()),
        )


def page(world: World, kind: str, fields: Fields, url: str, fits: Callable[[Thing], bool]) -> Thing:
    limit = fields.get("limit", LIMIT_DEFAULT)
    if not 1 <= limit <= LIMIT_MAX:
        word = "less than or equal to 100" if limit > LIMIT_MAX else "greater than or equal to 1"
        raise Refusal(f"This value must be {word}.", code="parameter_invalid_integer", param="limit")
    for name in ("starting_after", "ending_before"):
        if name in fields and world.store.find(fields[name]) is None:
            raise missing(kind, fields[name], param=name)
    within = _within(fields.get("created", {}))
    backwards = "ending_before" in fields
    if backwards:
        candidates = world.store.oldest_first(kind, after=fields["ending_before"])
    else:
        candidates = world.store.newest_first(kind, after=fields.get("starting_after", ""))
    found = _take(candidates, limit + 1, lambda one: fits(one) and within(one.get("created", 0)))
    data = found[:limit]
    return {
        "object": "list",
        "data": [public(one) for one in (reversed(data) if backwards else data)],
        "has_more": len(found) > limit,
        "url": url,
    }


def _take(things: Iterable[Thing], most: int, fits: Callable[[Thing], bool]) -> list[Thing]:
    found: list[Thing] = []
    for one in things:
        if fits(one):
            found.append(one)
            if len(found) == most:
                break
    return found


def _within(told: Any) -> Callable[[int], bool]:
    if isinstance(told, int):
        return lambda at: at == told
    low = max(told.get("gte", 0), told.get("gt", -1) + 1)
    high = min(told.get("lte", 10**12), told.get("lt", 10**12) - 1)
    return lambda at: low <= at <= high


def expanded(world: World, answer: Thing, wanted: list[str]) -> Thing:
    """`answer` with identifiers replaced by what they name, as `expand` asks."""
    for path in wanted:
        parts = path.split(".")
        if len(parts) > EXPAND_DEPTH_MAX:
            raise Refusal(
                f"You cannot expand more than {EXPAND_DEPTH_MAX} levels of a property.", param="expand"
            )
        answer = _expand(world, answer, parts, path)
    return answer


def _expand(world: World, thing: Thing, parts: list[str], path: str) -> Thing:
    head, rest = parts[0], parts[1:]
    if thing.get("object") == "list" and head == "data":
        return {**thing, "data": [_expand(world, one, rest, path) if rest else one for one in thing["data"]]}
    if thing["object"] != "list" and not world.document.properties(thing["object"]).get(head, {}).get(
        "expandable"
    ):
        raise Refusal(
            f"This property cannot be expanded ({head}). You may want to try expanding a different property.",
            param="expand",
        )
    value = thing.get(head)
    if isinstance(value, str):
        named = world.store.find(value)
        value = public(named) if named is not None else value
    if isinstance(value, dict) and rest:
        value = _expand(world, value, rest, path)
    return {**thing, head: value}


def require(condition: object, message: str, *, param: str | None = None, code: str | None = None) -> None:
    if not condition:
        raise Refusal(message, param=param, code=code)


def metadata(fields: Fields, kept: dict[str, str] | None = None) -> dict[str, str]:
    """`kept` with the changes that `fields` ask for: an empty value takes a key away, an empty text all of them."""
    told = fields.get("metadata", {})
    if told == "":
        return {}
    return {name: value for name, value in {**(kept or {}), **told}.items() if value != ""}
