"""Legal entities, tax rates and series of numbers on pages: made, changed, ended, and proven."""

from __future__ import annotations

from typing import Any

import pytest

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.billing import entities
from services.core.crossing import Reason, crossing
from state.governance import entity_forms
from state.governance.customer_tax import CustomerTaxState
from state.governance.issuers import HOME, EntitiesState, EntityState, SeriesState, TaxRatesState
from tests.integration.billing.shop import GERMAN, line, open_shop
from tests.integration.state.visitor import Visitor, said, sent_to, sign_in
from tests.world import World


@pytest.fixture
async def operators(world: World) -> Organization:
    return await world.organization(OrganizationKind.OPERATOR)


@pytest.fixture
async def staff(world: World, operators: Organization) -> Visitor:
    return (await sign_in(world, operators, Role.OPERATOR))[0]


async def test_an_entity_is_made_with_its_next_number_in_sight_and_refused_at_its_field(
    staff: Visitor,
) -> None:
    staff.at = f"{HOME}/new"
    seen, _ = await staff.call(EntityState, "begin")
    typed: dict[str, Any] = seen.form | {
        "code": "FR1", "name": "Matrix SARL", "address": "1 Rue de Rivoli\n\n75001 Paris", "country": "FR",
        "currency": "EUR", "timezone": "Europe/Paris", "tax_ids": "VAT FR12345678901\nSIREN 123 456 789",
        "registrations": "fr, de", "grace_hours": 48, "is_usual": True, "invoice_pattern": "R-{seq:4}",
        "invoice_reset": "never",
    }  # fmt: skip

    seen, _ = await staff.call(EntityState, "settle", typed)
    assert (seen.next_invoice, seen.next_note[:7], seen.numbers_wrong) == ("R-0001", "FR1-CN-", "")
    seen, _ = await staff.call(EntityState, "settle", typed | {"invoice_pattern": "R"})
    assert (seen.next_invoice, "A pattern needs {seq}" in seen.numbers_wrong) == ("", True)

    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"code": "fr"}, "code"),
        ({"country": "France"}, "country"),
        ({"tax_ids": "VAT"}, "tax_ids"),
        ({"tax_ids": f"VAT {'9' * 101}"}, "tax_ids"),
        ({"registrations": "Paris"}, "registrations"),
        ({"grace_hours": 721}, "grace_hours"),
        ({"payment_days": None}, "payment_days"),
        ({"note_pattern": "R-{seq:4}", "note_reset": "never"}, "note_pattern"),
        ({"invoice_reset": "daily"}, "invoice_reset"),
        ({"timezone": "Paris"}, "timezone"),
    )
    for values, field in wrong:
        seen, _ = await staff.call(EntityState, "save", typed | values)
        assert (list(seen.errors), seen.error) == ([field], ""), values
    _, answer = await staff.call(EntityState, "save", typed)
    staff.at = sent_to(answer)
    seen, _ = await staff.call(EntityState, "load")
    assert (seen.status, seen.form["registrations"], seen.form["address"]) == (
        "ready", "DE, FR", "1 Rue de Rivoli\n75001 Paris",
    )  # fmt: skip
    assert (seen.form["tax_ids"], seen.form["grace_hours"]) == ("VAT FR12345678901\nSIREN 123 456 789", "48")
    assert entity_forms.form_of(entity_forms.fields_of(seen.form)) | {"brand": "MX"} == seen.form

    staff.at = f"{HOME}/new"
    await staff.call(EntityState, "begin")
    seen, _ = await staff.call(EntityState, "save", typed)
    assert "FR1 already" in seen.errors["code"]
    staff.at = HOME
    seen, _ = await staff.call(EntitiesState, "load")
    assert [(row["code"], row["use"]) for row in seen.rows] == [("FR1", "real_usual")]


async def test_what_numbers_are_made_by_stays_once_there_are_some_and_saving_over_a_newer_version_is_refused(
    world: World, operators: Organization, staff: Visitor
) -> None:
    shop = await open_shop(world)
    made = await shop.invoice(line("1"))
    staff.at = f"{HOME}/{shop.entity.id}"
    seen, _ = await staff.call(EntityState, "load")
    assert seen.begun
    assert (made.number, seen.numbers_wrong) == ("DE1-2026-000001", "")

    seen, _ = await staff.call(EntityState, "save", {"name": "Matrix AG", "code": "XX", "is_test": True})
    assert (seen.is_saved, seen.form["name"], seen.form["code"], seen.entity["version"]) == (
        True, "Matrix AG", "DE1", 2,
    )  # fmt: skip
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        await entities.change_entity(uow, shop.entity.id, GERMAN, version=2)
    seen, answer = await staff.call(EntityState, "save", {"name": "Matrix SE"})
    assert (answer, seen.met["theirs"]["name"], seen.met["version"]) == (None, "Matrix GmbH", 3)
    seen, _ = await staff.call(EntityState, "save", {"name": "Matrix SE", "version": 3})
    assert (seen.is_saved, seen.form["name"], seen.entity["version"]) == (True, "Matrix SE", 4)

    support, _ = await sign_in(world, operators, Role.SUPPORT)
    support.at = staff.at
    seen, _ = await support.call(EntityState, "load")
    assert seen.form["name"] == "Matrix SE"
    _, refused = await support.call(EntityState, "save", seen.form)
    assert "staff.invoices.write" in str(refused)
    for address in (f"{HOME}/ent_nothing", f"{HOME}/{shop.customer.id}"):
        support.at = address
        seen, _ = await support.call(EntityState, "load")
        assert seen.status == "missing"


async def test_series_are_proven_without_a_gap_or_say_which_number_is_missing(
    world: World, staff: Visitor
) -> None:
    shop = await open_shop(world)
    for _ in range(2):
        await shop.invoice(line("1"))
    staff.at = "/governance/number-series"
    seen, _ = await staff.call(SeriesState, "load")
    assert [
        (row["series"], row["counter"], row["first"], row["last"], row["issued"]) for row in seen.rows
    ] == [("invoice", "2026", 1, 2, 2)]
    assert seen.rows[0]["has_no_gap"]

    async with crossing(Reason.INVARIANTS) as uow:
        await uow.execute("update number_series set last = 4")
    seen, _ = await staff.call(SeriesState, "load")
    assert (seen.rows[0]["has_no_gap"], seen.rows[0]["missing"]) == (False, "3, 4")
    staff.at += "?has_no_gap=true"
    seen, _ = await staff.call(SeriesState, "load")
    assert (seen.rows, seen.filtered) == ([], True)


async def test_rates_are_listed_with_what_holds_today_and_who_charges_them(
    world: World, staff: Visitor
) -> None:
    await open_shop(world)
    staff.at = "/governance/tax-rates"
    seen, _ = await staff.call(TaxRatesState, "load")
    assert [(row["jurisdiction"], row["rate"], row["state"], row["valid_until"]) for row in seen.rows] == [
        ("DE", "0.19", "current", ""),
        ("FR", "0.2", "current", ""),
    ]
    assert [(one["code"], one["registrations"]) for one in seen.registered] == [
        ("DE1 – Matrix GmbH", "DE, FR")
    ]
    seen, _ = await staff.call(TaxRatesState, "ask", seen.rows[0]["id"], "end")
    assert (seen.open_dialog, seen.chosen["jurisdiction"]) == ("end", "DE")


async def test_why_a_customer_pays_no_tax_is_said_with_its_proof_and_ended(
    world: World, staff: Visitor
) -> None:
    shop = await open_shop(world)
    await shop.new_customer(None, name="Bare")
    staff.at = f"/governance/organizations/{shop.customer.id}"
    seen, _ = await staff.call(CustomerTaxState, "load")
    assert (seen.status, seen.profile) == ("ready", {})
    _, refused = await staff.call(CustomerTaxState, "save_exemption", {"reason": "A", "evidence": "B"})
    assert "billing profile" in said(refused)

    await shop.new_customer(name="Acme")
    staff.at = f"/governance/organizations/{shop.customer.id}"
    seen, _ = await staff.call(CustomerTaxState, "load")
    exempt = {"reason_code": "VATEX-EU-132", "evidence": "Letter of 2 March", "valid_from": "2026-01-01"}
    for wrong, field in (
        ({"evidence": " "}, "evidence"),
        ({"reason_code": ""}, "reason_code"),
        ({"valid_until": "2026-01-01"}, "valid_until"),
        ({"valid_from": "soon"}, "valid_from"),
    ):
        seen, _ = await staff.call(CustomerTaxState, "save_exemption", exempt | wrong)
        assert (list(seen.errors), seen.profile["is_exempt"]) == ([field], False), wrong
    seen, _ = await staff.call(CustomerTaxState, "save_exemption", exempt)
    assert (seen.profile["is_exempt"], seen.profile["valid_until"], seen.errors) == (True, "", {})
    assert (await shop.invoice(line("100"))).tax_minor == 0
    seen, _ = await staff.call(CustomerTaxState, "save_number", {"number": "DE1", "valid": "true"})
    assert list(seen.errors) == ["source"]
    found = {"number": "DE123456788", "valid": "false", "source": "A call"}
    seen, _ = await staff.call(CustomerTaxState, "save_number", found)
    assert list(seen.errors) == ["override_reason"]
    seen, _ = await staff.call(CustomerTaxState, "save_number", found | {"override_reason": "Struck off"})
    assert (seen.profile["number"], seen.profile["state"], seen.profile["is_exempt"]) == (
        "DE123456788", "invalid", True,
    )  # fmt: skip
    seen, _ = await staff.call(CustomerTaxState, "check_again")
    assert (seen.profile["state"], seen.profile["override_reason"], seen.errors) == ("unchecked", "", {})
    other, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    other.at = staff.at
    await other.call(CustomerTaxState, "load")
    await staff.call(CustomerTaxState, "save_exemption", exempt | {"reason": "A school"})
    seen, _ = await other.call(CustomerTaxState, "save_exemption", exempt | {"reason": "A museum"})
    assert (seen.met["form"], seen.met["theirs"]["reason"]) == ("customer-exemption", "A school")
    _, refused = await other.call(CustomerTaxState, "end_exemption")
    assert "changed the billing profile meanwhile" in said(refused)
    seen, _ = await staff.call(CustomerTaxState, "end_exemption")
    assert (await shop.invoice(line("100"))).tax_minor == 1_900
    seen, _ = await staff.call(CustomerTaxState, "save_number", {"number": ""})
    assert (seen.profile["is_exempt"], seen.profile["number"]) == (False, "")
    _, refused = await staff.call(CustomerTaxState, "check_again")
    assert "no number here" in said(refused)
