"""The ledger on its database: what is posted is whole, once, for good, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors

from alembic import command
from models.identity import Organization
from models.ledger import JournalKind, Measure, Purpose, Step
from models.money import Money
from services.core import migrations
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import NotFound
from services.core.work import UnitOfWork, unit_of_work
from services.ledger import queries, recognition, service
from services.ledger.rules import Deferral, Draft, credit, debit
from services.ledger.service import JournalDiffers, JournalNotReversible
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.world import World

MARCH = datetime(2026, 3, 10, 9, tzinfo=UTC)
APPLICATION, ACROSS = "matrix_app", "matrix_crossing"


@pytest.fixture
async def acme(world: World) -> Organization:
    return await world.organization(name="Acme", currency="EUR")


def invoice(
    book: str | None, *, key: str = "invoice:inv_1", net: int = 10_000, at: datetime | None = None
) -> Draft:
    """Net and 19 % tax on one receivable."""
    tax = net * 19 // 100
    return Draft(
        book,
        key=key,
        kind=JournalKind.INVOICE,
        cause_id="inv_1",
        entries=(
            debit(Purpose.RECEIVABLE, Money(net + tax, "EUR")),
            credit(Purpose.DEFERRED_REVENUE, Money(net, "EUR")),
            credit(Purpose.TAX_OWED, Money(tax, "EUR")),
        ),
        at=at,
    )


def at_work(organization: Organization, *, at: datetime = MARCH) -> AbstractAsyncContextManager[UnitOfWork]:
    return unit_of_work(system(organization.id), clock=FixedClock(at))


async def balances(organization: Organization, **asked: Any) -> dict[str, int]:
    async with at_work(organization) as uow:
        found = await queries.trial_balance(uow, **asked)
    assert all(
        sum(row.minor for row in found if row.currency == code) == 0 for code in {r.currency for r in found}
    )
    return {row.purpose: row.balance_minor for row in found}


async def test_a_journal_moves_balances_and_is_read_as_it_was_posted(acme: Organization) -> None:
    async with at_work(acme) as uow:
        posted = await service.post(uow, invoice(acme.id))
    async with at_work(acme) as uow:
        journal = await queries.journal(uow, posted.id)

    assert await balances(acme) == {"receivable": 11_900, "deferred_revenue": 10_000, "tax_owed": 1_900}
    assert (journal.kind, journal.cause_id, journal.happened_at) == ("invoice", "inv_1", MARCH)
    assert [(entry.purpose, entry.debit_minor, entry.credit_minor) for entry in journal.lines] == [
        ("receivable", 11_900, 0),
        ("deferred_revenue", 0, 10_000),
        ("tax_owed", 0, 1_900),
    ]
    await assert_invariants(but=MADE_BY_HAND)


async def test_the_same_key_is_the_same_journal_and_other_content_is_refused(acme: Organization) -> None:
    async with at_work(acme) as uow:
        first = await service.post(uow, invoice(acme.id))
    async with at_work(acme, at=MARCH + timedelta(days=9)) as uow:
        again, other = await service.post_all(uow, [invoice(acme.id), invoice(acme.id, key="invoice:inv_2")])
        assert (again.id, again.is_new, again.happened_at) == (first.id, False, MARCH)
        assert other.is_new
    async with at_work(acme) as uow:
        with pytest.raises(JournalDiffers):
            await service.post(uow, invoice(acme.id, net=10_001))
    assert (await balances(acme))["receivable"] == 2 * 11_900


async def test_eight_who_post_at_once_post_once_and_open_each_account_once(acme: Organization) -> None:
    """Each posts the same journal and one of its own, in an order of its own, to a book that has no account yet."""

    async def poster(number: int) -> str:
        drafts = [invoice(acme.id, key="shared"), invoice(acme.id, key=f"own:{number}")]
        async with at_work(acme) as uow:
            posted = await service.post_all(uow, drafts[:: 1 if number % 2 else -1])
        return next(one.id for one in posted if one.key == "shared")

    ids = await asyncio.gather(*(poster(number) for number in range(8)))

    assert len(set(ids)) == 1
    assert (await balances(acme))["receivable"] == 9 * 11_900
    async with crossing(Reason.INVARIANTS) as uow:
        counted = await uow.execute(
            "select (select count(*) from ledger_account), (select count(*) from ledger_journal),"
            " (select count(*) from event where type = 'ledger.journal_posted')"
        )
        assert tuple(counted.one()) == (3, 9, 9)


async def test_a_correction_reverses_once(acme: Organization) -> None:
    async with at_work(acme) as uow:
        posted = await service.post(uow, invoice(acme.id))

    async def reverser() -> str:
        async with at_work(acme) as uow:
            return (await service.reverse(uow, posted.id, note="Wrong customer")).id

    first, second = await asyncio.gather(reverser(), reverser())

    assert first == second
    assert set((await balances(acme)).values()) == {0}
    async with at_work(acme) as uow:
        assert (await queries.journal(uow, posted.id)).reversed_by == first
        assert (await queries.journal(uow, first)).reverses == posted.id
        with pytest.raises(JournalNotReversible):
            await service.reverse(uow, first)


async def test_another_tenant_sees_nothing_and_writes_nothing(world: World, acme: Organization) -> None:
    other = await world.organization(name="Other")
    async with at_work(acme) as uow:
        posted = await service.post(uow, invoice(acme.id))

    assert await balances(other) == {}
    async with at_work(other) as uow:
        for attempt in (
            lambda: service.reverse(uow, posted.id),
            lambda: service.post(uow, invoice(acme.id, key="mine")),
            lambda: service.post(uow, invoice(None, key="mine")),
            lambda: queries.journal(uow, posted.id),
            lambda: recognition.withdraw(uow, acme.id, "line_1"),
            lambda: recognition.defer(uow, acme.id, year()),
        ):
            with pytest.raises(NotFound):
                await attempt()
    # The same key is another journal in another book, and the platform has a book of its own.
    async with at_work(other) as uow:
        assert (await service.post(uow, invoice(other.id))).is_new
    async with crossing(Reason.LEDGER) as uow:
        assert (await service.post(uow, invoice(None))).is_new
        assert not (await service.post(uow, invoice(None))).is_new
    assert (await balances(acme))["receivable"] == 11_900


# -- what the database itself refuses


@asynccontextmanager
async def raw(database: Database, organization: Organization, role: str = APPLICATION):
    """The application's own login, within one organisation, or as the role that crosses tenants."""
    async with await psycopg.AsyncConnection.connect(libpq_url(database.url)) as connection:
        if role == ACROSS:
            await connection.execute("set role matrix_crossing")
        await connection.execute("select set_config('matrix.scope', %s, false)", (organization.id,))
        await connection.commit()
        yield connection


Statement = tuple[str, tuple[Any, ...]]


def journal(
    book: str, *, name: str = "j", kind: str = "invoice", entries: int = 2, reverses: str | None = None
) -> Statement:
    return (
        "insert into ledger_journal (id, organization_id, key, content_hash, kind, cause_id, reverses, entries, note,"
        " happened_at, recorded_at) values (%s, %s, %s, 'h', %s, 'c', %s, %s, '', %s, now())",
        (name, book, name, kind, reverses, entries, MARCH),
    )


def entry(
    book: str, line: int, minor: int, *, name: str = "j", purpose: str = "receivable", currency: str = "EUR",
    at: datetime = MARCH, of: str | None = None,
) -> Statement:  # fmt: skip
    return (
        "insert into ledger_entry (journal_id, line, organization_id, account_id, currency, minor, happened_at)"
        " select %s, %s, %s, id, %s, %s, %s from ledger_account where purpose = %s and organization_id = %s",
        (name, line, book, currency, minor, at, purpose, of or book),
    )


async def committed(connection: psycopg.AsyncConnection[Any], statements: list[Statement]) -> None:
    for statement, values in statements:
        await connection.execute(statement, values)  # type: ignore[arg-type]
    await connection.commit()


REFUSED: dict[str, Callable[[str, str], list[Statement]]] = {
    "one that does not balance": lambda book, _: [journal(book), entry(book, 1, 5), entry(book, 2, -4)],
    "one that balances across currencies only": lambda book, _: [
        journal(book),
        entry(book, 1, 5),
        entry(book, 2, -5, currency="USD"),
    ],
    "one without entries": lambda book, _: [journal(book)],
    "one with fewer than announced": lambda book, _: [
        journal(book, entries=3),
        entry(book, 1, 5),
        entry(book, 2, -5),
    ],
    "one entry": lambda book, _: [journal(book, entries=1), entry(book, 1, 5)],
    "an entry of nothing": lambda book, _: [journal(book), entry(book, 1, 0), entry(book, 2, 0)],
    "an entry more, later": lambda book, there: [entry(book, 4, 5, name=there)],
    "two entries more, that balance": lambda book, there: [
        entry(book, 4, 5, name=there),
        entry(book, 5, -5, name=there),
    ],
    "an entry at another time than its journal": lambda book, _: [
        journal(book),
        entry(book, 1, 5, at=MARCH - timedelta(days=40)),
        entry(book, 2, -5),
    ],
    "a reversal of half": lambda book, there: [
        journal(book, kind="reversal", reverses=there),
        entry(book, 1, -5),
        entry(book, 2, 5, purpose="tax_owed"),
    ],
    "a reversal that names nothing": lambda book, _: [
        journal(book, kind="reversal"),
        entry(book, 1, -5),
        entry(book, 2, 5),
    ],
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("role", [APPLICATION, ACROSS])
async def test_the_database_itself_refuses(
    database: Database, acme: Organization, what: str, role: str
) -> None:
    async with at_work(acme) as uow:
        there = (await service.post(uow, invoice(acme.id))).id
    before = await balances(acme)

    async with raw(database, acme, role) as connection:
        with pytest.raises(errors.CheckViolation):
            await committed(connection, REFUSED[what](acme.id, there))
        await connection.rollback()

    assert await balances(acme) == before


async def test_entries_stay_in_the_book_of_their_journal_also_across_tenants(
    database: Database, world: World, acme: Organization
) -> None:
    other = await world.organization(name="Other")
    for one in (acme, other):
        async with at_work(one) as uow:
            await service.post(uow, invoice(one.id))
    async with raw(database, acme, ACROSS) as connection:
        strange = [journal(acme.id), entry(acme.id, 1, 5), entry(acme.id, 2, -5, of=other.id)]
        with pytest.raises(errors.CheckViolation):
            await committed(connection, strange)


@pytest.mark.parametrize("table", ["ledger_account", "ledger_journal", "ledger_entry"])
@pytest.mark.parametrize(
    "act", ["update {} set organization_id = organization_id", "delete from {}", "truncate {} cascade"]
)
async def test_what_is_written_stays(
    database: Database, owner_url: str, acme: Organization, table: str, act: str
) -> None:
    """Both roles lack the right, and who has every right is stopped by a trigger."""
    async with at_work(acme) as uow:
        await service.post(uow, invoice(acme.id))
    statement: Any = act.format(table)
    for role in (APPLICATION, ACROSS):
        async with raw(database, acme, role) as connection:
            with pytest.raises(errors.InsufficientPrivilege):
                await connection.execute(statement)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        with pytest.raises(errors.RestrictViolation):
            await owner.execute(statement)
    assert (await balances(acme))["receivable"] == 11_900


# -- earning


WHOLE = Money(36_500, "EUR")


def year(money: Money = WHOLE, *, line_id: str = "line_1", step: Step = Step.MONTH) -> Deferral:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Deferral(line_id, money, start, start.replace(year=2027), Measure.DAY, step)


async def test_revenue_is_earned_as_time_passes_once_whoever_asks_how_often(
    world: World, acme: Organization
) -> None:
    """Two at once, in small turns, over two lines; a year in one go or month by month is the same."""
    patient = await world.organization(name="Patient")
    for one in (acme, patient):
        async with at_work(one) as uow:
            await service.post(uow, invoice(one.id, net=36_500, at=datetime(2026, 1, 1, tzinfo=UTC)))
            await recognition.defer(uow, one.id, year())
            await recognition.defer(uow, one.id, year())
            await recognition.defer(uow, one.id, year(Money(-365, "EUR"), line_id="line_2", step=Step.DAY))
            with pytest.raises(JournalDiffers):
                await recognition.defer(uow, one.id, year(Money(1, "EUR")))

    async def earn(until: datetime) -> None:
        going = True
        while going:
            async with crossing(Reason.LEDGER, clock=FixedClock(until)) as uow:
                going = bool(await recognition.recognize(uow, until=until, most=1))

    await asyncio.gather(*(earn(datetime(2026, 4, 1, tzinfo=UTC)) for _ in range(2)))
    by_march = await balances(acme)
    # 90 of 365 days, in whole months, less what the credit took back.
    assert by_march["revenue"] == 90 * 100 - 90
    assert (await balances(acme, before=datetime(2026, 3, 1, tzinfo=UTC)))["revenue"] == 59 * 100 - 59
    await earn(datetime(2026, 12, 31, tzinfo=UTC))
    assert (await balances(acme))["revenue"] == 334 * 100 - 364
    over = FixedClock(datetime(2027, 1, 1, tzinfo=UTC))
    await asyncio.gather(*(recognition.recognize_all(clock=over) for _ in range(2)))
    assert await recognition.recognize_all(clock=over) == 0

    assert await balances(acme) == await balances(patient)
    assert (await balances(acme))["revenue"] == 36_500 - 365
    assert (await balances(acme))["deferred_revenue"] == 365
    await assert_invariants(but=MADE_BY_HAND)


async def test_a_clock_that_stands_is_not_overtaken_and_a_void_line_earns_nothing(
    world: World, acme: Organization
) -> None:
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "insert into test_clock (id, name, now_at, follows_wall, created_at)"
            " values ('clk_1', 'Frozen', :at, false, :at)",
            at=MARCH,
        )
        await uow.execute("update organization set test_clock_id = 'clk_1' where id = :id", id=acme.id)
    async with unit_of_work(system(acme.id)) as uow:
        await service.post(uow, invoice(acme.id, net=36_500))
        await recognition.defer(uow, acme.id, year())

    async with crossing(Reason.LEDGER) as uow:
        assert await recognition.recognize(uow, until=datetime(2027, 1, 1, tzinfo=UTC)) == 0
    async with unit_of_work(system(acme.id)) as uow:
        assert uow.now == MARCH
        assert await recognition.recognize(uow, until=uow.now) == 1
    assert (await balances(acme))["revenue"] == 59 * 100

    for _ in range(2):
        async with unit_of_work(system(acme.id)) as uow:
            await recognition.withdraw(uow, acme.id, "line_1")
    async with unit_of_work(system(acme.id)) as uow:
        assert await recognition.recognize(uow, until=datetime(2027, 1, 1, tzinfo=UTC)) == 0
    assert (await balances(acme))["revenue"] == 0
    assert (await balances(acme))["deferred_revenue"] == 36_500


# -- reading


def account(rows: list[queries.TrialBalanceRow], purpose: str) -> str:
    return next(row.account_id for row in rows if row.purpose == purpose and row.account_id)


async def test_balances_and_statements_are_read_from_an_index_alone(
    world: World, acme: Organization, owner_url: str
) -> None:
    start = MARCH - timedelta(days=40)
    for batch in range(4):
        drafts = [
            invoice(acme.id, key=f"{batch}:{n}", net=100 + n, at=start + timedelta(hours=n + 500 * batch))
            for n in range(500)
        ]
        async with at_work(acme) as uow:
            await service.post_all(uow, drafts)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute("vacuum analyze ledger_entry, ledger_account")

    async with at_work(acme) as uow:
        plans: list[str] = []
        execute = uow.execute

        async def explained(statement: Any, *given: Any, **named: Any) -> Any:
            rows = await execute(f"explain (costs off) {statement}", *given, **named)
            plans.append("\n".join(row[0] for row in rows))
            return await execute(statement, *given, **named)

        uow.execute = explained  # type: ignore[method-assign]
        found = await queries.trial_balance(uow, before=start + timedelta(days=3), currency="EUR")
        receivable = account(found, "receivable")
        await queries.statement(uow, receivable, limit=50)

    read = [line.strip() for plan in plans for line in plan.splitlines() if " on ledger_entry" in line]
    assert len(read) >= 3
    assert all("ix_ledger_entry_account_id" in line for line in read), plans
    assert all("Index Only Scan" in line for line in read[:2]), plans


async def test_a_statement_runs_from_balance_to_balance(acme: Organization) -> None:
    async with at_work(acme) as uow:
        for day in range(5):
            await service.post(uow, invoice(acme.id, key=f"{day}", net=100, at=MARCH + timedelta(days=day)))
        await service.post(
            uow,
            Draft(
                acme.id, "pay", JournalKind.PAYMENT, "pay_1",
                (debit(Purpose.CLEARING, Money(119, "EUR")), credit(Purpose.RECEIVABLE, Money(119, "EUR"))),
                at=MARCH + timedelta(days=5),
            ),
        )  # fmt: skip
    async with at_work(acme) as uow:
        found = await queries.trial_balance(uow)
        account_id = account(found, "receivable")
        first = await queries.statement(uow, account_id, limit=4)
        rest = await queries.statement(uow, account_id, limit=4, after=first.next)
        some = await queries.statement(
            uow, account_id, limit=4, start=MARCH + timedelta(days=1), before=MARCH + timedelta(days=3)
        )
        owed = await queries.statement(uow, account(found, "tax_owed"), limit=1)

    assert (first.opening_minor, first.closing_minor) == (0, 4 * 119)
    lines = [*first.lines, *rest.lines]
    assert [line.balance_minor for line in lines] == [476, 595, 476, 357, 238, 119]
    assert [line.credit_minor for line in lines] == [119, 0, 0, 0, 0, 0]
    assert rest.next is None
    assert (some.opening_minor, some.closing_minor, len(some.lines)) == (119, 357, 2)
    assert (owed.closing_minor, owed.lines[0].balance_minor) == (95, 95)  # in its own sense: what we owe


async def test_the_migration_goes_down_and_up_with_data_in_it(
    database: Database, acme: Organization, owner_url: str
) -> None:
    async with at_work(acme) as uow:
        await service.post(uow, invoice(acme.id))
    await database.close()

    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        command.downgrade(migrations.config(connection), "0002")
    with engine.connect() as connection:
        assert not [name for name in sa.inspect(connection).get_table_names() if name.startswith("ledger")]
    migrations.migrate(owner_url)
    with engine.connect() as connection:
        assert "ledger_entry" in sa.inspect(connection).get_table_names()
