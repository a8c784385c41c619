"""Tasks over HTTP: asked for once, followed, saved."""

from __future__ import annotations

import csv
import io

from models.identity import Organization
from models.types import Role
from services.core.settings import settings
from services.files.stores import places
from services.tasks import running
from tests.api.conftest import Api, problem


async def test_an_export_is_asked_for_followed_and_saved(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    await client.post("keys", json={"name": "laptop"})
    names = ",".join(["laptop", *("n" * 254 for _ in range(99))])  # as long as a list takes it
    wanted = {"list": "keys", "filters": {"status[in]": "active", "name[in]": names, "sort": "name"}}
    asked = await client.post("tasks/exports", json=wanted, headers={"Idempotency-Key": "k"})
    again = await client.post("tasks/exports", json=wanted, headers={"Idempotency-Key": "k"})
    assert (asked.status_code, again.json()) == (201, asked.json()), asked.text
    task_id = asked.json()["id"]
    while await running.run_next(places(settings())):
        pass

    task = (await client.get(f"tasks/{task_id}")).json()
    assert (task["state"], task["result"]) == ("done", {"list": "keys", "rows": 1})
    link = (await client.post(f"files/{task['file_id']}/link")).json()
    async with api.root() as anybody:
        saved = await anybody.get(link["url"])
    assert [row["name"] for row in csv.DictReader(io.StringIO(saved.content.decode("utf-8-sig")))] == [
        "laptop"
    ]
    assert saved.headers["content-disposition"].startswith('attachment; filename="keys ')

    problem(await client.post(f"tasks/{task_id}/cancel"), 409, "task_ended")
    problem(await client.post(f"tasks/{task_id}/retry"), 409, "task_not_over")
    problem(await client.post("tasks/exports", json={"list": "secrets"}), 422, "invalid_input")
    problem(
        await client.post("tasks/exports", json={"list": "keys", "filters": {"x": "y"}}),
        422,
        "invalid_filter",
    )
    viewer = await api.browser(acme, Role.VIEWER)
    problem(await viewer.post("tasks/exports", json=wanted), 403, "not_allowed")
    problem(await viewer.post(f"files/{task['file_id']}/link"), 403, "not_allowed")  # its rows take keys.read


async def test_tasks_are_listed_in_pages(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    for number in range(3):
        await client.post("tasks/exports", json={"list": "keys", "filters": {"name": str(number)}})
    first = (await client.get("tasks", params={"limit": 2})).json()
    rest = (await client.get("tasks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert len({row["id"] for row in first["data"] + rest["data"]}) == 3
    assert rest["next_cursor"] is None
    stranger = await api.browser(await api.world.organization(name="Other"))
    assert (await stranger.get("tasks")).json()["data"] == []
    problem(await stranger.get(f"tasks/{first['data'][0]['id']}"), 404, "not_found")
