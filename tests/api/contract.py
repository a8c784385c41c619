"""The OpenAPI document is true: every answer in these tests is one that it declares."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs
from fastapi import FastAPI

from services.core.settings import settings

BASE = "/api/v1"
_contracts: dict[tuple[str, str], Contract] = {}


async def contract_of(app: FastAPI, address: str) -> Contract:
    """What `app` promises. To write that down takes it a second, and apps of the same settings promise the same."""
    promised_for = (settings().mode, settings().public_url)
    if promised_for not in _contracts:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=address) as client:
            _contracts[promised_for] = Contract((await client.get(f"{BASE}/openapi.json")).json())
    return _contracts[promised_for]


class Contract:
    """Answers as the document promises them: status, content type and shape of each operation."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations)
            for path, operations in sorted(document["paths"].items(), key=lambda pair: "{" in pair[0])
        ]
        self._validators: dict[str, Any] = {}

    async def check(self, answer: httpx.Response) -> None:
        """Raises AssertionError for an answer that the document does not know."""
        operation = self._operation(answer.request)
        if operation is None:
            return
        promised = operation["responses"].get(str(answer.status_code))
        assert promised, (
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} is not declared"
        )
        await answer.aread()
        if not answer.content:
            assert "content" not in promised, f"{answer.status_code} came without its body"
            return
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in promised["content"], f"{kind} is not declared for {answer.status_code}"
        if not kind.endswith("json"):
            return
        problems = list(self._validator(promised["content"][kind]["schema"]).iter_errors(answer.json()))
        assert not problems, f"{answer.request.url.path}: {problems[0]}"

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        path = request.url.path.removeprefix(BASE)
        for pattern, operations in self._paths:
            if pattern.fullmatch(path) and request.method.lower() in operations:
                return operations[request.method.lower()]
        return None

    def _validator(self, schema: dict[str, Any]) -> Any:
        name = repr(schema)
        if name not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[name] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return self._validators[name]
