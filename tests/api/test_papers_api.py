"""Files of documents over HTTP: whose they are, when they come, and that they stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from services.core.database import database
from services.documents.press import Press
from tests.api.conftest import Api, problem
from tests.api.test_invoices_api import BUYER, ENTITY, RATE, issued, post
from tests.integration.papers.printing import Printer


@pytest.fixture
async def staff(api: Api, operators: Organization, acme: Organization) -> AsyncClient:
    """An operator, in a house that can bill Acme."""
    operator = await api.browser(operators, Role.OPERATOR)
    for path, body in (("legal-entities", ENTITY), ("tax-rates", RATE)):
        assert (await operator.post(f"staff/{path}", json=body)).status_code == 201
    answer = await operator.put(f"staff/organizations/{acme.id}/billing-profile", json=BUYER)
    assert answer.status_code == 200, answer.text
    return operator


@pytest.fixture
async def printer(api: Api, tmp_path: Path) -> AsyncIterator[Printer]:
    press = Press()
    yield Printer(database(), press, tmp_path)
    await press.close()


async def test_files_of_a_document_are_there_after_seconds_and_the_same_for_ever(
    api: Api, acme: Organization, staff: AsyncClient, printer: Printer
) -> None:
    made: Any = await issued(staff, acme, "10", "20.005")
    note = await post(staff, f"/{made['id']}/credit-notes", 201, reason="Late", amount="1.00")
    client, member = await api.browser(acme, Role.BILLING), await api.browser(acme, Role.VIEWER)
    stranger = await api.browser(await api.world.organization(name="Other"))
    for path in (f"invoices/{made['id']}", f"credit-notes/{note['id']}"):
        problem(await client.get(f"{path}/pdf"), 409, "paper_not_made")
        assert (await client.get(f"{path}/paper")).json()["state"] == "waiting"
    assert await printer.run() == 2

    for path, number in (
        (f"invoices/{made['id']}", made["number"]),
        (f"credit-notes/{note['id']}", note["number"]),
    ):
        facts = (await client.get(f"{path}/paper")).json()
        assert (facts["state"], facts["number"], facts["missing"]) == ("made", number, [])
        for form, kind, ending in (("pdf", "application/pdf", "pdf"), ("ubl", "application/xml", "xml")):
            answer = await client.get(f"{path}/{form}")
            digest = sha256(answer.content).hexdigest()
            assert answer.headers["content-type"] == kind
            assert answer.headers["content-disposition"].startswith(
                f'attachment; filename="{number}.{ending}"'
            )
            assert (answer.headers["etag"], facts["files"][form]["sha256"]) == (f'"{digest}"', digest)
            assert (
                int(answer.headers["content-length"]) == facts["files"][form]["bytes"] == len(answer.content)
            )
            again = await client.get(f"{path}/{form}", headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert (await staff.get(f"staff/{path}/{form}")).content == answer.content
        view = await client.get(f"{path}/html")
        assert view.text.startswith("<!doctype html>")
        assert "sandbox" in view.headers["content-security-policy"]
        for form in ("pdf", "ubl", "html", "paper"):
            problem(await member.get(f"{path}/{form}"), 403, "not_allowed")
            problem(await stranger.get(f"{path}/{form}"), 404, "not_found")
            problem(await client.get(f"staff/{path}/{form}"), 403, "not_allowed")

    problem(await staff.post(f"staff/papers/{made['id']}/retry", json={}), 409, "paper_is_there")
    draft = await post(staff, "", 201, organization_id=acme.id)
    problem(await staff.get(f"staff/invoices/{draft['id']}/pdf"), 409, "conflict")
    problem(await client.get(f"invoices/{draft['id']}/pdf"), 404, "not_found")
    rows = (await staff.get("staff/papers", params={"state": "made"})).json()["data"]
    assert {row["document_id"] for row in rows} == {made["id"], note["id"]}
    for row in rows:
        for name in ("number", "number[in]"):
            found = (await staff.get("staff/papers", params={name: row["number"]})).json()["data"]
            assert [one["document_id"] for one in found] == [row["document_id"]]
