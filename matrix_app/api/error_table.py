"""Writes docs/errors.md: every code that an answer of the API can carry, from the source that raises it.

python -m matrix_app.api.error_table > docs/errors.md
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import services
from matrix_app import api
from matrix_app.api import errors
from services.core.errors import MatrixError

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("services", "matrix_app/api")

_HEAD = """\
# Errors of the API

Each failed request is answered by a problem document (RFC 9457, `application/problem+json`) with a `code` made
for programs, a `detail` for people, a `next_step`, and a `reference` that finds the request in the logs. Codes
stay; sentences may change. The gateway at `/v1` answers in OpenAI's shape instead.

This file is made by `python -m matrix_app.api.error_table`.

| code | status | for example |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Entry:
    code: str
    status: int
    example: str

    def line(self) -> str:
        return f"| `{self.code}` | {self.status} | {self.example} |\n"


def table() -> str:
    """The file as it should be now."""
    entries: dict[str, Entry] = {}
    for entry in sorted([*_of_classes(), *_of_http(), *_of_calls()], key=lambda entry: entry.code):
        entries.setdefault(entry.code, entry)
    return _HEAD + "".join(entry.line() for entry in entries.values())


def _classes() -> dict[str, type[MatrixError]]:
    for package in (services, api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name != __name__:
                importlib.import_module(module.name)
    found: dict[str, type[MatrixError]] = {}
    waiting: list[type[MatrixError]] = [MatrixError]
    while waiting:
        one = waiting.pop()
        if one.__module__.partition(".")[0] in ("services", "matrix_app"):
            found[one.__name__] = one
        waiting += one.__subclasses__()
    return found


def _of_classes() -> Iterator[Entry]:
    for one in _classes().values():
        yield Entry(one.code, one.status, f"{one.title}.")


def _of_http() -> Iterator[Entry]:
    for status, code in errors.CODES.items():
        yield Entry(code, status, f"{errors.TITLES[code]}.")


def _of_calls() -> Iterator[Entry]:
    """Codes given where an error is raised: `Conflict("...", code="key_has_ended")`."""
    classes = _classes()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                    yield from _of_call(node, classes[node.func.id])


def _of_call(call: ast.Call, kind: type[MatrixError]) -> Iterator[Entry]:
    for keyword in call.keywords:
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and call.args:
            yield Entry(str(keyword.value.value), kind.status, _sentence(call.args[0]))


def _sentence(message: ast.expr) -> str:
    """The message with its values left out."""
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in message.values)
    return ""


if __name__ == "__main__":
    sys.stdout.write(table())
