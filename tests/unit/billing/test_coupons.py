"""Coupons: who may redeem them, in which order they work, and that nothing is lost or goes below zero."""

from __future__ import annotations

import itertools
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.money import Money
from services.billing.discounts import (
    Application,
    Coupon,
    DiscountLine,
    Duration,
    Redemption,
    Scope,
    apply_coupons,
    facts_of,
    replay,
    require_redeemable,
)
from services.core.errors import Invalid

# A busy machine is not the code's fault.
EXAMPLES = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKENS, PRO, ANY = frozenset({"tokens"}), frozenset({"pro"}), frozenset[str]()


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def percent(rate: str, *, metrics: frozenset[str] = ANY, plans: frozenset[str] = ANY) -> Coupon:
    return Coupon("P", rate=Decimal(rate), metrics=metrics, plans=plans)


def off(amount: Money, *, metrics: frozenset[str] = ANY, plans: frozenset[str] = ANY) -> Coupon:
    return Coupon("F", amount=amount, metrics=metrics, plans=plans)


def redeemed(*coupons: Coupon) -> list[Redemption]:
    return [Redemption(f"r{i}", one, NOW + timedelta(days=i)) for i, one in enumerate(coupons)]


def taken(made: tuple[Application, ...]) -> list[int]:
    return [one.discount.minor for one in made]


USAGE = DiscountLine("usage", eur(40_00), metric="tokens", plan="pro")
SEATS = DiscountLine("seats", eur(60_00), plan="pro")
ADDON = DiscountLine("addon", eur(10_00), plan="extra")
LINES = [USAGE, SEATS, ADDON]


@pytest.mark.parametrize(
    ("coupons", "expected"),
    [
        # limited to a metric, limited to a plan, general; a later one sees what is left
        ([percent("0.5", metrics=TOKENS), percent("0.1", plans=PRO), off(eur(5_00))], [20_00, 8_00, 5_00]),
        ([off(eur(50_00), metrics=TOKENS), percent("0.1", plans=PRO), percent("0.1")], [40_00, 6_00, 6_40]),
        ([percent("0.1", metrics=TOKENS), off(eur(200_00), plans=PRO), percent("0.5")], [4_00, 96_00, 5_00]),
        (
            [off(eur(30_00), metrics=TOKENS), off(eur(30_00), plans=PRO), off(eur(99_00))],
            [30_00, 30_00, 50_00],
        ),
        ([percent("1", metrics=TOKENS), percent("1", plans=PRO), percent("1")], [40_00, 60_00, 10_00]),
    ],
)
def test_coupons_work_in_one_order_however_they_are_given(coupons: list[Coupon], expected: list[int]) -> None:
    for given_so in itertools.permutations(redeemed(*coupons)):
        made = apply_coupons(LINES, given_so)

        assert [one.scope for one in made] == [Scope.METRIC, Scope.PLAN, Scope.GENERAL]
        assert taken(made) == expected


def test_of_one_scope_the_one_redeemed_first_works_first() -> None:
    rate, amount = percent("0.5"), off(eur(10_00))

    assert taken(apply_coupons([SEATS], redeemed(rate, amount))) == [30_00, 10_00]
    assert taken(apply_coupons([SEATS], redeemed(amount, rate))) == [10_00, 25_00]


def test_a_fixed_amount_is_divided_by_largest_remainder_and_the_rest_is_unused() -> None:
    three = [DiscountLine(key, eur(33)) for key in "abc"]

    made = apply_coupons(three, redeemed(off(eur(50))))[0]
    assert [share.discount.minor for share in made.shares] == [17, 17, 16]
    assert made.unused == eur(0)
    everything = apply_coupons(three, redeemed(off(eur(150))))[0]
    assert ([share.discount.minor for share in everything.shares], everything.unused) == (
        [33, 33, 33],
        eur(51),
    )


def test_a_rate_is_rounded_once_for_all_lines() -> None:
    made = apply_coupons([DiscountLine(str(i), eur(5)) for i in range(3)], redeemed(percent("0.1")))[0]

    assert made.discount == eur(2)  # 1.5, and not 3 times 0.5 rounded up
    assert [share.discount.minor for share in made.shares] == [1, 1, 0]


def test_a_coupon_leaves_alone_what_it_is_not_for() -> None:
    credit = DiscountLine("credit", eur(-15_00), discountable=False)

    general, metric = apply_coupons(
        [SEATS, credit], redeemed(percent("0.5"), percent("0.5", metrics=TOKENS))
    )[::-1]
    assert [(share.key, share.discount.minor) for share in general.shares] == [("seats", 30_00)]
    assert (metric.shares, metric.discount) == ((), eur(0))
    assert apply_coupons([], redeemed(percent("0.5"))) == ()


@pytest.mark.parametrize(
    ("duration", "periods", "before", "runs"),
    [
        (Duration.ONCE, None, 0, True),
        (Duration.ONCE, None, 1, False),
        (Duration.PERIODS, 3, 2, True),
        (Duration.PERIODS, 3, 3, False),
        (Duration.FOREVER, None, 1_000, True),
    ],
)
def test_how_long_a_coupon_works(duration: Duration, periods: int | None, before: int, runs: bool) -> None:
    coupon = Coupon("C", rate=Decimal("0.5"), duration=duration, periods=periods)

    made = apply_coupons([SEATS], [Redemption("r", coupon, NOW, periods_before=before)])

    assert taken(made) == ([30_00] if runs else [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "<script>"}, "code"),
        ({"rate": None}, "amount"),
        ({"amount": eur(5)}, "amount"),
        ({"rate": Decimal(0)}, "rate"),
        ({"rate": Decimal("1.01")}, "rate"),
        ({"rate": Decimal("0.123456789012345")}, "rate"),
        ({"rate": None, "amount": eur(0)}, "amount"),
        ({"rate": None, "amount": eur(-5)}, "amount"),
        ({"periods": 3}, "periods"),
        ({"duration": Duration.PERIODS}, "periods"),
        ({"duration": Duration.PERIODS, "periods": 0}, "periods"),
        ({"metrics": TOKENS, "plans": PRO}, "plans"),
        ({"plans": frozenset(map(str, range(101)))}, "plans"),
        ({"expires_at": NOW.replace(tzinfo=None)}, "expires_at"),
        ({"redemptions_max": 0}, "redemptions_max"),
    ],
)
def test_unsound_coupons_are_refused_by_their_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        replace(Coupon("SPRING", rate=Decimal("0.5")), **change)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("coupon", "code"),
    [
        (Coupon("C", rate=Decimal(1), expires_at=NOW), "coupon_expired"),
        (Coupon("C", rate=Decimal(1), redemptions_max=7), "coupon_used_up"),
        (Coupon("C", amount=Money(500, "USD")), "coupon_currency"),
        (Coupon("C", rate=Decimal(1), expires_at=NOW + timedelta(microseconds=1), redemptions_max=8), None),
        (Coupon("C", amount=eur(500)), None),
    ],
)
def test_who_may_redeem(coupon: Coupon, code: str | None) -> None:
    with nullcontext() if code is None else pytest.raises(Invalid) as refused:
        require_redeemable(coupon, currency="EUR", now=NOW, redeemed=7)
    assert (
        code is None
        if refused is None
        else (refused.value.error_code, refused.value.field) == (code, "coupon")
    )


@pytest.mark.parametrize(
    ("lines", "redemptions", "field"),
    [
        ([SEATS], redeemed(Coupon("C", amount=Money(5, "USD"))), "coupon"),
        ([SEATS], redeemed(*[percent("0.1")] * 21), "coupons"),
        ([SEATS], redeemed(percent("0.1")) * 2, "coupons"),
        ([SEATS, SEATS], redeemed(percent("0.1")), "lines"),
    ],
)
def test_what_cannot_be_applied_is_refused(
    lines: list[DiscountLine], redemptions: list[Redemption], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        apply_coupons(lines, redemptions)
    assert refused.value.field == field


# -- properties

codes = st.sampled_from(["JPY", "USD", "BHD"])
scopes = st.sampled_from([(ANY, ANY), (TOKENS, ANY), (ANY, PRO)])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[DiscountLine], list[Redemption]]:
    currency = draw(codes)
    minors = st.integers(-20, 50) | st.integers(0, 10**9)
    lines = [
        DiscountLine(
            str(i),
            Money(draw(minors), currency),
            draw(st.sampled_from([None, "tokens"])),
            draw(st.sampled_from(["pro", "extra"])),
            draw(st.booleans() | st.just(True)),
        )
        for i in range(draw(st.integers(1, 6)))
    ]
    coupons: list[Coupon] = []
    for _ in range(draw(st.integers(1, 4))):
        metrics, plans = draw(scopes)
        if draw(st.booleans()):
            coupons.append(
                percent(str(draw(st.decimals("0.0001", 1, places=4))), metrics=metrics, plans=plans)
            )
        else:
            amount = Money(draw(st.integers(1, 60) | st.integers(1, 10**9)), currency)
            coupons.append(off(amount, metrics=metrics, plans=plans))
    return lines, redeemed(*coupons)


@EXAMPLES
@given(case=cases(), random=st.randoms())
def test_shares_add_up_no_line_crosses_zero_and_the_order_of_arguments_does_not_matter(
    case: tuple[list[DiscountLine], list[Redemption]], random: Any
) -> None:
    lines, redemptions = case
    made = apply_coupons(lines, redemptions)

    left = {line.key: line.base.minor for line in lines}
    for one in made:
        assert sum(share.discount.minor for share in one.shares) == one.discount.minor >= 0
        assert sum(share.base.minor for share in one.shares) == one.base.minor
        assert one.amount is None or one.discount <= one.amount
        for share in one.shares:
            assert share.base.minor == left[share.key]
            left[share.key] -= share.discount.minor
        assert replay(json.loads(json.dumps(facts_of(one)))) == one
    for line in lines:
        low, high = sorted((0, line.base.minor))
        assert low <= left[line.key] <= high
    shuffled = list(redemptions)
    random.shuffle(shuffled)
    assert apply_coupons(lines, shuffled) == made


@EXAMPLES
@given(
    running=st.lists(st.integers(0, 1_000), min_size=1, max_size=6),
    coupon=st.one_of(
        st.decimals("0.01", 1, places=2).map(lambda rate: percent(f"{rate}")),
        st.integers(1, 2_000).map(lambda minor: off(eur(minor))),
    ),
)
def test_documents_of_one_period_together_take_what_one_document_would(
    running: list[int], coupon: Coupon
) -> None:
    """Also when the running bill falls in between: then a part of the discount is given back."""
    seen = took = eur(0)
    for before, minor in itertools.pairwise([0, *running]):
        one = Redemption("r", coupon, NOW, base_before=seen, taken_before=took)
        made = apply_coupons([DiscountLine("usage", eur(minor - before))], [one])[0]
        seen, took = seen + made.base, took + made.discount

    assert [took.minor] == taken(apply_coupons([DiscountLine("usage", eur(running[-1]))], redeemed(coupon)))
