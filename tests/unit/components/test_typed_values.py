"""What people type: amounts are read exactly or refused, days are whole days of the zone, passwords are judged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.components.browser_modules import called

READ: list[tuple[str, str, str, dict[str, str]]] = [
    # The three ways of writing one amount, whatever the page's language is.
    *[
        (language, text, "EUR", {"amount": "1234.56"})
        for language in ("en", "de", "fr", "ja")
        for text in ("1.234,56", "1234.56", "EUR 1 234,56", "€1,234.56", "1 234,56 €", "1’234.56")
    ],
    ("en", "", "EUR", {"amount": ""}),
    ("en", "0.5", "EUR", {"amount": "0.5"}),
    ("en", "007", "EUR", {"amount": "7"}),
    ("en", "12,34,567.50", "INR", {"amount": "1234567.50"}),
    ("en", "1.2345678", "BTC", {"amount": "1.2345678"}),
    ("ar-EG", "١٬٢٣٤٫٥", "KWD", {"amount": "1234.5"}),
    # The language decides between a thousand and one and a bit, or nobody does.
    ("en", "1,234", "EUR", {"amount": "1234"}),
    ("de", "1.234", "EUR", {"amount": "1234"}),
    ("en", "1.234", "KWD", {"amount": "1.234"}),
    ("en", "1.234", "EUR", {"problem": "decimals"}),
    ("fr", "1.234", "EUR", {"problem": "form"}),
    ("en", "12,5", "EUR", {"amount": "12.5"}),
    ("en", "1200.00", "JPY", {"problem": "decimals"}),
    ("en", "0.123456789", "BTC", {"problem": "decimals"}),
    ("en", "$5", "EUR", {"problem": "currency"}),
    ("en", "USD 5", "EUR", {"problem": "currency"}),
    ("en", "five", "EUR", {"problem": "form"}),
    ("en", "-5", "EUR", {"problem": "form"}),
    ("en", "1,2,3", "EUR", {"problem": "form"}),
    ("en", "1.2.3", "EUR", {"problem": "form"}),
    ("en", "1,234.5,6", "EUR", {"problem": "form"}),
    ("en", "5.", "EUR", {"problem": "form"}),
    ("en", "1e3", "EUR", {"problem": "currency"}),
    ("en", "9007199254740993.12", "EUR", {"amount": "9007199254740993.12"}),
]


@pytest.mark.parametrize("language", sorted({case[0] for case in READ}))
def test_an_amount_is_read_exactly_or_refused(language: str) -> None:
    cases = [case[1:] for case in READ if case[0] == language]

    read = called("money_input.js", "it.readMoney(...one)", [case[:2] for case in cases], language=language)

    assert list(zip(cases, read, strict=True)) == [(case, case[2]) for case in cases]


@pytest.mark.parametrize("language", ["en", "de", "fr", "ar-EG"])
def test_an_example_and_an_amount_to_edit_can_be_read_again(language: str) -> None:
    for currency, amount in (("EUR", "1234.50"), ("JPY", "1200"), ("KWD", "1.250"), ("BTC", "0.00000001")):
        [example, written] = called(
            "money_input.js",
            "one[0] ? it.editable(...one) : it.exampleOf(one[1])",
            [["", currency], [amount, currency]],
            language=language,
        )
        read = called(
            "money_input.js",
            "it.readMoney(...one)",
            [[example, currency], [written, currency]],
            language=language,
        )
        assert "problem" not in read[0], (currency, example)
        assert float(read[1]["amount"]) == float(amount), (currency, written)


@pytest.mark.parametrize(
    ("preset", "today", "days"),
    [
        ("today", "2026-11-26", ("2026-11-26", "2026-11-26")),
        ("yesterday", "2026-03-01", ("2026-02-28", "2026-02-28")),
        ("last_7_days", "2026-01-03", ("2025-12-28", "2026-01-03")),
        ("last_30_days", "2026-11-26", ("2026-10-28", "2026-11-26")),
        ("this_month", "2026-11-26", ("2026-11-01", "2026-11-26")),
        ("last_month", "2026-03-31", ("2026-02-01", "2026-02-28")),
        ("last_month", "2028-03-01", ("2028-02-01", "2028-02-29")),
        ("last_month", "2026-01-15", ("2025-12-01", "2025-12-31")),
        ("this_year", "2026-11-26", ("2026-01-01", "2026-11-26")),
    ],
)
def test_a_range_has_whole_days(preset: str, today: str, days: tuple[str, str]) -> None:
    [found] = called("date_presets.js", "it.presetRange(...one)", [[preset, today]])

    assert (found["from"], found["to"]) == days


def test_today_is_the_zones() -> None:
    instant = 1_795_647_600_000  # 2026-11-25 23:00 in UTC

    days = called(
        "date_presets.js",
        "it.todayIn(...one)",
        [["UTC", instant], ["Asia/Tokyo", instant], ["Pacific/Honolulu", instant]],
    )

    assert days == ["2026-11-25", "2026-11-26", "2026-11-25"]


def test_a_password_is_judged_by_what_makes_it_hard_to_guess() -> None:
    judged: dict[str, str] = {
        "": "",
        "short": "short",
        "aaaaaaaaaaaaaaaa": "weak",
        "abcdefghijklmnop": "weak",
        "password12345": "weak",
        "kissa juoksi katolla": "strong",
    }

    said: list[Any] = called("password_strength.js", "it.strengthOf(one, 10)", list(judged))

    assert dict(zip(judged, said, strict=True)) == judged


def test_bytes_are_counted_as_they_are_sold() -> None:
    assert called(
        "matrix_format.js", "it.formatBytes(one)", [0, 1, 999, 1_500, 5_000_000, 2_500_000_000, None]
    ) == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1.5 kB",
        "5 MB",
        "2.5 GB",
        "\u2013",
    ]


def test_an_answer_to_what_was_typed_before_takes_nothing_away_and_another_word_does() -> None:
    cases = [
        ([["", "a", "ab"], "a"], ["a", "ab"]),  # somebody typed on meanwhile
        ([["a", "ab"], "ab"], ["ab"]),
        ([["", "a", "ab"], "ab"], ["ab"]),  # the page went past the one between
        ([["", "a", "", "a"], "a"], ["a"]),
        ([["ab"], ""], None),  # cleared
        ([["", "x "], "x"], None),  # the page reads it otherwise
    ]
    left = called("told.js", "it.unanswered(...one)", [case[0] for case in cases])
    assert left == [case[1] for case in cases]
