"""Invoices over HTTP: staff makes them from an empty house to a credit note, clients read and understand them."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem

ENTITY = {
    "code": "DE1", "name": "Matrix GmbH", "address": "Hauptstr. 1\n10115 Berlin", "country": "DE", "currency": "EUR",
    "timezone": "Europe/Berlin", "tax_ids": [{"kind": "VAT", "number": "DE123456788"}], "registrations": ["DE"],
    "invoice_pattern": "{entity}-{seq:6}", "invoice_reset": "never",
}  # fmt: skip
RATE = {
    "jurisdiction": "DE", "name": "VAT", "rate": "0.19", "source": "UStG", "edition": "2026",
    "valid_from": "2020-01-01",
}  # fmt: skip
BUYER = {"name": "Acme AG", "address": "Ring 2\n80331 München", "country": "DE", "language": "de"}


@pytest.fixture
async def staff(api: Api, operators: Organization, acme: Organization) -> AsyncClient:
    """An operator, in a house that can bill Acme."""
    operator = await api.browser(operators, Role.OPERATOR)
    for path, body in (("legal-entities", ENTITY), ("tax-rates", RATE)):
        assert (await operator.post(f"staff/{path}", json=body)).status_code == 201
    answer = await operator.put(f"staff/organizations/{acme.id}/billing-profile", json=BUYER)
    assert answer.status_code == 200, answer.text
    return operator


async def post(client: AsyncClient, path: str, status: int = 200, key: str = "", **body: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.post(f"staff/invoices{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def issued(staff: AsyncClient, acme: Organization, *amounts: str) -> Any:
    draft = await post(staff, "", 201, organization_id=acme.id)
    lines = [{"description": "Work", "quantity": "1", "unit_amount": amount} for amount in amounts]
    await post(staff, f"/{draft['id']}/lines/batch", 201, lines=lines)
    return await post(staff, f"/{draft['id']}/finalize")


async def test_an_invoice_goes_from_draft_to_credit_note_and_its_customer_sees_why(
    api: Api, acme: Organization, staff: AsyncClient
) -> None:
    client = await api.browser(acme, Role.BILLING)
    draft = await post(staff, "", 201, "one", organization_id=acme.id, memo="March")
    assert (await post(staff, "", 201, "one", organization_id=acme.id, memo="March"))["id"] == draft["id"]
    path = f"/{draft['id']}"
    period = {"period_start": "2026-01-01T00:00:00Z", "period_end": "2027-01-01T00:00:00Z"}
    added = await post(staff, f"{path}/lines/batch", 201, lines=[
        {"description": "Support", "quantity": "12", "unit_amount": "10.005", **period},
        {"description": "Wrong", "quantity": "1", "unit_amount": "1"},
    ])  # fmt: skip
    gone = await staff.delete(f"staff/invoices{path}/lines/{added['data'][1]['id']}")
    assert (gone.status_code, gone.json()["lines"]) == (200, 1)
    assert (await client.get("invoices")).json()["data"] == []  # a draft is nobody's business but staff's
    problem(await client.get(f"invoices{path}"), 404, "not_found")

    made = await post(staff, f"{path}/finalize", key="two")
    assert await post(staff, f"{path}/finalize", key="two") == made  # the same request, not a second time
    problem(await staff.post(f"staff/invoices{path}/finalize", json={}), 409, "invoice_state")

    (row,) = (await client.get("invoices", params={"state": "finalized"})).json()["data"]
    seen = (await client.get(f"invoices{path}")).json()
    assert (row["number"], row["total_minor"], row["due_minor"]) == ("DE1-000001", 14_287, 14_287)
    assert seen == made
    assert (seen["net_minor"], seen["tax_minor"], seen["buyer"]["name"]) == (12_006, 2_281, "Acme AG")
    assert [(tax["category"], tax["rate"], tax["tax_minor"]) for tax in seen["taxes"]] == [
        ("S", "0.19", 2_281)
    ]
    (line,) = (await client.get(f"invoices{path}/lines")).json()["data"]
    told = (await client.get(f"invoices{path}/lines/{line['id']}/explain")).json()
    assert told["agrees"]
    assert (told["steps"][0]["formula"], told["gross_minor"]) == ("12 × 10.005", 14_287)

    note = await post(staff, f"{path}/credit-notes", 201, "three", reason="Late", by_line={line["id"]: "10"})
    assert note == await post(
        staff, f"{path}/credit-notes", 201, "three", reason="Late", by_line={line["id"]: "10"}
    )
    more = {"reason": "Late", "amount": "142.87"}
    refused = problem(
        await staff.post(f"staff/invoices{path}/credit-notes", json=more), 422, "credit_exceeds_invoice"
    )
    assert "132.87" in refused["detail"]
    assert (await client.get(f"invoices{path}/credit-notes")).json()["data"] == [note]
    problem(await staff.post(f"staff/invoices{path}/void", json={"reason": "x"}), 409, "invoice_state")
    assert (await client.get(f"invoices{path}")).json()["due_minor"] == 13_287
    rest = await post(staff, f"{path}/credit-notes", 201, reason="All of it", amount="")
    assert (rest["total_minor"], (await client.get(f"invoices{path}")).json()["state"]) == (13_287, "paid")
    report = (await staff.get("staff/invoice-series")).json()["data"]
    assert [(one["series"], one["last"], one["issued"], one["has_no_gap"]) for one in report] == [
        ("credit_note", 2, 2, True),
        ("invoice", 1, 1, True),
    ]


async def test_lines_and_notes_are_paged_and_a_cursor_belongs_to_its_invoice(
    api: Api, acme: Organization, staff: AsyncClient
) -> None:
    made, other = await issued(staff, acme, "1", "2", "3"), await issued(staff, acme, "4")
    for minor in (1, 2, 3):
        await post(staff, f"/{made['id']}/credit-notes", 201, reason="Goodwill", amount=f"0.0{minor}")
    client = await api.browser(acme)
    for what, field in (("lines", "position"), ("credit-notes", "total_minor")):
        first = (await client.get(f"invoices/{made['id']}/{what}", params={"limit": 2})).json()
        cursor = {"cursor": first["next_cursor"]}
        rest = (await client.get(f"invoices/{made['id']}/{what}", params=cursor)).json()
        assert [row[field] for row in first["data"] + rest["data"]] == [1, 2, 3]
        assert rest["next_cursor"] is None
        problem(await client.get(f"invoices/{other['id']}/{what}", params=cursor), 422, "cursor_invalid")


async def test_void_written_off_and_paid_by_credits(api: Api, acme: Organization, staff: AsyncClient) -> None:
    wrong, lost, kept = [await issued(staff, acme, "10") for _ in range(3)]
    assert (await post(staff, f"/{wrong['id']}/void", reason="Typed twice"))["state"] == "void"
    assert (await post(staff, f"/{lost['id']}/uncollectible"))["written_off_minor"] == 1_190
    assert (await post(staff, f"/{kept['id']}/pay-by-credits"))["due_minor"] == 1_190  # there are none
    assert (await issued(staff, acme, "1"))["number"] == "DE1-000004"
    for path, body in (
        (f"{lost['id']}/void", {"reason": "x"}),
        (f"{wrong['id']}/credit-notes", {"reason": "x"}),
    ):
        problem(await staff.post(f"staff/invoices/{path}", json=body), 409, "invoice_state")

    client = await api.browser(acme, Role.BILLING)  # nobody is told to transfer what nobody asks for
    where = (await client.get(f"invoices/{kept['id']}/transfer")).json()
    assert (where["reference"], where["minor"]) == ("DE1-000003", 1_190)
    await post(staff, f"/{kept['id']}/credit-notes", 201, reason="All of it", amount="")
    for one, said in ((wrong, "is void"), (lost, "is uncollectible"), (kept, "is paid")):
        told = problem(await client.get(f"invoices/{one['id']}/transfer"), 409, "invoice_state")
        assert f"{said} and asks for no payment" in told["detail"]
    draft = await post(staff, "", 201, organization_id=acme.id)
    problem(await client.get(f"invoices/{draft['id']}/transfer"), 404, "not_found")


async def test_bad_input_names_its_field(acme: Organization, staff: AsyncClient) -> None:
    draft = await post(staff, "", 201, organization_id=acme.id)
    good = {"description": "Work", "quantity": "1", "unit_amount": "1"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": str(10**15 + 1)}, "quantity"),
        ({"unit_amount": "0.123456789012345"}, "unit_amount"),
        ({"description": ""}, "lines.0.description"),
        ({"period_start": "2026-01-01T00:00:00Z"}, "period_end"),
    ]
    for changed, field in cases:
        answer = await staff.post(f"staff/invoices/{draft['id']}/lines", json=good | changed)
        assert (
            problem(answer, 422, "invalid_input")["errors"][0]["pointer"].rpartition("/")[2]
            == field.rpartition(".")[2]
        ), changed
    assert (await staff.get(f"staff/invoices/{draft['id']}")).json()["lines"] == 0
    problem(await staff.post("staff/invoices", json={"organization_id": "org_x"}), 404, "not_found")
    made = await issued(staff, acme, "1")
    for amount in ("0.001", "-1", "1" + "0" * 30, "NaN"):
        answer = await staff.post(
            f"staff/invoices/{made['id']}/credit-notes", json={"reason": "x", "amount": amount}
        )
        problem(answer, 422, "invalid_input")


@pytest.mark.parametrize(
    ("role", "own", "reads", "writes"),
    [
        (Role.BILLING, 200, 403, 403),
        (Role.DEVELOPER, 403, 403, 403),
        (Role.SUPPORT, 403, 200, 403),
        (Role.OPERATOR, 404, 200, 200),
        (None, 404, 403, 403),  # an owner elsewhere
    ],
)
async def test_who_may_read_and_who_may_bill(
    api: Api, acme: Organization, operators: Organization, staff: AsyncClient,
    role: Role | None, own: int, reads: int, writes: int,
) -> None:  # fmt: skip
    made = await issued(staff, acme, "10")
    at_home = {Role.SUPPORT: operators, Role.OPERATOR: operators, None: await api.world.organization()}
    reader = await api.browser(at_home.get(role, acme), role or Role.OWNER)
    line = (await staff.get(f"staff/invoices/{made['id']}/lines")).json()["data"][0]["id"]
    for path in ("", "/lines", f"/lines/{line}/explain", "/credit-notes"):
        assert (await reader.get(f"invoices/{made['id']}{path}")).status_code == own, path
        assert (await reader.get(f"staff/invoices/{made['id']}{path}")).status_code == reads, path
    for path in ("invoices", "legal-entities", "tax-rates", "invoice-series"):
        assert (await reader.get(f"staff/{path}")).status_code == reads, path
    answer = await reader.post(f"staff/invoices/{made['id']}/uncollectible", json={})
    assert answer.status_code == writes
    profile = await reader.get(f"staff/organizations/{acme.id}/billing-profile")
    assert profile.status_code == reads


async def test_an_entity_is_changed_by_who_saw_it_as_it_is(staff: AsyncClient) -> None:
    (entity,) = (await staff.get("staff/legal-entities")).json()["data"]
    path = f"staff/legal-entities/{entity['id']}"
    answer = await staff.put(path, json={**ENTITY, "name": "Matrix SE", "version": 1})
    assert (answer.status_code, answer.json()["name"], answer.json()["version"]) == (200, "Matrix SE", 2)
    problem(await staff.put(path, json={**ENTITY, "version": 1}), 412, "stale_version")
    assert (await staff.get(path)).json()["name"] == "Matrix SE"
    again = await staff.post("staff/tax-rates", json={**RATE, "valid_from": "2019-01-01"})
    problem(again, 409, "conflict")


async def test_who_bills_all_others_stays_so_until_somebody_says_otherwise(staff: AsyncClient) -> None:
    async def usual() -> list[str]:
        shown = (await staff.get("staff/legal-entities")).json()["data"]
        return [one["code"] for one in shown if one["is_usual"]]

    assert await usual() == [ENTITY["code"]]
    second = (await staff.post("staff/legal-entities", json={**ENTITY, "code": "SECOND"})).json()
    assert await usual() == [ENTITY["code"]]
    path = f"staff/legal-entities/{second['id']}"
    for said, expected in ((True, "SECOND"), (None, "SECOND")):
        version = (await staff.get(path)).json()["version"]
        body = {**ENTITY, "code": "SECOND", "is_usual": said, "version": version}
        assert (await staff.put(path, json=body)).status_code == 200
        assert await usual() == [expected]


async def test_a_rate_ends_on_a_day_to_come_and_never_later_than_it_does(staff: AsyncClient) -> None:
    (rate,) = (await staff.get("staff/tax-rates")).json()["data"]
    for place, status, code in (
        (f"{rate['id']}/end", 422, "invalid_input"),  # documents of that day have it
        ("txr_nothing/end", 404, "not_found"),
    ):
        answer = await staff.post(f"staff/tax-rates/{place}", json={"valid_until": "2021-06-01"})
        problem(answer, status, code)
    empty = {"valid_from": "", "valid_until": "", "name": "Levy"}  # as a form has it
    made = await staff.post("staff/tax-rates", json=RATE | empty)
    assert (made.status_code, made.json()["valid_until"]) == (201, None)
    for day, status in (("2999-01-01", 200), ("2998-01-01", 200), ("2998-01-01", 200), ("2999-01-01", 409)):
        answer = await staff.post(f"staff/tax-rates/{rate['id']}/end", json={"valid_until": day})
        assert answer.status_code == status, day
    rates = (await staff.get("staff/tax-rates", params={"name": "VAT"})).json()["data"]
    assert rates == [rate | {"valid_until": "2998-01-01"}]
    events = (await staff.get("staff/audit", params={"type": "tax_rate.ended"})).json()["data"]
    assert len(events) == 2
