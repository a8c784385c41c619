"""The doctor finds what is wrong by ids that stay, says what to do, and starts nothing itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import create_async_engine

from matrix_app.doctor import as_json, as_text, failures
from models.types import OrganizationKind, Role
from services.core import database as databases
from services.core import key_file
from services.core.actor import system
from services.core.clock import SystemClock
from services.core.database import Database
from services.core.errors import Forbidden
from services.core.key_file import Keys, Remote, Wrapped
from services.core.settings import Settings
from services.invariants import check
from services.operations import doctor, queues
from services.operations.doctor import Finding, Health, examine
from state.governance.health import HealthState
from tests.integration.state.visitor import sign_in
from tests.world import World

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


class House:
    """An installation in which a worker has just been at work."""

    def __init__(self, on: Database, owner_url: str) -> None:
        self.on = on
        self._owner_url = owner_url

    async def run(self, statement: str, **values: object) -> None:
        engine = create_async_engine(self._owner_url, poolclass=sa.NullPool)
        async with engine.begin() as connection:
            await connection.execute(sa.text(statement), values)

    async def worked(self, at: datetime | None = None) -> None:
        await self.run(
            "insert into subscriber_cursor values ('mail', 0, :at)"
            " on conflict (name) do update set updated_at = excluded.updated_at",
            at=at or datetime.now(UTC),
        )
        await self.run(
            "insert into heartbeat values ('worker', :at)"
            " on conflict (part) do update set beaten_at = excluded.beaten_at",
            at=at or datetime.now(UTC),
        )
        await check.check_all(self.on)


@pytest.fixture
def house(database: Database, owner_url: str) -> House:
    return House(database, owner_url)


async def look(settings: Settings, on: Database) -> dict[str, Finding]:
    return {finding.id: finding for finding in await examine(system(), settings, on)}


def ids(findings: dict[str, Finding], health: Health) -> list[str]:
    return [finding.id for finding in findings.values() if finding.health is health]


async def test_nothing_is_wrong_with_a_house_at_work(house: House, settings: Settings) -> None:
    await house.worked()

    found = await look(settings, house.on)

    assert ids(found, Health.FAILED) == []
    assert list(found) == [f"D{number:03}" for number in range(1, 13)]
    assert ids(found, Health.SKIPPED) == ["D009"]


async def test_what_is_wrong_is_found_with_a_way_out(
    house: House, settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.organization()  # nobody owns it
    await house.worked(datetime.now(UTC) - timedelta(minutes=5))
    (settings.data_dir / "keys" / "master.json").chmod(0o644)
    await house.run(
        "insert into pgqueuer (priority, status, entrypoint) values (0, 'failed', 'notify.account_mail')"
    )
    await house.run(
        "insert into event (type, aggregate_id, actor_id, payload, happened_at, recorded_at, trace_id, position)"
        " values ('t', 'x', '', '{}', now(), now() - interval '3 minutes', '', 1)"
    )
    await house.run("update alembic_version set version_num = '0001'")
    monkeypatch.setattr(doctor, "DISK_FREE_MB_MIN", 10**9)
    monkeypatch.setattr(doctor, "DISK_FREE_MB_LOW", 10**9)
    nobody = settings.model_copy(update={"model_url": "http://127.0.0.1:9"})

    found = await look(nobody, house.on)

    assert ids(found, Health.FAILED) == ["D002", "D003", "D005", "D006", "D007", "D008", "D009", "D010"]
    assert all(found[one].next_step for one in ids(found, Health.FAILED))
    assert "1 of notify.account_mail" in found["D006"].detail
    assert "mail (1 since" in found["D007"].detail
    assert "organization_has_owner" in found["D008"].detail


async def test_clocks_that_differ_are_told(
    house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(minutes=2)

    monkeypatch.setattr(doctor, "SystemClock", Ahead)

    found = await look(settings, house.on)

    assert found["D004"].health is Health.FAILED
    assert "119" in found["D004"].detail or "120" in found["D004"].detail


async def test_without_a_database_the_rest_is_still_told(database: Database, settings: Settings) -> None:
    nowhere = databases.connect("postgresql+psycopg://matrix@127.0.0.1:9/matrix", pool_size=2)

    found = await look(settings, nowhere)
    await nowhere.close()

    assert ids(found, Health.FAILED) == ["D001"]
    assert ids(found, Health.SKIPPED) == ["D002", "D004", "D005", "D006", "D007", "D008", "D009"]
    assert ids(found, Health.OK) == ["D003", "D010", "D011", "D012"]


@pytest.mark.parametrize(
    ("content", "detail", "next_step"),
    [
        ("{}", "it is damaged", "no process starts"),
        ("aws-kms", "cannot be reached", "MATRIX_KMS_"),
        ("pkcs11", "see MATRIX_KEYS", "no process starts"),
    ],
)
async def test_keys_that_are_of_no_use_are_told(
    settings: Settings, content: str, detail: str, next_step: str
) -> None:
    path = key_file.path_in(settings.data_dir)
    path.parent.mkdir(mode=0o700)
    if content == "{}":
        path.write_text(content)
        path.chmod(0o600)
    else:
        key = Remote(content, "wraps")
        key_file.make(path, Keys("one", {"one": key}, Wrapped("one", b"lookup", b"fingerprint")))
    nowhere = databases.connect("postgresql+psycopg://matrix@127.0.0.1:9/matrix", pool_size=2)
    away = Settings(
        data_dir=settings.data_dir, keys="aws-kms", kms_key="wraps", kms_endpoint="http://127.0.0.1:9",
        kms_access_key="who", kms_secret_key=SecretStr("secret"),
    )  # fmt: skip

    found = (await look(away, nowhere))["D010"]

    assert found.health is Health.FAILED
    assert detail in found.detail
    assert next_step in found.next_step


async def test_what_waits_has_an_age(house: House) -> None:
    await house.worked()
    await house.run(
        "insert into event (type, aggregate_id, actor_id, payload, happened_at, recorded_at, trace_id)"
        " values ('t', 'x', '', '{}', now(), now() - interval '1 hour', '')"
    )
    await house.run(
        "insert into pgqueuer (priority, status, entrypoint, execute_after)"
        " values (0, 'queued', 'later', now() + interval '1 day'), (0, 'queued', 'due', now() - interval '2 hours')"
    )

    found = {queue.name: queue for queue in await queues.queues()}

    assert {name: queue.waiting for name, queue in found.items()} == {
        "relay": 1,
        "mail": 0,
        "usage roll-ups": 0,
        "due": 1,
        "later": 1,
    }
    ages = {name: queue.age // timedelta(hours=1) for name, queue in found.items() if queue.age is not None}
    assert ages == {"relay": 1, "due": 2}


async def test_the_health_page_shows_staff_the_same(house: House, world: World) -> None:
    operators = await world.organization(OrganizationKind.OPERATOR)
    await house.worked()
    visitor, _ = await sign_in(world, operators, Role.SUPPORT)

    await visitor.call(HealthState, "load")
    state, _ = await visitor.call(HealthState, "load")  # which tells of the one before

    assert (state.status, [row["id"] for row in state.findings][:2]) == ("ready", ["D001", "D002"])
    assert state.failed == sum(row["health"] == "failed" for row in state.findings)
    (broken,) = [row for row in state.invariants if row["status"] == "broken"]
    assert (broken["id"], operators.id in broken["evidence"]) == ("organization_has_owner", True)
    assert {"relay", "mail", "usage roll-ups"} <= {row["id"] for row in state.queues}
    assert any(row["door"] == "pages" for row in state.traffic)


async def test_members_see_nothing_of_it(house: House, settings: Settings, world: World) -> None:
    acme = await world.organization()
    owner, _ = await sign_in(world, acme)
    state, _ = await owner.call(HealthState, "load")
    assert (state.status, state.findings) == ("forbidden", [])
    with pytest.raises(Forbidden):
        await examine(world.actor(acme), settings, house.on)


def test_what_is_printed_is_for_people_or_for_scripts() -> None:
    findings = [
        Finding("D001", "Database", Health.OK, "PostgreSQL 18 answers."),
        Finding("D003", "Disk", Health.FAILED, "No room.", "Make room."),
    ]
    assert failures(findings) == 1
    assert json.loads(as_json(findings))["findings"][1]["health"] == "failed"
    assert as_text(findings).splitlines()[1:] == [
        "D003 failed   Disk            No room.",
        "                              Make room.",
    ]


def test_the_command_ends_with_1_and_makes_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    environment = {**os.environ, "MATRIX_DATA_DIR": str(empty)}
    done = subprocess.run(
        [sys.executable, "-m", "matrix_app.cli", "doctor", "--json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert {one["id"] for one in report["findings"] if one["health"] == "failed"} == {"D001", "D010"}
    assert report["failed"] == 2
    assert "2 of 12 checks failed." in done.stderr
    assert not empty.exists()
