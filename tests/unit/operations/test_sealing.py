"""Sealed files: what goes in comes out; what was cut, moved, changed or made with another key does not."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.operations.refusal import BackupRefused
from services.operations.sealing import (
    CHUNK_BYTES,
    OPENED_BYTES_MAX,
    BackupKey,
    SealedReader,
    SealedWriter,
    Written,
    facts_of,
)

KEY = BackupKey.of("11" * 32)
SALT = b"s" * 16
SEALED_CHUNK = CHUNK_BYTES + 16


def noise(size: int) -> bytes:
    """Bytes that do not become fewer when compressed."""
    return random.Random(size).randbytes(size)


def seal(path: Path, content: bytes, *, name: str = "part", key: BackupKey = KEY) -> Written:
    writer = SealedWriter(path, name, key, SALT, color="green")
    for at in range(0, len(content), 70_000):
        writer.write(content[at : at + 70_000])
    return writer.finish()


def opened(path: Path, *, name: str = "part", key: BackupKey = KEY) -> bytes:
    with SealedReader(path, name, key) as reader:
        return reader.readall()


def header_bytes(raw: bytes) -> int:
    return 8 + int.from_bytes(raw[4:8], "big")


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
def test_what_was_sealed_opens_as_it_was(tmp_path: Path, size: int) -> None:
    content = noise(size)
    written = seal(tmp_path / "file", content)

    assert opened(tmp_path / "file") == content
    with SealedReader(tmp_path / "file", "part", KEY) as reader:
        assert reader.finish() == (written.plain_bytes, written.plain_sha256)
    assert written.bytes == (tmp_path / "file").stat().st_size
    assert facts_of(tmp_path / "file") == {"color": "green"}


@given(cuts=st.lists(st.integers(0, 400), max_size=12), content=st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
def test_how_it_is_written_in_pieces_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], content: bytes
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "file"
    writer = SealedWriter(path, "part", KEY, SALT)
    ends = [0, *sorted(cuts), 400]
    for start, end in itertools.pairwise(ends):
        writer.write(content[start:end])
    writer.finish()

    assert opened(path) == content


def test_a_chunk_that_expands_a_thousandfold_is_opened_in_pieces(tmp_path: Path) -> None:
    size = 2 * OPENED_BYTES_MAX + 5
    seal(tmp_path / "file", bytes(size))

    assert (tmp_path / "file").stat().st_size < CHUNK_BYTES
    with SealedReader(tmp_path / "file", "part", KEY) as reader:
        assert reader.finish()[0] == size


def test_nothing_of_the_content_is_readable(tmp_path: Path) -> None:
    seal(tmp_path / "file", b"a secret word" * 1000)

    assert b"secret" not in (tmp_path / "file").read_bytes()


def cut_in_a_chunk(raw: bytes, start: int) -> bytes:
    return raw[: start + SEALED_CHUNK + 10]


def cut_between_chunks(raw: bytes, start: int) -> bytes:
    return raw[: start + 2 * SEALED_CHUNK]


def without_the_first_chunk(raw: bytes, start: int) -> bytes:
    return raw[:start] + raw[start + SEALED_CHUNK :]


def two_chunks_changed_places(raw: bytes, start: int) -> bytes:
    first, second = start + SEALED_CHUNK, start + 2 * SEALED_CHUNK
    return raw[:start] + raw[first:second] + raw[start:first] + raw[second:]


def one_bit_changed(raw: bytes, start: int) -> bytes:
    at = start + SEALED_CHUNK + 1234
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def bytes_added(raw: bytes, start: int) -> bytes:
    return raw + b"more"


def another_fact(raw: bytes, start: int) -> bytes:
    return raw.replace(b"green", b"black", 1)


def only_a_header(raw: bytes, start: int) -> bytes:
    return raw[:start]


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_a_chunk,
        cut_between_chunks,
        without_the_first_chunk,
        two_chunks_changed_places,
        one_bit_changed,
        bytes_added,
        another_fact,
        only_a_header,
    ],
)
def test_damage_is_noticed_and_named(tmp_path: Path, damage: Callable[[bytes, int], bytes]) -> None:
    path = tmp_path / "file"
    seal(path, noise(3 * CHUNK_BYTES))
    raw = path.read_bytes()
    path.write_bytes(damage(raw, header_bytes(raw)))

    with pytest.raises(BackupRefused, match=r"file is damaged at chunk \d: take another copy of it"):
        opened(path)


@pytest.mark.parametrize(
    "content", [b"", b"MXB1", b"MXB1\xff\xff\xff\xff", b"MXB1\0\0\0\2{}", b"a text file"]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(BackupRefused, match="is not a file of a backup"):
        opened(tmp_path / "file")


def test_one_part_does_not_stand_in_for_another(tmp_path: Path) -> None:
    seal(tmp_path / "file", b"old", name="base/1")

    with pytest.raises(BackupRefused, match="holds base/1 and not base/2"):
        opened(tmp_path / "file", name="base/2")


@pytest.mark.parametrize("other", ["22" * 32, "a passphrase of some length"])
def test_another_key_is_told_from_damage(tmp_path: Path, other: str) -> None:
    seal(tmp_path / "file", b"content")

    with pytest.raises(BackupRefused, match=r"does not open .* made with another"):
        opened(tmp_path / "file", key=BackupKey.of(other))


def test_a_passphrase_opens_what_it_sealed(tmp_path: Path) -> None:
    seal(tmp_path / "file", b"content", key=BackupKey.of("correct horse battery staple"))

    assert opened(tmp_path / "file", key=BackupKey.of("correct horse battery staple")) == b"content"


def test_two_files_of_one_content_differ(tmp_path: Path) -> None:
    one, two = seal(tmp_path / "one", b"content"), seal(tmp_path / "two", b"content")

    assert one.plain_sha256 == two.plain_sha256
    assert one.sha256 != two.sha256


def test_a_key_file_is_read_without_its_newline_and_a_short_one_is_refused(tmp_path: Path) -> None:
    text = secrets.token_hex(32)
    (tmp_path / "key").write_text(f"{text}\n")
    (tmp_path / "short").write_text("hunter2\n")

    assert BackupKey.read(tmp_path / "key") == BackupKey.of(text)
    assert "secret" not in repr(BackupKey.of(text))
    with pytest.raises(BackupRefused, match="has 7 characters and needs 20"):
        BackupKey.read(tmp_path / "short")
    with pytest.raises(BackupRefused, match="MATRIX_BACKUP_KEY_FILE"):
        BackupKey.read(tmp_path / "missing")
