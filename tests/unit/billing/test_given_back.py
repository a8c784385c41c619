"""What usage gives back that came to less: never more than was debited, whatever notes took, in parts that add up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from services.billing.given_back import Debited, give_back

AMOUNTS = st.integers(0, 10_000)


@st.composite
def debits(draw: st.DrawFn, *, noted: bool = True) -> Debited:
    """A line that was debited for what it asked, less a coupon, and perhaps credited in part."""
    asked = draw(st.integers(1, 10_000))
    net = draw(st.integers(0, asked))
    tax = draw(st.integers(0, net))
    taken = draw(st.integers(0, net)) if noted else 0
    taken_tax = tax * taken // net if net else 0
    return Debited(str(draw(st.integers(0, 10**6))), "", asked, net, tax, taken, taken_tax)


def _after(line: Debited, minor: int) -> tuple[Debited, int]:
    """The line once it gave so much back, and how much of it that was."""
    parts = give_back([line], minor)
    if not parts:
        return line, 0
    (part,) = parts
    assert 0 <= part.tax <= part.net
    made = replace(
        line,
        given=line.given + part.minor,
        given_net=line.given_net + part.net,
        given_tax=line.given_tax + part.tax,
    )
    return made, part.minor


@given(line=debits(), asked=st.lists(AMOUNTS, max_size=6))
def test_a_line_never_gives_more_than_it_was_debited_and_notes_left(line: Debited, asked: list[int]) -> None:
    for minor in asked:
        line, given_minor = _after(line, minor)
        assert given_minor <= minor
        assert line.given <= line.asked
        assert line.noted + line.given_net <= line.net
        assert line.noted_tax + line.given_tax <= line.tax


@given(line=debits(noted=False), cuts=st.lists(st.integers(1, 5_000), max_size=6))
@example(line=Debited("l", "", 3, 2, 1), cuts=[1, 1])
def test_parts_add_up_to_what_was_debited(line: Debited, cuts: list[int]) -> None:
    for minor in cuts:
        line, _ = _after(line, minor)
    line, _ = _after(line, line.asked)
    if line.net:
        assert (line.given, line.given_net) == (line.asked, line.net)
    else:
        assert line.given == 0  # a coupon paid it


@given(line=debits(), first=AMOUNTS, second=AMOUNTS)
@example(line=Debited("l", "", 1_000, 1_000, 190), first=100, second=100)
def test_in_two_steps_as_much_is_given_as_in_one(line: Debited, first: int, second: int) -> None:
    once, _ = _after(line, first + second)
    twice, _ = _after(line, first)
    twice, _ = _after(twice, second)
    assert (twice.given, twice.given_net) == (once.given, once.given_net)
    assert abs(twice.given_tax - once.given_tax) <= 1  # less where a step gave less net than the tax of it


@given(lines=st.lists(debits(), max_size=5), minor=AMOUNTS)
def test_the_last_line_gives_first(lines: list[Debited], minor: int) -> None:
    expected: list[int] = []
    left = minor
    for line in lines:
        _, most = _after(line, left)
        left -= most
        expected += [most] * bool(most)
    assert [part.minor for part in give_back(lines, minor)] == expected
    assert left >= 0
