"""The audit log over HTTP: pages, filters, CSV, and where requests came from."""

from __future__ import annotations

import csv
import io

import pytest

from models.identity import Organization
from models.types import Role
from services.core import openings
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.crypto import PLATFORM, Place
from services.core.openings import Purpose
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.identity import organizations
from tests.api.conftest import Api, problem

HERE = "192.0.2.10"


async def test_what_a_person_did_is_listed_with_where_from(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme, email="ana@example.com")
    key = (await owner.post("keys", json={"name": "laptop"})).json()

    listed = (await owner.get("audit")).json()["data"]

    assert [(row["type"], row["actor_name"], row["address"]) for row in listed] == [
        ("api_key.created", "ana@example.com", HERE),
        ("session.started", "ana@example.com", HERE),
    ]
    assert listed[0]["object_id"] == key["id"]
    chosen = await owner.get("audit", params={"type[starts_with]": "api_key.", "actor": "ana@example.com"})
    assert [row["id"] for row in chosen.json()["data"]] == [listed[0]["id"]]
    assert (await owner.get("audit", params={"recorded_at[lt]": listed[1]["recorded_at"]})).json()[
        "data"
    ] == []


async def test_signing_up_switching_and_signing_out_say_who_and_from_where(
    api: Api, acme: Organization, operators: Organization
) -> None:
    stranger = api.client(headers={"x-matrix-csrf": "1"}, address="198.51.100.4")
    body = {"email": "new@example.com", "password": "nine lives and one more", "name": "New"}
    assert (await stranger.post("sign-up", json=body)).status_code == 202
    owner = await api.browser(acme, email="ana@example.com")
    assert (await owner.post("session/organization", json={"organization_id": acme.id})).status_code == 200
    assert (await owner.post("session/sign-out")).status_code == 204
    staff = await api.browser(operators, Role.GOVERNANCE)

    async def who(event: str) -> list[tuple[str, str]]:
        rows = (await staff.get("staff/audit", params={"type": event})).json()["data"]
        return [(row["actor_name"] or row["actor_kind"], row["address"]) for row in rows]

    assert await who("account.signed_up") == [("system", "198.51.100.4")]
    assert await who("session.switched") == await who("session.ended") == [("ana@example.com", HERE)]


async def test_pages_belong_to_their_filters(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    for number in range(3):
        await owner.post("keys", json={"name": f"key {number}"})
    first = (await owner.get("audit?limit=2&type=api_key.created")).json()
    second = await owner.get(
        "audit", params={"limit": 2, "type": "api_key.created", "cursor": first["next_cursor"]}
    )

    names = [row["details"]["name"] for row in first["data"] + second.json()["data"]]
    assert names == ["key 2", "key 1", "key 0"]
    assert second.json()["next_cursor"] is None
    problem(await owner.get("audit", params={"cursor": first["next_cursor"]}), 422, "cursor_invalid")


@pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, 200), (Role.DEVELOPER, 403), (Role.VIEWER, 403)])
async def test_who_may_read_it(api: Api, acme: Organization, role: Role, status: int) -> None:
    member = await api.browser(acme, role)
    for path in ("audit", "secret-openings"):
        assert (await member.get(path)).status_code == status
    for path in ("staff/audit", "staff/secret-openings"):
        problem(await member.get(path), 403, "not_allowed")


async def test_a_key_never_reads_it(api: Api, acme: Organization) -> None:
    client = await api.key_client(acme, "usage:read", "keys:write", "keys:read")
    for path in ("audit", "secret-openings"):
        problem(await client.get(path), 403, "not_allowed")


async def test_csv_by_header_or_parameter_shows_formulas_as_text(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    await owner.post("keys", json={"name": "laptop"})
    actor = Actor("=cmd()", acme.id, frozenset({Capability.ORGANIZATION_WRITE}))
    async with unit_of_work(actor) as uow:
        await organizations.update_organization(uow, name="=HYPERLINK()")

    by_header = await owner.get("audit", headers={"accept": "text/csv"})
    by_parameter = await owner.get("audit?format=csv&limit=1")

    assert by_header.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_header.text == by_parameter.text
    rows = list(csv.DictReader(io.StringIO(by_header.text)))
    assert [row["type"] for row in rows] == ["organization.updated", "api_key.created", "session.started"]
    assert (rows[0]["actor_id"], rows[0]["organization_name"]) == ("'=cmd()", "'=HYPERLINK()")


async def test_staff_reads_all_and_its_looks_are_noted(
    api: Api, acme: Organization, operators: Organization
) -> None:
    owner = await api.browser(acme)
    staff = await api.browser(operators, Role.OPERATOR, email="sam@example.com")

    await staff.get(f"staff/organizations/{acme.id}")

    (seen,) = (await owner.get("audit?type=personal_data.read")).json()["data"]
    assert (seen["actor_kind"], seen["actor_name"], seen["address"]) == ("other", "", HERE)
    listed = await staff.get(
        "staff/audit", params={"organization_id": acme.id, "type[starts_with]": "personal_data."}
    )
    assert [row["actor_name"] for row in listed.json()["data"]] == ["sam@example.com"]
    for address, rows in ((HERE, 1), ("203.0.113.77", 0)):
        narrowed = await staff.get("staff/audit", params={"type": "personal_data.read", "address": address})
        assert len(narrowed.json()["data"]) == rows
    everything = (await staff.get("staff/audit")).json()["data"]
    assert {row["organization_id"] for row in everything} == {acme.id, operators.id}


async def test_staff_reads_and_takes_away_who_opened_what(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR, email="sam@example.com")
    async with crossing(Reason.STAFF, actor=Actor("acc_gone", None, frozenset())) as uow:
        place = Place(acme.id, "payment_method", "token", "paym_1")
        await openings.note(uow, place, Purpose.METHOD_FORGOTTEN)

    (seen,) = (await staff.get("staff/secret-openings", params={"tenant": acme.id})).json()["data"]
    file = await staff.get("staff/secret-openings", params={"tenant": acme.id, "format": "csv"})

    assert (seen["actor_kind"], seen["tenant_name"], seen["purpose"]) == ("other", "Acme", "method_forgotten")
    (row,) = csv.DictReader(io.StringIO(file.text))
    assert row == {name: str(value) for name, value in seen.items()}
    problem(await staff.get("staff/secret-openings", params={"purpose": "fun"}), 422, "invalid_filter")


async def test_an_owner_reads_and_takes_away_who_opened_what_of_theirs(
    api: Api, acme: Organization, operators: Organization
) -> None:
    owner = await api.browser(acme)
    async with crossing(Reason.STAFF, actor=Actor("acc_staff", None, frozenset())) as uow:
        for tenant in (acme.id, operators.id, PLATFORM):
            await openings.note(
                uow, Place(tenant, "payment_method", "token", "paym_1"), Purpose.METHOD_FORGOTTEN
            )

    (seen,) = (await owner.get("secret-openings")).json()["data"]
    file = await owner.get("secret-openings", params={"format": "csv", "place": "payment_method.token"})

    assert (seen["actor_kind"], seen["actor_name"], seen["tenant"]) == ("other", "", acme.id)
    (row,) = csv.DictReader(io.StringIO(file.text))
    assert row == {name: str(value) for name, value in seen.items()}
    problem(await owner.get("secret-openings", params={"tenant": operators.id}), 422, "invalid_filter")
