"""Streams are cut the same however their bytes arrive."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.sse import DONE, Cutter, StreamBroken, Usage, event

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {
        "id": "c1",
        "model": "inside",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    } | more


STREAM = b"".join(
    [
        b": a comment that keeps the connection open\n\n",
        event(chunk("Grüße, ")),
        event(chunk("wörld")),
        event(chunk("!")),
        event(chunk(finish="stop")),
        event({"id": "c1", "model": "inside", "choices": [], "usage": USAGE}),
        DONE,
    ]
)


def payloads(passed: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(one.removeprefix(b"data: ")) for one in passed.split(b"\n\n") if one]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12), crlf=st.booleans(), wants_usage=st.booleans())
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int], crlf: bool, wants_usage: bool) -> None:
    stream = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    cutter = Cutter("ours", wants_usage=wants_usage)

    passed = b"".join(cutter.feed(stream[a:b]) for a, b in pairwise(bounds))

    shown = payloads(passed)
    assert len(shown) == (5 if wants_usage else 4)
    assert {one["model"] for one in shown} == {"ours"}
    assert b"[DONE]" not in passed
    assert cutter.done
    assert cutter.finished
    assert cutter.usage == Usage(7, 3)
    assert cutter.completion_tokens == 3


def test_pieces_are_counted_until_the_upstream_says_better() -> None:
    cutter = Cutter("ours", wants_usage=False)
    cutter.feed(event(chunk("a")) + event(chunk()) + event(chunk("b")))
    assert (cutter.completion_tokens, cutter.prompt_tokens, cutter.usage) == (2, 0, None)


def test_a_running_count_beats_ours_and_is_taken_out() -> None:
    cutter = Cutter("ours", wants_usage=False)
    timings = {"predicted_n": 6, "prompt_n": 4, "cache_n": 3}
    (shown,) = payloads(cutter.feed(event(chunk("a", timings=timings))))
    assert "timings" not in shown
    assert (cutter.completion_tokens, cutter.prompt_tokens) == (6, 7)


def test_usage_beside_the_last_piece_is_counted_and_shown_only_on_request() -> None:
    for wanted in (True, False):
        cutter = Cutter("ours", wants_usage=wanted)
        (shown,) = payloads(cutter.feed(event(chunk("a", finish="stop", usage=USAGE))))
        assert ("usage" in shown) == wanted
        assert cutter.usage == Usage(7, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {no json\n\n",
        b"data: 17\n\n",
        b'data: {"choices": [17]}\n\n',
        b'data: {"choices": "x"}\n\n',
        b'data: {"choices": [], "deep": ' + b"[" * 300 + b"]" * 300 + b"}\n\n",
        b"data: " + b"x" * 5_000_000,
    ],
)
def test_what_is_no_stream_of_this_api_is_refused(data: bytes) -> None:
    with pytest.raises(StreamBroken):
        Cutter("ours", wants_usage=False).feed(data)


def test_an_error_in_the_stream_is_held_back() -> None:
    cutter = Cutter("ours", wants_usage=False)
    assert cutter.feed(b'data: {"error": {"message": "10.0.0.7 is on fire"}}\n\n') == b""
    assert cutter.error is not None


@pytest.mark.parametrize(
    "usage", [None, 3, {}, {"prompt_tokens": -1}, {"prompt_tokens": "7"}, {"prompt_tokens": True}]
)
def test_usage_that_makes_no_sense_is_no_usage(usage: Any) -> None:
    cutter = Cutter("ours", wants_usage=False)
    cutter.feed(event(chunk("a", usage=usage)))
    assert cutter.usage is None
    assert cutter.completion_tokens == 1


def test_counts_that_no_table_could_hold_are_not_believed() -> None:
    """Such a call could never be settled, so its usage would be lost with all that is true of it."""
    cutter = Cutter("m", wants_usage=False)
    timings = {"predicted_n": 2**40, "prompt_n": -1, "cache_n": 0}
    usage = {"prompt_tokens": 7, "completion_tokens": 2**31}

    cutter.feed(event(chunk("a", timings=timings)) + event(chunk("b")) + event(chunk("c", usage=usage)))

    assert cutter.usage is None
    assert (cutter.prompt_tokens, cutter.completion_tokens) == (0, 3)


def usage(completion: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": completion, "total_tokens": 7 + completion}


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ([chunk("", usage=usage(0)), *[chunk("w")] * 50], 50),
        ([chunk("w", usage=usage(0))] * 50, 50),
        ([chunk("w"), chunk("w", usage=usage(30)), *[chunk("w")] * 9], 39),
        ([*[chunk("w")] * 4, {"choices": [], "usage": usage(6)}, chunk("w")], 7),
        ([chunk("w", usage=usage(2**31 - 1)), chunk("w")], 2**31 - 1),
        ([chunk("", usage=usage(0))], 0),
    ],
    ids=[
        "zero first",
        "zero always",
        "a running count",
        "the end, then more",
        "the greatest",
        "nothing sent",
    ],
)
def test_what_is_stated_on_the_way_is_not_the_last_word(events: list[dict[str, Any]], counted: int) -> None:
    cutter = Cutter("ours", wants_usage=False)

    for one in events:
        cutter.feed(event(one))

    assert cutter.usage is None
    assert (cutter.prompt_tokens, cutter.completion_tokens) == (7, counted)


@pytest.mark.parametrize(
    ("events", "last_word"),
    [
        ([chunk("w", usage=usage(1)), chunk("w", finish="stop", usage=usage(9))], Usage(7, 9)),
        ([chunk("w", finish="stop"), {"choices": [], "usage": usage(9)}], Usage(7, 9)),
        ([chunk("w"), chunk("w", usage=usage(9)), None], Usage(7, 9)),
        ([chunk("w", finish="stop", usage=usage(9)), chunk("w")], None),
        ([chunk("w", usage=usage(1)), chunk("w", finish="stop")], None),
        ([chunk("w", finish="stop", usage=usage(0))], None),
        ([chunk("", finish="stop", usage=usage(0))], Usage(7, 0)),
    ],
    ids=[
        "with the end",
        "after the end",
        "before [DONE]",
        "before more",
        "early only",
        "zero",
        "really zero",
    ],
)
def test_what_is_stated_at_the_end_is(events: list[dict[str, Any] | None], last_word: Usage | None) -> None:
    cutter = Cutter("ours", wants_usage=False)
    for one in events:
        cutter.feed(event(one) if one else DONE)
    assert cutter.usage == last_word


def test_an_error_of_null_is_none() -> None:
    cutter = Cutter("ours", wants_usage=False)
    (shown,) = payloads(cutter.feed(event(chunk("a", error=None))))
    assert cutter.error is None
    assert shown["choices"][0]["delta"]["content"] == "a"
