"""Wallets over HTTP: filled by staff, read and ruled by those who handle money, and never anybody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.identity import Organization
from models.types import OrganizationKind, Role
from tests.api.conftest import Api, problem

GRANT: dict[str, Any] = {"currency": "USD", "amount": "25.00", "grant_key": "welcome"}
TOP_UP: dict[str, Any] = {"currency": "USD", "amount": "50.00", "payment_key": "wire-1"}


@pytest.fixture
async def staff(api: Api) -> Any:
    return await api.browser(await api.world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)


async def test_a_wallet_is_filled_by_staff_and_read_and_ruled_by_its_organisation(
    api: Api, acme: Organization, staff: Any
) -> None:
    billing = await api.browser(acme, Role.BILLING)
    whose = {"organization_id": acme.id}
    assert (await billing.get("wallets/USD")).status_code == 404
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    given = await staff.post("staff/wallets/grants", json={**GRANT, **whose, "expires_at": soon})
    assert (given.status_code, given.json()["is_new"]) == (201, True), given.text
    unnamed = {name: said for name, said in GRANT.items() if name != "grant_key"}
    again = await staff.post(
        "staff/wallets/grants", json={**unnamed, **whose, "currency": "JPY", "amount": "9"}
    )
    assert (again.status_code, again.json()["is_new"]) == (201, True), again.text
    for new in (True, False):  # the same payment, told twice
        paid = await staff.post("staff/wallets/top-ups", json={**TOP_UP, **whose})
        assert (paid.status_code, paid.json()["is_new"]) == (201, new), paid.text

    ruled = await billing.put(
        "wallets/USD/top-up-rule",
        json={"threshold": "80", "refill": "20.00", "ceiling": "100.00", "version": 1},
    )
    assert ruled.status_code == 200, ruled.text
    wallet = (await billing.get("wallets/USD")).json()
    assert (wallet["inbound_minor"], wallet["left_minor"], wallet["accrued"], wallet["version"]) == (
        75_00,
        75_00,
        "0",
        2,
    )
    (due,) = (await billing.get("wallet-top-ups")).json()["data"]
    at = f"wallet-top-ups/{due['id']}"
    where = (await billing.get(f"{at}/transfer")).json()
    assert (where["reference"], where["minor"], where["account"]) == (due["id"], due["minor"], None)
    problem(await billing.post(f"{at}/payments", json={}), 422, "invalid_input")
    assert (await billing.put(f"{at}/payment-link", json={})).json()["url"].count("/pay/") == 1
    assert (due["minor"], due["state"]) == (20_00, "due")
    answered = {**TOP_UP, **whose, "amount": "20.00", "payment_key": "wire-2", "top_up_id": due["id"]}
    assert (await staff.post("staff/wallets/top-ups", json=answered)).status_code == 201
    problem(await billing.get(f"{at}/transfer"), 409, "top_up_not_due")
    problem(await staff.put(f"staff/{at}/payment-link", json={}), 409, "top_up_not_due")
    assert (await staff.get("staff/wallet-top-ups", params={"state": "due"})).json()["data"] == []
    lots = (await billing.get("wallet-lots", params={"currency": "USD"})).json()["data"]
    assert {(lot["source"], lot["priority"], lot["left_minor"]) for lot in lots} == {
        ("promotion", 10, 25_00), ("purchase", 50, 50_00), ("purchase", 50, 20_00),
    }  # fmt: skip
    assert (await billing.delete("wallets/USD/top-up-rule")).json()["threshold_minor"] is None

    stranger = await api.browser(await api.world.organization(), Role.OWNER)
    for path in ("wallets", "wallet-lots", "wallet-debits", "wallet-top-ups"):
        assert (await stranger.get(path)).json()["data"] == []
        assert (await (await api.browser(acme, Role.DEVELOPER)).get(path)).status_code == 403
    assert (await stranger.get("wallet-debits/wdeb_01h455vb4pex5vsknk084sn02q")).status_code == 404


BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("negative", "grants", {"amount": "-1"}, 422, "amount"),
    ("nothing", "top-ups", {"amount": "0"}, 422, "amount"),
    ("10^12", "top-ups", {"amount": "1000000000000"}, 422, "amount"),
    ("15 decimals", "grants", {"amount": "1.000000000000001"}, 422, "amount"),
    ("half a cent", "grants", {"amount": "1.005"}, 422, "amount"),
    ("a float", "grants", {"amount": 1.5}, 422, "amount"),
    ("unknown currency", "grants", {"currency": "XXZ"}, 422, "currency"),
    ("ended currency", "top-ups", {"currency": "HRK"}, 422, "currency"),
    ("past", "grants", {"expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
    ("far", "grants", {"expires_at": "2190-01-01T00:00:00Z"}, 422, "expires_at"),
    ("no such organisation", "grants", {"organization_id": "org_of_nobody"}, 404, ""),
    ("no such top-up", "top-ups", {"top_up_id": "wtop_of_nobody"}, 404, ""),
]


async def test_what_a_wallet_does_not_take_is_refused_in_words(
    api: Api, acme: Organization, staff: Any
) -> None:
    for what, kind, change, status, field in BAD:
        body = {**(GRANT if kind == "grants" else TOP_UP), "organization_id": acme.id, **change}
        answer = await staff.post(f"staff/wallets/{kind}", json=body)
        assert answer.status_code == status, (what, answer.text)
        if field:
            assert field in str(answer.json()["errors"]), (what, answer.text)
    owner = await api.browser(acme, Role.OWNER)
    assert (await owner.get("wallets")).json()["data"] == []
    assert (
        await owner.post("staff/wallets/grants", json={**GRANT, "organization_id": acme.id})
    ).status_code == 403


async def test_staff_lets_an_organisation_pay_ahead(api: Api, acme: Organization, staff: Any) -> None:
    for mode, status in (("prepaid", 200), ("prepaid", 200), ("later", 422)):
        answer = await staff.put(f"staff/organizations/{acme.id}/billing-mode", json={"billing_mode": mode})
        assert answer.status_code == status
    found = await staff.get("staff/organizations", params={"id": acme.id})
    assert found.json()["data"][0]["billing_mode"] == "prepaid"


async def test_a_budget_is_made_once_and_changed_as_its_form_sends_it(api: Api) -> None:
    acme = await api.world.organization(currency="EUR")
    billing, owner = [await api.browser(acme, role) for role in (Role.BILLING, Role.OWNER)]
    once = {"Idempotency-Key": "a-budget"}
    new = {"name": "All", "measure": "cost", "period": "month", "limit": "50"}
    made, again = [await billing.post("budgets", json=new, headers=once) for _ in "ab"]
    assert (made.status_code, again.json()) == (201, made.json()), made.text
    at = f"budgets/{made.json()['id']}"

    typed = {
        "name": "All",
        "limit": "60",
        "action": "notify",
        "requests_per_minute": "",
        "thresholds": "80, 100 %",
    }
    seen = await billing.get(at)
    changed = await billing.patch(at, json=typed | {"version": seen.json()["version"]})
    assert (changed.json()["limit_amount"], changed.json()["thresholds"]) == ("60", [80, 100]), changed.text
    late = await owner.patch(at, json={"limit": "70"}, headers={"If-Match": seen.headers["etag"]})
    current = problem(late, 412, "stale_version")["details"]["current"]
    assert (current["limit_amount"], current["version"]) == ("60", changed.json()["version"])
    slow = typed | {"action": "throttle", "requests_per_minute": "30", "thresholds": ""}
    slowed = (await owner.patch(at, json=slow | {"version": current["version"]})).json()
    assert (slowed["action"], slowed["requests_per_minute"], slowed["thresholds"]) == ("throttle", 30, [])
    wrong = await owner.patch(at, json=slow | {"thresholds": "a lot"})
    assert problem(wrong, 422, "invalid_input")["errors"][0]["pointer"].startswith("#/thresholds")
