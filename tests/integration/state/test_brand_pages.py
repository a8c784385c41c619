"""Brands on pages: listed with whom they bill, begun with an entity, and chosen for a customer."""

from __future__ import annotations

from typing import Any

import pytest

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.billing import brands
from services.core.crossing import Reason, crossing
from services.papers import templates
from services.papers.designs import Design
from state.governance.brands import BrandsState
from state.governance.customer_tax import BRAND_FORM, CustomerTaxState
from state.governance.invoices import NewInvoiceState
from state.governance.issuers import HOME, EntityState
from state.governance.templates import TemplatesState
from state.portal.invoices import InvoiceState
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.state.visitor import Visitor, sent_to, sign_in
from tests.world import World


@pytest.fixture
async def operators(world: World) -> Organization:
    return await world.organization(OrganizationKind.OPERATOR)


@pytest.fixture
async def staff(world: World, operators: Organization) -> Visitor:
    return (await sign_in(world, operators, Role.OPERATOR))[0]


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(
        world,
        invoice_pattern="{entity}-{brand}-{year}-{seq:6}",
        note_pattern="{entity}-{brand}-C{year}-{seq}",
    )


async def add(world: World, operators: Organization, shop: Shop, code: str = "BLUE") -> Any:
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        return await brands.add_brand(uow, shop.entity.id, code=code, name="Blue")


async def test_a_customer_is_billed_under_the_brand_that_staff_chose_on_its_page(
    world: World, operators: Organization, staff: Visitor, shop: Shop
) -> None:
    blue = await add(world, operators, shop)
    staff.at = f"/governance/organizations/{shop.customer.id}"
    seen, _ = await staff.call(CustomerTaxState, "load")
    assert seen.profile["brand"] == ""
    seen, _ = await staff.call(CustomerTaxState, "turn", "brand", True)
    assert [one["label"] for one in seen.brands] == ["", "DE1 MX – Matrix GmbH", "DE1 BLUE – Blue"]

    seen, _ = await staff.call(CustomerTaxState, "save_brand", {"brand_id": blue.id})
    assert (seen.profile["brand"], seen.open_dialog) == ("BLUE – Blue", "")
    assert (await shop.invoice(line("1"))).number == "DE1-BLUE-2026-000001"
    seen, _ = await staff.call(CustomerTaxState, "save_brand", {"brand_id": "", "version": 1})
    assert (seen.met["form"], seen.met["theirs"]["brand_id"]) == (
        BRAND_FORM,
        blue.id,
    )  # somebody saved meanwhile

    staff.at = "/governance/brands"
    rows = (await staff.call(BrandsState, "load"))[0].rows
    assert [(row["code"], row["use"], row["customers"]) for row in rows] == [
        ("MX", "default", 0),
        ("BLUE", "active", 1),
    ]
    seen, _ = await staff.call(BrandsState, "ask", blue.id, "archive")
    assert (seen.open_dialog, seen.chosen["name"]) == ("archive", "Blue")


async def test_only_brands_that_bill_are_offered(
    world: World, operators: Organization, staff: Visitor, shop: Shop
) -> None:
    blue = await add(world, operators, shop)
    await add(world, operators, shop, "GREEN")
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        await brands.archive_brand(uow, blue.id)

    invoice, _ = await staff.call(NewInvoiceState, "ask", True)
    staff.at = "/governance/templates"
    template, _ = await staff.call(TemplatesState, "load")
    for offered in (invoice.brands[1:], template.brands):
        assert [one["label"] for one in offered] == ["DE1 MX – Matrix GmbH", "DE1 GREEN – Blue"]


async def test_a_new_entity_says_the_code_of_its_first_brand_and_shows_its_numbers(staff: Visitor) -> None:
    staff.at = f"{HOME}/new"
    seen, _ = await staff.call(EntityState, "begin")
    typed: dict[str, Any] = seen.form | {
        "code": "FR1", "name": "Matrix SARL", "address": "1 Rue de Rivoli", "country": "FR", "currency": "EUR",
        "brand": "BLEU", "invoice_pattern": "{entity}-{brand}-{seq:4}", "invoice_reset": "never",
    }  # fmt: skip
    seen, _ = await staff.call(EntityState, "settle", typed)
    assert seen.next_invoice == "FR1-BLEU-0001"
    seen, _ = await staff.call(EntityState, "save", typed | {"brand": "bleu"})
    assert list(seen.errors) == ["brand"]
    _, answer = await staff.call(EntityState, "save", typed)

    staff.at = sent_to(answer)
    seen, _ = await staff.call(EntityState, "load")
    assert (seen.form["brand"], seen.next_invoice) == ("BLEU", "FR1-BLEU-0001")
    seen, _ = await staff.call(EntityState, "save", seen.form | {"brand": "OTHER", "name": "Matrix France"})
    assert (seen.errors, seen.form["brand"], seen.form["name"]) == ({}, "BLEU", "Matrix France")
    staff.at = "/governance/brands"
    assert [row["name"] for row in (await staff.call(BrandsState, "load"))[0].rows] == [
        "Matrix France"
    ]  # it had the name of its entity


async def test_who_may_look_opens_no_dialog(world: World, operators: Organization, shop: Shop) -> None:
    blue = await add(world, operators, shop)
    support, _ = await sign_in(world, operators, Role.SUPPORT)
    support.at = "/governance/brands"
    seen, _ = await support.call(BrandsState, "load")
    assert len(seen.rows) == 2
    seen, refused = await support.call(BrandsState, "ask", blue.id, "rename")
    assert "staff.invoices.write" in str(refused)
    assert seen.open_dialog == ""


async def test_money_goes_where_the_template_of_the_documents_brand_says(
    world: World, operators: Organization, staff: Visitor, shop: Shop
) -> None:
    blue = await add(world, operators, shop)
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        for brand, account in ((None, "DE02100500000054540402"), (blue.id, "DE89370400440532013000")):
            draft = await templates.begin(uow, brand_id=brand, legal_entity_id=shop.entity.id)
            await templates.change(uow, draft.id, Design(account=account), version=draft.version)
            await templates.publish(uow, draft.id)
    owner, _ = await sign_in(world, shop.customer)
    usual = await shop.invoice(line("10"))
    staff.at = f"/governance/organizations/{shop.customer.id}"
    await staff.call(CustomerTaxState, "load")
    await staff.call(CustomerTaxState, "save_brand", {"brand_id": blue.id})
    branded = await shop.invoice(line("10"))

    accounts: list[str] = []
    for invoice in (usual, branded):
        owner.at = f"/portal/invoices/{invoice.id}"
        seen, _ = await owner.call(InvoiceState, "load")
        accounts.append(seen.bank["account"])
    assert accounts == ["DE02100500000054540402", "DE89370400440532013000"]
