"""Known vulnerabilities are told at every check, and stop only those who can do something about them."""

from __future__ import annotations

import pytest

from tests.tools import audit

FIXABLE = {
    "id": "PYSEC-1",
    "fix_versions": ["1.2", "2.0"],
    "aliases": ["CVE-1"],
    "description": "Long story.",
}
UNFIXED = {"id": "PYSEC-2", "fix_versions": [], "aliases": [], "description": "Nobody knows."}


def report(*found: dict[str, object]) -> list[dict[str, object]]:
    return [
        {"name": "calm", "version": "1.0", "vulns": []},
        {"name": "leaky", "version": "1.1", "vulns": list(found)},
        {"name": "unheard-of", "skip_reason": "Dependency not found on PyPI and could not be audited"},
    ]


@pytest.mark.parametrize(
    ("found", "strict", "status", "said"),
    [
        (
            (),
            True,
            0,
            ["No known vulnerabilities in the 2 ", "1 of 3 locked packages could not be looked up"],
        ),
        ((FIXABLE,), False, 0, ["leaky 1.1: PYSEC-1 (CVE-1), fixed in 1.2, 2.0", "make lock U=1"]),
        ((FIXABLE,), True, 1, ["leaky 1.1: PYSEC-1 (CVE-1), fixed in 1.2, 2.0", "make lock U=1"]),
        ((UNFIXED,), True, 0, ["leaky 1.1: PYSEC-2, not fixed yet"]),
        ((UNFIXED, FIXABLE), True, 1, ["PYSEC-2", "PYSEC-1"]),
    ],
)
def test_what_is_found_is_told_and_stops_only_where_it_can_be_mended(
    found: tuple[dict[str, object], ...],
    strict: bool,
    status: int,
    said: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert audit.judge(report(*found), strict=strict) == status

    told = capsys.readouterr().out
    assert all(words in told for words in said), told
    assert "calm" not in told
