"""One trace id leads from what a person did on a page to all that came of it, also in other processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from models.types import Role
from services.core import database as databases
from services.core import tracing
from services.core.aws_kms import Kms, KmsKey
from services.core.aws_signing import Credentials
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE, Database
from services.core.key_providers import KeysUnavailable
from services.core.relay import deliver, stamp
from services.core.settings import settings
from services.files.s3 import Bucket, S3Store
from services.files.stores import FilePlaces
from services.notify import notices
from services.notify.subscribers import NOTICES
from services.payments.providers.base import ProviderUnavailable
from services.payments.providers.crypto_chain import Chain
from services.tasks import running
from state.portal.tasks import ExportState
from tests.fakes.collector import Collector, collecting
from tests.fakes.s3 import SECRET, FakeS3, s3_server
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.integration.core.job_runs import no_jobs, until, working
from tests.integration.state.visitor import sign_in
from tests.world import World


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        tracing.start("test", collector.address)
        yield collector
        tracing.stop()


@pytest.fixture
async def traced(collector: Collector, database: Database) -> AsyncIterator[Database]:
    """The test's database as a process that traces has it."""
    on = databases.connect(database.url, pool_size=5)
    databases.install(on)
    yield on
    databases.install(database)
    await on.close()


@pytest.fixture
async def mailed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeSmtp]:
    """Where a product in production sends its mail."""
    async with smtp_server(FakeSmtp()) as server:
        monkeypatch.setenv("MATRIX_MODE", "production")
        monkeypatch.setenv("MATRIX_PUBLIC_URL", "https://matrix.example.com")
        monkeypatch.setenv("MATRIX_SMTP_URL", f"smtp://127.0.0.1:{server.port}")
        settings.cache_clear()
        yield server
    settings.cache_clear()


async def test_one_trace_from_a_page_through_its_task_and_job_to_the_servers_they_call(
    traced: Database, collector: Collector, mailed: FakeSmtp, tmp_path: Path
) -> None:
    """An export is asked for on a page, done by one worker, kept on S3, and told of by mail by another."""
    world = World(traced)
    organization = await world.organization()
    visitor, account = await sign_in(world, organization, Role.DEVELOPER)
    asker = world.actor(organization, Role.DEVELOPER, account)
    await notices.prefer(asker, "task_done", "mail", wanted=True)
    visitor.at = "/portal/keys"
    await visitor.call(ExportState, "ask", "keys", "/api/v1/keys?format=csv")
    async with s3_server(FakeS3()) as fake:
        bucket = Bucket(fake.url, "matrix-files", "eu-test-1", "AKIAEXAMPLE", SECRET)
        places = FilePlaces(S3Store(bucket, SystemClock()), tmp_path / "incoming")
        assert await running.run_next(places, on=traced)
        assert len(fake.objects) == 1
    async with await traced.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
    await deliver(NOTICES, traced)
    async with working(traced):
        await until(lambda: no_jobs(traced))
    assert len(mailed.received) == 1
    async with crossing(Reason.INVARIANTS) as uow:
        asked = await uow.execute("select trace_id from event where type = 'task.asked'")
        trace_id = asked.scalar_one()
    tracing.stop()

    spans = collector.of(trace_id)
    assert {
        "ExportState.ask", "unit_of_work", "sql", "task export", "s3", "event task.finished",
        "job notify.notice_mail", "smtp",
    } <= {span.name for span in spans}  # fmt: skip
    assert {span.name for span in spans if span.kind == Span.SPAN_KIND_CLIENT} == {"s3", "smtp"}
    statements = [a.value.string_value for s in spans if s.name == "sql" for a in s.attributes]
    assert any("insert into task" in statement.lower() for statement in statements)
    assert all(organization.id not in statement for statement in statements)
    assert account.email not in collector.text
    assert SECRET not in collector.text


async def test_a_call_of_another_system_that_fails_is_in_the_trace(collector: Collector) -> None:
    nobody = "http://127.0.0.1:9"  # the discard port
    key = KmsKey(Kms(nobody, Credentials("AKIANOBODY", SECRET, "eu-test-1")), "alias/matrix")
    chain = Chain(f"{nobody}/secret-in-the-path", allowed=["127.0.0.1:9"])
    with tracing.act("job") as trace_id:
        with pytest.raises(KeysUnavailable):
            await key.wrap(b"data key", b"place")
        with pytest.raises(ProviderUnavailable):
            await chain.height()
    await chain.close()
    tracing.stop()

    calls = [span for span in collector.of(trace_id) if span.kind == Span.SPAN_KIND_CLIENT]
    assert {span.name for span in calls} == {"aws kms", "chain"}
    assert {span.status.code for span in calls} == {Status.STATUS_CODE_ERROR}
    assert "secret-in-the-path" not in collector.text
