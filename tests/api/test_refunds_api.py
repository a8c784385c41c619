"""Money back over HTTP: asked for by one of staff, approved by another, sent, and seen by whoever gets it."""

from __future__ import annotations

from typing import Any

from models.types import OrganizationKind, Role
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop

BAD: list[tuple[dict[str, Any], str]] = [
    ({"amount": "0"}, "amount"),
    ({"amount": "-1"}, "amount"),
    ({"amount": "1190.01"}, "amount"),
    ({"amount": "0.001"}, "amount"),
    ({"amount": "1", "line_ids": ["invl_x"]}, "amount"),
    ({"line_ids": ["invl_x"]}, "lines"),
    ({"to": "elsewhere"}, "to"),
    ({"reason": ""}, "reason"),
    ({"currency": "USD"}, "currency"),
]


async def test_a_refund_goes_from_one_of_staff_to_another_and_to_the_customer(api: Api) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("1000"))
    operators = await api.world.organization(OrganizationKind.OPERATOR)
    ada, bo = [await api.browser(operators, Role.OPERATOR) for _ in range(2)]
    said = {
        "organization_id": shop.customer.id, "currency": "EUR", "amount": "1190.00", "transfer_key": "w",
        "invoice_id": invoice.id,
    }  # fmt: skip
    payment = (await ada.post("staff/transfers", json=said)).json()
    of_payment = f"staff/payments/{payment['id']}"

    unfilled = {"by_line": {"invl_x": ""}, "amount": ""}  # as a form sends fields that nobody filled in
    seen = (await ada.post(f"{of_payment}/refund-preview", json=unfilled)).json()
    assert (seen["minor"], seen["tax_minor"], seen["needs_approval"]) == (119_000, 19_000, True)
    for body, field in BAD:
        answer = await ada.post(f"{of_payment}/refunds", json={"reason": "Agreed", **body})
        assert (answer.status_code, field in answer.text) == (422, True), (body, answer.text)

    asked = {"amount": "600.00", "reason": "Agreed"}
    once = {"Idempotency-Key": "the-one"}
    made = await ada.post(f"{of_payment}/refunds", json=asked, headers=once)
    assert (made.status_code, made.json()["state"]) == (201, "awaiting_approval"), made.text
    refund = f"staff/refunds/{made.json()['id']}"
    again = await ada.post(f"{of_payment}/refunds", json=asked, headers=once)
    assert again.json()["id"] == made.json()["id"]
    other = await ada.post(f"{of_payment}/refunds", json={**asked, "amount": "1"}, headers=once)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    customer = await api.browser(shop.customer, Role.BILLING)
    assert (await customer.get("refunds")).json()["data"] == []
    own = await ada.post(f"{refund}/approve", json={})
    assert (own.status_code, own.json()["code"]) == (403, "second_person_needed")
    assert (await customer.post(f"{refund}/approve", json={})).status_code == 403

    for path, who, body, came in (
        ("approve", bo, {}, {"state": "sending", "by_transfer": True}),
        ("sent", ada, {"reference": "BANK-1"}, {"state": "succeeded", "reference": "BANK-1"}),
    ):
        answers = [
            await who.post(f"{refund}/{path}", json=body, headers={"Idempotency-Key": path}) for _ in "ab"
        ]
        assert [one.status_code for one in answers] == [200, 200], answers[1].text
        assert [one.headers.get("Idempotent-Replayed") for one in answers] == [None, "true"]
        assert answers[0].json() == answers[1].json()
        assert {name: answers[0].json()[name] for name in came} == came
        problem(await who.post(f"{refund}/{path}", json=body), 409, "refund_state")
    (back,) = (await customer.get("refunds", params={"payment_id": payment["id"]})).json()["data"]
    assert (back["minor"], back["invoice_number"], "asked_by" in back) == (60_000, invoice.number, False)
    assert back["credit_note_number"]

    second, third = [(await ada.post(f"{of_payment}/refunds", json={"reason": "More"})).json() for _ in "ab"]
    rejected = await bo.post(f"staff/refunds/{second['id']}/reject", json={"reason": "Too much"})
    assert (rejected.json()["state"], rejected.json()["refusal"]) == ("rejected", "Too much")
    assert (await ada.post(f"staff/refunds/{third['id']}/cancel", json={})).json()["state"] == "canceled"
    waiting = await ada.get("staff/refunds", params={"state": "awaiting_approval"})
    assert waiting.json()["data"] == []
    assert (await customer.get(f"refunds/{second['id']}")).status_code == 404
    stranger = await api.browser(await api.world.organization(), Role.OWNER)
    assert (await stranger.get(f"refunds/{back['id']}")).status_code == 404
    assert (await stranger.get("refunds")).json()["data"] == []


async def test_a_refund_that_came_back_is_given_again_by_its_case(api: Api) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("100"))
    operators = await api.world.organization(OrganizationKind.OPERATOR)
    ada, support = await api.browser(operators, Role.OPERATOR), await api.browser(operators, Role.SUPPORT)
    said = {
        "organization_id": shop.customer.id, "currency": "EUR", "amount": "119.00", "transfer_key": "r",
        "invoice_id": invoice.id,
    }  # fmt: skip
    payment = (await ada.post("staff/transfers", json=said)).json()
    of_payment = f"staff/payments/{payment['id']}"

    async def came_back() -> str:
        refund = (await ada.post(f"{of_payment}/refunds", json={"reason": "Agreed"})).json()["id"]
        await ada.post(f"staff/refunds/{refund}/sent", json={})
        assert (await ada.post(f"staff/refunds/{refund}/returned", json={})).json()["state"] == "failed"
        (case,) = (await ada.get("staff/payment-cases?state=open")).json()["data"]
        assert (case["cause"], case["subject"]) == ("returned_by_bank", refund)
        assert case["accepting"].startswith("Gives 119.00\u00a0EUR back again")
        return f"staff/payment-cases/{case['id']}"

    home = await came_back()
    assert (await support.post(f"{home}/accept", json={})).status_code == 403
    accepted = [(await ada.post(f"{home}/accept", json={})).json() for _ in range(2)]
    assert [one["state"] for one in accepted] == ["accepted"] * 2
    refunds = (await ada.get("staff/refunds", params={"payment_id": payment["id"]})).json()["data"]
    assert [(one["state"], one["minor"]) for one in refunds] == [("sending", 11_900), ("failed", 11_900)]
    assert refunds[0]["credit_note_number"] is None  # it is owed already
    await ada.post(f"staff/refunds/{refunds[0]['id']}/cancel", json={})

    home = await came_back()
    bad = await ada.post(f"{home}/accept", json={"to": "elsewhere"})
    assert bad.status_code == 422
    assert (await ada.post(f"{home}/accept", json={"to": "credit"})).json()["state"] == "accepted"
    refunds = (await ada.get("staff/refunds", params={"payment_id": payment["id"]})).json()["data"]
    assert [one["state"] for one in refunds] == ["failed", "canceled", "failed"]
    assert (await shop.balances())["customer_credit"] == 11_900
