"""The embedded PostgreSQL: made, started, stopped, found again after every kind of death."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from matrix_app.up import schema
from services.core import migrations
from services.core.postgres import APP_ROLE, CROSSING_ROLE, OWNER_ROLE, EmbeddedPostgres, PostgresFailed
from services.core.refusal import Refused
from services.core.settings import Settings
from tests.folders import short_folder

OWNER_PROGRAM = """
import sys, time
from pathlib import Path
from services.core.postgres import EmbeddedPostgres
from tests.folders import short_folder
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "data"


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(data_dir, durable=False)
    made.start()
    yield made
    made.stop()


def query(server: EmbeddedPostgres, statement: str, *, url: str | None = None) -> list[tuple[object, ...]]:
    with psycopg.connect((url or server.owner_url()).replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def write_a_note(server: EmbeddedPostgres) -> None:
    query(server, "create table note (text text)")
    query(server, "insert into note values ('kept')")


def test_what_was_committed_is_there_after_stop_and_start(server: EmbeddedPostgres) -> None:
    write_a_note(server)

    server.stop()
    assert not server.ready()
    server.start()

    assert server.ready()
    assert query(server, "select text from note") == [("kept",)]


def test_the_cluster_is_utf8_in_c_order_with_checksums(server: EmbeddedPostgres) -> None:
    shown = "select current_setting('server_encoding'), datcollate, current_setting('data_checksums') from pg_database"

    assert query(server, f"{shown} where datname = 'matrix'") == [("UTF8", "C", "on")]


def test_it_listens_on_no_network_address_and_its_socket_folder_and_log_are_private(
    server: EmbeddedPostgres,
) -> None:
    assert query(server, "show listen_addresses") == [("",)]
    assert [path.stat().st_mode & 0o077 for path in (server.socket_dir, server.log_path)] == [0, 0]


def test_the_server_never_runs_as_root(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    owner = Path(f"/proc/{server.pid}").stat().st_uid

    assert owner != 0
    assert owner == os.geteuid() or os.geteuid() == 0


def test_roles_have_no_more_rights_than_their_work_needs(server: EmbeddedPostgres) -> None:
    rows = query(
        server,
        "select rolname, rolcanlogin, rolsuper or rolbypassrls from pg_roles where rolname ~ '^matrix'",
    )

    assert sorted(rows) == [(APP_ROLE, True, False), (CROSSING_ROLE, False, False), (OWNER_ROLE, True, False)]


def test_crossing_is_not_inherited_but_taken_by_name(server: EmbeddedPostgres) -> None:
    query(server, "create table secret (n int)")
    query(server, f"insert into secret values (1); grant select on secret to {CROSSING_ROLE}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(server, "select n from secret", url=server.app_url())
    with psycopg.connect(server.app_url().replace("+psycopg", "")) as connection:
        connection.execute(f"set role {CROSSING_ROLE}".encode())
        assert connection.execute("select n from secret").fetchall() == [(1,)]


def test_a_second_owner_of_the_same_folder_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(PostgresFailed, match="Another copy of Matrix runs on"):
        EmbeddedPostgres(server.data_dir, durable=False).start()

    assert server.ready()


def test_another_process_finds_the_server_by_its_folder_alone(server: EmbeddedPostgres) -> None:
    elsewhere = EmbeddedPostgres(server.data_dir)

    assert elsewhere.ready()
    assert elsewhere.app_url() == server.app_url()


def test_a_killed_server_is_started_again_by_its_owner(server: EmbeddedPostgres) -> None:
    write_a_note(server)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        pass

    server.start()

    assert query(server, "select text from note") == [("kept",)]


def test_a_server_that_ends_by_itself_meanwhile_is_no_leftover(data_dir: Path) -> None:
    left = EmbeddedPostgres(data_dir, durable=False)
    left.socket_dir.mkdir(parents=True)
    with closing(socket.socket(socket.AF_UNIX)) as ending:  # it still listens, and has taken its file away
        ending.bind(str(left.socket_dir / ".s.PGSQL.5432"))
        ending.listen()

        left.stop_leftover()


def test_the_server_of_a_killed_owner_gives_way_to_the_next(data_dir: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_PROGRAM, str(data_dir)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    first = EmbeddedPostgres(data_dir, durable=False)
    write_a_note(first)

    owner.kill()
    owner.wait()
    owner.stdout.close()
    first.start()

    assert query(first, "select text from note") == [("kept",)]
    first.stop()


def test_data_of_another_major_version_is_left_alone(server: EmbeddedPostgres) -> None:
    server.stop()
    (server.cluster / "PG_VERSION").write_text("12\n")

    with pytest.raises(
        PostgresFailed, match=r"was made by PostgreSQL 12 and this is \d+: set MATRIX_POSTGRES_BIN"
    ):
        server.start()


def test_a_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    server = EmbeddedPostgres(data_dir, durable=False)

    server.start()

    assert server.ready()
    assert not (data_dir / "postgres.new").exists()
    server.stop()


def test_a_database_is_newest_only_with_every_migration(server: EmbeddedPostgres) -> None:
    settings = Settings(data_dir=server.data_dir)
    assert not schema.is_newest(settings)

    migrations.migrate(server.owner_url())
    assert schema.is_newest(settings)

    query(server, "delete from alembic_version")
    assert not schema.is_newest(settings)


def test_the_newest_revision_is_read_as_alembic_reads_it() -> None:
    assert schema.heads() == ScriptDirectory.from_config(migrations.config()).get_heads()


def test_a_database_that_does_not_answer_is_a_sentence(data_dir: Path) -> None:
    settings = Settings(database_url=SecretStr(f"postgresql://nobody@/x?host={data_dir}"))

    with pytest.raises(Refused, match=r"The database does not answer \(.*MATRIX_DATABASE_URL"):
        schema.is_newest(settings)


def test_missing_binaries_are_named_with_the_way_out(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(PostgresFailed, match=r"no PostgreSQL in .*MATRIX_POSTGRES_BIN.*MATRIX_DATABASE_URL"):
        EmbeddedPostgres(data_dir, binaries=tmp_path).start()


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / ("long" * 25), durable=False)

    server.start()

    assert server.ready()
    assert len(str(server.socket_dir)) < 60
    assert server.socket_dir.stat().st_mode & 0o077 == 0
    server.stop()
    shutil.rmtree(server.socket_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are closed to the server's account")
def test_a_folder_only_root_may_enter_opens_to_the_servers_account_alone(data_dir: Path) -> None:
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "data", durable=False)

    server.start()

    assert server.ready()
    assert closed.stat().st_mode & 0o007 == 0
    stranger = subprocess.run(["ls", closed], user="nobody", capture_output=True, check=False)
    assert stranger.returncode != 0
    server.stop()
