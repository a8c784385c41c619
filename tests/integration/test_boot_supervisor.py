"""Children are restarted when they die, stopped in order, and never outlive whoever started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matrix_app.up import supervisor as supervisors
from matrix_app.up.supervisor import Child, Supervisor

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 180.0

STEADY = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
LAST_WILL = """
import signal, sys, time
def leave(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit()
signal.signal(15, leave)
print("ready", flush=True)
time.sleep(600)
"""
TALKER = """
import os, time
print("x" * 200, flush=True)
while os.fstat(1).st_size:
    time.sleep(0.01)
print("on", flush=True)
time.sleep(600)
"""
PARENT = """
import sys, time
from pathlib import Path
from matrix_app.up.supervisor import Child, Supervisor
Supervisor(print).run(Child("child", [sys.executable, "-c", sys.argv[1]], Path(sys.argv[2])))
time.sleep(600)
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervisors, "BACKOFF_FIRST_S", 0.01)
    made = Supervisor(said.append, stop_timeout_s=TIMEOUT_S)
    yield made
    made.stop()


def program(
    tmp_path: Path, source: str, *arguments: str, name: str = "child", stop_last: bool = False
) -> Child:
    command = [sys.executable, "-c", source, *arguments]
    return Child(name, command, tmp_path / f"{name}.log", stop_last=stop_last)


def words(child: Child) -> list[str]:
    return child.log_path.read_text().split() if child.log_path.exists() else []


def until(condition: Callable[[], bool]) -> Callable[[], bool]:
    deadline = time.monotonic() + TIMEOUT_S

    def met() -> bool:
        assert time.monotonic() < deadline, "the condition was not met in time"
        return condition()

    return met


def alive(pid: int) -> bool:
    """Whether it runs; what nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_started_again_and_it_is_said(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    child = program(tmp_path, STEADY)
    supervisor.run(child)
    supervisor.watch(until(lambda: len(words(child)) == 1))

    os.kill(int(words(child)[0]), signal.SIGKILL)
    supervisor.watch(until(lambda: len(words(child)) == 2))

    assert len(said) == 1
    assert said[0].startswith("child was ended by SIGKILL; it starts again in 0.01 s")
    assert child.log_path.stat().st_mode & 0o077 == 0


def test_a_child_that_keeps_failing_is_tried_ever_less_often(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.run(program(tmp_path, "raise SystemExit(3)"))

    supervisor.watch(until(lambda: len(said) == 4))

    delays = [float(line.split(" in ")[1].split()[0]) for line in said]
    assert delays == [0.01, 0.02, 0.04, 0.08]
    assert all("ended with code 3" in line for line in said)


def test_a_child_that_ends_well_is_started_again_too(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.run(program(tmp_path, "pass"))

    supervisor.watch(until(lambda: len(said) == 2))

    assert "ended with code 0" in said[0]


def test_stop_asks_first_and_the_last_one_after_the_others(supervisor: Supervisor, tmp_path: Path) -> None:
    wills = tmp_path / "wills"
    children = [
        program(tmp_path, LAST_WILL, str(wills), "base", name="base", stop_last=True),
        program(tmp_path, LAST_WILL, str(wills), "user", name="user"),
    ]
    for child in children:
        supervisor.run(child)
    supervisor.watch(until(lambda: all(words(child) == ["ready"] for child in children)))

    supervisor.stop()

    assert wills.read_text().split() == ["user", "base"]
    assert not any(child.running() for child in children)


def test_a_child_that_does_not_listen_is_killed_with_what_it_started(said: list[str], tmp_path: Path) -> None:
    nested = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {STUBBORN}"
    child = program(tmp_path, nested)
    supervisor = Supervisor(said.append, stop_timeout_s=0.2)
    supervisor.run(child)
    supervisor.watch(until(lambda: len(words(child)) == 2))

    supervisor.stop()

    supervisor.watch(until(lambda: not any(alive(int(pid)) for pid in words(child))))


def test_a_stopped_supervisor_starts_nothing_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    child = program(tmp_path, STEADY)
    supervisor.run(child)

    supervisor.stop()
    supervisor.tick()

    assert not child.running()
    assert said == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_children_end_when_their_supervisor_is_killed(tmp_path: Path, supervisor: Supervisor) -> None:
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, STEADY, str(log)], cwd=ROOT)
    supervisor.watch(until(lambda: log.exists() and log.read_text().endswith("\n")))
    pid = int(log.read_text())

    parent.kill()
    parent.wait()

    supervisor.watch(until(lambda: not alive(pid)))


def test_a_log_that_grew_too_long_is_cut_and_goes_on(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "LOG_BYTES_MAX", 100)
    child = program(tmp_path, TALKER)
    supervisor.run(child)

    supervisor.watch(until(lambda: words(child) == ["on"]))

    assert (tmp_path / "child.log.1").read_text().split() == ["x" * 200]


def test_who_only_starts_others_loads_no_library_of_theirs() -> None:
    """It lives beside them for as long as they do, and what it loaded would too; a refused start says so at once."""
    loaded = "import sys, matrix_app.cli, matrix_app.up.up; print(*sys.modules, sep='\\n')"

    said = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert {"sqlalchemy", "fastapi", "aiohttp", "reflex"} & set(said.stdout.split()) == set()
