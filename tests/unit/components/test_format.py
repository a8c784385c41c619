"""Values as people read them: golden texts of the browser's formatter, run in Node, and of the server's sentences."""

from __future__ import annotations

from decimal import Decimal

import pytest

from models.currencies import CURRENCIES
from models.money import figure_text
from tests.unit.components.browser_modules import called

NBSP = "\u00a0"
MINUS = "\u2212"
MISSING = "\u2013"

CASES: list[tuple[str, object, dict[str, object], str]] = [
    ("number", 1234567.5, {}, "1,234,567.5"),
    ("number", -12, {}, f"{MINUS}12"),
    ("number", 0, {}, "0"),
    ("number", None, {}, MISSING),
    ("region", "CH", {}, "Switzerland"),
    ("region", "", {}, MISSING),
    ("language", "pt-BR", {}, "Brazilian Portuguese"),
    ("language", "no language", {}, "no language"),
    ("tokens", 9_999_999, {}, "9,999,999"),
    ("tokens", 48_120_331, {}, "48.12M"),
    ("percent", 0.193, {}, "19.3%"),
    ("percent", -0.05, {}, f"{MINUS}5%"),
    ("money", "1832.401200000000", {"currency": "USD"}, f"1,832.40{NBSP}USD"),
    ("money", "0", {"currency": "USD"}, f"0.00{NBSP}USD"),
    ("money", "0.000000000000", {"currency": "USD"}, f"0.00{NBSP}USD"),
    ("money", "-5", {"currency": "EUR"}, f"{MINUS}5.00{NBSP}EUR"),
    ("money", "1200", {"currency": "JPY"}, f"1,200{NBSP}JPY"),
    ("money", "0.5", {"currency": "JPY"}, f"0.5{NBSP}JPY"),
    ("money", "1.5", {"currency": "KWD"}, f"1.500{NBSP}KWD"),
    ("money", "1.5", {"currency": "BTC"}, f"1.50000000{NBSP}BTC"),
    (
        "money",
        "1234.5",
        {"currency": "HUF"},
        f"1,234.50{NBSP}HUF",
    ),  # browsers would round it to whole forints
    ("money", "0.0004125", {"currency": "USD"}, f"0.0004125{NBSP}USD"),
    ("money", "0.00041259999", {"currency": "USD"}, f"0.0004126{NBSP}USD"),
    ("money", 1e-7, {"currency": "USD"}, f"0.0000001{NBSP}USD"),
    ("money", "0.99999", {"currency": "USD"}, f"1.00{NBSP}USD"),
    ("money", "0.000000000001", {"currency": "USD", "exact": True}, f"0.000000000001{NBSP}USD"),
    # More places than a double holds: formatted from the text, never through a float.
    (
        "money",
        "9007199254740993.123456789012",
        {"currency": "USD", "exact": True},
        f"9,007,199,254,740,993.123456789012{NBSP}USD",
    ),
    ("price", "1.875", {"currency": "USD"}, f"1.875{NBSP}USD"),
    ("price", "2.5", {"currency": "USD"}, f"2.50{NBSP}USD"),
    ("price", "12.34567", {"currency": "USD"}, f"12.35{NBSP}USD"),
    ("price", "1234.5", {"currency": "USD"}, f"1,234.50{NBSP}USD"),
    ("price", "0.15", {"currency": "JPY"}, f"0.15{NBSP}JPY"),
    ("price", "1000", {"currency": "JPY"}, f"1,000{NBSP}JPY"),
    ("price", "0", {"currency": "USD"}, f"0.00{NBSP}USD"),
    # A price of one token is below a cent, and read as that of a million.
    ("per_million", "0.00000015", {"currency": "USD"}, f"0.15{NBSP}USD"),
    ("per_million", "0.000000012345", {"currency": "USD"}, f"0.01235{NBSP}USD"),
    ("per_million", "0.0000125", {"currency": "EUR"}, f"12.50{NBSP}EUR"),
    ("per_million", "0.000000000001", {"currency": "USD"}, f"0.000001{NBSP}USD"),
    ("per_million", "3", {"currency": "JPY"}, f"3,000,000{NBSP}JPY"),
    ("per_million", "", {"currency": "USD"}, MISSING),
    ("duration", 834, {}, f"834{NBSP}ms"),
    ("duration", 1834, {}, f"1.83{NBSP}s"),
    ("datetime", "2026-07-01T22:30:00+00:00", {"zone": "Europe/Berlin"}, "Jul 2, 2026, 00:30"),
    ("date", "2026-03-29T00:59:00+00:00", {"zone": "Europe/Lisbon"}, "Mar 29, 2026"),
    ("last_day", "2026-04-30T22:00:00Z", {"zone": "Europe/Berlin"}, "Apr 30, 2026"),
    ("last_day", "2026-04-30T22:00:00.001Z", {"zone": "Europe/Berlin"}, "May 1, 2026"),
    ("last_day", "", {}, MISSING),
    ("date", "2026-12-31T23:30:00+00:00", {"zone": "Pacific/Auckland"}, "Jan 1, 2027"),
    (
        "date",
        "2026-10-18",
        {"zone": "America/Los_Angeles"},
        "Oct 18, 2026",
    ),  # a day alone is the same everywhere
    ("month", "2026-02-28T23:30:00+00:00", {"zone": "Europe/Berlin"}, "March 2026"),
    ("day", "2026-02-28T23:30:00+00:00", {"zone": "Europe/Berlin"}, "Mar 1"),
    ("second", "2026-11-24T08:31:04Z", {"zone": "UTC"}, "08:31:04"),
    ("datetime", "", {}, MISSING),
    ("text", "<b>", {}, "<b>"),
    # On 29 March 2026 clocks in Berlin jump from 02:00 to 03:00.
    ("time", "2026-03-29T00:59:00Z", {"zone": "Europe/Berlin"}, "01:59"),
    ("time", "2026-03-29T01:00:00Z", {"zone": "Europe/Berlin"}, "03:00"),
    # On 25 October 2026 they show the hour from 02:00 twice.
    ("time", "2026-10-24T23:59:00Z", {"zone": "Europe/Berlin"}, "01:59"),
    ("time", "2026-10-25T00:30:00Z", {"zone": "Europe/Berlin"}, "02:30 GMT+2"),
    ("time", "2026-10-25T01:30:00Z", {"zone": "Europe/Berlin"}, "02:30 GMT+1"),
    ("time", "2026-10-25T02:00:00Z", {"zone": "Europe/Berlin"}, "03:00"),
    ("time", "2026-04-04T15:15:00Z", {"zone": "Australia/Lord_Howe"}, "01:45 GMT+10:30"),
    ("time", "2026-04-04T14:45:00Z", {"zone": "Australia/Lord_Howe"}, "01:45 GMT+11"),
    ("date", "2026-10-25T00:30:00Z", {"zone": "Europe/Berlin"}, "Oct 25, 2026"),
]

# (language, kind, value, options, text): separators by language, minor digits by currency, days by zone.
ABROAD: list[tuple[str, str, object, dict[str, object], str]] = [
    ("de", "money", "1832.4012", {"currency": "USD"}, f"1.832,40{NBSP}USD"),
    ("de", "price", "0.000412", {"currency": "EUR"}, f"0,000412{NBSP}EUR"),
    ("de", "number", "-1234567.5", {}, f"{MINUS}1.234.567,5"),
    ("de", "datetime", "2026-03-29T01:00:00Z", {"zone": "Europe/Berlin"}, "29. März 2026, 03:00"),
    ("de-CH", "money", "1234567.5", {"currency": "CHF"}, f"1’234’567.50{NBSP}CHF"),
    ("en", "money", "1200", {"currency": "JPY"}, f"1,200{NBSP}JPY"),
    ("ja", "money", "1200", {"currency": "JPY"}, f"1,200{NBSP}JPY"),
    ("ar", "money", "-1234.5", {"currency": "KWD"}, f"{MINUS}1,234.500{NBSP}KWD"),
    ("ar-EG", "money", "1234.5", {"currency": "KWD"}, f"١٬٢٣٤٫٥٠٠{NBSP}KWD"),
    ("fr", "money", "-1234567.5", {"currency": "EUR"}, f"{MINUS}1\u202f234\u202f567,50{NBSP}EUR"),
    ("hi", "money", "1234567.5", {"currency": "INR"}, f"12,34,567.50{NBSP}INR"),
    ("pt-BR", "money", "-1832.4", {"currency": "BRL"}, f"{MINUS}1.832,40{NBSP}BRL"),
    ("sv", "money", "1832.4", {"currency": "SEK"}, f"1{NBSP}832,40{NBSP}SEK"),
    ("fr", "money", "0.12345678", {"currency": "BTC"}, f"0,12345678{NBSP}BTC"),
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return called("matrix_format.js", "it.formatValue(...one)", [case[:3] for case in CASES])


@pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{kind} {value}" for kind, value, *_ in CASES])
def test_value_reads_as_expected(index: int, texts: list[str]) -> None:
    assert texts[index] == CASES[index][3]


@pytest.mark.parametrize("language", sorted({case[0] for case in ABROAD}))
def test_value_reads_as_expected_in(language: str) -> None:
    cases = [case[1:] for case in ABROAD if case[0] == language]

    read = called(
        "matrix_format.js", "it.formatValue(...one)", [case[:3] for case in cases], language=language
    )

    assert [text.replace("'", "’") for text in read] == [case[3] for case in cases]


def test_minor_digits_are_those_of_our_table() -> None:
    codes = sorted(CURRENCIES)

    assert called("matrix_format.js", "it.minorDigits(one)", codes) == [
        CURRENCIES[one].exponent for one in codes
    ]


def test_money_is_spoken_with_its_name() -> None:
    asked = [["12.5", "USD"], ["-1832.4", "USD"], ["1", "JPY"], ["0.0004125", "USD"], ["", "USD"]]

    said = called("matrix_format.js", "it.spokenMoney(...one)", asked)

    assert said == [
        "12.50 US dollars",
        f"{MINUS}1,832.40 US dollars",
        "1 Japanese yen",
        "0.0004125 US dollars",
        "",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1832.4012", "USD", f"1,832.40{NBSP}USD"),
        ("1200", "JPY", f"1,200{NBSP}JPY"),
        ("1.5", "KWD", f"1.500{NBSP}KWD"),
        ("1234.5", "HUF", f"1,234.50{NBSP}HUF"),
        ("0.0004125", "USD", f"0.0004125{NBSP}USD"),
        ("0.125", "USD", f"0.125{NBSP}USD"),
        ("2.345", "USD", f"2.35{NBSP}USD"),
        ("-5", "EUR", f"{MINUS}5.00{NBSP}EUR"),
        ("0", "EUR", f"0.00{NBSP}EUR"),
    ],
)
def test_a_sentence_of_the_server_reads_like_the_table_below_it(
    amount: str, currency: str, text: str
) -> None:
    [shown] = called("matrix_format.js", "it.formatMoney(...one)", [[amount, currency]])

    said = figure_text(Decimal(amount), currency)

    assert said == text
    assert Decimal(said.partition(NBSP)[0].replace(",", "").replace(MINUS, "-")) == Decimal(
        shown.partition(NBSP)[0].replace(",", "").replace(MINUS, "-")
    )


def test_time_ago_is_said_in_the_largest_whole_unit() -> None:
    now = 1_800_000_000_000
    seconds = [0, 40, 90, 3_600, 86_400 * 3, 86_400 * 45]
    instants = [[now - second * 1000, now] for second in seconds]

    said = called("matrix_format.js", "it.formatAgo(new Date(one[0]).toISOString(), one[1])", instants)

    assert said == ["now", "40 seconds ago", "1 minute ago", "1 hour ago", "3 days ago", "last month"]
