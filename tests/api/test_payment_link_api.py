"""Links to pay by over the API: made by those who may, and followed by whoever has one."""

from __future__ import annotations

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop


async def test_a_link_is_made_followed_and_taken_back(api: Api, operators: Organization) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("100"))
    owner = await api.browser(shop.customer)
    where = f"invoices/{invoice.id}/payment-link"
    viewer = await api.browser(shop.customer, Role.VIEWER)
    problem(await viewer.put(where, json={}), 403, "not_allowed")
    other = await api.browser(await api.world.organization())
    problem(await other.put(where, json={}), 404, "not_found")

    made = (await owner.put(where, json={})).json()
    staff = await api.browser(operators, Role.OPERATOR)
    assert (await staff.put(f"staff/{where}", json={})).json() == made
    token = made["url"].rsplit("/", 1)[-1]
    stranger = api.client("192.0.2.77")
    paying = {"token": token, "provider_account_id": "pacc_01h455vb4pex5vsknk084sn02q"}
    problem(await stranger.post("payment-link/payments", json=paying), 404, "not_found")
    problem(await stranger.post("payment-link/cancel", json={"token": token}), 404, "not_found")
    problem(await stranger.get("payment-link/pdf", params={"token": token}), 409, "paper_not_made")
    problem(await stranger.get("payment-link/pdf", params={"token": f"{token}x"}), 404, "not_found")
    assert (await staff.delete(f"staff/{where}")).status_code == 204

    problem(await stranger.get("payment-link/pdf", params={"token": token}), 410, "payment_link_ended")
    problem(await stranger.post("payment-link/payments", json=paying), 410, "payment_link_ended")
