"""AWS Signature Version 4, for requests whose whole content is known before it is sent."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    region: str


def signature(
    credentials: Credentials,
    *,
    method: str,
    path: str,
    headers: Mapping[str, str],
    content_sha256: str,
    at: datetime,
    service: str = "s3",
) -> str:
    """64 hexadecimal digits. `path` is as sent, percent-encoded once, without a query; all `headers` are signed."""
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    canonical = "\n".join(
        (
            method,
            path,
            "",
            *(f"{name}:{lower[name]}" for name in sorted(lower)),
            "",
            _names(lower),
            content_sha256,
        )
    )
    scope = _scope(credentials, at, service)
    text = "\n".join(
        (ALGORITHM, f"{at:%Y%m%dT%H%M%SZ}", scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def signed_headers(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    content_sha256: str,
    at: datetime,
    service: str = "s3",
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What a request must carry besides what its client adds by itself; `more` is signed, too."""
    headers = {
        **(more or {}),
        "Host": host,
        "x-amz-content-sha256": content_sha256,
        "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}",
    }
    made = signature(
        credentials,
        method=method,
        path=path,
        headers=headers,
        content_sha256=content_sha256,
        at=at,
        service=service,
    )
    headers["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{_scope(credentials, at, service)},"
        f" SignedHeaders={_names(headers)}, Signature={made}"
    )
    return headers


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(name.lower() for name in headers))


def _scope(credentials: Credentials, at: datetime, service: str) -> str:
    return f"{at:%Y%m%d}/{credentials.region}/{service}/aws4_request"
