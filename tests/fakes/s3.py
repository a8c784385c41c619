"""An S3 server for one bucket: checks date, content hash and signature of each request, and keeps what it is sent.

The signature is worked out here from the wire, by AWS's description and with none of our own code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/(\d{8})/eu-test-1/s3/aws4_request,"
    r" SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


@dataclass
class FakeS3:
    """`busy` answers so many requests with 503 first."""

    url: str = ""
    busy: int = 0
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    refused: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        if fault := _fault(request, content):
            self.refused.append(fault)
            return web.Response(status=403, text=fault)
        if self.busy:
            self.busy -= 1
            return web.Response(status=503)
        name = request.raw_path
        if request.method == "PUT":
            self.objects[name] = content
            return web.Response()
        if request.method == "DELETE":
            self.objects.pop(name, None)
            return web.Response(status=204)
        if name not in self.objects:
            return web.Response(status=404)
        return web.Response(body=self.objects[name] if request.method == "GET" else b"")


def _fault(request: web.Request, content: bytes) -> str:
    told = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if told is None:
        return "authorization"
    day, names, signature = told.groups()
    stated = request.headers["x-amz-content-sha256"]
    if stated != hashlib.sha256(content).hexdigest():
        return "content"
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - at) > timedelta(minutes=15) or f"{at:%Y%m%d}" != day:
        return "date"
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";")):
        return "unsigned headers"
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
    path, _, query = request.raw_path.partition("?")
    canonical = f"{request.method}\n{path}\n{query}\n{headers}\n{names}\n{stated}"
    scope = f"{day}/eu-test-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at:%Y%m%dT%H%M%SZ}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + SECRET).encode()
    for part in (day, "eu-test-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return "" if hmac.digest(key, text.encode(), "sha256").hex() == signature else "signature"


@asynccontextmanager
async def s3_server(fake: FakeS3) -> AsyncIterator[FakeS3]:
    app = web.Application(client_max_size=100 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
