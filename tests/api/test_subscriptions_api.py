"""Subscriptions over HTTP: shown before they are agreed to, billed as shown, and refused in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem
from tests.api.test_disputes_api import _disputed

ENTITY = {
    "code": "DE1", "name": "Matrix GmbH", "address": "Hauptstr. 1", "country": "DE", "currency": "EUR",
    "registrations": ["DE"],
}  # fmt: skip
RATE = {
    "jurisdiction": "DE", "name": "VAT", "rate": "0.19", "source": "UStG", "edition": "2026",
    "valid_from": "2020-01-01",
}  # fmt: skip
BUYER = {"name": "Acme AG", "address": "Ring 2\n80331 München", "country": "DE"}


def flat(key: str, amount: str, currency: str = "EUR") -> dict[str, Any]:
    definition = {"model": "flat", "amount": amount}
    return {"key": key, "name": key.title(), "kind": "flat", "currency": currency, "interval": "month",
            "proration": "fixed_30", "definition": definition}  # fmt: skip


def seats(amount: str, currency: str = "EUR", most: str | None = "500") -> dict[str, Any]:
    definition = {"model": "per_unit", "unit_amount": amount}
    return {"key": "seats", "name": "Seats", "kind": "seat", "currency": currency, "interval": "month",
            "proration": "fixed_30", "definition": definition, "quantity_min": "1", "quantity_max": most}  # fmt: skip


@dataclass
class House:
    """Staff and a client of an organisation, and plans on sale by their slugs."""

    staff: AsyncClient
    client: AsyncClient
    organization: Organization
    plans: dict[str, str]

    def team(self, quantity: Any = "2", **more: Any) -> dict[str, Any]:
        return {"plan_id": self.plans["team"], "currency": "EUR", "quantities": {"seats": quantity}, **more}

    async def started(self, **more: Any) -> dict[str, Any]:
        answer = await self.client.post("subscriptions", json=self.team(**more))
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.client.post(f"subscriptions/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


async def _sell(staff: AsyncClient, product: str, slug: str, *charges: Any, **more: Any) -> str:
    named = {"product_id": product, "slug": slug, "name": slug.title(), **more}
    plan = (await staff.post("staff/plans", json=named)).json()["id"]
    (version,) = (await staff.get("staff/plan-versions", params={"plan_id": plan})).json()["data"]
    gives = [
        {"key": "projects", "name": "Projects", "kind": "number", "value": "10"},
        {"key": "sso", "name": "SSO", "kind": "flag", "value": "true" if slug == "team" else "false"},
    ]
    path = f"staff/plan-versions/{version['id']}"
    saved = await staff.put(path, json={"charges": charges, "entitlements": gives})
    assert saved.status_code == 200, saved.text
    assert (await staff.post(f"{path}/publish")).status_code == 200
    return plan


@pytest.fixture
async def house(api: Api, acme: Organization, operators: Organization) -> House:
    staff, client = await api.browser(operators, Role.OPERATOR), await api.browser(acme, Role.BILLING)
    for path, body in (("legal-entities", ENTITY), ("tax-rates", RATE)):
        assert (await staff.post(f"staff/{path}", json=body)).status_code == 201
    assert (await client.put("billing-profile", json=BUYER)).status_code == 200
    product = (await staff.post("staff/products", json={"slug": "ai", "name": "AI"})).json()["id"]
    both = [flat("base", "60"), flat("base", "70", "USD"), seats("30"), seats("35", "USD")]
    team = await _sell(staff, product, "team", *both)
    solo = await _sell(staff, product, "solo", flat("base", "10"))
    helped = await _sell(staff, product, "help", flat("base", "5"), addon_to=[team])
    crowd = await _sell(staff, product, "crowd", seats("30", most=None), addon_to=[team])
    return House(staff, client, acme, {"team": team, "solo": solo, "help": helped, "crowd": crowd})


async def test_a_subscription_is_previewed_started_changed_and_ended_for_what_was_shown(house: House) -> None:
    client, post = house.client, house.post
    asked = house.team(addons={house.plans["help"]: {}})
    shown = await post("preview", **asked)
    assert (shown["total_minor"], shown["state"]) == (14_875, "active")
    (document,) = shown["invoices"]
    assert (document["net_minor"], document["tax_minor"], document["due_minor"]) == (12_500, 2_375, 14_875)
    assert [(one["description"], one["amount_minor"]) for one in document["lines"]] == [
        ("Base", 6_000), ("Seats", 6_000), ("Base", 500),
    ]  # fmt: skip
    assert document["lines"][0]["steps"][0]["formula"] == "60 × 30 / 30"
    assert (await client.get("subscriptions")).json()["data"] == []  # and nothing was begun

    problem(
        await client.post("subscriptions", json={**asked, "agreed_minor": 14_874}), 409, "preview_outdated"
    )
    assert (await client.get("invoices")).json()["data"] == []  # nothing of what was refused is left
    once = {"json": {**asked, "agreed_minor": 14_875}, "headers": {"Idempotency-Key": "once"}}
    made = (await client.post("subscriptions", **once)).json()
    assert "id" in made, made
    assert (await client.post("subscriptions", **once)).json() == made
    assert [(one["key"], one["quantity"], one["amount_minor"], one["addon"]) for one in made["items"]] == [
        ("base", "1", 6_000, False), ("seats", "2", 6_000, False), ("base", "1", 500, True),
    ]  # fmt: skip
    given = (await client.get("entitlements")).json()["data"]
    assert [(one["key"], one["value"]) for one in given] == [("projects", "20"), ("sso", "true")]

    path = made["id"]
    more = house.team("3", addons={house.plans["help"]: {}})
    shown = await post(f"{path}/change/preview", **more)
    changed = await post(f"{path}/change", **more, at=shown["at"], agreed_minor=shown["total_minor"])
    assert changed["items"][1]["quantity"] == "3"
    billed = (await client.get("invoices")).json()["data"]
    assert [one["total_minor"] for one in billed] == [shown["total_minor"], 14_875]

    seen = await post(f"{path}/change/preview", plan_id=house.plans["solo"])
    first = seen["first_invoice"]
    assert (seen["invoices"], first["billed_at"]) == ([], seen["effective_at"])
    assert (first["net_minor"], first["tax_minor"], first["total_minor"]) == (1_000, 190, 1_190)
    less = await post(f"{path}/change", plan_id=house.plans["solo"])
    assert (less["scheduled"]["plan_name"], less["scheduled"]["at"]) == ("Solo", less["upcoming"]["at"])
    assert less["upcoming"]["amount_minor"] == 1_000
    shown = await post(f"{path}/cancel/preview")
    assert shown["lapses"] == less["scheduled"]
    assert (await post(f"{path}/cancel"))["scheduled"] == less["scheduled"]
    assert (await post(f"{path}/reactivate"))["scheduled"] == less["scheduled"]
    undone = await client.delete(f"subscriptions/{path}/scheduled-change")
    assert (undone.json()["scheduled"], undone.json()["upcoming"]["amount_minor"]) == (None, 15_500)
    problem(await client.delete(f"subscriptions/{path}/scheduled-change"), 409, "subscription_state")

    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    paused = await post(f"{path}/pause", resume_at=until)
    assert (paused["state"], paused["period_end"]) == ("paused", None)
    assert (await client.get("entitlements")).json()["data"] == []
    shown = await post(f"{path}/resume/preview")
    agreed = {"at": shown["at"], "agreed_minor": shown["total_minor"]}
    assert (await post(f"{path}/resume", **agreed))["state"] == "active"

    shown = await post(f"{path}/cancel/preview")
    assert (shown["invoices"], shown["total_minor"]) == ([], 0)
    left = await post(f"{path}/cancel", reason="too_expensive", comment="Too much.")
    assert (left["state"], left["cancel_at"], left["cancel_reason"]) == (
        "canceled", shown["effective_at"], "too_expensive",
    )  # fmt: skip
    assert (await post(f"{path}/reactivate"))["state"] == "active"
    ended = await post(f"{path}/cancel", at_once=True)
    assert (ended["state"], ended["items"], ended["upcoming"]) == ("ended", [], None)
    (row,) = (await client.get("subscriptions", params={"state": "ended"})).json()["data"]
    assert (row["id"], row["plan_name"], row["plan_version"]) == (path, "Team", 1)


async def test_staff_begins_one_later_with_an_older_version_and_terms_to_pay(house: House) -> None:
    staff, client = house.staff, house.client
    plan = house.plans["solo"]
    draft = (await staff.post(f"staff/plans/{plan}/versions")).json()["id"]
    saved = await staff.put(f"staff/plan-versions/{draft}", json={"charges": [flat("base", "12")]})
    assert saved.status_code == 200, saved.text
    assert (await staff.post(f"staff/plan-versions/{draft}/publish")).status_code == 200
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    asked = {
        "organization_id": house.organization.id, "plan_id": plan, "currency": "EUR", "plan_version": 1,
        "collection": "send", "payment_days": 30, "started_at": begins.isoformat(),
    }  # fmt: skip
    looked = await staff.post("staff/subscriptions/preview", json=asked)
    assert looked.status_code == 200, looked.text
    shown = looked.json()
    assert (shown["state"], shown["invoices"], shown["first_invoice"]["net_minor"]) == (
        "scheduled",
        [],
        1_000,
    )
    for wrong in (
        {"plan_version": 3},
        {"collection": "charge"},
        {"collection": "keep"},
        {"payment_days": 366},
    ):
        refused = await staff.post("staff/subscriptions", json=asked | wrong)
        problem(refused, 422, "invalid_input")
    made = (await staff.post("staff/subscriptions", json=asked)).json()
    said = ("state", "plan_version", "collection", "payment_days", "period_end")
    assert [made[name] for name in said] == ["scheduled", 1, "send", 30, None]
    problem(
        await client.post("subscriptions", json={"plan_id": plan, "plan_version": 1}), 422, "invalid_input"
    )

    path = f"staff/subscriptions/{made['id']}"
    paid = (await staff.post(f"{path}/collection", json={"collection": "charge"})).json()
    assert (paid["collection"], paid["payment_days"]) == ("charge", None)
    problem(await client.post(f"{path}/collection", json={"collection": "send"}), 403, "not_allowed")
    own = (await client.get(f"subscriptions/{made['id']}")).json()
    assert (own["state"], own["collection"], own["started_at"][:10]) == (
        "scheduled",
        "charge",
        str(begins.date()),
    )
    ended = (await client.post(f"subscriptions/{made['id']}/cancel", json={})).json()
    assert (ended["state"], (await client.get("invoices")).json()["data"]) == ("ended", [])


async def test_staff_begins_one_in_the_past_and_sees_all(api: Api, house: House) -> None:
    staff, began = house.staff, datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
    asked = house.team(organization_id=house.organization.id, started_at=began.isoformat())
    shown = (await staff.post("staff/subscriptions/preview", json=asked)).json()
    assert [one["net_minor"] for one in shown["invoices"]] == [12_000, 12_000]
    problem(await house.client.post("subscriptions", json=asked), 422, "invalid_input")
    made = await staff.post("staff/subscriptions", json={**asked, "agreed_minor": shown["total_minor"]})
    assert made.status_code == 201, made.text
    path = f"staff/subscriptions/{made.json()['id']}"
    (row,) = (await staff.get("staff/subscriptions")).json()["data"]
    assert (row["organization_name"], row["state"]) == ("Acme", "active")
    assert (await staff.get(path)).json() == made.json()
    half = {"code": "HALF", "name": "Half", "rate": "0.5"}
    assert (await staff.post("staff/coupons", json=half)).status_code == 201
    for act, body, state in (
        ("pause", {}, "paused"),
        ("resume", {}, "active"),
        ("coupons", {"coupon": "HALF"}, "active"),
        ("cancel", {}, "canceled"),
        ("reactivate", None, "active"),
        ("cancel", {"at_once": True, "credits_unused": False}, "ended"),
    ):
        agreed: dict[str, Any] = dict(body or {})
        if body is not None:
            seen = await staff.post(f"{path}/{act}/preview", json=body)
            assert (seen.status_code, seen.json()["state"]) == (200, state), (act, seen.text)
            if act != "coupons":
                agreed |= {"at": seen.json()["at"], "agreed_minor": seen.json()["total_minor"]}
        done = await staff.post(f"{path}/{act}", json=agreed)
        assert (done.status_code, done.json()["state"]) == (200, state), (act, done.text)
    problem(await house.client.get(path), 403, "not_allowed")


async def more_than_a_line_holds(house: House, running: str) -> None:
    """Is refused by the name under which it was sent, whatever is asked."""
    crowd = house.plans["crowd"]
    body = house.team(addons={crowd: {"seats": "1000000000000"}})
    for path in ("", "/preview", f"/{running}/change", f"/{running}/change/preview"):
        said = problem(await house.client.post(f"subscriptions{path}", json=body), 422, "invalid_input")
        assert said["errors"][0]["pointer"] == f"#/addons/{crowd}/quantities/seats"


async def test_what_cannot_be_is_refused_in_words_and_nothing_is_half_done(api: Api, house: House) -> None:
    client, staff = house.client, house.staff
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for code, more in (
        ("DOLLARS", {"amount": "5.00", "currency": "USD"}),
        ("SOLO", {"rate": "0.5", "plans": [house.plans["solo"]]}),
        ("HALF", {"rate": "0.5"}),
    ):
        offered = {"code": code, "name": code, "expires_at": soon, **more}
        assert (await staff.post("staff/coupons", json=offered)).status_code == 201
    running = (await house.started())["id"]
    halved = await house.post(f"{running}/coupons/preview", coupon="HALF")
    assert halved["first_invoice"]["discount_minor"] == 6_000
    assert (await house.post(f"{running}/coupons", coupon="half"))["coupons"][0]["code"] == "HALF"
    ended = (await house.started())["id"]
    await house.post(f"{ended}/cancel", at_once=True)
    canceled = (await house.started())["id"]
    await house.post(f"{canceled}/cancel")
    before = (await client.get("invoices")).json(), (await client.get("subscriptions")).json()

    change, late = f"{running}/change", (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    await more_than_a_line_holds(house, running)
    for path, body, status, code, field in (
        ("", house.team("-1"), 422, "invalid_input", "quantities/seats"),
        ("", house.team("1000000000000"), 422, "invalid_input", "quantities/seats"),
        ("", house.team("1.5"), 422, "invalid_input", "quantities/seats"),
        ("", house.team(1.5), 422, "invalid_input", "quantities/seats"),
        ("", house.team(quantities={"chairs": "1"}), 422, "invalid_input", "quantities/chairs"),
        ("", house.team(currency="XXQ"), 422, "invalid_input", "currency"),
        ("", house.team(currency="JPY"), 422, "invalid_input", "currency"),
        ("", house.team(interval="year"), 422, "invalid_input", "interval"),
        ("", house.team(interval="fortnight"), 422, "invalid_input", "interval"),
        ("", house.team(plan_id="plan_x"), 404, "not_found", ""),
        ("", {"plan_id": house.plans["help"], "currency": "EUR"}, 422, "invalid_input", "plan_id"),
        (change, house.team(plan_id=house.plans["solo"], quantities={}, addons={house.plans["help"]: {}}),
         422, "addon_does_not_fit", f"addons/{house.plans['help']}"),
        ("", house.team(coupon="NONE"), 422, "coupon_unknown", "coupon"),
        ("", house.team(coupon="DOLLARS"), 422, "coupon_currency", "coupon"),
        ("", house.team(coupon="SOLO"), 422, "coupon_other_plan", "coupon"),
        (change, house.team(coupon="HALF"), 409, "coupon_taken", ""),
        (change, house.team(currency="USD"), 422, "subscription_currency", "currency"),
        (change, house.team(at=late), 422, "preview_expired", "at"),
        (change, house.team(at=soon), 422, "preview_expired", "at"),
        (f"{ended}/change", house.team(), 409, "subscription_state", ""),
        (f"{ended}/pause", {}, 409, "subscription_state", ""),
        (f"{ended}/cancel", {}, 409, "subscription_state", ""),
        (f"{ended}/reactivate", {}, 409, "subscription_state", ""),
        (f"{canceled}/change", house.team(), 409, "subscription_state", ""),
        (f"{canceled}/coupons", {"coupon": "HALF"}, 409, "subscription_state", ""),
        (f"{canceled}/coupons/preview", {"coupon": "HALF"}, 409, "subscription_state", ""),
        (f"{running}/coupons/preview", {"coupon": "HALF"}, 409, "coupon_taken", ""),
        (f"{running}/coupons/preview", {"coupon": "NONE"}, 422, "coupon_unknown", "coupon"),
        (f"{running}/resume", {}, 409, "subscription_state", ""),
        (f"{running}/pause", {"resume_at": late}, 422, "invalid_input", "resume_at"),
        (f"{running}/cancel", {"cancel_at": late}, 422, "invalid_input", "cancel_at"),
        (f"{running}/cancel", {"comment": "x" * 1_001}, 422, "invalid_input", "comment"),
    ):  # fmt: skip
        answer = await client.post(f"subscriptions/{path}".rstrip("/"), json=body)
        said = problem(answer, status, code)
        assert not field or said["errors"][0]["pointer"] == f"#/{field}", answer.text
    assert ((await client.get("invoices")).json(), (await client.get("subscriptions")).json()) == before

    viewer = await api.browser(house.organization, Role.VIEWER)
    problem(await viewer.get(f"subscriptions/{running}"), 403, "not_allowed")
    stranger = await api.browser(await api.world.organization(), Role.OWNER)
    for path in ("change", "change/preview"):
        problem(await stranger.post(f"subscriptions/{running}/{path}", json=house.team()), 404, "not_found")


async def test_no_customer_chooses_a_change_that_lets_time_be_had_before_it_is_paid(house: House) -> None:
    """Only staff may have a change count now and be billed later, or begin a whole new period."""
    small = {"plan_id": house.plans["solo"], "currency": "EUR"}
    one = (await house.client.post("subscriptions", json=small)).json()["id"]
    path, before = f"subscriptions/{one}/change", (await house.client.get(f"subscriptions/{one}")).json()
    for behaviour in ("none", "next_invoice", "reset_cycle"):
        for door in (path, f"{path}/preview"):
            said = problem(
                await house.client.post(door, json=house.team(behaviour=behaviour)), 422, "invalid_input"
            )
            assert said["errors"][0]["pointer"] == "#/behaviour"
            problem(
                await house.client.post(f"staff/{door}", json=house.team(behaviour=behaviour)),
                403,
                "not_allowed",
            )
    assert (await house.client.get(f"subscriptions/{one}")).json() == before
    assert len((await house.client.get("invoices")).json()["data"]) == 1

    shown = (await house.staff.post(f"staff/{path}/preview", json=house.team(behaviour="none"))).json()
    (document,) = shown["invoices"]  # of what is new; what it had moves without being billed
    assert [one["description"] for one in document["lines"]] == ["Seats"]
    agreed = {"at": shown["at"], "agreed_minor": shown["total_minor"]}
    moved = await house.staff.post(f"staff/{path}", json=house.team(behaviour="none") | agreed)
    assert (moved.status_code, moved.json()["plan_name"]) == (200, "Team"), moved.text
    assert (await house.client.get(f"subscriptions/{one}")).json() == moved.json()


async def test_nobody_is_billed_who_did_not_say_to_whom(api: Api, house: House) -> None:
    new = await api.browser(await api.world.organization(), Role.OWNER)
    problem(await new.get("billing-profile"), 404, "not_found")
    problem(await new.post("subscriptions/preview", json=house.team()), 409, "billing_profile_missing")

    said = await new.put("billing-profile", json={**BUYER, "version": 0})
    assert (said.status_code, said.json()["version"]) == (200, 1)
    assert (await new.post("subscriptions/preview", json=house.team())).status_code == 200
    stale = await new.put("billing-profile", json={**BUYER, "name": "Other", "version": 0})
    assert problem(stale, 412, "stale_version")["details"]["current"]["name"] == "Acme AG"
    moved = await new.put("billing-profile", json={**BUYER, "country": "FR"}, headers={"If-Match": '"1"'})
    assert (moved.json()["country"], moved.json()["version"]) == ("FR", 2)
    assert "country" in (await new.put("billing-profile", json={**BUYER, "country": "Mars"})).text
    spoken = await new.put("billing-profile", json={**BUYER, "language": "pt"})
    assert (spoken.status_code, spoken.json()["next_step"]) == (422, "Choose one of en, de, fr, ja, ar.")


async def test_subscribing_accepts_the_terms_that_count_once_for_each_version(api: Api, house: House) -> None:
    staff, owner = house.staff, await api.browser(house.organization, Role.OWNER)

    async def accepted() -> list[tuple[int, str, str]]:
        rows = (await owner.get("terms-acceptances")).json()["data"]
        return [(row["number"], row["occasion"], row["account_id"]) for row in rows]

    async def publish(text: str) -> None:
        assert (await staff.post("staff/terms", json={"text": text})).status_code == 201

    await house.started()
    assert await accepted() == []  # no terms are published
    await publish("Be fair.")
    await house.post("preview", **house.team())
    problem(
        await house.client.post("subscriptions", json=house.team(agreed_minor=1)), 409, "preview_outdated"
    )
    on_behalf = {**house.team(), "organization_id": house.organization.id}
    assert (await staff.post("staff/subscriptions", json=on_behalf)).status_code == 201
    assert await accepted() == []  # looking, what was refused, and staff in somebody's place accept nothing

    await house.started()
    await house.started()
    ((number, occasion, who),) = await accepted()
    assert (number, occasion) == (1, "subscribing")
    await publish("Be fair, and pay in time.")
    assert len(await accepted()) == 1  # a new version asks for nothing until somebody acts
    await house.started()
    assert await accepted() == [(2, "subscribing", who), (1, "subscribing", who)]

    invoice = (await owner.get("invoices")).json()["data"][0]
    said = {
        "organization_id": house.organization.id, "invoice_id": invoice["id"], "currency": "EUR", "amount": "5",
        "transfer_key": "a-part",
    }  # fmt: skip
    paid = await staff.post("staff/transfers", json=said)
    assert paid.status_code == 201, paid.text
    dispute_id = await _disputed(house.organization.id, paid.json()["id"])
    known = (await staff.get(f"staff/disputes/{dispute_id}/evidence")).json()
    sections = {one["title"]: one["rows"] for one in known["sections"]}
    assert [row[1:4:2] for row in sections["Terms accepted"]] == [["2", "subscribing"], ["1", "subscribing"]]
    assert sections["Text of the terms"] == [["Be fair, and pay in time."]]
