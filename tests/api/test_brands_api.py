"""Brands over HTTP: from a second name of a legal entity to a numbered PDF that says it, and who may do so."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem
from tests.api.test_invoices_api import BUYER, ENTITY, RATE, issued, post
from tests.api.test_papers_api import printer
from tests.integration.papers.printing import Printer
from tests.unit.documents.test_document_files import text_of

__all__ = ["printer"]
BY_BRAND = {
    "invoice_pattern": "{entity}-{brand}-{year}-{seq:6}", "invoice_reset": "yearly",
    "note_pattern": "{entity}-{brand}-C{year}-{seq:6}",
}  # fmt: skip


@pytest.fixture
async def staff(api: Api, operators: Organization, acme: Organization) -> AsyncClient:
    """An operator, in a house that numbers by brand."""
    operator = await api.browser(operators, Role.OPERATOR)
    for path, body in (("legal-entities", ENTITY | BY_BRAND), ("tax-rates", RATE)):
        assert (await operator.post(f"staff/{path}", json=body)).status_code == 201
    answer = await operator.put(f"staff/organizations/{acme.id}/billing-profile", json=BUYER)
    assert answer.status_code == 200, answer.text
    return operator


async def entity_of(staff: AsyncClient) -> Any:
    (entity,) = (await staff.get("staff/legal-entities")).json()["data"]
    return entity


async def added(staff: AsyncClient, code: str = "BLUE", name: str = "Blue Cloud") -> Any:
    body = {"legal_entity_id": (await entity_of(staff))["id"], "code": code, "name": name}
    answer = await staff.post("staff/brands", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_document_of_a_second_brand_has_its_number_its_name_and_its_look(
    api: Api, acme: Organization, staff: AsyncClient, printer: Printer
) -> None:
    blue = await added(staff)
    assert ((await entity_of(staff))["brand"], blue["is_default"], blue["customers"]) == ("MX", False, 0)
    template = (await staff.post("staff/templates", json={"brand_id": blue["id"]})).json()
    assert (template["brand_id"], template["brand"]) == (blue["id"], "BLUE")
    path = f"staff/templates/{template['id']}"
    await staff.put(
        path, json={"accent": "#0000aa", "wording": {"de": {"legal_text": "Blue ist eine Marke."}}}
    )
    assert "Blue Cloud" in (await staff.get(f"{path}/preview")).text
    assert (await staff.post(f"{path}/publish")).status_code == 200
    profile = f"staff/organizations/{acme.id}/billing-profile"
    said = (await staff.put(profile, json=BUYER | {"brand_id": blue["id"]})).json()
    assert (said["brand_id"], said["legal_entity_id"]) == (blue["id"], blue["legal_entity_id"])

    made = await issued(staff, acme, "10")
    note = await post(staff, f"/{made['id']}/credit-notes", 201, reason="Late", amount="1.00")
    usual = await post(staff, "", 201, organization_id=acme.id, brand_id="")
    assert usual["brand_id"] == blue["id"]
    assert await printer.run() == 2
    await staff.patch(f"staff/brands/{blue['id']}", json={"name": "Green Cloud"})

    year = made["label_date"][:4]
    assert (made["number"], note["number"]) == (f"DE1-BLUE-{year}-000001", f"DE1-BLUE-C{year}-000001")
    client = await api.browser(acme, Role.BILLING)
    for brand_id, found in ((blue["id"], [usual["id"], made["id"]]), (blue["id"][:-4] + "0000", [])):
        listed = (await staff.get("staff/invoices", params={"brand_id": brand_id})).json()["data"]
        assert [(row["id"], row["brand"]) for row in listed] == [(one, "BLUE") for one in found]
    kept = (await client.get(f"invoices/{made['id']}")).json()
    assert (kept["brand_id"], kept["seller"]["brand"]) == (blue["id"], {"code": "BLUE", "name": "Blue Cloud"})
    paper = (await client.get(f"invoices/{made['id']}/paper")).json()
    assert paper["template_version_id"] == template["id"]
    words = text_of((await client.get(f"invoices/{made['id']}/pdf")).content)
    for part in ("BlueCloud", "MatrixGmbH", made["number"], "BlueisteineMarke."):
        assert part in "".join(words.split()), part
    ubl = (await client.get(f"invoices/{made['id']}/ubl")).text
    assert "<cac:PartyName><cbc:Name>Blue Cloud</cbc:Name></cac:PartyName>" in "".join(
        line.strip() for line in ubl.splitlines()
    )
    rows = (await staff.get("staff/invoice-series", params={"has_no_gap": "true"})).json()["data"]
    assert {(row["series"], row["brand"], row["issued"]) for row in rows} == {
        ("invoice", "BLUE", 1),
        ("credit_note", "BLUE", 1),
    }


async def test_a_brand_is_renamed_chosen_put_aside_and_taken_up_again(
    acme: Organization, staff: AsyncClient
) -> None:
    blue = await added(staff)
    path = f"staff/brands/{blue['id']}"
    renamed = await staff.patch(path, json={"name": "Azure", "version": 1})
    assert (renamed.json()["name"], renamed.json()["version"]) == ("Azure", 2)
    stale = problem(await staff.patch(path, json={"name": "Sky", "version": 1}), 412, "stale_version")
    assert stale["details"]["current"]["name"] == "Azure"

    chosen = await staff.post(f"{path}/make-default")
    assert (chosen.status_code, chosen.json()["is_default"]) == (200, True)
    problem(await staff.post(f"{path}/archive"), 409, "brand_in_use")
    (first,) = (await staff.get("staff/brands", params={"is_default": "false"})).json()["data"]
    before = f"staff/brands/{first['id']}"
    assert (await staff.post(f"{before}/archive")).json()["status"] == "archived"
    draft = {"organization_id": acme.id, "brand_id": first["id"]}
    problem(await staff.post("staff/invoices", json=draft), 409, "brand_archived")
    problem(await staff.post("staff/templates", json={"brand_id": first["id"]}), 409, "brand_archived")
    problem(await staff.post(f"{before}/make-default"), 409, "brand_archived")
    assert (await staff.post(f"{before}/restore")).json()["archived_at"] is None
    assert (await staff.get(path)).json() == chosen.json()


async def test_the_brand_of_a_customer_is_chosen_by_who_saw_its_profile(
    acme: Organization, staff: AsyncClient
) -> None:
    blue = await added(staff)
    path = f"staff/organizations/{acme.id}/billing-profile/brand"
    chosen = await staff.put(path, json={"brand_id": blue["id"], "version": 1})
    assert (chosen.status_code, chosen.json()["brand_id"], chosen.json()["name"]) == (
        200,
        blue["id"],
        BUYER["name"],
    )
    stale = problem(await staff.put(path, json={"brand_id": None, "version": 1}), 412, "stale_version")
    assert stale["details"]["current"]["brand_id"] == blue["id"]
    problem(await staff.put(path, json={"brand_id": "brnd_x"}), 404, "not_found")
    problem(await staff.post(f"staff/brands/{blue['id']}/archive"), 409, "brand_in_use")
    assert (await staff.put(path, json={"brand_id": None})).json()["brand_id"] is None
    assert (await staff.post(f"staff/brands/{blue['id']}/archive")).status_code == 200
    problem(await staff.put(path, json={"brand_id": blue["id"]}), 409, "brand_archived")


async def test_what_is_no_brand_is_refused_at_its_field(staff: AsyncClient) -> None:
    entity = await entity_of(staff)
    for given, status, code in (
        ({"code": "b-1"}, 422, "invalid_input"),
        ({"code": "MX"}, 409, "conflict"),
        ({"name": " "}, 422, "invalid_input"),
        ({"legal_entity_id": "ent_x"}, 404, "not_found"),
    ):
        body = {"legal_entity_id": entity["id"], "code": "BLUE", "name": "Blue"} | given
        problem(await staff.post("staff/brands", json=body), status, code)
    problem(await staff.post("staff/templates", json={}), 422, "invalid_input")
    problem(await staff.get("staff/brands/brnd_x"), 404, "not_found")


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [(Role.OPERATOR, 200, 200), (Role.SUPPORT, 200, 403), (Role.OWNER, 403, 403), (Role.BILLING, 403, 403)],
)
async def test_who_may_see_and_who_may_change_brands(
    api: Api,
    acme: Organization,
    operators: Organization,
    staff: AsyncClient,
    role: Role,
    reads: int,
    writes: int,
) -> None:
    blue = await added(staff)
    home = operators if role in (Role.OPERATOR, Role.SUPPORT) else acme
    person = await api.browser(home, role)
    path = f"staff/brands/{blue['id']}"
    for one in ("staff/brands", path):
        assert (await person.get(one)).status_code == reads
    new = {"legal_entity_id": blue["legal_entity_id"], "code": "GREEN", "name": "Green"}
    assert (await person.post("staff/brands", json=new)).status_code == (201 if writes == 200 else writes)
    assert (await person.patch(path, json={"name": "Sky"})).status_code == writes
    chosen = f"staff/organizations/{acme.id}/billing-profile/brand"
    assert (await person.put(chosen, json={"brand_id": None})).status_code == writes
    for act in ("archive", "restore", "make-default"):
        assert (await person.post(f"{path}/{act}")).status_code == writes, act
