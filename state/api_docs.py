"""The documentation of the API: its examples, with the address of this installation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import reflex as rx

from services.core.settings import settings
from state.base import ANYONE, PageState, page_event

FOLDER = Path(__file__).parents[1] / "docs" / "examples"  # tests/api/test_examples.py runs all that is there
ADDRESS_IN_EXAMPLES = "http://localhost:3000"
EXAMPLES = ("chat", "list_keys", "create_key", "change_key", "usage")
LANGUAGES = ("sh", "py", "mjs")


class ApiDocsState(PageState, rx.State):
    """`examples` are by file name."""

    examples: dict[str, str] = {}
    address: str = ""

    @page_event(ANYONE, reads=True)
    async def load(self) -> None:
        self.address = settings().public_url
        self.examples = _examples(self.address)


@cache
def _examples(address: str) -> dict[str, str]:
    names = [f"{name}.{language}" for name in EXAMPLES for language in LANGUAGES]
    return {name: (FOLDER / name).read_text().replace(ADDRESS_IN_EXAMPLES, address).strip() for name in names}
