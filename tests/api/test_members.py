"""The people of an organisation over HTTP, in pages."""

from __future__ import annotations

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from tests.api.conftest import Api, problem


async def test_pages_of_members_neither_repeat_nor_miss_anybody(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    others = [await api.world.account(member_of=acme, role=Role.VIEWER) for _ in range(4)]
    first = (await client.get("organization/members", params={"limit": 2})).json()

    async with crossing(
        Reason.DEMO
    ) as uow:  # one seen and one not yet seen change their names; another joins
        await uow.execute("update account set name = 'Zoë' where id = :id", id=others[0].id)
        await uow.execute("update account set name = 'Aaron' where id = :id", id=others[2].id)
        await uow.execute("delete from membership where account_id = :id", id=others[0].id)
    newest = await api.world.account(member_of=acme)
    seen = [member["account_id"] for member in first["data"]]
    cursor = first["next_cursor"]
    while cursor is not None:
        page = (await client.get("organization/members", params={"limit": 2, "cursor": cursor})).json()
        seen += [member["account_id"] for member in page["data"]]
        cursor = page["next_cursor"]

    me = (await client.get("me")).json()["account"]["id"]
    assert seen == [me, *(other.id for other in others), newest.id]
    everybody = (await client.get("organization/members")).json()
    assert [member["account_id"] for member in everybody["data"]] == [
        one for one in seen if one != others[0].id
    ]
    assert everybody["next_cursor"] is None


async def test_a_cursor_of_members_belongs_to_their_organisation(api: Api, acme: Organization) -> None:
    client, other = await api.browser(acme), await api.browser(await api.world.organization())
    await api.world.account(member_of=acme)
    cursor = (await client.get("organization/members", params={"limit": 1})).json()["next_cursor"]

    problem(await other.get("organization/members", params={"cursor": cursor}), 422, "cursor_invalid")
    problem(await client.get("keys", params={"cursor": cursor}), 422, "cursor_invalid")


async def test_viewers_learn_neither_how_others_sign_in_nor_of_their_keys(
    api: Api, acme: Organization
) -> None:
    owner, viewer = await api.browser(acme), await api.browser(acme, Role.VIEWER, email="eve@example.com")
    created = await owner.post("projects", json={"name": "Search"})
    assert created.status_code == 201, created.text
    for client, shown in ((owner, True), (viewer, False)):
        people = (await client.get("organization/members")).json()["data"]
        projects = (await client.get("projects")).json()["data"]
        assert {person["two_step"] is not None for person in people} == {shown}
        assert any(person["last_seen_at"] is not None for person in people) is shown
        assert {row["active_keys"] is not None for row in people + projects} == {shown}
    problem(await viewer.get("organization/members", params={"two_step": "false"}), 403, "not_allowed")
