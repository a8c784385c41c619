"""`matrix up`: from a stopped product to a running one, and back."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from matrix_app.up import frontend, preflight, schema, test_providers
from matrix_app.up.announcement import announcement
from matrix_app.up.progress import Progress
from matrix_app.up.reflex_environment import ROOT
from matrix_app.up.supervisor import Child, Supervisor
from services.core import kept_log
from services.core.postgres import EmbeddedPostgres, PostgresFailed
from services.core.refusal import Refused
from services.core.settings import Settings
from services.core.tether import tie_to_parent, tied

READY_TIMEOUT_S = 300.0  # only what hangs takes as long, and no machine that is merely busy
START_FAILURES_MAX = 3
_WELL = frozenset({"ok", "not configured"})  # of the parts that /readyz names
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StartFailed(Refused):
    """The product did not come up; the text ends with what the failing part said last."""


class _Stop(BaseException):
    """Somebody asked to stop. Not an Exception: no step of the start may take it for a failure of its own."""


class Up:
    """One run of the product."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._supervisor = Supervisor(progress.say)
        self._postgres: EmbeddedPostgres | None = None
        self._environment = {"MATRIX_DATA_DIR": str(settings.data_dir)}
        self._test_providers: dict[str, str] = {}
        self._serving = False
        self._stopping = False

    def run(self) -> None:
        """Start everything, serve until asked to stop, stop everything. Raises Refused if it cannot start."""
        with preflight.check(self._settings):
            for number in _STOP_SIGNALS:
                signal.signal(number, self._asked_to_stop)
            try:
                self._start()
                self._serving = True
                self._supervisor.watch(self._tick)
            except _Stop:
                pass
            finally:
                self._stop()

    def _asked_to_stop(self, number: int, _frame: FrameType | None) -> None:
        first, self._stopping = not self._stopping, True
        if first and not self._serving:
            raise _Stop

    def _tick(self) -> bool:
        if not self._stopping and self._postgres is not None and self._postgres.pid is None:
            self._revive_database(self._postgres)
        return self._stopping

    def _revive_database(self, postgres: EmbeddedPostgres) -> None:
        self._progress.say(f"database ended; it starts again (its log: {postgres.log_path})")
        try:
            postgres.start()
        except PostgresFailed as error:
            self._progress.say(str(error))
            time.sleep(1.0)

    # -- steps

    def _start(self) -> None:
        began = time.monotonic()
        if not self._settings.model_url:
            self._start_model()
        self._start_test_providers()
        self._start_database()
        if not (schema.is_newest(self._settings) and schema.is_furnished(self._settings)):
            with self._progress.step("database brought up to date"):
                self._run("migrate")
        if not frontend.is_current():
            with self._progress.step("pages built", takes="about a minute the first time"):
                frontend.build()
        begun = (self._settings.data_dir / "demo.json").exists()
        if self._settings.mode == "demo" and not begun:
            with self._progress.step("demo data loaded", takes="some seconds, once"):
                self._load_demo()
        with self._progress.step("web and worker ready"):
            self._child("worker")
            self._child("web")
            if self._settings.mode == "demo" and begun:
                self._mend_demo()
            self._await_ready()
        self._progress.say(f"  ready after {time.monotonic() - began:.1f} s")
        self._progress.say(announcement(self._settings))
        if self._test_providers:
            self._progress.say(test_providers.announced(self._test_providers))
        self._progress.say("Ctrl-C stops everything.")

    def _mend_demo(self) -> None:
        """Put a key that works into the line to paste, while web starts: somebody may have ended the last one."""
        try:
            self._load_demo()
        except StartFailed as error:
            self._progress.say(f"The demo's key could not be looked at: {error}")

    def _start_model(self) -> None:
        self._environment["MATRIX_MODEL_URL"] = f"http://127.0.0.1:{preflight.free_loopback_port()}"
        self._child("model", stop_last=True)

    def _start_test_providers(self) -> None:
        """In a checkout's demo only. Exactly where they are, providers may be private."""
        self._test_providers = test_providers.addresses(self._settings)
        if not self._test_providers:
            return
        with self._progress.step("test providers found"):
            missing = test_providers.cannot_have_chain()
        if missing:
            del self._test_providers["crypto"]
            self._progress.say(f"  The demo goes without crypto payments: {missing}")
        allowed = [*self._settings.allow_private_upstreams, *test_providers.places(self._test_providers)]
        self._environment["MATRIX_ALLOW_PRIVATE_UPSTREAMS"] = ",".join(allowed)
        for child in test_providers.children(self._settings, self._test_providers):
            self._supervisor.run(child)

    def _load_demo(self) -> None:
        named = [f"{name}={base}" for name, base in self._test_providers.items()]
        self._run("demo", "--load", *(part for one in named for part in ("--test-provider", one)))

    def _start_database(self) -> None:
        if self._settings.database_url is not None:
            return
        self._postgres = EmbeddedPostgres(
            self._settings.data_dir,
            binaries=self._settings.postgres_bin,
            options=kept_log.options(self._settings),
        )
        name = "database started" if self._postgres.cluster.exists() else "database made and started"
        with self._progress.step(name):
            self._postgres.start()

    def _command(self, *arguments: str) -> list[str | Path]:
        return [sys.executable, "-m", "matrix_app.cli", *arguments]

    def _child(self, name: str, *, stop_last: bool = False) -> Child:
        log_path = self._settings.data_dir / "logs" / f"{name}.log"
        child = Child(name, self._command(name), log_path, self._environment, stop_last)
        self._supervisor.run(child)
        return child

    def _run(self, *arguments: str) -> None:
        """Run one of our commands to its end, as a process of its own that gives its memory back."""
        done = subprocess.run(
            self._command(*arguments),
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=tied(signal.SIGTERM),
            check=False,
        )
        if done.returncode == 0:
            return
        said = (done.stderr or done.stdout).strip()
        if said.startswith("matrix: ") and "\n" not in said:  # a sentence already
            raise StartFailed(said.removeprefix("matrix: "))
        raise StartFailed(f"`matrix {' '.join(arguments)}` failed:\n{said}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while (missing := _missing(self._settings)) is not None:
            self._supervisor.tick()
            for child in self._supervisor.children:
                if child.failures >= START_FAILURES_MAX:
                    raise StartFailed(f"{child.name} does not start; {child.last_words()}")
            if time.monotonic() > deadline:
                words = "\n".join(child.last_words() for child in self._supervisor.children)
                raise StartFailed(f"Not ready after {READY_TIMEOUT_S:.0f} s ({missing}); {words}")
            time.sleep(0.05)

    def _stop(self) -> None:
        self._stopping = True
        with self._progress.step("stopped"):
            self._supervisor.stop()
            if self._postgres is not None:
                self._postgres.stop()


def up(settings: Settings, *, with_parent: bool) -> None:
    """Run the product until asked to stop. `with_parent`: also stop when the process that started us ends."""
    if with_parent:
        tie_to_parent(signal.SIGTERM)
    os.chdir(ROOT)  # our children import from where they start, which may be another copy of the project
    Up(settings, Progress()).run()


def _missing(settings: Settings) -> str | None:
    """What /readyz still waits for; None when everything is there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        if answer.status == 200:
            return None
        parts: dict[str, str] = json.loads(answer.read())
        return ", ".join(f"{name}: {state}" for name, state in parts.items() if state not in _WELL)
    except (OSError, http.client.HTTPException, ValueError):
        return "no page answers"
    finally:
        connection.close()
