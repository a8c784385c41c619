"""What is remembered of a key makes reads quick, and lets nobody in who has been shut out."""

from __future__ import annotations

from models.identity import Organization
from services.core import database as databases
from services.core.crossing import Reason, crossing
from services.core.database import database
from tests.api.conftest import Api, problem


async def test_a_key_is_shut_out_with_the_answer_that_says_so(api: Api, acme: Organization) -> None:
    """No notification has to arrive first: the process that ends a key forgets it then and there."""
    owner = await api.browser(acme)
    for end in ("revoke", "rotate"):
        made = (await owner.post("keys", json={"name": end, "scopes": ["keys:read"]})).json()
        client = api.client(headers={"authorization": f"Bearer {made['secret']}"})
        assert (await client.get("keys")).status_code == 200

        if end == "revoke":
            assert (await owner.delete(f"keys/{made['id']}")).status_code == 200
            problem(await client.get("keys"), 401, "key_revoked")
        else:
            rotated = await owner.post(f"keys/{made['id']}/rotate", json={"overlap_hours": 0})
            assert rotated.status_code == 201
            problem(await client.get("keys"), 401, "key_expired")


async def test_a_key_that_was_ended_unnoticed_reads_what_it_read_and_changes_nothing(
    api: Api, acme: Organization
) -> None:
    client = await api.key_client(acme, "keys:write")
    key_id = (await client.get("me")).json()["key_id"]
    async with crossing(Reason.DEMO) as uow:  # as if no notification had come through
        await uow.execute("update api_key set revoked_at = now() where id = :id", id=key_id)

    assert (await client.get("me")).status_code == 200
    problem(await client.post("keys", json={"name": "another"}), 401, "key_revoked")
    problem(await client.patch(f"keys/{key_id}", json={"name": "mine"}), 401, "key_revoked")


async def test_who_is_known_is_let_in_without_a_question_to_the_database(
    api: Api, acme: Organization
) -> None:
    client = await api.key_client(acme, "keys:read")
    assert (await client.get("me")).status_code == 200

    here = database()
    away = databases.connect("postgresql+psycopg://nobody@127.0.0.1:9/none")
    databases.install(away)
    try:
        assert (await client.get("me")).status_code == 200
        problem(await client.get("keys"), 503, "unavailable")
    finally:
        databases.install(here)
        await away.close()
