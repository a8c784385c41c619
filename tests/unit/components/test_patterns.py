"""Patterns of fields: one that a browser cannot read is one that nobody checks by."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LITERALS = re.compile(r"""\bpattern=r?f?"([^"]*)\"""")
CLASS = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]")
SAID = re.compile(r"\\.|\w-\w")  # what is escaped, and ranges
RESERVED = set("()[]{}/-|")  # within a class, where browsers compile with the flag v


def test_every_pattern_is_one_that_browsers_can_read() -> None:
    pages = [*(ROOT / "matrix_app" / "pages").rglob("*.py"), *(ROOT / "components").rglob("*.py")]
    patterns = [found for page in pages for found in LITERALS.findall(page.read_text())]
    wrong = [one for one in patterns for inside in CLASS.findall(one) if RESERVED & set(SAID.sub("", inside))]
    assert (len(patterns) > 10, wrong) == (True, [])
