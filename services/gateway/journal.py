"""The local journal: what a process has promised to book, on its own disk, before it acts.

A call is written when it opens, before the upstream is asked, and again when it closes, before the caller gets
the end of its answer. Segments are mapped files with all their blocks allocated: a record is a copy into memory
that the kernel owns, so kill -9 loses nothing and no call waits for a disk; a flush to disk follows within
FLUSH_S off the event loop, for the day the machine dies.

A segment begins with counters, in which a stream notes each token before it is sent: exact, at the price of one
store. Then come the records, a checked line each, up to the first NUL. When all calls of a full segment are
settled it is deleted. Settling twice changes nothing, so nobody notes what is settled.

A process works in a slot it holds by a file lock. Files of a slot whose lock is free belong to the dead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from services.core.logs import get_logger
from services.gateway.calls import Call, from_json
from services.gateway.refusals import Code

log = get_logger(__name__)

SEGMENT_CALLS_MAX = 4_096
SEGMENT_S_MAX = 600.0  # callers' addresses are not kept longer than needed
SLOTS_MAX = 1_024
FLUSH_S = 0.1
RECORD_BYTES_MAX = 2_048
SEGMENT_BYTES = 4_194_304
_COUNTERS = struct.Struct("<II")  # completion tokens sent, prompt tokens as reported
_RECORDS_AT = SEGMENT_CALLS_MAX * _COUNTERS.size
_OPEN, _CLOSED = b"o", b"c"


class Slot:
    """The lock under which one process writes its files. Held until closed or until the process ends."""

    def __init__(self, directory: Path, number: int, descriptor: int) -> None:
        self.directory = directory
        self.number = number
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path, number: int) -> Slot | None:
        """None when another process holds it."""
        descriptor = os.open(directory / f"slot-{number:04}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(directory, number, descriptor)

    @classmethod
    def take_first_free(cls, directory: Path) -> Slot:
        for number in range(SLOTS_MAX):
            if slot := cls.take(directory, number):
                return slot
        raise RuntimeError(f"All {SLOTS_MAX} journal slots in {directory} are taken.")

    @property
    def process(self) -> str:
        """A name that outlives a crash: who takes the slot next takes over the leases, too."""
        return f"{self.node}-{self.number:04}"

    @property
    def node(self) -> str:
        """The name of this installation's folder."""
        return _node(self.directory)

    def files(self) -> list[Path]:
        """Segments on disk, oldest first."""
        return sorted(self.directory.glob(f"{self.number:04}-*.calls"))

    def release(self) -> None:
        os.close(self._descriptor)


def _node(directory: Path) -> str:
    """A random name of this installation's folder, made once."""
    path = directory / "node"
    if not path.exists():
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.write_text(secrets.token_hex(6))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster; its name counts
        finally:
            draft.unlink()
    return path.read_text().strip()


@dataclass(slots=True, eq=False)
class Entry:
    """An open call in the journal."""

    call: Call
    segment: Segment
    counter: int

    def progress(self, sent: int, prompt: int = 0) -> None:
        """Note that `sent` tokens in all are leaving. Call it before they do."""
        _COUNTERS.pack_into(self.segment.memory, self.counter * _COUNTERS.size, sent, prompt)

    def close(self) -> None:
        """Write the call as it now stands."""
        self.segment.close(self)


@dataclass(slots=True, eq=False)
class Segment:
    """One file that this process writes."""

    path: Path
    descriptor: int
    memory: mmap.mmap
    used: int = _RECORDS_AT
    opened: int = 0
    closed: int = 0
    settled: int = 0
    spilled: bool = False  # closed calls that are on disk only
    parked: bool = False  # holds a call the database refuses: kept for people to look at
    dirty: bool = False
    created_at: float = field(default_factory=time.monotonic)

    @classmethod
    def create(cls, path: Path) -> Segment:
        """Raises OSError when the disk has no room for it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # A store into a hole of a full disk would kill the process: have every block now or not at all.
            os.posix_fallocate(descriptor, 0, SEGMENT_BYTES)
            return cls(path, descriptor, mmap.mmap(descriptor, SEGMENT_BYTES))
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise

    def open(self, call: Call) -> Entry | None:
        """None when the segment is full: each open call keeps room for its closing record."""
        line = _line(_OPEN, self.opened, call)
        promised = (self.opened - self.closed + 1) * RECORD_BYTES_MAX
        if self.opened == SEGMENT_CALLS_MAX or self.used + len(line) + promised > SEGMENT_BYTES:
            return None
        entry = Entry(call, self, self.opened)
        self._write(line)
        self.opened += 1
        return entry

    def close(self, entry: Entry) -> None:
        self._write(_line(_CLOSED, entry.counter, entry.call))
        self.closed += 1

    def _write(self, line: bytes) -> None:
        end = self.used + len(line)
        self.memory[self.used : end] = line
        self.used = end
        self.dirty = True

    @property
    def done(self) -> bool:
        return self.settled >= self.opened and not self.parked

    def flusher(self) -> Callable[[], None]:
        """What brings everything written so far to the disk itself. It blocks: run it in a thread.

        It works on a descriptor of its own, so the segment may be deleted meanwhile.
        """
        self.dirty = False
        descriptor = os.dup(self.descriptor)

        def flush() -> None:
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

        return flush

    def release(self, *, delete: bool) -> None:
        self.memory.close()
        os.close(self.descriptor)
        if delete:
            self.path.unlink(missing_ok=True)


def _line(state: bytes, counter: int, call: Call) -> bytes:
    body = b"%s %d %s" % (state, counter, orjson.dumps(call))
    line = b"%08x %s\n" % (zlib.crc32(body), body)
    if len(line) > RECORD_BYTES_MAX:
        raise ValueError(f"A journal record of {len(line)} bytes: a field of a call is not bounded.")
    return line


@dataclass(slots=True)
class Journal:
    """The segments of this process."""

    slot: Slot
    current: Segment
    sealed: list[Segment] = field(default_factory=list)
    _number: int = 0
    _out_of_room: bool = False

    @classmethod
    def start(cls, slot: Slot) -> Journal:
        """Begin after the segments that a former holder of the slot left behind."""
        names = [int(path.stem.partition("-")[2]) for path in slot.files()]
        number = max(names, default=0) + 1
        return cls(slot, Segment.create(_path(slot, number)), [], number)

    def open(self, call: Call) -> Entry:
        """Promise to book `call`. Raises OSError when the disk refuses: then the call must not be made."""
        entry = self.current.open(call)
        if entry is None:
            self.rotate()
            entry = self.current.open(call)
        if entry is None:
            raise RuntimeError("An empty journal segment has no room for a call.")
        return entry

    def rotate(self) -> None:
        self._number += 1
        fresh = Segment.create(_path(self.slot, self._number))
        self.sealed.append(self.current)
        self.current = fresh

    def tidy(self) -> None:
        """Delete segments whose calls are all settled, once they are full or old.

        A disk without room for a fresh segment is logged: the old one serves on, and each deletion makes room.
        """
        self._delete_done()
        current = self.current
        if current.opened and current.done and time.monotonic() - current.created_at > SEGMENT_S_MAX:
            try:
                self.rotate()
            except OSError as error:
                if not self._out_of_room:
                    log.warning("journal_not_rotated", error=str(error))
                self._out_of_room = True
            else:
                self._out_of_room = False
                self._delete_done()

    def _delete_done(self) -> None:
        for segment in [one for one in self.sealed if one.done]:
            self.sealed.remove(segment)
            segment.release(delete=True)

    def segments(self) -> list[Segment]:
        return [*self.sealed, self.current]

    def stop(self) -> None:
        """Let go of the files, and delete those that nobody needs."""
        for segment in self.segments():
            segment.release(delete=segment.done)
        self.slot.release()


def _path(slot: Slot, number: int) -> Path:
    return slot.directory / f"{slot.number:04}-{number:010}.calls"


def read_closed(path: Path) -> list[Call]:
    """The closed calls of a segment that is perhaps still written."""
    return [call for closed, _, call in _records(path).values() if closed]


def read_dead(path: Path) -> list[Call]:
    """All calls of a dead process's segment; those left open are closed with what had been sent."""
    counters = path.read_bytes()[:_RECORDS_AT]
    calls: list[Call] = []
    for closed, counter, call in _records(path).values():
        if not closed:
            sent, prompt = _COUNTERS.unpack_from(counters, counter * _COUNTERS.size)
            call.broke_off(Code.PROCESS_ENDED, sent=sent, prompt=prompt)
        calls.append(call)
    return calls


def _records(path: Path) -> dict[str, tuple[bool, int, Call]]:
    """The last record of each call, by its id."""
    found: dict[str, tuple[bool, int, Call]] = {}
    for state, counter, call in _read_lines(path):
        found[call.id] = (state == _CLOSED, counter, call)
    return found


def _read_lines(path: Path) -> Iterator[tuple[bytes, int, Call]]:
    written, _, _ = path.read_bytes()[_RECORDS_AT:].partition(b"\0")
    for number, line in enumerate(written.splitlines(), start=1):
        checksum, _, body = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(body):
            # The process died in the middle of a copy, or the machine before the disk had it all.
            log.error("journal_line_unreadable", segment=path.name, line=number)
            continue
        state, counter, call = body.split(b" ", 2)
        yield state, int(counter), from_json(orjson.loads(call))
