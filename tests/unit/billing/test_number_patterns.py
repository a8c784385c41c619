"""Document numbers: patterns that keep them apart, the counter of a date, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.billing.numbering import (
    NUMBER_CHARS_MAX,
    SEQ_MAX,
    CounterKey,
    NumberPattern,
    Reset,
    Series,
    label_date,
    parse_pattern,
    require_apart,
)
from services.core.errors import Invalid

# A busy machine is not the code's fault.
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

DAY = date(2026, 3, 9)


@pytest.mark.parametrize(
    ("text", "reset", "seq", "number", "period"),
    [
        ("{entity}-{brand}-{year}-{seq:6}", Reset.YEARLY, 42, "ACME-BLUE-2026-000042", "2026"),
        ("{entity}-{brand}-{year}-{seq:6}", Reset.YEARLY, 1_234_567, "ACME-BLUE-2026-1234567", "2026"),
        ("INV{year}{month}{seq:4}", Reset.MONTHLY, 7, "INV2026030007", "2026-03"),
        ("{seq}", Reset.NEVER, 1, "1", ""),
        ("{entity}-{brand}-CN-{year}-{seq:6}", Reset.YEARLY, 3, "ACME-BLUE-CN-2026-000003", "2026"),
        ("{seq:3}/{month}.{year}", Reset.NEVER, 12, "012/03.2026", ""),
    ],
)
def test_worked_numbers(text: str, reset: Reset, seq: int, number: str, period: str) -> None:
    pattern = parse_pattern(text, reset)

    assert pattern.format(entity="ACME", brand="BLUE", on=DAY, seq=seq) == number
    key = pattern.counter_key(entity="ACME", brand="BLUE", series=Series.INVOICE, on=DAY)
    assert key == CounterKey("ACME", Series.INVOICE, "BLUE" if "{brand}" in text else "", period)


@pytest.mark.parametrize(
    ("text", "reset", "field", "words"),
    [
        ("", Reset.NEVER, "pattern", "1 to 80"),
        ("X" * 81, Reset.NEVER, "pattern", "1 to 80"),
        ("INV-{year}", Reset.NEVER, "pattern", "needs {seq}"),
        ("{seq}-{day}", Reset.NEVER, "pattern", "no field 'day'"),
        ("{seq}-{}", Reset.NEVER, "pattern", "no field ''"),
        ("{seq}-{seq:4}", Reset.NEVER, "pattern", "twice"),
        ("{seq:0}", Reset.NEVER, "pattern", "from 1 to 12"),
        ("{seq:13}", Reset.NEVER, "pattern", "from 1 to 12"),
        ("{seq:}", Reset.NEVER, "pattern", "from 1 to 12"),
        ("{seq:-1}", Reset.NEVER, "pattern", "from 1 to 12"),
        ("{year:2}-{seq}", Reset.NEVER, "pattern", "only seq"),
        ("{seq", Reset.NEVER, "pattern", "characters"),
        ("{{seq}}", Reset.NEVER, "pattern", "characters"),
        ("№{seq}", Reset.NEVER, "pattern", "characters"),
        ("A B {seq}", Reset.NEVER, "pattern", "characters"),
        ("{seq}\n", Reset.NEVER, "pattern", "characters"),
        ("X" * 40 + "{seq}", Reset.NEVER, "pattern", "52 characters, and the most is 50"),
        ("{brand}{seq}", Reset.NEVER, "pattern", "{brand} needs one of"),
        ("{seq}{entity}", Reset.NEVER, "pattern", "{entity} needs one of"),
        ("{brand}X{seq}", Reset.NEVER, "pattern", "{brand} needs one of"),
        ("INV-{seq}", Reset.YEARLY, "reset", "needs {year}"),
        ("INV-{month}-{seq}", Reset.MONTHLY, "reset", "needs {year}"),
        ("INV-{year}-{seq}", Reset.MONTHLY, "reset", "needs {month}"),
    ],
)
def test_patterns_that_cannot_keep_numbers_apart_are_refused(
    text: str, reset: Reset, field: str, words: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse_pattern(text, reset)
    assert refused.value.field == field
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("entity", "brand", "seq", "field"),
    [("acme", "B", 1, "entity"), ("A", "B-C", 1, "brand"), ("A", "", 1, "brand"), ("A", "B", 0, "seq"),
     ("A", "B", SEQ_MAX + 1, "seq"), ("A" * 11, "B", 1, "entity")],
)  # fmt: skip
def test_codes_and_sequences_out_of_bounds_are_refused(entity: str, brand: str, seq: int, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_pattern("{entity}-{seq}", Reset.NEVER).format(entity=entity, brand=brand, on=DAY, seq=seq)
    assert refused.value.field == field


def test_credit_notes_need_a_text_of_their_own() -> None:
    invoices = parse_pattern("{entity}-{seq:6}", Reset.NEVER)

    require_apart(invoices, parse_pattern("{entity}-CN-{seq:6}", Reset.NEVER))
    with pytest.raises(Invalid, match="same numbers"):
        require_apart(invoices, parse_pattern("{entity}-{seq:4}", Reset.NEVER))


def test_the_label_date_is_the_entity_s_day() -> None:
    at = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)

    assert label_date(at, "Europe/Berlin") == label_date(at, "Asia/Kathmandu") == date(2027, 1, 1)
    assert label_date(at, "America/New_York") == label_date(at, "UTC") == date(2026, 12, 31)
    for unknown in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        with pytest.raises(Invalid) as refused:
            label_date(at, unknown)
        assert refused.value.field == "timezone"
    with pytest.raises(Invalid, match="timezone"):
        label_date(at.replace(tzinfo=None), "UTC")


PATTERNS = [
    parse_pattern(text, reset)
    for text, reset in [
        ("{seq}", Reset.NEVER),
        ("{year}{seq}", Reset.YEARLY),
        ("{seq}{month}{year}", Reset.MONTHLY),
        ("{brand}-{seq}", Reset.NEVER),
        ("{seq}-{brand}", Reset.NEVER),
        ("{brand}-1{seq:3}0{month}{year}", Reset.MONTHLY),
        ("{brand}/{entity}.{year}{month}{seq:2}", Reset.YEARLY),
    ]
]
drawn = st.tuples(
    st.sampled_from(["A", "A1", "1", "11", "B"]),
    st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    st.integers(1, 300) | st.integers(1, SEQ_MAX),
)


@EXAMPLES
@given(pattern=st.sampled_from(PATTERNS), first=drawn, second=drawn)
def test_what_is_drawn_differently_never_gets_one_number(
    pattern: NumberPattern, first: tuple[str, date, int], second: tuple[str, date, int]
) -> None:
    numbers, draws = [], []
    for brand, on, seq in (first, second):
        numbers.append(pattern.format(entity="ACME", brand=brand, on=on, seq=seq))
        key = pattern.counter_key(entity="ACME", brand=brand, series=Series.INVOICE, on=on)
        draws.append((key, seq))

    if draws[0] != draws[1]:
        assert numbers[0] != numbers[1]
    assert max(map(len, numbers)) <= NUMBER_CHARS_MAX


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"])
def test_a_timezone_moves_a_label_by_at_most_one_day(zone: str) -> None:
    start = datetime(2026, 3, 28, tzinfo=UTC)

    for hours in range(0, 96, 7):
        at = start + timedelta(hours=hours)
        assert abs((label_date(at, zone) - at.date()).days) <= 1
