"""Moving subscriptions to a newer version of their plan over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from models.identity import Organization
from models.types import Role
from services.files.stores import FilePlaces, FolderStore
from services.tasks import running
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price

MOVES = "staff/plan-migrations"


async def test_staff_previews_a_migration_has_it_done_and_reads_the_report(
    api: Api, operators: Organization, tmp_path: Path
) -> None:
    shop = await open_shop(api.world)
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"))
    one = await sold.start(plan)
    staff, support = [await api.browser(operators, role) for role in (Role.OPERATOR, Role.SUPPORT)]
    (old,) = (await staff.get("staff/plan-versions", params={"plan_id": plan.id})).json()["data"]
    new = (await staff.post(f"staff/plans/{plan.id}/versions")).json()
    body = {"from_version_id": old["id"], "to_version_id": new["id"]}
    assert problem(await support.post(f"{MOVES}/preview", json=body), 422, "invalid_input")  # not on sale yet
    at = f"staff/plan-versions/{new['id']}/publish"
    assert (await staff.post(at, headers={"If-Match": f'"{new["version"]}"'})).status_code == 200

    shown = (await support.post(f"{MOVES}/preview", json=body)).json()
    assert (shown["subscriptions"], shown["movable"], shown["rows"][0]["way"]) == (1, 1, "stays")
    assert shown["currencies"][0]["old_minor"] == shown["currencies"][0]["new_minor"] == 12 * 6_000
    nowhere = body | {
        "currency": "XXQ"
    }  # nobody has it, which is no reason to say that nobody would be moved
    assert problem(await support.post(f"{MOVES}/preview", json=nowhere), 422, "invalid_input")
    soon = body | {"behaviour": "invoice_now", "notice_days": 40}
    assert problem(await support.post(f"{MOVES}/preview", json=soon), 422, "invalid_input")
    assert problem(await support.post(MOVES, json=body), 403, "not_allowed")
    assert problem(await staff.post(MOVES, json=body | {"from_version_id": "plnv_x"}), 404, "not_found")
    begun = await staff.post(MOVES, json=body | {"key": "spring", "notice_days": 40})
    assert begun.status_code == 201, begun.text
    home = f"{MOVES}/{begun.json()['id']}"
    assert (await staff.post(MOVES, json=body | {"key": "spring"})).json()["id"] == begun.json()["id"]
    assert problem(await staff.post(MOVES, json=body), 409, "migration_under_way")
    assert problem(await support.post(f"{home}/cancel"), 403, "not_allowed")
    assert (await staff.post(f"{home}/cancel")).json()["state"] == "cancelled"
    assert (await staff.post(f"{home}/retry")).json()["state"] == "waiting"
    assert problem(await staff.post(f"{home}/retry"), 409, "migration_under_way")
    while await running.run_next(FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")):
        pass

    done = (await support.get(home)).json()
    assert (done["state"], done["scheduled"], done["done"], done["total"]) == ("done", 1, 1, 1)
    (move,) = (await support.get("staff/plan-migration-moves", params={"migration_id": done["id"]})).json()[
        "data"
    ]
    assert (move["subscription_id"], move["state"], move["new_minor"]) == (one.id, "scheduled", 72_000)
    since, begun_at = datetime.fromisoformat(move["effective_at"]), datetime.fromisoformat(done["created_at"])
    assert (
        timedelta(days=40) <= since - begun_at < timedelta(days=72)
    )  # by the second period's end at the latest
    stranger = await api.browser(shop.customer, Role.OWNER)
    assert problem(await stranger.get(home), 403, "not_allowed")
    assert problem(await stranger.delete(f"subscriptions/{one.id}/scheduled-change"), 409, "move_waits")
    undone = await staff.delete(f"staff/subscriptions/{one.id}/scheduled-change")
    assert undone.json()["scheduled"] is None, undone.text
