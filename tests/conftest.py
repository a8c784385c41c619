"""One PostgreSQL per test process, one migrated template in it, one clone of the template for each test."""

from __future__ import annotations

import fcntl
import gc
import io
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from argon2 import PasswordHasher

from services.core import crypto, logs, migrations
from services.core import database as databases
from services.core.database import Database
from services.core.postgres import EmbeddedPostgres
from services.core.settings import settings
from services.identity import passwords
from tests import compiled, leftovers
from tests.clones import Clones
from tests.folders import short_folder
from tests.leftovers import LookedThrough
from tests.world import World

# How fast it must be, benchmarks say. Where CI is set, Hypothesis itself takes the same examples each time.
# Nor does a machine that was busy while examples were drawn fail a test.
hypothesis.settings.register_profile(
    "matrix", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("matrix")

# Else an error is written with the values of all variables in each of its frames, in boxes.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

TEMPLATE = "matrix_template"
# Nothing is tidied in databases that live for seconds, nor replayed elsewhere; and they are made without a log of it.
_SETTINGS = {"autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0", "synchronous_commit": "off"}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """One process compiles what all of them import, and the others find it compiled: in a new copy, where nothing is,
    that takes twice as long as the imports, and all of them would do it at the same time."""
    with Path(__file__).open() as first:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(first, fcntl.LOCK_SH)
        return (yield)


def pytest_collection_finish() -> None:
    """What was imported stays: to look again and again for what of it may go takes a tenth of the tests' own time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    leftovers.look_through_report(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def _files_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Those that tests made in `tmp_path` are looked through when all are over."""
    yield
    leftovers.look_through_folder(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        compiled.share(patched)
        yield


@pytest.fixture(scope="session", autouse=True)
def production_hasher() -> Iterator[PasswordHasher]:
    """What production hashes passwords by. Here they are hashed the same way with next to no memory: hundreds of people
    sign in, and to keep guesses slow took as long as a tenth of all tests."""
    found = passwords._hasher
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield found
    passwords._hasher = found


@pytest.fixture(scope="session")
def postgres() -> Iterator[LookedThrough]:
    with short_folder() as folder:  # not pytest's own: root's is closed to the server's user
        server = LookedThrough(folder / "data", durable=False, options=_SETTINGS)
        server.start()
        server.ensure_database(TEMPLATE)
        migrations.migrate(server.owner_url(TEMPLATE))
        yield server
        server.drop_database(TEMPLATE)
        server.stop()


@pytest.fixture(scope="session")
def clones(postgres: LookedThrough) -> Iterator[Clones]:
    made = Clones(postgres, TEMPLATE)
    yield made
    made.close()


@pytest.fixture
def database_name(clones: Clones) -> Iterator[str]:
    name = clones.take()
    yield name
    clones.give_back(name)


@pytest.fixture
def owner_url(postgres: EmbeddedPostgres, database_name: str) -> str:
    return postgres.owner_url(database_name)


@pytest.fixture
async def database(postgres: EmbeddedPostgres, database_name: str, tmp_path: Path) -> AsyncIterator[Database]:
    crypto.install(crypto.file_vault(tmp_path))
    on = databases.connect(postgres.app_url(database_name), pool_size=10)
    databases.install(on)
    yield on
    databases.install(None)
    await on.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def room_of_1_mb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All files of an organisation take no more together."""
    monkeypatch.setenv("MATRIX_ORGANIZATION_FILES_MB", "1")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def written() -> io.StringIO:
    """What is logged, as the product writes it: one JSON object a line."""
    stream = io.StringIO()
    logs.configure("info", "json", "test")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return stream
