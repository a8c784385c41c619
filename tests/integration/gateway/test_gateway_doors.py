"""Other ways in and out: people in the playground, and upstreams that lead inside."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from models.types import BillingMode, Role
from services.core import listing_sql, outgoing
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, NotFound, StaleVersion
from services.core.ids import new_id, new_secret
from services.core.settings import settings
from services.core.work import unit_of_work
from services.gateway import queries, upstreams
from services.gateway.upstreams import UpstreamFields
from services.identity import organizations
from services.identity.cookies import session_cookie
from tests.integration.gateway.house import NO_TLS, WAIT_S, House, model_fields
from tests.papers import brand, campaign, entity, papers, reminded

ASK = [{"role": "user", "content": "hi"}]
BODY = {"model": "plain", "messages": ASK}


async def sign_in(
    house: House, role: Role, *, billing_mode: BillingMode = BillingMode.POSTPAID
) -> tuple[httpx.AsyncClient, str, str]:
    """A browser with a session of somebody of this role; their organisation and account."""
    from datetime import UTC, datetime, timedelta

    from models.identity import Session
    from services.core.crypto import vault
    from services.core.ids import new_id

    organization = await house.world.organization(billing_mode=billing_mode)
    account = await house.world.account(member_of=organization, role=role)
    token, now = new_secret(), datetime.now(UTC)
    async with crossing(Reason.SIGN_IN, on=house.database) as uow:
        uow.add(
            Session(
                id=new_id("ses"),
                token_hash=vault().lookup_hash(token),
                account_id=account.id,
                organization_id=organization.id,
                created_at=now,
                last_seen_at=now,
                proved_at=now,
                expires_at=now + timedelta(days=1),
            )
        )
    return browser_of(house, token), organization.id, account.id


def browser_of(house: House, token: str) -> httpx.AsyncClient:
    cookies = {session_cookie(settings().public_url): token}
    return httpx.AsyncClient(base_url=house.base_url, cookies=cookies, timeout=WAIT_S, verify=NO_TLS)


async def test_a_signed_in_person_calls_from_the_playground(gateway: House) -> None:
    await gateway.furnish("plain")
    browser, organization_id, account_id = await sign_in(gateway, Role.DEVELOPER)

    async with browser:
        answer = await browser.post("/chat/completions", json=BODY, headers={"X-Matrix-CSRF": "1"})
        models = await browser.get("/models")

    assert answer.status_code == models.status_code == 200
    (row,) = await gateway.rows()
    assert (row["organization_id"], row["account_id"], row["key_id"]) == (organization_id, account_id, "")


async def test_calls_of_whoever_is_restricted_are_refused_until_it_is_paid(gateway: House) -> None:
    await gateway.furnish("plain")
    client = await gateway.client()
    owner, issuer, invoice = client.organization.id, new_id("ent"), new_id("inv")
    rows = [
        [entity(issuer, "E1"), brand(issuer), campaign("dcam_1", "Usual")],
        papers(owner, issuer, ids={"inv": invoice})[:2],
        reminded(owner, "dcam_1", invoice)[:1],
    ]
    async with crossing(Reason.DEMO, on=gateway.database) as uow:
        for some in rows:
            uow.session.add_all(some)
            await uow.session.flush()

    for restricts, lifted, status in (
        (True, False, 402),
        (True, True, 200),
        (True, False, 402),
        (False, False, 200),
    ):
        async with crossing(Reason.DEMO, on=gateway.database) as uow:
            changed = "update dunning_case set restricts = :restricts, lifted = :lifted"
            await uow.execute(changed, restricts=restricts, lifted=lifted)
            await organizations.forget_keys(uow, owner)
        async with asyncio.timeout(WAIT_S):  # until the process has heard of it
            while (answer := await client.http.post("/chat/completions", json=BODY)).status_code != status:
                assert answer.status_code in (200, 402)
        assert ("payment_overdue" in answer.text) is (status == 402)


@pytest.mark.parametrize(
    ("headers", "role", "status", "code"),
    [
        ({}, Role.DEVELOPER, 403, "csrf_header_missing"),
        (
            {"X-Matrix-CSRF": "1", "Origin": "https://evil.example"},
            Role.DEVELOPER,
            403,
            "csrf_header_missing",
        ),
        ({"X-Matrix-CSRF": "1"}, Role.VIEWER, 403, "insufficient_scope"),
    ],
)
async def test_a_forged_or_unfit_session_is_refused(
    gateway: House, headers: dict[str, str], role: Role, status: int, code: str
) -> None:
    await gateway.furnish("plain")
    browser, _, _ = await sign_in(gateway, role)
    async with browser:
        answer = await browser.post("/chat/completions", json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_an_unknown_session_is_asked_to_sign_in(gateway: House) -> None:
    await gateway.furnish("plain")
    async with browser_of(gateway, "x" * 43) as browser:
        answer = await browser.post("/chat/completions", json=BODY, headers={"X-Matrix-CSRF": "1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in_required")


async def test_a_name_that_begins_to_lead_inside_is_not_followed(
    gateway: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the address was fine when it was saved. What counts is where the connection would go."""
    staff = gateway.world.actor(await gateway.world.organization(kind="operator"), Role.OPERATOR)  # type: ignore[arg-type]
    async with crossing(Reason.STAFF, actor=staff) as uow:
        given = UpstreamFields("Rebinding", f"http://models.example.com:{gateway.fake.port}/v1")
        row = await upstreams.add_upstream(uow, given)
        await upstreams.add_model(uow, model_fields("rebound", row.id))
    await gateway.gateway.directory.load()
    ana = await gateway.client()
    begun = gateway.fake.log.read_text() if gateway.fake.log.exists() else ""

    class Lying:
        async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    class Loops:
        @staticmethod
        def get_running_loop() -> Lying:
            return Lying()

    monkeypatch.setattr(outgoing, "asyncio", Loops)
    answer = await ana.http.post("/chat/completions", json=BODY | {"model": "rebound"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert answer.headers["x-should-retry"] == "false"
    assert "127.0.0.1" not in answer.text
    assert (gateway.fake.log.read_text() if gateway.fake.log.exists() else "") == begun


async def test_the_key_of_an_upstream_is_sent_there_and_shown_nowhere(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.http.post("/chat/completions", json=BODY)

    assert '"authorization": "Bearer sk-inside"' in gateway.fake.log.read_text()
    assert ana.key.secret not in gateway.fake.log.read_text()
    staff = gateway.world.actor(await gateway.world.organization(kind="operator"), Role.OPERATOR)  # type: ignore[arg-type]
    async with crossing(Reason.STAFF, actor=staff) as uow:
        (row,) = await listing_sql.select(uow, queries.UPSTREAMS)
        assert row.has_api_key
        assert "sk-inside" not in repr(row)
        sealed = (await uow.execute("select api_key_sealed from upstream")).scalar_one()
        assert b"sk-inside" not in sealed


async def test_a_change_of_an_upstream_reaches_the_next_call(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    assert (await ana.http.post("/chat/completions", json=BODY)).status_code == 200
    staff = gateway.world.actor(await gateway.world.organization(kind="operator"), Role.OPERATOR)  # type: ignore[arg-type]
    allowed = [f"127.0.0.1:{gateway.fake.port}"]
    off = UpstreamFields("Fake drain", gateway.fake.url, enabled=False)

    async with crossing(Reason.STAFF, actor=staff) as uow:
        await upstreams.update_upstream(uow, gateway.upstream_id, off, version=1, allowed_private=allowed)

    while (await ana.http.post("/chat/completions", json=BODY)).status_code == 200:
        pass  # the wake-up takes a few milliseconds; without it this would go on for half a minute
    assert (await ana.http.post("/chat/completions", json=BODY)).status_code == 404


async def test_a_model_is_offered_only_while_its_upstream_is_in_use(house: House) -> None:
    await house.furnish("plain")
    staff = house.world.actor(await house.world.organization(kind="operator"), Role.OPERATOR)  # type: ignore[arg-type]
    member = house.world.actor(await house.world.organization())
    allowed = [f"127.0.0.1:{house.fake.port}"]

    async def offered(version: int, *, enabled: bool) -> list[str]:
        given = UpstreamFields("Fake drain", house.fake.url, enabled=enabled)
        async with crossing(Reason.STAFF, actor=staff) as uow:
            await upstreams.update_upstream(
                uow, house.upstream_id, given, version=version, allowed_private=allowed
            )
        async with unit_of_work(member) as uow:
            return [model.slug for model in await queries.models(uow)]

    assert await offered(1, enabled=False) == []
    assert await offered(2, enabled=True) == ["plain"]


async def test_who_may_change_upstreams_and_what_is_refused(house: House) -> None:
    await house.furnish("plain")
    operator = await house.world.organization(kind="operator")  # type: ignore[arg-type]
    given = UpstreamFields("Another", "https://models.example.com/v1/")
    for role in (Role.OWNER, Role.SUPPORT, Role.GOVERNANCE):
        with pytest.raises(Forbidden):
            async with crossing(Reason.STAFF, actor=house.world.actor(operator, role)) as uow:
                await upstreams.add_upstream(uow, given)
    async with crossing(Reason.STAFF, actor=house.world.actor(operator, Role.OPERATOR)) as uow:
        row = await upstreams.add_upstream(uow, given)
        assert row.base_url == "https://models.example.com/v1"
        with pytest.raises(outgoing.AddressRefused):
            await upstreams.add_upstream(uow, UpstreamFields("Inside", "http://169.254.169.254/latest"))
        with pytest.raises(Conflict):
            await upstreams.add_upstream(uow, given)
        with pytest.raises(StaleVersion):
            await upstreams.update_upstream(uow, row.id, given, version=9)
        with pytest.raises(NotFound):
            await upstreams.add_model(uow, model_fields("m", "ups_unknown"))
        with pytest.raises(Conflict):
            await upstreams.add_model(uow, model_fields("plain", row.id))


async def test_the_builtin_models_are_there_once(house: House) -> None:
    for _ in range(2):
        async with crossing(Reason.CATALOG, on=house.database) as uow:
            await upstreams.ensure_builtin(uow)
    organization = await house.world.organization()

    async with unit_of_work(house.world.actor(organization), on=house.database) as uow:
        shown = await queries.models(uow)
    assert [model.slug for model in shown] == ["smollm2-135m", "smollm2-135m-embeddings"]
