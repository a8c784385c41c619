"""Contests and chargebacks over HTTP: said by customers and banks, answered by staff."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from models.disputes import Dispute
from models.payments import ProviderAccount
from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop

BAD: list[tuple[dict[str, Any], str]] = [
    ({"amount": "0"}, "amount"),
    ({"amount": "-1"}, "amount"),
    ({"amount": "1190.01"}, "amount"),
    ({"amount": "0.001"}, "amount"),
    ({"reason": ""}, "reason"),
    ({"currency": "USD"}, "currency"),
]


async def test_what_a_customer_contests_is_answered_by_staff(api: Api) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("1000"))
    staff = await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    customer = await api.browser(shop.customer, Role.BILLING)
    viewer = await api.browser(shop.customer, Role.VIEWER)
    there = f"invoices/{invoice.id}/contests"
    for body, field in BAD:
        answer = await customer.post(there, json={"reason": "Not ordered", **body})
        assert (answer.status_code, field in answer.text) == (422, True), (body, answer.text)
    assert (await viewer.post(there, json={"reason": "Not ordered"})).status_code == 403

    once = {"Idempotency-Key": "the-one"}
    asked = {"reason": "Not ordered", "amount": "190.00"}
    made = await customer.post(there, json=asked, headers=once)
    assert (made.status_code, made.json()["minor"]) == (201, 190_00), made.text
    assert (await customer.post(there, json=asked, headers=once)).json()["id"] == made.json()["id"]
    assert (await customer.post(there, json=asked)).json()["code"] == "already_contested"
    contest = made.json()["id"]
    assert (await customer.get(f"invoices/{invoice.id}/transfer")).json()["minor"] == 1_000_00
    stranger = await api.browser(await api.world.organization(), Role.OWNER)
    assert (await stranger.get(f"contests/{contest}")).status_code == 404
    assert (await stranger.post(f"contests/{contest}/withdraw", json={})).status_code == 404

    (seen,) = (await staff.get("staff/contests", params={"state": "open"})).json()["data"]
    assert (seen["id"], seen["reason"]) == (contest, "Not ordered")
    refused = await staff.post(f"staff/contests/{contest}/refuse", json={"answer": " "})
    assert refused.status_code == 422
    said = {"answer": "Our mistake", "amount": "100.00"}
    credited = (await staff.post(f"staff/contests/{contest}/credit", json=said)).json()
    assert (credited["state"], credited["credited_minor"]) == ("credited", 100_00)
    (told,) = (await customer.get("contests")).json()["data"]
    assert (told["state"], told["answer"], bool(told["credit_note_id"])) == ("credited", "Our mistake", True)
    gone = await customer.post(f"contests/{contest}/withdraw", json={})
    assert (gone.status_code, gone.json()["code"]) == (409, "contest_state")


async def test_staff_sees_a_dispute_with_what_is_known_and_may_decide_not_to_answer(api: Api) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("1000"))
    staff = await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    customer = await api.browser(shop.customer, Role.OWNER)
    said = {
        "organization_id": shop.customer.id, "currency": "EUR", "amount": "1190.00", "transfer_key": "w",
        "invoice_id": invoice.id,
    }  # fmt: skip
    payment = (await staff.post("staff/transfers", json=said)).json()
    dispute_id = await _disputed(shop.customer.id, payment["id"])

    (listed,) = (await staff.get("staff/disputes", params={"sort": "due_at"})).json()["data"]
    assert (listed["id"], listed["asks"], listed["invoice_number"]) == (dispute_id, True, invoice.number)
    known = (await staff.get(f"staff/disputes/{dispute_id}/evidence")).json()
    assert [one["title"] for one in known["sections"]][:2] == ["Payment", "Invoice lines"]
    assert "Consulting" in known["texts"]["product_description"]
    assert known["texts"]["customer_name"] == "Acme AG"
    assert "192.0.2.10" in known["texts"]["access_activity_log"]  # where the customer signed in
    assert "terms" not in str(known).lower()  # nobody recorded that, so nobody says it

    pack = await staff.get(f"staff/disputes/{dispute_id}/evidence/pdf")
    assert (pack.status_code, pack.content[:5]) == (200, b"%PDF-")
    for address in ("", "/evidence", "/evidence/pdf"):
        assert (await customer.get(f"staff/disputes/{dispute_id}{address}")).status_code == 403
    conceded = (await staff.post(f"staff/disputes/{dispute_id}/concede", json={})).json()
    assert conceded["conceded_at"]
    assert (await staff.get("staff/disputes/dsp_x")).status_code == 404


PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"
SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
# What is sent, as what -> how it is refused.
NO_EVIDENCE: list[tuple[bytes, str, int, str]] = [
    (b"MZ\x90\x00", "receipt", 422, "file_refused"),
    (SCRIPT, "receipt", 422, "file_refused"),
    (b"", "receipt", 422, "file_refused"),
    (PDF + b" " * 5_000_000 + b"%%EOF", "receipt", 413, "file_too_large"),
    (PDF, "nonsense", 422, "invalid_input"),
]


async def test_staff_adds_files_to_an_answer_and_takes_them_away(api: Api) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("1000"))
    staff = await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    customer = await api.browser(shop.customer, Role.OWNER)
    said = {
        "organization_id": shop.customer.id, "currency": "EUR", "amount": "1190.00", "transfer_key": "f",
        "invoice_id": invoice.id,
    }  # fmt: skip
    payment = (await staff.post("staff/transfers", json=said)).json()
    home = f"staff/disputes/{await _disputed(shop.customer.id, payment['id'])}/files"

    async def send(
        content: bytes = PDF, about: str = "receipt", who: httpx.AsyncClient = staff, key: str = ""
    ):
        file = {"file": ("receipt.pdf", content, "application/pdf")}
        headers = {"Idempotency-Key": key} if key else {}
        return await who.post(home, params={"about": about}, files=file, headers=headers)

    for content, about, status, code in NO_EVIDENCE:
        assert problem(await send(content, about), status, code)
    assert problem(await send(who=customer), 403, "not_allowed")
    made = await send(key="once")
    assert (made.status_code, made.json()["name"], made.json()["size_bytes"]) == (
        201,
        "receipt.pdf",
        len(PDF),
    )
    assert (await send(key="once")).json() == made.json()
    assert problem(await send(), 409, "dispute_evidence_full")
    (row,) = (await staff.get(home)).json()["data"]
    assert (row["field"], row["content_type"], row["added_by"] != "") == ("receipt", "application/pdf", True)

    link = (await staff.post(f"{home}/{row['id']}/link", json={})).json()["url"]
    assert (await staff.get(link.removeprefix("/api/v1/"))).content == PDF
    # It is the customer's file in whose books it lies, and nobody of theirs sees it.
    assert (await customer.get("files")).json()["data"] == []
    assert (await customer.get(f"files/{row['id']}")).status_code in (403, 404)
    assert (await customer.delete(f"files/{row['id']}")).status_code in (403, 404)
    for path in ("file_x", "x"):
        assert problem(await staff.delete(f"{home}/{path}"), 404, "not_found")
    assert (await staff.delete(f"{home}/{row['id']}")).status_code == 204
    assert (await staff.get(home)).json()["data"] == []
    assert (await staff.get(link.removeprefix("/api/v1/"))).status_code == 404
    assert (await send(about="refund_policy")).status_code == 201


async def _disputed(organization_id: str, payment_id: str) -> str:
    async with crossing(Reason.PAYMENTS) as uow:
        account = ProviderAccount(
            id=new_id("pacc"), provider="stripe", name="Cards", is_test=True, settings={}, secrets=b"s",
            created_at=uow.wall_now,
        )  # fmt: skip
        uow.add(account)
        await uow.session.flush()
        dispute = Dispute(
            id=new_id("dsp"), organization_id=organization_id, payment_id=payment_id,
            provider_account_id=account.id, provider_ref="du_1", state="needs_answer", reason="fraudulent",
            currency="EUR", minor=1190_00, fee_currency="EUR", opened_at=uow.wall_now,
            due_at=uow.wall_now + timedelta(days=7), created_at=uow.wall_now,
        )  # fmt: skip
        uow.add(dispute)
        return dispute.id
