"""The version before works beside the newest shape: what it reads is there, and what it writes is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from models.billing import LegalEntity
from services.billing import entities, finalizing, invoices, policies
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.core.errors import Unavailable
from services.core.migrations import LEAVING
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.papers import templates
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import GERMAN, Shop, line, open_shop
from tests.tools.version_before import before
from tests.world import World

# Where the newest shape is narrower, by `table.column`, and why nobody is hurt. They go with the migration that made
# them once tests/tools/version_before.py has written down what the next version is to work beside.
FILLED = {"invoice.brand_id", "template_version.brand_id"}  # by a trigger that is called `beside`
REFUSED = {"bank_line.provider_account_id"}  # docs/operations.md says so
MAY_BE_NULL = {
    "legal_entity.brand": "until the brand that comes in the same work names it",
    "provider_account.secrets": "of banks, which are not enabled for the version before",
}
KEYS_GONE = {
    ("crypto_movement", "booked_id", "kind"): "a payment that is gone waits for a worker of this version",
    ("template_version", "legal_entity_id", "brand", "number"): "the same by brand_id; no statement names it",
}

_COLUMNS = """
select c.table_name, c.column_name, c.is_nullable = 'YES', c.column_default is not null or c.is_identity = 'YES'
from information_schema.columns c where c.table_schema = 'public'
"""
_KEYS = """
select t.relname, array_agg(a.attname order by k.place) from pg_index i join pg_class t on t.oid = i.indrelid
cross join lateral unnest(i.indkey) with ordinality k (number, place)
join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
where i.indisunique and i.indpred is null group by t.relname, i.indexrelid
"""


@pytest.fixture
def columns(owner_url: str) -> dict[str, dict[str, tuple[bool, bool]]]:
    """By table and name: whether it may be null, and whether it has a default."""
    found: dict[str, dict[str, tuple[bool, bool]]] = {}
    for table, name, is_nullable, has_default in _all(owner_url, _COLUMNS):
        found.setdefault(table, {})[name] = (is_nullable, has_default)
    return found


def _all(url: str, statement: str) -> list[Any]:
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_all_that_it_reads_is_there(columns: dict[str, Any], owner_url: str) -> None:
    missing = {
        f"{table}.{name}"
        for table, known in before().items()
        for name in known.columns
        if name not in columns.get(table, {})
    }
    emptied = {
        f"{table}.{name}"
        for table, known in before().items()
        for name, may_be_null in known.columns.items()
        if not may_be_null and columns[table][name][0]
    }
    there = {(table, *sorted(names)) for table, names in _all(owner_url, _KEYS)}
    gone = {
        (table, *key)
        for table, known in before().items()
        for key in known.keys
        if (table, *sorted(key)) not in there
    }

    assert missing == set()
    assert emptied == set(MAY_BE_NULL)
    assert gone == set(KEYS_GONE)


def test_it_need_not_say_what_it_does_not_know(columns: dict[str, Any], owner_url: str) -> None:
    wanted = {
        f"{table}.{name}"
        for table, known in before().items()
        for name, (may_be_null, has_default) in columns[table].items()
        if name not in known.columns and not may_be_null and not has_default
    }
    triggers = "select tgrelid::regclass::text from pg_trigger where tgname = 'beside'"
    beside = {table for (table,) in _all(owner_url, triggers)}

    assert wanted == FILLED | REFUSED
    assert {name.partition(".")[0] for name in wanted} <= beside


def test_what_goes_with_the_next_migration_is_what_it_alone_knows(columns: dict[str, Any]) -> None:
    left = {(table, name) for table, name in LEAVING if not name.startswith(("uq_", "ix_"))}

    assert all(name in before()[table].columns and name in columns[table] for table, name in left)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(
        world,
        invoice_pattern="{entity}-{brand}-{year}-{seq:6}",
        note_pattern="{entity}-{brand}-C{year}-{seq:6}",
    )


def staff() -> Any:
    return crossing(Reason.STAFF, actor=system())


async def as_before(uow: UnitOfWork, table: str, row_id: str, **told: Any) -> None:
    """Insert what the version before would: a row like another one, of the columns that it knows."""
    names = before()[table].columns
    values = ", ".join(f":{name}" if name in told else name for name in names)
    await uow.execute(
        f"insert into {table} ({', '.join(names)}) select {values} from {table} where id = :like",
        like=row_id,
        **told,
    )


async def brands_of(entity_id: str) -> dict[str, Any]:
    """Name of each, and whether it is the default one, by code."""
    async with staff() as uow:
        found = await uow.execute(
            "select code, name, is_default from brand where legal_entity_id = :id", id=entity_id
        )
        return {row.code: (row.name, row.is_default) for row in found}


async def test_an_entity_of_it_has_a_brand_and_keeps_it_in_step(shop: Shop) -> None:
    entity_id = shop.entity.id[:-4] + "0000"
    async with staff() as uow:
        await as_before(
            uow, "legal_entity", shop.entity.id, id=entity_id, code="FR1", brand="FR", is_usual=False
        )
    assert await brands_of(entity_id) == {"FR": ("Matrix GmbH", True)}

    async with staff() as uow:
        await uow.execute(
            "update legal_entity set brand = 'NEW', name = 'Other' where id = :id", id=entity_id
        )

    assert await brands_of(entity_id) == {"FR": ("Other", False), "NEW": ("Other", True)}
    async with staff() as uow:
        entity = await policies.entity_for(uow, entity_id, Capability.STAFF_INVOICES_READ)
        assert (await policies.default_brand(uow, entity, Capability.STAFF_INVOICES_READ)).code == "NEW"


async def test_it_reads_of_an_entity_what_its_default_brand_says(shop: Shop) -> None:
    async with staff() as uow:
        made: LegalEntity = await entities.add_entity(uow, replace(GERMAN, code="DE9", is_usual=False))
    async with staff() as uow:
        found = await uow.execute("select brand from legal_entity where id = :id", id=made.id)

    assert [found.scalar_one()] == list(await brands_of(made.id))


async def test_a_draft_of_it_is_numbered_on_without_a_gap(shop: Shop) -> None:
    first = await shop.invoice(line("10"))
    like = await shop.draft(line("20"))
    draft_id = like.id[:-4] + "0000"
    async with shop.work() as uow:
        empty = dict.fromkeys(("lines", "net_minor", "tax_minor", "total_minor"), 0)
        await as_before(uow, "invoice", like.id, id=draft_id, key="before", next_position=1, **empty)
        found = await uow.execute("select brand_id from invoice where id = :id", id=draft_id)
        assert found.scalar_one() == first.brand_id
    async with shop.work() as uow:
        await invoices.add_lines(uow, draft_id, [line("30")])
        then = await finalizing.finalize(uow, draft_id)

    assert [one.number for one in (first, then)] == ["DE1-MX-2026-000001", "DE1-MX-2026-000002"]
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


async def test_a_template_of_it_is_of_the_brand_that_it_names(shop: Shop) -> None:
    async with staff() as uow:
        made = await templates.begin(uow, legal_entity_id=shop.entity.id)
        await templates.publish(uow, made.id)
    draft_id = made.id[:-4] + "0000"
    async with staff() as uow:
        draft = {"id": draft_id, "number": 2, "state": "draft", "published_at": None}
        await as_before(uow, "template_version", made.id, **draft)

    async with staff() as uow:
        found = await uow.execute("select brand, brand_id from template_version order by number")
        assert [tuple(row) for row in found] == [("MX", made.brand_id)] * 2
        assert (await templates.begin(uow, legal_entity_id=shop.entity.id)).id == draft_id


async def test_a_number_that_it_asked_about_is_asked_about_again(shop: Shop) -> None:
    """It asks about those that are due, finds them valid as they were, and plans nothing."""
    said = '{"state": "valid", "source": "VIES", "checked_at": "2025-01-01T00:00:00+00:00"}'
    async with shop.work() as uow:
        for number in (said, said.replace("valid", "invalid")):
            await uow.execute(
                "update billing_profile set number_check_at = null, tax_number = cast(:number as jsonb)"
                " where organization_id = :id", id=shop.customer.id, number=number
            )  # fmt: skip
            found = await uow.execute("select number_check_at > now() from billing_profile")
            assert found.scalar_one() is (True if number is said else None)


async def test_it_imports_no_statement_and_says_so(shop: Shop) -> None:
    """By the very statements that it imports with."""
    with pytest.raises(Unavailable, match="takes no changes"):
        await _import()

    async with staff() as uow:
        assert (await uow.execute("select count(*) from bank_statement")).scalar_one() == 0


async def _import() -> None:
    async with staff() as uow:
        await uow.execute(
            "insert into bank_statement (id, name, format, sha256, lines, new_lines, imported_by, imported_at)"
            " values ('bst_1', 'one', 'csv', 'x', 1, 0, 'acc_1', :now)",
            now=uow.wall_now,
        )
        await uow.execute(
            "insert into bank_line (id, statement_id, account, bank_ref, booked_on, currency, minor, counterparty,"
            " remittance, match) values ('bln_1', 'bst_1', 'DE02', 'R1', '2026-03-10', 'EUR', 1, '', '', 'waiting')"
            " on conflict (account, bank_ref) do nothing"
        )
