"""The demo: made through verbs, once, the same each time, and exact to the last figure."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.types import Role
from services.core import crypto
from services.core import database as databases
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.postgres import EmbeddedPostgres
from services.core.settings import Settings
from services.core.work import unit_of_work
from services.demo.service import ensure_demo
from services.demo.stories import HALDEN, HISTORY_DAYS, KUMO, MERIDIAN, STORIES
from services.documents.press import Press
from services.identity import keys
from services.identity.clients import Client
from services.identity.key_queries import find_by_secret
from services.identity.queries import actor_for_token
from services.identity.sessions import OpenedSession, sign_in
from services.metering import requests
from tests.checks import assert_rollups_equal_raw
from tests.conftest import TEMPLATE
from tests.integration.papers.printing import Printer

pytestmark = pytest.mark.xdist_group("demo")  # the demo is made once for all tests here

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 7, 15, 13, 20, 11, tzinfo=UTC)  # a Wednesday, with a month's end two weeks ago
MADE = "demo_template"
STEPS_BEFORE_KILL = 24  # people, keys, prices and a part of the usage
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class House:
    """A database and the data folder that goes with it."""

    on: Database
    settings: Settings

    @property
    def card(self) -> dict[str, Any]:
        return json.loads((self.settings.data_dir / "demo.json").read_text())

    async def read(self, statement: str, **named: Any) -> list[tuple[Any, ...]]:
        async with crossing(Reason.INVARIANTS, on=self.on) as uow:
            return [tuple(row) for row in await uow.execute(statement, **named)]


@pytest.fixture(scope="module")
def made(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder; the finished demo that belongs to it is the database MADE."""
    folder = tmp_path_factory.mktemp("demo")
    postgres.ensure_database(MADE, template=TEMPLATE)

    async def make() -> None:
        async with at_home(postgres.app_url(MADE), folder) as house:
            await ensure_demo(house.on, house.settings, clock=FixedClock(NOW))

    asyncio.run(make())
    yield folder
    postgres.drop_database(MADE)


@asynccontextmanager
async def at_home(url: str, folder: Path) -> AsyncIterator[House]:
    house = House(databases.connect(url, pool_size=5), Settings(data_dir=folder))
    crypto.install(crypto.file_vault(folder))
    databases.install(house.on)
    try:
        yield house
    finally:
        databases.install(None)
        await house.on.close()


@pytest.fixture
async def house(made: Path, postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[House]:
    """A finished demo of this test's own."""
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    postgres.ensure_database("demo_clone", template=MADE)
    async with at_home(postgres.app_url("demo_clone"), folder) as house:
        yield house
    postgres.drop_database("demo_clone")


# What the demo says, without the identifiers and secrets that differ between any two.
DOCUMENTS = {
    "people": "select a.email, a.name, a.verified_at, m.role, o.name, m.created_at from account a"
    " join membership m on m.account_id = a.id join organization o on o.id = m.organization_id order by 1",
    "organisations": "select name, kind, timezone, currency, billing_mode, created_at from organization order by 1",
    "keys": "select o.name, k.name, k.scopes, k.requests_per_minute, k.tokens_per_minute, k.created_at,"
    " k.expires_at, k.revoked_at, k.last_used_at, a.email from api_key k join organization o on o.id ="
    " k.organization_id join account a on a.id = k.created_by where k.name <> 'Getting started' order by 1, 2, 6",
    "parts": "select 'project', o.name, p.name, p.description, p.created_at from project p join organization o"
    " on o.id = p.organization_id union all select 'program', o.name, s.name, s.role, s.created_at"
    " from service_account s join organization o on o.id = s.organization_id union all"
    " select 'invited', o.name, i.email, i.role, i.created_at from invitation i join organization o"
    " on o.id = i.organization_id order by 1, 2, 3",
    "models": "select slug, endpoints, created_at from model order by 1",
    "prices": "select model, meter, currency, unit_amount, per_units, valid_from, valid_to, created_at"
    " from price order by 1, 2, 3, 6",
    "plans": "select p.slug, p.addon_to <> '{}', v.number, v.state, v.published_at, c.key, c.currency, c.interval,"
    " c.definition from plan p join plan_version v on v.plan_id = p.id join plan_charge c on c.plan_version_id = v.id"
    " order by 1, 3, 6, 7, 8",
    "requests": "select r.id, o.name, k.name, k.created_at, r.model, r.endpoint, r.streamed, r.status, r.error_code,"
    " r.prompt_tokens, r.completion_tokens, r.tokens_source, r.started_at, r.latency_ms, r.first_token_ms,"
    " r.attempts, r.cost, r.currency, r.address, r.trace_id from request r join organization o on"
    " o.id = r.organization_id join api_key k on k.id = r.key_id order by r.id",
    "days": "select o.name, m.slug, d.bucket, d.model, k.name, k.created_at, d.events, d.quantity, d.cost, d.unpriced"
    " from usage_day d join organization o on o.id = d.organization_id join meter m on m.id = d.meter_id"
    " join api_key k on k.id = d.key_id order by 1, 2, 3, 4, 5, 6",
}


async def documents(house: House) -> dict[str, list[tuple[Any, ...]]]:
    return {name: await house.read(statement) for name, statement in DOCUMENTS.items()}


async def test_three_plans_and_an_add_on_are_sold_by_the_month_and_the_year(house: House) -> None:
    sold = {(slug, addon, currency) for slug, addon, _, state, _, _, currency, *_ in (await documents(house))["plans"]
            if state == "published"}  # fmt: skip

    assert sold == {
        (slug, slug == "priority-support", currency)
        for slug in ("starter", "team", "scale", "priority-support")
        for currency in ("USD", "EUR", "JPY")
    }


async def test_the_first_invoice_gets_its_files_from_the_worker(house: House, tmp_path: Path) -> None:
    press = Press()
    printer = Printer(house.on, press, tmp_path)
    try:
        assert await printer.run() >= 1
    finally:
        await press.close()

    rows = await house.read(
        "select p.document_id, p.state, t.state from paper p join template_version t on t.id = p.template_version_id"
    )
    assert {row[1:] for row in rows} == {("made", "published")}
    paper = await printer.paper(rows[0][0])
    assert (await printer.read(paper)).startswith(b"%PDF")
    assert paper.missing == []


async def test_running_it_again_changes_nothing(house: House) -> None:
    everything = (
        "select (select max(id) from event), (select count(*) from request), (select count(*) from api_key)"
    )
    before, card = await house.read(everything), house.card

    await ensure_demo(house.on, house.settings, clock=FixedClock(NOW + timedelta(days=3)))

    assert await house.read(everything) == before
    assert house.card == card


@pytest.mark.deep  # the demo is made once more
async def test_killed_half_way_and_run_again_it_says_the_same(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    expected = await documents(house)
    postgres.ensure_database("demo_killed", template=TEMPLATE)
    url, folder = postgres.app_url("demo_killed"), tmp_path / "killed"
    folder.mkdir()
    try:
        await _make_and_kill(url, folder)
        async with at_home(url, folder) as again:
            steps = await again.read("select count(*) from event where type = 'demo.step_made'")
            assert STEPS_BEFORE_KILL <= steps[0][0] < len(await house.read(_STEPS))
            assert not (folder / "demo.json").exists()

            await ensure_demo(again.on, again.settings, clock=FixedClock(NOW + timedelta(hours=7)))

            for name, rows in (await documents(again)).items():
                assert rows == expected[name], name
            assert await again.read(_STEPS) == await house.read(_STEPS)
    finally:
        postgres.drop_database("demo_killed")


_STEPS = "select payload ->> 'step' from event where type = 'demo.step_made' order by 1"
_MAKER = """
import asyncio, sys
from datetime import datetime
from services.core import runtime
from services.core.clock import FixedClock
from services.core.settings import Settings
from services.demo.service import ensure_demo

async def make(url, folder, now):
    settings = Settings(database_url=url, database_app_url=url, data_dir=folder)
    await ensure_demo(await runtime.start(settings, "demo"), settings, clock=FixedClock(datetime.fromisoformat(now)))

asyncio.run(make(*sys.argv[1:]))
"""


async def _make_and_kill(url: str, folder: Path) -> None:
    maker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MAKER, url, str(folder), NOW.isoformat(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    watching = databases.connect(url, pool_size=2)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                async with crossing(Reason.INVARIANTS, on=watching) as uow:
                    made = await uow.execute("select count(*) from event where type = 'demo.step_made'")
                if made.scalar_one() >= STEPS_BEFORE_KILL:
                    break
                assert maker.returncode is None
                await asyncio.sleep(0.01)
    finally:
        await watching.close()
        if maker.returncode is None:
            maker.send_signal(signal.SIGKILL)
        await maker.wait()


async def test_every_figure_is_exact_and_every_cost_is_explained(house: House) -> None:
    await assert_rollups_equal_raw(house.on)
    assert await house.read("select count(*) from usage_delta") == [(0,)]
    assert await house.read("select count(*) from request where cost is null") == [(0,)]
    assert await house.read("select count(*) from request r full join usage_event e on e.event_id = r.id"
                            " and e.organization_id = r.organization_id"
                            " where r.cost is distinct from e.cost") == [(0,)]  # fmt: skip
    # By day, model and outcome one call of each: before and after the price cut, refused ones too.
    samples = await house.read(
        "select distinct on (organization_id, model, status, started_at > :cut) organization_id, id, cost"
        " from request order by organization_id, model, status, started_at > :cut, id",
        cut=NOW - timedelta(days=30),
    )
    assert len(samples) > 20
    for organization_id, request_id, cost in samples:
        async with unit_of_work(system(organization_id), on=house.on) as uow:
            detail = await requests.detail(uow, request_id)
        assert sum(line.amount for line in detail.explanation) == cost
        assert all(
            line.amount == line.quantity * line.unit_amount / line.per_units for line in detail.explanation
        )


async def test_the_card_opens_every_console(house: House) -> None:
    card, clock = house.card, FixedClock(NOW)
    mode = stat.S_IMODE((house.settings.data_dir / "demo.json").stat().st_mode)
    assert mode == 0o600
    assert card["address"] == house.settings.public_url

    opened: set[str] = set()
    for account in card["accounts"]:
        session = await sign_in(
            email=account["email"], password=account["password"], client=Client("192.0.2.1"), clock=clock
        )
        assert isinstance(session, OpenedSession)
        signed_in = await actor_for_token(session.token, clock=clock)
        assert signed_in is not None
        assert signed_in.organization is not None
        kind = {"portal": "client", "governance": "operator"}.get(account["console"], account["console"])
        assert (signed_in.organization.kind, signed_in.actor.role) == (kind, account["role"])
        opened.add(account["console"])
    assert opened == {"portal", "partner", "developer", "governance"}
    staff = {account["role"] for account in card["accounts"] if account["console"] == "governance"}
    assert staff == {Role.OPERATOR, Role.GOVERNANCE, Role.SUPPORT}

    key = await find_by_secret(card["api_key"])
    assert key is not None
    key.require_usable(NOW)
    assert key.organization_id == card["organization"]
    assert key.scopes == {"inference", "usage:read", "usage:write", "keys:read"}


async def test_a_lost_card_is_written_again_with_a_key_that_works(house: House) -> None:
    lost = house.card
    (house.settings.data_dir / "demo.json").unlink()
    async with unit_of_work(system(lost["organization"]), on=house.on, clock=FixedClock(NOW)) as uow:
        for number in range(60):  # more than a page of keys
            await keys.create_key(uow, name=f"newer {number}")

    await ensure_demo(house.on, house.settings, clock=FixedClock(NOW))

    found, old = await find_by_secret(house.card["api_key"]), await find_by_secret(lost["api_key"])
    assert found is not None
    found.require_usable(NOW)
    assert old is not None
    assert old.revoked_at == NOW  # nobody has its secret any more
    assert house.card | {"api_key": ""} == lost | {"api_key": ""}


@pytest.mark.parametrize("end", ["revoked", "rotated with an overlap", "rotated at once"])
async def test_a_card_whose_key_was_ended_by_somebody_gets_one_that_works(house: House, end: str) -> None:
    card = house.card
    replacement = await _end(card["api_key"], end)

    await ensure_demo(house.on, house.settings, clock=FixedClock(NOW))

    found = await find_by_secret(house.card["api_key"])
    assert found is not None
    found.require_usable(NOW)
    assert found.expires_at is None
    assert found.scopes == {"inference", "usage:read", "usage:write", "keys:read"}
    assert house.card | {"api_key": ""} == card | {"api_key": ""}
    if replacement:  # whoever rotated it has this one in a program
        kept = await find_by_secret(replacement)
        assert kept is not None
        kept.require_usable(NOW)
    again = house.card
    await ensure_demo(house.on, house.settings, clock=FixedClock(NOW))
    assert house.card == again


async def _end(secret: str, how: str) -> str:
    """End a key as a person does; returns the secret they have instead, if any."""
    found = await find_by_secret(secret)
    assert found is not None
    people = system(found.organization_id)
    async with unit_of_work(people, clock=FixedClock(NOW)) as uow:
        if how == "revoked":
            await keys.revoke_key(uow, found.id)
            return ""
        overlap = 24 if how == "rotated with an overlap" else 0
        return (await keys.rotate_key(uow, found.id, overlap_hours=overlap)).secret


async def test_a_lost_card_leaves_a_key_that_somebody_got_by_rotation(house: House) -> None:
    replacement = await _end(house.card["api_key"], "rotated at once")
    (house.settings.data_dir / "demo.json").unlink()

    await ensure_demo(house.on, house.settings, clock=FixedClock(NOW))

    kept = await find_by_secret(replacement)
    assert kept is not None
    kept.require_usable(NOW)


async def test_the_stories_can_be_read_off_the_figures(house: House) -> None:
    daily = {
        story.name: {
            days_ago: (calls, failed)
            for days_ago, calls, failed in await house.read(
                "select cast(timezone(:zone, cast(:now as timestamptz)) as date)"
                " - cast(timezone(:zone, r.started_at) as date) as days_ago, count(*),"
                " count(*) filter (where r.status >= 500)"
                " from request r join organization o on o.id = r.organization_id where o.name = :name group by 1",
                zone=story.timezone,
                now=NOW,
                name=story.name,
            )
        }
        for story in (HALDEN, MERIDIAN, KUMO)
    }

    assert all(set(days) <= set(range(HISTORY_DAYS)) for days in daily.values())
    assert all(len(days) > HISTORY_DAYS * 0.9 for days in daily.values())
    halden = daily[HALDEN.name]
    assert max(halden, key=lambda day: halden[day][0]) == 21  # the launch
    recent, early = (
        sum(halden[day][0] for day in days if day in halden) for days in (range(1, 15), range(76, 90))
    )
    assert recent > 1.7 * early  # and growth all along
    failing = {day: failed / calls for day, (calls, failed) in daily[MERIDIAN.name].items()}
    assert max(failing, key=lambda day: failing[day]) == 26  # the night without a model server
    assert failing[26] > 0.2
    assert 30_000 < sum(calls for days in daily.values() for calls, _ in days.values()) < 60_000


def test_names_and_addresses_belong_to_nobody() -> None:
    assert all(story.domain.endswith(".example") for story in STORIES)
