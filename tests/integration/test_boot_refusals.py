"""What cannot start says so in one sentence with the way out, through the command itself: no traceback, ever."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from services.core.postgres import EmbeddedPostgres
from tests.bench.product import free_port

ROOT = Path(__file__).parents[2]
MEGABYTES = 8


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    error: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Commands, in an environment (names without prefix), and what the one sentence must contain."""

    commands: tuple[str, ...]
    environment: dict[str, str]
    words: tuple[str, ...]


UP, MIGRATE = "up", "migrate"
REFUSALS = {
    "a list that cannot be read": Refusal(
        (UP, MIGRATE),
        {"ALLOW_PRIVATE_UPSTREAMS": '["10.0.0.1:80"'},
        ("MATRIX_ALLOW_PRIVATE_UPSTREAMS", "JSON"),
    ),
    "a setting that does not exist": Refusal(
        (UP, "worker"), {"PROT": "3001"}, ("MATRIX_PROT", "MATRIX_PORT")
    ),
    "an empty data folder": Refusal((UP, "reset"), {"DATA_DIR": ""}, ("MATRIX_DATA_DIR",)),
    "a database that is no address": Refusal((UP, MIGRATE), {"DATABASE_URL": "foo"}, ("postgresql://user",)),
    "a database that does not answer": Refusal(
        (UP, MIGRATE),
        {"DATABASE_URL": "postgres://me@127.0.0.1:{nobody}/x"},
        ("MATRIX_DATABASE_URL", "running"),
    ),
    "an option that the driver does not know": Refusal(
        (MIGRATE,),
        {"DATABASE_URL": "postgres://me@127.0.0.1/x?sslmod=require"},
        ("sslmod", "MATRIX_DATABASE_URL"),
    ),
    "a database that is too old": Refusal(
        (UP, MIGRATE), {"DATABASE_URL": "postgresql://me@127.0.0.1:{old_server}/x"}, ("PostgreSQL 15", "17")
    ),
    "a database newer than the code": Refusal(
        (UP, MIGRATE), {"DATABASE_URL": "{newer_database}"}, ("9999_from_the_future", "newer", "backup")
    ),
    "an owner that may not make tables": Refusal(
        (UP, MIGRATE), {"DATABASE_URL": "{closed_database}"}, ("permission denied", "own the database")
    ),
    "binaries that are too old": Refusal(
        (UP, MIGRATE), {"POSTGRES_BIN": "{old_binaries}"}, ("PostgreSQL 15", "17", "MATRIX_POSTGRES_BIN")
    ),
    "a disk without room": Refusal((UP,), {"DATA_DIR": "{small_disk}/a/data"}, ("MB are free", "make room")),
    "a full disk": Refusal((MIGRATE,), {"DATA_DIR": "{full_disk}/data"}, ("make room",)),
}


def matrix(command: str, environment: dict[str, str]) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "matrix_app.cli", command],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MATRIX_")}
        | {f"MATRIX_{name}": value for name, value in environment.items()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(done.returncode, done.stderr)


class OldServer:
    """Says, like a PostgreSQL 15, who it is to everybody who connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        while (message := self._start_message(connection)) and message[:4] != struct.pack("!I", 3 << 16):
            connection.sendall(b"N")  # asked for encryption
        version = b"server_version\x0015.6\x00"
        connection.sendall(b"R" + struct.pack("!II", 8, 0))
        connection.sendall(b"S" + struct.pack("!I", 4 + len(version)) + version)
        connection.sendall(b"Z" + struct.pack("!I", 5) + b"I")
        while connection.recv(1024):
            pass

    @staticmethod
    def _start_message(connection: socket.socket) -> bytes:
        length = connection.recv(4, socket.MSG_WAITALL)
        return connection.recv(struct.unpack("!I", length)[0] - 4, socket.MSG_WAITALL) if length else b""


class Places:
    """What the table's environments name in braces, each made when it is asked for."""

    def __init__(self, tmp_path: Path, postgres: EmbeddedPostgres, cleanup: ExitStack) -> None:
        self._tmp_path = tmp_path
        self._postgres = postgres
        self._cleanup = cleanup

    def __getitem__(self, name: str) -> str:
        return str(getattr(self, name)())

    def nobody(self) -> int:
        return free_port()

    def old_server(self) -> int:
        server = OldServer()
        self._cleanup.callback(server.close)
        return server.port

    def newer_database(self) -> str:
        url = self._database("boot_newer", self._postgres.owner_url("boot_newer"))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table alembic_version (version_num text)")
            connection.execute("insert into alembic_version values ('9999_from_the_future')")
        return url

    def closed_database(self) -> str:
        return self._database("boot_closed", self._postgres.app_url("boot_closed"))

    def _database(self, name: str, url: str) -> str:
        self._postgres.ensure_database(name)
        self._cleanup.callback(self._postgres.drop_database, name)
        return url.replace("+psycopg", "")

    def old_binaries(self) -> Path:
        folder = self._tmp_path / "bin"
        folder.mkdir()
        for name, answer in {
            "postgres": "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
            "initdb": "",
        }.items():
            (folder / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
            (folder / name).chmod(0o755)
        return folder

    def small_disk(self) -> Path:
        folder = self._tmp_path / "disk"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("no disk of a size of our choice can be had here")
        self._cleanup.callback(subprocess.run, ["umount", folder], check=True)
        return folder

    def full_disk(self) -> Path:
        folder = self.small_disk()
        with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1_000_000))
        return folder


@pytest.fixture
def places(tmp_path: Path, postgres: EmbeddedPostgres) -> Iterator[Places]:
    with ExitStack() as cleanup:
        yield Places(tmp_path, postgres, cleanup)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_start_that_cannot_be_is_refused_in_one_sentence(name: str, places: Places, tmp_path: Path) -> None:
    refusal = REFUSALS[name]
    environment = {"DATA_DIR": str(tmp_path / "data"), "MODEL_URL": "http://127.0.0.1:9"}
    environment["PORT"] = str(free_port())
    environment |= {key: value.format_map(places) for key, value in refusal.environment.items()}  # type: ignore[arg-type]

    for command in refusal.commands:
        said = matrix(command, environment)

        assert said.status == 1, said.error
        assert "Traceback" not in said.error
        assert said.error.startswith("matrix: ")
        assert said.error.count("\n") == 1, said.error
        assert all(word in said.error for word in refusal.words), said.error
    assert not (tmp_path / "data" / "postgres").exists()
