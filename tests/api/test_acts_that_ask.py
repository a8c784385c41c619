"""What a session that was left open is not enough for, beside acts on people: each asks for the password again."""

from __future__ import annotations

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from tests.api.conftest import PASSWORD, Api, problem

UPSTREAM = {"name": "Away", "base_url": "https://models.example.com/v1", "api_key": "sk-one"}
STRIPE = {
    "provider": "stripe",
    "name": "Cards",
    "is_test": True,
    "settings": {},
    "secrets": {"secret_key": "sk_test_1", "webhook_secret": "whsec_1"},
}


async def test_a_stale_session_ends_no_keys_with_their_project(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    empty, used = [
        (await owner.post("projects", json={"name": name})).json()["id"] for name in ("Empty", "Used")
    ]
    key = (await owner.post("keys", json={"name": "k", "project_id": used})).json()
    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute("update session set proved_at = proved_at - interval '1 hour'")

    asked = await owner.post(f"projects/{used}/archive", json={"end_keys": True})

    problem(asked, 403, "proof_needed")
    assert (await owner.get(f"keys/{key['id']}")).json()["status"] == "active"
    assert (await owner.post(f"projects/{empty}/archive", json={"end_keys": True})).status_code == 200
    assert (await owner.post("session/proof", json={"password": PASSWORD})).status_code == 200
    assert (await owner.post(f"projects/{used}/archive", json={"end_keys": True})).status_code == 200


async def test_a_stale_session_changes_no_secret_and_stops_nobody(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    upstream = (await staff.post("staff/upstreams", json=UPSTREAM)).json()
    account = (await staff.post("staff/provider-accounts", json=STRIPE)).json()
    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute("update session set proved_at = proved_at - interval '1 hour'")
    there, paid = f"staff/upstreams/{upstream['id']}", f"staff/provider-accounts/{account['id']}"
    kept = UPSTREAM | {"api_key": None, "version": 1}
    asking = [
        ("POST", f"staff/organizations/{acme.id}/suspend", None),
        ("POST", "staff/wallets/grants", {"organization_id": acme.id, "currency": "EUR", "amount": "5"}),
        ("PUT", there, kept | {"api_key": "sk-two"}),
        ("PUT", there, kept | {"base_url": "https://elsewhere.example.com/v1"}),
        ("PUT", paid, STRIPE | {"secrets": {"webhook_secret": "whsec_2"}, "version": 1}),
    ]

    for method, path, body in asking:
        problem(await staff.request(method, path, json=body), 403, "proof_needed")
    # What moves no secret and stops nobody is done as before.
    assert (await staff.put(there, json=kept | {"name": "Far away"})).status_code == 200

    assert (await staff.post("session/proof", json={"password": PASSWORD})).status_code == 200
    version = {there: 2, paid: 1}
    for method, path, body in asking:
        given = body | {"version": version[path]} if body and path in version else body
        done = await staff.request(method, path, json=given)
        assert done.is_success, done.text
        if path in version:
            version[path] = done.json()["version"]
