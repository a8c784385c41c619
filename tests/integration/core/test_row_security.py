"""Row-level security, proven by the application's own role on a row of two tenants in every tenant table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from models.base import Table
from models.billing import (
    BillingProfile,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
)
from models.budgets import Budget, BudgetHold, BudgetSpending
from models.crypto import CryptoMovement, CryptoRequest, CryptoTransfer
from models.customer_credits import CreditUse, CustomerCredit
from models.disputes import Contest, Dispute, DisputeFile
from models.dunning import DunningBlock, DunningCase, DunningHold, DunningStep, InvoiceCollection
from models.events import Event, IdempotencyRecord
from models.gateway import ApiKey, GatewayRequest
from models.identity import Account, Invitation, Membership, Organization, Project, ServiceAccount
from models.ledger import LedgerAccount, LedgerDeferral, LedgerEntry, LedgerJournal
from models.metering import Meter, UsageDay, UsageDelta, UsageEvent, UsageHour, UsageMinute
from models.method_setups import MethodSetup
from models.payment_links import PaymentLink
from models.payments import Payment, PaymentMethod, ProviderCustomer
from models.refunds import Refund
from models.subscriptions import CouponRedemption, CouponUse, Subscription, SubscriptionItem
from models.tasks import StoredFile, Task
from models.wallets import Wallet, WalletDebit, WalletDebitPart, WalletHold, WalletLot, WalletTopUp
from services.core import runtime
from services.core.crossing import Reason, crossing
from services.core.database import APPLICATION_ROLE, CROSSING_ROLE, Database, libpq_url
from services.core.ids import new_id
from tests.papers import (
    accepted,
    account,
    brand,
    campaign,
    entity,
    paid,
    papers,
    reminded,
    sold,
    subscribed,
    terms,
)
from tests.world import LONG_AGO, World

runtime.know_all_tables()

REFUSED = None
BOOK = (LedgerAccount, LedgerJournal)  # what an entry belongs to
PAPERS = (
    Invoice,
    InvoiceLine,
    CreditNote,
    CreditNoteLine,
    CustomerCredit,
    CreditUse,
    Subscription,
    SubscriptionItem,
    CouponRedemption,
    CouponUse,
)  # each to those before it
DUNNING = (*PAPERS, DunningCase, DunningStep, DunningBlock, InvoiceCollection, DunningHold)
PAYMENTS = (
    *PAPERS,
    PaymentMethod,
    MethodSetup,
    PaymentLink,
    Payment,
    Refund,
    Dispute,
    StoredFile,
    DisputeFile,
    Contest,
    CryptoRequest,
    CryptoMovement,
    CryptoTransfer,
)
BUDGETS = (Budget, BudgetSpending, BudgetHold)
WALLETS = (Wallet, WalletLot, WalletDebit, WalletDebitPart, WalletTopUp, WalletHold)  # as with papers
SOON_AFTER = LONG_AGO + timedelta(days=1)


def _tables(base: type[Table]) -> Iterator[type[Table]]:
    for kind in base.__subclasses__():
        yield from (kind, *_tables(kind))


# By what a row is known to be a tenant's. People have no such column: they are seen through their memberships.
OWNER_COLUMN: dict[type[Table], sa.Column[Any]] = {
    model: SQLModel.metadata.tables[model.__tablename__].c[model.tenant_column]
    for model in _tables(Table)
    if model.tenant_column is not None
} | {Account: SQLModel.metadata.tables["account"].c["id"]}


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation and its one member."""

    organization: Organization
    account: Account

    def owner_of(self, model: type[Table]) -> str:
        """What the owner column of `model` holds in this tenant's rows."""
        return self.account.id if model is Account else self.organization.id


@dataclass(frozen=True, slots=True)
class Tenants:
    ours: Tenant
    theirs: Tenant


def rows_of(tenant: Tenant) -> list[Table]:
    """A row with a fresh key of every tenant table, besides the organisation and the person themselves."""
    own: Any = {"organization_id": tenant.organization.id}
    made: Any = {**own, "created_at": LONG_AGO}
    sums: Any = {
        **own, "meter_id": new_id("mtr"), "bucket": LONG_AGO, "model": "", "key_id": "", "events": 1,
        "quantity": Decimal(1), "cost": Decimal(1),
    }  # fmt: skip
    secret, key = new_id("apikey").encode(), new_id("req")
    booked: Any = {**own, "happened_at": LONG_AGO}
    return [
        Membership(id=new_id("mem"), account_id=tenant.account.id, role="viewer", **made),
        accepted(tenant.organization.id, f"trms_{tenant.organization.id}", tenant.account.id),
        ApiKey(id=new_id("apikey"), name="k", prefix="mx-k", secret_hash=secret, **made),
        Meter(id=new_id("mtr"), slug=new_id("mtr"), name="m", event_type="t", aggregation="count", **made),
        GatewayRequest(id=key, model="m", endpoint="chat", status=200, started_at=LONG_AGO, **own),
        UsageEvent(
            source="s", event_id=key, type="t", time=LONG_AGO, received_at=LONG_AGO, content_hash=b"h", **own
        ),
        UsageDelta(**sums),
        UsageMinute(**sums),
        UsageHour(**sums),
        UsageDay(**sums),
        Event(type="t", aggregate_id="a", happened_at=LONG_AGO, recorded_at=LONG_AGO, **own),
        IdempotencyRecord(key=key, fingerprint=b"f", status=200, body=b"", expires_at=LONG_AGO, **made),
        Invitation(
            id=key, email="a@b.example", email_key=key, role="viewer", token_hash=secret,
            invited_by=tenant.account.id, expires_at=LONG_AGO, **made,
        ),
        ServiceAccount(id=new_id("svc"), name="s", name_key=key, role="viewer", **made),
        Project(id=new_id("proj"), name="p", name_key=key, **made),
        StoredFile(
            id=(file := new_id("file")), purpose="p", name="n", content_type="t", size_bytes=1, sha256=b"h", **made
        ),
        Task(id=new_id("task"), asked_by=tenant.account.id, kind="k", dedupe_key=key, due_at=LONG_AGO, **made),
        LedgerAccount(id=f"lacc_{key}", currency="USD", purpose=key, kind="asset", **made),
        LedgerJournal(
            id=key, key=key, content_hash=b"h", kind="payment", cause_id="c", entries=2, recorded_at=LONG_AGO, **booked
        ),
        LedgerEntry(
            journal_id=key, line=1, account_id=f"lacc_{key}", currency="USD", minor=1, **booked
        ),
        LedgerEntry(
            journal_id=key, line=2, account_id=f"lacc_{key}", currency="USD", minor=-1, **booked
        ),
        LedgerDeferral(
            line_id=key, currency="USD", minor=1, starts_at=LONG_AGO, ends_at=SOON_AFTER, measure="day", step="day",
            timezone="UTC", **made,
        ),
        *papers(tenant.organization.id, _entity_of(tenant), ids={"inv": (invoice := new_id("inv"))}),
        *subscribed(tenant.organization.id, _sold_of(tenant) | {"inv": invoice}),
        *paid(
            tenant.organization.id,
            f"pacc_{tenant.organization.id}",
            {"inv": invoice, "dsp": new_id("dsp"), "file": file},
        ),
        *reminded(tenant.organization.id, f"dcmp_{tenant.organization.id}", invoice),
        *wallet_rows(made),
        *budget_rows(made),
    ]  # fmt: skip


def _sold_of(tenant: Tenant) -> dict[str, str]:
    return {
        prefix: f"{prefix}_{tenant.organization.id}" for prefix in ("prod", "plan", "plnv", "pchg", "cpn")
    }


def budget_rows(made: Any) -> list[Table]:
    budget = new_id("bud")
    own: Any = {"organization_id": made["organization_id"], "budget_id": budget, "starts_at": LONG_AGO}
    return [
        Budget(
            id=budget, name="b", measure="cost", period="day", limit_amount=Decimal(1), action="stop",
            thresholds=[100], **made,
        ),
        BudgetSpending(ends_at=SOON_AFTER, **own),
        BudgetHold(holder="p", amount=Decimal("0.03"), changed_at=LONG_AGO, **own),
    ]  # fmt: skip


def wallet_rows(made: Any) -> list[Table]:
    """A wallet in a currency of its own, with a lot of five, a debit of two and three cents held."""
    wallet, lot, debit = new_id("wal"), new_id("lot"), new_id("wdeb")
    own: Any = {**made, "wallet_id": wallet}
    held: Any = {"organization_id": made["organization_id"], "wallet_id": wallet, "changed_at": LONG_AGO}
    return [
        Wallet(id=wallet, currency=wallet, minor_per_major=100, **made),
        WalletLot(id=lot, key=lot, source="grant", priority=1, minor=5, left_minor=5, journal_id="j", **own),
        WalletDebit(id=debit, kind="invoice", cause_id="c", minor=2, journal_id="j", **own),
        WalletDebitPart(debit_id=debit, lot_id=lot, organization_id=made["organization_id"], minor=2),
        WalletTopUp(id=new_id("wtop"), minor=5, state="due", month=LONG_AGO.date(), **own),
        WalletHold(holder="p", amount=Decimal("0.03"), **held),
    ]


def _entity_of(tenant: Tenant) -> str:
    return f"ent_{tenant.organization.id}"


@pytest.fixture
async def tenants(database: Database, world: World) -> Tenants:
    async def tenant(name: str) -> Tenant:
        made = Tenant(await world.organization(name=name), await world.account())
        async with crossing(Reason.DEMO) as uow:
            house = (
                entity(_entity_of(made), name.upper()),
                brand(_entity_of(made)),
                account(f"pacc_{made.organization.id}", name),
                campaign(f"dcmp_{made.organization.id}", name),
                terms(f"trms_{made.organization.id}", len(name)),
                *sold(_sold_of(made)),
            )
            for row in (*house, *rows_of(made)):
                uow.add(row)
                await uow.session.flush()
        return made

    return Tenants(ours=await tenant("Ours"), theirs=await tenant("Theirs"))


@asynccontextmanager
async def acting_for(database: Database, tenant: Tenant) -> AsyncIterator[AsyncConnection]:
    """The application at work for one organisation; nothing is kept."""
    async with database.engine.connect() as connection:
        scope = sa.text("select set_config('matrix.scope', :scope, true)")
        await connection.execute(scope, {"scope": tenant.organization.id})
        yield connection


async def attempt(
    connection: AsyncConnection, statement: sa.Executable, *, after: Sequence[sa.Executable] = ()
) -> int | None:
    """How many rows it changed, or REFUSED. Undone in either case, with what had to be there first."""
    savepoint = await connection.begin_nested()
    try:
        for before in after:
            await connection.execute(before)
        done = await connection.execute(statement, execution_options={"preserve_rowcount": True})
        return done.rowcount
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise
        return REFUSED
    finally:
        await savepoint.rollback()


def insertion(row: Table) -> sa.Executable:
    given = {name: value for name, value in row.model_dump().items() if value is not None}
    return sa.insert(SQLModel.metadata.tables[type(row).__tablename__]).values(given)


async def tables_the_application_may(connection: AsyncConnection, right: str) -> set[str]:
    rows = await connection.execute(
        sa.text(
            "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"
            " and has_table_privilege(oid, :right)"
        ),
        {"right": right},
    )
    return set(rows.scalars())


async def _connect(database: Database) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(libpq_url(database.url))


async def _tenant_tables(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> list[str]:
    """Every table that has a tenant column, whether or not anybody remembered to secure it."""
    rows = await connection.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind in ('r', 'p') and not c.relispartition and a.attname = 'organization_id'"
        " and c.relname not in ('session', 'notification') order by 1"
    )
    return [str(name) for (name,) in await rows.fetchall()]


async def test_every_tenant_table_is_under_forced_policies(database: Database) -> None:
    async with await _connect(database) as connection:
        tables = [*await _tenant_tables(connection), "organization", "account"]
        rows = await connection.execute(
            "select relname from pg_class where relname = any(%s) and relrowsecurity and relforcerowsecurity",
            (tables,),
        )

        assert {name for (name,) in await rows.fetchall()} == set(tables)
        assert len(tables) > 10


async def test_the_application_role_is_bound(database: Database) -> None:
    async with await _connect(database) as connection:
        row = await (
            await connection.execute(
                "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
            )
        ).fetchone()
        owned = await (
            await connection.execute("select count(*) from pg_tables where tableowner = current_user")
        ).fetchone()

        assert row == (False, False)
        assert owned == (0,)


@pytest.mark.parametrize("setting", [None, "", "org_nobody"])
async def test_without_a_scope_there_are_no_rows(
    database: Database, tenants: Tenants, setting: str | None
) -> None:
    async with await _connect(database) as connection:
        if setting is not None:
            await connection.execute("select set_config('matrix.scope', %s, true)", (setting,))
        for table in [*await _tenant_tables(connection), "organization", "account"]:
            count = await (await connection.execute(sql_count(table))).fetchone()
            assert count == (0,), table


async def test_every_tenant_table_has_a_row_in_these_tests(tenants: Tenants) -> None:
    covered = {type(row) for row in rows_of(tenants.ours)} | {Organization, Account}

    assert set(OWNER_COLUMN) - covered == set(), "Add a row of the new table to rows_of()."


async def test_a_scope_shows_its_own_rows_and_no_others(database: Database, tenants: Tenants) -> None:
    async with acting_for(database, tenants.ours) as connection:
        for model, column in OWNER_COLUMN.items():
            owners = await connection.execute(sa.select(column))

            assert set(owners.scalars()) == {tenants.ours.owner_of(model)}, model.__tablename__


async def test_a_row_cannot_be_written_into_another_tenant(
    database: Database, world: World, tenants: Tenants
) -> None:
    new_person = await world.account()  # one cannot belong to an organisation twice
    async with acting_for(database, tenants.ours) as connection:
        may_insert = await tables_the_application_may(connection, "insert")
        ours = rows_of(replace(tenants.ours, account=new_person))
        for row in ours:
            allowed = type(row).__tablename__ in may_insert
            if isinstance(row, (BillingProfile, ProviderCustomer)):
                continue  # an organisation has one, and it is there: theirs is tried below
            needed = (
                BOOK
                if isinstance(row, LedgerEntry)
                else next(
                    (kin for kin in (PAPERS, PAYMENTS, DUNNING, WALLETS, BUDGETS) if isinstance(row, kin)), ()
                )
            )
            after = [insertion(other) for other in ours[: ours.index(row)] if isinstance(other, needed)]
            assert await attempt(connection, insertion(row), after=after) == (1 if allowed else REFUSED), row

        for row in [new_person, *rows_of(replace(tenants.theirs, account=new_person))]:
            assert await attempt(connection, insertion(row)) is REFUSED, row


async def test_rows_of_another_tenant_can_be_neither_changed_nor_moved_nor_deleted(
    database: Database, tenants: Tenants
) -> None:
    async with acting_for(database, tenants.ours) as connection:
        may_update = await tables_the_application_may(connection, "update")
        may_delete = await tables_the_application_may(connection, "delete")
        for model, column in OWNER_COLUMN.items():
            table, ours, theirs = column.table, tenants.ours.owner_of(model), tenants.theirs.owner_of(model)
            change = sa.update(table).values({column.name: column})
            own_only = 1 if table.name in may_update else REFUSED
            none = 0 if table.name in may_update else REFUSED
            assert await attempt(connection, change) == own_only, table.name
            assert await attempt(connection, change.where(column == theirs)) == none, table.name
            take = sa.update(table).values({column.name: ours}).where(column == theirs)
            assert await attempt(connection, take) == none, table.name
            give = sa.update(table).values({column.name: theirs}).where(column == ours)
            assert await attempt(connection, give) is REFUSED, table.name

            delete = sa.delete(table)
            own_only = 1 if table.name in may_delete else REFUSED
            none = 0 if table.name in may_delete else REFUSED
            assert await attempt(connection, delete) == own_only, table.name
            assert await attempt(connection, delete.where(column == theirs)) == none, table.name


async def test_what_belongs_to_everybody_is_seen_and_not_changed(
    database: Database, tenants: Tenants
) -> None:
    shared: Any = {"name": "m", "event_type": "t", "aggregation": "count", "created_at": LONG_AGO}
    async with crossing(Reason.DEMO) as uow:
        uow.add(Meter(id=new_id("mtr"), slug="requests", **shared))
    meter = SQLModel.metadata.tables["meter"]
    of_all = meter.c.organization_id.is_(None)
    async with acting_for(database, tenants.ours) as connection:
        seen = await connection.execute(sa.select(meter.c.slug).where(of_all))
        assert seen.scalars().all() == ["requests"]

        assert await attempt(connection, insertion(Meter(id=new_id("mtr"), slug="x", **shared))) is REFUSED
        for change in ({"name": "x"}, {"organization_id": tenants.ours.organization.id}):
            assert await attempt(connection, sa.update(meter).values(change).where(of_all)) in (0, REFUSED)
        assert await attempt(connection, sa.delete(meter).where(of_all)) is REFUSED


async def test_nobody_has_rights_on_a_partition(database: Database) -> None:
    """Asked directly, a partition ignores the policy of its table."""
    partitioned = {
        table.name
        for table in SQLModel.metadata.tables.values()
        if table.dialect_kwargs.get("postgresql_partition_by")
    }
    async with await _connect(database) as connection:
        partitions = await (
            await connection.execute(_PARTITIONS, ([APPLICATION_ROLE, CROSSING_ROLE],))
        ).fetchall()

    assert {table for table, *_ in partitions} == partitioned
    assert [row for row in partitions if row[-1]] == []


_PARTITIONS = """
select i.inhparent::regclass::text, p.relname, r.rolname,
  has_table_privilege(r.rolname, p.oid, 'select, insert, update, delete, truncate, references, trigger')
    or has_any_column_privilege(r.rolname, p.oid, 'select, insert, update, references')
from pg_class p join pg_inherits i on i.inhrelid = p.oid, pg_roles r
where p.relispartition and p.relkind = 'r' and r.rolname = any(%s)
"""


async def test_the_scope_ends_with_its_transaction(database: Database, world: World) -> None:
    ours = await world.organization()

    async with await _connect(database) as connection:
        await connection.execute("select set_config('matrix.scope', %s, true)", (ours.id,))
        await connection.commit()
        count = await (await connection.execute("select count(*) from organization")).fetchone()

        assert count == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from usage_event_p0",  # a partition asked directly would ignore its parent's policy
        "select * from session",
        "select * from upstream",
        "update event set type = 'changed'",
        "delete from event",
        "delete from usage_event",
        "alter table organization disable row level security",
    ],
)
async def test_what_the_application_role_may_not_even_try(database: Database, statement: str) -> None:
    async with await _connect(database) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement", ["update event set type = 'changed'", "delete from event", "delete from usage_event"]
)
async def test_logs_cannot_be_changed_even_across_tenants(database: Database, statement: str) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(sa.text("set local role matrix_crossing"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(sa.text(statement))


def sql_count(table: str) -> sql.Composed:
    return sql.SQL("select count(*) from {}").format(sql.Identifier(table))
