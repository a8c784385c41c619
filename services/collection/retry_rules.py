"""When, and with which method, an invoice whose payment failed is charged again by the schedule. Pure.

What a customer tries is not counted by the schedule, but by the networks: they see the card only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.collection.declines import DECLINES
from services.payments.providers import paypal_declines
from services.payments.providers.values import Advice, Decline, DeclineKind

DAY = timedelta(days=1)
RETRY_DAYS = (1, 3, 5, 7)  # after the first attempt that failed, where no campaign says otherwise
RETRY_DAY_MAX = 60
RETRIES_MAX = 10  # of one schedule
# No bank was asked, so nothing is used up: the provider was away, or did not accept the key of this installation.
NOT_TRIED = frozenset({"provider_unavailable", "never_arrived", "key"})
_BEFORE = {
    **DECLINES,
    **paypal_declines.DECLINES,
}  # of declines that were written down without kind and advice
_AWAY_WAITS = tuple(timedelta(hours=hours) for hours in (1, 2, 6, 12, 24))  # the last goes on


@dataclass(frozen=True, slots=True)
class SchemeLimit:
    """At most `attempts` that were declined, of one card, `within` so long."""

    attempts: int
    within: timedelta


# Where sources differ by year or country the lowest counts. Visa: 15 in 30 days (payway.com/visa-excessive-reattempts-
# rule-fees, and PayPal's "How to avoid excessive retries penalties"; 20 since May 2025 by docs.cielo.com.br).
# Mastercard: 35 in 30 days (developers.tabapay.com/docs/excessive-retry-rules), and in 24 hours 10
# (docs.dintero.com), in Brazil a fee from the 8th on (docs.payzu.com.br/en/docs/cartao/retry-program). The others
# publish nothing that we could read, so the lowest of both holds for them.
VISA = (SchemeLimit(15, 30 * DAY),)
MASTERCARD = (SchemeLimit(35, 30 * DAY), SchemeLimit(7, DAY))
OTHERS = (SchemeLimit(15, 30 * DAY), SchemeLimit(7, DAY))
SCHEMES: dict[str, tuple[SchemeLimit, ...]] = {"visa": VISA, "mastercard": MASTERCARD}


class Stopped(StrEnum):
    """Why the schedule tries nothing more by itself."""

    NO_METHOD = "no_method"
    DECLINED_FOR_GOOD = "declined_for_good"  # every method was declined in a way that time does not mend
    USED_UP = "used_up"  # all retries were made


@dataclass(frozen=True, slots=True)
class Method:
    """A method that the organisation keeps. `declined_at` are declines of it for any invoice, of whoever tried."""

    id: str
    brand: str = ""
    declined_at: tuple[datetime, ...] = ()
    hard: bool = False  # it was declined for good, for any invoice


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt at this invoice that failed. `by_schedule`, else by the customer or staff. `kind` and `advice` are
    what its provider's adapter made of it; None where that was not written down."""

    method_id: str | None
    at: datetime
    code: str
    hard: bool
    by_schedule: bool = True
    kind: DeclineKind | None = None
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class Next:
    at: datetime
    method_id: str


def decline_of(tried: Tried) -> Decline:
    """What a decline means, as its provider's table and its network say. Of one that was written down without that, and
    whose code we do not know, it is soft and may be tried again."""
    if tried.kind is not None and tried.advice is not None:
        return Decline(tried.code, tried.kind, tried.hard, tried.advice, "")
    known = _BEFORE.get(tried.code)
    if known is None:
        advice = Advice.NEVER_AGAIN if tried.hard else Advice.RETRY_LATER
        return Decline(tried.code, DeclineKind.UNEXPLAINED, tried.hard, advice, "")
    return known


def kind_of(tried: Tried) -> DeclineKind:
    return DeclineKind.TRY_LATER if tried.code in NOT_TRIED else decline_of(tried).kind


def helps_to_wait(tried: Tried) -> bool:
    """Whether the same method may work later without the customer doing anything."""
    return tried.code in NOT_TRIED or (not tried.hard and decline_of(tried).advice is Advice.RETRY_LATER)


def next_attempt(
    methods: Sequence[Method], tried: Sequence[Tried], days: Sequence[int] = RETRY_DAYS, *, now: datetime
) -> Next | Stopped:
    """`methods` with the one first that is charged by itself; the others are its backups. `tried` the oldest first.

    A method that was not tried yet is tried at once. After all were, the first that may still work is tried again on
    the `days` after the first failure, and never more often than its network lets us. Where that was held up, what
    comes after it keeps its distance.
    """
    if not methods:
        return Stopped.NO_METHOD
    own = [one for one in tried if one.by_schedule]
    usable = [one for one in methods if not one.hard and _may_work(one.id, tried)]
    if not usable:
        return Stopped.DECLINED_FOR_GOOD
    asked = [one for one in own if one.code not in NOT_TRIED]
    if own and own[-1].code in NOT_TRIED and own[-1].method_id in {one.id for one in usable}:
        return _again_after_silence(own, usable, now)
    fresh = [one for one in usable if all(one.id != before.method_id for before in asked)]
    if fresh:
        return Next(_allowed(fresh[0], now), fresh[0].id)
    retries = len(asked) - len({one.method_id for one in asked})
    if retries >= len(days):
        return Stopped.USED_UP
    at = max(asked[0].at + days[retries] * DAY + _late(asked, days), now)
    return min((Next(_allowed(one, at), one.id) for one in usable), key=lambda one: one.at)


def _late(asked: Sequence[Tried], days: Sequence[int]) -> timedelta:
    """By how much the last retry came after its day, if that was a day or more: less is the hour it was made at."""
    again = [one for n, one in enumerate(asked) if any(one.method_id == old.method_id for old in asked[:n])]
    late = again[-1].at - asked[0].at - days[len(again) - 1] * DAY if again else timedelta()
    return late if late >= DAY else timedelta()


def _may_work(method_id: str, tried: Sequence[Tried]) -> bool:
    return all(helps_to_wait(one) for one in tried if one.method_id == method_id)


def _again_after_silence(own: Sequence[Tried], usable: Sequence[Method], now: datetime) -> Next:
    """Nobody was asked: the same again, after longer and longer waits."""
    silent = 0
    for one in reversed(own):
        if one.code not in NOT_TRIED:
            break
        silent += 1
    last = own[-1]
    method = next(one for one in usable if one.id == last.method_id)
    wait = _AWAY_WAITS[min(silent, len(_AWAY_WAITS)) - 1]
    return Next(_allowed(method, max(last.at + wait, now)), method.id)


def _allowed(method: Method, at: datetime) -> datetime:
    """`at`, or later, when so many declines are long enough ago for the network."""
    for limit in SCHEMES.get(method.brand, OTHERS):
        recent = sorted(one for one in method.declined_at if one > at - limit.within)
        if len(recent) >= limit.attempts:
            at = max(at, recent[-limit.attempts] + limit.within)
    return at
