"""Jobs that failed for good, as staff sees them over HTTP and on their page, and sends them again."""

from __future__ import annotations

import httpx

from models.identity import Organization
from models.types import Role
from services.core import jobs
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import database
from services.core.work import unit_of_work
from services.notify.jobs import NOTICE_MAIL
from services.operations import held_jobs
from state.governance.held_jobs import HeldJobsState
from tests.api.conftest import Api, problem
from tests.integration.state.visitor import sign_in


async def hold(*keys: str) -> list[str]:
    """Have a job under each key be held, as after eight tries. Returns their numbers."""
    for key in keys:
        await jobs.enqueue(database(), NOTICE_MAIL, {}, dedupe_key=key)
    async with unit_of_work(system()) as uow:
        await uow.execute(
            "update pgqueuer set status = 'failed', attempts = 7, updated = clock_timestamp()"
            " where dedupe_key = any(:keys)",
            keys=list(keys),
        )
        await uow.execute(
            "insert into pgqueuer_log (job_id, status, entrypoint, priority, traceback)"
            " select id, 'failed', entrypoint, priority, cast(:said as jsonb) from pgqueuer",
            said='{"exception_type": "SMTPError", "exception_message": "no ana@example.com\\nthere"}',
        )
        found = await uow.execute("select cast(id as text) from pgqueuer where status = 'failed' order by id")
        return list(found.scalars())


async def status_of(number: str) -> str:
    async with unit_of_work(system()) as uow:
        found = await uow.execute("select cast(status as text) from pgqueuer where id = :id", id=int(number))
        return found.scalar_one()


async def test_staff_sees_why_a_job_is_held_and_sends_it_again_once(
    api: Api, operators: Organization, acme: Organization
) -> None:
    one, other = await hold("a", "b")
    operator, support = (
        await api.browser(operators, Role.OPERATOR),
        await api.browser(operators, Role.SUPPORT),
    )

    first, _ = (await support.get("staff/jobs")).json()["data"]
    assert (first["id"], first["name"], first["tries"]) == (int(one), NOTICE_MAIL, 8)
    assert first["error"] == "SMTPError: no [mail] there"
    written = await support.get("staff/jobs", params={"format": "csv", "sort": "-id"})
    assert [line.split(",")[0] for line in written.text.splitlines()[1:]] == [other, one]
    problem(await (await api.browser(acme)).get("staff/jobs"), 403, "not_allowed")
    problem(await support.post(f"staff/jobs/{one}/retry"), 403, "not_allowed")
    problem(await operator.post("staff/jobs/nonsense/retry"), 404, "not_found")

    async def again(number: str) -> httpx.Response:
        return await operator.post(f"staff/jobs/{number}/retry", headers={"Idempotency-Key": "k"})

    for _ in range(2):
        assert (await again(one)).json() == {"id": one, "name": NOTICE_MAIL}
    assert (
        await operator.post(f"staff/jobs/{one}/retry")
    ).status_code == 200  # without a key, it waits already
    assert await status_of(one) == "queued"
    await jobs.enqueue(database(), NOTICE_MAIL, {}, dedupe_key="b")
    problem(await operator.post(f"staff/jobs/{other}/retry"), 409, "same_work_waits")

    async with crossing(Reason.INVARIANTS) as uow:
        told = await uow.execute("select aggregate_id from event where type = 'job.retried'")
        assert list(told.scalars()) == [one]


async def test_the_page_shows_what_the_api_has_and_follows_it(api: Api, operators: Organization) -> None:
    (one,) = await hold("a")
    visitor, account = await sign_in(api.world, operators, Role.OPERATOR)
    visitor.at = "/governance/health/jobs"
    looked, _ = await visitor.call(HeldJobsState, "load")
    assert [(row["id"], row["error"]) for row in looked.rows] == [(one, "SMTPError: no [mail] there")]
    asked, _ = await visitor.call(HeldJobsState, "ask", one, "retry")
    assert (asked.open_dialog, asked.chosen["id"]) == ("retry", one)

    async def seen() -> dict[str, object]:
        actor = api.world.actor(operators, Role.OPERATOR, account)
        async with crossing(Reason.STAFF, actor=actor) as uow:
            return await held_jobs.changed(uow)

    before = await seen()
    async with crossing(Reason.STAFF, actor=api.world.actor(operators, Role.OPERATOR, account)) as uow:
        await held_jobs.send_again(uow, one)
    after = await seen()
    assert (before["held"], after["held"]) == (1, 0)
    assert before["changed"] != after["changed"]
    looked, _ = await visitor.call(HeldJobsState, "load")
    assert looked.rows == []
