"""Which passwords are refused, and what browsers are called."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import Invalid
from services.identity.password_rules import CHARACTERS_MIN, UNKNOWN_MIN, require_unguessable
from services.identity.user_agents import device_words

ANA = ("ana.lopez@example.com", "Ana L\u00f3pez")


def judged(password: str) -> str:
    try:
        require_unguessable(password, known=ANA)
    except Invalid as error:
        return error.error_code
    return "good"


@pytest.mark.parametrize(
    ("passwords", "code"),
    [
        (
            (
                "nine lives",
                "correct horse battery",
                "kX9#vL2qQz",
                "the password is tea",
                "ana likes green tea",
            ),
            "good",
        ),
        (("\U0001f98a\U0001f419\U0001f433\U0001f984\U0001f41d" * 2, "пароль мой длинный"), "good"),
        (("short one", "\U0001f408" * 9, ""), "password_too_short"),
        (
            ("password123", "P@ssw0rd2024!", "Summer2026!!", "MATRIXmatrix", "letmein letmein"),
            "password_too_common",
        ),
        (("qwertyuiop", "1q2w3e4r5t", "1qaz2wsx3edc", "0987654321", "abcdefghijk"), "password_too_common"),
        (
            ("aaaaaaaaaaaa", "abababababab", "123123123123", "correcthorsebatterystaple"),
            "password_too_common",
        ),
        (("analopez1234", "Lopez.Ana.2026", "ANA.LOPEZ@EXAMPLE.COM", "López ana!1"), "password_personal"),
    ],
)
def test_what_a_program_tries_first_is_refused(passwords: tuple[str, ...], code: str) -> None:
    assert {password: judged(password) for password in passwords} == dict.fromkeys(passwords, code)


@given(st.text(max_size=60))
def test_any_text_is_judged_and_more_of_it_is_never_refused_for_its_length(text: str) -> None:
    judged(text)
    assert judged(text + "kX9#vL2qQz") in {"good", "password_too_common"}
    assert len("kX9#vL2qQz") >= max(CHARACTERS_MIN, UNKNOWN_MIN)


def steps_to_judge(password: str, *, known: tuple[str, ...]) -> int:
    """How many lines of Python it takes: what is linear in the text shows, whatever else the machine does.

    What is worked out once and kept is not counted, nor what a collection of garbage that others left has to say, so
    that the answer is the same alone and after other tests.
    """
    with suppress(Invalid):
        require_unguessable(password, known=known)
    steps = 0

    def count(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    before = sys.gettrace()
    gc.disable()
    sys.settrace(count)
    try:
        require_unguessable(password, known=known)
    except Invalid:
        pass
    finally:
        sys.settrace(before)
        gc.enable()
    return steps


# Eighteen characters each once unfolded; one name many times; runs; and what is none of these.
@pytest.mark.parametrize("text", ["\ufdfa", "ana", "qwertyuiop", "1q2w3e4r", "\u0315\u0300", "k#"])
def test_what_is_as_long_as_can_be_is_judged_in_a_bounded_number_of_steps(text: str) -> None:
    long = (text * 1_024).encode()[:1_024].decode(errors="ignore")
    assert steps_to_judge(long, known=(*ANA, text * 100)) < 100_000


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
            " Version/19.0 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
            " Safari/537.36 Edg/140.0.0.0",
            "Edge, Windows",
        ),
        ("curl/8.9.1", "curl"),
        ("", ""),
        ("<script>", ""),
    ],
)
def test_browsers_have_names_that_their_owners_know(user_agent: str, words: str) -> None:
    assert device_words(user_agent) == words
