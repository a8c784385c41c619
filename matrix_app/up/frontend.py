"""The compiled frontend: built when its sources changed, published whole or not at all, shared by all copies.

Reflex compiles Python into React sources, then Vite makes the bundle, which takes most of the time. Both
steps are skipped when nothing changed; the second also when a changed source (a service, say) left the React
sources as they were. A build is moved into its place only when complete; a copy that serves an older one
keeps it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from matrix_app.up.reflex_environment import ROOT, work_dir
from services.core.refusal import Refused
from services.core.tether import tied

BUILDS_KEPT = 3
_SOURCE_FOLDERS = ("matrix_app", "components", "state", "services", "models", "assets")
_SOURCE_FILES = ("rxconfig.py", "requirements.txt")
_LOCK_FOLDER = "reflex.lock"
# Made while compiling, or no input of the bundle. In the working folder `external` is one: our own JavaScript.
_NOT_INPUT = frozenset({"__pycache__", "node_modules", "build", ".react-router", ".reflex"})
_NOT_SOURCES = _NOT_INPUT | {"external"}
_NOT_COMPILED = frozenset({"reflex.json", "reflex.install_frontend_packages.cached", "package-lock.json"})


class FrontendFailed(Refused):
    """The pages cannot be built or found."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is served: the folder's name, and the hashes of what it was made from."""

    folder: str
    sources: str
    lock: str
    compiled: str


def published() -> Path:
    """The folder of the newest complete build, laid out as Reflex expects its own."""
    record = _record()
    if record is None:
        raise FrontendFailed(
            "The pages are not built yet: run `matrix build`, or `matrix up`, which does it."
        )
    return _store() / record.folder


def is_current() -> bool:
    """Whether the newest build was made from the sources as they are now."""
    record = _record()
    return record is not None and record.sources == _hash_sources() and record.lock == _hash_lock()


def build() -> bool:
    """Build what changed; True when there was something to do. Waits while another copy builds."""
    if is_current():
        return False
    with _alone():
        if is_current():
            return False
        record = _record()
        sources = _hash_sources()  # before the build, so that an edit made meanwhile is not missed
        _run_step("compile")
        compiled = _hash_compiled()
        if record is None or record.compiled != compiled:
            _run_step("bundle")
            _publish(compiled)
        _write_record(Published(folder=compiled, sources=sources, lock=_hash_lock(), compiled=compiled))
        _drop_old(keep=compiled)
        return True


def _store() -> Path:
    work = work_dir()
    return work.with_name(f"{work.name}.ready")


def _record() -> Published | None:
    try:
        record = Published(**json.loads((_store() / "current.json").read_text()))
    except (FileNotFoundError, TypeError, ValueError):  # none yet, or written by another version
        return None
    return record if (_store() / record.folder).is_dir() else None


def _write_record(record: Published) -> None:
    fresh = _store() / "current.json.new"
    fresh.write_text(json.dumps(asdict(record)))
    fresh.replace(_store() / "current.json")


@contextmanager
def _alone() -> Generator[None]:
    _store().mkdir(parents=True, exist_ok=True)
    with (_store() / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_step(step: str) -> None:
    """Run one step of Reflex in a process of its own: it needs memory that the supervisor should not keep.

    A mark shows that the working folder is being changed. Found at the start, it was left by a step that was
    killed, and the folder is made anew: a half-installed package would fail every later build.
    """
    work = work_dir()
    mark = _store() / "building"
    if mark.exists():
        shutil.rmtree(work, ignore_errors=True)
    mark.touch()
    log_path = _store() / "build.log"
    with log_path.open("wb") as log:
        code = _run_group([sys.executable, "-m", "matrix_app.up.compile", step], log)
    mark.unlink()
    if code != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise FrontendFailed(
            f"The pages could not be built (step {step}); the whole log is {log_path}.\n{tail}"
        )


def _run_group(command: list[str], log: IO[bytes]) -> int:
    """Run `command` with all it starts, and when we are stopped meanwhile end all of that: Vite would go on."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"REFLEX_WEB_WORKDIR": str(work_dir())},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=tied(signal.SIGTERM),
    )
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _publish(name: str) -> None:
    work, store = work_dir(), _store()
    half = store / f"{name}.new"
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(work / "build" / "client", half / "build" / "client")
    shutil.copytree(work / "backend", half / "backend")
    for extra in ("routes.json", "env.json"):
        shutil.copy2(work / extra, half / extra)
    shutil.rmtree(store / name, ignore_errors=True)
    half.rename(store / name)


def _drop_old(*, keep: str) -> None:
    builds = [path for path in _store().iterdir() if path.is_dir() and path.name != keep]
    for path in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[BUILDS_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _hash_sources() -> str:
    files = [ROOT / name for name in _SOURCE_FILES]
    for folder in _SOURCE_FOLDERS:
        files += _files(ROOT / folder)
    return _hash(files, ROOT, extra=sys.version)


def _hash_lock() -> str:
    """Of the npm packages' versions; taken after the build, which adds what new components import."""
    return _hash(_files(ROOT / _LOCK_FOLDER), ROOT)


def _hash_compiled() -> str:
    work = work_dir()
    return _hash((path for path in _files(work, _NOT_INPUT) if path.name not in _NOT_COMPILED), work)


def _files(folder: Path, left_out: frozenset[str] = _NOT_SOURCES) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield Path(path) / name


def _hash(files: Iterable[Path], base: Path, *, extra: str = "") -> str:
    digest = hashlib.sha256(extra.encode())
    for path in files:
        if path.is_file():
            digest.update(f"\0{path.relative_to(base)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
