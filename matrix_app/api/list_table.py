"""Writes docs/all-lists.md: every list that the API has, and what each can be sorted and filtered by.

python -m matrix_app.api.list_table > docs/all-lists.md
"""

from __future__ import annotations

import sys
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount

from matrix_app.api.app import create_app
from services.core import listing_csv, listing_grammar

_HEAD = """\
# All lists

Each is a resource under `/api/v1`, a file (`?format=csv`) and, for people, a page, by one declaration. A list begins in
the first order named; `-` is descending. What may be asked of a column is in [Lists](lists.md), operator by operator in
`/api/v1/openapi.json`.

This file is made by `python -m matrix_app.api.list_table`.

| list | of | sorted by | filtered by |
|---|---|---|---|
"""


def table() -> str:
    """The file as it should be now."""
    found = lists()
    return _HEAD + "".join(_line(path, found[path]) for path in sorted(found, key=_staff_last))


def lists() -> dict[str, dict[str, Any]]:
    """What the API's document says of each declared list, by its path."""
    mounted = (route.app for route in create_app().routes if isinstance(route, Mount))
    rest = next(app for app in mounted if isinstance(app, FastAPI))
    paths: dict[str, Any] = rest.openapi()["paths"]
    return {path: each["get"] for path, each in paths.items() if _is_listed(each.get("get", {}))}


def _staff_last(path: str) -> tuple[bool, str]:
    return path.startswith("/staff/"), path


def _is_listed(operation: dict[str, Any]) -> bool:
    """Whether the answer may be a file of a declared list."""
    answered = operation.get("responses", {}).get("200", {}).get("content", {})
    return listing_csv.CONTENT_TYPE in answered and "sort" in _parameters(operation)


def _parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in operation.get("parameters", ())}


def _line(path: str, operation: dict[str, Any]) -> str:
    parameters = _parameters(operation)
    sort = parameters[listing_grammar.SORT]["schema"]
    usual = sort["default"]
    others = [name for name in sort["enum"] if name.lstrip("-") != usual.lstrip("-") and name[0] != "-"]
    columns = dict.fromkeys(name.partition("[")[0] for name, one in parameters.items() if "x-filter" in one)
    said = " ".join(operation["description"].partition("\n\n")[0].split())
    return f"| `{path}` | {said} | {_codes([usual, *others])} | {_codes(columns)} |\n"


def _codes(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(table())
