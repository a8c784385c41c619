"""An answer to a dispute as PayPal takes it: one form, with what is said as JSON and the files behind it. Pure."""

from __future__ import annotations

import hashlib

import orjson

from services.payments.providers.values import NOTES, Evidence


def evidence_form(evidence: Evidence, *, key: str) -> tuple[str, bytes]:
    """The content type and the body. The same answer is the same body, which its key stands for.

    Each kind of evidence names its files; the notes are with the first.
    """
    kinds: dict[str, list[dict[str, str]]] = {}
    names = [f"{number} {_plain(one.name)}" for number, one in enumerate(evidence.files, 1)]
    for name, one in zip(names, evidence.files, strict=True):
        kinds.setdefault(one.field, []).append({"name": name})
    told = [{"evidence_type": kind, "documents": named} for kind, named in kinds.items()]
    first = told[0] if told else {"evidence_type": "OTHER"}
    said = [first | {"notes": evidence.texts.get(NOTES, "")}, *told[1:]]
    boundary = "matrix" + hashlib.sha256(key.encode()).hexdigest()
    parts = [("input", "input.json", "application/json", orjson.dumps({"evidences": said}))]
    parts += [
        ("evidence-file", name, one.kind, one.content)
        for name, one in zip(names, evidence.files, strict=True)
    ]
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, file, kind, content in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _plain(name: str) -> str:
    """Without what ends a name in a form. Those that are the same then are told apart by their number."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
