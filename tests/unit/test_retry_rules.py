"""When and with what an invoice is charged again: by decline, by method, by network and by schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.collection.declines import DECLINES, decline_of
from services.collection.retry_rules import Method, Next, Stopped, Tried, kind_of, next_attempt
from services.payments.providers import paypal_declines
from services.payments.providers.values import Advice, Decline, DeclineKind

T = datetime(2026, 3, 10, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CARD, BACKUP = Method("card", "visa"), Method("backup", "mastercard")


def failed(code: str, method: str = "card", at: datetime = T, *, by_schedule: bool = True) -> Tried:
    """As it was written down before what it means was."""
    known = DECLINES.get(code)
    return Tried(method, at, code, known.hard if known else False, by_schedule)


def said(decline: Decline) -> Tried:
    return Tried("card", T, decline.code, decline.hard, kind=decline.kind, advice=decline.advice)


SOFT = "insufficient_funds"
CASES = {
    "nothing was tried: at once": ([CARD], [], Next(T, "card")),
    "no method": ([], [], Stopped.NO_METHOD),
    "soft, alone: on the first day": ([CARD], [failed(SOFT)], Next(T + DAY, "card")),
    "soft: the backup at once": ([CARD, BACKUP], [failed(SOFT)], Next(T, "backup")),
    "hard: the backup at once": ([CARD, BACKUP], [failed("lost_card")], Next(T, "backup")),
    "hard, alone: never": ([CARD], [failed("lost_card")], Stopped.DECLINED_FOR_GOOD),
    "hard for another invoice: never": ([Method("card", hard=True)], [], Stopped.DECLINED_FOR_GOOD),
    "the customer must act: not by itself": (
        [CARD], [failed("authentication_required")], Stopped.DECLINED_FOR_GOOD,
    ),
    "charged twice it would be: not by itself": (
        [CARD], [failed("duplicate_transaction")], Stopped.DECLINED_FOR_GOOD,
    ),
    "both soft: the first again": (
        [CARD, BACKUP], [failed(SOFT), failed(SOFT, "backup")], Next(T + DAY, "card"),
    ),
    "one for good: the other again": (
        [CARD, BACKUP], [failed("lost_card"), failed(SOFT, "backup")], Next(T + DAY, "backup"),
    ),
    "second retry": ([CARD], [failed(SOFT), failed(SOFT, at=T + DAY)], Next(T + 3 * DAY, "card")),
    "the first retry was held up: the second keeps its distance": (
        [CARD], [failed(SOFT), failed(SOFT, at=T + 20 * DAY)], Next(T + 22 * DAY, "card"),
    ),
    "used up": ([CARD], [failed(SOFT, at=T + n * DAY) for n in (0, 1, 3, 5, 7)], Stopped.USED_UP),
    "a new method after that: at once": (
        [CARD, BACKUP], [failed(SOFT, at=T + n * DAY) for n in (0, 1, 3, 5, 7)], Next(T, "backup"),
    ),
    "the customer's own use up nothing": (
        [CARD], [failed(SOFT), *(failed(SOFT, at=T + HOUR, by_schedule=False) for _ in range(6))],
        Next(T + DAY, "card"),
    ),
    "the customer's own hard one counts": (
        [CARD], [failed(SOFT), failed("stolen_card", by_schedule=False)], Stopped.DECLINED_FOR_GOOD,
    ),
    "nobody was asked: soon, nothing used up": (
        [CARD], [failed("provider_unavailable")], Next(T + HOUR, "card"),
    ),
    "nobody was asked again: later": (
        [CARD], [failed("never_arrived"), failed("never_arrived", at=T + HOUR)], Next(T + 3 * HOUR, "card"),
    ),
    "a code nobody knows is soft": ([CARD], [failed("unheard_of")], Next(T + DAY, "card")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_comes_next(name: str) -> None:
    methods, tried, expected = CASES[name]
    assert next_attempt(methods, tried, now=T) == expected


@pytest.mark.parametrize(("brand", "declines", "every", "expected"), [
    ("visa", 14, HOUR, T), ("visa", 15, HOUR, T - 15 * HOUR + 30 * DAY),
    ("mastercard", 6, HOUR, T), ("mastercard", 7, HOUR, T - 7 * HOUR + DAY),
    ("mastercard", 34, 12 * HOUR, T), ("mastercard", 35, 12 * HOUR, T - 35 * 12 * HOUR + 30 * DAY),
    ("amex", 15, 24 * HOUR, T - 15 * 24 * HOUR + 30 * DAY), ("", 7, HOUR, T - 7 * HOUR + DAY),
])  # fmt: skip
def test_no_network_is_asked_more_often_than_it_allows(
    brand: str, declines: int, every: timedelta, expected: datetime
) -> None:
    card = Method("card", brand, tuple(T - (n + 1) * every for n in range(declines)))
    assert next_attempt([card], [], now=T) == Next(expected, "card")


@pytest.mark.parametrize("table", [DECLINES, paypal_declines.DECLINES], ids=["stripe", "paypal"])
def test_every_decline_of_a_table_is_retried_only_when_it_says_so(table: dict[str, Decline]) -> None:
    for code, decline in table.items():
        waits = decline.advice is Advice.RETRY_LATER and not decline.hard
        expected = Next(T + DAY, "card") if waits else Stopped.DECLINED_FOR_GOOD
        for tried in (said(decline), Tried("card", T, code, decline.hard)):  # and of before kinds were kept
            assert next_attempt([CARD], [tried], now=T) == expected, code
        assert next_attempt([CARD, BACKUP], [said(decline)], now=T) == Next(T, "backup"), code


def test_what_a_network_says_of_one_decline_counts_more_than_the_table() -> None:
    soft = decline_of(code="card_declined", decline_code="generic_decline")
    mend = decline_of(code="card_declined", decline_code="generic_decline", advice_code="confirm_card_data")
    assert next_attempt([CARD], [said(soft)], now=T) == Next(T + DAY, "card")
    assert next_attempt([CARD], [said(mend)], now=T) == Stopped.DECLINED_FOR_GOOD
    assert kind_of(said(mend)) is DeclineKind.UNEXPLAINED
