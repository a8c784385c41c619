"""Child processes that are kept running, and stopped together."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.core.tether import tied

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0  # after this long a child has proved itself: its delays begin anew
STOP_TIMEOUT_S = 20.0
LOG_BYTES_MAX = 50_000_000
_TICK_S = 0.1


@dataclass(slots=True)
class Child:
    """One program to keep running. Its output goes to `log_path`; `stop_last` outlives the others."""

    name: str
    command: Sequence[str | Path]
    log_path: Path
    environment: dict[str, str] = field(default_factory=dict)
    stop_last: bool = False

    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    due_at: float = 0.0

    def start(self) -> None:
        """Start the program in a session of its own, tied to us: a Ctrl-C reaches it in our order only."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.touch(mode=0o600)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tied(signal.SIGTERM),
            )
        self.started_at = time.monotonic()

    def running(self) -> bool:
        """Whether the program runs now."""
        return self.process is not None and self.process.poll() is None

    def last_words(self, lines: int = 12) -> str:
        """The end of the program's log, and where the rest is."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join([f"the end of {self.log_path}:", *text.splitlines()[-lines:]])


class Supervisor:
    """Keeps children running until `stop`. All in the caller's thread: nothing happens outside `tick`."""

    def __init__(self, say: Callable[[str], None], *, stop_timeout_s: float = STOP_TIMEOUT_S) -> None:
        self.children: list[Child] = []
        self._say = say
        self._stop_timeout_s = stop_timeout_s

    def run(self, child: Child) -> None:
        """Start `child` and keep it running."""
        self.children.append(child)
        child.start()

    def watch(self, done: Callable[[], bool]) -> None:
        """Look after the children until `done()`."""
        while not done():
            self.tick()
            time.sleep(_TICK_S)

    def tick(self) -> None:
        """Start again what ended, each after its delay, and cut logs that grew too long."""
        now = time.monotonic()
        for child in self.children:
            code = child.process.poll() if child.process is not None else None
            if code is not None:
                self._plan_restart(child, code, now)
            elif child.process is not None:
                _cut_log(child.log_path)
            elif now >= child.due_at:
                child.start()

    def _plan_restart(self, child: Child, code: int, now: float) -> None:
        if now - child.started_at >= STEADY_S:
            child.failures = 0
        delay = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**child.failures)
        child.failures += 1
        child.due_at = now + delay
        child.process = None
        self._say(f"{child.name} {_ending(code)}; it starts again in {delay:g} s (its log: {child.log_path})")

    def stop(self) -> None:
        """End all children, those with `stop_last` after the others. Returns when none is left."""
        for last in (False, True):
            group = [child for child in self.children if child.stop_last is last]
            _end([child.process for child in group if child.process is not None], self._stop_timeout_s)
        self.children.clear()


def _end(processes: Sequence[subprocess.Popen[bytes]], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # It leads its session: what it started goes with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _cut_log(path: Path) -> None:
    """Keep one older part. The writer appends, so it goes on at the new end."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)
