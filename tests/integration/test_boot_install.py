"""Installing: in any folder, stoppable at any moment, and every copy of the project runs its own code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from matrix_app.up import bootstrap

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 180.0
PARTS = (
    "Makefile",
    "matrix_app/up/bootstrap.py",
    "services/__init__.py",
    "services/core/__init__.py",
    "services/core/tether.py",
    *(path.name for path in ROOT.glob("requirements*")),
)
COMMAND = """
import sys
def main():
    print(__file__, *sys.argv[1:], sep="\\n")
if __name__ == "__main__":
    main()
"""
QUICK_UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; fi
"""
SLOW_UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; exit; fi
sleep 600 > /dev/null 2>&1 &
echo $$ $! $PPID > "{said}.new"
mv "{said}.new" "{said}"
wait
"""


def _hear_all() -> None:
    """Where the tests themselves run in the background, their shell had them ignore what a terminal sends."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Tree:
    """A copy of what installing needs, in a folder whose name has a blank, with a uv that fetches nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamp = folder / ".venv" / "matrix.json"
        self.said = folder / "uv.pids"

    def make(self) -> None:
        for name in PARTS:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.folder / name)
        (self.folder / "matrix_app" / "__init__.py").touch()
        (self.folder / "matrix_app" / "cli.py").write_text(COMMAND)
        venv.create(self.folder / ".venv", symlinks=True)
        (packages,) = (self.folder / ".venv" / "lib").glob("python*/site-packages")
        (packages / "pip.py").touch()

    def use_uv(self, script: str) -> None:
        version = (ROOT / "requirements-uv.in").read_text().split("uv==")[1].split()[0]
        uv = self.folder / ".venv" / "bin" / "uv"
        uv.write_text(script.format(version=version, said=self.said))
        uv.chmod(0o755)

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PIP_NO_INDEX": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_all,
        )

    def bootstrap(self) -> subprocess.Popen[str]:
        return self.start(sys.executable, "matrix_app/up/bootstrap.py")

    def make_run(self) -> subprocess.Popen[str]:
        return self.start("make", "run", f"PYTHON={sys.executable}")

    def matrix(self, *arguments: str, command: Path | None = None, cwd: Path | None = None) -> list[str]:
        done = subprocess.run(
            [command or self.folder / ".venv" / "bin" / "matrix", *arguments],
            cwd=cwd or "/",
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    @property
    def cli(self) -> str:
        return str(self.folder / "matrix_app" / "cli.py")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path / "a copy")
    made.make()
    yield made
    for pid in made.said.read_text().split()[:2] if made.said.exists() else []:
        if psutil.pid_exists(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def installed(tree: Tree) -> Tree:
    tree.use_uv(QUICK_UV)
    process = tree.bootstrap()
    said, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said
    return tree


def await_that(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# -- stopped


def to_all(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal does it."""
    os.killpg(process.pid, number)


def to_one(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help against kill -9 is Linux's")
@pytest.mark.parametrize(
    ("start", "send", "number", "status"),
    [
        (Tree.make_run, to_all, signal.SIGINT, None),
        (Tree.make_run, to_one, signal.SIGTERM, None),
        (Tree.make_run, to_one, signal.SIGKILL, None),
        (Tree.bootstrap, to_one, signal.SIGINT, 130),
        (Tree.bootstrap, to_one, signal.SIGTERM, 143),
        (Tree.bootstrap, to_one, signal.SIGHUP, 129),
        (Tree.bootstrap, to_one, signal.SIGKILL, -9),
    ],
)
def test_a_stopped_installation_leaves_nothing_running_and_counts_as_none(
    tree: Tree,
    start: Callable[[Tree], subprocess.Popen[str]],
    send: Callable[[subprocess.Popen[str], signal.Signals], None],
    number: signal.Signals,
    status: int | None,
) -> None:
    tree.stamp.write_text(json.dumps({"sets": ["run"], "digest": "of other locks"}))
    tree.use_uv(SLOW_UV)
    process = start(tree)
    await_that(tree.said.exists)
    uv, its_child, its_parent = map(int, tree.said.read_text().split())

    send(process, number)

    said, _ = process.communicate(timeout=TIMEOUT_S)
    await_that(lambda: ended(uv) and ended(its_parent))
    if number != signal.SIGKILL or start is Tree.make_run:
        await_that(lambda: ended(its_child))
    assert process.returncode != 0
    assert status is None or process.returncode == status
    assert "Traceback" not in said
    assert not tree.stamp.exists()


# -- done


def test_what_is_installed_is_not_installed_again(installed: Tree) -> None:
    installed.use_uv(SLOW_UV)  # would never end

    assert installed.bootstrap().wait(TIMEOUT_S) == 0
    assert not installed.said.exists()


def test_the_command_works_in_a_path_with_a_blank_and_hands_on_its_arguments(installed: Tree) -> None:
    assert installed.matrix("up", "two words", "*") == [installed.cli, "up", "two words", "*"]


def test_the_command_may_be_linked_to(installed: Tree, tmp_path: Path) -> None:
    link = tmp_path / "matrix"
    link.symlink_to(installed.folder / ".venv" / "bin" / "matrix")

    assert installed.matrix(command=link) == [installed.cli]


def test_each_copy_runs_its_own_code_wherever_it_is_called_from(installed: Tree, tmp_path: Path) -> None:
    copy = Tree(tmp_path / "another copy")
    subprocess.run(["cp", "-a", installed.folder, copy.folder], check=True)

    assert copy.matrix(cwd=installed.folder) == [copy.cli]
    assert installed.matrix(cwd=copy.folder) == [installed.cli]


def test_a_copied_or_moved_environment_is_made_anew(installed: Tree, tmp_path: Path) -> None:
    """Its programs name the place where they were installed."""
    copy = Tree(tmp_path / "another copy")
    subprocess.run(["cp", "-a", installed.folder, copy.folder], check=True)

    process = copy.bootstrap()
    said, _ = process.communicate(timeout=TIMEOUT_S)

    assert "making .venv" in said
    assert "installing uv" in said  # and here there is no index to bring it from
    assert process.returncode == 1
    assert "Traceback" not in said
    assert not copy.stamp.exists()


def test_an_environment_that_several_trees_link_to_counts_as_one(installed: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path / "other tree")
    other.folder.mkdir()
    for name in PARTS:
        (other.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, other.folder / name)
    (other.folder / ".venv").symlink_to(installed.folder / ".venv")
    installed.use_uv(SLOW_UV)

    assert other.bootstrap().wait(TIMEOUT_S) == 0
    assert not installed.said.exists()


def test_the_readme_names_the_pythons_that_fit() -> None:
    oldest, newest = (f"{major}.{minor}" for major, minor in (bootstrap.OLDEST, bootstrap.NEWEST))

    assert f"Python {oldest} to {newest}" in (ROOT / "README.md").read_text()
