"""Jobs that failed for good are seen, and sent again by a person."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matrix_app import cli, held_jobs
from services.core import jobs
from services.core.database import Database
from services.core.errors import Conflict
from services.core.jobs import Retried
from services.operations.held_jobs import HeldJob, oldest
from tests.integration.core.job_runs import no_jobs, statuses, until, working

ROOT = Path(__file__).parents[3]


@dataclass
class Trouble:
    """Why the job fails; it does not while there is no reason."""

    reason: str = ""


trouble = Trouble()
_ran: list[dict[str, Any]] = []


@jobs.job("test.fail")
async def _fail(payload: dict[str, Any]) -> None:
    _ran.append(payload)
    if trouble.reason:
        raise RuntimeError(trouble.reason)


@pytest.fixture(autouse=True)
def _two_quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    _ran.clear()
    trouble.reason = "not yet"
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 2)
    monkeypatch.setattr(jobs, "RETRY", timedelta(seconds=0.05))
    monkeypatch.setattr(jobs, "POLL", timedelta(seconds=0.1))


async def hold(on: Database, *keys: str) -> None:
    """Have a job under each key fail for good."""
    for number, key in enumerate(keys):
        await jobs.enqueue(on, "test.fail", {"n": number}, dedupe_key=key)

    async def all_held() -> bool:
        return await statuses(on) == ["failed"] * len(keys)

    async with working(on):
        await until(all_held)


async def held_in(on: Database) -> list[HeldJob]:
    return await oldest(on, limit=held_jobs.HELD_JOBS_MAX)


async def test_a_job_that_fails_for_good_is_held_and_can_be_sent_again(database: Database) -> None:
    await hold(database, "a")
    (held,) = await held_in(database)
    assert (held.name, held.tries, held.error) == ("test.fail", 2, "RuntimeError: not yet")
    assert held.enqueued_at <= held.held_at

    trouble.reason = ""
    assert await jobs.retry(database, [held.id]) == Retried(again=1, waiting_already=0, not_held=0)
    async with working(database):
        await until(lambda: no_jobs(database))

    assert _ran == [{"n": 0}] * 3
    assert await held_in(database) == []


async def test_a_job_sent_again_has_all_its_tries_again(database: Database) -> None:
    await hold(database, "a")
    (held,) = await held_in(database)
    await jobs.retry(database, [held.id])

    async def held_again() -> bool:
        return await statuses(database) == ["failed"]

    async with working(database):
        await until(held_again)

    assert len(_ran) == 4
    (again,) = await held_in(database)
    assert (again.id, again.enqueued_at) == (held.id, held.enqueued_at)
    assert again.held_at > held.held_at


async def test_held_jobs_are_listed_oldest_first_and_so_many_at_once(database: Database) -> None:
    await hold(database, "a", "b", "c")

    everything = [one.id for one in await held_in(database)]

    assert everything == sorted(everything)
    assert [one.id for one in await oldest(database, limit=2)] == everything[:2]


async def test_only_what_is_held_is_sent_again(database: Database) -> None:
    await hold(database, "a", "b")
    one, other = await held_in(database)
    await jobs.enqueue(database, "test.fail", {"n": 7}, dedupe_key="c")

    assert await jobs.retry(database, [one.id, one.id + 1_000]) == Retried(
        again=1, waiting_already=0, not_held=1
    )
    assert await jobs.retry(database, [one.id]) == Retried(again=0, waiting_already=0, not_held=1)
    assert await jobs.retry(database, []) == Retried(again=0, waiting_already=0, not_held=0)

    assert [left.id for left in await held_in(database)] == [other.id]


async def test_a_held_job_stays_while_the_same_work_waits_anyway_and_others_are_sent_again(
    database: Database,
) -> None:
    await hold(database, "a", "b")
    await jobs.enqueue(database, "test.fail", {"n": 7}, dedupe_key="a")

    retried = await jobs.retry(database, [one.id for one in await held_in(database)])

    assert retried == Retried(again=1, waiting_already=1, not_held=0)
    assert sorted(await statuses(database)) == ["failed", "queued", "queued"]


async def test_what_a_held_job_says_of_its_failure_names_nobody(database: Database) -> None:
    trouble.reason = "no mailbox ana@example.com\nat mail.example"
    await hold(database, "a")

    (held,) = await held_in(database)

    assert held.error == "RuntimeError: no mailbox [mail] at mail.example"


async def test_a_table_shows_what_is_held(database: Database) -> None:
    assert await held_jobs.listed(database) == "No job is held."
    await hold(database, "a", "b")
    first, second = await held_in(database)

    heads, *lines = (await held_jobs.listed(database)).splitlines()

    assert heads.split() == ["ID", "JOB", "TRIES", "ENQUEUED", "HELD", "ERROR"]
    assert [line.split()[:3] for line in lines] == [
        [str(first.id), "test.fail", "2"],
        [str(second.id), "test.fail", "2"],
    ]
    assert all(line.endswith("Z  RuntimeError: not yet") for line in lines)


async def test_one_is_sent_again_by_its_number_and_the_rest_together(database: Database) -> None:
    await hold(database, "a", "b", "c")
    first, *_ = await held_in(database)

    assert await held_jobs.sent_again(database, str(first.id)) == "1 job sent again."
    assert sorted(await statuses(database)) == ["failed", "failed", "queued"]
    assert await held_jobs.sent_again(database, "all") == "2 jobs sent again."
    assert await statuses(database) == ["queued"] * 3
    assert await held_jobs.sent_again(database, "all") == "No job is held."


async def test_what_waits_already_is_not_sent_again_and_said_so(database: Database) -> None:
    await hold(database, "a", "b")
    first, _ = await held_in(database)
    await jobs.enqueue(database, "test.fail", {}, dedupe_key="a")

    with pytest.raises(Conflict, match="the same work waits already"):
        await held_jobs.sent_again(database, str(first.id))
    assert await held_jobs.sent_again(database, "all") == (
        "1 job sent again. 1 job not sent again: the same work waits already."
    )


async def test_the_command_finds_the_database_and_answers_for_scripts(
    database: Database, owner_url: str, tmp_path: Path
) -> None:
    await hold(database, "a")
    (one,) = await held_in(database)
    environment = {
        **os.environ,
        "MATRIX_DATABASE_URL": owner_url,
        "MATRIX_DATABASE_APP_URL": database.url,
        "MATRIX_DATA_DIR": str(tmp_path),
    }

    async def matrix_jobs(*words: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "matrix_app.cli", "jobs", *words, cwd=ROOT, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, said = await process.communicate()
        return process.returncode, printed.decode(), said.decode()

    status, printed, said = await matrix_jobs()
    assert (status, printed.splitlines()[1].split()[0], said) == (0, str(one.id), "")
    status, printed, said = await matrix_jobs("--retry", str(one.id + 1))
    assert (status, printed) == (1, "")
    assert said.startswith(f"matrix: No job {one.id + 1} is held.")


@pytest.mark.parametrize("nonsense", ["-1", "some", "", "1.5", "\u0661", "99999999999999999999"])
def test_what_is_no_number_of_a_job_is_refused(nonsense: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["jobs", "--retry", nonsense])

    assert ended.value.code == 2
    assert "jobs" in capsys.readouterr().err
