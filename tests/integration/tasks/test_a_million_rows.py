"""A list of a million rows is written out whole, and in no more memory than a short one."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from models.types import Role
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.files.rules import MB
from services.files.stores import FilePlaces, FolderStore
from services.tasks import queries, running, service
from services.tasks.rules import State
from tests.world import World

REQUESTS_SQL = """
insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed, status,
  error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, attempts, cost, currency,
  address, trace_id)
select :organization_id, 'req_' || lpad(n::text, 8, '0'), 'apikey_' || n % 20, 'acc_' || n % 5, 'model-' || n % 7,
  'ups_1',
  (array['chat', 'completions', 'embeddings'])[1 + n % 3], n % 2 = 0, case when n % 50 = 0 then 429 else 200 end,
  case when n % 50 = 0 then 'rate_limited' else '' end, n % 900, n % 700, 'upstream',
  now() - n * interval '1 minute', (n::bigint * 7919) % 30000, 1,
  case when n % 10 > 0 then (n::bigint * 104729) % 1000000 / 1000000.0 end, 'USD', '', ''
from generate_series(1, :rows) n
"""
ROWS = 1_000_000
MORE_MB_MAX = 200


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


@pytest.mark.deep
@pytest.mark.timeout(1_800)
async def test_a_million_rows_are_written_out_in_little_memory(world: World, tmp_path: Path) -> None:
    organization = await world.organization()
    asker = await world.account(member_of=organization, role=Role.ADMIN)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(REQUESTS_SQL, organization_id=organization.id, rows=ROWS)
    places = FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")
    async with unit_of_work(world.actor(organization, Role.ADMIN, asker)) as uow:
        task_id = (await service.ask(uow, "export", {"list": "requests", "filters": []})).id
    before = peak_bytes()

    assert await running.run_next(places, clock=SystemClock())

    async with unit_of_work(world.actor(organization, Role.ADMIN, asker)) as uow:
        task = await queries.get_task(uow, task_id)
    assert (task.state, task.done) == (State.DONE, ROWS)
    assert peak_bytes() - before < MORE_MB_MAX * MB
    assert task.file_id is not None
    lines = 0
    async for piece in places.store.read(task.file_id):
        lines += piece.count(b"\n")
    assert lines == ROWS + 1
