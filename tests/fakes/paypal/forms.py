"""What a request carries: JSON, or a form whose part `input` is JSON and whose other parts are files."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, cast


def read(kind: str, raw: bytes) -> Any:
    """Of a form its `input`, with `_files` as name, media type and content of each. Raises ValueError."""
    if not kind.startswith("multipart/form-data"):
        return json.loads(raw) if raw else {}
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw)
    body: dict[str, Any] = {}
    files: list[tuple[str, str, bytes]] = []
    for part in message.iter_parts():  # pyright: ignore[reportAttributeAccessIssue]
        name = part.get_param("name", header="content-disposition")
        content = cast(bytes, part.get_payload(decode=True))
        if name == "input":
            body = json.loads(content)
        elif name == "evidence-file":
            files.append((part.get_filename() or "", part.get_content_type(), content))
    return body | {"_files": files}
