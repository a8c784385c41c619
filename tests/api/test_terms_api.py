"""Terms of service: published by staff, accepted by what people do, shown to owners, and told to a bank."""

from __future__ import annotations

import hashlib

from httpx import AsyncClient

from models.terms import Occasion
from models.types import OrganizationKind, Role
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.terms import service as terms
from tests.api.conftest import Api, problem
from tests.api.test_disputes_api import _disputed
from tests.fakes.anvil.running import KEY
from tests.integration.billing.shop import line, open_shop

FIRST, SECOND = "Be fair.\n\nPay in time.", "Be fair.\n\nPay in time.\n\nNo refunds for used tokens."


async def test_terms_are_accepted_by_what_people_do_and_only_by_people(api: Api) -> None:
    shop = await open_shop(api.world)
    staff = await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    owner = await api.browser(shop.customer, Role.OWNER)
    viewer = await api.browser(shop.customer, Role.VIEWER)
    account = await _chain(staff)

    async def pays() -> None:
        invoice = await shop.invoice(line("1000"))
        paid = await owner.post(f"invoices/{invoice.id}/payments", json={"provider_account_id": account})
        assert paid.status_code == 201, paid.text

    anybody = api.client()
    await pays()  # there are no terms yet
    problem(await anybody.get("terms"), 404, "not_found")
    assert (await owner.get("terms-acceptances")).json()["data"] == []
    assert (await owner.post("staff/terms", json={"text": FIRST})).status_code == 403
    for refused in ("", " \n ", "x" * 100_001):
        assert (await staff.post("staff/terms", json={"text": refused})).status_code == 422
    made = await staff.post("staff/terms", json={"text": f"  {FIRST}  \n"})
    assert (made.status_code, made.json()["number"]) == (201, 1), made.text
    shown = (await anybody.get("terms")).json()
    assert (shown["number"], shown["text"]) == (1, FIRST)

    await pays()
    await pays()

    (first,) = (await owner.get("terms-acceptances")).json()["data"]
    assert (first["number"], first["occasion"], first["address"]) == (1, "paying", "192.0.2.10")
    assert first["sha256"] == hashlib.sha256(FIRST.encode()).hexdigest()
    assert first["user_agent"]
    assert (await viewer.get("terms-acceptances")).status_code == 403
    assert (await staff.post("staff/terms", json={"text": SECOND})).json()["number"] == 2
    async with unit_of_work(system(shop.customer.id)) as uow:
        await terms.accept(uow, Occasion.PAYING)  # as the schedule that charges
    await pays()
    assert [row["number"] for row in (await owner.get("terms-acceptances")).json()["data"]] == [2, 1]
    versions = (await staff.get("staff/terms")).json()["data"]
    assert [(row["number"], row["text"], row["accepted"]) for row in versions] == [
        (2, SECOND, 1), (1, FIRST, 1),
    ]  # fmt: skip

    founded = (await owner.post("organizations", json={"name": "Another"})).json()["id"]
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            "select occasion from terms_acceptance where organization_id = :id", id=founded
        )
        assert list(found.scalars()) == ["founding"]


async def test_a_bank_is_told_which_terms_were_accepted(api: Api) -> None:
    shop = await open_shop(api.world)
    staff = await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    owner = await api.browser(shop.customer, Role.OWNER)
    await staff.post("staff/terms", json={"text": SECOND})
    invoice, account = await shop.invoice(line("1000")), await _chain(staff)
    await owner.post(f"invoices/{invoice.id}/payments", json={"provider_account_id": account})
    said = {
        "organization_id": shop.customer.id, "currency": "EUR", "amount": "1190.00", "transfer_key": "w",
        "invoice_id": invoice.id,
    }  # fmt: skip
    payment = (await staff.post("staff/transfers", json=said)).json()
    dispute_id = await _disputed(shop.customer.id, payment["id"])

    known = (await staff.get(f"staff/disputes/{dispute_id}/evidence")).json()

    sections = {one["title"]: one for one in known["sections"]}
    (accepted,) = sections["Terms accepted"]["rows"]
    assert (accepted[1], accepted[3], accepted[4]) == ("1", "paying", "192.0.2.10")
    assert sections["Text of the terms"]["rows"] == [[one] for one in SECOND.split("\n\n")]
    assert "192.0.2.10" in known["texts"]["uncategorized_text"]
    assert (await staff.get(f"staff/disputes/{dispute_id}/evidence/pdf")).content[:5] == b"%PDF-"


async def _chain(staff: AsyncClient) -> str:
    """A way to pay that asks nobody outside."""
    made = await staff.post(
        "staff/provider-accounts",
        json={
            "provider": "crypto", "name": "Chain", "secrets": {"node": "https://node.example/"},
            "settings": {"chain_id": "1", "key": KEY, "assets": "ETH"},
        },
    )  # fmt: skip
    assert made.status_code == 201, made.text
    rate = {
        "provider_account_id": made.json()["id"], "asset": "ETH", "currency": "EUR", "price": "2380",
        "valid_minutes": 60, "source": "x",
    }  # fmt: skip
    assert (await staff.post("staff/crypto-rates", json=rate)).status_code == 201
    return f"{made.json()['id']}:ETH"
