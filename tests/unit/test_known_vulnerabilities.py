"""Known vulnerabilities are told at every check, and stop what can be mended; no news is not taken for good news."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools import audit

FIXABLE = {
    "id": "PYSEC-1",
    "fix_versions": ["1.2", "2.0"],
    "aliases": ["CVE-1"],
    "description": "Long story.",
}
UNFIXED = {"id": "PYSEC-2", "fix_versions": [], "aliases": [], "description": "Nobody knows."}
# As npm 11 says it: `router` is affected itself, `dev` only by what it needs.
NPM: dict[str, Any] = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "router": {
            "name": "router",
            "range": "<8.4.2",
            "via": [
                {"title": "Open redirect", "url": "https://github.com/advisories/GHSA-1", "severity": "high"}
            ],
            "fixAvailable": True,
        },
        "dev": {"name": "dev", "range": "*", "via": ["router"], "fixAvailable": True},
    },
    "metadata": {"dependencies": {"total": 300}},
}
REFUSED = {"message": "405 Method Not Allowed", "method": "POST", "error": {"summary": "", "detail": ""}}


def report(*found: dict[str, object]) -> list[dict[str, object]]:
    return [
        {"name": "calm", "version": "1.0", "vulns": []},
        {"name": "leaky", "version": "1.1", "vulns": list(found)},
        {"name": "unheard-of", "skip_reason": "Dependency not found on PyPI and could not be audited"},
    ]


def npm(fixable: bool) -> dict[str, Any]:
    router = {**NPM["vulnerabilities"]["router"], "fixAvailable": fixable}
    return {**NPM, "vulnerabilities": {"router": router, "dev": NPM["vulnerabilities"]["dev"]}}


@pytest.mark.parametrize(
    ("found", "strict", "status", "said"),
    [
        ((), True, 0, ["No known vulnerabilities in the 2 ", "WARNING: 1 of 3 Python packages could not be"]),
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
    assert audit.judge("Python", lambda: audit.python_news(report(*found)), strict=strict) == status

    told = capsys.readouterr().out
    assert all(words in told for words in said), told
    assert "calm" not in told


@pytest.mark.parametrize(
    ("fixable", "strict", "status"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_what_pages_are_made_of_is_looked_up_too(
    fixable: bool, strict: bool, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.judge("npm", lambda: audit.npm_news(npm(fixable)), strict=strict) == status

    told = capsys.readouterr().out
    assert told.count("GHSA-1 (Open redirect)") == 1
    assert ("a fixed version is there" in told) is fixable


def test_where_nobody_can_be_asked_nothing_fails_and_nothing_is_called_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def skipping() -> audit.News:
        return audit.python_news([{"name": "unheard-of", "skip_reason": "not found"}])

    assert audit.judge("npm", lambda: audit.npm_news(REFUSED), strict=True) == 0
    assert audit.judge("Python", skipping, strict=True) == 0

    told = capsys.readouterr().out
    assert "WARNING: npm packages were not checked for known vulnerabilities: 405 Method Not Allowed" in told
    assert "WARNING: 1 of 1 Python packages could not be looked up from here." in told
    assert "No known" not in told
