"""Whatever is asked of a list, and whatever arrives between its pages, the pages together are one sorted query."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.types import Role
from services.core import listing_sql
from services.core.actor import system
from services.core.errors import Forbidden, Invalid
from services.core.listing import BadListing, Column, Kind, Listing, Operator
from services.core.listing_grammar import PARAMETERS_MAX, SORT, read, understood
from services.core.listing_position import Position, position_of
from services.core.listing_sql import page
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from tests.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLOURS = ("red", "green")


@dataclass(frozen=True)
class Item:
    id: str
    name: str
    at: datetime | None
    size: int
    cost: Decimal | None
    done: bool
    colour: str


def listing(**more: Any) -> Listing[Item]:
    return Listing(
        "items",
        row=Item,
        needs=None,
        source="item i",
        columns=(
            Column("id", "i.id", Kind.ID, sortable=True, filterable=True),
            Column(
                "name",
                'i.name collate "C"',
                sortable=True,
                operators=(Operator.EQ, Operator.NE, Operator.IN, Operator.CONTAINS, Operator.STARTS_WITH),
            ),
            Column("at", "i.at", Kind.INSTANT, nullable=True, sortable=True, filterable=True),
            Column("size", "i.size", Kind.INTEGER, sortable=True, filterable=True),
            Column("cost", "i.cost", Kind.DECIMAL, nullable=True, sortable=True, filterable=True),
            Column("done", "i.done", Kind.FLAG, sortable=True, filterable=True),
            Column("colour", "i.colour", Kind.ENUM, values=COLOURS, filterable=True),
        ),
        sort="-at",
        **more,
    )


ITEMS = listing()
JOINED = listing(joins="left join item j on j.id = i.id", alias="i")

rows_of_items = st.builds(
    Item,
    id=st.integers(0, 10**6).map("item_{:07}".format),
    name=st.text("aA%_\\é", max_size=3),
    at=st.none() | st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours, microseconds=1)),
    size=st.integers(-2, 2),
    cost=st.none() | st.sampled_from([Decimal("0"), Decimal("-0.5"), Decimal("0.000000000001"), Decimal(10)]),
    done=st.booleans(),
    colour=st.sampled_from(COLOURS),
)
FILTERS: dict[tuple[str, str], Callable[[Item], bool]] = {
    ("name", "a"): lambda item: item.name == "a",
    ("name[ne]", "a"): lambda item: item.name != "a",
    ("name[in]", "a,A"): lambda item: item.name in {"a", "A"},
    ("name[contains]", "A"): lambda item: "a" in item.name.lower(),
    ("name[contains]", "%"): lambda item: "%" in item.name,
    ("name[contains]", "\\"): lambda item: "\\" in item.name,
    ("name[starts_with]", "a"): lambda item: item.name.startswith("a"),
    ("at[gte]", "2026-03-01T13:00:00.000001Z"): lambda item: item.at is not None and item.at.hour >= 13,
    ("at[lt]", "2026-03-01T15:00:00+01:00"): lambda item: item.at is not None and item.at.hour < 14,
    ("at[is_null]", "true"): lambda item: item.at is None,
    ("at[is_null]", "false"): lambda item: item.at is not None,
    ("size[gt]", "-1"): lambda item: item.size > -1,
    ("size[lte]", "1"): lambda item: item.size <= 1,
    ("size[ne]", "0"): lambda item: item.size != 0,
    ("cost", "-0.50"): lambda item: item.cost == Decimal("-0.5"),
    ("cost[ne]", "10"): lambda item: item.cost != 10,
    ("cost[gte]", "0.000000000001"): lambda item: item.cost is not None and item.cost > 0,
    ("done", "true"): lambda item: item.done,
    ("colour", "red"): lambda item: item.colour == "red",
    ("colour[ne]", "red"): lambda item: item.colour != "red",
}


def expected(items: list[Item], filters: list[tuple[str, str]], sort: str) -> list[Item]:
    """As Python has it: by the column, then by id in the same direction, and empty values last either way."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    kept = [item for item in items if all(FILTERS[one](item) for one in filters)]
    full = [item for item in kept if getattr(item, name) is not None]
    empty = [item for item in kept if getattr(item, name) is None]
    return [
        *sorted(full, key=lambda item: (getattr(item, name), item.id), reverse=down),
        *sorted(empty, key=lambda item: item.id, reverse=down),
    ]


async def put(uow: UnitOfWork, items: list[Item]) -> None:
    for item in items:
        await uow.execute(
            "insert into item values (:id, :name, :at, :size, :cost, :done, :colour)",
            {name: getattr(item, name) for name in Item.__annotations__},
        )


@asynccontextmanager
async def shelf(items: list[Item]):
    async with unit_of_work(system()) as uow:
        await uow.execute(
            'create temporary table item (id text collate "C" primary key, name text, at timestamptz, size int,'
            " cost numeric(30, 12), done boolean, colour text) on commit drop"
        )
        await put(uow, items)
        yield uow


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    items=st.lists(rows_of_items, max_size=25, unique_by=lambda item: item.id),
    arriving=st.integers(0, 8),
    filters=st.lists(st.sampled_from(sorted(FILTERS)), max_size=3, unique_by=lambda pair: pair[0]),
    sort=st.sampled_from(ITEMS.sorts),
    limit=st.integers(1, 7),
    listing=st.sampled_from([ITEMS, JOINED]),
)
async def test_pages_together_are_one_sorted_query(
    world: World,
    items: list[Item],
    arriving: int,
    filters: list[tuple[str, str]],
    sort: str,
    limit: int,
    listing: Listing[Item],
) -> None:
    late, there = items[:arriving], items[arriving:]
    async with shelf(there) as uow:
        query = read(listing, [*filters, ("sort", sort)])
        pages, at = [], None
        while True:
            found = await page(uow, query, limit=limit, at=at)
            pages.append(found)
            for one in late[len(pages) - 1 : len(pages)]:
                await put(uow, [one])
            if found.next is None:
                break
            at = position_of(query, found.next.text)  # as it comes back from an address
        seen = [row for found in pages for row in found.rows]

        # Each that was there comes once and in order; one that came meanwhile comes once or not at all.
        assert [row for row in seen if row in there] == expected(there, filters, sort)
        assert len(set(seen)) == len(seen)
        assert seen == [row for row in expected(items, filters, sort) if row in seen]

        every = expected([*there, *late[: len(pages)]], filters, sort)
        assert (await listing_sql.count(uow, query)).rows == len(every)
        if every:
            # The way back is the way forth.
            back: list[Item] = []
            place: Position | None = Position(*place_of(every[-1], sort), before=True)
            while place is not None:
                assert (await listing_sql.count_before(uow, query, place)).rows == len(every) - len(back) - 1
                found = await page(uow, query, limit=limit, at=place)
                back = [*found.rows, *back]
                place = found.previous
            assert back == every[:-1]


async def test_what_filters_ask_for_is_planned_by_its_values_however_often_it_is_asked(world: World) -> None:
    async with shelf([]) as uow:
        for size in range(12):
            await page(uow, read(ITEMS, [("size[gt]", str(size))]), limit=1)
        plans = await uow.execute(
            "select sum(generic_plans), sum(custom_plans) > 0 from pg_prepared_statements"
            " where statement like '%from item i where%'"
        )
        assert tuple(plans.one()) == (0, True)


def place_of(item: Item, sort: str) -> tuple[Any, str]:
    return getattr(item, sort.removeprefix("-")), item.id


async def test_of_very_many_rows_it_is_said_about_how_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_sql, "COUNTED_MAX", 10)
    async with shelf([]) as uow:
        await uow.execute(
            "insert into item select 'item_' || n, 'a', null, n, null, true, 'red' from generate_series(1, 1234) n"
        )
        await uow.execute("analyze item")
        query = read(ITEMS, [])
        assert await listing_sql.count(uow, query) == listing_sql.Count(1200, exact=False)
        assert (await listing_sql.count(uow, read(ITEMS, [("size[lte]", "10")]))).exact
        last = Position(None, "item_1", before=True)
        assert not (await listing_sql.count_before(uow, query, last)).exact


async def test_a_column_for_some_is_empty_for_the_others_and_tells_them_nothing(world: World) -> None:
    columns = [
        Column("size", "i.size", Kind.INTEGER, sortable=True, filterable=True, needs=Capability.COST_READ)
        if column.name == "size"
        else column
        for column in ITEMS.columns
    ]
    kept = Listing("items", row=Item, needs=None, source="item i", columns=tuple(columns), sort="-at")
    organization = await world.organization()
    item = Item("item_1", "a", None, 5, None, True, "red")
    async with shelf([item]) as uow:
        assert (await page(uow, read(kept, []), limit=1)).rows == (item,)
        uow.actor = world.actor(organization, Role.VIEWER)
        assert (await page(uow, read(kept, []), limit=1)).rows[0].size is None
        for asked in (("sort", "size"), ("size[gt]", "4")):
            with pytest.raises(Forbidden):
                await page(uow, read(kept, [asked]), limit=1)
            with pytest.raises(Forbidden):
                await listing_sql.count(uow, read(kept, [asked]))


@pytest.mark.parametrize(
    "text", ["", "x", "bnVsbA", "é", "W10", "WzEsIDIsIDNd", "WyIyMDI2LTAxLTAxIiwgIngiLCAwXQ"]
)
def test_a_place_that_was_not_made_here_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        position_of(read(ITEMS, []), text)


def test_an_address_typed_by_anyone_asks_for_what_it_can() -> None:
    pairs = [
        ("nonsense", "1"),
        ("colour", "blue"),
        ("name", "a"),
        ("at[gte]", "soon"),
        ("sort", "x"),
        ("sort", "-size"),
    ]
    assert understood(ITEMS, pairs).parameters == [("name", "a"), ("sort", "-size")]


@pytest.mark.parametrize(
    ("name", "read_max"), [("unknown", 0), (SORT, PARAMETERS_MAX), ("colour", PARAMETERS_MAX)]
)
def test_what_a_hostile_address_asks_for_is_read_only_so_far(
    name: str, read_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look for what was meant costs the most, and many parameters must not cost their square."""
    looked_for = 0
    near = difflib.get_close_matches

    def counted(*arguments: Any, **options: Any) -> list[str]:
        nonlocal looked_for
        looked_for += 1
        return near(*arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    pairs = [(f"{name}{n}" if read_max == 0 else name, f"value {n}") for n in range(5_000)]
    assert understood(ITEMS, [("name", "a"), *pairs]).chosen == {"name": "a"}
    assert looked_for <= read_max
    assert ITEMS.filters is ITEMS.filters


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"key": "at"}, "never null"),
        ({"sort": "colour"}, "sortable"),
        ({"columns": (*ITEMS.columns, ITEMS.columns[0])}, "two columns"),
        ({"columns": (*ITEMS.columns, Column("x", kind=Kind.ENUM))}, "values"),
        ({"columns": (*ITEMS.columns, Column("x", kind=Kind.LIST, sortable=True))}, "no order"),
        ({"columns": (*ITEMS.columns, Column("x", joined=True, filterable=True))}, "joins"),
        ({"columns": (*ITEMS.columns, Column("x", kind=Kind.INTEGER, currency="money"))}, "currency"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(wrong: dict[str, Any], why: str) -> None:
    sound: dict[str, Any] = {"columns": ITEMS.columns, "sort": "-at"}
    with pytest.raises(BadListing, match=why):
        Listing("items", row=Item, needs=None, source="item i", **sound | wrong)
