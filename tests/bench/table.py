"""A page of every declared list that grows, over 100,000 rows: each sort, from the beginning and the middle, and each
filter, asked for what few rows have or none, so that it has to look far.

Lists are found by themselves; those of tests/listings.py's BOUNDED stay short. Of each list the slowest sort, the
slowest filter, every other one above the goal and its count are figures. The notes name the index that each page is
read through, and say for how long the database's processor was at work for it, which other work on the machine disturbs
less than the time it took. The reference is a bare query of one list's table through its best index, measured in the
same run.

`BENCH_ROWS` is how many rows, `BENCH_LISTS` names the lists to ask where not all are meant.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from services.core import crypto, listing_sql, migrations
from services.core import database as databases
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.listing import Column, Kind, Listing, Operator
from services.core.listing_grammar import Query, read
from services.core.permissions import Capability
from services.core.postgres import EmbeddedPostgres
from services.core.work import UnitOfWork, unit_of_work
from tests.bench.figures import Figure, Result, percentile
from tests.bench.multitude import begin, loosen, multiply, table_of
from tests.bench.servers import postgres
from tests.integration.walk.victim import furnish
from tests.listings import BOUNDED, every_listing
from tests.world import World

DATABASE = "table"
ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
LISTS = os.environ.get("BENCH_LISTS", "").split()
PAGE_ROWS = 50
ROUNDS, ROUNDS_FIRST = 20, 3
PAGE_MS_MAX, SLOW_MS = 60.0, 1_000.0
BARE = "select * from request where organization_id = :own order by started_at desc, id desc limit 51"
# What no row has: whoever looks for it sees all rows, unless an index tells.
_ABSENT = {
    Kind.TEXT: "zzz",
    Kind.ID: "zzz",
    Kind.INSTANT: "2026-01-31T09:30:00Z",
    Kind.INTEGER: "-1",
    Kind.DECIMAL: "0.000000000001",
}
Reading = Callable[[UnitOfWork], Awaitable[object]]
Work = Callable[[], AbstractAsyncContextManager[UnitOfWork]]


async def run() -> Result:
    with postgres() as server:
        server.ensure_database(DATABASE)
        migrations.migrate(server.owner_url(DATABASE))
        crypto.install(crypto.file_vault(server.data_dir))
        on = databases.connect(server.app_url(DATABASE), pool_size=4)
        databases.install(on)
        try:
            victim = await furnish(World(on), "Measured", folder=server.data_dir)
            actor = Actor(victim.owner.id, victim.organization.id, frozenset(Capability))
            growing = [listing for name, listing in every_listing().items() if name not in BOUNDED]
            await _fill(server, on, actor, growing)
            return await _measured(actor, [one for one in growing if not LISTS or one.name in LISTS])
        finally:
            databases.install(None)
            await on.close()


async def _fill(server: EmbeddedPostgres, on: Database, actor: Actor, growing: list[Listing[Any]]) -> None:
    by_table: dict[str, list[Listing[Any]]] = defaultdict(list)
    for listing in growing:
        by_table[table_of(listing)].append(listing)
    keys: dict[str, tuple[str, Any]] = {}
    with server.superuser(DATABASE) as connection:
        loosen(connection)
        for table, lists in by_table.items():
            key = await _shown_row(actor, lists)
            if key is None:
                begin(connection, table, lists)
                key = await _shown_row(actor, lists)
            if key is None:
                raise LookupError(f"None of the lists shows a row of {table}.")
            keys[table] = key
        for table, lists in by_table.items():
            multiply(connection, table, keys, ROWS, lists)
        connection.execute("vacuum analyze")


async def _shown_row(actor: Actor, lists: list[Listing[Any]]) -> tuple[str, Any] | None:
    """The column and value of the key of a row that the first of the lists with one shows."""
    for listing in lists:
        async with _work(actor, listing)() as uow:
            found = (await listing_sql.page(uow, read(listing, []), limit=1)).rows
        if found:
            key = listing.column(listing.key)
            return key.sql.rpartition(".")[2], getattr(found[0], key.name)
    return None


def _work(actor: Actor, listing: Listing[Any]) -> Work:
    """The list as its pages and addresses read it."""
    if listing.name.startswith("staff."):
        return lambda: crossing(Reason.STAFF, actor=actor)
    if listing.needs is None:
        return lambda: crossing(Reason.ACCOUNT, actor=actor)
    return lambda: unit_of_work(actor)


async def _measured(actor: Actor, growing: list[Listing[Any]]) -> Result:
    figures: list[Figure] = []
    notes: dict[str, Any] = {}
    reference = percentile(await _times(lambda: unit_of_work(actor), _bare), 95)
    for listing in growing:
        work = _work(actor, listing)
        for kind, questions in (("sort", _sorts(listing)), ("filter", _filters(listing))):
            tried = [one async for one in _tried(work, listing, questions, notes)]
            for place, (took, name, query, at) in enumerate(sorted(tried, key=lambda one: -one[0])):
                if place > 0 and took <= PAGE_MS_MAX:
                    break
                reading = _page(query, at)
                shown = f"{listing.name}: {'slow' if place else 'slowest'} {kind}, {name}"
                figures.append(_figure(shown, await _times(work, reading), reference))
                busy_ms = await _busy_ms(work, reading)
                notes[shown] = f"{await _indexes_of(work, query, at)}; {busy_ms:.1f} ms of the processor"
        figures.append(
            _figure(f"{listing.name}: rows counted", await _times(work, _count(listing)), reference)
        )
    return Result("table", tuple(figures), notes)


async def _tried(
    work: Work,
    listing: Listing[Any],
    questions: Iterator[tuple[str, list[tuple[str, str]]]],
    notes: dict[str, Any],
) -> AsyncIterator[tuple[float, str, Query[Any], listing_sql.Position | None]]:
    """How long each took at most in a few rounds, and what it was."""
    for name, asked in questions:
        query = read(listing, asked)
        at = await _middle(work, query) if (within := name.endswith("middle")) else None
        if within and at is None:
            notes[f"{listing.name}: rows"] = "too few for a middle"
            continue
        yield max(await _times(work, _page(query, at), ROUNDS_FIRST)), name, query, at


def _sorts(listing: Listing[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for sort in listing.sorts:
        yield sort, [("sort", sort)]
        yield f"{sort} from the middle", [("sort", sort)]


def _filters(listing: Listing[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for name, (column, operator) in listing.filters.items():
        yield name, [(name, _sought(column, operator))]


def _sought(column: Column, operator: Operator) -> str:
    if operator is Operator.IS_NULL or column.kind is Kind.FLAG:
        return "true"
    return column.values[-1] if column.values else _ABSENT[column.kind]


def _page(query: Query[Any], at: listing_sql.Position | None) -> Reading:
    async def page(uow: UnitOfWork) -> None:
        await listing_sql.page(uow, query, limit=PAGE_ROWS, at=at)

    return page


def _count(listing: Listing[Any]) -> Reading:
    return lambda uow: listing_sql.count(uow, read(listing, []))


async def _bare(uow: UnitOfWork) -> None:
    (await uow.execute(BARE, own=uow.organization_id)).all()


async def _middle(work: Work, query: Query[Any]) -> listing_sql.Position | None:
    """Behind two fifths of the rows; None where the list shows fewer, for want of rows that it is joined with."""
    at: listing_sql.Position | None = None
    async with work() as uow:
        for _ in range(max(1, ROWS * 2 // 5 // listing_sql.PAGE_ROWS_MAX)):
            found = await listing_sql.page(uow, query, limit=listing_sql.PAGE_ROWS_MAX, at=at)
            if found.next is None:
                return None
            at = found.next
    return at


async def _indexes_of(work: Work, query: Query[Any], at: listing_sql.Position | None) -> str:
    async with work() as uow:
        plan = await listing_sql.plan(uow, query, limit=PAGE_ROWS, at=at)
    return ", ".join(dict.fromkeys(_ways(plan)))


def _ways(plan: dict[str, Any]) -> Iterator[str]:
    """How rows are reached: the names of indexes, and what is read or sorted as a whole."""
    if "Index Name" in plan:
        # Partitions name theirs after the columns; the first words say which.
        yield str(plan["Index Name"])
    elif plan["Node Type"] in {"Seq Scan", "Sort"}:
        yield f"{plan['Node Type']} {plan.get('Relation Name', '')}".strip()
    for below in plan.get("Plans", ()):
        yield from _ways(below)


async def _times(work: Work, reading: Reading, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds within an open unit of work, after one that fills caches. What is slow is tried less often."""
    times: list[float] = []
    for number in range(rounds + 1):
        async with work() as uow:
            began = time.perf_counter()
            with contextlib.suppress(listing_sql.ListTooSlow):  # after READ_S_MAX, which is told as it is
                await reading(uow)
            took = (time.perf_counter() - began) * 1_000
        if number > 0 or took > SLOW_MS:
            times.append(took)
        if took > SLOW_MS and number >= ROUNDS_FIRST:
            break
    return times


async def _busy_ms(work: Work, reading: Reading) -> float:
    """The least that the database's own process was at work for it."""
    least = float("inf")
    for _ in range(ROUNDS_FIRST):
        async with work() as uow:
            backend = (await uow.execute("select pg_backend_pid()")).scalar_one()
            began = _worked_ms(backend)
            with contextlib.suppress(listing_sql.ListTooSlow):
                await reading(uow)
            least = min(least, _worked_ms(backend) - began)
    return least


def _worked_ms(process: int) -> float:
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e6


def _figure(name: str, times: list[float], reference: float) -> Figure:
    return Figure(
        f"{name}, p95",
        percentile(times, 95),
        "ms",
        reference=reference,
        reference_name="a bare indexed query, p95",
        goal=PAGE_MS_MAX,
    )
