"""The life of a file over every place it may be cut off, in a folder and in a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.identity import Organization
from models.types import Role
from services.core.aws_signing import NOTHING_SHA256, Credentials, signature
from services.core.clock import FixedClock, SystemClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, NotFound
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.work import unit_of_work
from services.files import queries, retention, service
from services.files.retention import sweep
from services.files.rules import HELD_BYTES_MIN, MB, PURPOSES, ContentMissing, FilesFull, FileTooLarge, Kind
from services.files.s3 import PUT_BYTES_MAX, Bucket, S3Store, StoreUnavailable
from services.files.service import Arrived
from services.files.stores import FilePlaces, FolderStore
from tests.fakes.s3 import SECRET, FakeS3, s3_server
from tests.world import World

IMPORT = PURPOSES["import"]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def folder(tmp_path: Path) -> FilePlaces:
    return FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")


def left_in(where: FilePlaces, tmp_path: Path) -> list[Path]:
    return [path for path in (*where.incoming.rglob("*"), *(tmp_path / "files").rglob("*")) if path.is_file()]


async def arrived(where: FilePlaces, content: bytes = b"a,b\n1,2\n") -> Arrived:
    return await service.arrive(pieces(content), name="a.csv", purpose=IMPORT, incoming=where.incoming)


class Owner:
    """Somebody who keeps files in one organisation."""

    def __init__(self, world: World, organization: Organization, clock: FixedClock) -> None:
        self.actor = world.actor(organization)
        self.clock = clock

    async def announce(self, file: Arrived) -> str:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            return (await service.announce(uow, file, purpose="import")).id

    async def settle(self, file_id: str) -> None:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            await service.settle(uow, file_id)

    async def listed(self) -> list[str]:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            return [row.id for row in await queries.list_files(uow)]

    async def keep(self, where: FilePlaces, content: bytes = b"a,b\n1,2\n") -> str:
        file = await arrived(where, content)
        file_id = await self.announce(file)
        await where.store.put(file_id, file.path, sha256=file.sha256)
        await self.settle(file_id)
        return file_id


@pytest.fixture
async def owner(world: World) -> Owner:
    return Owner(world, await world.organization(), FixedClock(datetime.now(UTC)))


async def test_a_file_is_seen_once_all_of_it_is_there(owner: Owner, folder: FilePlaces) -> None:
    file = await arrived(folder)
    file_id = await owner.announce(file)
    assert await owner.listed() == []
    await folder.store.put(file_id, file.path, sha256=file.sha256)
    await folder.store.put(file_id, file.path, sha256=file.sha256)  # whoever died here does it again
    assert await owner.listed() == []
    await owner.settle(file_id)
    await owner.settle(file_id)

    assert await owner.listed() == [file_id]
    assert b"".join([piece async for piece in folder.store.read(file_id)]) == b"a,b\n1,2\n"
    async with crossing(Reason.INVARIANTS) as uow:
        stored = await uow.execute("select count(*) from event where type = 'file.stored'")
        assert stored.scalar_one() == 1


async def test_an_upload_is_stopped_where_it_becomes_too_large(folder: FilePlaces, tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    with pytest.raises(FileTooLarge):
        await service.arrive(endless(), name="a.csv", purpose=IMPORT, incoming=folder.incoming)
    assert sent == IMPORT.bytes_max + 1024 * 1024
    assert left_in(folder, tmp_path) == []


@pytest.mark.parametrize("died", ["before the content", "before it was said to be there", "after deleting"])
async def test_whatever_was_cut_off_is_found_by_its_row_and_swept(
    died: str, owner: Owner, folder: FilePlaces, tmp_path: Path
) -> None:
    kept = await owner.keep(folder)
    file = await arrived(folder)
    file_id = await owner.announce(file)
    if died != "before the content":
        await folder.store.put(file_id, file.path, sha256=file.sha256)
    if died == "after deleting":
        await owner.settle(file_id)
        async with unit_of_work(owner.actor, clock=owner.clock) as uow:
            await service.delete(uow, file_id)
    else:
        assert await sweep(folder, clock=owner.clock) == 0  # it may still be on its way
        owner.clock.at += timedelta(days=2)

    assert await sweep(folder, clock=owner.clock) == 1
    assert await sweep(folder, clock=owner.clock) == 0
    with pytest.raises(NotFound):
        await owner.settle(file_id)
    assert [path.name for path in left_in(folder, tmp_path)] == [kept]
    assert await owner.listed() == [kept]


async def test_content_that_cannot_be_removed_holds_up_nobody_elses(
    owner: Owner, folder: FilePlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PURGED_PER_TURN_MAX", 1)
    stuck, other = await owner.keep(folder), await owner.keep(folder, b"c,d\n")
    place = tmp_path / "files" / stuck[-2:] / stuck
    content = place.read_bytes()
    place.unlink()
    place.mkdir()  # which is no file to remove
    for file_id in (stuck, other):
        async with unit_of_work(owner.actor, clock=owner.clock) as uow:
            await service.delete(uow, file_id)
        owner.clock.at += timedelta(seconds=1)
    old = folder.incoming / "old"
    old.write_bytes(b"")
    os.utime(old, (0, 0))

    assert [await sweep(folder, clock=owner.clock) for _ in range(3)] == [0, 1, 0]
    assert not old.exists()
    place.rmdir()
    place.write_bytes(content)
    assert await sweep(folder, clock=owner.clock) == 1
    assert left_in(folder, tmp_path) == []


async def test_an_expired_file_is_gone_before_it_is_swept(owner: Owner, folder: FilePlaces) -> None:
    assert IMPORT.kept is not None
    file_id = await owner.keep(folder)
    owner.clock.at += IMPORT.kept

    assert await owner.listed() == []
    assert await sweep(folder, clock=owner.clock) == 1
    with pytest.raises(ContentMissing):
        await anext(folder.store.read(file_id))


async def test_a_link_fits_one_file_of_one_organisation_for_its_time(
    owner: Owner, folder: FilePlaces
) -> None:
    first, second = await owner.keep(folder), await owner.keep(folder, b"c,d\n")
    async with unit_of_work(owner.actor, clock=owner.clock) as uow:
        url = (await service.link_to(uow, first)).url
    said = dict(pair.split("=") for pair in url.partition("?")[2].split("&"))
    expires, signature_text = int(said["expires"]), said["signature"]

    opened = await service.open_link(first, expires=expires, signature=signature_text, clock=owner.clock)
    assert (opened.file_id, opened.name) == (first, "a.csv")
    for file_id, until, text in (
        (second, expires, signature_text),
        (first, expires + 1, signature_text),
        (first, expires, signature_text.swapcase()),
        (first, expires, ""),
        ("file_of_nobody", expires, signature_text),
    ):
        with pytest.raises(NotFound):
            await service.open_link(file_id, expires=until, signature=text, clock=owner.clock)
    owner.clock.at += timedelta(minutes=11)
    with pytest.raises(NotFound):
        await service.open_link(first, expires=expires, signature=signature_text, clock=owner.clock)


async def test_a_file_asks_for_what_its_content_needs(world: World, owner: Owner, folder: FilePlaces) -> None:
    """What somebody was allowed to write out is not for everybody who may read files."""
    file = await arrived(folder)
    async with unit_of_work(owner.actor, clock=owner.clock) as uow:
        row = await service.announce(uow, file, purpose="import", needs=(Capability.COST_READ,))
    await folder.store.put(row.id, file.path, sha256=file.sha256)
    await owner.settle(row.id)
    organization = await world.organization()
    stranger = world.actor(organization)
    colleague = Owner(world, organization, owner.clock)
    for actor, refusal in (
        (stranger, NotFound),
        (replace(owner.actor, capabilities=ROLE_CAPABILITIES[Role.VIEWER]), Forbidden),
    ):
        colleague.actor = actor
        assert await colleague.listed() == []
        async with unit_of_work(actor, clock=owner.clock) as uow:
            with pytest.raises(refusal):
                await service.link_to(uow, row.id)


async def test_an_organisation_has_so_much_room_for_files_and_no_more(
    world: World, owner: Owner, folder: FilePlaces, room_of_1_mb: None
) -> None:
    half = Arrived(folder.incoming / "half", "a.csv", Kind.CSV, MB // 2, bytes(32))
    kept = await owner.keep(folder)  # eight bytes, which take a block
    announced = await asyncio.gather(*(owner.announce(half) for _ in range(3)), return_exceptions=True)
    refused = [one for one in announced if isinstance(one, FilesFull)]
    assert len(refused) == 2
    assert refused[0].details == {"held_bytes": MB // 2 + HELD_BYTES_MIN, "bytes_max": MB}
    await Owner(world, await world.organization(), owner.clock).announce(
        half
    )  # others have room of their own

    async with unit_of_work(owner.actor, clock=owner.clock) as uow:
        await service.delete(uow, kept)
    with pytest.raises(FilesFull):
        await owner.announce(half)  # its content is still there
    await sweep(folder, clock=owner.clock)
    await owner.announce(half)


def test_everything_that_is_kept_fits_into_one_request_to_a_bucket() -> None:
    assert max(purpose.bytes_max for purpose in PURPOSES.values()) <= PUT_BYTES_MAX


# -- the bucket


def bucket(fake: FakeS3, secret: str = SECRET) -> S3Store:
    return S3Store(Bucket(fake.url, "matrix-files", "eu-test-1", "AKIAEXAMPLE", secret), SystemClock())


async def test_a_bucket_keeps_files_as_a_folder_does(tmp_path: Path) -> None:
    file_id, content = "file_01k8xqz5c1e9tv9yk6z3w2m4ab", bytes(range(256)) * 5_000
    async with s3_server(FakeS3(busy=2)) as fake:
        store = bucket(fake)
        (tmp_path / "a").write_bytes(content)
        digest = hashlib.sha256(content).digest()
        await store.put(file_id, tmp_path / "a", sha256=digest)
        await store.put(file_id, tmp_path / "a", sha256=digest)  # moved there already
        assert fake.objects == {f"/matrix-files/{file_id}": content}
        assert b"".join([piece async for piece in store.read(file_id)]) == content
        await store.remove(file_id)
        await store.remove(file_id)
        with pytest.raises(ContentMissing):
            await anext(store.read(file_id))
        with pytest.raises(ContentMissing):
            await store.put(file_id, tmp_path / "a", sha256=digest)  # neither here nor there
        assert fake.refused == []


async def test_a_bucket_refuses_another_secret_and_other_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"other")
    async with s3_server(FakeS3()) as fake:
        for store, digest in ((bucket(fake, "wrong"), b"other"), (bucket(fake), b"content")):
            with pytest.raises(StoreUnavailable) as refused:
                await store.put("file_x", tmp_path / "a", sha256=hashlib.sha256(digest).digest())
            assert "secret" not in str(refused.value)
        assert fake.refused == ["signature", "content"]
        assert fake.objects == {}
    with pytest.raises(StoreUnavailable):
        await anext(bucket(fake).read("file_x"))  # the server is gone
    with pytest.raises(StoreUnavailable):
        await bucket(fake).put("file_x", tmp_path / "moved", sha256=bytes(32))


def test_the_signature_is_the_one_of_the_published_example() -> None:
    """GET Object of "Authenticating Requests: Using the Authorization Header" in Amazon's S3 API reference."""
    made = signature(
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"),
        method="GET",
        path="/test.txt",
        headers={
            "Host": "examplebucket.s3.amazonaws.com",
            "Range": "bytes=0-9",
            "x-amz-content-sha256": NOTHING_SHA256,
            "x-amz-date": "20130524T000000Z",
        },
        content_sha256=NOTHING_SHA256,
        at=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert made == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
