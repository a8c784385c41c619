"""Links that read one file for a while: signed by the vault, bound to the file, its organisation and their end."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from urllib.parse import urlencode

from services.core.crypto import vault

PATH = "/api/v1/files/{file_id}/content"
_SIGNATURE_BYTES = 24


def url_for(file_id: str, organization_id: str, expires_at: datetime) -> str:
    """A path on this site, with its signature."""
    expires = int(expires_at.timestamp())
    query = urlencode({"expires": expires, "signature": _signature(file_id, organization_id, expires)})
    return f"{PATH.format(file_id=file_id)}?{query}"


def is_valid(signature: str, *, file_id: str, organization_id: str, expires: int, now: datetime) -> bool:
    expected = _signature(file_id, organization_id, expires)
    return hmac.compare_digest(expected.encode(), signature.encode()) and now.timestamp() < expires


def _signature(file_id: str, organization_id: str, expires: int) -> str:
    digest = vault().lookup_hash(f"file link:{file_id}:{organization_id}:{expires}")
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()
