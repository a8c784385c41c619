"""The journal survives its process: what was written is read again, whole, once, and by one reader."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.gateway import journal
from services.gateway.calls import Call
from services.gateway.journal import Journal, Slot
from services.gateway.refusals import Code

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def call(number: int) -> Call:
    return Call(
        id=f"req_{number:06}",
        organization_id="org_a",
        key_id="apikey_a",
        account_id="",
        endpoint="chat",
        started_at=AT,
        address="203.0.113.7",
        trace_id="0" * 32,
        model="m",
        prompt_estimate=11,
    )


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot.take_first_free(tmp_path)


def test_a_closed_call_is_read_as_it_was_closed(slot: Slot) -> None:
    written = Journal.start(slot)
    entry = written.open(call(1))
    entry.call.status, entry.call.prompt_tokens, entry.call.completion_tokens = 200, 7, 5
    entry.close()
    written.open(call(2))

    (path,) = slot.files()
    assert journal.read_closed(path) == [entry.call]


def test_an_open_call_is_closed_with_what_had_been_sent(slot: Slot) -> None:
    written = Journal.start(slot)
    nothing, some, reported = (written.open(call(number)) for number in (1, 2, 3))
    some.progress(4)
    reported.progress(9, 13)

    read = {one.id: one for one in journal.read_dead(slot.files()[0])}

    tokens = [
        (read[e.call.id].prompt_tokens, read[e.call.id].completion_tokens) for e in (nothing, some, reported)
    ]
    assert tokens == [(0, 0), (11, 4), (13, 9)]
    assert {one.status for one in read.values()} == {499}
    assert {one.error_code for one in read.values()} == {Code.PROCESS_ENDED}
    assert {one.tokens_source for one in read.values()} == {"counted"}


def test_a_torn_record_is_left_out_and_the_rest_is_read(slot: Slot) -> None:
    written = Journal.start(slot)
    for number in (1, 2, 3):
        written.open(call(number)).close()
    (path,) = slot.files()
    content = bytearray(path.read_bytes())
    at = content.index(b"req_000002", content.index(b"req_000002") + 1)
    content[at] ^= 1  # one bit of the closing record of the second
    path.write_bytes(content)

    read = journal.read_dead(path)

    assert [(one.id, one.status) for one in read] == [
        ("req_000001", 0),
        ("req_000002", 499),
        ("req_000003", 0),
    ]


def test_segments_are_deleted_when_full_and_settled(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_CALLS_MAX", 3)
    written = Journal.start(slot)
    entries = [written.open(call(number)) for number in range(7)]
    assert len(slot.files()) == 3

    for entry in entries[:5]:
        entry.close()
        entry.segment.settled += 1
    written.tidy()

    assert len(slot.files()) == 2  # the first is full and settled; the second has an open call
    assert {one.id for path in slot.files() for one in journal.read_dead(path)} >= {
        "req_000005",
        "req_000006",
    }


def test_a_full_disk_keeps_no_settled_segment(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting is what makes room again, so it must not wait for room."""
    written = Journal.start(slot)
    for number in range(2):
        entry = written.open(call(number))
        entry.close()
        entry.segment.settled += 1
        if not number:
            written.rotate()
    current = written.current
    current.created_at -= journal.SEGMENT_S_MAX + 1

    def no_room(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", no_room)
        for _ in range(3):
            written.tidy()
        assert slot.files() == [current.path]
    entry = written.open(call(3))  # the old segment serves on
    entry.close()
    entry.segment.settled += 1
    written.tidy()

    assert slot.files() == [written.current.path]
    assert written.current is not current


def test_a_segment_keeps_room_for_the_end_of_each_open_call(
    slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", journal._RECORDS_AT + 10 * journal.RECORD_BYTES_MAX)
    written = Journal.start(slot)
    entries = [written.open(call(number)) for number in range(30)]
    for entry in entries:
        entry.call.status = 200
        entry.close()

    read = [one for path in slot.files() for one in journal.read_dead(path)]
    assert sorted(one.id for one in read) == [entry.call.id for entry in entries]
    assert {one.status for one in read} == {200}


def test_a_slot_has_one_holder_and_keeps_its_name(tmp_path: Path) -> None:
    first, second = Slot.take_first_free(tmp_path), Slot.take_first_free(tmp_path)
    assert first.number != second.number
    name = first.process
    first.release()
    again = Slot.take_first_free(tmp_path)
    assert again.process == name


def test_a_process_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from services.gateway.journal import Journal, Slot
from tests.unit.gateway.test_journal import call
written = Journal.start(Slot.take_first_free(Path(sys.argv[1])))
for number in range(1_000):
    entry = written.open(call(number))
    entry.progress(number)
    if number % 2:
        entry.call.status = 200
        entry.close()
sys.stdout.write("written\\n")
sys.stdout.flush()
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    slot = Slot.take_first_free(tmp_path)  # the dead hold no locks
    read = [one for path in slot.files() for one in journal.read_dead(path)]

    assert [one.id for one in read] == [call(number).id for number in range(1_000)]
    assert [one.status for one in read] == [200 if number % 2 else 499 for number in range(1_000)]
    assert [one.completion_tokens for one in read if one.status == 499] == list(range(0, 1_000, 2))
