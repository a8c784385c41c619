"""A bucket of an S3 server as a store of files: four requests, signed by us.

The server is named by the operator's settings and by nobody else, so it may lie inside.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from aiohttp import ClientError, ClientResponse, ClientTimeout
from yarl import URL

from services.core.aws_signing import NOTHING_SHA256, Credentials, signed_headers
from services.core.clock import Clock
from services.core.errors import Unavailable
from services.core.outgoing import inside_session
from services.core.tracing import outgoing_call
from services.files.rules import PIECE_BYTES, ContentMissing

PUT_BYTES_MAX = 5 * 1024**3  # what S3 takes in one request; PURPOSES stay below
TRIES_MAX = 4
PAUSE_S = 0.2  # doubled each time
_TIMEOUT = ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=60)


@dataclass(frozen=True, slots=True)
class Bucket:
    endpoint: str  # https://s3.eu-central-1.amazonaws.com; the bucket is named in the path
    name: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key, self.secret_key, self.region)


class StoreUnavailable(Unavailable):
    """The S3 server did not do what it was asked. The answer's own words may name keys, so they are not repeated."""

    code = "file_store_unavailable"

    def __init__(self, what: str) -> None:
        super().__init__(f"The file store {what}.", next_step="Try again in a moment.")


class S3Store:
    """Puts are repeated while the server is busy: the same id always has the same content."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        if not await asyncio.to_thread(source.exists):
            await self._require(file_id)  # put already, before we were killed
            return
        for turn in range(TRIES_MAX):
            with source.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                try:
                    async with self._asked(
                        "PUT", file_id, sha256=sha256.hex(), content=_pieces(content), size=size
                    ) as answer:
                        if answer.status < 300:
                            await asyncio.to_thread(source.unlink, missing_ok=True)
                            return
                        if answer.status < 500 and answer.status != 429:
                            raise StoreUnavailable(f"refused to keep the file ({answer.status})")
                except ClientError as error:
                    if turn + 1 == TRIES_MAX:
                        raise StoreUnavailable("cannot be reached") from error
            await asyncio.sleep(PAUSE_S * 2**turn)
        raise StoreUnavailable("is busy")

    async def read(self, file_id: str) -> AsyncIterator[bytes]:
        try:
            async with self._asked("GET", file_id) as answer:
                if answer.status == 404:
                    raise ContentMissing(file_id)
                if answer.status != 200:
                    raise StoreUnavailable(f"refused to give the file ({answer.status})")
                async for piece in answer.content.iter_chunked(PIECE_BYTES):
                    yield piece
        except ClientError as error:
            raise StoreUnavailable("cannot be reached") from error

    async def remove(self, file_id: str) -> None:
        try:
            async with self._asked("DELETE", file_id) as answer:
                if answer.status not in (200, 204, 404):
                    raise StoreUnavailable(f"refused to delete the file ({answer.status})")
        except ClientError as error:
            raise StoreUnavailable("cannot be reached") from error

    async def _require(self, file_id: str) -> None:
        try:
            async with self._asked("HEAD", file_id) as answer:
                if answer.status == 404:
                    raise ContentMissing(file_id)
                if answer.status != 200:
                    raise StoreUnavailable(f"does not say whether it has the file ({answer.status})")
        except ClientError as error:
            raise StoreUnavailable("cannot be reached") from error

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        file_id: str,
        *,
        sha256: str = NOTHING_SHA256,
        content: AsyncIterator[bytes] | None = None,
        size: int = 0,
    ) -> AsyncGenerator[ClientResponse]:
        endpoint = urlsplit(self._bucket.endpoint)
        path = f"{endpoint.path.rstrip('/')}/{quote(self._bucket.name)}/{quote(file_id)}"
        headers = signed_headers(
            self._bucket.credentials,
            method=method,
            host=endpoint.netloc,
            path=path,
            content_sha256=sha256,
            at=self._clock.now(),
        )
        if method == "PUT":
            headers["Content-Length"] = str(size)
        url = URL(f"{endpoint.scheme}://{endpoint.netloc}{path}", encoded=True)
        async with inside_session() as session:
            # Until the answer begins: whoever reads the rest may do so in another task, or leave off.
            with outgoing_call("s3", method=method):
                answer = await session.request(
                    method, url, headers=headers, data=content, timeout=_TIMEOUT, allow_redirects=False
                )
            async with answer:
                yield answer


async def _pieces(content: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(content.read, PIECE_BYTES):
        yield piece
