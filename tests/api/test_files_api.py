"""Files over HTTP: sent as a form, read by a link, and nothing else of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from services.core.settings import settings
from services.files.retention import sweep
from services.files.stores import places
from tests.api.conftest import ADDRESS, Api, problem

CSV = ("/tmp/../secret\r\n\u202evsc.csv", b"a,b\n1,2\n", "application/x-msdownload")


async def send(client: AsyncClient, file: Any = CSV, purpose: str = "attachment", **options: Any) -> Any:
    return await client.post("files", params={"purpose": purpose}, files={"file": file}, **options)


async def test_a_file_goes_in_once_and_comes_out_by_a_link(api: Api, acme: Organization) -> None:
    client = await api.browser(acme, Role.DEVELOPER)
    first = await send(client, headers={"Idempotency-Key": "k"})
    again = await send(client, headers={"Idempotency-Key": "k"})
    other = await send(client, ("b.csv", b"b\n", "text/csv"), headers={"Idempotency-Key": "k"})
    assert first.status_code == 201, first.text
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    problem(other, 409, "idempotency_key_reused")
    shown = first.json()
    assert (shown["name"], shown["content_type"], shown["size_bytes"]) == ("secretvsc.csv", "text/csv", 8)

    link = (await client.post(f"files/{shown['id']}/link")).json()
    async with api.root() as anybody:
        saved = await anybody.get(link["url"])
        assert saved.content == CSV[1]
        assert saved.headers["content-disposition"].startswith('attachment; filename="secretvsc.csv"')
        assert saved.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in saved.headers["content-security-policy"]
        problem(await anybody.get(link["url"].replace("expires=", "expires=1")), 404, "not_found")

    assert [row["id"] for row in (await client.get("files")).json()["data"]] == [shown["id"]]
    assert (await client.delete(f"files/{shown['id']}")).status_code == 200
    problem(await client.get(f"files/{shown['id']}"), 404, "not_found")
    async with api.root() as anybody:
        problem(await anybody.get(link["url"]), 404, "not_found")


async def test_a_file_that_was_deleted_does_not_come_back_when_its_upload_is_repeated(
    api: Api, acme: Organization
) -> None:
    client = await api.browser(acme)
    sent = await send(client, headers={"Idempotency-Key": "k"})
    await client.delete(f"files/{sent.json()['id']}")
    assert await sweep(places(settings())) == 1
    again = await send(client, headers={"Idempotency-Key": "k"})
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (sent.json(), "true")
    problem(await client.get(f"files/{sent.json()['id']}"), 404, "not_found")
    data: Path = settings().data_dir
    assert [p for name in ("files", "incoming") for p in (data / name).rglob("*") if p.is_file()] == []


async def test_what_is_not_one_good_file_is_refused_and_leaves_nothing(api: Api, acme: Organization) -> None:
    client = await api.browser(acme)
    head = 'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    form = {"content-type": "multipart/form-data; boundary=x"}
    whole = f"--x\r\n{head}a\r\n--x--\r\n"

    async def raw(body: str | bytes, headers: dict[str, str] = form) -> Any:
        return await client.post("files?purpose=attachment", content=body, headers=headers)

    problem(await send(client, ("a.png", b"\x7fELF", "image/png")), 422, "file_refused")
    problem(await send(client, ("a.csv", b"", "text/csv")), 422, "file_refused")
    problem(await send(client, purpose="export"), 422, "invalid_input")
    problem(
        await send(client, ("p.svg", b"x" * 3_000_000, "image/svg+xml"), "picture"), 413, "file_too_large"
    )
    problem(await client.post("files?purpose=attachment", json={}), 415, "unsupported_media_type")
    problem(await client.post("files?purpose=attachment", files={"other": CSV}), 422, "invalid_input")
    problem(await raw(whole, {"content-type": "multipart/form-data"}), 400, "malformed_request")
    problem(await raw(whole[:-9]), 400, "malformed_request")
    problem(await raw("nonsense"), 400, "malformed_request")
    problem(await raw(f"--x\r\n{head}a\r\n{whole}"), 400, "malformed_request")
    problem(await raw(f"--x\r\nX: {'y' * 20_000}\r\n{head}a\r\n--x--\r\n"), 400, "malformed_request")
    viewer = await api.browser(acme, Role.VIEWER)
    problem(await send(viewer), 403, "not_allowed")
    assert (await client.get("files")).json()["data"] == []
    data: Path = settings().data_dir
    assert [p for name in ("files", "incoming") for p in (data / name).rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("path", ["files/{}", "files/{}/link"])
async def test_another_organisations_file_is_not_there(path: str, api: Api, acme: Organization) -> None:
    file_id = (await send(await api.browser(acme))).json()["id"]
    stranger = await api.browser(await api.world.organization(name="Other"))
    ask = stranger.post if path.endswith("link") else stranger.get
    problem(await ask(path.format(file_id)), 404, "not_found")
    problem(await stranger.delete(f"files/{file_id}"), 404, "not_found")
    assert ADDRESS not in (await stranger.get("files")).text
