"""Several brands of one legal entity: who is billed under which, with which numbers, and what stays on documents."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from alembic import command
from models.brands import Brand
from services.billing import brands, entities, finalizing, invoices, profiles
from services.billing.brand_queries import BRANDS, BrandRow
from services.billing.brands import BrandInUse, BrandIsArchived
from services.billing.invoices import KeyMeansOther
from services.billing.series import SERIES, SeriesRow, next_numbers
from services.core import listing_sql, migrations
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Conflict, Invalid, NotFound, StaleVersion
from services.papers import templates
from services.papers.designs import Design
from tests.integration.billing.shop import BUYER, GERMAN, Shop, line, open_shop
from tests.world import World

BY_BRAND: Any = {
    "invoice_pattern": "{entity}-{brand}-{year}-{seq:6}",
    "note_pattern": "{entity}-{brand}-C{year}-{seq:6}",
}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, **BY_BRAND)


def staff() -> Any:
    return crossing(Reason.STAFF, actor=system())


async def add(shop: Shop, code: str, name: str = "Blue") -> Brand:
    async with staff() as uow:
        return await brands.add_brand(uow, shop.entity.id, code=code, name=name)


async def billed_under(shop: Shop, brand: Brand | None) -> None:
    async with shop.work() as uow:
        await profiles.set_brand(uow, brand and brand.id)


async def report() -> list[SeriesRow]:
    async with staff() as uow:
        return await listing_sql.select(uow, SERIES)


async def test_a_customer_is_billed_under_the_brand_of_its_profile_and_documents_keep_it(shop: Shop) -> None:
    first = await shop.invoice(line("10"))
    blue = await add(shop, "BLUE")
    await billed_under(shop, blue)

    second, third = [await shop.invoice(line("20")) for _ in range(2)]
    note = await shop.credit(second, 100)
    await billed_under(shop, None)
    fourth = await shop.invoice(line("30"))

    assert [one.number for one in (first, second, third, fourth)] == [
        "DE1-MX-2026-000001",
        "DE1-BLUE-2026-000001",
        "DE1-BLUE-2026-000002",
        "DE1-MX-2026-000002",
    ]
    assert note.number == "DE1-BLUE-C2026-000001"
    async with staff() as uow:
        await brands.rename_brand(uow, blue.id, name="Blue Cloud", version=1)
        await brands.archive_brand(uow, blue.id)
    kept = await shop.read(second)
    assert (kept.brand_id, (kept.seller or {})["brand"]) == (blue.id, {"code": "BLUE", "name": "Blue"})
    assert (await shop.credit(third)).number == "DE1-BLUE-C2026-000002"  # also of one that is put aside
    assert all(one.has_no_gap for one in await report())


async def test_without_the_brand_in_the_pattern_all_brands_count_in_one_series(world: World) -> None:
    shop = await open_shop(world)
    blue = await add(shop, "BLUE")

    first = await shop.invoice(line("10"))
    await billed_under(shop, blue)
    second = await shop.invoice(line("10"))

    assert [first.number, second.number] == ["DE1-2026-000001", "DE1-2026-000002"]
    assert [(one.brand, one.last, one.has_no_gap) for one in await report()] == [("", 2, True)]


async def test_sixteen_who_finalise_under_two_brands_leave_no_gap_in_either_series(shop: Shop) -> None:
    """Every third fails after its number was drawn."""
    blue = await add(shop, "BLUE")
    drafts: list[Any] = []
    for place in range(16):
        async with shop.work() as uow:
            made = await invoices.create_draft(
                uow, key=f"draft-{place}", currency="EUR", brand_id=blue.id if place % 2 else None
            )
            await invoices.add_lines(uow, made.id, [line("1")])
        drafts.append(made)

    async def finaliser(place: int) -> str | None:
        try:
            async with shop.work() as uow:
                made = await finalizing.finalize(uow, drafts[place].id)
                if place % 3 == 0:
                    raise Conflict("Struck by lightning.")
                return made.number
        except Conflict:
            return None

    numbers = [one for one in await asyncio.gather(*map(finaliser, range(16))) if one]
    notes = await asyncio.gather(*(shop.credit(one, 1) for one in drafts if drafts.index(one) % 3))

    expected = [f"DE1-{code}-2026-{n:06}" for code in ("BLUE", "MX") for n in range(1, 6)]
    assert sorted(numbers) == expected
    assert sorted(note.number for note in notes) == [one.replace("-2026", "-C2026") for one in expected]
    assert sorted(
        (one.series, one.brand, one.last, one.issued, one.has_no_gap) for one in await report()
    ) == [(series, code, 5, 5, True) for series in ("credit_note", "invoice") for code in ("BLUE", "MX")]


async def test_documents_look_as_the_template_of_their_brand_says(shop: Shop) -> None:
    blue = await add(shop, "BLUE")
    made = await shop.draft(line("1"))
    async with staff() as uow:
        draft = await templates.begin(uow, brand_id=blue.id)
        await templates.change(uow, draft.id, Design(accent="#0000ff"), version=1)
        await templates.publish(uow, draft.id)
        usual = await templates.begin(uow, legal_entity_id=shop.entity.id)
        assert (usual.number, usual.brand_id) == (1, made.brand_id)
        looks = [await templates.in_force(uow, one) for one in (blue.id, usual.brand_id)]
    assert [(one.design.accent, one.template_id) for one in looks] == [
        ("#0000ff", draft.id),
        (Design().accent, None),
    ]


async def test_one_brand_is_the_default_at_any_moment(shop: Shop) -> None:
    blue, green = await add(shop, "BLUE"), await add(shop, "GREEN")

    async def choose(brand: Any) -> None:
        async with staff() as uow:
            await brands.make_default(uow, brand.id)

    await asyncio.gather(choose(blue), choose(green), choose(blue), choose(green))

    (chosen,) = await defaults()
    await choose(chosen)  # again changes nothing
    assert await defaults() == [chosen]
    assert (await shop.draft(line("1"))).brand_id == chosen.id


async def defaults() -> list[BrandRow]:
    async with staff() as uow:
        return await listing_sql.select(uow, BRANDS, ("is_default", "true"))


@pytest.mark.parametrize(
    ("code", "name", "error"),
    [
        ("BLUE", "Again", Conflict), ("MX", "The first one's", Conflict), ("blue", "Small", Invalid),
        ("B-1", "A sign", Invalid), ("Ü", "No ASCII", Invalid), ("", "Nothing", Invalid), ("B\n", "Line", Invalid),
        ("ELEVENCHARS", "Long", Invalid), ("GREEN", " ", Invalid), ("GREEN", "x" * 301, Invalid),
        ("GREEN", "a\x07b", Invalid),
    ],
)  # fmt: skip
async def test_what_is_no_brand_is_refused(shop: Shop, code: str, name: str, error: type[Exception]) -> None:
    await add(shop, "BLUE")
    with pytest.raises(error):
        await add(shop, code, name)
    async with staff() as uow:
        with pytest.raises(NotFound):
            await brands.add_brand(uow, "ent_x", code="GREEN", name="Green")
        assert [one.code for one in await listing_sql.select(uow, BRANDS)] == ["MX", "BLUE"]


async def test_a_brand_of_another_entity_is_refused_and_one_that_is_named_says_whose_it_is(
    shop: Shop,
) -> None:
    async with staff() as uow:
        other = await entities.add_entity(uow, replace(GERMAN, code="DE2", **BY_BRAND), brand="BLUE")
        (of_other,) = await listing_sql.select(uow, BRANDS, ("legal_entity_id", other.id))
    blue = await add(shop, "BLUE")  # the same code elsewhere is another brand

    for act in (profile, draft):
        with pytest.raises(Invalid, match="another legal entity"):
            await act(shop, legal_entity_id=shop.entity.id, brand_id=of_other.id)
        with pytest.raises(NotFound):
            await act(shop, brand_id="brnd_x")
    assert (await draft(shop, brand_id=of_other.id)).legal_entity_id == other.id
    assert (await draft(shop, brand_id=of_other.id)).brand_id == of_other.id
    with pytest.raises(KeyMeansOther):
        await draft(shop, brand_id=blue.id)


async def profile(shop: Shop, **given: str) -> Any:
    async with shop.work() as uow:
        return await profiles.set_profile(uow, replace(BUYER, **given))


async def draft(shop: Shop, **given: Any) -> Any:
    async with shop.work() as uow:
        return await invoices.create_draft(uow, key="one", **given)


async def test_a_brand_that_bills_somebody_stays_and_an_archived_one_bills_nobody_new(shop: Shop) -> None:
    blue = await add(shop, "BLUE")
    await profile(shop, brand_id=blue.id)
    begun = await shop.draft(line("1"))
    for one in (blue, *await defaults()):
        with pytest.raises(BrandInUse):
            await put_aside(one)
    await profile(shop, legal_entity_id=shop.entity.id)

    await put_aside(blue)
    await put_aside(blue)

    for act in (profile, draft):
        with pytest.raises(BrandIsArchived):
            await act(shop, brand_id=blue.id)
    async with staff() as uow:
        for refused in (brands.make_default(uow, blue.id), templates.begin(uow, brand_id=blue.id)):
            with pytest.raises(BrandIsArchived):
                await refused
    with pytest.raises(Conflict):
        await add(shop, "BLUE")  # numbers have it
    assert (
        await shop.finalize(begun)
    ).number == "DE1-BLUE-2026-000001"  # what was begun under it ends under it
    async with staff() as uow:
        assert (await brands.restore_brand(uow, blue.id)).archived_at is None
        with pytest.raises(StaleVersion):
            await brands.rename_brand(uow, blue.id, name="Other", version=1)


async def put_aside(brand: Any) -> None:
    async with staff() as uow:
        await brands.archive_brand(uow, brand.id)


async def test_a_customer_is_never_left_with_a_brand_that_was_put_aside_meanwhile(shop: Shop) -> None:
    for code in ("A", "B", "C", "D"):
        brand = await add(shop, code)
        done = await asyncio.gather(billed_under(shop, brand), put_aside(brand), return_exceptions=True)
        assert sum(isinstance(one, BrandInUse | BrandIsArchived) for one in done) == 1, done
        await billed_under(shop, None)


async def test_what_a_customer_says_of_itself_leaves_its_brand(shop: Shop) -> None:
    blue = await add(shop, "BLUE")
    await billed_under(shop, blue)
    async with shop.work() as uow:
        row = await profiles.set_own(uow, name="Acme SE", address="Ring 3", country="DE")
    assert (row.brand_id, row.legal_entity_id) == (blue.id, shop.entity.id)


async def test_a_brand_of_the_entitys_name_follows_it(shop: Shop) -> None:
    await add(shop, "BLUE")
    async with staff() as uow:
        renamed = replace(GERMAN, name="Matrix SE", **BY_BRAND)
        await entities.change_entity(uow, shop.entity.id, renamed, version=1)
        assert [one.name for one in await listing_sql.select(uow, BRANDS)] == ["Matrix SE", "Blue"]


async def test_the_next_numbers_are_those_of_the_brand(shop: Shop) -> None:
    await add(shop, "BLUE")
    async with staff() as uow:
        given = replace(GERMAN, **BY_BRAND)
        made = await next_numbers(uow, given, brand="BLUE", entity_id=shop.entity.id)
        with pytest.raises(Invalid) as refused:
            await next_numbers(uow, given, brand="b")
    assert (made.invoice.startswith("DE1-BLUE-2"), made.note.startswith("DE1-BLUE-C2")) == (True, True)
    assert refused.value.field == "brand"


async def test_the_migration_goes_down_and_up_with_documents_and_templates(
    shop: Shop, database: Database, owner_url: str
) -> None:
    first = await shop.invoice(line("10"))
    note = await shop.credit(first, 5)
    blue = await add(shop, "BLUE")
    async with staff() as uow:
        usual = await templates.begin(uow, legal_entity_id=shop.entity.id)
        await templates.publish(uow, usual.id)
        await templates.begin(uow, brand_id=blue.id)
    await billed_under(shop, blue)
    second = await shop.invoice(line("10"))
    await database.close()

    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        command.downgrade(migrations.config(connection), "0009")
        assert _all(connection, "select brand from legal_entity") == [("MX",)]
        versions = "select brand, number, state from template_version order by brand"
        assert _all(connection, versions) == [("BLUE", 1, "draft"), ("MX", 1, "published")]
    migrations.migrate(owner_url)

    with engine.connect() as connection:
        # A brand that only templates and numbers knew of is kept for them, put aside.
        known = "select code, name, is_default, archived_at is not null from brand order by code"
        assert _all(connection, known) == [("BLUE", "BLUE", False, True), ("MX", "Matrix GmbH", True, False)]
        documents = "select i.number, b.code from invoice i join brand b on b.id = i.brand_id"
        assert set(_all(connection, documents)) == {(first.number, "MX"), (second.number, "BLUE")}
        versions = (
            "select b.code, t.state from template_version t join brand b on b.id = t.brand_id order by 1"
        )
        assert _all(connection, versions) == [("BLUE", "draft"), ("MX", "published")]
        ids = "select split_part(id, '_', 2) from brand where is_default"
        assert _all(connection, ids) == [(shop.entity.id.partition("_")[2],)]
        assert _all(connection, "select number from credit_note") == [(note.number,)]


def _all(connection: sa.Connection, statement: str) -> list[Any]:
    return [tuple(row) for row in connection.execute(sa.text(statement))]
