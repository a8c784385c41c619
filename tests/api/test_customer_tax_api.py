"""What staff says of a customer's tax by itself, and what its next documents would be called."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem
from tests.api.test_invoices_api import BUYER, ENTITY, issued
from tests.api.test_invoices_api import staff as staff

FOUND = {
    "number": "DE136695976", "valid": True, "source": "Ana", "reference": "Letter 7",
    "override_reason": "Their register was down",
}  # fmt: skip
EXEMPT = {
    "reason_code": "VATEX-EU-O", "reason": "Not taxable", "evidence": "Paper 12", "valid_from": "2026-01-01",
    "valid_until": None,
}  # fmt: skip


async def profile(staff: AsyncClient, acme: Organization) -> Any:
    return (await staff.get(f"staff/organizations/{acme.id}/billing-profile")).json()


async def test_a_number_and_an_exemption_are_said_without_saying_the_rest_again(
    staff: AsyncClient, acme: Organization
) -> None:
    path = f"staff/organizations/{acme.id}/billing-profile"

    said = await staff.put(f"{path}/tax-number", json=FOUND, headers={"If-Match": '"1"'})
    assert (said.status_code, said.json()["version"]) == (200, 2), said.text
    number = said.json()["tax_number"]
    assert (number["number"], number["state"], number["source"], number["reason"]) == (
        "DE136695976", "valid", "Ana", "Their register was down",
    )  # fmt: skip
    exempt = await staff.put(f"{path}/exemption", json={**EXEMPT, "version": 2})
    assert exempt.json()["exemption"] == EXEMPT
    assert exempt.json()["tax_number"] == number
    assert {name: exempt.json()[name] for name in BUYER} == BUYER

    stale = problem(await staff.put(f"{path}/exemption", json={**EXEMPT, "version": 2}), 412, "stale_version")
    assert stale["details"]["current"]["version"] == 3
    problem(await staff.delete(f"{path}/exemption", headers={"If-Match": '"2"'}), 412, "stale_version")
    ended = await staff.delete(f"{path}/exemption", headers={"If-Match": '"3"'})
    assert (ended.json()["exemption"], ended.json()["tax_number"]) == (None, number)
    assert (await staff.delete(f"{path}/tax-number")).json()["tax_number"] is None
    assert (await profile(staff, acme))["version"] == 5


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("tax-number", {**FOUND, "override_reason": " "}, "override_reason"),
        ("tax-number", {**FOUND, "source": ""}, "source"),
        ("exemption", {**EXEMPT, "reason_code": "", "reason": ""}, "reason_code"),
        ("exemption", {**EXEMPT, "evidence": ""}, "evidence"),
        ("exemption", {**EXEMPT, "valid_until": "2026-01-01"}, "valid_until"),
    ],
)
async def test_what_is_said_of_tax_has_a_proof(
    staff: AsyncClient, acme: Organization, path: str, body: dict[str, Any], field: str
) -> None:
    before = await profile(staff, acme)
    refused = await staff.put(f"staff/organizations/{acme.id}/billing-profile/{path}", json=body)
    assert problem(refused, 422, "invalid_input")["errors"][0]["pointer"] == f"#/{field}"
    assert await profile(staff, acme) == before


async def test_what_the_next_documents_would_be_called_is_shown_and_not_drawn(
    staff: AsyncClient, acme: Organization
) -> None:
    (entity,) = (await staff.get("staff/legal-entities")).json()["data"]
    first = await issued(staff, acme, "10")
    body = {**ENTITY, "legal_entity_id": entity["id"]}

    shown = [(await staff.post("staff/legal-entities/next-numbers", json=body)).json() for _ in range(2)]
    assert shown[0] == shown[1]
    assert (await issued(staff, acme, "10"))["number"] == shown[0]["invoice"] != first["number"]
    bad = await staff.post("staff/legal-entities/next-numbers", json={**ENTITY, "note_pattern": "no number"})
    assert problem(bad, 422, "invalid_input")["errors"][0]["pointer"] == "#/note_pattern"


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [(Role.OPERATOR, 200, 200), (Role.SUPPORT, 200, 403), (None, 403, 403)],
)
async def test_who_may_see_people_and_say_tax(
    api: Api, acme: Organization, operators: Organization, staff: AsyncClient,
    role: Role | None, reads: int, writes: int,
) -> None:  # fmt: skip
    caller = await api.browser(operators, role) if role else await api.browser(acme, Role.OWNER)
    of_acme = f"staff/organizations/{acme.id}"
    people = await caller.get(f"{of_acme}/members")
    assert people.status_code == reads
    assert (await caller.put(f"{of_acme}/billing-profile/tax-number", json=FOUND)).status_code == writes
    assert (await caller.put(f"{of_acme}/billing-profile/exemption", json=EXEMPT)).status_code == writes


async def test_that_staff_saw_the_people_is_in_their_audit_log(
    api: Api, acme: Organization, staff: AsyncClient
) -> None:
    owner = await api.browser(acme, Role.OWNER)
    (person,) = (await staff.get(f"staff/organizations/{acme.id}/members")).json()["data"]
    assert (person["role"], person["email"] != "") == ("owner", True)
    noted = (await owner.get("audit")).json()["data"]
    assert [row["details"] for row in noted if row["type"] == "personal_data.read"] != []
    problem(await staff.get("staff/organizations/org_01hzzzzzzzzzzzzzzzzzzzzzzz/members"), 404, "not_found")
